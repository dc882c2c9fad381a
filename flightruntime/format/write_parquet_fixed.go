package format

import (
	"math"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
)

// pageValuesOf encode values of an Arrow type as pqarrow would; nil if that takes more than to lay them out.
func pageValuesOf(t arrow.DataType) pageValues {
	switch t := t.(type) {
	case *arrow.Int8Type:
		return &fixedPage[int32, uint32]{load: widened[int8, int32], narrow: true}
	case *arrow.Int16Type:
		return &fixedPage[int32, uint32]{load: widened[int16, int32], narrow: true}
	case *arrow.Uint8Type:
		return &fixedPage[uint32, uint32]{load: widened[uint8, uint32], narrow: true}
	case *arrow.Uint16Type:
		return &fixedPage[uint32, uint32]{load: widened[uint16, uint32], narrow: true}
	case *arrow.Int32Type, *arrow.Date32Type:
		return &fixedPage[int32, uint32]{load: loaded[int32]}
	case *arrow.Time32Type:
		if t.Unit == arrow.Millisecond { // Parquet has no seconds
			return &fixedPage[int32, uint32]{load: loaded[int32]}
		}
		return nil
	case *arrow.Uint32Type:
		return &fixedPage[uint32, uint32]{load: loaded[uint32]}
	case *arrow.Int64Type, *arrow.Time64Type:
		return &fixedPage[int64, uint64]{load: loaded[int64]}
	case *arrow.TimestampType:
		if t.Unit != arrow.Second {
			return &fixedPage[int64, uint64]{load: loaded[int64]}
		}
		return nil
	case *arrow.Uint64Type:
		return &fixedPage[uint64, uint64]{load: loaded[uint64]}
	case *arrow.Float32Type:
		return &fixedPage[float32, uint32]{load: loaded[float32]}
	case *arrow.Float64Type:
		return &fixedPage[float64, uint64]{load: loaded[float64]}
	case *arrow.StringType, *arrow.BinaryType:
		return &textPage[int32]{}
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		return &textPage[int64]{}
	case *arrow.DictionaryType:
		return dictionaryPageOf(t)
	default:
		return nil
	}
}

// physical are the types that Parquet has for numbers, with how they are compared.
type physical interface {
	int32 | uint32 | int64 | uint64 | float32 | float64
}

// loaded are values as they lie in memory.
func loaded[T physical](data arrow.ArrayData, from, rows int, _ []T) []T {
	from += data.Offset()
	return arrow.GetData[T](data.Buffers()[1].Bytes())[from : from+rows]
}

// widened are values that Parquet has no type for as narrow as that.
func widened[S int8 | int16 | uint8 | uint16, T int32 | uint32](data arrow.ArrayData, from, rows int, scratch []T) []T {
	from += data.Offset()
	for i, v := range arrow.GetData[S](data.Buffers()[1].Bytes())[from : from+rows] {
		scratch[i] = T(v)
	}
	return scratch[:rows]
}

// fixedPage has values of a type T of 4 or 8 bytes, which are looked up as the integers B of their bits.
type fixedPage[T physical, B uint32 | uint64] struct {
	// load takes rows of an array, nulls among them, into scratch if they are not there as they are needed.
	load    func(data arrow.ArrayData, from, rows int, scratch []T) []T
	narrow  bool // they are not
	scratch []T  // for pieceRows; nil until it is needed
	current []T
	values  []T // of the page
	known   numberTable[B]

	// least and most are those of the values outside of the dictionary, if it is bounded. Of nothing but NaN, least is greater than most.
	least, most T
	bounded     bool
}

func (p *fixedPage[T, B]) take(data arrow.ArrayData, from, most int, valid []byte) (rows, size int) {
	rows = min(most, data.Len()-from)
	if p.scratch == nil && (valid != nil || p.narrow) {
		p.scratch = make([]T, pieceRows)
	}
	p.current = p.load(data, from, rows, p.scratch)
	if valid != nil {
		p.current = compact(p.scratch, p.current, valid, data.Offset()+from)
	}
	return rows, len(p.current) * int(unsafe.Sizeof(B(0)))
}

