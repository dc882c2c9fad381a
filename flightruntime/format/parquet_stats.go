package format

import (
	"encoding/binary"
	"math"
	"math/big"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/scalar"
	"github.com/apache/arrow-go/v18/parquet"
	pqschema "github.com/apache/arrow-go/v18/parquet/schema"
)

// groupStatistics are what a Parquet file's footer tells of a row group.
type groupStatistics struct {
	*footer

	schema *arrow.Schema // of the layout
	group  int
}

func (g *groupStatistics) Rows() int64 { return g.groupRows(g.group) }

// Column tells of a field that is not nested. The rules are those of parquet.thrift: bounds count only where the file says that the order is
// that of the type; those that older files have in the fields min and max, only where that order was never in doubt, for signed numbers.
func (g *groupStatistics) Column(field int) (ColumnStatistics, bool) {
	if field < 0 || field >= len(g.fields) || !g.fields[field].IsLeaf() {
		return ColumnStatistics{}, false
	}
	c := g.fields[field].ColIndex
	descr := g.meta.Schema.Column(c)
	meta := g.meta.GetRowGroups()[g.group].GetColumns()[c].GetMetaData()
	known := ColumnStatistics{Nulls: -1}
	if descr.MaxDefinitionLevel() == 0 {
		known.Nulls = 0
	}
	if !meta.IsSetStatistics() {
		return known, known.Nulls >= 0
	}
	s := meta.GetStatistics()
	if n := s.GetNullCount(); s.IsSetNullCount() && n >= 0 && n <= g.Rows() {
		known.Nulls = n
	}
	t := g.schema.Field(field).Type
	if d, ok := t.(*arrow.DictionaryType); ok {
		t = d.ValueType
	}
	orders := g.meta.GetColumnOrders()
	switch {
	case c < len(orders) && orders[c].IsSetTYPE_ORDER() && (s.IsSetMinValue() || s.IsSetMaxValue()):
		known.Min, known.Max = bound(s.MinValue, descr, t), bound(s.MaxValue, descr, t)
	case signedNumber(descr, t):
		known.Min, known.Max = bound(s.Min, descr, t), bound(s.Max, descr, t)
	}
	if notANumber(known.Min) || notANumber(known.Max) { // then there is no telling what the writer made of NaN
		known.Min, known.Max = nil, nil
	}
	return known, known.Nulls >= 0 || known.Min != nil || known.Max != nil
}

// signedNumber is true for columns that have always been compared as signed numbers.
func signedNumber(descr *pqschema.Column, t arrow.DataType) bool {
	switch descr.PhysicalType() {
	case parquet.Types.Int32, parquet.Types.Int64, parquet.Types.Float, parquet.Types.Double:
		return !arrow.IsUnsignedInteger(t.ID())
	default:
		return false
	}
}

func notANumber(s scalar.Scalar) bool {
	switch s := s.(type) {
	case *scalar.Float32:
		return math.IsNaN(float64(s.Value))
	case *scalar.Float64:
		return math.IsNaN(s.Value)
	default:
		return false
	}
}

