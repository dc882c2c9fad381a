package flightruntime

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// Client calls a Flight server: pyarrow's FlightClient. It is safe for use by several goroutines. Its calls end with an *Error, which also
// carries the gRPC status.
type Client struct {
	location Location
	options  ClientOptions
	conn     *grpc.ClientConn
	rpc      flight.FlightServiceClient

	mu   sync.RWMutex
	auth ClientAuthHandler // once Authenticate went well
}

// ClientOptions say how a client connects. The zero value connects with the defaults.
type ClientOptions struct {
	// TLS is how a client of a grpc+tls location knows the server; nil means what the system trusts. ClientTLS makes one of PEM files.
	// Its ServerName is the name that the server's certificate is checked against, if not the location's host (override_hostname).
	TLS *tls.Config
	// Middleware follows each call, the first outermost.
	Middleware []ClientMiddlewareFactory
	// InsecureAuth says whether credentials, which are what Authenticate sends and the headers of authentication, may be sent in plain
	// text. By default calls that would do so fail. A UNIX socket is not insecure.
	InsecureAuth InsecureAuth
	// MaxMessageBytes bounds one message that is received. 0 means 64 MiB.
	MaxMessageBytes int
	// WriteSizeLimit, if set, bounds what a batch that is written may take, encoded and with its dictionaries, in bytes
	// (write_size_limit_bytes). A larger one is refused with an error of KindWriteSize, which wraps a *WriteSizeError, before anything of it
	// is sent. Without a limit batches of any size are written: they are cut into messages that servers take.
	WriteSizeLimit int
	// Dial are further options of grpc-go.
	Dial []grpc.DialOption
}

// Connect makes a client of the server at a location such as "grpc://host:8815". It does not wait for the connection: the first call
// does. Close releases it.
func Connect(location string, options ClientOptions) (*Client, error) {
	l, err := ParseLocation(location)
	if err != nil {
		return nil, err
	}
	target, err := l.target()
	if err != nil {
		return nil, err
	}
	if options.TLS != nil && l.scheme != SchemeTLS {
		return nil, fmt.Errorf("connect to %s: there is a TLS configuration: use a location of the scheme grpc+tls", l)
	}
	if options.MaxMessageBytes == 0 {
		options.MaxMessageBytes = defaultMaxMessageBytes
	}
	c := &Client{location: l, options: options}
	dial := append([]grpc.DialOption{
		grpc.WithTransportCredentials(clientCredentials(l, options.TLS)),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(wire.Codec()),
			grpc.MaxCallRecvMsgSize(options.MaxMessageBytes),
			grpc.MaxCallSendMsgSize(maxSentBytes),
		),
		grpc.WithChainUnaryInterceptor(c.unary),
		grpc.WithChainStreamInterceptor(c.stream),
	}, options.Dial...)
	c.conn, err = grpc.NewClient(target, dial...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", l, err)
	}
	c.rpc = flight.NewFlightServiceClient(c.conn)
	return c, nil
}

// maxSentBytes of one message: what it takes is the server's business.
const maxSentBytes = 1<<31 - 1

func clientCredentials(l Location, c *tls.Config) credentials.TransportCredentials {
	if l.scheme != SchemeTLS {
		return insecure.NewCredentials()
	}
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return credentials.NewTLS(c)
}

// Close ends all calls and releases the connection.
func (c *Client) Close() error { return c.conn.Close() }

// ListFlights yields what the server tells of its flights that match the criteria. It asks when the sequence is ranged over.
func (c *Client) ListFlights(ctx context.Context, criteria []byte, opts ...CallOption) iter.Seq2[*FlightInfo, error] {
	return streamed(ctx, opts, func(ctx context.Context) (receiver[FlightInfo], error) {
		return c.rpc.ListFlights(ctx, &flight.Criteria{Expression: criteria})
	})
}

// GetFlightInfo asks for one flight.
func (c *Client) GetFlightInfo(ctx context.Context, d *FlightDescriptor, opts ...CallOption) (*FlightInfo, error) {
	return single(ctx, opts, func(ctx context.Context) (*FlightInfo, error) { return c.rpc.GetFlightInfo(ctx, d) })
}

// PollFlightInfo begins a long-running query, or asks how far it is.
func (c *Client) PollFlightInfo(ctx context.Context, d *FlightDescriptor, opts ...CallOption) (*PollInfo, error) {
	return single(ctx, opts, func(ctx context.Context) (*PollInfo, error) { return c.rpc.PollFlightInfo(ctx, d) })
}

