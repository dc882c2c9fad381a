package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/wire/conn"
)

// BenchmarkDoGet sends one table over loopback to a client that looks at none of it: by arrow-go's writer under grpc-go's own codec, and by this
// package through a buffer and by reference, the latter two with TLS as well:
//
//	go test -run '^$' -bench DoGet ./flightruntime/wire
func BenchmarkDoGet(b *testing.B) {
	for _, table := range []struct {
		name  string
		batch arrow.RecordBatch
	}{
		{"numbers", numbers(column(arrow.PrimitiveTypes.Int64), 4<<20)},
		{"strings", strs(b, 1<<18, func(int) int { return 100 })},
		{"views", repeated(b, arrow.BinaryTypes.StringView, `"`+strings.Repeat("x", 100)+`"`, 1<<16)},
	} {
		schema := table.batch.Schema()
		b.Run(table.name+"/arrow-go", func(b *testing.B) {
			benchmarkGet(b, table.batch, func(stream flight.FlightService_DoGetServer) error {
				w := flight.NewRecordWriter(stream, ipc.WithSchema(schema))
				defer w.Close()
				step := rowsPerMessage(table.batch.NumRows(), BatchBytes(table.batch), TargetMessageBytes)
				for from := int64(0); from < table.batch.NumRows(); from += step {
					slice := table.batch.NewSlice(from, min(from+step, table.batch.NumRows()))
					err := w.Write(slice)
					slice.Release()
					if err != nil {
						return err
					}
				}
				return nil
			}, insecure.NewCredentials())
		})
		server, client := tlsConfigs(b)
		for _, transport := range []struct {
			name    string
			client  credentials.TransportCredentials
			options []grpc.ServerOption
		}{
			{"buffered", insecure.NewCredentials(), []grpc.ServerOption{grpc.WriteBufferSize(512 << 10)}},
			{"reference", insecure.NewCredentials(), byReference},
			{"buffered-tls", credentials.NewTLS(client), []grpc.ServerOption{grpc.WriteBufferSize(512 << 10), grpc.Creds(credentials.NewTLS(server))}},
			{"reference-tls", credentials.NewTLS(client), []grpc.ServerOption{grpc.WriteBufferSize(0), grpc.Creds(conn.TLS(server))}},
		} {
			b.Run(table.name+"/"+transport.name, func(b *testing.B) {
				options := slices.Concat(transport.options, []grpc.ServerOption{grpc.ForceServerCodecV2(Codec())})
				benchmarkGet(b, table.batch, send(schema, noLimit, table.batch), transport.client, options...)
			})
		}
	}
}

func benchmarkGet(b *testing.B, batch arrow.RecordBatch, get func(flight.FlightService_DoGetServer) error, creds credentials.TransportCredentials, opts ...grpc.ServerOption) {
	client := flight.NewFlightServiceClient(dial(b, serve(b, get, opts...), creds, grpc.WithDefaultCallOptions(grpc.ForceCodecV2(discarding{Codec()}))))
	b.SetBytes(BatchBytes(batch))
	b.ReportAllocs()
	for b.Loop() {
		stream, err := client.DoGet(b.Context(), &flight.Ticket{})
		for err == nil {
			_, err = stream.Recv()
		}
		if !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
	}
}

// discarding is a codec of a client that does not want to know.
type discarding struct{ encoding.CodecV2 }

func (discarding) Unmarshal(mem.BufferSlice, any) error { return nil }

// tlsConfigs are those of a server, and of clients that trust it.
func tlsConfigs(tb testing.TB) (server, client *tls.Config) {
	tb.Helper()
	s := httptest.NewUnstartedServer(nil) // it has a certificate
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: roots}
}

// endless is a stream of a schema, perhaps a dictionary, and then one batch over and over, in the pieces that grpc-go makes of them. It
// costs nothing itself.
type endless struct {
	first []mem.BufferSlice
	batch mem.BufferSlice
}

func newEndless(t testing.TB, batch arrow.RecordBatch) *endless {
	t.Helper()
	messages := written(t, batch.Schema(), nil, writeAll(batch))
	last := len(messages) - 1
	e := &endless{batch: pieces(messages[last])}
	for _, m := range messages[:last] {
		e.first = append(e.first, pieces(m))
	}
	return e
}

