package scan

import (
	"math"
	"math/big"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

// number is a constant of any numeric kind, with nothing lost.
type number struct {
	exact *big.Rat
	// double is what is no fraction: an infinity, or NaN. It counts if exact is nil.
	double float64
	// null says that there is no number.
	null bool
}

// numberOf is the number that a literal operand is. For decimals a literal with a point is meant as it is written, not as the nearest double.
func numberOf(o operand, forDecimal bool) number {
	switch n := o.node.(type) {
	case *constant[int64]:
		return number{exact: new(big.Rat).SetInt64(n.value), null: n.null}
	case *constant[uint64]:
		return number{exact: new(big.Rat).SetUint64(n.value), null: n.null}
	case *constant[float64]:
		if math.IsNaN(n.value) || math.IsInf(n.value, 0) {
			return number{double: n.value, null: n.null}
		}
		exact := new(big.Rat)
		if forDecimal {
			setDecimal(exact, n.value, o.written)
		} else {
			exact.SetFloat64(n.value)
		}
		return number{exact: exact, null: n.null}
	default:
		return number{null: true}
	}
}

// setDecimal sets r to a number as it is written, or else to the shortest fraction that stands for the double.
func setDecimal(r *big.Rat, double float64, written string) {
	if _, ok := r.SetString(written); !ok {
		r.SetString(strconv.FormatFloat(double, 'g', -1, 64))
	}
}

// place says where a constant stands among the values of a type.
type place uint8

const (
	exactly place = iota // it is one of them
	between              // it is greater than the one given with the place, and less than the next
	before               // it is less than all of them
	beyond               // it is greater than all of them
)

// sideOf is the place of an infinity.
func sideOf(infinity float64) place {
	if infinity < 0 {
		return before
	}
	return beyond
}

// floor is the greatest integer that is not greater, and its place.
func floor(r *big.Rat) (*big.Int, place) {
	quotient, rest := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	if rest.Sign() != 0 {
		return quotient, between
	}
	return quotient, exactly
}

// amongInts places a number among integers of 64 bits.
func (n number) amongInts() (int64, place) {
	if n.exact == nil {
		return 0, sideOf(n.double)
	}
	i, p := floor(n.exact)
	if !i.IsInt64() {
		return 0, sideOf(float64(i.Sign()))
	}
	return i.Int64(), p
}

// amongUints places a number among unsigned integers of 64 bits.
func (n number) amongUints() (uint64, place) {
	if n.exact == nil {
		return 0, sideOf(n.double)
	}
	i, p := floor(n.exact)
	if !i.IsUint64() {
		return 0, sideOf(float64(i.Sign()))
	}
	return i.Uint64(), p
}

// amongDoubles places a number among floating-point numbers.
func (n number) amongDoubles() (float64, place) {
	if n.exact == nil {
		return n.double, exactly
	}
	f, ok := n.exact.Float64()
	if ok {
		return f, exactly
	}
	if new(big.Rat).SetFloat64(f).Cmp(n.exact) > 0 {
		f = math.Nextafter(f, math.Inf(-1))
	}
	return f, between
}

// amongDecimals places a number among decimals of a scale.
func (n number) amongDecimals(scale int32) (decimal, place) {
	if n.exact == nil {
		return decimal{}, sideOf(n.double)
	}
	unscaled := new(big.Rat).Mul(n.exact, powerOfTen(scale))
	i, p := floor(unscaled)
	if i.BitLen() > 255 {
		return decimal{}, sideOf(float64(i.Sign()))
	}
	return decimal256.FromBigInt(i), p
}

// powerOfTen is ten to the given power, which may be negative.
func powerOfTen(power int32) *big.Rat {
	p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(power, -power))), nil)
	if power < 0 {
		return new(big.Rat).SetFrac(big.NewInt(1), p)
	}
	return new(big.Rat).SetInt(p)
}

// amongTicks places a timestamp or duration among those of another tick.
func amongTicks(v, tick, other int64) (int64, place) {
	exact := big.NewRat(tick, other)
	return number{exact: exact.Mul(exact, new(big.Rat).SetInt64(v))}.amongInts()
}

// withConstant compares values with a constant of another type, given its place among the values'.
func withConstant[T any](x values[T], op operator, c T, p place, o *order[T]) condition {
	switch p {
	case exactly:
		return &compareWith[T]{x, op, c, o}
	case between:
		switch op {
		case equal:
			return &settled[T]{x, false}
		case less, lessEqual:
			return &compareWith[T]{x, lessEqual, c, o}
		default:
			return &compareWith[T]{x, greater, c, o}
		}
	case before:
		return &settled[T]{x, op == greater || op == greaterEqual}
	default:
		return &settled[T]{x, op == less || op == lessEqual}
	}
}

// compareIntUint compares an integer with an unsigned one.
func compareIntUint(x int64, y uint64) (int, bool) {
	if x < 0 {
		return -1, true
	}
	return ofUints.compare(uint64(x), y), true
}

// compareIntDouble compares an integer with a floating-point number, exactly.
func compareIntDouble(x int64, y float64) (int, bool) {
	switch {
	case math.IsNaN(y):
		return 0, false
	case y >= 1<<63:
		return -1, true
	case y < -1<<63:
		return 1, true
	}
	whole := math.Floor(y)
	if c := ofInts.compare(x, int64(whole)); c != 0 || whole == y {
		return c, true
	}
	return -1, true
}

// compareUintDouble compares an unsigned integer with a floating-point number, exactly.
func compareUintDouble(x uint64, y float64) (int, bool) {
	switch {
	case math.IsNaN(y):
		return 0, false
	case y >= 1<<64:
		return -1, true
	case y < 0:
		return 1, true
	}
	whole := math.Floor(y)
	if c := ofUints.compare(x, uint64(whole)); c != 0 || whole == y {
		return c, true
	}
	return -1, true
}

// mostDigits is the greatest number of digits that every decimal of 256 bits has.
const mostDigits = 76

// atScale is decimals with another scale, which is the same or greater.
func atScale(x values[decimal], scale, other int32) values[decimal] {
	if scale == other {
		return x
	}
	factor := decimal256.GetScaleMultiplier(int(other - scale))
	return &mapped[decimal, decimal]{x: x, monotone: true, f: func(v decimal) (decimal, bool) { return v.Mul(factor), true }}
}

// Conversions of numbers. What does not fit is null.

func intFromUint(v uint64) (int64, bool) { return int64(v), v <= math.MaxInt64 }

func intFromDouble(v float64) (int64, bool) {
	if !(v > math.MinInt64 && v < math.MaxInt64) { // CEL leaves out the least integer too
		return 0, false
	}
	return int64(v), true
}

func uintFromInt(v int64) (uint64, bool) { return uint64(v), v >= 0 }

func uintFromDouble(v float64) (uint64, bool) {
	if !(v >= 0 && v < 1<<64) {
		return 0, false
	}
	return uint64(v), true
}

func doubleFromInt(v int64) (float64, bool) { return float64(v), true }

func doubleFromUint(v uint64) (float64, bool) { return float64(v), true }

// doubleFromDecimal is the nearest floating-point number to decimals of a scale.
func doubleFromDecimal(scale int32) func(decimal) (float64, bool) {
	unit := powerOfTen(-scale)
	return func(v decimal) (float64, bool) {
		exact := new(big.Rat).SetInt(v.BigInt())
		f, _ := exact.Mul(exact, unit).Float64()
		return f, true
	}
}
