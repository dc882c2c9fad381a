package flightruntime_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// must ends an example that goes wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// serve answers calls on a free port of loopback, until stop is called.
func serve(service flightruntime.Service, options flightruntime.ServerOptions) (location string, stop func()) {
	server, err := flightruntime.NewServer("grpc://127.0.0.1:0", service, options)
	must(err)
	server.Start()
	return server.Location().String(), func() { must(server.Shutdown(context.Background())) }
}

// tides are the heights of the sea, by place and hour.
var tides = arrow.NewSchema([]arrow.Field{
	{Name: "place", Type: arrow.BinaryTypes.String},
	{Name: "height", Type: arrow.PrimitiveTypes.Float64},
}, nil)

// tidesAt are some of one place.
func tidesAt(place string, heights ...float64) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, tides)
	defer b.Release()
	for _, h := range heights {
		b.Field(0).(*array.StringBuilder).Append(place)
		b.Field(1).(*array.Float64Builder).Append(h)
	}
	return b.NewRecordBatch()
}

// tideService serves tides.
type tideService struct{ flightruntime.BaseService }

// GetFlightInfo knows one place.
func (tideService) GetFlightInfo(_ context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	if len(d.GetPath()) != 1 || d.GetPath()[0] != "Dover" {
		return nil, flightruntime.Errorf(flightruntime.KindNotFound, "no tides of %q: there are some of Dover", d.GetPath())
	}
	return flightruntime.NewFlightInfo(tides, d, flightruntime.NewEndpoint([]byte("Dover"))), nil
}

// DoGet sends the tides of the place that the ticket names.
func (tideService) DoGet(_ context.Context, ticket *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	batch := tidesAt(string(ticket.GetTicket()), 0.8, 3.4, 6.7)
	reader, err := array.NewRecordReader(tides, []arrow.RecordBatch{batch})
	if err != nil {
		return nil, err
	}
	return flightruntime.RecordBatchStream(reader), nil
}

// A server overrides the RPCs that it serves. Those that it does not are NOT IMPLEMENTED.
func ExampleBaseService() {
	location, stop := serve(tideService{}, flightruntime.ServerOptions{})
	defer stop()

	client, err := flightruntime.Connect(location, flightruntime.ClientOptions{})
	must(err)
	defer client.Close()

	ctx := context.Background()
	info, err := client.GetFlightInfo(ctx, flightruntime.DescriptorForPath("Dover"))
	must(err)
	reader, err := client.DoGet(ctx, info.GetEndpoint()[0].GetTicket())
	must(err)
	table, err := reader.ReadAll()
	must(err)
	defer table.Release()
	fmt.Println(table.NumRows(), "rows of", table.Schema().Field(0).Name, "and", table.Schema().Field(1).Name)

	_, err = client.ListActions(ctx)
	fmt.Println(errors.Is(err, flightruntime.ErrNotImplemented), err)
	// Output:
	// 3 rows of place and height
	// true flight: not implemented: this server has no ListActions
}

// NewServer listens, Start answers without blocking, Serve and Wait block until the server is shut down.
func ExampleServer() {
	server, err := flightruntime.NewServer("grpc://127.0.0.1:0", tideService{}, flightruntime.ServerOptions{})
	must(err)
	fmt.Println("got a port:", server.Location().Port() != 0)

	served := make(chan error)
	go func() { served <- server.Serve() }()

	// Calls that are running have until the deadline to end.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	must(server.Shutdown(ctx))
	fmt.Println("served:", <-served, "and waited:", server.Wait())
	// Output:
	// got a port: true
	// served: <nil> and waited: <nil>
}

// revealingService tells what a server knows of a call, and then that it has begun.
type revealingService struct {
	flightruntime.BaseService
	begun chan struct{}
}

func (s revealingService) GetFlightInfo(ctx context.Context, _ *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	call := flightruntime.CallOf(ctx)
	host, _, err := net.SplitHostPort(call.Peer())
	must(err)
	fmt.Println(call.Method(), "from", host)
	fmt.Printf("identity: %q\n", call.PeerIdentity())
	fmt.Println("words:", call.Headers().Get("x-word"))
	fmt.Println("cancelled:", call.IsCancelled())
	close(s.begun)
	<-ctx.Done() // as soon as the client is gone, without polling
	fmt.Println("cancelled:", call.IsCancelled())
	return nil, ctx.Err()
}

// The context of each RPC knows its call.
func ExampleCallOf() {
	service := revealingService{begun: make(chan struct{})}
	location, stop := serve(service, flightruntime.ServerOptions{})
	client, err := flightruntime.Connect(location, flightruntime.ClientOptions{})
	must(err)
	defer client.Close()

	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-service.begun
		cancel()
	}()
	_, err = client.GetFlightInfo(ctx, flightruntime.DescriptorForPath("any"),
		flightruntime.WithHeader("x-word", "ebb"), flightruntime.WithHeader("x-word", "flow"))
	stop() // waits for the service
	fmt.Println(errors.Is(err, flightruntime.ErrCancelled))
	// Output:
	// GetFlightInfo from 127.0.0.1
	// identity: ""
	// words: [ebb flow]
	// cancelled: false
	// cancelled: true
	// true
}

// Locations name a scheme, and what it needs. Unknown ones are refused, with those that there are.
func ExampleParseLocation() {
	for _, s := range []string{"grpc://10.0.0.7:8815", "grpc+tcp://[::1]:0", "grpc+tls://flight.example:443", "grpc+unix:///run/flight.sock", "https://flight.example"} {
		l, err := flightruntime.ParseLocation(s)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(l.Scheme(), l.Port(), l)
	}
	fmt.Println(flightruntime.ForGRPCTLS("flight.example", 443))
	// Output:
	// grpc 8815 grpc://10.0.0.7:8815
	// grpc 0 grpc://[::1]:0
	// grpc+tls 443 grpc+tls://flight.example:443
	// grpc+unix 0 grpc+unix:///run/flight.sock
	// location "https://flight.example": unknown scheme "https", expected grpc, grpc+tcp, grpc+tls, grpc+unix or arrow-flight-reuse-connection
	// grpc+tls://flight.example:443
}

// strictService refuses all flights.
type strictService struct{ flightruntime.BaseService }

func (strictService) GetFlightInfo(context.Context, *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	return nil, flightruntime.Errorf(flightruntime.KindUnauthorized, "not before %d o'clock", 9).WithExtraInfo([]byte{0x09, 0x00})
}

// What a service returns arrives as it is: in pyarrow as flight.FlightUnauthorizedError, whose extra_info is b"\x09\x00".
func ExampleErrorf() {
	location, stop := serve(strictService{}, flightruntime.ServerOptions{})
	defer stop()
	client, err := flightruntime.Connect(location, flightruntime.ClientOptions{})
	must(err)
	defer client.Close()

	_, err = client.GetFlightInfo(context.Background(), flightruntime.DescriptorForPath("any"))
	if errors.Is(err, flightruntime.ErrUnauthorized) {
		fmt.Println("refused")
	}
	var refusal *flightruntime.Error
	if errors.As(err, &refusal) {
		fmt.Printf("%s: %s, %x\n", refusal.Kind, refusal.Message, refusal.ExtraInfo)
	}
	// Output:
	// refused
	// unauthorized: not before 9 o'clock, 0900
}
