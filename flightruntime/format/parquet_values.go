package format

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// fixedTypes are laid out as Parquet's own are.
var fixedTypes = map[parquet.Type][]arrow.Type{
	parquet.Types.Int32:  {arrow.INT32, arrow.UINT32, arrow.DATE32, arrow.TIME32},
	parquet.Types.Float:  {arrow.FLOAT32},
	parquet.Types.Int64:  {arrow.INT64, arrow.UINT64, arrow.TIME64, arrow.TIMESTAMP},
	parquet.Types.Double: {arrow.FLOAT64},
}

// flatValuesOf decode values of a Parquet column to an Arrow type, as which pqarrow would read them; nil if that takes more than to lay them out.
func flatValuesOf(column *schema.Column, t arrow.DataType, mem *ipcguard.Quota) flatValues {
	if column.MaxRepetitionLevel() > 0 || column.MaxDefinitionLevel() > 1 || column.ColumnPath()[0] != column.Path() {
		return nil // it is nested
	}
	switch physical := column.PhysicalType(); {
	case physical == parquet.Types.ByteArray:
		return textValuesOf(t, mem)
	case !slices.Contains(fixedTypes[physical], t.ID()):
		return nil
	case physical == parquet.Types.Int32, physical == parquet.Types.Float:
		return &fixedValues[uint32]{buffered: buffered[uint32]{mem: mem}, of: t}
	default:
		return &fixedValues[uint64]{buffered: buffered[uint64]{mem: mem}, of: t}
	}
}

func textValuesOf(t arrow.DataType, mem *ipcguard.Quota) flatValues {
	switch t := t.(type) {
	case *arrow.StringType, *arrow.BinaryType:
		return &textValues[int32]{offsets: buffered[int32]{mem: mem}, text: buffered[byte]{mem: mem}, of: t}
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		return &textValues[int64]{offsets: buffered[int64]{mem: mem}, text: buffered[byte]{mem: mem}, of: t}
	case *arrow.DictionaryType:
		return dictionaryValuesOf(t, mem)
	default: // decimals, among others
		return nil
	}
}

func dictionaryValuesOf(t *arrow.DictionaryType, mem *ipcguard.Quota) flatValues {
	if t.ValueType.ID() != arrow.STRING && t.ValueType.ID() != arrow.BINARY {
		return nil
	}
	switch t.IndexType.ID() {
	case arrow.INT8:
		return &dictionaryValues[int8]{buffered: buffered[int8]{mem: mem}, of: t, most: math.MaxInt8}
	case arrow.INT16:
		return &dictionaryValues[int16]{buffered: buffered[int16]{mem: mem}, of: t, most: math.MaxInt16}
	case arrow.INT32:
		return &dictionaryValues[int32]{buffered: buffered[int32]{mem: mem}, of: t, most: math.MaxInt32}
	default:
		return nil
	}
}

// buffered is a slice in memory of an allocator, which becomes a buffer of an array.
type buffered[T any] struct {
	mem    *ipcguard.Quota
	buffer *memory.Buffer
	items  []T // as many as there is room for
}

// begin makes room for n items.
func (b *buffered[T]) begin(n int) {
	b.buffer = memory.NewResizableBuffer(b.mem)
	b.grow(n)
}

// grow makes room for n items in all.
func (b *buffered[T]) grow(n int) {
	size := int(unsafe.Sizeof(*new(T)))
	if n > math.MaxInt/size {
		panic(errDamaged)
	}
	b.buffer.Reserve(n * size)
	bytes := b.buffer.Buf()
	b.items = unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(bytes))), len(bytes)/size)
}

// end is the buffer, with its first n items.
func (b *buffered[T]) end(n int) *memory.Buffer {
	buffer := b.buffer
	buffer.ResizeNoShrink(n * int(unsafe.Sizeof(*new(T))))
	b.buffer, b.items = nil, nil
	return buffer
}

