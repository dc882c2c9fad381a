package arrowmem

import (
	"slices"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Same is true of data of one type that lie in the same memory, and so have the same values. Data that are not may have these nevertheless.
func Same(a, b arrow.ArrayData) bool {
	return a == b || a.Len() == b.Len() && a.Offset() == b.Offset() &&
		slices.EqualFunc(a.Buffers(), b.Buffers(), sameBuffer) && slices.EqualFunc(a.Children(), b.Children(), Same) && sameDictionary(a, b)
}

func sameBuffer(a, b *memory.Buffer) bool {
	return a == b || a != nil && b != nil && a.Len() == b.Len() && unsafe.SliceData(a.Bytes()) == unsafe.SliceData(b.Bytes())
}

func sameDictionary(a, b arrow.ArrayData) bool {
	x, y := DictionaryOf(a), DictionaryOf(b)
	return x == y || x != nil && y != nil && Same(x, y)
}

// DictionaryOf is the dictionary of data, nil if they have none: what their method gives then is an interface that is not nil.
func DictionaryOf(data arrow.ArrayData) *array.Data {
	dictionary, _ := data.Dictionary().(*array.Data)
	return dictionary
}
