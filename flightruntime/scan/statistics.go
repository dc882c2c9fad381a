package scan

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/scalar"
)

// known is what statistics tell of a column. It is false for what is within columns, of which they tell nothing.
func known(s Statistics, p *path) (ColumnStatistics, bool) {
	if len(p.steps) > 0 {
		return ColumnStatistics{}, false
	}
	return s.Column(p.field)
}

// nullness says whether a column may be null, and whether it may be something else.
func nullness(s Statistics, c ColumnStatistics) (null, filled bool) {
	return c.Nulls != 0, c.Nulls < 0 || c.Nulls < s.Rows()
}

// statistics gives the bounds of a column's values.
func statistics[T any](p *path, value func(scalar.Scalar) (T, bool), compare func(a, b T) int) func(Statistics) bounds[T] {
	want := shapeOf(p.typ)
	return func(s Statistics) bounds[T] {
		out := unbounded[T]()
		out.nan = false
		c, ok := known(s, p)
		if !ok {
			return out
		}
		out.null, out.filled = nullness(s, c)
		bound := func(of scalar.Scalar) (v T, ok bool) {
			if of == nil || !of.IsValid() || shapeOf(of.DataType()) != want {
				return v, false
			}
			return value(of)
		}
		out.low, out.hasLow = bound(c.Min)
		out.high, out.hasHigh = bound(c.Max)
		if out.hasLow && out.hasHigh && compare(out.low, out.high) > 0 { // nonsense
			out.hasLow, out.hasHigh = false, false
		}
		return out
	}
}

// doubleStatistics gives the bounds of a column of floating-point numbers.
func doubleStatistics(p *path) func(Statistics) bounds[float64] {
	plain := statistics(p, doubleOf, ofDoubles.compare)
	return func(s Statistics) bounds[float64] {
		out := plain(s)
		out.nan = true
		return out
	}
}

// flagStatistics gives what a column of booleans may be.
func flagStatistics(p *path) func(Statistics) outcomes {
	return func(s Statistics) outcomes {
		c, ok := known(s, p)
		if !ok {
			return anyOutcome
		}
		o := outcomes{yes: true, no: true}
		var filled bool
		if o.null, filled = nullness(s, c); !filled {
			return outcomes{null: true}
		}
		if least, ok := c.Min.(*scalar.Boolean); ok && least.Valid {
			o.no = !least.Value
		}
		if greatest, ok := c.Max.(*scalar.Boolean); ok && greatest.Valid {
			o.yes = greatest.Value
		}
		return o
	}
}

// nullStatistics gives what the test for null may say of a column.
func nullStatistics(p *path) func(Statistics) outcomes {
	return func(s Statistics) outcomes {
		c, ok := known(s, p)
		if !ok {
			return outcomes{yes: true, no: true}
		}
		var o outcomes
		o.yes, o.no = nullness(s, c)
		return o
	}
}

// The values of scalars. They are false for scalars of other types.

func intOf(s scalar.Scalar) (int64, bool) {
	switch s := s.(type) {
	case *scalar.Int8:
		return int64(s.Value), true
	case *scalar.Int16:
		return int64(s.Value), true
	case *scalar.Int32:
		return int64(s.Value), true
	case *scalar.Int64:
		return s.Value, true
	case *scalar.Timestamp:
		return int64(s.Value), true
	case *scalar.Date32:
		return int64(s.Value), true
	case *scalar.Date64:
		return int64(s.Value), true
	case *scalar.Time32:
		return int64(s.Value), true
	case *scalar.Time64:
		return int64(s.Value), true
	case *scalar.Duration:
		return int64(s.Value), true
	default:
		return 0, false
	}
}

func uintOf(s scalar.Scalar) (uint64, bool) {
	switch s := s.(type) {
	case *scalar.Uint8:
		return uint64(s.Value), true
	case *scalar.Uint16:
		return uint64(s.Value), true
	case *scalar.Uint32:
		return uint64(s.Value), true
	case *scalar.Uint64:
		return s.Value, true
	default:
		return 0, false
	}
}

// doubleOf is false for NaN too, which bounds nothing.
func doubleOf(s scalar.Scalar) (v float64, ok bool) {
	switch s := s.(type) {
	case *scalar.Float16:
		v = float64(s.Value.Float32())
	case *scalar.Float32:
		v = float64(s.Value)
	case *scalar.Float64:
		v = s.Value
	default:
		return 0, false
	}
	return v, !math.IsNaN(v)
}

func decimalOf(s scalar.Scalar) (decimal, bool) {
	switch s := s.(type) {
	case *scalar.Decimal128:
		return decimal256.FromDecimal128(s.Value), true
	case *scalar.Decimal256:
		return s.Value, true
	default:
		return decimal{}, false
	}
}

func textOf(s scalar.Scalar) (string, bool) {
	if s, ok := s.(scalar.BinaryScalar); ok {
		return string(s.Data()), true
	}
	return "", false
}
