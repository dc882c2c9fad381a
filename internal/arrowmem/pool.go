package arrowmem

import (
	"math/bits"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Pool is an allocator of memory that is used again as soon as it is freed, and given out as it was left: for what is written whole before anything
// is read of it, and freed once nothing refers to it. It saves the garbage collector its work, and the kernel that of giving pages that the collector
// has given back. Memory that nobody asks for is the garbage collector's again. The zero value is ready for use by any number of goroutines. With
// the race detector on, what is freed is overwritten, so that whoever still reads it is found out.
type Pool struct {
	// free is what nobody uses, by its class.
	free [1 + 4*(log2Largest-log2Smallest)]sync.Pool
}

var _ memory.Allocator = (*Pool)(nil)

const (
	// smallest: less costs the garbage collector little, and is lent as it is asked for.
	smallest     = 1 << log2Smallest
	log2Smallest = 12
	// largest: what is larger is not kept, for there is little like it.
	largest     = 1 << log2Largest
	log2Largest = 26
	// Slack bytes beyond what is asked for are there, so that who copies in whole words may write up to them. Allocate gives them as capacity.
	Slack = 64
)

// class is that of a size from smallest to largest, and the largest size of that class. There are four between powers of two, so that little is lent in vain.
func class(size int) (class, most int) {
	log2 := bits.Len(uint(size - 1)) // the size is above half of this power of two, and not above it
	quarter := log2 - 3              // the logarithm of a quarter of that half
	quarters := (size + 1<<quarter - 1) >> quarter
	return 4*(log2-log2Smallest) + quarters - 8, quarters << quarter
}

// Allocate lends size bytes, aligned to 64, whatever they hold.
func (p *Pool) Allocate(size int) []byte {
	if size < smallest || size > largest {
		return Uncleared{}.Allocate(size + Slack)[:size]
	}
	c, most := class(size)
	if free, ok := p.free[c].Get().(*[]byte); ok {
		return (*free)[:size]
	}
	return Uncleared{}.Allocate(most + Slack)[:size]
}

// Reallocate lends size bytes that begin as b does.
func (p *Pool) Reallocate(size int, b []byte) []byte {
	if size <= cap(b)-Slack {
		return b[:size]
	}
	larger := p.Allocate(size)
	copy(larger, b)
	p.Free(b)
	return larger
}

// Free takes back what was lent.
func (p *Pool) Free(b []byte) {
	size := cap(b) - Slack
	if size < smallest || size > largest {
		return
	}
	c, most := class(size)
	if most != size {
		return // it is not ours
	}
	overwrite(b[:cap(b)])
	p.free[c].Put(&b)
}
