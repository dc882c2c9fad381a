package format

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
)

// numberTable is a dictionary of numbers: a hash table with linear probing.
type numberTable[K uint32 | uint64] struct {
	keys  []K
	slots []uint32 // for each hash, where a key is, and 1 more
	shift int      // of a hash, to a slot
}

const (
	// fullNumbers are the most that are worth looking up: their table stays in a processor's cache, and their indices have 16 bits.
	fullNumbers = 1 << 16
	// leastSlots are those of a table without keys.
	leastSlots = 1 << 6
)

// multiplier of hashes. Nobody outside knows it, so that nobody can put numbers whose hashes are all the same.
var multiplier = rand.Uint64() | 1

func (t *numberTable[K]) index(indices []uint32, numbers []K) []uint32 {
	t.reserve(len(t.keys) + len(numbers))
	slots, keys, shift := t.slots, t.keys, t.shift&63
	mask := uint64(len(slots) - 1)
	for _, v := range numbers {
		at := slotOf(v, shift)
		s := slots[at&mask]
		for s != 0 && keys[s-1] != v {
			at++
			s = slots[at&mask]
		}
		if s == 0 {
			keys = append(keys, v)
			s = uint32(len(keys))
			slots[at&mask] = s
		}
		indices = append(indices, s-1)
	}
	t.keys = keys
	return indices
}

func slotOf[K uint32 | uint64](v K, shift int) uint64 {
	h := uint64(v)
	return (h ^ h>>32) * multiplier >> shift
}

// reserve makes room for n keys, in twice as many slots or more.
func (t *numberTable[K]) reserve(n int) {
	if len(t.slots) >= 2*n {
		return
	}
	size := max(leastSlots, 1<<bits.Len(uint(2*n-1)))
	t.slots, t.shift = make([]uint32, size), 64-bits.Len(uint(size-1))
	for i, v := range t.keys {
		at := int(slotOf(v, t.shift))
		for t.slots[at] != 0 {
			at = (at + 1) & (size - 1)
		}
		t.slots[at] = uint32(i + 1)
	}
}

func (t *numberTable[K]) clear() {
	clear(t.slots)
	t.keys = t.keys[:0]
}

// textTable is a dictionary of text: a hash table with linear probing.
type textTable struct {
	entries []byte   // in plain encoding
	ends    []int    // of each, in entries
	slots   []uint64 // for each hash, its upper half, and where an entry is, and 1 more, as the lower half
}

// textSeed is that of hashes. Nobody outside knows it, so that nobody can put text whose hashes are all the same.
var textSeed = maphash.MakeSeed()

// fullText bytes of entries are the most that a dictionary gets, pyarrow's default.
const fullText = 1 << 20

const (
	lengthBytes = 4 // of an entry's length
	upperHalf   = 0xffffffff << 32
)

// entry is the i-th one, with its length.
func (t *textTable) entry(i int) []byte {
	from := 0
	if i > 0 {
		from = t.ends[i-1]
	}
	return t.entries[from:t.ends[i]]
}

// index is where a value is, which is added if it is not there. There has to be room for it.
func (t *textTable) index(value []byte) uint32 {
	h := maphash.Bytes(textSeed, value)
	mask := uint64(len(t.slots) - 1)
	for at := h & mask; ; at = (at + 1) & mask {
		s := t.slots[at]
		if s == 0 {
			t.entries = appendText(t.entries, value)
			t.ends = append(t.ends, len(t.entries))
			t.slots[at] = h&upperHalf | uint64(len(t.ends))
			return uint32(len(t.ends) - 1)
		}
		if i := int(uint32(s)) - 1; s&upperHalf == h&upperHalf && bytes.Equal(t.entry(i)[lengthBytes:], value) {
			return uint32(i)
		}
	}
}

// reserve makes room for n entries, in twice as many slots or more.
func (t *textTable) reserve(n int) {
	if len(t.slots) >= 2*n {
		return
	}
	size := leastSlots
	for size < 2*n {
		size *= 2
	}
	t.slots = make([]uint64, size)
	mask := uint64(size - 1)
	for i := range t.ends {
		h := maphash.Bytes(textSeed, t.entry(i)[lengthBytes:])
		at := h & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = h&upperHalf | uint64(i+1)
	}
}

// bounds are the least and the largest entry, nil if there is none.
func (t *textTable) bounds() (least, most []byte) {
	var b textBounds
	for i := range t.ends {
		b.add(t.entry(i)[lengthBytes:])
	}
	return b.least, b.most
}

func (t *textTable) clear() {
	clear(t.slots)
	t.entries, t.ends = t.entries[:0], t.ends[:0]
}

// textBounds are the least and the largest of values, by their bytes without a sign; nil if there are none.
type textBounds struct {
	least, most         []byte
	leastHead, mostHead uint64
}

func newTextBounds(least, most []byte) textBounds {
	return textBounds{least: least, most: most, leastHead: firstEight(least), mostHead: firstEight(most)}
}

// add widens the bounds to a value, which they refer to. Most values differ from them in the first bytes.
func (b *textBounds) add(value []byte) {
	head := firstEight(value)
	if head <= b.leastHead || b.least == nil {
		if b.least == nil || bytes.Compare(value, b.least) < 0 {
			b.least, b.leastHead = value, head
		}
	}
	if head >= b.mostHead {
		if b.most == nil || bytes.Compare(value, b.most) > 0 {
			b.most, b.mostHead = value, head
		}
	}
}

// firstEight are the first eight bytes of a value as a number, which is compared as they are. There are zeros where it is shorter.
func firstEight(value []byte) uint64 {
	if len(value) >= 8 {
		return binary.BigEndian.Uint64(value)
	}
	var head [8]byte
	copy(head[:], value)
	return binary.BigEndian.Uint64(head[:])
}
