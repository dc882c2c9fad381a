package format

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// Decoders do not look at a context themselves. What they cannot do without, bytes and memory, tells them when it has ended.

// attentive is a reader that ends when its context does. Long reads are cut into pieces, so that the wait is that for one of them.
type attentive struct {
	ctx context.Context
	source.Reader
}

// readPiece takes a disk that reads 10 MB/s a tenth of a second, and is long enough that cutting costs nothing.
const readPiece = 1 << 20

func (a attentive) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		if err := a.ctx.Err(); err != nil {
			return n, err
		}
		var m int
		m, err = a.Reader.ReadAt(p[n:min(len(p), n+readPiece)], off+int64(n))
		n += m
	}
	return n, err
}

// attentiveAllocator gives memory until its context ends. From then on it panics with the context's error, as a quota does with its own.
// Compressed record batches, which are decompressed buffer by buffer in one go, end in this way. What was allocated before is left to
// the garbage collector, so that only memory that it knows may be given.
type attentiveAllocator struct {
	ctx context.Context
	memory.Allocator
}

// attentiveTo is an allocator of batches: mem if it is a caller's own, else one of the garbage collector's memory that ends with ctx.
func attentiveTo(ctx context.Context, mem memory.Allocator) memory.Allocator {
	if mem != nil {
		return mem
	}
	return attentiveAllocator{ctx, memory.DefaultAllocator}
}

func (a attentiveAllocator) Allocate(size int) []byte {
	a.check()
	return a.Allocator.Allocate(size)
}

func (a attentiveAllocator) Reallocate(size int, b []byte) []byte {
	a.check()
	return a.Allocator.Reallocate(size, b)
}

func (a attentiveAllocator) check() {
	if err := a.ctx.Err(); err != nil {
		panic(err)
	}
}
