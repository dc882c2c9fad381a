package scan

import (
	"cmp"
	"math/bits"
)

// operator is a comparison. There is no "unequal": it is "equal" negated, for NaN too.
type operator uint8

const (
	equal operator = iota
	less
	lessEqual
	greater
	greaterEqual
)

// flip is the operator for the operands the other way round.
func (o operator) flip() operator {
	return [...]operator{equal, greater, greaterEqual, less, lessEqual}[o]
}

// holds is what a comparison says of operands that compare so.
func (o operator) holds(compared int) bool {
	switch o {
	case equal:
		return compared == 0
	case less:
		return compared < 0
	case lessEqual:
		return compared <= 0
	case greater:
		return compared > 0
	default:
		return compared >= 0
	}
}

// order is how values of T are compared: two of them, and whole vectors in loops that have no call in them if that can be.
type order[T any] struct {
	compare func(a, b T) int
	// constant marks with 1 the values that compare with c as op says, and the others with 0.
	constant func(op operator, values []T, c T, marks []byte)
	// pairs does so for two vectors of one length.
	pairs func(op operator, a, b []T, marks []byte)
}

var (
	ofInts     = order[int64]{cmp.Compare[int64], markConstant[int64], markPairs[int64]}
	ofUints    = order[uint64]{cmp.Compare[uint64], markConstant[uint64], markPairs[uint64]}
	ofDoubles  = order[float64]{cmp.Compare[float64], markConstant[float64], markPairs[float64]} // bounds are no NaN
	ofTexts    = order[string]{cmp.Compare[string], markConstant[string], markPairs[string]}
	ofDecimals = order[decimal]{compareWide, markDecimals, markDecimalPairs}
)

func markConstant[T cmp.Ordered](op operator, values []T, c T, marks []byte) {
	marks = marks[:len(values)]
	switch op {
	case equal:
		for i, x := range values {
			marks[i] = bit(x == c)
		}
	case less:
		for i, x := range values {
			marks[i] = bit(x < c)
		}
	case lessEqual:
		for i, x := range values {
			marks[i] = bit(x <= c)
		}
	case greater:
		for i, x := range values {
			marks[i] = bit(x > c)
		}
	case greaterEqual:
		for i, x := range values {
			marks[i] = bit(x >= c)
		}
	}
}

func markPairs[T cmp.Ordered](op operator, a, b []T, marks []byte) {
	marks, b = marks[:len(a)], b[:len(a)]
	switch op {
	case equal:
		for i, x := range a {
			marks[i] = bit(x == b[i])
		}
	case less:
		for i, x := range a {
			marks[i] = bit(x < b[i])
		}
	case lessEqual:
		for i, x := range a {
			marks[i] = bit(x <= b[i])
		}
	case greater:
		for i, x := range a {
			marks[i] = bit(x > b[i])
		}
	case greaterEqual:
		for i, x := range a {
			marks[i] = bit(x >= b[i])
		}
	}
}

// compareWide compares integers of 256 bits.
func compareWide(a, b decimal) int {
	return int(isBelow(b.Array(), a.Array())) - int(isBelow(a.Array(), b.Array()))
}

// isBelow is 1 if an integer of 256 bits is less than another, without a branch.
func isBelow(a, b [4]uint64) byte {
	const sign = 1 << 63
	_, borrow := bits.Sub64(a[0], b[0], 0)
	_, borrow = bits.Sub64(a[1], b[1], borrow)
	_, borrow = bits.Sub64(a[2], b[2], borrow)
	_, borrow = bits.Sub64(a[3]^sign, b[3]^sign, borrow)
	return byte(borrow)
}

func markDecimals(op operator, values []decimal, c decimal, marks []byte) {
	marks = marks[:len(values)]
	with := c.Array()
	switch op {
	case equal:
		for i, x := range values {
			marks[i] = bit(x == c)
		}
	case less:
		for i, x := range values {
			marks[i] = isBelow(x.Array(), with)
		}
	case lessEqual:
		for i, x := range values {
			marks[i] = isBelow(with, x.Array()) ^ 1
		}
	case greater:
		for i, x := range values {
			marks[i] = isBelow(with, x.Array())
		}
	case greaterEqual:
		for i, x := range values {
			marks[i] = isBelow(x.Array(), with) ^ 1
		}
	}
}

func markDecimalPairs(op operator, a, b []decimal, marks []byte) {
	for i, x := range a {
		marks[i] = bit(op.holds(compareWide(x, b[i])))
	}
}

// compareWith compares values with a constant.
type compareWith[T any] struct {
	x     values[T]
	op    operator
	c     T
	order *order[T]
}

