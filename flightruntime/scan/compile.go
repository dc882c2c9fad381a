package scan

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
	"github.com/apache/arrow-go/v18/arrow"
)

// What a filter may cost to compile, and each of its blocks to evaluate.
const (
	// maxFilterBytes has room for a list of a thousand names or a few thousand numbers.
	maxFilterBytes = 32 << 10
	// maxFilterDepth is of parentheses, operators and calls in each other. A chain of && or || has the depth of its deepest part.
	maxFilterDepth = 100
	// maxConcatenations bounds how many times as long as a column's strings those can be that a filter makes of them, for each row of a block.
	maxConcatenations = 16
)

// filterParser reads CEL. Its parser by Pratt's method takes a twentieth of the time of the one that ANTLR generates, and gives up on nonsense
// at once. Of CEL's macros only has() says something about one row.
var filterParser = func() *parser.Parser {
	p, err := parser.NewParser(
		parser.EnablePrattParser(true),
		parser.MaxRecursionDepth(maxFilterDepth),
		parser.ErrorReportingLimit(1),
		parser.ErrorRecoveryLimit(1),
		parser.Macros(parser.HasMacro),
	)
	if err != nil {
		panic(err) // the options are constants
	}
	return p
}()

// compiler turns a filter into conditions. cel-go reads the filter. What its parts mean is decided here and not by cel-go's checker, for that
// has no types for decimals, times of day and columns of nulls, refuses x == null and price == 10 for most x and price, and does not know
// Arrow's types, which messages are to name. What cel-go can evaluate has the same value here: a test compares them.
type compiler struct {
	filter string
	info   *ast.SourceInfo
	schema *arrow.Schema
	// caller is who identity.user and its like are about; nil in a caller's own filters, which know none.
	caller *Caller

	slots []slot
	// bySlot are the slots that can be shared, by what they open.
	bySlot map[string]int
	// verdicts are how many conditions are evaluated for each value of a dictionary.
	verdicts int
	// patternCost is that of all regular expressions.
	patternCost    int
	concatenations int
}

// operand is a part of a filter, compiled.
type operand struct {
	shape
	expr ast.Expr
	// node is a condition for booleans, else values of the Go type that stands for the kind. It is nil for lists, maps, structs, nulls and
	// what else has no values in this language.
	node any
	// path is where the operand stands, if it is a column or within one.
	path *path
	// written is the text of a literal with a point, which may have more digits than a double; empty if it is none.
	written string
	// literal says that no column is involved.
	literal bool
	// slot is that of the only column involved, -1 if there are several or none. strict says that where that is null, so is the operand.
	slot   int
	strict bool
}

// isNull is true for null as it is written, which is not what a column of nulls is.
func (o operand) isNull() bool { return o.kind == kindNull && o.literal }

// errNotUnderstood stands for a panic of the parser or the compiler: whatever somebody may find out to write.
var errNotUnderstood = errors.New("the filter cannot be understood, though it should be: this is a defect of the server")

// compileFilter compiles a filter. Its errors name the position. caller is who it may ask about by the name identity; nil if it may not.
func compileFilter(filter string, schema *arrow.Schema, caller *Caller) (_ *predicate, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errNotUnderstood
		}
	}()
	c := &compiler{filter: filter, schema: schema, caller: caller, bySlot: map[string]int{}}
	parsed, err := c.parse()
	if err != nil {
		return nil, err
	}
	o, err := c.operand(parsed)
	if err != nil {
		return nil, err
	}
	if o.isNull() {
		return nil, c.errorf(o.expr, "the filter is null: expected a condition, such as x == null")
	}
	if o.kind != kindBool && o.kind != kindNull {
		return nil, c.errorf(o.expr, "the filter is %s: expected a condition, such as %s", o.describe(), o.exampleCondition())
	}
	return &predicate{condition: conditionOf(o), slots: c.slots, verdicts: c.verdicts}, nil
}