func (b *buffered[T]) drop() {
	if b.buffer != nil {
		b.buffer.Release()
	}
	b.buffer, b.items = nil, nil
}

// fixedValues have 4 or 8 bytes, whatever these mean.
type fixedValues[T uint32 | uint64] struct {
	buffered[T]
	of         arrow.DataType
	filled     int
	dictionary []T
}

func (v *fixedValues[T]) learn(n int, data []byte) error {
	size := int(unsafe.Sizeof(T(0)))
	if n < 0 || n > len(data)/size {
		return errDamaged
	}
	v.dictionary = make([]T, n)
	copy(arrow.GetBytes(v.dictionary), data)
	return nil
}

func (v *fixedValues[T]) begin(rows int) {
	v.filled = 0
	v.buffered.begin(rows)
}

func (v *fixedValues[T]) plain(n int, data []byte) ([]byte, error) {
	size := n * int(unsafe.Sizeof(T(0)))
	if size > len(data) {
		return nil, errDamaged
	}
	copy(arrow.GetBytes(v.items[v.filled:v.filled+n]), data)
	v.filled += n
	return data[size:], nil
}

func (v *fixedValues[T]) pass(n int, data []byte) ([]byte, error) {
	size := n * int(unsafe.Sizeof(T(0)))
	if size > len(data) {
		return nil, errDamaged
	}
	return data[size:], nil
}

func (v *fixedValues[T]) indexed(indices []uint32) error {
	out, known := v.items[v.filled:v.filled+len(indices)], v.dictionary
	for i, index := range indices {
		if int(index) >= len(known) {
			return errDamaged
		}
		out[i] = known[index]
	}
	v.filled += len(indices)
	return nil
}

func (v *fixedValues[T]) spread(valid []byte, from, rows, values int) {
	v.filled = spread(v.items, v.filled-values, valid, from, rows, values)
}

func (v *fixedValues[T]) end(rows int, valid *memory.Buffer, nulls int) arrow.ArrayData {
	return ofBuffers(v.of, rows, nulls, valid, v.buffered.end(rows))
}

func (v *fixedValues[T]) known() int64 { return int64(cap(v.dictionary)) * int64(unsafe.Sizeof(T(0))) }

func (v *fixedValues[T]) forget() { v.dictionary = nil }

func (v *fixedValues[T]) close() { v.forget() }

// spread moves values, which begin at first, to their places among rows, and makes all others zero. It is where the next value belongs.
func spread[T uint8 | uint32 | uint64 | int8 | int16 | int32](items []T, first int, valid []byte, from, rows, values int) (next int) {
	out := items[first : first+rows]
	for row := rows - 1; row >= 0; row-- {
		if !bitutil.BitIsSet(valid, from+row) {
			out[row] = 0
			continue
		}
		if values--; values == row {
			break // what comes before is where it belongs
		}
		out[row] = out[values]
	}
	return first + rows
}

// textValues are text or bytes.
type textValues[O int32 | int64] struct {
	of      arrow.DataType
	offsets buffered[O]
	text    buffered[byte]
	filled  int // values
	length  int // bytes of them
	widest  int // bytes of a value on the average, in the last array

	dictionary []byte   // its values one after the other
	ends       []uint32 // where they end
}

const (
	// stride bytes are copied of a short value, whatever its length: that is faster than to copy just those it has.
	stride = 16
	// firstTextWidth is how long values of the first array are taken to be.
	firstTextWidth = 24
)

func (v *textValues[O]) learn(n int, data []byte) error {
	if n < 0 || n > len(data)/4 {
		return errDamaged
	}
	v.ends, v.dictionary = make([]uint32, n), make([]byte, 0, len(data)-4*n+stride)
	for i := range v.ends {
		value, rest, ok := prefixed(data)
		if !ok {
			return errDamaged
		}
		v.dictionary, data = append(v.dictionary, value...), rest
		v.ends[i] = uint32(len(v.dictionary))
	}
	return nil
}

