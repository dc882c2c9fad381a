package scan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/internal/text"
)

// What a filter may cost to compile, and each of its blocks to evaluate.
const (
	// maxFilterBytes has room for a list of a thousand names or a few thousand numbers.
	maxFilterBytes = 32 << 10
	// maxFilterDepth is of parentheses, operators and calls in each other. A chain of && or || has the depth of its deepest part.
	maxFilterDepth = 100
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

	slots []slot
	// bySlot are the slots that can be shared, by what they open.
	bySlot map[string]int
	// verdicts are how many conditions are evaluated for each value of a dictionary.
	verdicts int
	// patternCost is that of all regular expressions.
	patternCost int
}

// slot is a column that a filter needs, or what is within one.
type slot struct {
	field int
	path  []pathStep
	open  func(arrow.Array) any
	// encoded says that the values are those of a dictionary.
	encoded bool
}

// operand is a part of a filter, compiled.
type operand struct {
	shape
	expr ast.Expr
	// node is a condition for booleans, else values of the Go type that package vector has for the kind. It is nil for nested kinds, nulls
	// and what is no value in this language.
	node any
	// path is where the operand stands, if it is a column or within one.
	path *path
	// literal says that no column is involved.
	literal bool
	// slot is that of the only column involved, -1 if there are several or none. strict says that where that is null, so is the operand.
	slot   int
	strict bool
}

// isNull is true for null as it is written, which is not what a column of nulls is.
func (o operand) isNull() bool { return o.kind == kindNull && o.literal }

// path is a place within the rows.
type path struct {
	field int
	steps []pathStep
	// name as a filter writes it.
	name string
	// key is the same for the same place. It is empty if the place depends on the row.
	key string
	typ arrow.DataType
}

// compileFilter compiles a filter. Its errors name the position.
func compileFilter(filter string, schema *arrow.Schema) (condition, *compiler, error) {
	if len(filter) > maxFilterBytes {
		return nil, nil, fmt.Errorf("the filter has %d bytes, at most %d are read", len(filter), maxFilterBytes)
	}
	if !utf8.ValidString(filter) {
		return nil, nil, errors.New("the filter is not UTF-8")
	}
	if strings.TrimSpace(filter) == "" {
		return nil, nil, errors.New("the filter is blank: expected a condition, such as fare > 10.0, or no filter at all")
	}
	c := &compiler{filter: filter, schema: schema, bySlot: map[string]int{}}
	parsed, errs := filterParser.Parse(common.NewTextSource(filter))
	if all := errs.GetErrors(); len(all) > 0 {
		return nil, nil, c.syntaxError(all[0])
	}
	c.info = parsed.SourceInfo()
	o, err := c.operand(parsed.Expr())
	if err != nil {
		return nil, nil, err
	}
	if o.isNull() {
		return nil, nil, c.errorf(o.expr, "the filter is null: expected a condition, such as x == null")
	}
	if o.kind != kindBool && o.kind != kindNull {
		return nil, nil, c.errorf(o.expr, "the filter is %s: expected a condition, such as %s", o.describe(), o.exampleCondition())
	}
	return conditionOf(o), c, nil
}

// exampleCondition shows what could be meant by a filter that is no condition.
func (o operand) exampleCondition() string {
	name := "x"
	if o.path != nil && len(o.path.name) <= mostShown {
		name = o.path.name
	}
	switch o.kind {
	case kindString:
		return name + " == 'a'"
	case kindInt, kindUint, kindDouble, kindDecimal:
		return name + " > 0"
	default:
		return name + " != null"
	}
}

