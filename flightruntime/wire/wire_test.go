package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/internal/arrowtest"
)

// getService answers DoGet with one function.
type getService struct {
	flight.BaseFlightServer
	get func(flight.FlightService_DoGetServer) error
}

func (s *getService) DoGet(_ *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	return s.get(stream)
}

// connect is a client of a real server on loopback whose DoGet is get. Both live as long as the test.
func connect(t testing.TB, get func(flight.FlightService_DoGetServer) error, opts ...grpc.ServerOption) flight.FlightServiceClient {
	t.Helper()
	address := serve(t, get, append([]grpc.ServerOption{grpc.ForceServerCodecV2(Codec())}, opts...)...)
	return flight.NewFlightServiceClient(dial(t, address, insecure.NewCredentials()))
}

// serve is the address of a server.
func serve(t testing.TB, get func(flight.FlightService_DoGetServer) error, opts ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(opts, grpc.MaxSendMsgSize(1<<30))...)
	flight.RegisterFlightServiceServer(server, &getService{get: get})
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func dial(t testing.TB, address string, creds credentials.TransportCredentials, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	client, err := grpc.NewClient(address, append(opts, grpc.WithTransportCredentials(creds), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// do calls DoGet of a server whose DoGet is get.
func do(t testing.TB, get func(flight.FlightService_DoGetServer) error) flight.FlightService_DoGetClient {
	t.Helper()
	stream, err := connect(t, get).DoGet(t.Context(), &flight.Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// send is a DoGet that writes batches. Each is released before the next is written, as readers of files do.
func send(schema *arrow.Schema, limit int, batches ...arrow.RecordBatch) func(flight.FlightService_DoGetServer) error {
	return func(stream flight.FlightService_DoGetServer) error {
		w, err := NewWriter(stream, schema, limit, WithLargeMessage())
		if err != nil {
			return err
		}
		defer w.Close()
		for _, batch := range batches {
			if err := w.Write(batch); err != nil {
				return err
			}
		}
		return nil
	}
}

// messages is what a client receives, one by one.
func messages(stream flight.FlightService_DoGetClient) ([]*flight.FlightData, error) {
	var all []*flight.FlightData
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
}

// replay hands received messages to arrow-go's own reader.
type replay struct{ rest []*flight.FlightData }

func (r *replay) Recv() (*flight.FlightData, error) {
	if len(r.rest) == 0 {
		return nil, io.EOF
	}
	m := r.rest[0]
	r.rest = r.rest[1:]
	return m, nil
}

// decode is what arrow-go's reader makes of messages.
func decode(t testing.TB, received []*flight.FlightData) (*arrow.Schema, []arrow.RecordBatch) {
	t.Helper()
	r, err := flight.NewRecordReader(&replay{received})
	if err != nil {
		t.Fatalf("read the schema: %v", err)
	}
	defer r.Release()
	var batches []arrow.RecordBatch
	for r.Next() {
		batch := r.RecordBatch()
		batch.Retain()
		batches = append(batches, batch)
	}
	if err := r.Err(); err != nil {
		t.Fatalf("read the batches: %v", err)
	}
	return r.Schema(), batches
}

func mustReceive(t testing.TB, schema *arrow.Schema, limit int, batches ...arrow.RecordBatch) []*flight.FlightData {
	t.Helper()
	received, err := messages(do(t, send(schema, limit, batches...)))
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return received
}

func wantSameRows(t testing.TB, schema *arrow.Schema, got, want []arrow.RecordBatch) {
	t.Helper()
	wantTable := array.NewTableFromRecords(schema, want)
	defer wantTable.Release()
	gotTable := array.NewTableFromRecords(schema, got)
	defer gotTable.Release()
	if gotTable.NumRows() != wantTable.NumRows() {
		t.Fatalf("%d rows arrived, want %d", gotTable.NumRows(), wantTable.NumRows())
	}
	if !array.TableEqual(gotTable, wantTable) {
		t.Errorf("arrived:\n%v\nwant:\n%v", gotTable, wantTable)
	}
}

// fromJSON makes a batch of the rows given as a JSON array.
func fromJSON(t testing.TB, schema *arrow.Schema, rows string) arrow.RecordBatch {
	t.Helper()
	return arrowtest.FromJSON(t, schema, rows)
}

// column is a schema of one nullable column.
func column(dt arrow.DataType) *arrow.Schema { return arrowtest.Column(dt) }

// noLimit is no limit to the batches of these tests.
const noLimit = 1 << 30

func TestBatchesArriveAsTheyWereWritten(t *testing.T) {
	for _, tt := range arrowtest.Samples() {
		t.Run(tt.Name, func(t *testing.T) {
			schema, batches := column(tt.Type), tt.Records(t)
			gotSchema, got := decode(t, mustReceive(t, schema, noLimit, batches...))
			if !gotSchema.Equal(schema) {
				t.Errorf("schema arrived as %v, want %v", gotSchema, schema)
			}
			wantSameRows(t, schema, got, batches)

			// The same rows as slices that begin and end within their buffers.
			var cut []arrow.RecordBatch
			for _, batch := range batches {
				for from := range batch.NumRows() {
					cut = append(cut, batch.NewSlice(from, from+1))
				}
			}
			_, got = decode(t, mustReceive(t, schema, noLimit, cut...))
			wantSameRows(t, schema, got, batches)
		})
	}
}

func TestBatchesWithoutColumnsKeepTheirRows(t *testing.T) {
	schema := arrow.NewSchema(nil, nil)
	_, got := decode(t, mustReceive(t, schema, noLimit, array.NewRecordBatch(schema, nil, 7)))
	if len(got) != 1 || got[0].NumRows() != 7 || got[0].NumCols() != 0 {
		t.Errorf("arrived %v, want one batch of 7 rows and no columns", got)
	}
}

func TestSchemaMetadataArrives(t *testing.T) {
	metadata := arrow.NewMetadata([]string{"origin"}, []string{"test"})
	schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: arrow.PrimitiveTypes.Int8, Metadata: arrow.NewMetadata([]string{"unit"}, []string{"m"})}}, &metadata)
	got, _ := decode(t, mustReceive(t, schema, noLimit))
	if !got.Equal(schema) || !got.Metadata().Equal(metadata) || !got.Field(0).Metadata.Equal(schema.Field(0).Metadata) {
		t.Errorf("schema arrived as %v, want %v", got, schema)
	}
}

func TestSchemaArrivesBeforeTheFirstBatchIsWritten(t *testing.T) {
	arrived := make(chan struct{})
	schema := column(arrow.PrimitiveTypes.Int64)
	stream := do(t, func(stream flight.FlightService_DoGetServer) error {
		w, err := NewWriter(stream, schema, noLimit)
		if err != nil {
			return err
		}
		defer w.Close()
		select {
		case <-arrived: // a server that waits for its first batch must not keep the schema back
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
		return w.Write(fromJSON(t, schema, `[{"c":1}]`))
	})
	if _, err := stream.Recv(); err != nil {
		t.Fatalf("receive the schema: %v", err)
	}
	close(arrived)
	if rest, err := messages(stream); err != nil || len(rest) != 1 {
		t.Errorf("after the schema came %d messages and error %v, want one batch", len(rest), err)
	}
}

// encoded collects what a stream would send, through the codec as grpc-go would.
type encoded struct{ messages [][]byte }

func (e *encoded) SendMsg(m any) error {
	buffers, err := Codec().Marshal(m)
	if err == nil {
		e.messages = append(e.messages, buffers.Materialize())
	}
	return err
}

func TestEveryMessageHasABody(t *testing.T) {
	// C++ takes a message without the body's field for one that has no data at all, and refuses it as a batch.
	var sent encoded
	w, err := NewWriter(&sent, column(arrow.Null), noLimit)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(fromJSON(t, column(arrow.Null), `[{"c":null}]`)); err != nil {
		t.Fatal(err)
	}
	if len(sent.messages) != 2 {
		t.Fatalf("sent %d messages, want a schema and a batch", len(sent.messages))
	}
	emptyBody := protowire.AppendVarint(protowire.AppendTag(nil, fieldDataBody, protowire.BytesType), 0)
	for i, m := range sent.messages {
		if !bytes.HasSuffix(m, emptyBody) {
			t.Errorf("message %d ends with % x, want an empty body, % x", i, m[max(0, len(m)-8):], emptyBody)
		}
	}
}

func TestCodecLeavesOtherMessagesToGRPC(t *testing.T) {
	want := &flight.Result{Body: []byte("body")}
	encoded, err := Codec().Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got flight.Result
	if err := Codec().Unmarshal(encoded, &got); err != nil || !proto.Equal(&got, want) {
		t.Errorf("decoded %v, %v, want %v", &got, err, want)
	}
	if Codec().Name() != "proto" {
		t.Errorf("the codec is named %q: clients ask for proto", Codec().Name())
	}
}

func TestWriteRefusesABatchOfAnotherSchema(t *testing.T) {
	other := fromJSON(t, column(arrow.BinaryTypes.String), `[{"c":"a"}]`)
	if _, err := messages(do(t, send(column(arrow.PrimitiveTypes.Int64), noLimit, other))); err == nil {
		t.Error("a batch of strings went through a writer of integers")
	}
}

func TestWriteEndsWithTheCall(t *testing.T) {
	schema := column(arrow.PrimitiveTypes.Int64)
	batch := numbers(schema, 1<<17)
	ended := make(chan error, 1)
	client := connect(t, func(stream flight.FlightService_DoGetServer) error {
		w, err := NewWriter(stream, schema, noLimit)
		for err == nil {
			err = w.Write(batch)
		}
		ended <- err
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := client.DoGet(ctx, &flight.Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended // or the test's own deadline
}

// numbers is a batch of the integers from 0 on.
func numbers(schema *arrow.Schema, rows int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Reserve(rows)
	for i := range rows {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
	}
	return b.NewRecordBatch()
}
