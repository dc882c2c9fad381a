package format

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
)

// textPage has text or bytes.
type textPage[O int32 | int64] struct {
	offsets []O    // of the current rows, and the end of the last
	text    []byte // of the array
	valid   []byte // of the array: nil if no row is null
	at      int    // the first current row's position in it

	values []byte // of the page
	known  textTable

	least, most []byte // of the values outside of the dictionary; nil if there are none
}

func newTextPage[O int32 | int64]() pageValues {
	return &textPage[O]{known: textTable{seed: maphash.MakeSeed()}}
}

func (p *textPage[O]) take(data arrow.ArrayData, from, most int, valid []byte) int {
	rows := min(most, data.Len()-from)
	p.at, p.valid, p.text = data.Offset()+from, valid, []byte{}
	if b := data.Buffers()[2]; b != nil && b.Len() > 0 {
		p.text = b.Bytes()
	}
	offsets := arrow.GetData[O](data.Buffers()[1].Bytes())[p.at:]
	for rows > 1 && int64(offsets[rows])-int64(offsets[0]) > pageBytes {
		rows /= 2
	}
	p.offsets = offsets[:rows+1]
	return rows
}

// each calls f for the current values.
func (p *textPage[O]) each(f func(value []byte)) {
	from := p.offsets[0]
	for i, to := range p.offsets[1:] {
		if p.valid == nil || bitutil.BitIsSet(p.valid, p.at+i) {
			f(p.text[from:to])
		}
		from = to
	}
}

func (p *textPage[O]) index(indices []uint32) []uint32 {
	p.known.reserve(len(p.known.ends) + len(p.offsets))
	p.each(func(value []byte) { indices = append(indices, p.known.index(value)) })
	return indices
}

func (p *textPage[O]) plain() {
	least, most := p.least, p.most
	p.each(func(value []byte) {
		p.values = appendText(p.values, value)
		if least == nil || bytes.Compare(value, least) < 0 {
			least = value
		}
		if most == nil || bytes.Compare(value, most) > 0 {
			most = value
		}
	})
	p.bound(least, most)
}

// appendText appends a value in plain encoding.
func appendText(out, value []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(value))), value...)
}

// bound widens the bounds to those of values, which are nil if there are none.
func (p *textPage[O]) bound(least, most []byte) {
	if least != nil && (p.least == nil || bytes.Compare(least, p.least) < 0) {
		p.least = append(make([]byte, 0, len(least)), least...)
	}
	if most != nil && (p.most == nil || bytes.Compare(most, p.most) > 0) {
		p.most = append(make([]byte, 0, len(most)), most...)
	}
}

func (p *textPage[O]) restore(indices []uint32) {
	p.bound(p.known.bounds())
	for _, i := range indices {
		p.values = append(p.values, p.known.entry(int(i))...)
	}
	p.known.clear()
}

func (p *textPage[O]) page() []byte              { return p.values }
func (p *textPage[O]) endPage()                  { p.values = p.values[:0] }
func (p *textPage[O]) full() bool                { return len(p.known.entries) >= fullText }
func (p *textPage[O]) dictionary() (int, []byte) { return len(p.known.ends), p.known.entries }
func (p *textPage[O]) bounds() (least, most []byte) {
	p.bound(p.known.bounds())
	return p.least, p.most
}

func (p *textPage[O]) endChunk() {
	p.known.clear()
	p.least, p.most = nil, nil
}

// textTable is a dictionary of text: a hash table with linear probing.
type textTable struct {
	seed    maphash.Seed
	entries []byte   // in plain encoding
	ends    []int    // of each, in entries
	slots   []uint64 // for each hash, its upper half, and where an entry is, and 1 more, as the lower half
}

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
	h := maphash.Bytes(t.seed, value)
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
		h := maphash.Bytes(t.seed, t.entry(i)[lengthBytes:])
		at := h & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = h&upperHalf | uint64(i+1)
	}
}

// bounds are the least and the largest entry, nil if there is none.
func (t *textTable) bounds() (least, most []byte) {
	for i := range t.ends {
		value := t.entry(i)[lengthBytes:]
		if least == nil || bytes.Compare(value, least) < 0 {
			least = value
		}
		if most == nil || bytes.Compare(value, most) > 0 {
			most = value
		}
	}
	return least, most
}

func (t *textTable) clear() {
	clear(t.slots)
	t.entries, t.ends = t.entries[:0], t.ends[:0]
}
