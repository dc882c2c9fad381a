package format

import (
	"bytes"
	"encoding/binary"

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

	// least and most are copies of those of the values outside of the dictionary; nil if there are none.
	least, most []byte
}

func (p *textPage[O]) take(data arrow.ArrayData, from, most int, valid []byte) (rows, size int) {
	rows = min(most, data.Len()-from)
	p.at, p.valid = data.Offset()+from, valid
	p.open(data, from)
	sizeOf := func(rows int) int { return int(p.offsets[rows]-p.offsets[0]) + rows*lengthBytes }
	for rows > 1 && sizeOf(rows) > pageBytes {
		rows /= 2
	}
	size = sizeOf(rows)
	p.offsets = p.offsets[:rows+1]
	return rows, size
}

// open finds the text of an array, and its offsets from a value on.
func (p *textPage[O]) open(data arrow.ArrayData, from int) {
	p.offsets = arrow.GetData[O](data.Buffers()[1].Bytes())[data.Offset()+from:]
	p.text = []byte{} // which is not nil, though all values be empty
	if b := data.Buffers()[2]; b != nil && b.Len() > 0 {
		p.text = b.Bytes()
	}
}

func (p *textPage[O]) index(indices []uint32) []uint32 {
	from := p.offsets[0]
	for i, to := range p.offsets[1:] {
		if p.valid == nil || bitutil.BitIsSet(p.valid, p.at+i) {
			indices = append(indices, p.known.index(p.text[from:to]))
		}
		from = to
	}
	return indices
}

func (p *textPage[O]) plain() {
	values, limits, from := p.values, newTextBounds(p.least, p.most), p.offsets[0]
	for i, to := range p.offsets[1:] {
		if p.valid == nil || bitutil.BitIsSet(p.valid, p.at+i) {
			values = appendText(values, p.text[from:to])
			limits.add(p.text[from:to])
		}
		from = to
	}
	p.values = values
	p.bound(limits.least, limits.most)
}

// appendText appends a value in plain encoding.
func appendText(out, value []byte) []byte {
	n := len(out)
	out = grow(out, lengthBytes+max(len(value), stride))
	out = out[:n+lengthBytes+len(value)]
	binary.LittleEndian.PutUint32(out[n:], uint32(len(value)))
	if to := out[n+lengthBytes:]; len(value) <= stride && cap(value) >= stride {
		*(*[stride]byte)(to[:stride]) = *(*[stride]byte)(value[:stride])
	} else {
		copy(to, value)
	}
	return out
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

func (p *textPage[O]) repeat(indices int) bool {
	return fewDistinct(len(p.known.ends), indices) && !p.full()
}

func (p *textPage[O]) bounds() (least, most []byte) {
	p.bound(p.known.bounds())
	return p.least, p.most
}

func (p *textPage[O]) endChunk() {
	p.known.clear()
	p.least, p.most = nil, nil
}
