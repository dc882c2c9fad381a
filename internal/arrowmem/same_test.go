package arrowmem_test

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/internal/arrowmem"
)

func TestSame(t *testing.T) {
	parse := func(dt arrow.DataType, values string) arrow.ArrayData {
		a, _, err := array.FromJSON(memory.DefaultAllocator, dt, strings.NewReader(values))
		if err != nil {
			t.Fatal(err)
		}
		return a.Data()
	}
	again := func(d arrow.ArrayData) arrow.ArrayData { // as a reader makes it anew for each batch
		if dictionary := arrowmem.DictionaryOf(d); dictionary != nil {
			return array.NewDataWithDictionary(d.DataType(), d.Len(), d.Buffers(), d.NullN(), d.Offset(), array.NewSliceData(dictionary, 0, int64(dictionary.Len())).(*array.Data))
		}
		return array.NewSliceData(d, 0, int64(d.Len()))
	}
	coded := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	for name, c := range map[string]struct {
		dt     arrow.DataType
		values string
	}{
		"text":       {arrow.BinaryTypes.String, `["a", null]`},
		"lists":      {arrow.ListOf(arrow.BinaryTypes.String), `[["a"], []]`},
		"dictionary": {coded, `["a", "b"]`},
	} {
		t.Run(name, func(t *testing.T) {
			d := parse(c.dt, c.values)
			if !arrowmem.Same(d, d) || !arrowmem.Same(d, again(d)) {
				t.Error("data are not the same as themselves")
			}
			if arrowmem.Same(d, parse(c.dt, c.values)) {
				t.Error("data elsewhere, of the same values, are the same")
			}
			if arrowmem.Same(d, array.NewSliceData(d, 0, 1)) || arrowmem.Same(array.NewSliceData(d, 0, 1), array.NewSliceData(d, 1, 2)) {
				t.Error("other rows of the same memory are the same")
			}
		})
	}
	one := parse(coded, `["a", "b"]`)
	other := array.NewDataWithDictionary(coded, one.Len(), one.Buffers(), 0, 0, arrowmem.DictionaryOf(parse(coded, `["c", "d"]`)))
	if arrowmem.Same(one, other) {
		t.Error("the same indices of other dictionaries are the same")
	}
}
