package scan

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

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
