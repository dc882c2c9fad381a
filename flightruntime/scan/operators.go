package scan

import (
	"strconv"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal256"

	"github.com/flight-operator/flight-operator/flightruntime/format"
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

// mismatch is the error for operands that do not go together, with advice if there is some.
func (c *compiler) mismatch(e ast.Expr, done string, x, y operand) error {
	if x.literal && !y.literal {
		x, y = y, x
	}
	advice := ""
	switch {
	case x.kind == kindTimestamp && y.kind == kindString:
		advice = ": write timestamp('2024-01-31T12:00:00Z') or date('2024-01-31')"
	case x.kind == kindDuration && y.kind == kindString:
		advice = ": write duration('1h30m')"
	case x.kind == kindString && y.literal && y.kind.numeric():
		advice = ": put the number in quotes, or convert the string, as in " + x.asDouble()
	case x.kind.numeric() && isNumeral(y):
		advice = ": leave out the quotes"
	case x.kind == kindBytes && y.literal && y.kind == kindString:
		advice = ": write b'…' for bytes"
	case x.kind == kindBool && y.kind.numeric():
		advice = ": write true or false"
	case x.kind.numeric() && y.kind.numeric():
		advice = ": convert one, as in " + x.asDouble()
	case x.kind == y.kind:
		advice = ": only what is within them can"
	}
	return c.errorf(e, "%s cannot be %s with %s%s", x.describe(), done, y.describe(), advice)
}

// isNumeral is true for a number in quotes.
func isNumeral(o operand) bool {
	literal, ok := o.node.(*constant[string])
	if !ok {
		return false
	}
	_, err := strconv.ParseFloat(literal.value, 64)
	return err == nil
}

// asDouble is how a conversion of the operand is written.
func (o operand) asDouble() string {
	name := "x"
	if o.path != nil && len(o.path.name) <= mostShown {
		name = o.path.name
	}
	return "double(" + name + ")"
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

// in compiles x in y, where y is a list as it is written, or a column of lists or maps.
func (c *compiler) in(e ast.Expr, args []ast.Expr) (operand, error) {
	x, err := c.operand(args[0])
	if err != nil {
		return operand{}, err
	}
	if args[1].Kind() == ast.ListKind {
		return c.inList(e, x, args[1].AsList().Elements())
	}
	y, err := c.operand(args[1])
	if err != nil {
		return operand{}, err
	}
	return c.containment(e, x, y)
}

// inList compiles x in [a, b], which is x == a || x == b, null where x is, or where any of these is and no other is equal.
func (c *compiler) inList(e ast.Expr, x operand, elements []ast.Expr) (operand, error) {
	if len(elements) == 0 {
		return lenient(joined(kindBool, alwaysFalse, x)), nil
	}
	if x.isNull() {
		return operand{}, c.errorf(e, "null is in no list: to test for null, write x == null")
	}
	var (
		constants []operand
		null      bool
		others    []operand
	)
	for _, element := range elements {
		y, err := c.operand(element)
		if err != nil {
			return operand{}, err
		}
		if isNullConstant(y) {
			null = true
			continue
		}
		equality, err := c.compareEach(element, equal, x, y)
		switch {
		case err != nil:
			return operand{}, err
		case y.literal && x.kind != kindBool:
			constants = append(constants, y)
		default:
			others = append(others, c.overDictionary(equality))
		}
	}
	if null {
		others = append(others, joined(kindBool, alwaysNull, x))
	}
	if len(constants) > 0 && x.kind != kindNull {
		others = append(others, c.overDictionary(joined(kindBool, among(x, constants), x)))
	}
	if len(others) == 0 {
		return joined(kindBool, alwaysNull, x), nil
	}
	return lenient(joined(kindBool, anyOfAll(others), others...)), nil
}

// anyOfAll is true where any of the conditions is.
func anyOfAll(of []operand) condition {
	if len(of) == 1 {
		return conditionOf(of[0])
	}
	half := len(of) / 2
	return &anyOf{anyOfAll(of[:half]), anyOfAll(of[half:])}
}

// among is true where an operand is one of some constants, which compare with it.
func among(x operand, constants []operand) condition {
	switch n := x.node.(type) {
	case values[int64]:
		if x.kind == kindInt {
			return amongNumbers(n, constants, number.amongInts, &ofInts)
		}
		return amongAll(n, constants, &ofInts, func(o operand) (int64, bool) {
			literal := o.node.(*constant[int64])
			v, p := amongTicks(literal.value, o.tick, x.tick)
			return v, p == exactly
		})
	case values[uint64]:
		return amongNumbers(n, constants, number.amongUints, &ofUints)
	case values[float64]:
		return amongNumbers(n, constants, number.amongDoubles, &ofDoubles)
	case values[string]:
		return amongAll(n, constants, &ofTexts, func(o operand) (string, bool) { return o.node.(*constant[string]).value, true })
	}
	return amongAll(x.node.(values[decimal]), constants, &ofDecimals, func(o operand) (decimal, bool) {
		v, p := numberOf(o, true).amongDecimals(x.scale)
		return v, p == exactly
	})
}

func amongNumbers[T comparable](x values[T], constants []operand, place func(number) (T, place), o *order[T]) condition {
	return amongAll(x, constants, o, func(c operand) (T, bool) {
		n := numberOf(c, false)
		v, p := place(n)
		return v, p == exactly
	})
}

// amongAll is true where a value is one of the constants that the function says are possible.
func amongAll[T comparable](x values[T], constants []operand, o *order[T], value func(operand) (T, bool)) condition {
	var all []T
	for _, c := range constants {
		if v, ok := value(c); ok {
			all = append(all, v)
		}
	}
	return newOneOf(x, all, o)
}

// isNullConstant is true for null, and for what evaluates to null whatever the row, as 1 / 0 does.
func isNullConstant(o operand) bool {
	if o.isNull() {
		return true
	}
	switch n := o.node.(type) {
	case always:
		return n.null
	case *constant[int64]:
		return n.null
	case *constant[uint64]:
		return n.null
	case *constant[float64]:
		return n.null
	case *constant[decimal]:
		return n.null
	case *constant[string]:
		return n.null
	default:
		return false
	}
}

// containment compiles x in y, where y is a column of lists, or of maps, whose keys are meant.
func (c *compiler) containment(e ast.Expr, x, y operand) (operand, error) {
	if y.kind == kindNull && !y.isNull() {
		return joined(kindBool, alwaysNull, x, y), nil
	}
	if y.kind != kindList && y.kind != kindMap {
		return operand{}, c.errorf(e, "%s is no list: expected one to the right of in, as in x in [1, 2]", y.describe())
	}
	if x.kind == kindNull {
		return operand{}, c.errorf(e, "null is in no list: to test for null, write x == null")
	}
	element := elementType(y.path.typ)
	x, err := c.wanted(e, x, y, element)
	if err != nil {
		return operand{}, err
	}
	var node condition
	switch want := x.node.(type) {
	case values[int64]:
		node = &contained[int64]{c.slot(y.path, "ints", openElements(openInt)), want}
	case values[uint64]:
		node = &contained[uint64]{c.slot(y.path, "uints", openElements(openUints)), want}
	case values[float64]:
		node = &contained[float64]{c.slot(y.path, "doubles", openElements(openDoubles)), want}
	case values[string]:
		node = &contained[string]{c.slot(y.path, "texts", openElements(openTexts)), want}
	case values[decimal]:
		node = &contained[decimal]{c.slot(y.path, "decimals", openElements(openDecimals)), want}
	default:
		return operand{}, c.errorf(e, "looking for %s in %s is not supported", x.describe(), y.describe())
	}
	return lenient(joined(kindBool, node, x, operand{slot: -1})), nil
}

// elementType is the type of a list's elements, or of a map's keys.
func elementType(t arrow.DataType) arrow.DataType {
	switch t := plain(t).(type) {
	case *arrow.MapType:
		return t.KeyType()
	case arrow.ListLikeType:
		return t.Elem()
	default:
		return nil
	}
}

// wanted is what is looked for among elements of the given type, as a value of this type.
func (c *compiler) wanted(e ast.Expr, x, in operand, element arrow.DataType) (operand, error) {
	s := shapeOf(element)
	if isNullConstant(x) && nullOf(s.kind) != nil {
		x.shape, x.node = s, nullOf(s.kind)
		return x, nil
	}
	if s.kind == kindDecimal && x.literal && x.kind.numeric() {
		if v, p := numberOf(x, true).amongDecimals(s.scale); p == exactly {
			x.shape, x.node = s, &constant[decimal]{value: v}
			return x, nil
		}
	}
	if x = adaptedTo(x, s.kind); x.kind == s.kind {
		switch {
		case s.tick == x.tick && s.scale == x.scale:
			return x, nil
		case x.tick > s.tick:
			x.node, x.tick = ticks(x, s.tick), s.tick
			return x, nil
		case x.literal && x.tick != 0:
			if v, p := amongTicks(x.node.(*constant[int64]).value, x.tick, s.tick); p == exactly {
				x.node, x.tick = &constant[int64]{value: v}, s.tick
				return x, nil
			}
		}
	}
	return operand{}, c.errorf(e, "%s cannot be looked for in %s, which has %s", x.describe(), in.describe(), format.TypeName(element))
}

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
