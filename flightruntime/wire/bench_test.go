package wire

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// BenchmarkDoGet sends one table over loopback, by this package and by arrow-go's writer under grpc-go's own codec:
//
//	go test -run '^$' -bench DoGet -benchmem ./flightruntime/wire
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
		b.Run(table.name+"/wire", func(b *testing.B) {
			benchmarkGet(b, table.batch, send(schema, noLimit, table.batch))
		})
		b.Run(table.name+"/arrow-go", func(b *testing.B) {
			benchmarkGet(b, table.batch, func(stream flight.FlightService_DoGetServer) error {
				w := flight.NewRecordWriter(stream, ipc.WithSchema(schema))
				defer w.Close()
				step := rowsPerMessage(table.batch, TargetMessageBytes)
				for from := int64(0); from < table.batch.NumRows(); from += step {
					slice := table.batch.NewSlice(from, min(from+step, table.batch.NumRows()))
					err := w.Write(slice)
					slice.Release()
					if err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
}

func benchmarkGet(b *testing.B, batch arrow.RecordBatch, get func(flight.FlightService_DoGetServer) error) {
	client := connect(b, get)
	b.SetBytes(batchBytes(batch))
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
