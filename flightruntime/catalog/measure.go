package catalog

import (
	"cmp"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/scalar"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/internal/text"
)

// measured are the statistics of a batch, which nobody but its values tells.
type measured struct{ arrow.RecordBatch }

var _ format.Statistics = measured{}

func (m measured) Rows() int64 { return m.NumRows() }

// Column tells of columns of the types that bounds are kept of.
func (m measured) Column(field int) (format.ColumnStatistics, bool) {
	a := m.RecordBatch.Column(field)
	known := format.ColumnStatistics{Nulls: int64(a.NullN())}
	values, which := a, notNull(a)
	if d, ok := a.(*array.Dictionary); ok {
		if values = d.Dictionary(); values.NullN() > 0 { // which makes rows null that have an index
			known.Nulls = -1
		}
		which = valuesOf(d)
	}
	least, greatest, ok := extremes(values, which)
	known.Min, known.Max = valueAt(values, least), valueAt(values, greatest)
	return known, ok
}

// some are the elements of an array that are looked at: all if nothing is set.
type some struct {
	used   []bool
	bits   []byte // a bitmap as Arrow has it, from a bit on
	offset int
}

func (s *some) has(i int) bool {
	switch {
	case s.used != nil:
		return s.used[i]
	case s.bits != nil:
		return bitutil.BitIsSet(s.bits, s.offset+i)
	default:
		return true
	}
}

// notNull are the elements of an array that are not null.
func notNull(a arrow.Array) some {
	if a.NullN() == 0 {
		return some{}
	}
	return some{bits: a.NullBitmapBytes(), offset: a.Data().Offset()}
}

// valuesOf are those of its dictionary that an array has.
func valuesOf(d *array.Dictionary) some {
	used, rows := make([]bool, d.Dictionary().Len()), notNull(d)
	switch indices := d.Indices().(type) {
	case *array.Int8:
		mark(used, indices.Int8Values(), rows)
	case *array.Int16:
		mark(used, indices.Int16Values(), rows)
	case *array.Int32:
		mark(used, indices.Int32Values(), rows)
	default:
		for i := range d.Len() {
			if rows.has(i) {
				used[d.GetValueIndex(i)] = true
			}
		}
	}
	for i := range used {
		used[i] = used[i] && d.Dictionary().IsValid(i)
	}
	return some{used: used}
}

func mark[I int8 | int16 | int32](used []bool, indices []I, rows some) {
	for i, index := range indices {
		if rows.has(i) {
			used[index] = true
		}
	}
}

// longestBound bytes of text are kept as a bound: there may be many.
const longestBound = 256

// valueAt is a bound; nil if there is none.
func valueAt(a arrow.Array, i int) scalar.Scalar {
	if i < 0 {
		return nil
	}
	if values, ok := a.(array.StringLike); ok {
		switch v := values.Value(i); {
		case len(v) > longestBound:
			return nil
		case a.DataType().ID() == arrow.LARGE_STRING:
			return scalar.NewLargeStringScalar(v)
		default:
			return scalar.NewStringScalar(v)
		}
	}
	s, err := scalar.GetScalar(a, i)
	if err != nil {
		return nil
	}
	return s
}

// extremes are where the least and the greatest of some values of an array are: -1 if there is none. NaN is none. It is false for types that are
// not measured.
func extremes(a arrow.Array, of some) (least, greatest int, ok bool) {
	switch a := a.(type) {
	case *array.Null:
		return -1, -1, true
	case *array.Boolean:
		least, greatest = extremesBy(a.Len(), of, a.Value, func(v, w bool) bool { return !v && w })
	case *array.Int8:
		least, greatest = extremesOf(a.Int8Values(), of)
	case *array.Int16:
		least, greatest = extremesOf(a.Int16Values(), of)
	case *array.Int32:
		least, greatest = extremesOf(a.Int32Values(), of)
	case *array.Int64:
		least, greatest = extremesOf(a.Int64Values(), of)
	case *array.Uint8:
		least, greatest = extremesOf(a.Uint8Values(), of)
	case *array.Uint16:
		least, greatest = extremesOf(a.Uint16Values(), of)
	case *array.Uint32:
		least, greatest = extremesOf(a.Uint32Values(), of)
	case *array.Uint64:
		least, greatest = extremesOf(a.Uint64Values(), of)
	case *array.Float32:
		least, greatest = extremesOf(a.Float32Values(), of)
	case *array.Float64:
		least, greatest = extremesOf(a.Float64Values(), of)
	case *array.Date32:
		least, greatest = extremesOf(a.Date32Values(), of)
	case *array.Time32:
		least, greatest = extremesOf(a.Time32Values(), of)
	case *array.Time64:
		least, greatest = extremesOf(a.Time64Values(), of)
	case *array.Timestamp:
		least, greatest = extremesOf(a.TimestampValues(), of)
	case *array.Duration:
		least, greatest = extremesOf(a.DurationValues(), of)
	case *array.Decimal128:
		least, greatest = extremesBy(a.Len(), of, a.Value, decimal128.Num.Less)
	case *array.Decimal256:
		least, greatest = extremesBy(a.Len(), of, a.Value, decimal256.Num.Less)
	case array.StringLike:
		least, greatest = extremesOfText(a.Len(), of, a.Value)
	default:
		return -1, -1, false
	}
	return least, greatest, true
}

func extremesOf[T cmp.Ordered](values []T, of some) (least, greatest int) {
	least, greatest = -1, -1
	var low, high T
	for i, v := range values {
		if isNaN := v != v; isNaN || !of.has(i) { //nolint:gocritic // NaN is no value, not even its own
			continue
		}
		if least < 0 {
			least, greatest, low, high = i, i, v, v
		}
		if v < low {
			least, low = i, v
		}
		if v > high {
			greatest, high = i, v
		}
	}
	return least, greatest
}

func extremesBy[T any](n int, of some, value func(i int) T, less func(v, w T) bool) (least, greatest int) {
	least, greatest = -1, -1
	var low, high T
	for i := range n {
		if !of.has(i) {
			continue
		}
		v := value(i)
		if least < 0 {
			least, greatest, low, high = i, i, v, v
		}
		if less(v, low) {
			least, low = i, v
		}
		if less(high, v) {
			greatest, high = i, v
		}
	}
	return least, greatest
}

// extremesOfText tells most values apart from the extremes by their first bytes.
func extremesOfText(n int, of some, value func(i int) string) (least, greatest int) {
	least, greatest = -1, -1
	var low, high string
	var lowest, highest uint64
	for i := range n {
		if !of.has(i) {
			continue
		}
		v := value(i)
		first := text.Head(v)
		if least < 0 {
			least, greatest, low, high, lowest, highest = i, i, v, v, first, first
		}
		if first <= lowest && v < low {
			least, low, lowest = i, v, first
		}
		if first >= highest && v > high {
			greatest, high, highest = i, v, first
		}
	}
	return least, greatest
}
