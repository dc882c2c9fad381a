package format_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// used is an allocator of memory that somebody has used before.
type used byte

func (u used) Allocate(size int) []byte {
	return bytes.Repeat([]byte{byte(u)}, size)
}

func (u used) Reallocate(size int, b []byte) []byte {
	return append(bytes.Clone(b), u.Allocate(max(0, size-len(b)))...)[:size]
}

func (used) Free([]byte) {}

// Columns that ours decodes are all written anew, whatever the memory held that they are written to: it may have been another caller's.
func TestParquetShowsNothingThatItDidNotWrite(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	// pqarrow decodes these types, and dictionaries of unsigned indices, into memory that is cleared.
	pqarrows := []arrow.Type{arrow.BOOL, arrow.INT8, arrow.FIXED_SIZE_BINARY, arrow.DECIMAL128, arrow.LIST}
	for _, dt := range flatTypes() {
		d, isDictionary := dt.(*arrow.DictionaryType)
		if slices.Contains(pqarrows, dt.ID()) || isDictionary && d.IndexType.ID() == arrow.UINT16 {
			continue
		}
		for range 8 {
			rows := 1 + r.IntN(5000)
			shape := randomShape(r)
			if isDictionary { // pqarrow reads it where it is not stored as one
				shape.dictionary, shape.limit = true, 1<<20
			}
			schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: dt, Nullable: true}}, nil)
			batch := array.NewRecordBatch(schema, []arrow.Array{randomColumn(t, r, dt, rows, true)}, int64(rows))
			layout := inspect(t, format.Parquet, objects("parquet", shape.write(t, batch)))
			one, other := allBytes(t, layout, used(0xa5)), allBytes(t, layout, used(0x5a))
			if len(one) == 0 || len(one) != len(other) {
				t.Fatalf("%s: %d buffers, then %d", dt, len(one), len(other))
			}
			for i := range one {
				if !bytes.Equal(one[i], other[i]) {
					t.Errorf("%s: buffer %d has bytes that were not written", dt, i)
				}
			}
		}
	}
}

// allBytes are those of all buffers of a file's only column.
func allBytes(t *testing.T, layout *format.Layout, mem memory.Allocator) (all [][]byte) {
	t.Helper()
	for batch, err := range lookup(t, format.Parquet).Read(t.Context(), layout, 0, format.ReadOptions{Allocator: mem}) {
		if err != nil {
			t.Fatal(err)
		}
		all = appendBytes(all, batch.Column(0).Data())
	}
	return all
}

func appendBytes(to [][]byte, of arrow.ArrayData) [][]byte {
	for _, b := range of.Buffers() {
		if b != nil {
			to = append(to, bytes.Clone(b.Bytes()))
		}
	}
	if of.DataType().ID() == arrow.DICTIONARY {
		to = appendBytes(to, of.Dictionary())
	}
	return to
}