// CheckFilter says what is wrong with a filter whatever the dataset: that it is none, too long, or no CEL. Whether it is right for a dataset is
// known when it is compiled for its schema.
func CheckFilter(filter string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errNotUnderstood
		}
	}()
	_, err = (&compiler{filter: filter}).parse()
	return err
}

// parse reads the filter.
func (c *compiler) parse() (ast.Expr, error) {
	if len(c.filter) > maxFilterBytes {
		return nil, fmt.Errorf("the filter has %d bytes, at most %d are read", len(c.filter), maxFilterBytes)
	}
	if !utf8.ValidString(c.filter) {
		return nil, errors.New("the filter is not UTF-8")
	}
	if strings.TrimSpace(c.filter) == "" {
		return nil, errors.New("the filter is blank: expected a condition, such as fare > 10.0, or no filter at all")
	}
	parsed, errs := filterParser.Parse(common.NewTextSource(c.filter))
	if all := errs.GetErrors(); len(all) > 0 {
		return nil, c.syntaxError(all[0])
	}
	c.info = parsed.SourceInfo()
	return parsed.Expr(), nil
}

// operand compiles an expression.
func (c *compiler) operand(e ast.Expr) (operand, error) {
	var (
		o   operand
		err error
	)
	if value, ok := c.ofCaller(e); ok {
		return c.identity(e, value)
	}
	switch e.Kind() {
	case ast.LiteralKind:
		o, err = c.literal(e)
	case ast.IdentKind:
		o, err = c.column(e, e.AsIdent())
	case ast.SelectKind:
		o, err = c.selection(e)
	case ast.CallKind:
		o, err = c.call(e)
	case ast.ListKind:
		err = c.errorf(e, "a list can stand to the right of in and nowhere else, as in x in [1, 2]")
	case ast.MapKind:
		err = c.errorf(e, "maps cannot be written in a filter")
	case ast.StructKind:
		err = c.errorf(e, "messages cannot be written in a filter")
	default:
		err = c.errorf(e, "this is not supported in a filter")
	}
	if err != nil {
		return operand{}, err
	}
	o.expr = e
	if o.literal {
		fold(&o)
	}
	return o, nil
}

// literal compiles a constant as it is written.
func (c *compiler) literal(e ast.Expr) (operand, error) {
	o := operand{literal: true, slot: -1}
	switch l := e.AsLiteral().(type) {
	case types.Null:
		o.kind = kindNull
	case types.Bool:
		o.kind, o.node = kindBool, alwaysFalse
		if l {
			o.node = alwaysTrue
		}
	case types.Int:
		o.kind, o.node = kindInt, &constant[int64]{value: int64(l)}
	case types.Uint:
		o.kind, o.node = kindUint, &constant[uint64]{value: uint64(l)}
	case types.Double:
		o.kind, o.node = kindDouble, &constant[float64]{value: float64(l)}
		o.written = c.written(e, float64(l))
	case types.String:
		o.kind, o.node = kindString, &constant[string]{value: string(l)}
	case types.Bytes:
		o.kind, o.node = kindBytes, &constant[string]{value: string(l)}
	default:
		return o, c.errorf(e, "this literal is not supported in a filter")
	}
	return o, nil
}

// written is the text of a literal with a point; empty if it has an exponent, which may stand for more digits than memory holds.
func (c *compiler) written(e ast.Expr, value float64) string {
	r, ok := c.info.GetOffsetRange(e.ID()) // of its sign alone, if it has one
	filter := []rune(c.filter)
	if !ok || r.Start < 0 || int(r.Start) > len(filter) {
		return ""
	}
	digits, negative := strings.CutPrefix(string(filter[r.Start:]), "-")
	digits = strings.TrimSpace(digits)
	text := digits[:len(digits)-len(strings.TrimLeft(digits, "0123456789."))]
	if negative {
		text = "-" + text
	}
	if v, err := strconv.ParseFloat(text, 64); err != nil || v != value {
		return ""
	}
	return text
}

