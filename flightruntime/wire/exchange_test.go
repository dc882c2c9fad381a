package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/internal/arrowtest"
)

// echoService sends back what it receives, as soon as it does.
type echoService struct{ flight.BaseFlightServer }

func (*echoService) DoExchange(stream flight.FlightService_DoExchangeServer) error {
	r := NewReader(stream, ReaderOptions{MaxMessageBytes: 8 << 20})
	defer r.Release()
	if _, err := r.Descriptor(); err != nil {
		return err
	}
	w, err := NewExchangeWriter(stream, 8<<20)
	if err != nil {
		return err
	}
	defer w.Close()
	begun := false
	for {
		chunk, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case chunk.Batch == nil:
			err = w.WriteMetadata(chunk.AppMetadata)
		case !begun:
			begun = true
			err = w.Begin(chunk.Batch.Schema())
		}
		if err == nil && chunk.Batch != nil {
			err = w.WriteWithMetadata(chunk.Batch, chunk.AppMetadata)
		}
		if err != nil {
			return err
		}
	}
}

func (*echoService) GetFlightInfo(_ context.Context, d *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return &flight.FlightInfo{FlightDescriptor: d}, nil
}

// connectWith is a client, with Codec, of a server with Codec.
func connectWith(t testing.TB, service flight.FlightServer) flight.FlightServiceClient {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(Codec()), grpc.MaxRecvMsgSize(16<<20))
	flight.RegisterFlightServiceServer(server, service)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Codec()), grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return flight.NewFlightServiceClient(conn)
}

func TestExchangeOverGRPC(t *testing.T) {
	client := connectWith(t, &echoService{})
	descriptor := &flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: []byte("echo")}
	// Other messages go through the codec as ever.
	if info, err := client.GetFlightInfo(t.Context(), descriptor); err != nil || !proto.Equal(info.GetFlightDescriptor(), descriptor) {
		t.Fatalf("flight info %v, %v", info, err)
	}
	for name, opts := range encodings {
		for _, sample := range append(arrowtest.Samples(), arrowtest.Sample{Name: "a batch that is cut", Type: arrow.PrimitiveTypes.Int64}) {
			t.Run(name+"/"+sample.Name, func(t *testing.T) {
				schema, want := column(sample.Type), sample.Records(t)
				if sample.Name == "a batch that is cut" {
					want = []arrow.RecordBatch{numbers(schema, 1<<19)}
				}
				stream, err := client.DoExchange(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				sent := make(chan error, 1)
				go func() { sent <- exchange(stream, descriptor, schema, want, opts) }()
				r := NewReader(stream, ReaderOptions{})
				defer r.Release()
				chunks, err := all(r)
				if err := errors.Join(err, <-sent); err != nil {
					t.Fatal(err)
				}
				wantSameRows(t, schema, rows(chunks), want)
				if first, last := string(chunks[0].AppMetadata), string(chunks[len(chunks)-1].AppMetadata); first != "before" || last != "after" {
					t.Errorf("metadata arrived as %s", metadataOf(chunks))
				}
			})
		}
	}
}

// exchange is a client's half of a call.
func exchange(stream flight.FlightService_DoExchangeClient, descriptor *flight.FlightDescriptor, schema *arrow.Schema, batches []arrow.RecordBatch, opts []WriterOption) error {
	w, err := NewExchangeWriter(stream, 8<<20, append([]WriterOption{WithDescriptor(descriptor)}, opts...)...)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := errors.Join(w.WriteMetadata([]byte("before")), w.Begin(schema)); err != nil {
		return err
	}
	for _, batch := range batches {
		if err := w.WriteWithMetadata(batch, []byte("rows")); err != nil {
			return err
		}
	}
	return errors.Join(w.WriteMetadata([]byte("after")), stream.CloseSend())
}

func TestRefusalsReachTheClient(t *testing.T) {
	client := connectWith(t, &echoService{})
	stream, err := client.DoExchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The client's own encoder makes what no Writer would.
	if err := stream.Send(&flight.FlightData{FlightDescriptor: &flight.FlightDescriptor{}, DataHeader: []byte("no header")}); err != nil {
		t.Fatal(err)
	}
	_, err = NewReader(stream, ReaderOptions{}).Next()
	const want = "message 1 of the stream: its metadata contradict themselves: it is damaged"
	if status.Code(err) != codes.InvalidArgument || status.Convert(err).Message() != want {
		t.Errorf("got %v, want INVALID_ARGUMENT: %s", err, want)
	}
}
