package format

import (
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// csvColumn appends a column's values to its builder. It reports false for a value that the type does not have.
type csvColumn func(v []byte) bool

// newCSVColumn is the column that appends to a builder made for one of csvKind's types.
func newCSVColumn(builder array.Builder) csvColumn {
	switch b := builder.(type) {
	case *array.NullBuilder:
		return func(v []byte) bool {
			b.AppendNull()
			return isNull(v)
		}
	case *array.Int64Builder:
		return csvAppend(b, func(v []byte) (int64, bool) { return parseInt(trimBlanks(v)) })
	case *array.BooleanBuilder:
		return csvAppend(b, parseBool)
	case *array.Date32Builder:
		return csvAppend(b, func(v []byte) (arrow.Date32, bool) {
			days, ok := parseDate(trimBlanks(v))
			return arrow.Date32(days), ok
		})
	case *array.Time32Builder:
		return csvAppend(b, func(v []byte) (arrow.Time32, bool) {
			seconds, ok := parseTime(trimBlanks(v))
			return arrow.Time32(seconds), ok
		})
	case *array.TimestampBuilder:
		return csvAppend(b, timestampParser(b.Type().(*arrow.TimestampType)))
	case *array.Float64Builder:
		return csvAppend(b, func(v []byte) (float64, bool) { return parseFloat(trimBlanks(v)) })
	case *array.StringBuilder:
		return func(v []byte) bool {
			b.BinaryBuilder.Append(v)
			return utf8.Valid(v)
		}
	case *array.BinaryBuilder:
		return func(v []byte) bool {
			b.Append(v)
			return true
		}
	default:
		return func([]byte) bool { return false }
	}
}

// csvAppend is the column of a type in which the spellings of null mean null.
func csvAppend[T any](b interface {
	Append(T)
	AppendNull()
}, parse func([]byte) (T, bool),
) csvColumn {
	return func(v []byte) bool {
		if isNull(v) {
			b.AppendNull()
			return true
		}
		value, ok := parse(v)
		b.Append(value)
		return ok
	}
}

func timestampParser(t *arrow.TimestampType) func([]byte) (arrow.Timestamp, bool) {
	zoned := t.TimeZone != ""
	if t.Unit == arrow.Second {
		return func(v []byte) (arrow.Timestamp, bool) {
			ts, ok := parseTimestamp(v)
			return arrow.Timestamp(ts.seconds), ok && ts.zoned == zoned && !ts.fraction
		}
	}
	return func(v []byte) (arrow.Timestamp, bool) {
		ts, ok := parseTimestamp(v)
		nanos, fits := ts.unixNano()
		return arrow.Timestamp(nanos), ok && fits && ts.zoned == zoned
	}
}

// csvBatch collects the rows of one batch.
type csvBatch struct {
	schema  *arrow.Schema // of the rows
	builder *array.RecordBuilder
	columns []csvColumn // nil where a value is not wanted
}

func newCSVBatch(mem memory.Allocator, req *request) *csvBatch {
	schema := req.layout.Schema
	b := &csvBatch{schema: schema, builder: array.NewRecordBuilder(mem, req.schema), columns: make([]csvColumn, schema.NumFields())}
	for i, field := range b.builder.Fields() {
		b.columns[req.columns[i]] = newCSVColumn(field)
	}
	return b
}
