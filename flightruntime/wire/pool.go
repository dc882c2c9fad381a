package wire

import (
	"math/bits"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Pool is an allocator for the bodies of a Reader that gives out again what was freed, which saves the garbage collector a megabyte a
// message. It is for readers whose batches are released when they are done with and go nowhere else: a Writer refers to what it has
// sent for longer than any batch lives, so that what a Reader with a Pool has read must not be written. Memory is not zeroed. The zero
// value is ready for use by any number of readers at a time.
type Pool struct {
	// classes of memory by the power of 2 that it has at least.
	classes [maxPooledBits + 1]sync.Pool
}

const (
	// minPooledBits: smaller pieces cost the garbage collector little.
	minPooledBits = 16
	// maxPooledBits: larger ones are rare.
	maxPooledBits = 26
)

var aligned = memory.NewGoAllocator()

// Allocate returns memory that is aligned to 64 bytes.
func (p *Pool) Allocate(size int) []byte {
	class := bits.Len(uint(max(size, 1) - 1)) // 2^class is at least size
	if class < minPooledBits || class > maxPooledBits {
		return aligned.Allocate(size)
	}
	if b, ok := p.classes[class].Get().(*[]byte); ok {
		return (*b)[:size]
	}
	return aligned.Allocate(1 << class)[:size]
}

// Reallocate returns memory that begins with what b has.
func (p *Pool) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	larger := p.Allocate(size)
	copy(larger, b)
	p.Free(b)
	return larger
}

// Free takes memory back that Allocate or Reallocate has returned.
func (p *Pool) Free(b []byte) {
	class := bits.Len(uint(cap(b))) - 1
	if class < minPooledBits || class > maxPooledBits {
		return
	}
	b = b[:0]
	p.classes[class].Put(&b)
}
