// Package arrowmem has allocators of memory for Arrow, and looks at the memory that arrays lie in.
package arrowmem

import (
	"strings"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Uncleared is an allocator of the garbage collector's memory that is not cleared, but for what is so small that it does not matter. It is for
// those who write every byte of what they then show to others: whatever is left may be of another caller's batch.
type Uncleared struct{}

var _ memory.Allocator = Uncleared{}

const (
	// clearedBelow bytes, clearing takes less than to go without.
	clearedBelow = 4 << 10
	// alignment of the buffers of Arrow.
	alignment = 64
)

// Allocate gives size bytes, whatever they hold.
func (Uncleared) Allocate(size int) []byte {
	if size < clearedBelow {
		return memory.DefaultAllocator.Allocate(size)
	}
	// A builder of strings is the one way to such memory that there is: it clears none, as it shows none that was not written. Nobody else has
	// the string, which is not looked at.
	var b strings.Builder
	b.Grow(size + alignment)
	b.WriteByte(0)
	all := unsafe.Slice(unsafe.StringData(b.String()), size+alignment)
	first := -int(uintptr(unsafe.Pointer(unsafe.SliceData(all)))) & (alignment - 1)
	return all[first : first+size : first+size]
}

// Reallocate gives size bytes that begin as b does.
func (m Uncleared) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	larger := m.Allocate(size)
	copy(larger, b)
	return larger
}

// Free leaves it to the garbage collector.
func (Uncleared) Free([]byte) {}
