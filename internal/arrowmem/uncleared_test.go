package arrowmem_test

import (
	"bytes"
	"testing"
	"unsafe"

	"github.com/flight-operator/flight-operator/internal/arrowmem"
)

func TestUncleared(t *testing.T) {
	var m arrowmem.Uncleared
	for _, size := range []int{0, 1, 63, 64, 4095, 4096, 4097, 1 << 20} {
		b := m.Allocate(size)
		if len(b) != size || size > 0 && uintptr(unsafe.Pointer(unsafe.SliceData(b)))%64 != 0 {
			t.Errorf("%d bytes of %d, not aligned to 64", len(b), size)
		}
		for i := range b {
			b[i] = byte(i)
		}
		larger := m.Reallocate(2*size+1, b)
		if len(larger) != 2*size+1 || !bytes.Equal(larger[:size], b) {
			t.Errorf("%d bytes in place of %d do not begin as those", len(larger), size)
		}
		if smaller := m.Reallocate(size/2, b); !bytes.Equal(smaller, b[:size/2]) {
			t.Errorf("%d bytes in place of %d do not begin as those", len(smaller), size)
		}
		m.Free(larger)
	}
}

// Nobody may write to what another was given.
func TestUnclearedMemoryIsOnesOwn(t *testing.T) {
	var m arrowmem.Uncleared
	all := make([][]byte, 32)
	for i := range all {
		all[i] = m.Allocate(8 << 10)
		for j := range all[i] {
			all[i][j] = byte(i)
		}
	}
	for i, b := range all {
		if want := bytes.Repeat([]byte{byte(i)}, len(b)); !bytes.Equal(b, want) {
			t.Errorf("the memory of allocation %d was written to by another", i)
		}
	}
}
