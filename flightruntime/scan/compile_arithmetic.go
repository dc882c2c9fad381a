package scan

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// symbols of the operators of arithmetic, and what they do to their operands in messages.
var symbols = map[string]string{
	operators.Add: "added to", operators.Subtract: "subtracted from", operators.Multiply: "multiplied with", operators.Divide: "divided by",
	operators.Modulo: "divided, for the remainder, by",
}

// arithmetic compiles x + y and its like. What overflows is null, and so is what is divided by zero.
func (c *compiler) arithmetic(e ast.Expr, args []ast.Expr, name string) (operand, error) {
	x, y, err := c.two(args)
	if err != nil {
		return operand{}, err
	}
	if (x.kind == kindNull || y.kind == kindNull) && !x.isNull() && !y.isNull() {
		return joined(kindNull, nil, x, y), nil
	}
	x, y = adapted(x, y)
	var node any
	k := x.kind
	switch {
	case x.kind == kindInt && y.kind == kindInt:
		node = combine(x, y, intArithmetic[name], intRanges[name])
	case x.kind == kindUint && y.kind == kindUint:
		node = combine(x, y, uintArithmetic[name], nil)
	case x.kind == kindDouble && y.kind == kindDouble && name != operators.Modulo:
		node = combine(x, y, doubleArithmetic[name], nil)
	case name == operators.Add && x.kind == y.kind && (k == kindString || k == kindBytes):
		if c.concatenations++; c.concatenations > maxConcatenations {
			return operand{}, c.errorf(e, "a filter can put strings together %d times at most", maxConcatenations)
		}
		node = combine(x, y, concatenate, nil)
	case name == operators.Add || name == operators.Subtract:
		return c.timeArithmetic(e, x, y, name)
	}
	if node == nil {
		return operand{}, c.noArithmetic(e, x, y, name)
	}
	return joined(k, node, x, y), nil
}

// noArithmetic is the error for operands that arithmetic is not made for.
func (c *compiler) noArithmetic(e ast.Expr, x, y operand, name string) error {
	if x.kind == kindDecimal || y.kind == kindDecimal {
		d := x
		if x.kind != kindDecimal {
			d = y
		}
		return c.errorf(e, "there is no arithmetic with decimals, such as %s: convert them, as in %s", d.describe(), d.asDouble())
	}
	if name == operators.Subtract {
		x, y = y, x
	}
	advice := ""
	if x.kind.numeric() && y.kind.numeric() && x.kind != y.kind {
		advice = ": convert one, as in " + x.asDouble()
	}
	return c.errorf(e, "%s cannot be %s %s%s", x.describe(), symbols[name], y.describe(), advice)
}

// timeArithmetic compiles sums and differences of timestamps and durations.
func (c *compiler) timeArithmetic(e ast.Expr, x, y operand, name string) (operand, error) {
	add := name == operators.Add
	var k kind
	switch {
	case x.kind == kindTimestamp && y.kind == kindDuration:
		k = kindTimestamp
	case x.kind == kindDuration && y.kind == kindTimestamp && add:
		k = kindTimestamp
	case x.kind == kindTimestamp && y.kind == kindTimestamp && !add:
		k = kindDuration
	case x.kind == kindDuration && y.kind == kindDuration:
		k = kindDuration
	default:
		return operand{}, c.noArithmetic(e, x, y, name)
	}
	tick := min(x.tick, y.tick)
	o := joined(k, &combined[int64, int64, int64]{ticks(x, tick), ticks(y, tick), intArithmetic[name], intRanges[name]}, x, y)
	o.tick = tick
	return o, nil
}

type calculation[T any] = func(x, y, out []T, valid *bitmap)

var (
	intArithmetic = map[string]calculation[int64]{
		operators.Add: addInts, operators.Subtract: subtractInts, operators.Multiply: multiplyInts, operators.Divide: divideInts, operators.Modulo: moduloInts,
	}
	uintArithmetic = map[string]calculation[uint64]{
		operators.Add: addUints, operators.Subtract: subtractUints, operators.Multiply: multiplyUints, operators.Divide: divideUints, operators.Modulo: moduloUints,
	}
	doubleArithmetic = map[string]calculation[float64]{
		operators.Add: addDoubles, operators.Subtract: subtractDoubles, operators.Multiply: multiplyDoubles, operators.Divide: divideDoubles,
	}
	intRanges = map[string]func(x, y bounds[int64]) bounds[int64]{
		operators.Add: rangeOfSums, operators.Subtract: rangeOfDifferences,
	}
)

func combine[T any](x, y operand, f calculation[T], ranged func(x, y bounds[T]) bounds[T]) any {
	return &combined[T, T, T]{x.node.(values[T]), y.node.(values[T]), f, ranged}
}

// negation compiles -x.
func (c *compiler) negation(e, arg ast.Expr) (operand, error) {
	x, err := c.operand(arg)
	if err != nil {
		return operand{}, err
	}
	switch {
	case x.kind == kindInt:
		zero := operand{node: &constant[int64]{}}
		return joined(kindInt, combine(zero, x, subtractInts, rangeOfDifferences), x), nil
	case x.kind == kindDouble:
		n := x.node.(values[float64])
		return joined(kindDouble, &mapped[float64, float64]{x: n, f: func(v float64) (float64, bool) { return -v, true }}, x), nil
	case x.kind == kindNull && !x.isNull():
		return x, nil
	default:
		return operand{}, c.errorf(e, "%s cannot be negated: only int and double can", x.describe())
	}
}
