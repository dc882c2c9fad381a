package scan

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/encoded"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// stretch is some elements of an array, at least one, that stand side by side; or a hole.
type stretch struct{ from, n int }

// hole is where elements stand that no array has: they come to be null.
const hole = -1

func (s stretch) end() int { return s.from + s.n }

func (s stretch) isHole() bool { return s.from == hole }

// take is an array of n elements, given the stretches where they are, which ascend. It knows every layout that Arrow has. arrow-go's own
// kernels lack half a dozen of them (views, run-end encoding, sparse unions, two widths of decimals, intervals of three parts), and take from
// structs in goroutines, whose panics nobody could recover.
func take(mem memory.Allocator, a arrow.Array, from []stretch, n int) (arrow.Array, error) {
	t := taker{mem: mem}
	return t.take(a, from, n)
}

// rebuild is take of an array that shares no memory with the one given and holds no value of other elements: those of dictionaries, buffers
// that views view, and children of list views and unions are taken too. Stretches may be holes.
func rebuild(mem memory.Allocator, a arrow.Array, from []stretch, n int) (arrow.Array, error) {
	t := taker{mem: mem, own: true}
	return t.take(a, from, n)
}

func (t *taker) take(a arrow.Array, from []stretch, n int) (arrow.Array, error) {
	defer t.release()
	data, err := t.data(a.Data(), from, n)
	if err != nil {
		return nil, err
	}
	return array.MakeFromData(data), nil
}

// taker owns all that is made on the way, so that a panic of the allocator leaves nothing behind.
type taker struct {
	mem memory.Allocator
	// own says that nothing is shared, and that there may be holes: memory is 0 where nothing is copied to.
	own  bool
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
	if t.own {
		clear(b.Bytes())
	}
	return b
}

// array is new data of a type.
func (t *taker) array(typ arrow.DataType, n int, buffers []*memory.Buffer, children []arrow.ArrayData, nullCount int) arrow.ArrayData {
	d := array.NewData(typ, n, buffers, children, nullCount, 0)
	t.made = append(t.made, d)
	return d
}

// data takes elements of an array, whatever it is.
func (t *taker) data(d arrow.ArrayData, from []stretch, n int) (arrow.ArrayData, error) {
	typ := d.DataType()
	for {
		extension, ok := typ.(arrow.ExtensionType)
		if !ok {
			break
		}
		typ = extension.StorageType()
	}
	switch typ := typ.(type) {
	case *arrow.NullType:
		return t.array(d.DataType(), n, []*memory.Buffer{nil}, nil, n), nil
	case *arrow.DictionaryType:
		if t.own {
			return t.dictionary(d, typ, from, n)
		}
		valid, nullCount := t.valid(d, from, n)
		codes := t.fixed(d.Buffers()[1], d.Offset(), from, n, typ.IndexType.(arrow.FixedWidthDataType).Bytes())
		out := array.NewDataWithDictionary(d.DataType(), n, []*memory.Buffer{valid, codes}, nullCount, 0, d.Dictionary().(*array.Data))
		t.made = append(t.made, out)
		return out, nil
	case *arrow.RunEndEncodedType:
		return t.runs(d, typ, from, n)
	case arrow.UnionType:
		if len(typ.Fields()) == 0 && n > 0 {
			return nil, fmt.Errorf("rows of type %s cannot be selected", typ)
		}
		return t.union(d, typ, from, n)
	}
	valid, nullCount := t.valid(d, from, n)
	buffers := []*memory.Buffer{valid}
	var children []arrow.ArrayData
	var err error
	switch typ := typ.(type) {
	case *arrow.BooleanType:
		buffers = append(buffers, t.bits(d.Buffers()[1], d.Offset(), from, n))
	case *arrow.StringType, *arrow.BinaryType:
		buffers = append(buffers, takeTexts[int32](t, d, from, n)...)
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		buffers = append(buffers, takeTexts[int64](t, d, from, n)...)
	case *arrow.StringViewType, *arrow.BinaryViewType: // what they view is shared
		if t.own {
			buffers = append(buffers, t.views(d, from, n, valid)...)
			break
		}
		buffers = append(buffers, t.fixed(d.Buffers()[1], d.Offset(), from, n, arrow.ViewHeaderSizeBytes))
		buffers = append(buffers, d.Buffers()[2:]...)
	case *arrow.ListType, *arrow.MapType:
		buffers, children, err = takeLists[int32](t, d, from, n, buffers)
	case *arrow.LargeListType:
		buffers, children, err = takeLists[int64](t, d, from, n, buffers)
	case *arrow.ListViewType: // the elements are shared
		if t.own {
			buffers, children, err = takeListViews[int32](t, d, from, n, buffers)
			break
		}
		buffers = append(buffers, t.fixed(d.Buffers()[1], d.Offset(), from, n, 4), t.fixed(d.Buffers()[2], d.Offset(), from, n, 4))
		children = d.Children()
	case *arrow.LargeListViewType:
		if t.own {
			buffers, children, err = takeListViews[int64](t, d, from, n, buffers)
			break
		}
		buffers = append(buffers, t.fixed(d.Buffers()[1], d.Offset(), from, n, 8), t.fixed(d.Buffers()[2], d.Offset(), from, n, 8))
		children = d.Children()
	case *arrow.FixedSizeListType:
		size := int(typ.Len())
		children, err = t.eachChild(d, groups(from, d.Offset(), size), n*size)
	case *arrow.StructType:
		children, err = t.eachChild(d, groups(from, d.Offset(), 1), n)
	case arrow.FixedWidthDataType:
		buffers = append(buffers, t.fixed(d.Buffers()[1], d.Offset(), from, n, typ.Bytes()))
	default:
		err = fmt.Errorf("rows of type %s cannot be selected", typ)
	}
	if err != nil {
		return nil, err
	}
	return t.array(d.DataType(), n, buffers, children, nullCount), nil
}

