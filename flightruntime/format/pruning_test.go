package format_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// statistics reads nothing, and shows what is known of a column's row groups before.
func statistics(t testing.TB, data string, column int) string {
	t.Helper()
	layout := inspect(t, format.Parquet, objects("parquet", data))
	var shown []string
	keep := func(s format.Statistics) bool {
		c, ok := s.Column(column)
		bound := func(v fmt.Stringer) string {
			if v == nil {
				return "?"
			}
			return v.String()
		}
		switch {
		case !ok:
			shown = append(shown, "nothing")
		case c.Min == nil && c.Max == nil:
			shown = append(shown, fmt.Sprintf("%d nulls", c.Nulls))
		default:
			shown = append(shown, fmt.Sprintf("%s from %s to %s, %d nulls", c.Min.DataType(), bound(c.Min), bound(c.Max), c.Nulls))
		}
		return false
	}
	if rows := rowsRead(t, format.Parquet, layout, format.ReadOptions{Keep: keep}); rows != nil {
		t.Errorf("batches of %d rows of what is pruned", rows)
	}
	return strings.Join(shown, "; ")
}

func TestStatisticsOfParquet(t *testing.T) {
	decimals := &arrow.Decimal128Type{Precision: 30, Scale: 2}
	for _, c := range []struct {
		of     arrow.DataType
		values string
		want   string
	}{
		{arrow.PrimitiveTypes.Int8, `[-3, null, 5]`, "int8 from -3 to 5, 1 nulls"},
		{arrow.PrimitiveTypes.Int16, `[-300, null, 5]`, "int16 from -300 to 5, 1 nulls"},
		{arrow.PrimitiveTypes.Int32, `[-70000, 5]`, "int32 from -70000 to 5, 0 nulls"},
		{arrow.PrimitiveTypes.Int64, `[-5000000000, 5]`, "int64 from -5000000000 to 5, 0 nulls"},
		{arrow.PrimitiveTypes.Uint8, `[3, 200]`, "uint8 from 3 to 200, 0 nulls"},
		{arrow.PrimitiveTypes.Uint16, `[3, 60000]`, "uint16 from 3 to 60000, 0 nulls"},
		{arrow.PrimitiveTypes.Uint32, `[3, 4000000000]`, "uint32 from 3 to 4000000000, 0 nulls"},
		{arrow.PrimitiveTypes.Uint64, `[3, 18000000000000000000]`, "uint64 from 3 to 18000000000000000000, 0 nulls"},
		{arrow.PrimitiveTypes.Float32, `[-1.5, 2.5]`, "float32 from -1.5 to 2.5, 0 nulls"},
		{arrow.PrimitiveTypes.Float64, `[-1.5, 2.5]`, "float64 from -1.5 to 2.5, 0 nulls"},
		{arrow.FixedWidthTypes.Float16, `[-1.5, 2.5]`, "0 nulls"},
		{arrow.FixedWidthTypes.Boolean, `[true, null, false]`, "bool from false to true, 1 nulls"},
		{arrow.FixedWidthTypes.Boolean, `[true, true]`, "bool from true to true, 0 nulls"},
		{arrow.BinaryTypes.String, `["b", "ä", "a", null]`, "utf8 from a to ä, 1 nulls"},
		{arrow.BinaryTypes.LargeString, `["b", "a"]`, "large_utf8 from a to b, 0 nulls"},
		{arrow.BinaryTypes.Binary, `["AQ==", "/w=="]`, "binary from \x01 to \xff, 0 nulls"},
		{&arrow.FixedSizeBinaryType{ByteWidth: 1}, `["AQ==", "/w=="]`, "fixed_size_binary[1] from \x01 to \xff, 0 nulls"},
		{arrow.FixedWidthTypes.Date32, `["2024-02-29", "1969-12-31"]`, "date32 from 1969-12-31 to 2024-02-29, 0 nulls"},
		{arrow.FixedWidthTypes.Time32ms, `["01:02:03", "23:00:00"]`, "time32[ms] from 01:02:03 to 23:00:00, 0 nulls"},
		{arrow.FixedWidthTypes.Time64us, `["01:02:03", "23:00:00"]`, "time64[us] from 01:02:03 to 23:00:00, 0 nulls"},
		{arrow.FixedWidthTypes.Timestamp_ms, `["2024-02-29 00:00:00Z", "1969-12-31 00:00:00Z"]`, "timestamp[ms, tz=UTC] from 1969-12-31 00:00:00Z to 2024-02-29 00:00:00Z, 0 nulls"},
		{arrow.FixedWidthTypes.Timestamp_us, `["2024-02-29 00:00:00Z", "1969-12-31 00:00:00Z"]`, "timestamp[us, tz=UTC] from 1969-12-31 00:00:00Z to 2024-02-29 00:00:00Z, 0 nulls"},
		{decimals, `["-1.50", "12345678901234567890.25"]`, "decimal(30, 2) from -1.5 to 12345678901234567890.25, 0 nulls"},
		{&arrow.Decimal256Type{Precision: 60, Scale: 1}, `["-1.5", "2.5"]`, "decimal256(60, 1) from -1.5 to 2.5, 0 nulls"},
		{&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}, `["b", "a"]`, "utf8 from a to b, 0 nulls"},
		{arrow.ListOf(arrow.PrimitiveTypes.Int64), `[[1], [2, 3]]`, "nothing"},
		{arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int64}), `[{"x": 1}]`, "nothing"},
		{arrow.PrimitiveTypes.Int64, `[null, null]`, "2 nulls"},
	} {
		if d := cmp.Diff(c.want, statistics(t, oneColumn(t, c.of, c.values), 0)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.of, d)
		}
	}
}

