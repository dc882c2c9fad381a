package format

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// Difference says in words where schema b, which messages call bName, departs from a, metadata apart; it is empty if it does not.
func Difference(bName string, b *arrow.Schema, aName string, a *arrow.Schema) string {
	return difference(bName, b, aName, a)
}

// difference says in words where schema b, of the object called bName, departs from a; it is empty if it does not.
func difference(bName string, b *arrow.Schema, aName string, a *arrow.Schema) string {
	for i, fb := range b.Fields() {
		if i >= a.NumFields() {
			return fmt.Sprintf("%s has a column %d, %s, and %s has only %d columns", bName, i+1, describe(fb), aName, a.NumFields())
		}
		fa := a.Field(i)
		switch {
		case fa.Name != fb.Name:
			return fmt.Sprintf("%s has %s as column %d, %s has %s there", bName, quoted(fb.Name), i+1, aName, quoted(fa.Name))
		case !sameType(fa.Type, fb.Type):
			return fmt.Sprintf("%s has column %s, %s has %s", bName, describe(fb), aName, describe(fa))
		case fa.Nullable != fb.Nullable:
			return fmt.Sprintf("%s has column %s %s, %s has it %s", bName, quoted(fb.Name), nullability(fb), aName, nullability(fa))
		}
	}
	if n := b.NumFields(); n < a.NumFields() {
		return fmt.Sprintf("%s has no column %s (it has %d columns, %s has %d)", bName, quoted(a.Field(n).Name), n, aName, a.NumFields())
	}
	return ""
}

// sameType is equality of types, metadata apart. Unlike arrow.TypeEqual it leaves out that of all nested types, and the names of fields
// that no one refers to: one writer calls a list's values item, another element.
func sameType(a, b arrow.DataType) bool {
	na, ok := a.(arrow.NestedType)
	nb, okB := b.(arrow.NestedType)
	if !ok || !okB {
		return arrow.TypeEqual(a, b)
	}
	if a.ID() != b.ID() || na.NumFields() != nb.NumFields() {
		return false
	}
	switch a := a.(type) {
	case *arrow.FixedSizeListType:
		if a.Len() != b.(*arrow.FixedSizeListType).Len() {
			return false
		}
	case *arrow.MapType:
		if a.KeysSorted != b.(*arrow.MapType).KeysSorted {
			return false
		}
	case arrow.UnionType:
		if !slices.Equal(a.TypeCodes(), b.(arrow.UnionType).TypeCodes()) {
			return false
		}
	}
	for i, fa := range na.Fields() {
		fb := nb.Fields()[i]
		named := a.ID() == arrow.STRUCT || a.ID() == arrow.SPARSE_UNION || a.ID() == arrow.DENSE_UNION
		if named && fa.Name != fb.Name || fa.Nullable != fb.Nullable || !sameType(fa.Type, fb.Type) {
			return false
		}
	}
	return true
}

func nullability(f arrow.Field) string {
	if f.Nullable {
		return "nullable"
	}
	return "not nullable"
}

// describe is a field as pyarrow's users write it: name: type.
func describe(f arrow.Field) string { return quoted(f.Name) + ": " + typeName(f.Type) }

// typeName is a type by the name that pyarrow gives it.
func typeName(t arrow.DataType) string {
	switch t := t.(type) {
	case *arrow.Float16Type:
		return "halffloat"
	case *arrow.Float32Type:
		return "float"
	case *arrow.Float64Type:
		return "double"
	case *arrow.StringType:
		return "string"
	case *arrow.LargeStringType:
		return "large_string"
	case *arrow.Date32Type:
		return "date32[day]"
	case *arrow.Date64Type:
		return "date64[ms]"
	case *arrow.ListType:
		return "list<" + t.ElemField().Name + ": " + typeName(t.Elem()) + ">"
	case *arrow.StructType:
		fields := make([]string, t.NumFields())
		for i, f := range t.Fields() {
			fields[i] = f.Name + ": " + typeName(f.Type)
		}
		return "struct<" + strings.Join(fields, ", ") + ">"
	case *arrow.DictionaryType:
		return "dictionary<values=" + typeName(t.ValueType) + ", indices=" + typeName(t.IndexType) + ">"
	case *arrow.TimestampType:
		if t.TimeZone == "" {
			return "timestamp[" + t.Unit.String() + "]"
		}
		return "timestamp[" + t.Unit.String() + ", tz=" + t.TimeZone + "]"
	default:
		return t.String()
	}
}

// mostShown bytes of what a file says stand in a message: enough to find the place.
const mostShown = 80

// quoted is text from a file as it may stand in a message: visible, and cut if long.
func quoted(s string) string {
	return fmt.Sprintf("%q", cut(s))
}

// cut shortens text from a file for a message.
func cut(s string) string {
	if len(s) <= mostShown {
		return s
	}
	return strings.ToValidUTF8(s[:mostShown], "") + "…"
}
