package format

import (
	"math/bits"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// pageMemory is an allocator of memory that is used again as soon as it is freed, and given out as it was left: for what is written whole before
// anything is read of it, and freed once nothing refers to it, as pages are. Memory that nobody uses is the garbage collector's.
type pageMemory struct{}

var _ memory.Allocator = pageMemory{}

const (
	// smallestPage is what every page reader begins with.
	smallestPage     = 1 << log2SmallestPage
	log2SmallestPage = 14
	// largestPage: one that is larger is not kept, for there are few like it.
	largestPage     = 1 << log2LargestPage
	log2LargestPage = 24
	// pageSlack bytes beyond a page let the decoder of Zstandard copy in whole words up to its end; it goes by the slice's capacity.
	pageSlack = 64
)

// freePages are those that nobody uses, by their classes.
var freePages [4 * (log2LargestPage - log2SmallestPage + 1)]sync.Pool

// pageClass is the class of a size, and the largest size of that class. There are four between powers of two, so that little is lent in vain.
func pageClass(size int) (class, largest int) {
	size = max(size, smallestPage)
	log2 := bits.Len(uint(size - 1)) // the size is above half of this power of two, and not above it
	quarter := log2 - 3              // the logarithm of a quarter of that half
	quarters := (size + 1<<quarter - 1) >> quarter
	return 4*(log2-log2SmallestPage) + quarters - 5, quarters << quarter
}

// Allocate lends size bytes, whatever they hold.
func (pageMemory) Allocate(size int) []byte {
	if size > largestPage {
		return make([]byte, size, size+pageSlack)
	}
	class, largest := pageClass(size)
	if free, ok := freePages[class].Get().(*[]byte); ok {
		return (*free)[:size]
	}
	return make([]byte, size, largest+pageSlack)
}

// Reallocate lends size bytes that begin as b does.
func (m pageMemory) Reallocate(size int, b []byte) []byte {
	if size <= cap(b)-pageSlack {
		return b[:size]
	}
	larger := m.Allocate(size)
	copy(larger, b)
	m.Free(b)
	return larger
}

// Free takes back what was lent.
func (pageMemory) Free(b []byte) {
	size := cap(b) - pageSlack
	if size < smallestPage || size > largestPage {
		return
	}
	if class, largest := pageClass(size); largest == size {
		freePages[class].Put(&b)
	}
}
