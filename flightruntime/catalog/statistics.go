package catalog

import (
	"encoding/json"
	"iter"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/scalar"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// keptStatistics are those of a part's rows, as the cache keeps them: of each of the batches that it was read as, or pieces of them, in order.
type keptStatistics []kept

type kept struct {
	Count   int64        `json:"rows"`
	Columns []keptColumn `json:"columns,omitempty"` // by field
}

type keptColumn struct {
	// Min and Max are bounds in text; nil if unknown.
	Min   *string `json:"min,omitempty"`
	Max   *string `json:"max,omitempty"`
	Nulls int64   `json:"nulls"`
}

// statisticsKeeper notes the statistics of a part while it is read.
type statisticsKeeper struct {
	schema  *arrow.Schema
	kept    keptStatistics
	columns int // that something was noted of
}

// mostKept columns of batches are noted, in some MB: those of 20 GB in batches of 1 MiB and 6 columns. Of the rest, nothing but the rows is known.
const mostKept = 128 << 10

// of yields the same batches.
func (k *statisticsKeeper) of(batches iter.Seq2[arrow.RecordBatch, error]) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for batch, err := range batches {
			if err == nil {
				k.note(batch)
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// note notes those of a batch, in pieces, as large batches are divided to messages.
func (k *statisticsKeeper) note(batch arrow.RecordBatch) {
	for from := int64(0); from < batch.NumRows(); from += format.DefaultMaxRows {
		rows := min(batch.NumRows()-from, format.DefaultMaxRows)
		if k.columns += int(batch.NumCols()); k.columns > mostKept {
			k.kept = append(k.kept, kept{Count: rows})
			continue
		}
		piece := batch.NewSlice(from, from+rows)
		k.kept = append(k.kept, keepStatistics(k.schema, measured{piece}))
		piece.Release()
	}
}

// keepStatistics notes what is known of some rows, of fields of a schema.
func keepStatistics(schema *arrow.Schema, s format.Statistics) kept {
	k := kept{Count: s.Rows()}
	for field := range schema.NumFields() {
		c, ok := s.Column(field)
		if !ok {
			c = format.ColumnStatistics{Nulls: -1}
		}
		t := boundType(schema.Field(field).Type)
		k.Columns = append(k.Columns, keptColumn{Min: textOf(c.Min, t), Max: textOf(c.Max, t), Nulls: c.Nulls})
	}
	return k
}

// boundType is the type of a column's bounds.
func boundType(dt arrow.DataType) arrow.DataType {
	switch dt := dt.(type) {
	case *arrow.DictionaryType:
		return boundType(dt.ValueType)
	case *arrow.StringViewType:
		return arrow.BinaryTypes.String
	default:
		return dt
	}
}

// textOf is a scalar in text; nil if that would not give it back.
func textOf(s scalar.Scalar, dt arrow.DataType) *string {
	if s == nil || !s.IsValid() || !arrow.TypeEqual(s.DataType(), dt) {
		return nil
	}
	var text string
	switch s := s.(type) {
	case *scalar.Date32:
		text = strconv.FormatInt(int64(s.Value), 10)
	case *scalar.Time32:
		text = strconv.FormatInt(int64(s.Value), 10)
	case *scalar.Time64:
		text = strconv.FormatInt(int64(s.Value), 10)
	case *scalar.Timestamp:
		text = strconv.FormatInt(int64(s.Value), 10)
	case *scalar.Duration:
		text = strconv.FormatInt(int64(s.Value), 10)
	case *scalar.Float32:
		text = strconv.FormatFloat(float64(s.Value), 'g', -1, 32)
	case *scalar.Float64:
		text = strconv.FormatFloat(s.Value, 'g', -1, 64)
	default:
		text = s.String()
	}
	if back := scalarOf(&text, dt); back == nil || !scalar.Equals(back, s) || !utf8.ValidString(text) { // of which JSON would make another
		return nil
	}
	return &text
}

// scalarOf is a scalar in text; nil if there is none.
func scalarOf(text *string, dt arrow.DataType) scalar.Scalar {
	if text == nil {
		return nil
	}
	switch dt := dt.(type) {
	case *arrow.Date32Type, *arrow.Time32Type, *arrow.Time64Type, *arrow.TimestampType, *arrow.DurationType:
		n, err := strconv.ParseInt(*text, 10, 64)
		if err != nil {
			return nil
		}
		return temporalOf(n, dt)
	case *arrow.LargeStringType:
		return scalar.NewLargeStringScalar(*text)
	case *arrow.StringType, arrow.FixedWidthDataType:
		s, err := scalar.ParseScalar(dt, *text)
		if err != nil {
			return nil
		}
		return s
	default:
		return nil
	}
}

func temporalOf(n int64, dt arrow.DataType) scalar.Scalar {
	switch dt := dt.(type) {
	case *arrow.Time64Type:
		return scalar.NewTime64Scalar(arrow.Time64(n), dt)
	case *arrow.TimestampType:
		return scalar.NewTimestampScalar(arrow.Timestamp(n), dt)
	case *arrow.DurationType:
		return scalar.NewDurationScalar(arrow.Duration(n), dt)
	}
	if n != int64(int32(n)) {
		return nil
	}
	if dt, ok := dt.(*arrow.Time32Type); ok {
		return scalar.NewTime32Scalar(arrow.Time32(n), dt)
	}
	return scalar.NewDate32Scalar(arrow.Date32(n))
}

func (k keptStatistics) encode() ([]byte, error) { return json.Marshal(k) }

// statisticsOf reads kept statistics of so many rows; nil if they are of others.
func statisticsOf(note []byte, schema *arrow.Schema, rows int64) []cachedStatistics {
	var all keptStatistics
	if json.Unmarshal(note, &all) != nil {
		return nil
	}
	of, end := make([]cachedStatistics, len(all)), int64(0)
	for i, k := range all {
		if k.Count <= 0 || k.Count > rows-end || len(k.Columns) > schema.NumFields() {
			return nil
		}
		end += k.Count
		of[i] = cachedStatistics{k, schema, end}
	}
	if end != rows {
		return nil
	}
	return of
}

// cachedStatistics are those of some rows.
type cachedStatistics struct {
	kept
	schema *arrow.Schema
	end    int64 // rows of the part up to its last one
}

// from is the number of rows before it.
func (s cachedStatistics) from() int64 { return s.end - s.Count }

func (s cachedStatistics) Rows() int64 { return s.Count }

func (s cachedStatistics) Column(field int) (format.ColumnStatistics, bool) {
	if field < 0 || field >= len(s.Columns) {
		return format.ColumnStatistics{}, false
	}
	c, t := s.Columns[field], boundType(s.schema.Field(field).Type)
	known := format.ColumnStatistics{Min: scalarOf(c.Min, t), Max: scalarOf(c.Max, t), Nulls: c.Nulls}
	return known, known.Nulls >= 0 || known.Min != nil || known.Max != nil
}
