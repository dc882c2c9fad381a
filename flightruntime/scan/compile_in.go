package scan

import (
	"cel.dev/cel-go/common/ast"
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// in compiles x in y, where y is a list as it is written, or a column of lists or maps.
func (c *compiler) in(e ast.Expr, args []ast.Expr) (operand, error) {
	x, err := c.operand(args[0])
	if err != nil {
		return operand{}, err
	}
	if args[1].Kind() == ast.ListKind {
		return c.inList(e, x, args[1].AsList().Elements())
	}
	if value, ok := c.ofCaller(args[1]); ok {
		return c.inCallers(e, x, args[1], value)
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

// containment compiles x in y, where y is a column of lists, or of maps, whose keys are meant.
func (c *compiler) containment(e ast.Expr, x, y operand) (operand, error) {
	if y.kind == kindNull && !y.isNull() {
		return joined(kindBool, alwaysNull, x, y), nil
	}
	if y.kind != kindList && y.kind != kindMap {
		return operand{}, c.errorf(e, "%s is no list: expected one to the right of in, as in x in [1, 2]", y.describe())
	}
	if x.isUnsaid() {
		return joined(kindBool, alwaysNull, x, operand{slot: -1}), nil
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