// GetSchema asks for the schema of one flight.
func (c *Client) GetSchema(ctx context.Context, d *FlightDescriptor, opts ...CallOption) (*arrow.Schema, error) {
	result, err := single(ctx, opts, func(ctx context.Context) (*flight.SchemaResult, error) { return c.rpc.GetSchema(ctx, d) })
	if err != nil {
		return nil, err
	}
	return SchemaOf(result.GetSchema())
}

// DoGet reads the data that a ticket stands for. It does not wait for the server: what speaks against the call comes with the first thing
// that is read. Cancel the reader if it is not read to its end.
func (c *Client) DoGet(ctx context.Context, ticket *Ticket, opts ...CallOption) (*DataReader, error) {
	ctx, s := newCallSettings(ctx, opts)
	stream, err := c.rpc.DoGet(ctx, ticket)
	if err != nil {
		s.cancel()
		return nil, s.failed(err)
	}
	return s.reader(stream, c.options), nil
}

// DoPut sends data under a descriptor, with the schema that all batches have. The results are what the server answers meanwhile. Close the
// writer to learn how the call ended; cancel the results to give it up.
func (c *Client) DoPut(ctx context.Context, d *FlightDescriptor, schema *arrow.Schema, opts ...CallOption) (*DataWriter, *MetadataReader, error) {
	ctx, s := newCallSettings(ctx, opts)
	stream, err := c.rpc.DoPut(ctx)
	if err != nil {
		s.cancel()
		return nil, nil, s.failed(err)
	}
	results := newMetadataReader(stream, s)
	w := s.writer(stream, d, c.options, results.finish, results.finish)
	if err := w.Begin(schema, WriteOptions{}); err != nil && !errors.Is(err, errEnded) { // a server may answer without reading anything
		s.cancel()
		return nil, nil, err
	}
	return w, results, nil
}

// DoExchange sends data under a descriptor and reads data, at the same time if it likes. Call Begin before writing batches, and CloseSend
// when all are written. Cancel the reader if it is not read to its end.
func (c *Client) DoExchange(ctx context.Context, d *FlightDescriptor, opts ...CallOption) (*DataWriter, *DataReader, error) {
	ctx, s := newCallSettings(ctx, opts)
	stream, err := c.rpc.DoExchange(ctx)
	if err != nil {
		s.cancel()
		return nil, nil, s.failed(err)
	}
	r := s.reader(stream, c.options)
	return s.writer(stream, d, c.options, r.end, r.discard), r, nil
}

// DoAction runs an action and yields the bodies of its results. The action begins when the sequence is ranged over, and each time that it
// is; whoever stops before its end cancels it.
func (c *Client) DoAction(ctx context.Context, action string, body []byte, opts ...CallOption) iter.Seq2[[]byte, error] {
	results := streamed(ctx, opts, func(ctx context.Context) (receiver[flight.Result], error) {
		return c.rpc.DoAction(ctx, &flight.Action{Type: action, Body: body})
	})
	return func(yield func([]byte, error) bool) {
		for r, err := range results {
			if !yield(r.GetBody(), err) {
				return
			}
		}
	}
}

// ListActions asks which actions there are.
func (c *Client) ListActions(ctx context.Context, opts ...CallOption) ([]*ActionType, error) {
	var actions []*ActionType
	for a, err := range streamed(ctx, opts, func(ctx context.Context) (receiver[ActionType], error) {
		return c.rpc.ListActions(ctx, &flight.Empty{})
	}) {
		if err != nil {
			return nil, err
		}
		actions = append(actions, a)
	}
	return actions, nil
}

// single is a call with one answer.
func single[T any](ctx context.Context, opts []CallOption, call func(context.Context) (T, error)) (T, error) {
	ctx, s := newCallSettings(ctx, opts)
	defer s.cancel()
	answer, err := call(ctx)
	return answer, s.failed(err)
}

type receiver[T any] interface{ Recv() (*T, error) }

// streamed is a call whose answers are a sequence. Who stops listening cancels the call.
func streamed[T any](ctx context.Context, opts []CallOption, call func(context.Context) (receiver[T], error)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		ctx, s := newCallSettings(ctx, opts)
		defer s.cancel()
		stream, err := call(ctx)
		if err != nil {
			yield(nil, s.failed(err))
			return
		}
		for {
			answer, err := stream.Recv()
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(nil, s.failed(err))
				return
			case !yield(answer, nil):
				return
			}
		}
	}
}
