package flightruntime_test

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// streamService answers DoGet with the streams that it has by their tickets.
type streamService struct {
	flightruntime.BaseService
	streams map[string]func() *flightruntime.DataStream
}

func (s streamService) DoGet(_ context.Context, ticket *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	stream, ok := s.streams[string(ticket.GetTicket())]
	if !ok {
		return nil, flightruntime.Errorf(flightruntime.KindNotFound, "no stream %q", ticket.GetTicket())
	}
	return stream(), nil
}

// readStream reads the one stream of a service.
func readStream(stream func() *flightruntime.DataStream, each func(flightruntime.Chunk)) {
	location, stop := serve(streamService{streams: map[string]func() *flightruntime.DataStream{"": stream}}, flightruntime.ServerOptions{})
	defer stop()
	client, err := flightruntime.Connect(location, flightruntime.ClientOptions{})
	must(err)
	defer client.Close()
	reader, err := client.DoGet(context.Background(), &flightruntime.Ticket{})
	must(err)
	for chunk, err := range reader.Chunks() {
		must(err)
		each(chunk)
	}
}

// Any reader of record batches is a stream: of a table, of a Parquet file, of a database's cursor.
func ExampleRecordBatchStream() {
	table := array.NewTableFromRecords(tides, []arrow.RecordBatch{tidesAt("Dover", 0.8, 3.4, 6.7)})
	defer table.Release()
	readStream(func() *flightruntime.DataStream {
		return flightruntime.RecordBatchStream(array.NewTableReader(table, 2)) // two rows at a time
	}, func(chunk flightruntime.Chunk) {
		fmt.Println(chunk.Batch.Column(1))
	})
	// Output:
	// [0.8 3.4]
	// [6.7]
}

// A sequence is a stream too: of batches, their app_metadata, and metadata alone, in their order.
func ExampleGeneratorStream() {
	readStream(func() *flightruntime.DataStream {
		return flightruntime.GeneratorStream(tides, func(yield func(flightruntime.Chunk, error) bool) {
			_ = yield(flightruntime.Chunk{AppMetadata: []byte("two places follow")}, nil) &&
				yield(flightruntime.Chunk{Batch: tidesAt("Dover", 0.8), AppMetadata: []byte("one")}, nil) &&
				yield(flightruntime.Chunk{Batch: tidesAt("Bristol", 3.4)}, nil)
		})
	}, func(chunk flightruntime.Chunk) {
		if chunk.Batch != nil {
			fmt.Print(chunk.Batch.Column(0), " ")
		}
		fmt.Printf("%q\n", chunk.AppMetadata)
	})
	// Output:
	// "two places follow"
	// ["Dover"] "one"
	// ["Bristol"] ""
}

// A stream's options say how its batches are encoded: compressed, or as readers before Arrow 1.0 take them.
func ExampleDataStream_options() {
	readStream(func() *flightruntime.DataStream {
		stream := flightruntime.GeneratorStream(tides, func(yield func(flightruntime.Chunk, error) bool) {
			yield(flightruntime.Chunk{Batch: tidesAt("Dover", make([]float64, 10_000)...)}, nil)
		})
		stream.Options = flightruntime.WriteOptions{
			IPC:             []ipc.Option{ipc.WithZstd()}, // or ipc.WithLZ4()
			MetadataVersion: ipc.MetadataV4,
		}
		return stream
	}, func(chunk flightruntime.Chunk) {
		fmt.Println(chunk.Batch.NumRows(), "rows")
	})
	// Output:
	// 10000 rows
}

// places are tides with the places in a dictionary.
var places = arrow.NewSchema([]arrow.Field{
	{Name: "place", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}},
}, nil)

// placesOf is a batch of the last places of a dictionary.
func placesOf(last int, dictionary ...string) arrow.RecordBatch {
	values := array.NewStringBuilder(memory.DefaultAllocator)
	values.AppendValues(dictionary, nil)
	keys := array.NewInt8Builder(memory.DefaultAllocator)
	for i := range last {
		keys.Append(int8(len(dictionary) - last + i))
	}
	column := array.NewDictionaryArray(places.Field(0).Type, keys.NewArray(), values.NewArray())
	return array.NewRecordBatch(places, []arrow.Array{column}, int64(last))
}

// A dictionary that grows is sent once, and then what is new of it.
func ExampleDataStream_dictionaryDeltas() {
	readStream(func() *flightruntime.DataStream {
		stream := flightruntime.GeneratorStream(places, func(yield func(flightruntime.Chunk, error) bool) {
			_ = yield(flightruntime.Chunk{Batch: placesOf(2, "Dover", "Bristol")}, nil) &&
				yield(flightruntime.Chunk{Batch: placesOf(1, "Dover", "Bristol", "Ayr")}, nil)
		})
		stream.Options.IPC = []ipc.Option{ipc.WithDictionaryDeltas(true)}
		return stream
	}, func(chunk flightruntime.Chunk) {
		column := chunk.Batch.Column(0).(*array.Dictionary)
		for i := range column.Len() {
			fmt.Print(column.ValueStr(i), " ")
		}
		fmt.Println("of", column.Dictionary().Len(), "places")
	})
	// Output:
	// Dover Bristol of 2 places
	// Ayr of 3 places
}