// What pyarrow 26 wrote: narrow decimals, views, unsigned integers, times in a zone.
func TestStatisticsOfPyarrow(t *testing.T) {
	data := testdata(t, "statistics.parquet")
	layout := inspect(t, format.Parquet, objects("parquet", data))
	for name, want := range map[string]string{
		"d32":    "decimal(5, 2) from -1.5 to 2.5, 1 nulls",
		"d64":    "decimal(15, 2) from -1.5 to 2.5, 1 nulls",
		"view":   "utf8 from a to b, 1 nulls",
		"u32":    "uint32 from 1 to 4000000000, 0 nulls",
		"zoned":  "timestamp[us, tz=Europe/Berlin] from 1969-12-31 01:00:00+0100 to 2024-02-29 01:00:00+0100, 0 nulls",
		"nested": "nothing",
	} {
		column := layout.Schema.FieldIndices(name)[0]
		if d := cmp.Diff(want, statistics(t, data, column)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if got, want := statistics(t, testdata(t, "arrow-types.parquet"), 0), "duration[ms] from 5ms to 5ms, 1 nulls"; got != want {
		t.Errorf("duration: got %s, want %s", got, want)
	}
}

// oneColumn is a Parquet file of a column of these values.
func oneColumn(t testing.TB, of arrow.DataType, values string) string {
	t.Helper()
	column, _, err := array.FromJSON(memory.DefaultAllocator, of, strings.NewReader(values))
	if err != nil {
		t.Fatalf("%s: %v", of, err)
	}
	batch := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "a", Type: of, Nullable: true}}, nil), []arrow.Array{column}, -1)
	return parquetOf(t, batch.Schema(), batch)
}

// Bounds that parquet.thrift gives no meaning to are none. The statistics are written over in Thrift's compact protocol, where a field's
// first byte is how much its number is above that of the field before, and its type: 8 is bytes, 6 is a number.
func TestStatisticsThatSayNothing(t *testing.T) {
	long, short, text := "\x08\x78\x56\x00\x00\x00\x00\x00\x00", "\x04\x78\x56\x00\x00", "\x04MINI"
	longMin, shortMin, textMin := "\x08\x34\x12\x00\x00\x00\x00\x00\x00", "\x04\x34\x12\x00\x00", "\x04MAXI"
	const (
		orders = "\x19\x1c\x1c\x00\x00\x00" // of one column, and the end of the footer
		both   = "int64 from 4660 to 22136, 0 nulls"
	)
	int64s := oneColumn(t, arrow.PrimitiveTypes.Int64, `[4660, 22136]`)
	uint32s := oneColumn(t, arrow.PrimitiveTypes.Uint32, `[4660, 22136]`)
	texts := oneColumn(t, arrow.BinaryTypes.String, `["MINI", "MAXI"]`)
	for _, c := range []struct{ name, data, was, is, want string }{
		{"min and max of signed numbers", int64s, "\x28" + long + "\x18" + longMin, "", both},
		{"min and max of unsigned numbers", uint32s, "\x36\x00\x28" + short + "\x18" + shortMin, "\x18" + short + "\x18" + shortMin + "\x16\x00", "0 nulls"},
		{"min and max of text", texts, "\x36\x00\x28" + text + "\x18" + textMin, "\x18" + text + "\x18" + textMin + "\x16\x00", "0 nulls"},
		{"signed numbers without an order", int64s, orders, "\x00", both},
		{"text without an order", texts, orders, "\x00", "0 nulls"},
		{"more nulls than rows", texts, "\x36\x00", "\x36\x06", "utf8 from MAXI to MINI, -1 nulls"},
		{"no number of nulls", texts, "\x36\x00\x28" + text, "\x58" + text, "utf8 from MAXI to MINI, -1 nulls"},
		{"bounds of the wrong length", int64s, "\x28" + long, "\x28\x01\x01", "int64 from 4660 to ?, 0 nulls"},
	} {
		if d := cmp.Diff(c.want, statistics(t, withFooter(t, c.data, c.was, c.is), 0)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
	number := func(f float64) string {
		return string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(f)))
	}
	floats := withFooter(t, oneColumn(t, arrow.PrimitiveTypes.Float64, `[1234.5, 2.5]`), number(1234.5), number(math.NaN()))
	if got := statistics(t, floats, 0); got != "0 nulls" {
		t.Errorf("NaN as a bound: %s", got)
	}
	if got := statistics(t, testdata(t, "int96.parquet"), 0); got != "nothing" {
		t.Errorf("INT96: %s", got)
	}
}