func (v *textValues[O]) begin(rows int) {
	v.filled, v.length = 0, 0
	if v.widest == 0 {
		v.widest = firstTextWidth
	}
	v.offsets.begin(rows + 1)
	v.offsets.items[0] = 0
	v.text.begin(rows*v.widest + stride)
}

// room makes sure that n bytes more fit, and as many as are copied of a short value.
func (v *textValues[O]) room(n int) {
	if need := v.length + n + stride; need > len(v.text.items) {
		v.text.buffer.ResizeNoShrink(v.length) // what is kept
		v.text.grow(max(need, len(v.text.items)+len(v.text.items)/2))
	}
}

// most bytes of text have their offsets in one array.
func (v *textValues[O]) most() int {
	if unsafe.Sizeof(O(0)) == 4 {
		return math.MaxInt32
	}
	return math.MaxInt
}

var errTextTooLong = errors.New("the text of so many rows takes more than 2 GiB: write smaller row groups, or columns of large strings")

func (v *textValues[O]) plain(n int, data []byte) ([]byte, error) {
	offsets, length, most := v.offsets.items[v.filled+1:v.filled+1+n], v.length, v.most()
	for i := range offsets {
		if len(data) < 4 {
			return nil, errDamaged
		}
		size := int(binary.LittleEndian.Uint32(data))
		data = data[4:]
		if size > len(data) {
			return nil, errDamaged
		}
		if length+size+stride > len(v.text.items) {
			v.length = length
			if size > most-length {
				return nil, errTextTooLong
			}
			v.room(size)
		}
		if size <= stride && len(data) >= stride {
			*(*[stride]byte)(v.text.items[length:]) = *(*[stride]byte)(data)
		} else {
			copy(v.text.items[length:], data[:size])
		}
		data, length = data[size:], length+size
		offsets[i] = O(length)
	}
	v.filled, v.length = v.filled+n, length
	return data, nil
}

func (v *textValues[O]) pass(n int, data []byte) ([]byte, error) {
	for range n {
		var ok bool
		if _, data, ok = prefixed(data); !ok {
			return nil, errDamaged
		}
	}
	return data, nil
}

func (v *textValues[O]) indexed(indices []uint32) error {
	offsets, length, most := v.offsets.items[v.filled+1:v.filled+1+len(indices)], v.length, v.most()
	known := v.dictionary[:cap(v.dictionary)]
	for i, index := range indices {
		if int(index) >= len(v.ends) {
			return errDamaged
		}
		from, to := 0, int(v.ends[index])
		if index > 0 {
			from = int(v.ends[index-1])
		}
		size := to - from
		if length+size+stride > len(v.text.items) {
			v.length = length
			if size > most-length {
				return errTextTooLong
			}
			v.room(size)
		}
		if size <= stride {
			*(*[stride]byte)(v.text.items[length:]) = *(*[stride]byte)(known[from:])
		} else {
			copy(v.text.items[length:], known[from:to])
		}
		length += size
		offsets[i] = O(length)
	}
	v.filled, v.length = v.filled+len(indices), length
	return nil
}

// spread has nulls end where the value before them does.
func (v *textValues[O]) spread(valid []byte, from, rows, values int) {
	first := v.filled - values
	ends := v.offsets.items[first:] // the first is that of what comes before
	for row := rows - 1; row >= 0 && values <= row; row-- {
		ends[row+1] = ends[values]
		if bitutil.BitIsSet(valid, from+row) {
			values--
		}
	}
	v.filled = first + rows
}

func (v *textValues[O]) end(rows int, valid *memory.Buffer, nulls int) arrow.ArrayData {
	if rows > 0 {
		v.widest = v.length/rows + v.length/rows/8 + 1
	}
	return ofBuffers(v.of, rows, nulls, valid, v.offsets.end(rows+1), v.text.end(v.length))
}

func (v *textValues[O]) drop() {
	v.offsets.drop()
	v.text.drop()
}

