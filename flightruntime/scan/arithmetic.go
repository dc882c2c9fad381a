package scan

import (
	"math"
	"math/bits"
)

// constant is the same value for every row, or null for every row.
type constant[T any] struct {
	value T
	null  bool
}

func (n *constant[T]) eval(b *block, v *vector[T]) {
	out := v.space(b.n)
	for i := range out {
		out[i] = n.value
	}
	v.valid.fill(b.n)
	if n.null {
		v.valid = bitmap{}
	}
}

func (n *constant[T]) bounds(Statistics) bounds[T] {
	if n.null {
		return bounds[T]{null: true}
	}
	out := only(n.value)
	if f, ok := any(n.value).(float64); ok && math.IsNaN(f) {
		return bounds[T]{filled: true, nan: true}
	}
	return out
}

// mapped is a function of values. Where the function is false, it has none and the result is null.
type mapped[T, U any] struct {
	x values[T]
	f func(T) (U, bool)
	// monotone says that where the function has values, they are in the order of its arguments; and if it has values for two arguments, it
	// has values for all between.
	monotone bool
}

func (n *mapped[T, U]) eval(b *block, v *vector[U]) {
	pool := vectors[T](b)
	x := pool.get()
	n.x.eval(b, x)
	out := v.space(b.n)
	v.valid = x.valid
	v.valid.each(func(i int) bool {
		y, ok := n.f(x.values[i])
		if !ok {
			v.valid.clear(i)
		}
		out[i] = y
		return true
	})
	pool.put(x)
}

func (n *mapped[T, U]) bounds(s Statistics) bounds[U] {
	x := n.x.bounds(s)
	if !x.filled {
		return bounds[U]{null: true}
	}
	if !n.monotone || x.nan || !x.hasLow || !x.hasHigh {
		return unbounded[U]()
	}
	low, ok := n.f(x.low)
	high, okHigh := n.f(x.high)
	if !ok || !okHigh {
		return unbounded[U]()
	}
	return bounds[U]{low: low, high: high, hasLow: true, hasHigh: true, null: x.null, filled: true}
}

// combined is a function of two values.
type combined[T, U, V any] struct {
	x values[T]
	y values[U]
	// f gives out the results, and takes from valid the rows that have none. It is called with values that are not valid too.
	f func(x []T, y []U, out []V, valid *bitmap)
	// range gives the bounds of the result for those of the arguments. nil if nothing can be told.
	ranged func(x bounds[T], y bounds[U]) bounds[V]
}

func (n *combined[T, U, V]) eval(b *block, v *vector[V]) {
	lefts, rights := vectors[T](b), vectors[U](b)
	x, y := lefts.get(), rights.get()
	n.x.eval(b, x)
	n.y.eval(b, y)
	v.valid = x.valid
	v.valid.and(&y.valid)
	n.f(x.values, y.values, v.space(b.n), &v.valid)
	lefts.put(x)
	rights.put(y)
}

func (n *combined[T, U, V]) bounds(s Statistics) bounds[V] {
	x, y := n.x.bounds(s), n.y.bounds(s)
	if !x.filled || !y.filled {
		return bounds[V]{null: true}
	}
	if n.ranged == nil || x.nan || y.nan || !x.hasLow || !x.hasHigh || !y.hasLow || !y.hasHigh {
		return unbounded[V]()
	}
	out := n.ranged(x, y)
	out.null = out.null || x.null || y.null
	return out
}

// What follows is arithmetic as CEL has it, but that what CEL calls an error is null: overflow, and division by zero.

func addInts(x, y, out []int64, valid *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		sum := x[i] + y[i]
		if (sum^x[i])&(sum^y[i]) < 0 {
			valid.clear(i)
		}
		out[i] = sum
	}
}

func subtractInts(x, y, out []int64, valid *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		difference := x[i] - y[i]
		if (x[i]^y[i])&(x[i]^difference) < 0 {
			valid.clear(i)
		}
		out[i] = difference
	}
}

func multiplyInts(x, y, out []int64, valid *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		product, ok := multiply(x[i], y[i])
		if !ok {
			valid.clear(i)
		}
		out[i] = product
	}
}

// multiply is the product, and whether it fits.
func multiply(x, y int64) (int64, bool) {
	high, low := bits.Mul64(uint64(x), uint64(y))
	// The unsigned product takes a negative factor for 2^64 more than it is.
	high -= uint64(x>>63)&uint64(y) + uint64(y>>63)&uint64(x)
	return int64(low), high == uint64(int64(low)>>63)
}

func divideInts(x, y, out []int64, valid *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		if y[i] == 0 || y[i] == -1 && x[i] == math.MinInt64 {
			valid.clear(i)
			continue
		}
		out[i] = x[i] / y[i]
	}
}

func moduloInts(x, y, out []int64, valid *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		if y[i] == 0 || y[i] == -1 && x[i] == math.MinInt64 {
			valid.clear(i)
			continue
		}
		out[i] = x[i] % y[i]
	}
}

func addUints(x, y, out []uint64, valid *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		out[i] = x[i] + y[i]
		if out[i] < x[i] {
			valid.clear(i)
		}
	}
}

func subtractUints(x, y, out []uint64, valid *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		out[i] = x[i] - y[i]
		if y[i] > x[i] {
			valid.clear(i)
		}
	}
}

func multiplyUints(x, y, out []uint64, valid *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		var high uint64
		if high, out[i] = bits.Mul64(x[i], y[i]); high != 0 {
			valid.clear(i)
		}
	}
}

func divideUints(x, y, out []uint64, valid *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		if y[i] == 0 {
			valid.clear(i)
			continue
		}
		out[i] = x[i] / y[i]
	}
}

func moduloUints(x, y, out []uint64, valid *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		if y[i] == 0 {
			valid.clear(i)
			continue
		}
		out[i] = x[i] % y[i]
	}
}

func addDoubles(x, y, out []float64, _ *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		out[i] = x[i] + y[i]
	}
}

func subtractDoubles(x, y, out []float64, _ *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		out[i] = x[i] - y[i]
	}
}

func multiplyDoubles(x, y, out []float64, _ *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		out[i] = x[i] * y[i]
	}
}

func divideDoubles(x, y, out []float64, _ *bitmap) {
	x, y = x[:len(out)], y[:len(out)]
	for i := range out {
		out[i] = x[i] / y[i]
	}
}

func concatenate(x, y, out []string, valid *bitmap) {
	valid.each(func(i int) bool {
		out[i] = x[i] + y[i]
		return true
	})
}

// rangeOfSums is where sums are if none overflows.
func rangeOfSums(x, y bounds[int64]) bounds[int64] {
	return rangeOf(addInts, x.low, y.low, x.high, y.high)
}

// rangeOfDifferences is where differences are if none overflows.
func rangeOfDifferences(x, y bounds[int64]) bounds[int64] {
	return rangeOf(subtractInts, x.low, y.high, x.high, y.low)
}

// rangeOf is from f(a, b) to f(c, d).
func rangeOf(f func(x, y, out []int64, valid *bitmap), a, b, c, d int64) bounds[int64] {
	var valid bitmap
	valid.fill(2)
	out := make([]int64, 2)
	f([]int64{a, c}, []int64{b, d}, out, &valid)
	if valid.count() != 2 {
		return unbounded[int64]()
	}
	return bounds[int64]{low: out[0], high: out[1], hasLow: true, hasHigh: true, filled: true}
}