// two compiles two operands.
func (c *compiler) two(args []ast.Expr) (x, y operand, err error) {
	if x, err = c.operand(args[0]); err != nil {
		return x, y, err
	}
	y, err = c.operand(args[1])
	return x, y, err
}

// call compiles an operator or a function.
func (c *compiler) call(e ast.Expr) (operand, error) {
	name, args := e.AsCall().FunctionName(), e.AsCall().Args()
	switch name {
	case operators.LogicalAnd:
		return c.logic(e, args, "&&", func(x, y condition) condition { return &both{x, y} })
	case operators.LogicalOr:
		return c.logic(e, args, "||", func(x, y condition) condition { return &anyOf{x, y} })
	case operators.LogicalNot:
		x, err := c.condition(args[0], "!")
		if err != nil {
			return operand{}, err
		}
		return joined(kindBool, &not{conditionOf(x)}, x), nil
	case operators.Conditional:
		return c.choice(e, args)
	case operators.Equals, operators.NotEquals:
		return c.equality(e, args, name == operators.NotEquals)
	case operators.Less:
		return c.ordering(e, args, less)
	case operators.LessEquals:
		return c.ordering(e, args, lessEqual)
	case operators.Greater:
		return c.ordering(e, args, greater)
	case operators.GreaterEquals:
		return c.ordering(e, args, greaterEqual)
	case operators.In:
		return c.in(e, args)
	case operators.Index:
		return c.index(e, args)
	case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo:
		return c.arithmetic(e, args, name)
	case operators.Negate:
		return c.negation(e, args[0])
	default:
		return c.function(e)
	}
}

// joined is an operand that is made of others. It is literal if they all are.
func joined(k kind, node any, of ...operand) operand {
	o := operand{shape: shape{kind: k}, node: node, literal: true, slot: -1, strict: true}
	for _, x := range of {
		if x.literal {
			o.strict = o.strict && x.kind != kindNull
			continue
		}
		if o.literal {
			o.slot = x.slot
		} else if o.slot != x.slot {
			o.slot = -1
		}
		o.literal = false
		o.strict = o.strict && x.strict
	}
	return o
}

// lenient is an operand that need not be null where its columns are.
func lenient(o operand) operand {
	o.strict = false
	return o
}

// conditionOf is an operand that is a boolean, or null, as a condition.
func conditionOf(o operand) condition {
	if o.kind == kindNull {
		return alwaysNull
	}
	return o.node.(condition)
}

// condition compiles an operand that has to be a condition.
func (c *compiler) condition(e ast.Expr, operator string) (operand, error) {
	o, err := c.operand(e)
	if err != nil {
		return o, err
	}
	if o.kind != kindBool && (o.kind != kindNull || o.literal) {
		return o, c.errorf(e, "%s takes conditions, and %s is none", operator, o.describe())
	}
	return o, nil
}

func (c *compiler) logic(_ ast.Expr, args []ast.Expr, operator string, join func(x, y condition) condition) (operand, error) {
	x, err := c.condition(args[0], operator)
	if err != nil {
		return operand{}, err
	}
	y, err := c.condition(args[1], operator)
	if err != nil {
		return operand{}, err
	}
	return lenient(joined(kindBool, join(conditionOf(x), conditionOf(y)), x, y)), nil
}