func (v *textValues[O]) known() int64 { return int64(cap(v.dictionary)) + 4*int64(cap(v.ends)) }

func (v *textValues[O]) forget() { v.dictionary, v.ends = nil, nil }

func (v *textValues[O]) close() { v.forget() }

// dictionaryValues are indices of text in a dictionary, which Arrow keeps as Parquet has it.
type dictionaryValues[I int8 | int16 | int32] struct {
	buffered[I]
	of         *arrow.DictionaryType
	most       int // the largest index that there can be
	filled     int
	dictionary arrow.ArrayData
}

func (v *dictionaryValues[I]) learn(n int, data []byte) error {
	if n-1 > v.most {
		return errEncoding // pqarrow tells what is wrong, unless not all of it is used
	}
	text := &textValues[int32]{of: v.of.ValueType, offsets: buffered[int32]{mem: v.mem}, text: buffered[byte]{mem: v.mem}}
	if n < 0 || n > len(data)/4 {
		return errDamaged
	}
	text.widest = len(data)/max(n, 1) + 1
	text.begin(n)
	if _, err := text.plain(n, data); err != nil {
		text.drop()
		return err
	}
	v.dictionary = text.end(n, nil, 0)
	return nil
}

func (v *dictionaryValues[I]) begin(rows int) {
	v.filled = 0
	v.buffered.begin(rows)
}

// plain: where the dictionary has become too large, writers go on without; it has to be extended, which pqarrow does.
func (v *dictionaryValues[I]) plain(n int, data []byte) ([]byte, error) {
	if n > 0 {
		return nil, errEncoding
	}
	return data, nil
}

func (v *dictionaryValues[I]) pass(n int, data []byte) ([]byte, error) { return v.plain(n, data) }

func (v *dictionaryValues[I]) indexed(indices []uint32) error {
	known := 0
	if v.dictionary != nil {
		known = v.dictionary.Len()
	}
	out := v.items[v.filled : v.filled+len(indices)]
	for i, index := range indices {
		if int(index) >= known {
			return errDamaged
		}
		out[i] = I(index)
	}
	v.filled += len(indices)
	return nil
}

func (v *dictionaryValues[I]) spread(valid []byte, from, rows, values int) {
	v.filled = spread(v.items, v.filled-values, valid, from, rows, values)
}

func (v *dictionaryValues[I]) end(rows int, valid *memory.Buffer, nulls int) arrow.ArrayData {
	known := v.dictionary
	if known == nil { // all rows are null
		known = emptyText(v.of.ValueType)
	}
	out := array.NewData(v.of, rows, []*memory.Buffer{valid, v.buffered.end(rows)}, nil, nulls, 0)
	out.SetDictionary(known)
	releaseBuffers(out)
	return out
}

// known is nothing: all arrays have the same dictionary, and whoever has sent it keeps it to see that it is.
func (v *dictionaryValues[I]) known() int64 { return 0 }

func (v *dictionaryValues[I]) forget() {}

func (v *dictionaryValues[I]) close() {
	if v.dictionary != nil {
		v.dictionary.Release()
	}
}

func emptyText(t arrow.DataType) arrow.ArrayData {
	return array.NewData(t, 0, []*memory.Buffer{nil, memory.NewBufferBytes(make([]byte, 4)), memory.NewBufferBytes(nil)}, nil, 0, 0)
}

// ofBuffers is an array of these buffers, of which it takes the caller's references.
func ofBuffers(t arrow.DataType, rows, nulls int, buffers ...*memory.Buffer) arrow.ArrayData {
	out := array.NewData(t, rows, buffers, nil, nulls, 0)
	releaseBuffers(out)
	return out
}

// releaseBuffers gives up the references that the makers of an array's buffers have.
func releaseBuffers(data arrow.ArrayData) {
	for _, b := range data.Buffers() {
		if b != nil {
			b.Release()
		}
	}
}