// withFooter is a Parquet file in whose footer all that was something is something else.
func withFooter(t testing.TB, data, was, is string) string {
	t.Helper()
	end := len(data) - 8
	begin := end - footerSize(data)
	footer := strings.ReplaceAll(data[begin:end], was, is)
	if footer == data[begin:end] {
		t.Fatalf("the footer holds no %q", was)
	}
	return data[:begin] + footer + string(binary.LittleEndian.AppendUint32(nil, uint32(len(footer)))) + "PAR1"
}

func TestPruning(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	data := parquetOf(t, batch.Schema(), batch.NewSlice(0, 1), batch.NewSlice(1, 3), batch) // n is 1; null, 3; 1, null, 3
	layout := inspect(t, format.Parquet, objects("parquet", data))
	someThree := func(s format.Statistics) bool {
		n, ok := s.Column(0)
		return !ok || n.Max.String() == "3"
	}
	for name, c := range map[string]struct {
		opts format.ReadOptions
		want []int64 // rows
	}{
		"row groups without a 3":       {format.ReadOptions{Keep: someThree}, []int64{2, 3}},
		"that of a column not read":    {format.ReadOptions{Keep: someThree, Columns: []int{1}}, []int64{2, 3}},
		"of those that are asked for":  {format.ReadOptions{Keep: someThree, Units: []int{0, 1}}, []int64{2}},
		"by the number of rows":        {format.ReadOptions{Keep: func(s format.Statistics) bool { return s.Rows() < 2 }}, []int64{1}},
		"by a column that there isn't": {format.ReadOptions{Keep: func(s format.Statistics) bool { _, ok := s.Column(9); return ok }}, nil},
	} {
		if d := cmp.Diff(c.want, rowsRead(t, format.Parquet, layout, c.opts)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	for _, name := range []string{format.CSV, format.JSON, format.ArrowFile, format.ArrowStream} {
		data := map[string]string{format.CSV: "a\n1\n", format.JSON: `{"a":1}`, format.ArrowFile: fileOf(t, batch.Schema(), []arrow.RecordBatch{batch}), format.ArrowStream: streamOf(t, batch.Schema(), []arrow.RecordBatch{batch})}[name]
		list, counters := counted(objects("x", data))
		layout := inspect(t, name, list)
		opens := counters[0].opens.Load()
		for _, keep := range []bool{true, false} {
			asked := 0
			rows := sumOf(rowsRead(t, name, layout, format.ReadOptions{Keep: func(s format.Statistics) bool {
				asked++
				_, known := s.Column(0)
				return keep && s.Rows() == layout.Rows() && !known
			}}))
			if asked != 1 || keep != (rows == layout.Rows()) {
				t.Errorf("%s, keep %t: asked %d times, read %d rows", name, keep, asked, rows)
			}
		}
		if n := counters[0].opens.Load() - opens; n != 1 {
			t.Errorf("%s: opened %d times to read once", name, n)
		}
	}
}

// Whoever prunes may panic as whoever consumes: it is no damaged file.
func TestPanicsOfThePrunerPass(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	layout := inspect(t, format.Parquet, objects("parquet", parquetOf(t, batch.Schema(), batch)))
	defer func() {
		if p := recover(); fmt.Sprint(p) != "mine" {
			t.Errorf("recovered %v", p)
		}
	}()
	for range lookup(t, format.Parquet).Read(t.Context(), layout, 0, format.ReadOptions{Keep: func(format.Statistics) bool { panic("mine") }}) {
		t.Error("a batch")
	}
}
