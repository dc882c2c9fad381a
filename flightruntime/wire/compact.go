package wire

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// needsCompact is true for types of which arrow-go's IPC writer cannot send a slice as such: it sends all the bytes that views point into
// with every slice of them, and fails on slices of list views and unions.
func needsCompact(dt arrow.DataType) bool {
	switch dt := dt.(type) {
	case arrow.BinaryViewDataType, *arrow.ListViewType, *arrow.LargeListViewType, *arrow.DenseUnionType, *arrow.SparseUnionType:
		return true
	case *arrow.DictionaryType: // the values are shared by all slices
		return false
	case *arrow.RunEndEncodedType:
		return needsCompact(dt.Encoded())
	case arrow.ExtensionType:
		return needsCompact(dt.StorageType())
	case arrow.NestedType:
		return slices.ContainsFunc(dt.Fields(), func(f arrow.Field) bool { return needsCompact(f.Type) })
	}
	return false
}

// compactBatch is the batch with those columns that need it rebuilt to hold no more than its rows. The caller releases it.
func compactBatch(batch arrow.RecordBatch) arrow.RecordBatch {
	columns := make([]arrow.Array, batch.NumCols())
	for i, column := range batch.Columns() {
		if !needsCompact(column.DataType()) {
			columns[i] = column
			continue
		}
		data := compact(column.Data())
		columns[i] = array.MakeFromData(data)
		data.Release()
		defer columns[i].Release()
	}
	if m, ok := batch.(arrow.RecordBatchWithMetadata); ok {
		return array.NewRecordBatchWithMetadata(batch.Schema(), columns, batch.NumRows(), m.Metadata())
	}
	return array.NewRecordBatch(batch.Schema(), columns, batch.NumRows())
}

// compact is the same rows at offset 0, with children that hold what these rows refer to and no more.
func compact(d arrow.ArrayData) arrow.ArrayData {
	if !needsCompact(d.DataType()) {
		d.Retain()
		return d
	}
	buffers, from := d.Buffers(), d.Offset()
	switch dt := d.DataType().(type) {
	case arrow.ExtensionType:
		storage := retyped(d, dt.StorageType())
		defer storage.Release()
		compacted := compact(storage)
		defer compacted.Release()
		return retyped(compacted, dt)
	case arrow.BinaryViewDataType:
		return compactViews(d)
	case *arrow.ListViewType:
		offsets, sizes, first, last := rebaseListView(window[int32](buffers[1], from, d.Len()), window[int32](buffers[2], from, d.Len()))
		return rebuilt(d, []*memory.Buffer{validity(d), bufferOf(offsets), bufferOf(sizes)}, child(d, 0, first, last))
	case *arrow.LargeListViewType:
		offsets, sizes, first, last := rebaseListView(window[int64](buffers[1], from, d.Len()), window[int64](buffers[2], from, d.Len()))
		return rebuilt(d, []*memory.Buffer{validity(d), bufferOf(offsets), bufferOf(sizes)}, child(d, 0, first, last))
	case *arrow.ListType, *arrow.MapType:
		offsets, first, last := rebaseList(window[int32](buffers[1], from, d.Len()+1))
		return rebuilt(d, []*memory.Buffer{validity(d), bufferOf(offsets)}, child(d, 0, first, last))
	case *arrow.LargeListType:
		offsets, first, last := rebaseList(window[int64](buffers[1], from, d.Len()+1))
		return rebuilt(d, []*memory.Buffer{validity(d), bufferOf(offsets)}, child(d, 0, first, last))
	case *arrow.FixedSizeListType:
		n := int64(dt.Len())
		return rebuilt(d, []*memory.Buffer{validity(d)}, child(d, 0, int64(from)*n, int64(from+d.Len())*n))
	case *arrow.RunEndEncodedType:
		return compactRuns(d)
	case *arrow.DenseUnionType:
		return compactDenseUnion(d, dt)
	case *arrow.SparseUnionType:
		codes := window[arrow.UnionTypeCode](buffers[1], from, d.Len())
		return rebuilt(d, []*memory.Buffer{nil, bufferOf(codes)}, rowsOfChildren(d)...)
	default: // a struct
		return rebuilt(d, []*memory.Buffer{validity(d)}, rowsOfChildren(d)...)
	}
}

// compactViews copies the values that are too long to stand in their views into one buffer.
func compactViews(d arrow.ArrayData) arrow.ArrayData {
	views := slices.Clone(window[arrow.ViewHeader](d.Buffers()[1], d.Offset(), d.Len()))
	valid := validity(d)
	var values []byte
	for i := range views {
		v := &views[i]
		switch {
		case valid != nil && !bitutil.BitIsSet(valid.Bytes(), i):
			*v = arrow.ViewHeader{} // what a null's view points at need not exist
		case !v.IsInline():
			value := d.Buffers()[2+v.BufferIndex()].Bytes()[v.BufferOffset() : int(v.BufferOffset())+v.Len()]
			v.SetIndexOffset(0, int32(len(values)))
			values = append(values, value...)
		}
	}
	buffers := []*memory.Buffer{valid, bufferOf(views)}
	if len(values) > 0 {
		buffers = append(buffers, memory.NewBufferBytes(values))
	}
	return rebuilt(d, buffers)
}

