package scan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/internal/text"
)

// slot is a column that a filter needs, or what is within one.
type slot struct {
	field int
	path  []pathStep
	open  func(arrow.Array) any
	// encoded says that the values are those of a dictionary.
	encoded bool
}

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
	if value, ok := c.ofCaller(s.Operand()); ok && s.IsTestOnly() {
		return c.identityHas(e, value, s.FieldName())
	}
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