func (n *compareWith[T]) eval(b *block, t *truth) {
	pool := vectors[T](b)
	v, marks := pool.get(), b.marks.get()
	n.x.eval(b, v)
	n.order.constant(n.op, v.values, n.c, marks[:])
	t.yes.pack(marks)
	t.settle(&v.valid)
	pool.put(v)
	b.marks.put(marks)
}

func (n *compareWith[T]) outcomes(s Statistics) outcomes {
	return n.x.bounds(s).against(n.op, n.c, n.order.compare)
}

// comparePair compares values with others of the same type.
type comparePair[T any] struct {
	x, y  values[T]
	op    operator
	order *order[T]
}

func (n *comparePair[T]) eval(b *block, t *truth) {
	pool := vectors[T](b)
	v, w, marks := pool.get(), pool.get(), b.marks.get()
	n.x.eval(b, v)
	n.y.eval(b, w)
	n.order.pairs(n.op, v.values, w.values, marks[:])
	t.yes.pack(marks)
	v.valid.and(&w.valid)
	t.settle(&v.valid)
	pool.put(v)
	pool.put(w)
	b.marks.put(marks)
}

func (n *comparePair[T]) outcomes(s Statistics) outcomes {
	return n.x.bounds(s).versus(n.op, n.y.bounds(s), n.order.compare)
}

// compareMixed compares values with others of another type, or unit.
type compareMixed[T, U any] struct {
	x  values[T]
	y  values[U]
	op operator
	// compare is false for what does not compare, which is NaN.
	compare func(T, U) (int, bool)
}

func (n *compareMixed[T, U]) eval(b *block, t *truth) {
	lefts, rights := vectors[T](b), vectors[U](b)
	v, w := lefts.get(), rights.get()
	n.x.eval(b, v)
	n.y.eval(b, w)
	v.valid.and(&w.valid)
	t.yes = bitmap{}
	v.valid.each(func(i int) bool {
		if compared, ok := n.compare(v.values[i], w.values[i]); ok && n.op.holds(compared) {
			t.yes.set(i)
		}
		return true
	})
	t.settle(&v.valid)
	lefts.put(v)
	rights.put(w)
}

func (n *compareMixed[T, U]) outcomes(s Statistics) outcomes {
	x, y := n.x.bounds(s), n.y.bounds(s)
	return y.with(x.with(outcomes{yes: true, no: true}))
}

// oneOf is true for values that are among some constants.
type oneOf[T comparable] struct {
	x     values[T]
	all   []T
	many  map[T]struct{} // nil if they are few
	order *order[T]
}

// mostCompared constants are compared one after the other; with more than that, hashing is faster.
const mostCompared = 6

func newOneOf[T comparable](x values[T], constants []T, o *order[T]) *oneOf[T] {
	n := &oneOf[T]{x: x, all: constants, order: o}
	if len(constants) <= mostCompared {
		return n
	}
	n.many = make(map[T]struct{}, len(constants))
	for _, c := range constants {
		n.many[c] = struct{}{}
	}
	return n
}

func (n *oneOf[T]) eval(b *block, t *truth) {
	pool := vectors[T](b)
	v := pool.get()
	n.x.eval(b, v)
	t.yes = bitmap{}
	if n.many != nil {
		v.valid.each(func(i int) bool {
			if _, ok := n.many[v.values[i]]; ok {
				t.yes.set(i)
			}
			return true
		})
	} else {
		marks := b.marks.get()
		for _, c := range n.all {
			n.order.constant(equal, v.values, c, marks[:])
			var found bitmap
			found.pack(marks)
			for i := range found {
				t.yes[i] |= found[i]
			}
		}
		b.marks.put(marks)
	}
	t.settle(&v.valid)
	pool.put(v)
}

func (n *oneOf[T]) outcomes(s Statistics) outcomes {
	bounds := n.x.bounds(s)
	o := bounds.with(outcomes{no: true})
	for _, c := range n.all {
		o = o.or(bounds.against(equal, c, n.order.compare))
	}
	return o
}

// settled is the same for every row that has a value.
type settled[T any] struct {
	x   values[T]
	yes bool
}

func (n *settled[T]) eval(b *block, t *truth) {
	pool := vectors[T](b)
	v := pool.get()
	n.x.eval(b, v)
	t.yes = bitmap{}
	if n.yes {
		t.yes = v.valid
	}
	t.settle(&v.valid)
	pool.put(v)
}

func (n *settled[T]) outcomes(s Statistics) outcomes {
	return n.x.bounds(s).with(outcomes{yes: n.yes, no: !n.yes})
}
