package format

import (
	"errors"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// pqarrow cannot write all that Parquet can hold: no durations, no lists of fixed size that are null or slices, and no lists that have
// values where they are null. What it is given is therefore brought into shape: durations become integers, lists of fixed size become
// lists, lists are empty where they are null, and dictionaries have no null. The schema stored in the file says what they were, for all readers of Arrow's.

// parquetSchema is the schema of batches in shape.
func parquetSchema(schema *arrow.Schema) *arrow.Schema {
	metadata := schema.Metadata()
	return arrow.NewSchema(parquetFields(schema.Fields()), &metadata)
}

func parquetFields(fields []arrow.Field) []arrow.Field {
	out := make([]arrow.Field, len(fields))
	for i, f := range fields {
		out[i] = f
		out[i].Type = parquetType(f.Type)
	}
	return out
}

func parquetType(t arrow.DataType) arrow.DataType {
	one := func(f arrow.Field) arrow.Field { return parquetFields([]arrow.Field{f})[0] }
	switch t := t.(type) {
	case *arrow.DurationType:
		return arrow.PrimitiveTypes.Int64
	case *arrow.FixedSizeListType:
		return arrow.ListOfField(one(t.ElemField()))
	case *arrow.ListType:
		return arrow.ListOfField(one(t.ElemField()))
	case *arrow.LargeListType:
		return arrow.LargeListOfField(one(t.ElemField()))
	case *arrow.StructType:
		return arrow.StructOf(parquetFields(t.Fields())...)
	case *arrow.MapType:
		m := arrow.MapOfFields(one(t.KeyField()), one(t.ItemField()))
		m.KeysSorted = t.KeysSorted
		return m
	default:
		return t
	}
}

// parquetBatch is a batch in shape, whose schema is the one of parquetSchema. The caller releases it.
func parquetBatch(schema *arrow.Schema, batch arrow.RecordBatch) (arrow.RecordBatch, error) {
	columns := make([]arrow.Array, batch.NumCols())
	for i, column := range batch.Columns() {
		data, err := parquetData(column.Data(), schema.Field(i).Type, nil)
		if err != nil {
			return nil, err
		}
		columns[i] = array.MakeFromData(data)
		defer columns[i].Release()
		data.Release()
	}
	return array.NewRecordBatch(schema, columns, batch.NumRows()), nil
}

// absence tells of each element of an array whether what it belongs to is null, so that it is of no account. nil: it never is.
type absence func(i int) bool

// parquetData is an array in shape, of type t and of the same length. The caller releases it.
func parquetData(data arrow.ArrayData, t arrow.DataType, absent absence) (arrow.ArrayData, error) {
	switch was := data.DataType().(type) {
	case *arrow.DurationType:
		return array.NewData(t, data.Len(), data.Buffers(), nil, data.NullN(), data.Offset()), nil
	case *arrow.DictionaryType:
		return parquetDictionary(data)
	case *arrow.StructType:
		return parquetStruct(data, t.(*arrow.StructType), absent)
	case *arrow.FixedSizeListType:
		size := int(was.Len())
		return parquetList(data, t, absent, func(i int) (int, int) { return (data.Offset() + i) * size, (data.Offset() + i + 1) * size })
	case *arrow.ListType, *arrow.MapType:
		return parquetList(data, t, absent, boundsOf[int32](data))
	case *arrow.LargeListType:
		return parquetList(data, t, absent, boundsOf[int64](data))
	default:
		data.Retain()
		return data, nil
	}
}

// boundsOf tells where each list begins and ends among all values.
func boundsOf[T int32 | int64](data arrow.ArrayData) func(i int) (from, to int) {
	if data.Len() == 0 { // it need not have offsets
		return nil
	}
	offsets := arrow.GetData[T](data.Buffers()[1].Bytes())[data.Offset():]
	return func(i int) (int, int) { return int(offsets[i]), int(offsets[i+1]) }
}

func parquetStruct(data arrow.ArrayData, t *arrow.StructType, absent absence) (arrow.ArrayData, error) {
	isNull, from, to := nulls(data, absent), data.Offset(), data.Offset()+data.Len()
	inside := func(i int) bool { return i < from || i >= to || isNull(i-from) } // children are not sliced where the struct is
	children := make([]arrow.ArrayData, len(data.Children()))
	for i, child := range data.Children() {
		var err error
		if children[i], err = parquetData(child, t.Field(i).Type, inside); err != nil {
			return nil, err
		}
		defer children[i].Release()
	}
	return array.NewData(t, data.Len(), data.Buffers(), children, data.NullN(), data.Offset()), nil
}

// parquetDictionary makes null whatever refers to a null in its dictionary, of which Parquet has none.
func parquetDictionary(data arrow.ArrayData) (arrow.ArrayData, error) {
	known := array.MakeFromData(data.Dictionary())
	defer known.Release()
	if known.NullN() == 0 {
		data.Retain()
		return data, nil
	}
	a := array.NewDictionaryData(data)
	defer a.Release()
	validity := make([]byte, bitutil.BytesForBits(int64(data.Offset()+data.Len())))
	valid := 0
	for i := range data.Len() {
		if a.IsValid(i) && known.IsValid(a.GetValueIndex(i)) {
			bitutil.SetBit(validity, data.Offset()+i)
			valid++
		}
	}
	buffers := []*memory.Buffer{memory.NewBufferBytes(validity), data.Buffers()[1]}
	return array.NewDataWithDictionary(data.DataType(), data.Len(), buffers, data.Len()-valid, data.Offset(), data.Dictionary().(*array.Data)), nil
}

// parquetList makes a list, large list or map of lists whose i-th one is the range of values that bounds tells, if it is not null.
func parquetList(data arrow.ArrayData, t arrow.DataType, absent absence, bounds func(i int) (from, to int)) (arrow.ArrayData, error) {
	isNull := nulls(data, absent)
	var starts []int // of each list, and the end of the last, among the values that are kept
	var kept [][2]int
	n := 0
	for i := range data.Len() {
		starts = append(starts, n)
		from, to := bounds(i)
		if isNull(i) || from == to {
			continue
		}
		n += to - from
		if last := len(kept) - 1; last >= 0 && kept[last][1] == from {
			kept[last][1] = to
			continue
		}
		kept = append(kept, [2]int{from, to})
	}
	if len(kept) < 2 && arrow.TypeEqual(data.DataType(), t) && !holdsLists(t) {
		data.Retain() // it is in shape as it is
		return data, nil
	}
	starts = append(starts, n)
	offsets, err := runOffsets(starts, t.ID() == arrow.LARGE_LIST)
	if err != nil {
		return nil, err
	}
	values, err := ranges(data.Children()[0], kept)
	if err != nil {
		return nil, err
	}
	defer values.Release()
	shaped, err := parquetData(values, t.(arrow.ListLikeType).Elem(), nil)
	if err != nil {
		return nil, err
	}
	defer shaped.Release()
	validity, nullN := validityOf(data)
	return array.NewData(t, data.Len(), []*memory.Buffer{validity, offsets}, []arrow.ArrayData{shaped}, nullN, 0), nil
}

// holdsLists is true if the values of a list are, or have, lists, which have to be looked at as well.
func holdsLists(list arrow.DataType) bool {
	return hasLists(list.(arrow.ListLikeType).Elem())
}

func hasLists(t arrow.DataType) bool {
	if _, ok := t.(arrow.ListLikeType); ok {
		return true
	}
	nested, ok := t.(arrow.NestedType)
	return ok && slices.ContainsFunc(nested.Fields(), func(f arrow.Field) bool { return hasLists(f.Type) })
}

// nulls tells which elements are null, or belong to what is.
func nulls(data arrow.ArrayData, absent absence) absence {
	bitmap := data.Buffers()[0]
	if bitmap == nil || bitmap.Len() == 0 {
		if absent == nil {
			return func(int) bool { return false }
		}
		return absent
	}
	return func(i int) bool {
		return absent != nil && absent(i) || !bitutil.BitIsSet(bitmap.Bytes(), data.Offset()+i)
	}
}

// validityOf is a copy of the bitmap that begins with the array's first element.
func validityOf(data arrow.ArrayData) (validity *memory.Buffer, nullN int) {
	bitmap := data.Buffers()[0]
	if bitmap == nil || bitmap.Len() == 0 {
		return nil, 0
	}
	out := make([]byte, bitutil.BytesForBits(int64(data.Len())))
	bitutil.CopyBitmap(bitmap.Bytes(), data.Offset(), data.Len(), out, 0)
	return memory.NewBufferBytes(out), data.Len() - bitutil.CountSetBits(out, 0, data.Len())
}

// runOffsets is the buffer of the offsets of a list or large list.
func runOffsets(starts []int, large bool) (*memory.Buffer, error) {
	if large {
		out := make([]int64, len(starts))
		for i, n := range starts {
			out[i] = int64(n)
		}
		return memory.NewBufferBytes(arrow.GetBytes(out)), nil
	}
	out := make([]int32, len(starts))
	for i, n := range starts {
		if n > math.MaxInt32 {
			return nil, errors.New("a column of lists has more than 2^31 values in one batch: put smaller batches")
		}
		out[i] = int32(n)
	}
	return memory.NewBufferBytes(arrow.GetBytes(out)), nil
}

// ranges are the values of these ranges, one after the other: a slice if they are one. The caller releases it.
func ranges(values arrow.ArrayData, kept [][2]int) (arrow.ArrayData, error) {
	if len(kept) == 0 {
		kept = [][2]int{{0, 0}}
	}
	pieces := make([]arrow.Array, len(kept))
	for i, r := range kept {
		slice := array.NewSliceData(values, int64(r[0]), int64(r[1]))
		pieces[i] = array.MakeFromData(slice)
		defer pieces[i].Release()
		slice.Release()
	}
	if len(pieces) == 1 {
		pieces[0].Data().Retain()
		return pieces[0].Data(), nil
	}
	all, err := array.Concatenate(pieces, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	defer all.Release()
	all.Data().Retain()
	return all.Data(), nil
}
