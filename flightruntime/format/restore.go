package format

import (
	"fmt"
	"maps"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Types that Arrow has and Parquet has not stand in the schema that Arrow's writers store beside Parquet's own. Those that arrow-go does not
// restore are restored here, as pyarrow restores them: zones of timestamps, decimals of 32 and 64 bits, views, and that the keys of maps are sorted.

// restored is a type read from Parquet as it was when it was written, given its type in the stored schema. What does not fit together
// stays as it is.
func restored(t, stored arrow.DataType) arrow.DataType {
	if e, ok := stored.(arrow.ExtensionType); ok {
		known, isExtension := t.(arrow.ExtensionType)
		if isExtension {
			t = known.StorageType()
		}
		storage := restored(t, e.StorageType())
		switch {
		case arrow.TypeEqual(storage, e.StorageType()):
			return e
		case isExtension:
			return known
		default:
			return storage
		}
	}
	switch t := t.(type) {
	case *arrow.TimestampType:
		// arrow-go does so only where the units are the same, but Parquet has no seconds, so that these are stored as milliseconds.
		if was, ok := stored.(*arrow.TimestampType); ok && t.TimeZone == "UTC" && was.TimeZone != "" {
			return &arrow.TimestampType{Unit: t.Unit, TimeZone: was.TimeZone}
		}
	case *arrow.Decimal128Type:
		if was, ok := stored.(arrow.DecimalType); ok && narrower(was) && was.GetPrecision() == t.Precision && was.GetScale() == t.Scale {
			return was
		}
	case *arrow.StringType:
		if stored.ID() == arrow.STRING_VIEW {
			return stored
		}
	case *arrow.BinaryType:
		if stored.ID() == arrow.BINARY_VIEW {
			return stored
		}
	case *arrow.StructType:
		if was, ok := stored.(*arrow.StructType); ok && was.NumFields() == t.NumFields() {
			return arrow.StructOf(restoredFields(t.Fields(), was.Fields())...)
		}
	case *arrow.MapType:
		if was, ok := stored.(*arrow.MapType); ok {
			m := arrow.MapOfFields(restoredField(t.KeyField(), was.KeyField()), restoredField(t.ItemField(), was.ItemField()))
			m.KeysSorted = was.KeysSorted
			return m
		}
	case arrow.ListLikeType:
		if was, ok := stored.(arrow.ListLikeType); ok {
			return restoredList(t, restoredField(t.ElemField(), was.ElemField()), stored)
		}
	}
	return t
}

func narrower(t arrow.DecimalType) bool {
	return t.ID() == arrow.DECIMAL32 || t.ID() == arrow.DECIMAL64
}

func restoredField(f, stored arrow.Field) arrow.Field {
	f.Type = restored(f.Type, stored.Type)
	if stored.HasMetadata() {
		f.Metadata = merged(f.Metadata, stored.Metadata) // pqarrow drops those of a list's elements, and of dictionaries that are read as their values
	}
	return f
}

// merged are the metadata of both, the second's where they differ.
func merged(a, b arrow.Metadata) arrow.Metadata {
	all := a.ToMap()
	maps.Copy(all, b.ToMap())
	return arrow.MetadataFrom(all)
}

func restoredFields(fields, stored []arrow.Field) []arrow.Field {
	out := make([]arrow.Field, len(fields))
	for i, f := range fields {
		out[i] = restoredField(f, stored[i])
	}
	return out
}

// restoredList is the type of lists of that element, as views if they were stored as views.
func restoredList(t arrow.ListLikeType, element arrow.Field, stored arrow.DataType) arrow.DataType {
	switch t := t.(type) {
	case *arrow.ListType:
		switch stored.ID() {
		case arrow.LIST_VIEW:
			return arrow.ListViewOfField(element)
		case arrow.LARGE_LIST_VIEW:
			return arrow.LargeListViewOfField(element)
		default:
			return arrow.ListOfField(element)
		}
	case *arrow.LargeListType:
		return arrow.LargeListOfField(element)
	case *arrow.FixedSizeListType:
		return arrow.FixedSizeListOfField(t.Len(), element)
	default:
		return t
	}
}

// conversion makes an array's data of another type. The caller releases them; those given stay his.
type conversion func(mem memory.Allocator, data arrow.ArrayData, to arrow.DataType) (arrow.ArrayData, error)

// converter is how data get from a type of Parquet's to a restored one that lays them out in another way; nil if it does not.
func converter(from, to arrow.DataType) conversion {
	switch {
	case from.ID() != arrow.EXTENSION && to.ID() == arrow.EXTENSION:
		return extend
	case from.ID() == arrow.DECIMAL128 && to.ID() == arrow.DECIMAL32:
		return narrowDecimals[int32]
	case from.ID() == arrow.DECIMAL128 && to.ID() == arrow.DECIMAL64:
		return narrowDecimals[int64]
	case from.ID() == arrow.STRING && to.ID() == arrow.STRING_VIEW, from.ID() == arrow.BINARY && to.ID() == arrow.BINARY_VIEW:
		return viewText
	case from.ID() == arrow.LIST && to.ID() == arrow.LIST_VIEW:
		return viewLists[int32]
	case from.ID() == arrow.LIST && to.ID() == arrow.LARGE_LIST_VIEW:
		return viewLists[int64]
	default:
		return nil
	}
}

// extend makes an extension of its storage.
func extend(mem memory.Allocator, data arrow.ArrayData, to arrow.DataType) (arrow.ArrayData, error) {
	storage, err := retype(mem, data, to.(arrow.ExtensionType).StorageType())
	if err != nil {
		return nil, err
	}
	defer storage.Release()
	return rename(mem, storage, to)
}

// rename leaves the data as they are.
func rename(_ memory.Allocator, data arrow.ArrayData, to arrow.DataType) (arrow.ArrayData, error) {
	return renamed(data, to, data.Children())
}

// narrowDecimals leaves out the upper bits of decimals whose precision does without them.
func narrowDecimals[T int32 | int64](mem memory.Allocator, data arrow.ArrayData, to arrow.DataType) (arrow.ArrayData, error) {
	decimals := array.NewDecimal128Data(data)
	defer decimals.Release()
	buffer := bufferOf[T](mem, data.Len())
	values := arrow.GetData[T](buffer.Bytes())
	for i, v := range decimals.Values() {
		low := int64(v.LowBits())
		if decimals.IsNull(i) {
			values[i] = 0
			continue
		}
		if values[i] = T(low); v.HighBits() != low>>63 || int64(values[i]) != low {
			buffer.Release()
			return nil, fmt.Errorf("the value %s does not fit in its type, %s: the file is damaged", decimals.ValueStr(i), typeName(to))
		}
	}
	return laidOut(to, data, nil, validity(mem, data), buffer), nil
}

// viewText makes views that point into the text as it is.
func viewText(mem memory.Allocator, data arrow.ArrayData, to arrow.DataType) (arrow.ArrayData, error) {
	buffer := memory.NewResizableBuffer(mem)
	buffer.Resize(arrow.ViewHeaderTraits.BytesRequired(data.Len()))
	views := arrow.ViewHeaderTraits.CastFromBytes(buffer.Bytes())
	clear(views)
	buffers := []*memory.Buffer{validity(mem, data), buffer}
	var text []byte
	if b := data.Buffers()[2]; b != nil && b.Len() > 0 {
		b.Retain()
		text, buffers = b.Bytes(), append(buffers, b)
	}
	offsets := offsetsOf(data)
	for i := range views {
		from, end := offsets[i], offsets[i+1]
		v := text[from:end] // it panics if the file lies
		views[i].SetBytes(v)
		if len(v) > inlineView {
			views[i].SetIndexOffset(0, from)
		}
	}
	return laidOut(to, data, nil, buffers...), nil
}

// inlineView bytes stand in a view itself.
const inlineView = 12

// viewLists makes views of lists of where they begin and end.
func viewLists[T int32 | int64](mem memory.Allocator, data arrow.ArrayData, to arrow.DataType) (arrow.ArrayData, error) {
	values, err := retype(mem, data.Children()[0], childType(to, 0))
	if err != nil {
		return nil, err
	}
	defer values.Release()
	begins, sizes := bufferOf[T](mem, data.Len()), bufferOf[T](mem, data.Len())
	b, s := arrow.GetData[T](begins.Bytes()), arrow.GetData[T](sizes.Bytes())
	offsets := offsetsOf(data)
	for i := range b {
		b[i], s[i] = T(offsets[i]), T(offsets[i+1]-offsets[i])
	}
	return laidOut(to, data, []arrow.ArrayData{values}, validity(mem, data), begins, sizes), nil
}

// offsetsOf are the offsets of a list's or text's values, one more than there are values.
func offsetsOf(data arrow.ArrayData) []int32 {
	if data.Len() == 0 {
		return []int32{0}
	}
	return arrow.GetData[int32](data.Buffers()[1].Bytes())[data.Offset() : data.Offset()+data.Len()+1]
}

// validity is the bitmap of the values that are no nulls, which begins with the first value; nil if all are none. The caller releases it.
func validity(mem memory.Allocator, data arrow.ArrayData) *memory.Buffer {
	bitmap := data.Buffers()[0]
	switch {
	case bitmap == nil:
		return nil
	case data.Offset() == 0:
		bitmap.Retain()
		return bitmap
	default:
		moved := memory.NewResizableBuffer(mem)
		moved.Resize(int(bitutil.BytesForBits(int64(data.Len()))))
		bitutil.CopyBitmap(bitmap.Bytes(), data.Offset(), data.Len(), moved.Bytes(), 0)
		return moved
	}
}

// bufferOf has room for n values.
func bufferOf[T int32 | int64](mem memory.Allocator, n int) *memory.Buffer {
	buffer := memory.NewResizableBuffer(mem)
	buffer.Resize(n * int(unsafe.Sizeof(T(0))))
	return buffer
}

// laidOut is an array of these buffers, which are released.
func laidOut(t arrow.DataType, like arrow.ArrayData, children []arrow.ArrayData, buffers ...*memory.Buffer) arrow.ArrayData {
	defer memory.ReleaseBuffers(buffers)
	return array.NewData(t, like.Len(), buffers, children, like.NullN(), 0)
}
