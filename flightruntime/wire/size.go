package wire

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

const (
	// TargetMessageBytes is the size near which batches of few columns are cut: messages of 1 MiB cost the server a tenth more, and C++'s client a fifth.
	// Larger ones would leave little room to what clients take by default.
	TargetMessageBytes = 2 << 20
	// defaultReceiveLimit is what clients in Go and Rust take by default; a larger message ends their call.
	defaultReceiveLimit = 4 << 20
	// targetArrayBytes of each column are in a message, if it does not get too large by that: a client pays for each buffer of each message.
	targetArrayBytes = 32 << 10
	// arrayOverhead are the bytes that an array takes beyond its values at most: a node and three buffers in the metadata, three paddings.
	arrayOverhead = 16 + 3*(16+64)
	// messageSlack is for what else is in a message.
	messageSlack = 64 << 10
)

// messageSizes are how many bytes of values a message is to have, of a schema that has so many arrays, and how many a large one: as many as clients in Go
// and Rust take. No message is to exceed limit.
//
// Early in a stream one message is to be large, for the sake of clients whose memory is glibc's, as that of C++ and Python is: it goes back to the kernel
// whenever twice the largest piece that ever came from there lies free (mallopt(3): M_TRIM_THRESHOLD is twice what M_MMAP_THRESHOLD has grown to), and
// the kernel has to give each page anew, empty. With messages of one size that is after every second of them, and takes a client two thirds of its time.
func messageSizes(arrays, limit int) (target, large int64) {
	most := min(limit/2, max(TargetMessageBytes, defaultReceiveLimit-messageSlack-arrays*arrayOverhead)) // half the limit leaves room for metadata
	return int64(min(max(TargetMessageBytes, arrays*targetArrayBytes), most)), int64(most)
}

// arraysOf is how many arrays a column of a type has: its own and its children's. A dictionary is sent once, and does not count.
func arraysOf(dt arrow.DataType) int {
	n := 1
	switch dt := dt.(type) {
	case arrow.ExtensionType:
		return arraysOf(dt.StorageType())
	case arrow.NestedType:
		for _, f := range dt.Fields() {
			n += arraysOf(f.Type)
		}
	}
	return n
}

// BatchBytes is about how many bytes a batch takes on the wire: of the rows that it holds, not of the buffers that these are a slice of.
// Dictionaries are left out, for they are sent once.
func BatchBytes(batch arrow.RecordBatch) int64 {
	var n int64
	for _, column := range batch.Columns() {
		n += arrayBytes(column)
	}
	return n
}

func arrayBytes(a arrow.Array) int64 {
	rows := int64(a.Len())
	if rows == 0 {
		return 0
	}
	n := int64(0)
	if a.NullN() > 0 {
		n = (rows + 7) / 8
	}
	switch a := a.(type) {
	case *array.Null:
		return 0
	case *array.String:
		return n + 4*rows + int64(len(a.ValueBytes()))
	case *array.Binary:
		return n + 4*rows + int64(len(a.ValueBytes()))
	case *array.LargeString:
		return n + 8*rows + int64(len(a.ValueBytes()))
	case *array.LargeBinary:
		return n + 8*rows + int64(len(a.ValueBytes()))
	case *array.Struct:
		for i := range a.NumField() {
			n += arrayBytes(a.Field(i))
		}
		return n
	case array.ExtensionArray:
		return arrayBytes(a.Storage())
	case *array.FixedSizeList:
		from, _ := a.ValueOffsets(0)
		_, to := a.ValueOffsets(a.Len() - 1)
		return n + childBytes(a.ListValues(), from, to)
	case *array.ListView:
		from, to := listViewRange(window[int32](a.Data().Buffers()[1], a.Offset(), a.Len()), window[int32](a.Data().Buffers()[2], a.Offset(), a.Len()))
		return n + 8*rows + childBytes(a.ListValues(), from, to)
	case *array.LargeListView:
		from, to := listViewRange(window[int64](a.Data().Buffers()[1], a.Offset(), a.Len()), window[int64](a.Data().Buffers()[2], a.Offset(), a.Len()))
		return n + 16*rows + childBytes(a.ListValues(), from, to)
	case *array.SparseUnion:
		n = rows
		for i := range a.NumFields() {
			n += arrayBytes(a.Field(i))
		}
		return n
	case *array.DenseUnion:
		n = (1 + 4) * rows
		for i, r := range unionRanges(a.RawTypeCodes()[:a.Len()], a.RawValueOffsets()[:a.Len()], a.UnionType().ChildIDs(), a.NumFields()) {
			n += childBytes(a.Field(i), r.from, r.to)
		}
		return n
	case *array.RunEndEncoded:
		first, runs := a.GetPhysicalOffset(), a.GetPhysicalLength()
		return childBytes(a.RunEndsArr(), int64(first), int64(first+runs)) + childBytes(a.Values(), int64(first), int64(first+runs))
	case array.ViewLike:
		return n + viewBytes(a)
	case array.ListLike: // lists, large lists, maps: an offset a row, of 8 bytes at most
		from, _ := a.ValueOffsets(0)
		_, to := a.ValueOffsets(a.Len() - 1)
		return n + 8*rows + childBytes(a.ListValues(), from, to)
	}
	if width, ok := a.DataType().(arrow.FixedWidthDataType); ok {
		return n + rows*int64(width.BitWidth())/8
	}
	return int64(a.Data().SizeInBytes()) // no such type is left; as a whole is never too little
}

// viewBytes are the views, and the values that are too long to stand in them.
func viewBytes(a array.ViewLike) int64 {
	n := int64(a.Len() * arrow.ViewHeaderSizeBytes)
	for i := range a.Len() {
		if v := a.ValueHeader(i); a.IsValid(i) && !v.IsInline() {
			n += int64(v.Len())
		}
	}
	return n
}

func childBytes(values arrow.Array, from, to int64) int64 {
	if to <= from {
		return 0
	}
	slice := array.NewSlice(values, from, to)
	defer slice.Release()
	return arrayBytes(slice)
}