// compact leaves out values where the bitmap, from a position on, has no bit that is set. The output may be the input.
func compact[T any](out, values []T, valid []byte, at int) []T {
	n := 0
	for _, v := range values {
		out[n] = v
		n += int(valid[at>>3]>>(at&7)) & 1
		at++
	}
	return out[:n]
}

// bitsOf are the same bits as values of another type of that size.
func bitsOf[T, B physical](values []T) []B {
	return unsafe.Slice((*B)(unsafe.Pointer(unsafe.SliceData(values))), len(values))
}

func (p *fixedPage[T, B]) index(indices []uint32) []uint32 {
	return p.known.index(indices, bitsOf[T, B](p.current))
}

func (p *fixedPage[T, B]) plain() {
	p.bound(p.current)
	p.values = append(grow(p.values, len(p.current)), p.current...)
}

func (p *fixedPage[T, B]) restore(indices []uint32) {
	known := bitsOf[B, T](p.known.keys)
	p.bound(known)
	p.values = grow(p.values, len(indices))
	for _, i := range indices {
		p.values = append(p.values, known[i])
	}
	p.known.clear()
}

func (p *fixedPage[T, B]) page() []byte { return arrow.GetBytes(p.values) }
func (p *fixedPage[T, B]) endPage()     { p.values = p.values[:0] }
func (p *fixedPage[T, B]) full() bool   { return len(p.known.keys) >= fullNumbers }

func (p *fixedPage[T, B]) repeat(indices int) bool { return fewDistinct(len(p.known.keys), indices) }

func (p *fixedPage[T, B]) dictionary() (int, []byte) {
	return len(p.known.keys), arrow.GetBytes(p.known.keys)
}

// bound widens the bounds to values. NaN is neither less nor greater than any.
func (p *fixedPage[T, B]) bound(values []T) {
	if !p.bounded && len(values) > 0 {
		p.most, p.least = extremes[T]()
		p.bounded = true
	}
	least, most := p.least, p.most
	for _, v := range values {
		if v < least {
			least = v
		}
		if v > most {
			most = v
		}
	}
	p.least, p.most = least, most
}

func (p *fixedPage[T, B]) bounds() (least, most []byte) {
	p.bound(bitsOf[B, T](p.known.keys))
	if !p.bounded || p.least > p.most { // there is none but NaN
		return nil, nil
	}
	return plainNumber(p.least, true), plainNumber(p.most, false)
}

func (p *fixedPage[T, B]) endChunk() {
	p.known.clear()
	p.bounded = false
}

// extremes are what no value is less, and what none is greater than.
func extremes[T physical]() (smallest, largest T) {
	switch s, l := any(&smallest), any(&largest); s := s.(type) {
	case *int32:
		*s, *l.(*int32) = math.MinInt32, math.MaxInt32
	case *uint32:
		*s, *l.(*uint32) = 0, math.MaxUint32
	case *int64:
		*s, *l.(*int64) = math.MinInt64, math.MaxInt64
	case *uint64:
		*s, *l.(*uint64) = 0, math.MaxUint64
	case *float32:
		*s, *l.(*float32) = float32(math.Inf(-1)), float32(math.Inf(1))
	case *float64:
		*s, *l.(*float64) = math.Inf(-1), math.Inf(1)
	}
	return smallest, largest
}

// plainNumber is a bound in plain encoding. Of zeros, floating-point numbers have the negative one as the least and the positive one as the most:
// readers may not tell one from the other.
func plainNumber[T physical](v T, least bool) []byte {
	if v == 0 {
		zero := 0.0
		if least {
			zero = math.Copysign(0, -1) // which is 0 as an integer
		}
		v = T(zero)
	}
	return arrow.GetBytes([]T{v})
}
