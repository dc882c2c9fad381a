package wire

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/mem"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// within is true if b lies in memory.
func within(b, memory []byte) bool {
	at, from := uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(unsafe.Pointer(unsafe.SliceData(memory)))
	return at >= from && at+uintptr(len(b)) <= from+uintptr(len(memory))
}

// taking is a stream that is done with each message at once.
type taking struct{ copied func(mem.BufferSlice) }

func (s taking) SendMsg(m any) error {
	buffers, err := Codec().Marshal(m)
	if s.copied != nil {
		s.copied(buffers)
	}
	buffers.Free()
	return err
}

// A message costs some allocations, however large it is, and none of them has the size of its data.
func TestAllocationsOfAMessageThatIsSent(t *testing.T) {
	for _, rows := range []int{1 << 10, 1 << 17} {
		batch := numbers(column(arrow.PrimitiveTypes.Int64), rows)
		encoded := &Encoded{Data: written(t, batch.Schema(), nil, writeAll(batch))[1], Rows: int64(rows)}
		for _, tt := range []struct {
			name  string
			chunk Chunk
			data  []byte  // that is sent
			most  float64 // allocations
		}{
			{"encoded, of an owner", Chunk{Encoded: encoded, Owner: &counting{}}, encoded.Data, 8},
			{"encoded", Chunk{Encoded: encoded}, encoded.Data, 6},
			{"a batch", Chunk{Batch: batch}, batch.Column(0).Data().Buffers()[1].Bytes(), 32},
		} {
			t.Run(tt.name, func(t *testing.T) {
				var copied int
				stream := taking{func(buffers mem.BufferSlice) {
					for _, b := range buffers {
						if !within(b.ReadOnlyData(), tt.data) {
							copied += b.Len()
						}
					}
				}}
				w, err := NewWriter(stream, batch.Schema(), noLimit)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				copied = 0
				if err := w.WriteChunk(tt.chunk); err != nil {
					t.Fatal(err)
				}
				if copied > 512 {
					t.Errorf("%d of %d bytes are copied", copied, len(tt.data))
				}
				allocs := testing.AllocsPerRun(100, func() {
					if err := w.WriteChunk(tt.chunk); err != nil {
						t.Fatal(err)
					}
				})
				if t.Logf("FIGURE %d rows: %g allocations", rows, allocs); allocs > tt.most {
					t.Errorf("%d rows take %g allocations, want %g at most", rows, allocs, tt.most)
				}
			})
		}
	}
}

// countingAllocator tells what was allocated since it was asked last.
type countingAllocator struct {
	memory.Allocator

	given [][]byte
}

func (c *countingAllocator) Allocate(n int) []byte {
	b := c.Allocator.Allocate(n)
	c.given = append(c.given, b)
	return b
}

func (c *countingAllocator) Reallocate(n int, b []byte) []byte {
	b = c.Allocator.Reallocate(n, b)
	c.given = append(c.given, b)
	return b
}

// What is received is copied once, to the one buffer of the message, which all arrays refer to.
func TestReceiptCopiesOnce(t *testing.T) {
	for name, batch := range map[string]arrow.RecordBatch{
		"numbers":    numbers(column(arrow.PrimitiveTypes.Int64), 1<<17),
		"strings":    strs(t, 1<<14, func(int) int { return 60 }),
		"views":      repeated(t, arrow.BinaryTypes.StringView, `"a text that is too long to be inlined"`, 1<<13),
		"dictionary": repeated(t, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}, `"red"`, 1<<17),
		"lists":      repeated(t, arrow.ListOf(arrow.PrimitiveTypes.Int64), `[1,2,3]`, 1<<13),
	} {
		for _, validation := range []ipcguard.Validation{ipcguard.ValidateFull, ipcguard.ValidateLayout} {
			messages := written(t, batch.Schema(), nil, writeAll(batch, batch))
			allocator := &countingAllocator{Allocator: memory.DefaultAllocator}
			r := NewReader(&received{messages, 16 << 10}, ReaderOptions{Allocator: allocator, Validation: validation})
			for range 2 {
				allocator.given = nil
				chunk, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				body := len(parsed(t, messages[len(messages)-1]).DataBody)
				taken := 0
				for _, b := range allocator.given {
					taken += len(b)
				}
				if most := body + body/10; allocator.given == nil || taken > most+4096 {
					t.Errorf("%s: %d bytes were allocated for a body of %d", name, taken, body)
				}
				eachBuffer(chunk.Batch.Column(0).Data(), func(b []byte) {
					for _, given := range allocator.given {
						if within(b, given) {
							return
						}
					}
					t.Errorf("%s: a buffer of %d bytes lies elsewhere", name, len(b))
				})
			}
			r.Release()
		}
	}
}

// eachBuffer calls f with the buffers of an array that have anything in them, but for a dictionary's.
func eachBuffer(d arrow.ArrayData, f func([]byte)) {
	for _, b := range d.Buffers() {
		if b != nil && b.Len() > 0 {
			f(b.Bytes())
		}
	}
	for _, child := range d.Children() {
		eachBuffer(child, f)
	}
}

// With a pool, a message that is received costs some allocations, however large it is, and no memory of its size.
func TestAllocationsOfAMessageThatIsReceived(t *testing.T) {
	const runs, most = 100, 24
	for _, rows := range []int{1 << 13, 1 << 17} {
		batch := numbers(column(arrow.PrimitiveTypes.Int64), rows)
		r := NewReader(newEndless(t, batch), ReaderOptions{Allocator: &Pool{}})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		allocs := testing.AllocsPerRun(runs, func() {
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
		})
		runtime.ReadMemStats(&after)
		r.Release()
		bytes := int64(after.TotalAlloc-before.TotalAlloc) / runs
		t.Logf("FIGURE %d rows: %g allocations, %d bytes", rows, allocs, bytes)
		if size := BatchBytes(batch); allocs > most || bytes > size/2 { // the race detector has pools forget
			t.Errorf("%d rows take %g allocations and %d bytes, want %d at most and less than half of %d", rows, allocs, bytes, most, size)
		}
	}
}
