package wire

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// TestMetadataGoesWithTheRecordBatch: C++ looks for it there, not at the dictionary that comes before.
func TestMetadataGoesWithTheRecordBatch(t *testing.T) {
	dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{{Name: "d", Type: dictionary}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, v := range []string{"a", "b", "a"} {
		if err := b.Field(0).(*array.BinaryDictionaryBuilder).AppendString(v); err != nil {
			t.Fatal(err)
		}
	}
	batch := b.NewRecordBatch()
	defer batch.Release()
	stream := do(t, func(stream flight.FlightService_DoGetServer) error {
		w, err := NewWriter(stream, schema, 1<<20, WriteOptions{})
		if err != nil {
			return err
		}
		defer w.Close()
		for _, c := range []Chunk{{Batch: batch, AppMetadata: []byte("first")}, {Batch: batch}, {AppMetadata: []byte("alone")}, {Batch: batch, AppMetadata: []byte("last")}} {
			if err := w.WriteChunk(c); err != nil {
				return err
			}
		}
		return nil
	})
	var got []string
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(m.GetAppMetadata()))
	}
	if want := []string{"", "", "first", "", "alone", "last"}; !slices.Equal(got, want) { // schema, dictionary, three batches and a message
		t.Errorf("expected the metadata %q, got %q", want, got)
	}
}