// eachChild takes the same elements of each child.
func (t *taker) eachChild(d arrow.ArrayData, from []stretch, n int) (children []arrow.ArrayData, err error) {
	for _, child := range d.Children() {
		taken, err := t.data(child, from, n)
		if err != nil {
			return nil, err
		}
		children = append(children, taken)
	}
	return children, nil
}

// groups are the stretches of elements that belong to others, each of which has the same number of them.
func groups(from []stretch, offset, size int) []stretch {
	if size == 0 {
		return nil
	}
	if offset == 0 && size == 1 {
		return from
	}
	out := make([]stretch, len(from))
	for i, s := range from {
		out[i] = stretch{(offset + s.from) * size, s.n * size}
		if s.isHole() {
			out[i].from = hole
		}
	}
	return out
}

// valid is the validity bitmap of elements, and how many are null.
func (t *taker) valid(d arrow.ArrayData, from []stretch, n int) (*memory.Buffer, int) {
	var b *memory.Buffer
	switch all := d.NullN() == 0 || d.Buffers()[0] == nil; {
	case !all:
		b = t.bits(d.Buffers()[0], d.Offset(), from, n)
	case t.own && slices.ContainsFunc(from, stretch.isHole):
		b = t.buffer((n + 7) / 8)
		at := 0
		for _, s := range from {
			if !s.isHole() {
				bitutil.SetBitsTo(b.Bytes(), int64(at), int64(s.n), true)
			}
			at += s.n
		}
	default:
		return nil, 0
	}
	nullCount := n - bitutil.CountSetBits(b.Bytes(), 0, n)
	if t.own && nullCount == 0 { // a bitmap would tell that others are null
		return nil, 0
	}
	return b, nullCount
}

// bits takes bits.
func (t *taker) bits(of *memory.Buffer, offset int, from []stretch, n int) *memory.Buffer {
	b := t.buffer((n + 7) / 8)
	out, in := b.Bytes(), bytesOf(of)
	clear(out)
	at := 0
	for _, s := range from {
		if s.isHole() {
			at += s.n
			continue
		}
		if s.n >= 64 { // long enough for a call
			bitutil.CopyBitmap(in, offset+s.from, s.n, out, at)
			at += s.n
			continue
		}
		for p := offset + s.from; p < offset+s.end(); p++ {
			out[at>>3] |= in[p>>3] >> (p & 7) & 1 << (at & 7)
			at++
		}
	}
	return b
}

func bytesOf(b *memory.Buffer) []byte {
	if b == nil {
		return nil
	}
	return b.Bytes()
}

// fixed takes elements that have so many bytes each.
func (t *taker) fixed(of *memory.Buffer, offset int, from []stretch, n, width int) *memory.Buffer {
	b := t.buffer(n * width)
	out, in := b.Bytes(), bytesOf(of)
	switch width {
	case 1:
		takeFixed[uint8](out, in, offset, from)
	case 2:
		takeFixed[uint16](out, in, offset, from)
	case 4:
		takeFixed[uint32](out, in, offset, from)
	case 8:
		takeFixed[uint64](out, in, offset, from)
	case 16:
		takeFixed[[2]uint64](out, in, offset, from)
	default:
		for _, s := range from {
			if !s.isHole() {
				copy(out, in[(offset+s.from)*width:(offset+s.end())*width])
			}
			out = out[s.n*width:]
		}
	}
	return b
}

func takeFixed[T any](out, in []byte, offset int, from []stretch) {
	to, of := castTo[T](out), castTo[T](in)
	at := 0
	for _, s := range from {
		if s.isHole() {
			at += s.n
			continue
		}
		if s.n == 1 { // too short for a call
			to[at] = of[offset+s.from]
			at++
			continue
		}
		at += copy(to[at:], of[offset+s.from:offset+s.end()])
	}
}

