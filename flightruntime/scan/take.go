package scan

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/encoded"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// take is an array of the elements at the given places, which ascend. It knows every layout that Arrow has. arrow-go's own kernels lack half a
// dozen of them (views, run-end encoding, sparse unions, two widths of decimals, intervals of three parts), and take from structs in
// goroutines, whose panics nobody could recover.
func take(mem memory.Allocator, a arrow.Array, places []int) (arrow.Array, error) {
	t := taker{mem: mem}
	defer t.release()
	data, err := t.data(a.Data(), places)
	if err != nil {
		return nil, err
	}
	return array.MakeFromData(data), nil
}

// taker owns all that is made on the way, so that a panic of the allocator leaves nothing behind.
type taker struct {
	mem  memory.Allocator
	made []interface{ Release() }
}

func (t *taker) release() {
	for _, m := range t.made {
		m.Release()
	}
}

// buffer is new memory.
func (t *taker) buffer(size int) *memory.Buffer {
	b := memory.NewResizableBuffer(t.mem)
	t.made = append(t.made, b)
	b.Resize(size)
	return b
}

// array is new data of a type.
func (t *taker) array(typ arrow.DataType, n int, buffers []*memory.Buffer, children []arrow.ArrayData, nullCount int) arrow.ArrayData {
	d := array.NewData(typ, n, buffers, children, nullCount, 0)
	t.made = append(t.made, d)
	return d
}

// data takes elements of an array, whatever it is.
func (t *taker) data(d arrow.ArrayData, places []int) (arrow.ArrayData, error) {
	typ := d.DataType()
	for {
		extension, ok := typ.(arrow.ExtensionType)
		if !ok {
			break
		}
		typ = extension.StorageType()
	}
	n := len(places)
	switch typ := typ.(type) {
	case *arrow.NullType:
		return t.array(d.DataType(), n, []*memory.Buffer{nil}, nil, n), nil
	case *arrow.DictionaryType:
		valid, nullCount := t.valid(d, places)
		codes := t.fixed(d, places, typ.IndexType.(arrow.FixedWidthDataType).Bytes())
		out := array.NewDataWithDictionary(d.DataType(), n, []*memory.Buffer{valid, codes}, nullCount, 0, d.Dictionary().(*array.Data))
		t.made = append(t.made, out)
		return out, nil
	case *arrow.RunEndEncodedType:
		return t.runs(d, typ, places)
	case arrow.UnionType:
		return t.union(d, typ, places)
	}
	valid, nullCount := t.valid(d, places)
	buffers := []*memory.Buffer{valid}
	var children []arrow.ArrayData
	var err error
	switch typ := typ.(type) {
	case *arrow.BooleanType:
		buffers = append(buffers, t.bits(d.Buffers()[1], d.Offset(), places))
	case *arrow.StringType, *arrow.BinaryType:
		buffers = append(buffers, takeTexts[int32](t, d, places)...)
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		buffers = append(buffers, takeTexts[int64](t, d, places)...)
	case *arrow.StringViewType, *arrow.BinaryViewType: // what they view is shared
		buffers = append(buffers, t.fixed(d, places, arrow.ViewHeaderSizeBytes))
		buffers = append(buffers, d.Buffers()[2:]...)
	case *arrow.ListType, *arrow.MapType:
		buffers, children, err = takeLists[int32](t, d, places, buffers)
	case *arrow.LargeListType:
		buffers, children, err = takeLists[int64](t, d, places, buffers)
	case *arrow.ListViewType: // the elements are shared
		buffers = append(buffers, t.fixed(d, places, 4), t.fixedIn(d.Buffers()[2], d.Offset(), places, 4))
		children = d.Children()
	case *arrow.LargeListViewType:
		buffers = append(buffers, t.fixed(d, places, 8), t.fixedIn(d.Buffers()[2], d.Offset(), places, 8))
		children = d.Children()
	case *arrow.FixedSizeListType:
		children, err = t.eachChild(d, expanded(places, d.Offset(), int(typ.Len())))
	case *arrow.StructType:
		children, err = t.eachChild(d, expanded(places, d.Offset(), 1))
	case arrow.FixedWidthDataType:
		buffers = append(buffers, t.fixed(d, places, typ.Bytes()))
	default:
		err = fmt.Errorf("rows of type %s cannot be selected", typ)
	}
	if err != nil {
		return nil, err
	}
	return t.array(d.DataType(), n, buffers, children, nullCount), nil
}

// eachChild takes the same elements of each child.
func (t *taker) eachChild(d arrow.ArrayData, places []int) (children []arrow.ArrayData, err error) {
	for _, child := range d.Children() {
		taken, err := t.data(child, places)
		if err != nil {
			return nil, err
		}
		children = append(children, taken)
	}
	return children, nil
}

// expanded are the places of elements that are in groups of n, given those of the groups.
func expanded(places []int, offset, n int) []int {
	if offset == 0 && n == 1 {
		return places
	}
	out := make([]int, 0, len(places)*n)
	for _, p := range places {
		for i := range n {
			out = append(out, (offset+p)*n+i)
		}
	}
	return out
}

// valid is the validity bitmap of elements, and how many are null.
func (t *taker) valid(d arrow.ArrayData, places []int) (*memory.Buffer, int) {
	if d.NullN() == 0 || d.Buffers()[0] == nil {
		return nil, 0
	}
	b := t.bits(d.Buffers()[0], d.Offset(), places)
	return b, len(places) - bitutil.CountSetBits(b.Bytes(), 0, len(places))
}

