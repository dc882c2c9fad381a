package format

import "testing"

func TestPageMemory(t *testing.T) {
	for size := 1; size <= largestPage; size += 1 + size/5 {
		class, largest := pageClass(size)
		if again, same := pageClass(largest); again != class || same != largest {
			t.Errorf("%d bytes are of class %d up to %d bytes, which are of class %d up to %d", size, class, largest, again, same)
		}
		if next, _ := pageClass(largest + 1); largest < largestPage && next != class+1 {
			t.Errorf("%d bytes are of class %d, %d of class %d", largest, class, largest+1, next)
		}
		if largest < size || size > smallestPage && largest > size+size/4 {
			t.Errorf("for %d bytes, %d are lent", size, largest)
		}
	}
	if first, _ := pageClass(1); first < 0 {
		t.Errorf("class %d", first)
	}
	if last, _ := pageClass(largestPage); last != len(freePages)-1 {
		t.Errorf("the last class is %d, there are %d", last, len(freePages))
	}
}

func TestPageMemoryGrows(t *testing.T) {
	var m pageMemory
	b := m.Allocate(3)
	copy(b, "abc")
	for _, size := range []int{10, smallestPage + 1, 100 << 10, largestPage + 1, largestPage + 2} {
		b = m.Reallocate(size, b)
		if len(b) != size || string(b[:3]) != "abc" || cap(b) < size+pageSlack {
			t.Fatalf("%d bytes of %d asked for, with room for %d, begin with %q", len(b), size, cap(b), b[:3])
		}
	}
	m.Free(b)
}