func compactDenseUnion(d arrow.ArrayData, dt *arrow.DenseUnionType) arrow.ArrayData {
	codes := window[arrow.UnionTypeCode](d.Buffers()[1], d.Offset(), d.Len())
	offsets := slices.Clone(window[int32](d.Buffers()[2], d.Offset(), d.Len()))
	ids := dt.ChildIDs()
	ranges := unionRanges(codes, offsets, ids, len(d.Children()))
	for i, code := range codes {
		offsets[i] -= int32(ranges[ids[code]].from)
	}
	children := make([]arrow.ArrayData, len(ranges))
	for i, r := range ranges {
		children[i] = child(d, i, r.from, r.to)
	}
	return rebuilt(d, []*memory.Buffer{nil, bufferOf(codes), bufferOf(offsets)}, children...)
}

// compactRuns is the runs that the rows are of, the first and the last cut to them.
func compactRuns(d arrow.ArrayData) arrow.ArrayData {
	runs := array.NewRunEndEncodedData(d.(*array.Data))
	defer runs.Release()
	first := int64(runs.GetPhysicalOffset())
	values := child(d, 1, first, first+int64(runs.GetPhysicalLength()))
	ends := runs.LogicalRunEndsArray(memory.DefaultAllocator)
	defer ends.Release()
	ends.Data().Retain()
	return array.NewData(d.DataType(), d.Len(), []*memory.Buffer{nil}, []arrow.ArrayData{ends.Data(), values}, 0, 0)
}

// span is a range of a child's rows.
type span struct{ from, to int64 }

// unionRanges tells which rows of each child the rows of a dense union refer to.
func unionRanges(codes []arrow.UnionTypeCode, offsets []int32, ids []int, children int) []span {
	ranges := make([]span, children)
	for i, code := range codes {
		r, at := &ranges[ids[code]], int64(offsets[i])
		if r.to == 0 {
			*r = span{at, at + 1}
		}
		r.from, r.to = min(r.from, at), max(r.to, at+1)
	}
	return ranges
}

// rebaseListView gives a list view's rows offsets from 0 on, and tells what range of the child's rows they refer to.
func rebaseListView[T int32 | int64](offsets, sizes []T) (rebased, sameSizes []T, first, last int64) {
	first, last = listViewRange(offsets, sizes)
	rebased = make([]T, len(offsets))
	for i, size := range sizes {
		if size > 0 {
			rebased[i] = offsets[i] - T(first)
		}
	}
	return rebased, sizes, first, last
}

func listViewRange[T int32 | int64](offsets, sizes []T) (first, last int64) {
	for i, size := range sizes {
		if size == 0 {
			continue
		}
		from, to := int64(offsets[i]), int64(offsets[i]+size)
		if last == 0 {
			first = from
		}
		first, last = min(first, from), max(last, to)
	}
	return first, last
}

// rebaseList gives a list's rows offsets from 0 on, and tells what range of the child's rows they refer to. Of lists without values it is none, wherever
// their offsets point: pyarrow sends those of no rows as they are, and the child without the rows before.
func rebaseList[T int32 | int64](offsets []T) (rebased []T, first, last int64) {
	if len(offsets) == 0 { // of no rows, the offsets may be left out
		return []T{0}, 0, 0
	}
	rebased = make([]T, len(offsets))
	for i, o := range offsets {
		rebased[i] = o - offsets[0]
	}
	if first, last = int64(offsets[0]), int64(offsets[len(offsets)-1]); first == last {
		return rebased, 0, 0
	}
	return rebased, first, last
}

// rowsOfChildren are the children of a struct or a sparse union, whose rows are those of their parent.
func rowsOfChildren(d arrow.ArrayData) []arrow.ArrayData {
	children := make([]arrow.ArrayData, len(d.Children()))
	for i := range children {
		children[i] = child(d, i, int64(d.Offset()), int64(d.Offset()+d.Len()))
	}
	return children
}

// child is the rows [from, to) of a child.
func child(d arrow.ArrayData, i int, from, to int64) arrow.ArrayData {
	rows := array.NewSliceData(d.Children()[i], from, to)
	defer rows.Release()
	return compact(rows)
}

// rebuilt is data of the same type and length at offset 0. It takes over the children.
func rebuilt(d arrow.ArrayData, buffers []*memory.Buffer, children ...arrow.ArrayData) arrow.ArrayData {
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	nulls := 0
	if buffers[0] != nil {
		nulls = d.Len() - bitutil.CountSetBits(buffers[0].Bytes(), 0, d.Len())
	}
	return array.NewData(d.DataType(), d.Len(), buffers, children, nulls, 0)
}

func retyped(d arrow.ArrayData, dt arrow.DataType) arrow.ArrayData {
	return array.NewData(dt, d.Len(), d.Buffers(), d.Children(), d.NullN(), d.Offset())
}

// validity is the bitmap of the rows, from bit 0 on; nil if all are valid.
func validity(d arrow.ArrayData) *memory.Buffer {
	bitmap := d.Buffers()[0]
	if bitmap == nil || bitmap.Len() == 0 || d.Len() == 0 {
		return nil
	}
	bits := make([]byte, bitutil.BytesForBits(int64(d.Len())))
	bitutil.CopyBitmap(bitmap.Bytes(), d.Offset(), d.Len(), bits, 0)
	return memory.NewBufferBytes(bits)
}

// window is n values of a buffer; none if the buffer is left out, as it may be for no rows.
func window[T arrow.FixedWidthType | arrow.ViewHeader](b *memory.Buffer, from, n int) []T {
	if b == nil || b.Len() == 0 {
		return nil
	}
	return arrow.GetData[T](b.Bytes())[from : from+n]
}

func bufferOf[T arrow.FixedWidthType | arrow.ViewHeader](values []T) *memory.Buffer {
	return memory.NewBufferBytes(arrow.GetBytes(values))
}