// syntaxError is an error of the parser's in our words.
func (c *compiler) syntaxError(e *common.Error) error {
	message := strings.TrimPrefix(e.Message, "Syntax error: ")
	if strings.Contains(message, "recursion limit exceeded") {
		return fmt.Errorf("the filter is nested more than %d deep: write it flatter", maxFilterDepth)
	}
	rest := c.textFrom(e.Location)
	word := rest[:len(rest)-len(strings.TrimLeftFunc(rest, func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }))]
	switch {
	case rest == "":
		message = "the filter ends where more is expected: is something missing after an operator, or a bracket?"
	case strings.HasPrefix(message, "invalid argument to has() macro"):
		message = "has() takes a field, as in has(address.city)"
	case strings.HasPrefix(message, "invalid int literal"), strings.HasPrefix(message, "invalid uint literal"):
		message = fmt.Sprintf("%s is no number of 64 bits", cut(word))
	case strings.HasPrefix(message, "unterminated"):
		message = fmt.Sprintf("the quote that begins at %s is never closed", quoted(rest))
	case rest[0] == '=':
		message = "a comparison is written =="
	case reserved(word) || word != "" && word[0] >= utf8.RuneSelf:
		message = fmt.Sprintf("%s: a column whose name is a word of CEL's own or has other characters than A-Z, a-z, 0-9 and _ is written %s['name']",
			quoted(rest), rowName)
	default:
		message = fmt.Sprintf("%s, at %s", message, quoted(rest))
	}
	return fmt.Errorf("filter, %s: %s", c.position(e.Location), message)
}

// textFrom is the filter from a place on.
func (c *compiler) textFrom(l common.Location) string {
	lines := strings.Split(c.filter, "\n")
	if l.Line() < 1 || l.Line() > len(lines) {
		return ""
	}
	line := []rune(lines[l.Line()-1])
	lines[l.Line()-1] = string(line[min(max(l.Column(), 0), len(line)):])
	return strings.TrimSpace(strings.Join(lines[l.Line()-1:], "\n"))
}

// position is a place in the filter as messages name it.
func (c *compiler) position(l common.Location) string {
	if strings.Contains(c.filter, "\n") {
		return fmt.Sprintf("line %d, column %d", l.Line(), l.Column()+1)
	}
	return fmt.Sprintf("column %d", l.Column()+1)
}

// errorf is an error at the place of an expression: at the operator if it has one, at the name if it is a call.
func (c *compiler) errorf(e ast.Expr, format string, args ...any) error {
	at := c.info.GetStartLocation(e.ID())
	if e.Kind() == ast.CallKind {
		// The place of a call is its parenthesis.
		name := e.AsCall().FunctionName()
		if r, ok := c.info.GetOffsetRange(e.ID()); ok {
			before := []rune(c.filter)[:r.Start]
			if strings.HasSuffix(string(before), name) {
				at = c.info.GetLocationByOffset(r.Start - int32(utf8.RuneCountInString(name)))
			}
		}
	}
	return fmt.Errorf("filter, %s: %w", c.position(at), fmt.Errorf(format, args...))
}

// describe names an operand and its type.
func (o operand) describe() string {
	switch {
	case o.path != nil:
		return fmt.Sprintf("%s (%s)", cut(o.path.name), cut(format.TypeName(o.path.typ)))
	case o.kind == kindNull:
		return "null"
	case o.expr.Kind() == ast.LiteralKind:
		return fmt.Sprintf("%s (%s)", showLiteral(o), o.kind)
	case o.kind == kindInt:
		return "an int"
	default:
		return "a " + o.kind.String()
	}
}

func showLiteral(o operand) string {
	switch l := o.expr.AsLiteral().(type) {
	case types.String:
		return "'" + cut(string(l)) + "'"
	case types.Bytes:
		return "b'…'"
	default:
		return fmt.Sprint(l.Value())
	}
}

// operand compiles an expression.
func (c *compiler) operand(e ast.Expr) (operand, error) {
	var (
		o   operand
		err error
	)
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
	case types.String:
		o.kind, o.node = kindString, &constant[string]{value: string(l)}
	case types.Bytes:
		o.kind, o.node = kindBytes, &constant[string]{value: string(l)}
	default:
		return o, c.errorf(e, "this literal is not supported in a filter")
	}
	return o, nil
}

// rowName is what columns whose names are no identifiers are found in: row['pick-up time'].
const rowName = "row"

// columnName is how a filter writes a column's name.
func columnName(name string) string {
	for i, r := range name {
		if r > unicode.MaxASCII || r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return rowName + "['" + name + "']"
		}
	}
	if name == "" || reserved(name) {
		return rowName + "['" + name + "']"
	}
	return name
}

