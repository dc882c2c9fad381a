package scan

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow"
)

// kind is what the filter language tells apart: CEL's types, and those of Arrow that CEL has none for.
type kind uint8

const (
	kindNull kind = iota // a column that holds nothing but nulls
	kindBool
	kindInt
	kindUint
	kindDouble
	kindDecimal
	kindString
	kindBytes
	kindTimestamp // dates too
	kindDuration  // times of day too
	kindList
	kindMap
	kindStruct
	kindUnion
	kindOther // there is nothing to ask of it but whether it is null
)

// String is the name of the type in messages; where CEL has the type, it is CEL's name.
func (k kind) String() string {
	return [...]string{
		"null", "bool", "int", "uint", "double", "decimal", "string", "bytes", "timestamp", "duration", "list", "map", "struct", "union", "another type",
	}[k]
}

// numeric is true for the kinds that compare with each other.
func (k kind) numeric() bool { return k >= kindInt && k <= kindDecimal }

// shape is a kind with what else it takes to know what a value means.
type shape struct {
	kind kind
	// tick is the unit of timestamps and durations: nanoseconds, a day at most.
	tick int64
	// precision and scale of decimals.
	precision, scale int32
}

// The ticks of Arrow's units.
const (
	tickDay    = int64(24 * time.Hour)
	tickSecond = int64(time.Second)
)

func tickOf(u arrow.TimeUnit) int64 { return int64(u.Multiplier()) }

// plain is the type of the values themselves: without extension, dictionary or runs around it.
func plain(t arrow.DataType) arrow.DataType {
	for {
		switch wrapped := t.(type) {
		case arrow.ExtensionType:
			t = wrapped.StorageType()
		case *arrow.DictionaryType:
			t = wrapped.ValueType
		case *arrow.RunEndEncodedType:
			t = wrapped.Encoded()
		default:
			return t
		}
	}
}

// shapeOf is what an Arrow type is in the filter language.
func shapeOf(t arrow.DataType) shape {
	switch t := plain(t).(type) {
	case *arrow.NullType:
		return shape{kind: kindNull}
	case *arrow.BooleanType:
		return shape{kind: kindBool}
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type, *arrow.Int64Type:
		return shape{kind: kindInt}
	case *arrow.Uint8Type, *arrow.Uint16Type, *arrow.Uint32Type, *arrow.Uint64Type:
		return shape{kind: kindUint}
	case *arrow.Float16Type, *arrow.Float32Type, *arrow.Float64Type:
		return shape{kind: kindDouble}
	case arrow.DecimalType:
		return shape{kind: kindDecimal, precision: t.GetPrecision(), scale: t.GetScale()}
	case *arrow.StringType, *arrow.LargeStringType, *arrow.StringViewType:
		return shape{kind: kindString}
	case *arrow.BinaryType, *arrow.LargeBinaryType, *arrow.BinaryViewType, *arrow.FixedSizeBinaryType:
		return shape{kind: kindBytes}
	case *arrow.TimestampType:
		return shape{kind: kindTimestamp, tick: tickOf(t.Unit)}
	case *arrow.Date32Type:
		return shape{kind: kindTimestamp, tick: tickDay}
	case *arrow.Date64Type:
		return shape{kind: kindTimestamp, tick: tickOf(arrow.Millisecond)}
	case *arrow.Time32Type:
		return shape{kind: kindDuration, tick: tickOf(t.Unit)}
	case *arrow.Time64Type:
		return shape{kind: kindDuration, tick: tickOf(t.Unit)}
	case *arrow.DurationType:
		return shape{kind: kindDuration, tick: tickOf(t.Unit)}
	case *arrow.MapType: // before lists: a map is one
		return shape{kind: kindMap}
	case arrow.ListLikeType:
		return shape{kind: kindList}
	case *arrow.StructType:
		return shape{kind: kindStruct}
	case arrow.UnionType:
		return shape{kind: kindUnion}
	default:
		return shape{kind: kindOther}
	}
}

// dictionaryEncoded is true for what is stored as a dictionary, whatever else is around it.
func dictionaryEncoded(t arrow.DataType) bool {
	for {
		switch wrapped := t.(type) {
		case arrow.ExtensionType:
			t = wrapped.StorageType()
		case *arrow.RunEndEncodedType:
			t = wrapped.Encoded()
		default:
			return t.ID() == arrow.DICTIONARY
		}
	}
}
