package scan

import (
	"encoding/binary"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

// A filter is evaluated block by block: what an expression needs for one block stays in the processor's nearest cache, the way from node to
// node of the expression is short against the work at each, and memory is bounded whatever the batch's size.
const (
	blockRows  = 1024
	blockWords = blockRows / 64
)

// bitmap has a bit for each row of a block. Bits of rows that a block does not have are 0.
type bitmap [blockWords]uint64

func (m *bitmap) has(i int) bool { return m[i>>6]>>(i&63)&1 != 0 }
func (m *bitmap) set(i int)      { m[i>>6] |= 1 << (i & 63) }
func (m *bitmap) clear(i int)    { m[i>>6] &^= 1 << (i & 63) }

// fill sets the first n bits.
func (m *bitmap) fill(n int) {
	*m = bitmap{}
	for i := range n >> 6 {
		m[i] = ^uint64(0)
	}
	if rest := n & 63; rest != 0 {
		m[n>>6] = 1<<rest - 1
	}
}

// and keeps the bits that both have.
func (m *bitmap) and(o *bitmap) {
	for i := range m {
		m[i] &= o[i]
	}
}

// read takes n bits, from the given one on, of a bitmap as Arrow has it.
func (m *bitmap) read(from []byte, start, n int) {
	*m = bitmap{}
	shift := start & 7
	from = from[start>>3 : (start+n+7)>>3]
	for i := range (n + 63) >> 6 {
		m[i] = wordAt(from, i*8) >> shift
		if shift != 0 && i*8+8 < len(from) {
			m[i] |= uint64(from[i*8+8]) << (64 - shift)
		}
	}
	if rest := n & 63; rest != 0 {
		m[n>>6] &= 1<<rest - 1
	}
}

// wordAt is the eight bytes from i on, those beyond the end being 0.
func wordAt(b []byte, i int) uint64 {
	if i+8 <= len(b) {
		return binary.LittleEndian.Uint64(b[i:])
	}
	var last [8]byte
	copy(last[:], b[i:])
	return binary.LittleEndian.Uint64(last[:])
}

// pack takes bits from as many bytes, each of which is 0 or 1.
func (m *bitmap) pack(marks *[blockRows]byte) {
	// Times this, the lowest bit of byte i moves to bit 56+i, and nothing else does.
	const gather = 0x0102040810204080
	for i := range m {
		var word uint64
		for j := range 8 {
			word |= binary.LittleEndian.Uint64(marks[i*64+j*8:]) * gather >> 56 << (8 * j)
		}
		m[i] = word
	}
}

// bit is 1 for true, without a branch.
func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// each calls f with the number of every bit that is set, in order, until f is false. f may change the bitmap.
func (m *bitmap) each(f func(i int) bool) {
	for w := range m {
		for word := m[w]; word != 0; word &= word - 1 {
			if !f(w<<6 + bits.TrailingZeros64(word)) {
				return
			}
		}
	}
}

// appendTo appends the stretches of bits that are set, the first bit being that of the given row, and merges what follows on what was there.
func (m *bitmap) appendTo(to []stretch, row int) []stretch {
	for w, word := range m {
		for at := row + w<<6; word != 0; {
			gap := bits.TrailingZeros64(word)
			n := bits.TrailingZeros64(^(word >> gap))
			if at += gap; len(to) > 0 && to[len(to)-1].end() == at {
				to[len(to)-1].n += n
			} else {
				to = append(to, stretch{at, n})
			}
			at += n
			word = word >> gap >> n // in two steps, for both together may be 64
		}
	}
	return to
}

// count is the number of bits that are set.
func (m *bitmap) count() (n int) {
	for _, word := range m {
		n += bits.OnesCount64(word)
	}
	return n
}

// truth is the value of a condition for each row of a block, in SQL's three-valued logic: true, false, or neither, which is null.
type truth struct{ yes, no bitmap }

// settle makes those that are not true false, and those without a value null.
func (t *truth) settle(valid *bitmap) {
	for i := range t.yes {
		t.no[i] = valid[i] &^ t.yes[i]
		t.yes[i] &= valid[i]
	}
}

// not makes what is true false and what is false true. What is null stays null.
func (t *truth) not() { t.yes, t.no = t.no, t.yes }

// and is true where both are and false where any is.
func (t *truth) and(o *truth) {
	for i := range t.yes {
		t.yes[i] &= o.yes[i]
		t.no[i] |= o.no[i]
	}
}

// or is true where any is and false where both are.
func (t *truth) or(o *truth) {
	for i := range t.yes {
		t.yes[i] |= o.yes[i]
		t.no[i] &= o.no[i]
	}
}

// decimal is a decimal of any width, without its scale.
type decimal = decimal256.Num

// vector is the value of an expression for each row of a block.
type vector[T any] struct {
	// values has one for each row. Where valid says that there is none, it may be anything.
	values []T
	valid  bitmap
	// own is memory for values that are not a part of a column.
	own []T
}

// space is room for n values.
func (v *vector[T]) space(n int) []T {
	if v.own == nil {
		v.own = make([]T, blockRows)
	}
	v.values = v.own[:n]
	return v.values
}

// pool lends memory that is used again and again, so that evaluation allocates nothing once it is under way.
type pool[T any] struct{ free []*T }

func (p *pool[T]) get() *T {
	if n := len(p.free); n > 0 {
		x := p.free[n-1]
		p.free = p.free[:n-1]
		return x
	}
	return new(T)
}

func (p *pool[T]) put(x *T) { p.free = append(p.free, x) }

// block is a run of rows that is being evaluated, and the memory that it takes. What get lends is given back with put, by whoever asked.
type block struct {
	from, n int
	// columns by slot.
	columns []binding
	// verdicts by the number of the condition.
	verdicts []verdicts
	// stopped tells that nobody waits for the result any more.
	stopped func() bool

	ints     pool[vector[int64]]
	uints    pool[vector[uint64]]
	doubles  pool[vector[float64]]
	decimals pool[vector[decimal]]
	texts    pool[vector[string]]
	truths   pool[truth]
	marks    pool[[blockRows]byte]
	cursors  pool[cursor]
}

// vectors is the pool of vectors of T.
func vectors[T any](b *block) *pool[vector[T]] {
	var p any
	switch any((*T)(nil)).(type) {
	case *int64:
		p = &b.ints
	case *uint64:
		p = &b.uints
	case *float64:
		p = &b.doubles
	case *decimal:
		p = &b.decimals
	case *string:
		p = &b.texts
	}
	return p.(*pool[vector[T]])
}

// values is an expression that has a value of type T, or null, for each row. Integers and floating-point numbers are widened to 64 bits;
// timestamps and durations are integers, whose unit the compiler knows; decimals have 256 bits; strings and bytes are strings.
type values[T any] interface {
	// eval gives v its values and says which are valid.
	eval(b *block, v *vector[T])
	// bounds is what statistics tell of the values.
	bounds(s Statistics) bounds[T]
}

// condition is an expression that is true, false or null for each row.
type condition interface {
	eval(b *block, t *truth)
	// outcomes is what statistics leave possible.
	outcomes(s Statistics) outcomes
}

// nulls tells which elements of an array are null.
type nulls struct {
	bits   []byte // nil if none is
	offset int
}

func nullsOf(a arrow.Array) nulls {
	if a.NullN() == 0 {
		return nulls{}
	}
	if a.DataType().ID() == arrow.NULL {
		return nulls{bits: make([]byte, (a.Len()+7)/8)}
	}
	return nulls{bits: a.NullBitmapBytes(), offset: a.Data().Offset()}
}

// has is true if element i is null.
func (n nulls) has(i int) bool {
	if n.bits == nil {
		return false
	}
	i += n.offset
	return n.bits[i>>3]>>(i&7)&1 == 0
}