// pieces are what grpc-go receives of a message from most clients: a frame each.
func pieces(message []byte) mem.BufferSlice {
	const frame = 16 << 10
	var data mem.BufferSlice
	for len(message) > frame {
		data = append(data, mem.SliceBuffer(message[:frame]))
		message = message[frame:]
	}
	return append(data, mem.SliceBuffer(message))
}

func (e *endless) RecvMsg(m any) error {
	data := e.batch
	if len(e.first) > 0 {
		data, e.first = e.first[0], e.first[1:]
	}
	return Codec().Unmarshal(data, m)
}

// Recv is for arrow-go's reader.
func (e *endless) Recv() (*flight.FlightData, error) {
	m := &flight.FlightData{}
	return m, e.RecvMsg(m)
}

// BenchmarkRead decodes messages of about 1 MiB by this package and by arrow-go's reader under grpc-go's own codec, in turns, for how fast
// a machine is changes while it is measured:
//
//	go test -run '^$' -bench Read -benchtime 200x ./flightruntime/wire
func BenchmarkRead(b *testing.B) {
	for _, table := range []struct {
		name  string
		batch arrow.RecordBatch
	}{
		{"numbers", numbers(column(arrow.PrimitiveTypes.Int64), 1<<17)},
		{"strings", strs(b, 1<<14, func(int) int { return 60 })},
		{"short strings", strs(b, 1<<16, func(int) int { return 12 })},
		{"views", repeated(b, arrow.BinaryTypes.StringView, `"`+strings.Repeat("x", 60)+`"`, 1<<13)},
		{"dictionary", repeated(b, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}, `"red"`, 1<<18)},
	} {
		for _, c := range []struct {
			name    string
			options ReaderOptions
		}{
			{"validated", ReaderOptions{}},
			{"validated, from a pool", ReaderOptions{Allocator: &Pool{}}},
			{"trusted", ReaderOptions{Validation: ipcguard.ValidateLayout}},
			{"trusted, from a pool", ReaderOptions{Validation: ipcguard.ValidateLayout, Allocator: &Pool{}}},
		} {
			b.Run(table.name+"/"+c.name, func(b *testing.B) { benchmarkRead(b, table.batch, c.options) })
		}
	}
}

func benchmarkRead(b *testing.B, batch arrow.RecordBatch, options ReaderOptions) {
	ours := NewReader(newEndless(b, batch), options)
	defer ours.Release()
	theirs, err := flight.NewRecordReader(newEndless(b, batch))
	if err != nil {
		b.Fatal(err)
	}
	defer theirs.Release()
	var took, took2 time.Duration
	for b.Loop() {
		begin := time.Now()
		if _, err := ours.Next(); err != nil {
			b.Fatal(err)
		}
		between := time.Now()
		if !theirs.Next() {
			b.Fatal(theirs.Err())
		}
		took += between.Sub(begin)
		took2 += time.Since(between)
	}
	bytes := float64(BatchBytes(batch)) * float64(b.N)
	b.ReportMetric(0, "ns/op") // of both together, which tells nothing
	b.ReportMetric(bytes/1e6/took.Seconds(), "MB/s")
	b.ReportMetric(bytes/1e6/took2.Seconds(), "arrow-go-MB/s")
	b.ReportMetric(took2.Seconds()/took.Seconds(), "times-arrow-go")
}

// BenchmarkSmallGet is what it takes to answer with a schema of 8 columns and one small message that is encoded already, without gRPC: with the
// schema encoded for each call, and once for all.
//
//	go test -run '^$' -bench SmallGet ./flightruntime/wire
func BenchmarkSmallGet(b *testing.B) {
	fields := make([]arrow.Field, 8)
	for i := range fields {
		fields[i] = arrow.Field{Name: string(rune('a' + i)), Type: arrow.PrimitiveTypes.Float64, Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	encoded, err := EncodeSchema(schema)
	if err != nil {
		b.Fatal(err)
	}
	message := &Encoded{Data: make([]byte, 800), Rows: 10}
	for name, options := range map[string][]WriterOption{"each": nil, "once": {WithEncodedSchema(encoded)}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w, err := NewWriter(&nowhere{}, schema, noLimit, options...)
				if err == nil {
					err = w.WriteChunk(Chunk{Encoded: message})
				}
				if err != nil {
					b.Fatal(err)
				}
				_ = w.Close() // it sends nothing
			}
		})
	}
}
