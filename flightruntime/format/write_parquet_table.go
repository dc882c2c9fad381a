package format

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"

	"github.com/flight-operator/flight-operator/internal/text"
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
	// numberSlots and textSlots are how many there are for each key. With fewer, a processor guesses wrong more often where it has to look on; with
	// more, they leave its cache.
	numberSlots = 4
	textSlots   = 8
)

// multiplier of hashes. Nobody outside knows it, so that nobody can put numbers whose hashes are all the same.
var multiplier = rand.Uint64() | 1

// index appends the places of numbers to some. Those that are not there are added.
func (t *numberTable[K]) index(indices []uint32, numbers []K) []uint32 {
	if t.slots == nil {
		t.spread(leastSlots)
	}
	slots, shift := t.slots, t.shift
	for _, v := range numbers {
		mask := uint64(len(slots) - 1)
		at := slotOf(v, shift)
		s := slots[at&mask]
		for s != 0 && t.keys[s-1] != v {
			at++
			s = slots[at&mask]
		}
		if s == 0 {
			t.keys = append(t.keys, v)
			s = uint32(len(t.keys))
			slots[at&mask] = s
			if numberSlots*len(t.keys) > len(slots) {
				t.spread(2 * len(slots))
				slots, shift = t.slots, t.shift
			}
		}
		indices = append(indices, s-1)
	}
	return indices
}

func slotOf[K uint32 | uint64](v K, shift int) uint64 {
	h := uint64(v)
	return (h ^ h>>32) * multiplier >> (shift & 63)
}

// spread puts the keys into so many slots, a power of two.
func (t *numberTable[K]) spread(size int) {
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

// index is where a value is, which is added if it is not there.
func (t *textTable) index(value []byte) uint32 {
	if t.slots == nil {
		t.spread(leastSlots)
	}
	h := maphash.Bytes(textSeed, value)
	mask := uint64(len(t.slots) - 1)
	for at := h & mask; ; at = (at + 1) & mask {
		s := t.slots[at]
		if s == 0 {
			t.entries = appendText(t.entries, value)
			t.ends = append(t.ends, len(t.entries))
			t.slots[at] = h&upperHalf | uint64(len(t.ends))
			if textSlots*len(t.ends) > len(t.slots) {
				t.spread(2 * len(t.slots))
			}
			return uint32(len(t.ends) - 1)
		}
		if i := int(uint32(s)) - 1; s&upperHalf == h&upperHalf && bytes.Equal(t.entry(i)[lengthBytes:], value) {
			return uint32(i)
		}
	}
}

// spread puts the entries into so many slots, a power of two.
func (t *textTable) spread(size int) {
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
	return textBounds{least: least, most: most, leastHead: text.Head(least), mostHead: text.Head(most)}
}

// add widens the bounds to a value, which they refer to. Most values differ from them in the first bytes.
func (b *textBounds) add(value []byte) {
	head := text.Head(value)
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