// reserved is true for words that are no names in CEL.
func reserved(word string) bool {
	switch word {
	case "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "package", "namespace",
		"null", "return", "true", "var", "void", "while":
		return true
	default:
		return false
	}
}

// column compiles the name of a column.
func (c *compiler) column(e ast.Expr, name string) (operand, error) {
	field, err := fieldIndex(c.schema, name)
	if err != nil {
		if name == rowName {
			err = errors.New("row has the columns whose names need quotes, as in row['pick-up time'], and is nothing by itself")
		}
		return operand{}, c.errorf(e, "%w", err)
	}
	return c.at(e, &path{field: field, name: columnName(name), key: strconv.Itoa(field), typ: c.schema.Field(field).Type})
}

// fieldIndex finds a column of a schema by its name.
func fieldIndex(schema *arrow.Schema, name string) (int, error) {
	switch found := schema.FieldIndices(name); len(found) {
	case 1:
		return found[0], nil
	case 0:
		names := make([]string, schema.NumFields())
		for i, f := range schema.Fields() {
			names[i] = f.Name
		}
		return 0, fmt.Errorf("there is no column %s: %s", quoted(name), alternatives(name, "columns", names))
	default:
		return 0, fmt.Errorf("there are %d columns called %s: which one is meant cannot be said", len(found), quoted(name))
	}
}

// alternatives says what could have been meant by a name that there is not, and what there is.
func alternatives(name, things string, names []string) string {
	if len(names) == 0 {
		return "there are no " + things
	}
	const most = 20
	shown := make([]string, 0, most)
	for _, n := range names[:min(most, len(names))] {
		shown = append(shown, cut(n))
	}
	list := fmt.Sprintf("the %s are %s", things, strings.Join(shown, ", "))
	if more := len(names) - most; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	if similar := text.Similar(name, names); similar != "" {
		return fmt.Sprintf("did you mean %s? %s", quoted(similar), "T"+list[1:])
	}
	return list
}

// at compiles what a path leads to.
func (c *compiler) at(e ast.Expr, p *path) (operand, error) {
	o := operand{shape: shapeOf(p.typ), expr: e, path: p, slot: -1, strict: true}
	switch o.kind {
	case kindBool:
		o.slot = c.slot(p, "values", openFlags)
		o.node = &flag{slot: o.slot, stat: flagStatistics(p)}
	case kindInt, kindTimestamp, kindDuration:
		o.slot = c.slot(p, "values", openInt)
		o.node = &column[int64]{slot: o.slot, stat: statistics(p, intOf, ofInts.compare)}
	case kindUint:
		o.slot = c.slot(p, "values", openUints)
		o.node = &column[uint64]{slot: o.slot, stat: statistics(p, uintOf, ofUints.compare)}
	case kindDouble:
		o.slot = c.slot(p, "values", openDoubles)
		o.node = &column[float64]{slot: o.slot, stat: doubleStatistics(p)}
	case kindDecimal:
		o.slot = c.slot(p, "values", openDecimals)
		o.node = &column[decimal]{slot: o.slot, stat: statistics(p, decimalOf, ofDecimals.compare)}
	case kindString, kindBytes:
		o.slot = c.slot(p, "values", openTexts)
		o.node = &column[string]{slot: o.slot, stat: statistics(p, textOf, ofTexts.compare)}
	case kindUnion:
		return o, c.errorf(e, "%s is a union: a filter can name none", o.describe())
	case kindNull, kindList, kindMap, kindStruct, kindOther: // values within, if any, have paths of their own
	}
	return o, nil
}

// slot is the number of what opens a path.
func (c *compiler) slot(p *path, purpose string, open func(arrow.Array) any) int {
	key := purpose + " " + p.key
	if n, ok := c.bySlot[key]; ok && p.key != "" {
		return n
	}
	n := len(c.slots)
	c.slots = append(c.slots, slot{field: p.field, path: p.steps, open: open, encoded: dictionaryEncoded(p.typ)})
	c.bySlot[key] = n
	return n
}