// bound is a value as statistics have it, in plain encoding, as a scalar of the column's type; nil if there is none, or if its bytes or its
// type are others than expected.
func bound(raw []byte, descr *pqschema.Column, t arrow.DataType) scalar.Scalar {
	if raw == nil {
		return nil
	}
	switch physical := descr.PhysicalType(); {
	case physical == parquet.Types.Boolean && len(raw) == 1 && t.ID() == arrow.BOOL:
		return scalar.NewBooleanScalar(raw[0] != 0)
	case physical == parquet.Types.Int32 && len(raw) == 4:
		v := binary.LittleEndian.Uint32(raw)
		return integerBound(int64(int32(v)), uint64(v), t)
	case physical == parquet.Types.Int64 && len(raw) == 8:
		v := binary.LittleEndian.Uint64(raw)
		return integerBound(int64(v), v, t)
	case physical == parquet.Types.Float && len(raw) == 4 && t.ID() == arrow.FLOAT32:
		return scalar.NewFloat32Scalar(math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	case physical == parquet.Types.Double && len(raw) == 8 && t.ID() == arrow.FLOAT64:
		return scalar.NewFloat64Scalar(math.Float64frombits(binary.LittleEndian.Uint64(raw)))
	case physical == parquet.Types.ByteArray, physical == parquet.Types.FixedLenByteArray:
		return bytesBound(raw, descr, t)
	default: // INT96 among others, whose order nobody defined
		return nil
	}
}

// integerBound is a bound of what Parquet stores as integers, which are signed or not as the type says.
func integerBound(signed int64, unsigned uint64, t arrow.DataType) scalar.Scalar {
	switch t := t.(type) {
	case *arrow.Int8Type:
		return within(signed, math.MinInt8, math.MaxInt8, func(v int64) scalar.Scalar { return scalar.NewInt8Scalar(int8(v)) })
	case *arrow.Int16Type:
		return within(signed, math.MinInt16, math.MaxInt16, func(v int64) scalar.Scalar { return scalar.NewInt16Scalar(int16(v)) })
	case *arrow.Int32Type:
		return within(signed, math.MinInt32, math.MaxInt32, func(v int64) scalar.Scalar { return scalar.NewInt32Scalar(int32(v)) })
	case *arrow.Int64Type:
		return scalar.NewInt64Scalar(signed)
	case *arrow.Uint8Type:
		return within(unsigned, 0, math.MaxUint8, func(v uint64) scalar.Scalar { return scalar.NewUint8Scalar(uint8(v)) })
	case *arrow.Uint16Type:
		return within(unsigned, 0, math.MaxUint16, func(v uint64) scalar.Scalar { return scalar.NewUint16Scalar(uint16(v)) })
	case *arrow.Uint32Type:
		return within(unsigned, 0, math.MaxUint32, func(v uint64) scalar.Scalar { return scalar.NewUint32Scalar(uint32(v)) })
	case *arrow.Uint64Type:
		return scalar.NewUint64Scalar(unsigned)
	case *arrow.Date32Type:
		return within(signed, math.MinInt32, math.MaxInt32, func(v int64) scalar.Scalar { return scalar.NewDate32Scalar(arrow.Date32(v)) })
	case *arrow.Time32Type:
		return within(signed, math.MinInt32, math.MaxInt32, func(v int64) scalar.Scalar { return scalar.NewTime32Scalar(arrow.Time32(v), t) })
	case *arrow.Time64Type:
		return scalar.NewTime64Scalar(arrow.Time64(signed), t)
	case *arrow.TimestampType: // pqarrow gives it Parquet's unit
		return scalar.NewTimestampScalar(arrow.Timestamp(signed), t)
	case *arrow.DurationType:
		return scalar.NewDurationScalar(arrow.Duration(signed), t)
	case arrow.DecimalType:
		return decimalBound(big.NewInt(signed), t)
	default:
		return nil
	}
}

// within makes a scalar of a value that its type has.
func within[T int64 | uint64](v, least, most T, of func(T) scalar.Scalar) scalar.Scalar {
	if v < least || v > most {
		return nil
	}
	return of(v)
}

// bytesBound is a bound of text, bytes, or decimals that are stored as big-endian bytes.
func bytesBound(raw []byte, descr *pqschema.Column, t arrow.DataType) scalar.Scalar {
	if t, ok := t.(arrow.DecimalType); ok {
		if len(raw) == 0 || len(raw) > 32 {
			return nil
		}
		v := new(big.Int).SetBytes(raw)
		if raw[0]&0x80 != 0 {
			v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
		}
		return decimalBound(v, t)
	}
	if _, ok := descr.LogicalType().(pqschema.IntervalLogicalType); ok {
		return nil // whose order nobody defined
	}
	switch t.ID() {
	case arrow.STRING, arrow.STRING_VIEW:
		return scalar.NewStringScalar(string(raw))
	case arrow.LARGE_STRING:
		return scalar.NewLargeStringScalar(string(raw))
	case arrow.BINARY, arrow.BINARY_VIEW:
		return scalar.NewBinaryScalar(memory.NewBufferBytes(raw), arrow.BinaryTypes.Binary)
	case arrow.LARGE_BINARY:
		return scalar.NewLargeBinaryScalar(memory.NewBufferBytes(raw))
	case arrow.FIXED_SIZE_BINARY:
		if len(raw) != t.(*arrow.FixedSizeBinaryType).ByteWidth {
			return nil
		}
		return scalar.NewFixedSizeBinaryScalar(memory.NewBufferBytes(raw), t)
	default: // half floats, extensions
		return nil
	}
}

// decimalBound is a decimal of 128 bits, also for narrower ones, for which there is no scalar.
func decimalBound(v *big.Int, t arrow.DecimalType) scalar.Scalar {
	if v.BitLen() >= t.BitWidth() {
		return nil
	}
	if t.ID() == arrow.DECIMAL256 {
		return scalar.NewDecimal256Scalar(decimal256.FromBigInt(v), t)
	}
	return scalar.NewDecimal128Scalar(decimal128.FromBigInt(v), &arrow.Decimal128Type{Precision: t.GetPrecision(), Scale: t.GetScale()})
}
