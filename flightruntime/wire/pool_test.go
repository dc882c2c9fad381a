package wire

import (
	"sync"
	"testing"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func TestPoolGivesOutAlignedMemoryOfEverySize(t *testing.T) {
	var pool Pool
	var _ memory.Allocator = &pool
	for round := range 2 { // the second from what the first has freed
		for _, size := range []int{0, 1, 63, 1 << minPooledBits, 1<<minPooledBits + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 1 << maxPooledBits, 1<<maxPooledBits + 1} {
			b := pool.Allocate(size)
			if len(b) != size {
				t.Fatalf("round %d: %d bytes for %d", round, len(b), size)
			}
			if size > 0 && uintptr(unsafe.Pointer(&b[0]))%64 != 0 {
				t.Errorf("round %d: %d bytes are not aligned", round, size)
			}
			for i := range b {
				b[i] = 1
			}
			pool.Free(b)
		}
	}
}

func TestPoolKeepsWhatIsReallocated(t *testing.T) {
	var pool Pool
	b := pool.Allocate(1 << 17)
	copy(b, "kept")
	b = pool.Reallocate(1<<18, b)
	if len(b) != 1<<18 || string(b[:4]) != "kept" {
		t.Errorf("%d bytes that begin with %q", len(b), b[:4])
	}
	if b = pool.Reallocate(3, b); string(b) != "kep" {
		t.Errorf("shortened to %q", b)
	}
}

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
