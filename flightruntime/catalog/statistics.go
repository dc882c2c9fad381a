package catalog

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/scalar"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// keptStatistics are those of a part's units, as the cache keeps them: of each of the pieces that the format told of when the part was read,
// in order. Rows of pieces add up to those of the units.
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

// keepStatistics notes what a format tells of a piece, of fields of a schema.
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

// statisticsOf reads kept statistics, of the pieces of each unit; nil if they do not go with the units.
func statisticsOf(note []byte, schema *arrow.Schema, units []format.Unit) [][]format.Statistics {
	var all keptStatistics
	if json.Unmarshal(note, &all) != nil {
		return nil
	}
	of := make([][]format.Statistics, len(units))
	for i, u := range units {
		for rows := int64(0); rows < u.Rows; {
			if len(all) == 0 || all[0].Count <= 0 || len(all[0].Columns) > schema.NumFields() {
				return nil
			}
			of[i] = append(of[i], cachedStatistics{all[0], schema})
			rows += all[0].Count
			all = all[1:]
			if rows > u.Rows {
				return nil
			}
		}
	}
	return of
}

// cachedStatistics are those of a piece.
type cachedStatistics struct {
	kept
	schema *arrow.Schema
}

func (s cachedStatistics) Rows() int64 { return s.Count }

func (s cachedStatistics) Column(field int) (format.ColumnStatistics, bool) {
	if field < 0 || field >= len(s.Columns) {
		return format.ColumnStatistics{}, false
	}
	c, t := s.Columns[field], boundType(s.schema.Field(field).Type)
	known := format.ColumnStatistics{Min: scalarOf(c.Min, t), Max: scalarOf(c.Max, t), Nulls: c.Nulls}
	return known, known.Nulls >= 0 || known.Min != nil || known.Max != nil
}
