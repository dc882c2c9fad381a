package wire

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// floatingDictionaries are those of the batch before that hold floating-point numbers. arrow-go takes a dictionary for one that it has
// sent if they are equal within a tolerance of 1e-5, so that rows would get values of the batch before. Whoever writes has to know
// whether one has changed.
type floatingDictionaries struct{ last []arrow.ArrayData }

// changed tells whether a batch has other dictionaries than the one before, and keeps its.
func (f *floatingDictionaries) changed(batch arrow.RecordBatch) bool {
	var now []arrow.ArrayData
	for _, column := range batch.Columns() {
		now = appendFloating(now, column.Data())
	}
	if slices.EqualFunc(f.last, now, equalDictionaries) {
		return false
	}
	first := f.last == nil
	for _, d := range now {
		d.Retain()
	}
	f.release()
	f.last = now
	return !first
}

func (f *floatingDictionaries) release() {
	for _, d := range f.last {
		d.Release()
	}
	f.last = nil
}

func equalDictionaries(a, b arrow.ArrayData) bool {
	if a == b {
		return true
	}
	left, right := array.MakeFromData(a), array.MakeFromData(b)
	defer left.Release()
	defer right.Release()
	return array.Equal(left, right)
}

func appendFloating(to []arrow.ArrayData, d arrow.ArrayData) []arrow.ArrayData {
	if dictionary, ok := d.Dictionary().(*array.Data); ok && dictionary != nil {
		if holds(dictionary.DataType(), isFloat) {
			to = append(to, dictionary)
		}
		to = appendFloating(to, dictionary)
	}
	for _, child := range d.Children() {
		to = appendFloating(to, child)
	}
	return to
}

func isFloat(dt arrow.DataType) bool { return arrow.IsFloating(dt.ID()) }

// differsInV4 is true for types that have a validity bitmap in version 4 of Arrow's format, and none in version 5.
func differsInV4(dt arrow.DataType) bool {
	return arrow.IsUnion(dt.ID()) || dt.ID() == arrow.RUN_END_ENCODED
}

func isFloatingDictionary(dt arrow.DataType) bool {
	encoded, ok := dt.(*arrow.DictionaryType)
	return ok && holds(encoded.ValueType, isFloat)
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
