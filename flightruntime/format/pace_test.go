package format_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// What takes little in the file may take much in memory: batches go by the latter.
func TestParquetThatGrowsInMemory(t *testing.T) {
	const rows, columns, length = 2048, 600, 256 << 10
	text := array.NewStringBuilder(memory.DefaultAllocator)
	for range 8 {
		text.Append(strings.Repeat("x", length))
	}
	texts := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "text", Type: arrow.BinaryTypes.String}}, nil), []arrow.Array{text.NewArray()}, -1)
	nulls := array.MakeArrayOfNull(memory.DefaultAllocator, arrow.PrimitiveTypes.Int64, 64<<10)
	var fields []arrow.Field
	var arrays []arrow.Array
	for range columns {
		fields, arrays = append(fields, arrow.Field{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}), append(arrays, nulls)
	}
	wide := array.NewRecordBatch(arrow.NewSchema(fields, nil), arrays, -1)
	for name, c := range map[string]struct {
		data       string
		rows, each int64 // bytes in memory that a row takes
		most       int64 // bytes of a batch
	}{
		"long text in a dictionary":     {groupOf(t, texts, rows/8), rows, length, 64 * length}, // those of the first batch, of which nothing is known
		"very many columns of nulls":    {groupOf(t, wide, 1), 64 << 10, columns * 8, 16 << 20},
		"short rows, in as large a one": {groupOf(t, numbers(1, 64<<10), 1), 64 << 10, 8, 1 << 20},
	} {
		layout := inspect(t, format.Parquet, objects("parquet", c.data))
		if len(layout.Parts[0].Units) != 1 || layout.Rows() != c.rows {
			t.Fatalf("%s: %d rows in %d units", name, layout.Rows(), len(layout.Parts[0].Units))
		}
		var largest int64
		for _, rows := range rowsRead(t, format.Parquet, layout, format.ReadOptions{}) {
			largest = max(largest, rows)
		}
		if largest*c.each > c.most || largest*c.each < c.most/3 && largest < c.rows/2 {
			t.Errorf("%s: batches of up to %d rows, of %d bytes each", name, largest, c.each)
		}
	}
}

// groupOf is a Parquet file of one row group, which is the batch some times over.
func groupOf(t testing.TB, batch arrow.RecordBatch, times int) string {
	t.Helper()
	var b bytes.Buffer
	w := parquetWriter(t, batch.Schema(), &b)
	for range times {
		if err := w.WriteBuffered(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBytesOfAnArrayLeaveDictionariesOut(t *testing.T) {
	indices, offsets := arrow.PrimitiveTypes.Int16, 4*4
	colours := &arrow.DictionaryType{IndexType: indices, ValueType: arrow.BinaryTypes.String}
	for _, tt := range []struct {
		dt    arrow.DataType
		value string
		bytes int64 // and some of bitmaps
	}{
		{arrow.PrimitiveTypes.Int64, `1`, 3 * 8},
		{arrow.BinaryTypes.String, `"some text"`, int64(offsets + 3*len("some text"))},
		{colours, `"a colour whose name is long"`, 3 * 2},
		{arrow.ListOf(colours), `["a colour whose name is long"]`, int64(offsets + 3*2)},
		{arrow.StructOf(arrow.Field{Name: "c", Type: colours}), `{"c": "a colour whose name is long"}`, 3 * 2},
	} {
		a, _, err := array.FromJSON(memory.DefaultAllocator, tt.dt, strings.NewReader("["+tt.value+","+tt.value+","+tt.value+"]"))
		if err != nil {
			t.Fatal(err)
		}
		if n := format.ArrayBytes(a.Data()); n < tt.bytes || n > tt.bytes+16 {
			t.Errorf("%s takes %d bytes, want %d", tt.dt, n, tt.bytes)
		}
	}
}
