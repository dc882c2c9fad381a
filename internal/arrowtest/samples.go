// Package arrowtest has record batches of all types, for tests of what has to take them all.
package arrowtest

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Sample is a type, and batches of one column c of that type, each the rows of a JSON array.
type Sample struct {
	Name    string
	Type    arrow.DataType
	Batches []string
}

// Column is a schema of one nullable column, c.
func Column(dt arrow.DataType) *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{{Name: "c", Type: dt, Nullable: true}}, nil)
}

// FromJSON makes a batch of the rows given as a JSON array.
func FromJSON(t testing.TB, schema *arrow.Schema, rows string) arrow.RecordBatch {
	t.Helper()
	batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(rows))
	if err != nil {
		t.Fatalf("make a batch of %s: %v", rows, err)
	}
	return batch
}

// Records makes the sample's batches.
func (s Sample) Records(t testing.TB) []arrow.RecordBatch {
	t.Helper()
	batches := make([]arrow.RecordBatch, 0, len(s.Batches))
	for _, rows := range s.Batches {
		batches = append(batches, FromJSON(t, Column(s.Type), rows))
	}
	return batches
}

// Samples are all types that Arrow has and arrow-go can write, with nulls, nested, with dictionaries that stay and that change.
func Samples() []Sample {
	point := arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Float64, Nullable: true}, arrow.Field{Name: "label", Type: arrow.BinaryTypes.String, Nullable: true})
	colour := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	union := []arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "s", Type: arrow.BinaryTypes.String, Nullable: true}}
	codes := []arrow.UnionTypeCode{0, 5}
	samples := []Sample{
		{"numbers with nulls", arrow.PrimitiveTypes.Int64, []string{`[{"c":1},{"c":null},{"c":-3}]`, `[{"c":4}]`}},
		{"booleans", arrow.FixedWidthTypes.Boolean, []string{`[{"c":true},{"c":null},{"c":false},{"c":true},{"c":true},{"c":false},{"c":false},{"c":true},{"c":true}]`}},
		{"nulls alone", arrow.Null, []string{`[{"c":null},{"c":null}]`}},
		{"strings", arrow.BinaryTypes.String, []string{`[{"c":"Zürich"},{"c":""},{"c":null},{"c":"` + strings.Repeat("long ", 100) + `"}]`}},
		{"large strings", arrow.BinaryTypes.LargeString, []string{`[{"c":"a"},{"c":null}]`}},
		{"binary", arrow.BinaryTypes.Binary, []string{`[{"c":"AAEC"},{"c":null}]`}},
		{"large binary", arrow.BinaryTypes.LargeBinary, []string{`[{"c":"AAEC"},{"c":null}]`}},
		{"fixed-size binary", &arrow.FixedSizeBinaryType{ByteWidth: 3}, []string{`[{"c":"AAEC"},{"c":null}]`}},
		{"decimals", &arrow.Decimal128Type{Precision: 10, Scale: 2}, []string{`[{"c":"12.34"},{"c":null}]`}},
		{"small decimals", &arrow.Decimal32Type{Precision: 5, Scale: 2}, []string{`[{"c":"12.34"},{"c":null}]`}},
		{"middling decimals", &arrow.Decimal64Type{Precision: 10, Scale: 2}, []string{`[{"c":"12.34"},{"c":null}]`}},
		{"large decimals", &arrow.Decimal256Type{Precision: 50, Scale: 2}, []string{`[{"c":"12.34"},{"c":null}]`}},
		{"half floats", arrow.FixedWidthTypes.Float16, []string{`[{"c":1.5},{"c":null}]`}},
		{"dates", arrow.FixedWidthTypes.Date32, []string{`[{"c":"2024-02-29"},{"c":null}]`}},
		{"dates in milliseconds", arrow.FixedWidthTypes.Date64, []string{`[{"c":"2024-02-29"},{"c":null}]`}},
		{"times", arrow.FixedWidthTypes.Time32ms, []string{`[{"c":"12:34:56.789"},{"c":null}]`}},
		{"times in nanoseconds", arrow.FixedWidthTypes.Time64ns, []string{`[{"c":"12:34:56.789"},{"c":null}]`}},
		{"timestamps", &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, []string{`[{"c":"2024-02-29T12:00:00Z"},{"c":null}]`}},
		{"durations", arrow.FixedWidthTypes.Duration_s, []string{`[{"c":"5s"},{"c":null}]`}},
		{"months", arrow.FixedWidthTypes.MonthInterval, []string{`[{"c":{"months":3}},{"c":null}]`}},
		{"days and milliseconds", arrow.FixedWidthTypes.DayTimeInterval, []string{`[{"c":{"days":3,"milliseconds":4}},{"c":null}]`}},
		{"months, days and nanoseconds", arrow.FixedWidthTypes.MonthDayNanoInterval, []string{`[{"c":{"months":1,"days":3,"nanoseconds":4}},{"c":null}]`}},
		{"string views", arrow.BinaryTypes.StringView, []string{`[{"c":"short"},{"c":null},{"c":"longer than twelve bytes"}]`, `[{"c":"another buffer of another batch"}]`}},
		{"binary views", arrow.BinaryTypes.BinaryView, []string{`[{"c":"AAEC"},{"c":"AAECAAECAAECAAECAAECAAEC"}]`}},
		{"structs", point, []string{`[{"c":{"x":1.5,"label":"a"}},{"c":null},{"c":{"x":null,"label":null}}]`}},
		{"structs without fields", arrow.StructOf(), []string{`[{"c":{}},{"c":null}]`}},
		{"lists", arrow.ListOf(arrow.BinaryTypes.String), []string{`[{"c":["a","b"]},{"c":[]},{"c":null},{"c":[null]}]`}},
		{"large lists", arrow.LargeListOf(arrow.PrimitiveTypes.Int32), []string{`[{"c":[1,2]},{"c":null}]`}},
		{"lists of lists of structs", arrow.ListOf(arrow.ListOf(point)), []string{`[{"c":[[{"x":1,"label":"a"}],[]]},{"c":null}]`}},
		{"fixed-size lists", arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Float32), []string{`[{"c":[1,2]},{"c":null},{"c":[3,4]}]`}},
		{"list views", arrow.ListViewOf(arrow.PrimitiveTypes.Int32), []string{`[{"c":[1,2]},{"c":null},{"c":[3]}]`}},
		{"large list views", arrow.LargeListViewOf(arrow.BinaryTypes.StringView), []string{`[{"c":["a","longer than twelve bytes"]},{"c":null},{"c":[]}]`}},
		{"maps", arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int32), []string{`[{"c":[{"key":"a","value":1}]},{"c":null}]`}},
		{"a dictionary that stays", colour, []string{`[{"c":"red"},{"c":"blue"}]`, `[{"c":"red"},{"c":"blue"}]`}},
		{"dictionaries that change with each batch", colour, []string{`[{"c":"red"},{"c":null}]`, `[{"c":"green"},{"c":"red"}]`, `[{"c":"blue"}]`, `[{"c":"red"},{"c":null}]`}},
		{"a dictionary that grows", colour, []string{`[{"c":"red"}]`, `[{"c":"red"},{"c":"green"}]`, `[{"c":"red"},{"c":"green"},{"c":"blue"},{"c":null}]`}},
		{
			"dictionaries in lists in structs", arrow.StructOf(arrow.Field{Name: "l", Type: arrow.ListOf(colour), Nullable: true}),
			[]string{`[{"c":{"l":["red","blue"]}}]`, `[{"c":{"l":["green"]}},{"c":null}]`},
		},
		{"dictionaries of numbers", &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint32, ValueType: arrow.PrimitiveTypes.Float64}, []string{`[{"c":1.5},{"c":2}]`, `[{"c":3.5},{"c":2}]`}},
		{"sparse unions", arrow.SparseUnionOf(union, codes), []string{`[{"c":[0,7]},{"c":[5,"seven"]},{"c":[0,null]}]`}},
		{"dense unions", arrow.DenseUnionOf(union, codes), []string{`[{"c":[0,7]},{"c":[5,"seven"]},{"c":[0,8]}]`}},
		{"run-end encoded", arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, arrow.BinaryTypes.String), []string{`[{"c":"a"},{"c":"a"},{"c":null},{"c":"b"}]`}},
		{"run-end encoded by small numbers", arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Int8), []string{`[{"c":1},{"c":1},{"c":2}]`}},
		{"UUIDs, an extension type", extensions.NewUUIDType(), []string{`[{"c":"6f0c1e8e-1c0a-4a52-9a4f-3f9d5b8f1b1d"},{"c":null}]`}},
		{"booleans of a byte, an extension type", extensions.NewBool8Type(), []string{`[{"c":true},{"c":null}]`}},
		{"no batch", arrow.PrimitiveTypes.Int64, nil},
		{"a batch without rows between others", arrow.BinaryTypes.String, []string{`[{"c":"a"}]`, `[]`, `[{"c":"b"}]`}},
	}
	for _, dt := range []arrow.DataType{
		arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Uint8, arrow.PrimitiveTypes.Uint16,
		arrow.PrimitiveTypes.Uint32, arrow.PrimitiveTypes.Uint64, arrow.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float64,
	} {
		samples = append(samples, Sample{dt.Name(), dt, []string{`[{"c":1},{"c":null},{"c":3}]`}})
	}
	return samples
}