// within is a path further in. key is empty if where it leads depends on the row.
func (p *path) within(name, key string, typ arrow.DataType, s pathStep) *path {
	if p.key == "" || key == "" {
		key = ""
	} else {
		key = p.key + "." + key
	}
	return &path{field: p.field, steps: append(slices.Clip(p.steps), s), name: p.name + name, key: key, typ: typ}
}

// selection compiles a.b, and has(a.b).
func (c *compiler) selection(e ast.Expr) (operand, error) {
	s := e.AsSelect()
	of, err := c.operand(s.Operand())
	if err != nil {
		return operand{}, err
	}
	var o operand
	switch of.kind {
	case kindStruct:
		o, err = c.field(e, of, s.FieldName())
	case kindMap:
		key := operand{shape: shape{kind: kindString}, expr: e, node: &constant[string]{value: s.FieldName()}, literal: true, slot: -1}
		if s.IsTestOnly() {
			return c.containment(e, key, of)
		}
		o, err = c.entry(e, of, key, "."+s.FieldName())
	default:
		return operand{}, c.errorf(e, "%s has no fields, so none called %s", of.describe(), quoted(s.FieldName()))
	}
	if err != nil || !s.IsTestOnly() {
		return o, err
	}
	return c.null(o, false), nil
}

// field compiles a field of a struct.
func (c *compiler) field(e ast.Expr, of operand, name string) (operand, error) {
	t := plain(of.path.typ).(*arrow.StructType)
	i, ok := t.FieldIdx(name)
	if !ok {
		names := make([]string, t.NumFields())
		for i, f := range t.Fields() {
			names[i] = f.Name
		}
		return operand{}, c.errorf(e, "%s has no field %s: %s", of.describe(), quoted(name), alternatives(name, "fields", names))
	}
	return c.at(e, of.path.within("."+name, strconv.Itoa(i), t.Field(i).Type, fieldStep(i)))
}

// entry compiles the value of a key of a map.
func (c *compiler) entry(e ast.Expr, of, key operand, name string) (operand, error) {
	t := plain(of.path.typ).(*arrow.MapType)
	key, err := c.wanted(e, key, of, t.KeyType())
	if err != nil {
		return operand{}, err
	}
	var s pathStep
	switch n := key.node.(type) {
	case values[int64]:
		s = entryStep(n, openInt)
	case values[uint64]:
		s = entryStep(n, openUints)
	case values[string]:
		s = entryStep(n, openTexts)
	default:
		return operand{}, c.errorf(e, "%s cannot be looked into: only keys that are strings, bytes, integers, times or durations are supported", of.describe())
	}
	return c.at(e, of.path.within(name, "", t.ItemType(), s))
}

// index compiles a[b].
func (c *compiler) index(e ast.Expr, args []ast.Expr) (operand, error) {
	if args[0].Kind() == ast.IdentKind && args[0].AsIdent() == rowName && args[1].Kind() == ast.LiteralKind {
		if name, ok := args[1].AsLiteral().(types.String); ok {
			return c.column(args[1], string(name))
		}
	}
	of, at, err := c.two(args)
	if err != nil {
		return operand{}, err
	}
	switch of.kind {
	case kindList:
		index, ok := at.node.(values[int64])
		if !ok || at.kind != kindInt {
			return operand{}, c.errorf(e, "an element of %s is found by an int, not by %s", of.describe(), at.describe())
		}
		t := plain(of.path.typ).(arrow.ListLikeType)
		return c.at(e, of.path.within("[…]", "", t.Elem(), elementStep(index)))
	case kindMap:
		return c.entry(e, of, at, "[…]")
	case kindStruct:
		if name, ok := at.node.(*constant[string]); ok && at.kind == kindString {
			return c.field(e, of, name.value)
		}
		return operand{}, c.errorf(e, "a field of %s is found by its name in quotes, not by %s", of.describe(), at.describe())
	default:
		return operand{}, c.errorf(e, "%s has no elements: lists, maps and structs have", of.describe())
	}
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