// bits takes bits.
func (t *taker) bits(from *memory.Buffer, offset int, places []int) *memory.Buffer {
	b := t.buffer((len(places) + 7) / 8)
	out, in := b.Bytes(), bytesOf(from)
	clear(out)
	for i, p := range places {
		p += offset
		out[i>>3] |= in[p>>3] >> (p & 7) & 1 << (i & 7)
	}
	return b
}

func bytesOf(b *memory.Buffer) []byte {
	if b == nil {
		return nil
	}
	return b.Bytes()
}

// fixed takes elements of the second buffer, which have so many bytes.
func (t *taker) fixed(d arrow.ArrayData, places []int, width int) *memory.Buffer {
	return t.fixedIn(d.Buffers()[1], d.Offset(), places, width)
}

func (t *taker) fixedIn(from *memory.Buffer, offset int, places []int, width int) *memory.Buffer {
	b := t.buffer(len(places) * width)
	out, in := b.Bytes(), bytesOf(from)
	switch width {
	case 1:
		takeFixed[uint8](out, in, offset, places)
	case 2:
		takeFixed[uint16](out, in, offset, places)
	case 4:
		takeFixed[uint32](out, in, offset, places)
	case 8:
		takeFixed[uint64](out, in, offset, places)
	case 16:
		takeFixed[[2]uint64](out, in, offset, places)
	default:
		for i, p := range places {
			copy(out[i*width:][:width], in[(offset+p)*width:])
		}
	}
	return b
}

func takeFixed[T any](out, in []byte, offset int, places []int) {
	to, from := castTo[T](out)[:len(places)], castTo[T](in)[offset:]
	for i, p := range places {
		to[i] = from[p]
	}
}

// castTo is the same memory as another type. Arrow's buffers are aligned to 8 bytes at least.
func castTo[T any](b []byte) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(zero)))
}

// takeTexts makes offsets and bytes of strings.
func takeTexts[O int32 | int64](t *taker, d arrow.ArrayData, places []int) []*memory.Buffer {
	in := castTo[O](bytesOf(d.Buffers()[1]))[d.Offset():]
	var total O
	for _, p := range places {
		total += in[p+1] - in[p]
	}
	var size O
	offsets := t.buffer((len(places) + 1) * int(unsafe.Sizeof(size)))
	texts := t.buffer(int(total))
	to, out, from := castTo[O](offsets.Bytes()), texts.Bytes(), bytesOf(d.Buffers()[2])
	to[0] = 0
	for i, p := range places {
		size += O(copy(out[size:], from[in[p]:in[p+1]]))
		to[i+1] = size
	}
	return []*memory.Buffer{offsets, texts}
}

// takeLists makes offsets and elements of lists.
func takeLists[O int32 | int64](t *taker, d arrow.ArrayData, places []int, buffers []*memory.Buffer) ([]*memory.Buffer, []arrow.ArrayData, error) {
	in := castTo[O](bytesOf(d.Buffers()[1]))[d.Offset():]
	var total O
	for _, p := range places {
		total += in[p+1] - in[p]
	}
	offsets := t.buffer((len(places) + 1) * int(unsafe.Sizeof(total)))
	to := castTo[O](offsets.Bytes())
	to[0] = 0
	elements := make([]int, 0, total)
	for i, p := range places {
		for at := in[p]; at < in[p+1]; at++ {
			elements = append(elements, int(at))
		}
		to[i+1] = O(len(elements))
	}
	children, err := t.eachChild(d, elements)
	return append(buffers, offsets), children, err
}

// runs takes elements of run-end encoded arrays. What is left of a run stays one.
func (t *taker) runs(d arrow.ArrayData, typ *arrow.RunEndEncodedType, places []int) (arrow.ArrayData, error) {
	var ends []int64
	var values []int
	for i, p := range places {
		at := encoded.FindPhysicalIndex(d, d.Offset()+p)
		if len(values) == 0 || values[len(values)-1] != at {
			values = append(values, at)
			ends = append(ends, 0)
		}
		ends[len(ends)-1] = int64(i + 1)
	}
	width := typ.RunEnds().(arrow.FixedWidthDataType).Bytes()
	b := t.buffer(len(ends) * width)
	for i, end := range ends {
		switch out := b.Bytes()[i*width:]; width { // an end is no greater than one of the ends it stems from
		case 2:
			binary.NativeEndian.PutUint16(out, uint16(end))
		case 4:
			binary.NativeEndian.PutUint32(out, uint32(end))
		default:
			binary.NativeEndian.PutUint64(out, uint64(end))
		}
	}
	taken, err := t.data(d.Children()[1], values)
	if err != nil {
		return nil, err
	}
	runEnds := t.array(typ.RunEnds(), len(ends), []*memory.Buffer{nil, b}, nil, 0)
	return t.array(d.DataType(), len(places), []*memory.Buffer{nil}, []arrow.ArrayData{runEnds, taken}, 0), nil
}

// union takes elements of unions.
func (t *taker) union(d arrow.ArrayData, typ arrow.UnionType, places []int) (arrow.ArrayData, error) {
	buffers := []*memory.Buffer{nil, t.fixed(d, places, 1)}
	if typ.Mode() == arrow.DenseMode { // the elements are shared
		buffers = append(buffers, t.fixedIn(d.Buffers()[2], d.Offset(), places, 4))
		return t.array(d.DataType(), len(places), buffers, d.Children(), 0), nil
	}
	children, err := t.eachChild(d, expanded(places, d.Offset(), 1))
	if err != nil {
		return nil, err
	}
	return t.array(d.DataType(), len(places), buffers, children, 0), nil
}
