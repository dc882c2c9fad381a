package scan

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"

	"github.com/flight-operator/flight-operator/internal/text"
)

// functions of the filter language, as messages list them.
var functions = func() []string {
	names := []string{"bool", "bytes", "date", "double", "duration", "has", "int", "matches", "size", "string", "timestamp", "uint"}
	names = slices.AppendSeq(names, maps.Keys(textTests))
	names = slices.AppendSeq(names, maps.Keys(calendar))
	slices.Sort(names)
	return names
}()

// comprehensions are functions of CEL that look at all elements of a list, or make another list.
var comprehensions = []string{"all", "exists", "exists_one", "existsOne", "map", "filter", "transformList", "transformMap"}

// function compiles a call of a function, or of a method, whose target counts as the first argument.
func (c *compiler) function(e ast.Expr) (operand, error) {
	call := e.AsCall()
	name := call.FunctionName()
	if slices.Contains(comprehensions, name) {
		return operand{}, c.errorf(e, "%s() is not supported: a filter looks at one row at a time, and into lists with x in tags, tags[0] and size(tags)", name)
	}
	if !slices.Contains(functions, name) {
		if name == "type" || name == "dyn" {
			return operand{}, c.errorf(e, "%s() is not supported: every column has one type, which the schema tells", name)
		}
		if similar := text.Similar(name, functions); similar != "" {
			return operand{}, c.errorf(e, "there is no function %s: did you mean %s?", quoted(name), quoted(similar))
		}
		return operand{}, c.errorf(e, "there is no function %s: there are %s", quoted(name), strings.Join(functions, ", "))
	}
	_, isCalendar := calendar[name]
	_, isText := textTests[name]
	if call.IsMemberFunction() {
		if !isCalendar && !isText && name != "size" && name != "matches" {
			return operand{}, c.errorf(e, "%s is no method: write %s(x)", name, name)
		}
	} else if isCalendar || isText {
		return operand{}, c.errorf(e, "%s is a method: write x.%s(...)", name, name)
	}
	args := call.Args()
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	least, most := 1, 1
	switch {
	case isCalendar:
		most = 2
	case isText || name == "matches":
		least, most = 2, 2
	}
	if len(args) < least || len(args) > most {
		return operand{}, c.errorf(e, "%s", arity(name, call.IsMemberFunction(), least, most, len(args)))
	}
	operands := make([]operand, len(args))
	for i, arg := range args {
		var err error
		if operands[i], err = c.operand(arg); err != nil {
			return operand{}, err
		}
		if operands[i].isNull() {
			return operand{}, c.errorf(e, "%s() of null is null whatever the row", name)
		}
	}
	x := operands[0]
	switch {
	case isCalendar:
		return c.calendarCall(e, name, operands)
	case isText:
		return c.textCall(e, name, x, operands[1])
	case name == "matches":
		return c.matches(e, x, operands[1])
	case name == "size":
		return c.size(e, x)
	default:
		return c.conversion(e, name, x)
	}
}

// arity says how many arguments a function takes.
func arity(name string, method bool, least, most, got int) string {
	if method {
		least, most, got = least-1, most-1, got-1
	}
	expected := strconv.Itoa(least)
	if most > least {
		expected = fmt.Sprintf("%d or %d", least, most)
	}
	noun := "arguments"
	if most == 1 {
		noun = "argument"
	}
	return fmt.Sprintf("%s() takes %s %s, and gets %d", name, expected, noun, got)
}

// calendarCall compiles x.getHours() and its like, of timestamps with or without a zone, and of durations.
func (c *compiler) calendarCall(e ast.Expr, name string, args []operand) (operand, error) {
	x := args[0]
	unit, ofSpans := spans[name]
	switch {
	case x.kind == kindNull:
		return joined(kindNull, nil, x), nil
	case x.kind == kindTimestamp:
		zone := time.UTC
		if len(args) == 2 {
			literal, ok := args[1].node.(*constant[string])
			if !ok || args[1].kind != kindString {
				return operand{}, c.errorf(e, "%s() takes a time zone in quotes, such as 'Europe/Amsterdam', not %s", name, args[1].describe())
			}
			var err error
			if zone, err = zoneOf(literal.value); err != nil {
				return operand{}, c.errorf(args[1].expr, "%w", err)
			}
		}
		return joined(kindInt, calendarField(name, x.node.(values[int64]), x.tick, zone), args...), nil
	case x.kind == kindDuration && ofSpans && len(args) == 1:
		return joined(kindInt, span(x.node.(values[int64]), x.tick, unit), x), nil
	case x.kind == kindDuration && ofSpans:
		return operand{}, c.errorf(e, "%s() of a duration takes no time zone", name)
	default:
		return operand{}, c.errorf(e, "%s has no %s(): timestamps and dates have", x.describe(), name)
	}
}

// textCall compiles x.startsWith(y) and its like.
func (c *compiler) textCall(e ast.Expr, name string, x, y operand) (operand, error) {
	if x.kind == kindNull || y.kind == kindNull {
		return joined(kindBool, alwaysNull, x, y), nil
	}
	if err := c.strings(e, name, x, y); err != nil {
		return operand{}, err
	}
	value := x.node.(values[string])
	if literal, ok := y.node.(*constant[string]); ok && !literal.null {
		test := &textTest{x: value, mark: markAll(name, literal.value), prefix: literal.value, isPrefix: name == "startsWith"}
		return c.overDictionary(joined(kindBool, test, x, y)), nil
	}
	return joined(kindBool, &textPairTest{value, y.node.(values[string]), textTests[name]}, x, y), nil
}

// strings makes sure that operands are.
func (c *compiler) strings(e ast.Expr, name string, operands ...operand) error {
	for _, o := range operands {
		if o.kind != kindString {
			return c.errorf(e, "%s() is for strings, and %s is none", name, o.describe())
		}
	}
	return nil
}

// matches compiles x.matches(y).
func (c *compiler) matches(e ast.Expr, x, y operand) (operand, error) {
	if x.kind == kindNull {
		return joined(kindBool, alwaysNull, x), nil
	}
	literal, ok := y.node.(*constant[string])
	if err := c.strings(e, "matches", x, y); err != nil {
		return operand{}, err
	}
	if !ok || literal.null {
		return operand{}, c.errorf(e, "matches() takes a pattern in quotes, not %s", y.describe())
	}
	pattern, cost, err := compilePattern(literal.value, maxPatternCost-c.patternCost)
	if err != nil {
		return operand{}, c.errorf(y.expr, "%w", err)
	}
	c.patternCost += cost
	return c.overDictionary(joined(kindBool, &textTest{x: x.node.(values[string]), mark: markEach(pattern.MatchString)}, x, y)), nil
}

// size compiles size(x).
func (c *compiler) size(e ast.Expr, x operand) (operand, error) {
	switch x.kind {
	case kindNull:
		return joined(kindNull, nil, x), nil
	case kindString:
		return joined(kindInt, &mapped[string, int64]{x: x.node.(values[string]), f: countRunes}, x), nil
	case kindBytes:
		return joined(kindInt, &mapped[string, int64]{x: x.node.(values[string]), f: countBytes}, x), nil
	case kindList, kindMap:
		return joined(kindInt, &sizes{c.slot(x.path, "sizes", openLists)}, x), nil
	default:
		return operand{}, c.errorf(e, "%s has no size(): strings, bytes, lists and maps have", x.describe())
	}
}

func countRunes(s string) (int64, bool) { return int64(utf8.RuneCountInString(s)), true }

func countBytes(s string) (int64, bool) { return int64(len(s)), true }
