package format

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
)

// csvKind is a set of the types that a column of CSV can have. A value belongs to several: 1 is an integer, true, a number, text and bytes.
type csvKind uint16

// The order is pyarrow's: a column has the first type that all its values have.
const (
	csvNull csvKind = 1 << iota
	csvInt
	csvBool
	csvDate
	csvTime
	csvTimestamp
	csvTimestampUTC
	csvTimestampNano
	csvTimestampNanoUTC
	csvFloat
	csvText
	csvBytes

	csvAny = csvBytes<<1 - 1
)

// The sets of some common values.
const (
	csvNumber = csvInt | csvFloat | csvText | csvBytes
	csvString = csvText | csvBytes
)

// first is the set of only the first type in the set.
func (k csvKind) first() csvKind { return k & -k }

// anyKinds are the sets of n columns of which no value is known yet.
func anyKinds(n int) []csvKind {
	kinds := make([]csvKind, n)
	for c := range kinds {
		kinds[c] = csvAny
	}
	return kinds
}

// inferredKinds remembers the sets of one part's columns.
func inferredKinds(kinds []csvKind) inferred {
	b := make([]byte, 0, 2*len(kinds))
	for _, k := range kinds {
		b = binary.LittleEndian.AppendUint16(b, uint16(k))
	}
	return inferred(b)
}

// narrow leaves in the sets of as many columns what they have in common with those of a part.
func (i inferred) narrow(kinds []csvKind) {
	for c := range kinds {
		kinds[c] &= csvKind(i[2*c]) | csvKind(i[2*c+1])<<8
	}
}

// dataType is the Arrow type of a column all whose values have the types of the set.
func (k csvKind) dataType() arrow.DataType {
	switch k.first() {
	case csvNull:
		return arrow.Null
	case csvInt:
		return arrow.PrimitiveTypes.Int64
	case csvBool:
		return arrow.FixedWidthTypes.Boolean
	case csvDate:
		return arrow.FixedWidthTypes.Date32
	case csvTime:
		return arrow.FixedWidthTypes.Time32s
	case csvTimestamp:
		return &arrow.TimestampType{Unit: arrow.Second}
	case csvTimestampUTC:
		return &arrow.TimestampType{Unit: arrow.Second, TimeZone: "UTC"}
	case csvTimestampNano:
		return &arrow.TimestampType{Unit: arrow.Nanosecond}
	case csvTimestampNanoUTC:
		return &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}
	case csvFloat:
		return arrow.PrimitiveTypes.Float64
	case csvText:
		return arrow.BinaryTypes.String
	default:
		return arrow.BinaryTypes.Binary
	}
}

// narrow is the set k, which a column's values so far have in common, less the types that one more value does not have.
func (k csvKind) narrow(v []byte) csvKind {
	switch {
	case k == csvBytes:
		return k
	case k&^csvString == 0: // text up to now: nothing but its encoding matters
		if utf8.Valid(v) {
			return k
		}
		return csvBytes
	case k&^csvNumber == 0 && allDigits(v): // numbers up to now, and one more
		return k
	case isNull(v):
		return k
	default:
		return k & csvKindsOf(v)
	}
}

// allDigits is true for what is an integer of 64 bits at first sight.
func allDigits(v []byte) bool {
	const always = 18 // digits fit in 64 bits
	if len(v) == 0 || len(v) > always {
		return false
	}
	for _, c := range v {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}

// isNull is true for pyarrow's default spellings of null.
func isNull(v []byte) bool {
	if len(v) == 0 {
		return true
	}
	if c := v[0]; len(v) > 8 || c-'0' <= 9 && c != '1' {
		return false
	}
	switch string(v) {
	case "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null":
		return true
	default:
		return false
	}
}

// csvKindsOf is the set of all types that a value which is not null has.
func csvKindsOf(v []byte) csvKind {
	k := csvBytes
	if !utf8.Valid(v) {
		return k
	}
	k |= csvText
	if _, ok := parseBool(v); ok {
		k |= csvBool
	}
	trimmed := trimBlanks(v)
	if _, ok := parseInt(trimmed); ok {
		k |= csvInt
	}
	if isFloat(trimmed) {
		return k | csvFloat
	}
	if _, ok := parseDate(trimmed); ok {
		k |= csvDate
	}
	if _, ok := parseTime(trimmed); ok {
		k |= csvTime
	}
	return k | csvTimestampsOf(v)
}

// csvTimestampsOf is the set of timestamp types that a value has. Nothing may stand around a timestamp.
func csvTimestampsOf(v []byte) (k csvKind) {
	t, ok := parseTimestamp(v)
	if !ok {
		return 0
	}
	seconds, nanos := csvTimestamp, csvTimestampNano
	if t.zoned {
		seconds, nanos = csvTimestampUTC, csvTimestampNanoUTC
	}
	if !t.fraction {
		k |= seconds
	}
	if _, ok := t.unixNano(); ok {
		k |= nanos
	}
	return k
}
