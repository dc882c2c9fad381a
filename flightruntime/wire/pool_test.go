package wire

import (
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Readers that share a pool must not see each other's rows, nor a batch that was retained change.
func TestReadersShareAPool(t *testing.T) {
	var pool Pool
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			schema := column(arrow.PrimitiveTypes.Int64)
			want := numbers(schema, 1<<15+worker)
			messages := written(t, schema, nil, writeAll(want, want, want))
			for range 20 {
				r := NewReader(&received{messages, 16 << 10}, ReaderOptions{Allocator: &pool})
				var kept []arrow.RecordBatch
				for range 3 {
					chunk, err := r.Next()
					if err != nil {
						t.Error(err)
						return
					}
					chunk.Batch.Retain()
					kept = append(kept, chunk.Batch)
				}
				r.Release()
				for _, b := range kept {
					if !array.RecordEqual(b, want) {
						t.Error("the rows of a batch that was retained have changed")
					}
					b.Release()
				}
			}
		})
	}
	all.Wait()
}
