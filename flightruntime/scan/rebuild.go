package scan

import (
	"encoding/binary"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// What follows rebuilds the layouts whose values stand elsewhere than the elements, so that no value stays that none of these has.

// cover counts how many needs each value of an array meets, as differences from one value to the next: a need of any length costs the same.
type cover []int32

func newCover(values int) cover { return make(cover, values+1) }

// add needs n values.
func (c cover) add(from, n int) {
	c[from]++
	c[from+n]--
}

// needed are the stretches of values that are needed, the place among them that each comes to stand at, and how many they are.
func (c cover) needed() (from []stretch, place []int, n int) {
	place = make([]int, len(c))
	needs := int32(0)
	for i := range len(c) - 1 {
		place[i] = n
		if needs += c[i]; needs == 0 {
			continue
		}
		if last := len(from) - 1; last >= 0 && from[last].end() == i {
			from[last].n++
		} else {
			from = append(from, stretch{i, 1})
		}
		n++
	}
	place[len(c)-1] = n
	return from, place, n
}

// isValid is true if an element that was taken is not null.
func isValid(valid *memory.Buffer, i int) bool {
	return valid == nil || bitutil.BitIsSet(valid.Bytes(), i)
}

// dictionary takes elements of dictionary-encoded arrays, and of the dictionary those values that they have. These come to stand in the order in
// which the elements have them, which tells nothing of others; where the order of the dictionary means something, it stays.
func (t *taker) dictionary(d arrow.ArrayData, typ *arrow.DictionaryType, from []stretch, n int) (arrow.ArrayData, error) {
	valid, nullCount := t.valid(d, from, n)
	width := typ.IndexType.(arrow.FixedWidthDataType).Bytes()
	codes := t.fixed(d.Buffers()[1], d.Offset(), from, n, width)
	needed, place := ordered(d.Dictionary().Len(), typ.Ordered, func(need func(code int)) {
		for i := range n {
			if isValid(valid, i) {
				need(codeAt(codes.Bytes(), width, i))
			}
		}
	})
	for i := range n {
		code := 0 // of nulls
		if isValid(valid, i) {
			code = place[codeAt(codes.Bytes(), width, i)] - 1
		}
		setCode(codes.Bytes(), width, i, code)
	}
	values, err := t.data(d.Dictionary(), needed, sum(needed))
	if err != nil {
		return nil, err
	}
	out := array.NewDataWithDictionary(d.DataType(), n, []*memory.Buffer{valid, codes}, nullCount, 0, values.(*array.Data))
	t.made = append(t.made, out)
	return out, nil
}

// ordered puts the codes that are needed in order: ascending, or as they are needed. place has, for each of them, its place counted from 1.
func ordered(codes int, ascending bool, each func(need func(code int))) (needed []stretch, place []int) {
	place = make([]int, codes)
	n := 0
	number := func(code int) {
		if n++; len(needed) > 0 && needed[len(needed)-1].end() == code {
			needed[len(needed)-1].n++
		} else {
			needed = append(needed, stretch{code, 1})
		}
		place[code] = n
	}
	if !ascending {
		each(func(code int) {
			if place[code] == 0 {
				number(code)
			}
		})
		return needed, place
	}
	each(func(code int) { place[code] = -1 })
	for code := range place {
		if place[code] != 0 {
			number(code)
		}
	}
	return needed, place
}

// sum is how many elements stretches have.
func sum(of []stretch) (n int) {
	for _, s := range of {
		n += s.n
	}
	return n
}

// codeAt is an index of a dictionary, which is not negative and fits, whatever its type.
func codeAt(codes []byte, width, i int) int {
	switch at := codes[i*width:]; width {
	case 1:
		return int(at[0])
	case 2:
		return int(binary.NativeEndian.Uint16(at))
	case 4:
		return int(binary.NativeEndian.Uint32(at))
	default:
		return int(binary.NativeEndian.Uint64(at))
	}
}

func setCode(codes []byte, width, i, code int) {
	switch at := codes[i*width:]; width {
	case 1:
		at[0] = byte(code)
	case 2:
		binary.NativeEndian.PutUint16(at, uint16(code))
	case 4:
		binary.NativeEndian.PutUint32(at, uint32(code))
	default:
		binary.NativeEndian.PutUint64(at, uint64(code))
	}
}

// maxViewed bounds a buffer that views view: they point into it by 31 bits.
const maxViewed = 1 << 30

// views takes views, and what they view.
func (t *taker) views(d arrow.ArrayData, from []stretch, n int, valid *memory.Buffer) []*memory.Buffer {
	headers := t.fixed(d.Buffers()[1], d.Offset(), from, n, arrow.ViewHeaderSizeBytes)
	views := castTo[arrow.ViewHeader](headers.Bytes())
	// The sizes of the buffers first: memory comes from the allocator, once for each.
	var sizes []int
	for i := range views {
		if !isValid(valid, i) {
			views[i] = arrow.ViewHeader{}
			continue
		}
		if v := &views[i]; !v.IsInline() {
			if last := len(sizes) - 1; last < 0 || sizes[last]+v.Len() > maxViewed {
				sizes = append(sizes, 0)
			}
			sizes[len(sizes)-1] += v.Len()
		}
	}
	out := []*memory.Buffer{headers}
	for _, size := range sizes {
		out = append(out, t.buffer(size))
	}
	buffer, at := 0, 0
	for i := range views {
		v := &views[i]
		if v.IsInline() {
			continue
		}
		viewed := d.Buffers()[2+v.BufferIndex()].Bytes()[v.BufferOffset() : int(v.BufferOffset())+v.Len()]
		if at+len(viewed) > sizes[buffer] {
			buffer, at = buffer+1, 0
		}
		copy(out[1+buffer].Bytes()[at:], viewed)
		v.SetIndexOffset(int32(buffer), int32(at))
		at += len(viewed)
	}
	return out
}

// takeListViews takes views of lists, and the elements that these have.
func takeListViews[O int32 | int64](t *taker, d arrow.ArrayData, from []stretch, n int, buffers []*memory.Buffer) ([]*memory.Buffer, []arrow.ArrayData, error) {
	var zero O
	width := int(unsafe.Sizeof(zero))
	offsets, sizes := t.fixed(d.Buffers()[1], d.Offset(), from, n, width), t.fixed(d.Buffers()[2], d.Offset(), from, n, width)
	at, size := castTo[O](offsets.Bytes()), castTo[O](sizes.Bytes())
	c := newCover(d.Children()[0].Len())
	for i := range at {
		if !isValid(buffers[0], i) || size[i] == 0 {
			at[i], size[i] = 0, 0
			continue
		}
		c.add(int(at[i]), int(size[i]))
	}
	needed, place, total := c.needed()
	for i := range at {
		at[i] = O(place[at[i]]) // all elements of a list are needed, so they stay side by side
	}
	elements, err := t.data(d.Children()[0], needed, total)
	return append(buffers, offsets, sizes), []arrow.ArrayData{elements}, err
}

// denseUnion takes elements of dense unions, whose codes have been taken already, and of each child those that they have, in their order.
func (t *taker) denseUnion(d arrow.ArrayData, typ arrow.UnionType, from []stretch, n int, codes *memory.Buffer) (arrow.ArrayData, error) {
	offsets := t.buffer(n * 4)
	in, out, ids := castTo[int32](d.Buffers()[2].Bytes())[d.Offset():], castTo[int32](offsets.Bytes()), typ.ChildIDs()
	taken, size := make([][]stretch, len(d.Children())), make([]int, len(d.Children()))
	at := 0
	for _, s := range from {
		for i := range s.n {
			child, element := ids[codes.Bytes()[at]], hole
			if !s.isHole() {
				element = int(in[s.from+i])
			}
			switch last := len(taken[child]) - 1; {
			case last >= 0 && lastOf(taken[child][last]) == element: // elements may share a value
			case last >= 0 && element != hole && taken[child][last].end() == element && !taken[child][last].isHole():
				taken[child][last].n++
				size[child]++
			default:
				taken[child] = append(taken[child], stretch{element, 1})
				size[child]++
			}
			out[at] = int32(size[child] - 1)
			at++
		}
	}
	children := make([]arrow.ArrayData, len(taken))
	for i, child := range d.Children() {
		var err error
		if children[i], err = t.data(child, taken[i], size[i]); err != nil {
			return nil, err
		}
	}
	return t.array(d.DataType(), n, []*memory.Buffer{nil, codes, offsets}, children, 0), nil
}

// lastOf is the last element of a stretch.
func lastOf(s stretch) int {
	if s.isHole() {
		return hole
	}
	return s.end() - 1
}