// castTo is the same memory as another type. Arrow's buffers are aligned to 8 bytes at least.
func castTo[T any](b []byte) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(zero)))
}

// takeTexts makes offsets and bytes of strings.
func takeTexts[O int32 | int64](t *taker, d arrow.ArrayData, from []stretch, n int) []*memory.Buffer {
	in, text := castTo[O](bytesOf(d.Buffers()[1])), bytesOf(d.Buffers()[2])
	offsets, total := takeOffsets(t, in, d.Offset(), from, n)
	texts := t.buffer(total)
	out := texts.Bytes()
	for _, s := range from {
		if s.isHole() {
			continue
		}
		out = out[copy(out, text[in[d.Offset()+s.from]:in[d.Offset()+s.end()]]):]
	}
	return []*memory.Buffer{offsets, texts}
}

// takeLists makes offsets and elements of lists.
func takeLists[O int32 | int64](t *taker, d arrow.ArrayData, from []stretch, n int, buffers []*memory.Buffer) ([]*memory.Buffer, []arrow.ArrayData, error) {
	in := castTo[O](bytesOf(d.Buffers()[1]))
	offsets, total := takeOffsets(t, in, d.Offset(), from, n)
	elements := make([]stretch, 0, len(from))
	for _, s := range from {
		if s.isHole() {
			continue
		}
		if first, end := in[d.Offset()+s.from], in[d.Offset()+s.end()]; first < end {
			elements = append(elements, stretch{int(first), int(end - first)})
		}
	}
	children, err := t.eachChild(d, elements, total)
	return append(buffers, offsets), children, err
}

// takeOffsets makes offsets that begin at 0, and says where they end.
func takeOffsets[O int32 | int64](t *taker, in []O, offset int, from []stretch, n int) (*memory.Buffer, int) {
	var end O
	b := t.buffer((n + 1) * int(unsafe.Sizeof(end)))
	to := castTo[O](b.Bytes())
	to[0] = 0
	at := 0
	for _, s := range from {
		if s.isHole() {
			for range s.n {
				at++
				to[at] = end
			}
			continue
		}
		of := in[offset+s.from : offset+s.end()+1]
		for i, next := range of[1:] {
			end += next - of[i]
			at++
			to[at] = end
		}
	}
	return b, int(end)
}

// runs takes elements of run-end encoded arrays. What is left of a run stays one.
func (t *taker) runs(d arrow.ArrayData, typ *arrow.RunEndEncodedType, from []stretch, n int) (arrow.ArrayData, error) {
	var ends []int64
	var values []stretch
	last, taken := hole-1, int64(0)
	for _, s := range from {
		if s.isHole() {
			if taken += int64(s.n); last == hole {
				ends[len(ends)-1] = taken
				continue
			}
			last = hole
			values = append(values, stretch{hole, 1})
			ends = append(ends, taken)
			continue
		}
		for p := s.from; p < s.end(); p++ {
			at := encoded.FindPhysicalIndex(d, d.Offset()+p)
			if taken++; at == last {
				ends[len(ends)-1] = taken
				continue
			}
			last = at
			values = append(values, stretch{at, 1})
			ends = append(ends, taken)
		}
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
	of, err := t.data(d.Children()[1], values, len(values))
	if err != nil {
		return nil, err
	}
	runEnds := t.array(typ.RunEnds(), len(ends), []*memory.Buffer{nil, b}, nil, 0)
	return t.array(d.DataType(), n, []*memory.Buffer{nil}, []arrow.ArrayData{runEnds, of}, 0), nil
}

// union takes elements of unions.
func (t *taker) union(d arrow.ArrayData, typ arrow.UnionType, from []stretch, n int) (arrow.ArrayData, error) {
	codes := t.fixed(d.Buffers()[1], d.Offset(), from, n, 1)
	at := 0
	for _, s := range from { // a hole is a null of the first type
		for i := at; s.isHole() && i < at+s.n; i++ {
			codes.Bytes()[i] = byte(typ.TypeCodes()[0])
		}
		at += s.n
	}
	buffers := []*memory.Buffer{nil, codes}
	if typ.Mode() == arrow.DenseMode && t.own {
		return t.denseUnion(d, typ, from, n, codes)
	}
	if typ.Mode() == arrow.DenseMode { // the elements are shared
		buffers = append(buffers, t.fixed(d.Buffers()[2], d.Offset(), from, n, 4))
		return t.array(d.DataType(), n, buffers, d.Children(), 0), nil
	}
	children, err := t.eachChild(d, groups(from, d.Offset(), 1), n)
	if err != nil {
		return nil, err
	}
	return t.array(d.DataType(), n, buffers, children, 0), nil
}