// choice compiles a ? b : c.
func (c *compiler) choice(e ast.Expr, args []ast.Expr) (operand, error) {
	test, err := c.condition(args[0], "?:")
	if err != nil {
		return operand{}, err
	}
	yes, no, err := c.two(args[1:])
	if err != nil {
		return operand{}, err
	}
	yes, no = adapted(yes, no)
	switch {
	case yes.kind == kindNull && no.kind == kindNull:
		return lenient(joined(kindNull, nil, test, yes, no)), nil
	case yes.kind == kindNull:
		yes.shape, yes.node = no.shape, nullOf(no.kind)
	case no.kind == kindNull:
		no.shape, no.node = yes.shape, nullOf(yes.kind)
	case yes.kind != no.kind || yes.kind == kindDecimal && yes.scale != no.scale:
		return operand{}, c.errorf(e, "both sides of : have to be of one type, not %s and %s", yes.describe(), no.describe())
	}
	tick := min(yes.tick, no.tick)
	var node any
	when := conditionOf(test)
	switch yes.kind {
	case kindBool:
		node = &choice{when, conditionOf(yes), conditionOf(no)}
	case kindInt:
		node = choose(when, yes, no, &ofInts)
	case kindTimestamp, kindDuration:
		node = &choiceOf[int64]{when, ticks(yes, tick), ticks(no, tick), ofInts.compare}
	case kindUint:
		node = choose(when, yes, no, &ofUints)
	case kindDouble:
		node = choose(when, yes, no, &ofDoubles)
	case kindDecimal:
		node = choose(when, yes, no, &ofDecimals)
	case kindString, kindBytes:
		node = choose(when, yes, no, &ofTexts)
	default:
		return operand{}, c.errorf(e, "a choice between %s and %s is not supported", yes.describe(), no.describe())
	}
	o := lenient(joined(yes.kind, node, test, yes, no))
	o.shape = yes.shape
	o.tick = tick
	o.precision = max(yes.precision, no.precision)
	return o, nil
}

func choose[T any](when condition, yes, no operand, o *order[T]) values[T] {
	return &choiceOf[T]{when, yes.node.(values[T]), no.node.(values[T]), o.compare}
}

// ticks is a timestamp or duration in another tick, which is finer or the same.
func ticks(o operand, tick int64) values[int64] { return inTick(o.node.(values[int64]), o.tick, tick) }

// nullOf is null as a value of some kind. It is nil for kinds that have no values.
func nullOf(k kind) any {
	switch k {
	case kindBool:
		return alwaysNull
	case kindInt, kindTimestamp, kindDuration:
		return &constant[int64]{null: true}
	case kindUint:
		return &constant[uint64]{null: true}
	case kindDouble:
		return &constant[float64]{null: true}
	case kindDecimal:
		return &constant[decimal]{null: true}
	case kindString, kindBytes:
		return &constant[string]{null: true}
	default:
		return nil
	}
}

// null compiles x == null, and x != null.
func (c *compiler) null(x operand, want bool) operand {
	var node condition
	switch {
	case x.kind == kindNull:
		node = alwaysTrue
	case x.path != nil:
		slot := c.slot(x.path, "nulls", openUnread)
		node = &absent{slot: slot, stat: nullStatistics(x.path)}
	case x.kind == kindBool:
		node = &unknown{conditionOf(x)}
	default:
		switch n := x.node.(type) {
		case values[int64]:
			node = &missing[int64]{n}
		case values[uint64]:
			node = &missing[uint64]{n}
		case values[float64]:
			node = &missing[float64]{n}
		case values[decimal]:
			node = &missing[decimal]{n}
		case values[string]:
			node = &missing[string]{n}
		}
	}
	if !want {
		node = &not{node}
	}
	return lenient(joined(kindBool, node, x))
}

// fold evaluates what has no column in it.
func fold(o *operand) {
	b := &block{n: 1, stopped: func() bool { return false }}
	switch n := o.node.(type) {
	case always:
	case condition:
		var t truth
		n.eval(b, &t)
		o.node = always{yes: t.yes.has(0), no: t.no.has(0), null: !t.yes.has(0) && !t.no.has(0)}
	case values[int64]:
		o.node = folded(b, n)
	case values[uint64]:
		o.node = folded(b, n)
	case values[float64]:
		o.node = folded(b, n)
	case values[decimal]:
		o.node = folded(b, n)
	case values[string]:
		o.node = folded(b, n)
	}
}

func folded[T any](b *block, n values[T]) *constant[T] {
	if done, ok := n.(*constant[T]); ok {
		return done
	}
	var v vector[T]
	n.eval(b, &v)
	return &constant[T]{value: v.values[0], null: !v.valid.has(0)}
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
