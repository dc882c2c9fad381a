package arrowmem

import (
	"testing"
	"unsafe"
)

func TestClassesOfAPool(t *testing.T) {
	for size := smallest; size <= largest; size += 1 + size/5 {
		c, most := class(size)
		if again, same := class(most); again != c || same != most {
			t.Errorf("%d bytes are of class %d up to %d bytes, which are of class %d up to %d", size, c, most, again, same)
		}
		if next, _ := class(most + 1); most < largest && next != c+1 {
			t.Errorf("%d bytes are of class %d, %d of class %d", most, c, most+1, next)
		}
		if most < size || most > size+size/4 {
			t.Errorf("for %d bytes, %d are lent", size, most)
		}
	}
	if first, _ := class(smallest); first != 0 {
		t.Errorf("class %d", first)
	}
	if last, _ := class(largest); last != len(Pool{}.free)-1 {
		t.Errorf("the last class is %d, there are %d", last, len(Pool{}.free))
	}
}

func TestPoolGivesAlignedMemoryOfEverySize(t *testing.T) {
	var pool Pool
	for round := range 2 { // the second from what the first has freed
		for _, size := range []int{0, 1, 63, smallest - 1, smallest, smallest + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, largest, largest + 1} {
			b := pool.Allocate(size)
			if len(b) != size || cap(b) < size+Slack {
				t.Fatalf("round %d: %d bytes with room for %d, asked for %d", round, len(b), cap(b), size)
			}
			if uintptr(unsafe.Pointer(unsafe.SliceData(b)))%alignment != 0 {
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
	b := pool.Allocate(3)
	copy(b, "abc")
	for _, size := range []int{10, smallest + 1, 100 << 10, largest + 1, largest + 2, 3} {
		b = pool.Reallocate(size, b)
		if len(b) != size || string(b[:3]) != "abc" || cap(b) < size+Slack {
			t.Fatalf("%d bytes of %d asked for, with room for %d, begin with %q", len(b), size, cap(b), b[:3])
		}
	}
	pool.Free(b)
}

// What was not lent must not be: its owner may go on to write to it.
func TestPoolTakesNothingOfOthers(t *testing.T) {
	var pool Pool
	for _, size := range []int{0, 1, 100 << 10, 1 << 20} {
		foreign := make([]byte, size)
		pool.Free(foreign)
		if lent := pool.Allocate(size); size > 0 && unsafe.SliceData(lent) == unsafe.SliceData(foreign) {
			t.Errorf("%d bytes of another owner were lent", size)
		}
	}
}
