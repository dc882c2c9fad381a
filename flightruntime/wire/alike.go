package wire

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/flight-operator/flight-operator/internal/arrowmem"
)

// alikeDictionaries are those of the batch before that hold numbers with a point or text. arrow-go takes a dictionary for one that it has sent if
// its numbers are equal within a tolerance of 1e-5, and its text is but for zero bytes at the end, so that rows would get values of the batch
// before. Whoever writes has to know whether one has changed by so little.
type alikeDictionaries struct{ last []arrow.ArrayData }

// changed tells whether a batch has other dictionaries than the one before that arrow-go takes for the same, and keeps the batch's.
func (l *alikeDictionaries) changed(batch arrow.RecordBatch) bool {
	var now []arrow.ArrayData
	for _, column := range batch.Columns() {
		now = appendAlike(now, column.Data())
	}
	changed := l.last != nil && !slices.EqualFunc(l.last, now, func(a, b arrow.ArrayData) bool { return !mistaken(a, b) })
	for _, d := range now {
		d.Retain()
	}
	l.release()
	l.last = now
	return changed
}

func (l *alikeDictionaries) release() {
	for _, d := range l.last {
		d.Release()
	}
	l.last = nil
}

// mistaken is true of dictionaries that arrow-go takes for equal, as far as both go, and that are not.
func mistaken(a, b arrow.ArrayData) bool {
	n := int64(min(a.Len(), b.Len()))
	if n == 0 || arrowmem.Same(a, b) {
		return false
	}
	left, right := array.MakeFromData(a), array.MakeFromData(b)
	defer left.Release()
	defer right.Release()
	return array.SliceApproxEqual(left, 0, n, right, 0, n, array.WithNaNsEqual(true)) && !identical(left, right, n)
}

// identical is true if the first n values are the same, to the sign of a zero.
func identical(a, b arrow.Array, n int64) bool {
	if integers := integersOf(a.DataType()); integers != nil {
		left, right := retyped(a.Data(), integers), retyped(b.Data(), integers)
		defer left.Release()
		defer right.Release()
		a, b = array.MakeFromData(left), array.MakeFromData(right)
		defer a.Release()
		defer b.Release()
	}
	return array.SliceEqual(a, 0, n, b, 0, n)
}

// integersOf is the type of integers of the same width as a floating-point number; nil for other types.
func integersOf(dt arrow.DataType) arrow.DataType {
	switch dt.ID() {
	case arrow.FLOAT16:
		return arrow.PrimitiveTypes.Int16
	case arrow.FLOAT32:
		return arrow.PrimitiveTypes.Int32
	case arrow.FLOAT64:
		return arrow.PrimitiveTypes.Int64
	default:
		return nil
	}
}

func appendAlike(to []arrow.ArrayData, d arrow.ArrayData) []arrow.ArrayData {
	if dictionary := arrowmem.DictionaryOf(d); dictionary != nil {
		if holds(dictionary.DataType(), isApproximate) {
			to = append(to, dictionary)
		}
		to = appendAlike(to, dictionary)
	}
	for _, child := range d.Children() {
		to = appendAlike(to, child)
	}
	return to
}

// isApproximate is true of types whose values arrow-go compares approximately.
func isApproximate(dt arrow.DataType) bool {
	switch dt.ID() {
	case arrow.STRING, arrow.LARGE_STRING, arrow.STRING_VIEW:
		return true
	default:
		return arrow.IsFloating(dt.ID())
	}
}

// differsInV4 is true for types that have a validity bitmap in version 4 of Arrow's format, and none in version 5.
func differsInV4(dt arrow.DataType) bool {
	return arrow.IsUnion(dt.ID()) || dt.ID() == arrow.RUN_END_ENCODED
}

func isAlikeDictionary(dt arrow.DataType) bool {
	encoded, ok := dt.(*arrow.DictionaryType)
	return ok && holds(encoded.ValueType, isApproximate)
}

// holds tells whether something is true of a type or of any that is nested in it.
func holds(dt arrow.DataType, is func(arrow.DataType) bool) bool {
	switch dt := dt.(type) {
	case arrow.ExtensionType:
		return holds(dt.StorageType(), is)
	case *arrow.DictionaryType:
		return is(dt) || holds(dt.ValueType, is)
	case arrow.NestedType:
		return is(dt) || slices.ContainsFunc(dt.Fields(), func(f arrow.Field) bool { return holds(f.Type, is) })
	default:
		return is(dt)
	}
}
