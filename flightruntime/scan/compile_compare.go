package scan

import (
	"cel.dev/cel-go/common/ast"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

// overDictionary lets a condition be evaluated once for each value of a dictionary, if it is about one dictionary-encoded column alone.
func (c *compiler) overDictionary(o operand) operand {
	if o.slot < 0 || !o.strict || !c.slots[o.slot].encoded {
		return o
	}
	o.node = &perValue{condition: conditionOf(o), slot: o.slot, number: c.verdicts}
	c.verdicts++
	return o
}

// equality compiles x == y, and x != y.
func (c *compiler) equality(e ast.Expr, args []ast.Expr, negated bool) (operand, error) {
	x, y, err := c.two(args)
	if err != nil {
		return operand{}, err
	}
	switch {
	case y.isNull():
		return c.null(x, !negated), nil
	case x.isNull():
		return c.null(y, !negated), nil
	}
	o, err := c.compare(e, equal, x, y)
	if err == nil && negated {
		o.node = &not{conditionOf(o)}
	}
	return o, err
}

// ordering compiles x < y and its like.
func (c *compiler) ordering(e ast.Expr, args []ast.Expr, op operator) (operand, error) {
	x, y, err := c.two(args)
	if err != nil {
		return operand{}, err
	}
	if x.isNull() || y.isNull() {
		return operand{}, c.errorf(e, "null is neither less nor greater than anything: to test for null, write x == null")
	}
	return c.compare(e, op, x, y)
}

// compare compiles a comparison. Where any operand is null, so is the result.
func (c *compiler) compare(e ast.Expr, op operator, x, y operand) (operand, error) {
	o, err := c.compareEach(e, op, x, y)
	if err != nil {
		return o, err
	}
	return c.overDictionary(o), nil
}

// compareEach compiles a comparison that is made for each row.
func (c *compiler) compareEach(e ast.Expr, op operator, x, y operand) (operand, error) {
	if x.literal && !y.literal {
		x, y, op = y, x, op.flip()
	}
	var node condition
	switch {
	case x.kind == kindNull || y.kind == kindNull:
		node = alwaysNull
	case x.kind.numeric() && y.kind.numeric():
		node = compareNumbers(op, x, y)
	case x.kind != y.kind:
	case x.kind == kindString || x.kind == kindBytes:
		node = compareSame(op, x, y, &ofTexts)
	case x.kind == kindTimestamp || x.kind == kindDuration:
		node = compareTicked(op, x, y)
	case x.kind == kindBool:
		node = compareBools(op, conditionOf(x), conditionOf(y))
	}
	if node == nil {
		return operand{}, c.mismatch(e, "compared", x, y)
	}
	return joined(kindBool, node, x, y), nil
}

// compareSame compares operands of one type.
func compareSame[T any](op operator, x, y operand, o *order[T]) condition {
	if literal, ok := y.node.(*constant[T]); ok && !literal.null {
		return &compareWith[T]{x.node.(values[T]), op, literal.value, o}
	}
	return &comparePair[T]{x.node.(values[T]), y.node.(values[T]), op, o}
}

// compareTicked compares timestamps, or durations, of any units.
func compareTicked(op operator, x, y operand) condition {
	if x.tick == y.tick {
		return compareSame(op, x, y, &ofInts)
	}
	left := x.node.(values[int64])
	if literal, ok := y.node.(*constant[int64]); ok && !literal.null {
		v, p := amongTicks(literal.value, y.tick, x.tick)
		return withConstant(left, op, v, p, &ofInts)
	}
	return &compareMixed[int64, int64]{left, y.node.(values[int64]), op, compareTicks(x.tick, y.tick)}
}

func compareBools(op operator, x, y condition) condition {
	switch op {
	case equal:
		return &same{x, y}
	case less:
		return &below{x, y}
	case lessEqual:
		return &not{&below{y, x}}
	case greater:
		return &below{y, x}
	default:
		return &not{&below{x, y}}
	}
}

// compareNumbers compares numbers of any kinds, exactly. It is nil for a decimal with a floating-point number that is no literal.
func compareNumbers(op operator, x, y operand) condition {
	if y.literal {
		return compareNumber(op, x, numberOf(y, x.kind == kindDecimal))
	}
	switch {
	case x.kind == kindDecimal || y.kind == kindDecimal:
		return compareDecimals(op, x, y)
	case x.kind > y.kind: // in the order of int, uint, double
		x, y, op = y, x, op.flip()
	}
	switch left := x.node.(type) {
	case values[int64]:
		switch right := y.node.(type) {
		case values[int64]:
			return &comparePair[int64]{left, right, op, &ofInts}
		case values[uint64]:
			return &compareMixed[int64, uint64]{left, right, op, compareIntUint}
		case values[float64]:
			return &compareMixed[int64, float64]{left, right, op, compareIntDouble}
		}
	case values[uint64]:
		switch right := y.node.(type) {
		case values[uint64]:
			return &comparePair[uint64]{left, right, op, &ofUints}
		case values[float64]:
			return &compareMixed[uint64, float64]{left, right, op, compareUintDouble}
		}
	case values[float64]:
		if right, ok := y.node.(values[float64]); ok {
			return &comparePair[float64]{left, right, op, &ofDoubles}
		}
	}
	return nil
}

// compareNumber compares numbers of any kind with a constant.
func compareNumber(op operator, x operand, n number) condition {
	switch x := x.node.(type) {
	case values[int64]:
		v, p := n.amongInts()
		return numberCondition(x, op, n, v, p, &ofInts)
	case values[uint64]:
		v, p := n.amongUints()
		return numberCondition(x, op, n, v, p, &ofUints)
	case values[float64]:
		v, p := n.amongDoubles()
		return numberCondition(x, op, n, v, p, &ofDoubles)
	}
	v, p := n.amongDecimals(x.scale)
	return numberCondition(x.node.(values[decimal]), op, n, v, p, &ofDecimals)
}

func numberCondition[T any](x values[T], op operator, n number, v T, p place, o *order[T]) condition {
	switch {
	case n.null:
		return alwaysNull
	case n.exact == nil && n.double != n.double: // NaN
		return &settled[T]{x, false}
	default:
		return withConstant(x, op, v, p, o)
	}
}

// compareDecimals compares decimals with decimals or integers. It is nil for floating-point numbers, and if the digits of both, one below the
// other, do not fit in 256 bits.
func compareDecimals(op operator, x, y operand) condition {
	left, right := decimals(x), decimals(y)
	if left.node == nil || right.node == nil {
		return nil
	}
	scale := max(left.scale, right.scale)
	for _, o := range []operand{left, right} {
		if o.precision-o.scale+scale > mostDigits {
			return nil
		}
	}
	return &comparePair[decimal]{
		atScale(left.node.(values[decimal]), left.scale, scale), atScale(right.node.(values[decimal]), right.scale, scale), op, &ofDecimals,
	}
}

// decimals is a decimal or an integer as decimal. Others have no node.
func decimals(o operand) operand {
	const digits = 20 // of 64 bits
	switch n := o.node.(type) {
	case values[decimal]:
	case values[int64]:
		o.shape = shape{kind: kindDecimal, precision: digits}
		o.node = &mapped[int64, decimal]{x: n, monotone: true, f: func(v int64) (decimal, bool) { return decimal256.FromI64(v), true }}
	case values[uint64]:
		o.shape = shape{kind: kindDecimal, precision: digits}
		o.node = &mapped[uint64, decimal]{x: n, monotone: true, f: func(v uint64) (decimal, bool) { return decimal256.FromU64(v), true }}
	default:
		o.node = nil
	}
	return o
}

// adapted are two operands of which one, if it is a literal int, is what the other one is: a uint, or a double.
func adapted(x, y operand) (operand, operand) {
	return adaptedTo(x, y.kind), adaptedTo(y, x.kind)
}

func adaptedTo(o operand, k kind) operand {
	n, ok := o.node.(*constant[int64])
	if !ok || o.kind != kindInt {
		return o
	}
	switch {
	case k == kindUint && n.value >= 0:
		o.kind, o.node = kindUint, &constant[uint64]{value: uint64(n.value), null: n.null}
	case k == kindDouble:
		o.kind, o.node = kindDouble, &constant[float64]{value: float64(n.value), null: n.null}
	}
	return o
}
