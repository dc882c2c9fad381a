package format_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// written is an object of the batches.
func written(t testing.TB, name string, schema *arrow.Schema, batches ...arrow.RecordBatch) string {
	t.Helper()
	var b bytes.Buffer
	w, err := format.NewWriter(name, &b, schema)
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range batches {
		if err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// values are all values of a table, column by column.
func values(table arrow.Table) string {
	var b strings.Builder
	for i := range table.Schema().Fields() {
		for _, chunk := range table.Column(i).Data().Chunks() {
			for row := range chunk.Len() {
				b.WriteString(value(chunk, row) + " ")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func nullable(name string, t arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: t, Nullable: true}
}

func dictionaryOf(index, value arrow.DataType) arrow.DataType {
	return &arrow.DictionaryType{IndexType: index, ValueType: value}
}

// pair is a list of fixed size.
var pair = arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int32)

// sortedMap has sorted keys, and so have the maps that are its values.
var sortedMap = func() *arrow.MapType {
	inner := arrow.MapOf(arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Int64)
	outer := arrow.MapOf(arrow.BinaryTypes.String, inner)
	inner.KeysSorted, outer.KeysSorted = true, true
	return outer
}()

// types are one of each kind with two values, and whether Parquet holds it so that it comes back.
var types = []struct {
	t       arrow.DataType
	json    string
	parquet string // what of NewWriter's error matters, empty if there is none
}{
	{arrow.Null, `[null,null]`, ""},
	{arrow.FixedWidthTypes.Boolean, `[true,null]`, ""},
	{arrow.PrimitiveTypes.Int8, `[-1,null]`, ""},
	{arrow.PrimitiveTypes.Uint8, `[255,null]`, ""},
	{arrow.PrimitiveTypes.Int16, `[-1,null]`, ""},
	{arrow.PrimitiveTypes.Uint16, `[65535,null]`, ""},
	{arrow.PrimitiveTypes.Int32, `[-1,null]`, ""},
	{arrow.PrimitiveTypes.Uint32, `[4294967295,null]`, ""},
	{arrow.PrimitiveTypes.Int64, `[-1,null]`, ""},
	{arrow.PrimitiveTypes.Uint64, `[18446744073709551615,null]`, ""},
	{arrow.FixedWidthTypes.Float16, `[1.5,null]`, ""},
	{arrow.PrimitiveTypes.Float32, `[1.5,null]`, ""},
	{arrow.PrimitiveTypes.Float64, `[1.5,null]`, ""},
	{arrow.BinaryTypes.String, `["a",null]`, ""},
	{arrow.BinaryTypes.LargeString, `["a",null]`, ""},
	{arrow.BinaryTypes.StringView, `["a","beyond the twelve bytes that stand in a view"]`, "column \"c\": string_view cannot be written as Parquet"},
	{arrow.BinaryTypes.Binary, `["YQ==",null]`, ""},
	{arrow.BinaryTypes.LargeBinary, `["YQ==",null]`, ""},
	{arrow.BinaryTypes.BinaryView, `["YQ==",null]`, "cannot be written as Parquet"},
	{&arrow.FixedSizeBinaryType{ByteWidth: 2}, `["YWI=",null]`, ""},
	{arrow.FixedWidthTypes.Date32, `["2024-01-01",null]`, ""},
	{arrow.FixedWidthTypes.Date64, `["2024-01-01",null]`, "would be read as date32[day] from Parquet"},
	{arrow.FixedWidthTypes.Time32s, `["10:00:01",null]`, "would be read as time32[ms] from Parquet"},
	{arrow.FixedWidthTypes.Time32ms, `["10:00:01.001",null]`, ""},
	{arrow.FixedWidthTypes.Time64us, `["10:00:01.001",null]`, ""},
	{arrow.FixedWidthTypes.Time64ns, `["10:00:01.001",null]`, ""},
	{&arrow.TimestampType{Unit: arrow.Second}, `["2024-01-01T00:00:00",null]`, "would be read as timestamp[ms] from Parquet: put that type, or set the dataset's format to ArrowFile or ArrowStream"},
	{&arrow.TimestampType{Unit: arrow.Millisecond}, `["2024-01-01T00:00:00",null]`, ""},
	{&arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, `["2024-01-01T00:00:00Z",null]`, ""},
	{&arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "Europe/Berlin"}, `["2024-01-01T00:00:00Z",null]`, ""},
	{&arrow.TimestampType{Unit: arrow.Nanosecond}, `["2024-01-01T00:00:00.000000001",null]`, ""},
	{arrow.FixedWidthTypes.Duration_ms, `[5,null]`, ""},
	{arrow.ListOf(arrow.FixedWidthTypes.Duration_s), `[[5],null]`, ""},
	{arrow.FixedSizeListOf(2, arrow.FixedSizeListOf(1, arrow.FixedWidthTypes.Duration_ms)), `[[[5],null],null]`, ""}, // pqarrow puts in what null lists lack
	{arrow.StructOf(nullable("m", arrow.MapOf(arrow.BinaryTypes.String, arrow.FixedWidthTypes.Duration_us))), `[{"m":[{"key":"a","value":1}]},{"m":null}]`, ""},
	{arrow.FixedSizeListOf(2, arrow.Null), `[[null,null],null]`, ""},
	{arrow.FixedSizeListOf(1, arrow.StructOf(nullable("n", arrow.Null))), `[[{"n":null}],null]`, `field "c": fixed_size_list<item: struct<n: null nullable>, nullable>[1] cannot be read where it is null`},
	{arrow.FixedSizeListOf(1, arrow.ListOf(dictionaryOf(arrow.PrimitiveTypes.Int8, arrow.BinaryTypes.String))), `[[[]],null]`, "cannot be read where it is null"},
	{arrow.FixedSizeListOf(1, dictionaryOf(arrow.PrimitiveTypes.Int8, arrow.BinaryTypes.String)), `[["a"],null]`, ""},
	{arrow.FixedWidthTypes.MonthInterval, `[{"months":1},null]`, "cannot be written as Parquet"},
	{arrow.FixedWidthTypes.DayTimeInterval, `[{"days":1,"milliseconds":2},null]`, "cannot be written as Parquet"},
	{arrow.FixedWidthTypes.MonthDayNanoInterval, `[{"months":1,"days":1,"nanoseconds":3},null]`, "cannot be written as Parquet"},
	{&arrow.Decimal32Type{Precision: 5, Scale: 2}, `["1.25",null]`, "cannot be written as Parquet"},
	{&arrow.Decimal64Type{Precision: 12, Scale: 2}, `["1.25",null]`, "cannot be written as Parquet"},
	{&arrow.Decimal128Type{Precision: 5, Scale: 2}, `["1.25",null]`, ""},
	{&arrow.Decimal128Type{Precision: 38, Scale: 10}, `["1.25",null]`, ""},
	{&arrow.Decimal256Type{Precision: 50, Scale: 2}, `["1.25",null]`, ""},
	{arrow.ListOf(arrow.PrimitiveTypes.Int32), `[[1,null],null]`, ""},
	{arrow.ListOfNonNullable(arrow.PrimitiveTypes.Int32), `[[1],null]`, ""},
	{arrow.LargeListOf(arrow.PrimitiveTypes.Int32), `[[1,null],null]`, ""},
	{arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int32), `[[1,null],null]`, ""},
	{arrow.ListViewOf(arrow.PrimitiveTypes.Int32), `[[1,null],null]`, "cannot be written as Parquet"},
	{arrow.StructOf(nullable("a", arrow.PrimitiveTypes.Int64), nullable("b", arrow.BinaryTypes.String)), `[{"a":1,"b":"x"},null]`, ""},
	{arrow.StructOf(nullable("a", arrow.FixedWidthTypes.Time32s)), `[{"a":"10:00:01"},null]`, "would be read as struct<a: time32[ms]> from Parquet"},
	{arrow.StructOf(), `[{},null]`, "cannot be written as Parquet"},
	{arrow.StructOf(nullable("a", pair)), `[{"a":[1,2]},null]`, ""},
	{arrow.StructOf(arrow.Field{Name: "a", Type: pair}), `[{"a":[1,2]},null]`, `field "a": fixed_size_list<item: int32, nullable>[2] cannot be read where the struct`},
	{arrow.StructOf(nullable("s", arrow.StructOf(arrow.Field{Name: "a", Type: pair}))), `[{"s":null},null]`, "cannot be read where the struct"},
	{arrow.ListOf(arrow.StructOf(arrow.Field{Name: "a", Type: pair})), `[[null],null]`, "cannot be read where the struct"},
	{arrow.ListOfNonNullable(arrow.StructOf(arrow.Field{Name: "a", Type: pair})), `[[{"a":[1,2]}],null,[]]`, ""},
	{arrow.StructOf(nullable("l", arrow.ListOfNonNullable(pair))), `[{"l":[[1,2]]},{"l":null},null]`, ""},
	{arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64), `[[{"key":"a","value":1}],null]`, ""},
	{sortedMap, `[[{"key":"a","value":[{"key":1,"value":2}]}],null]`, ""},
	{arrow.ListOf(arrow.ListOf(arrow.BinaryTypes.String)), `[[["a"],null],null]`, ""},
	{arrow.ListOf(arrow.StructOf(nullable("x", arrow.ListOf(arrow.PrimitiveTypes.Int8)))), `[[{"x":[1]},null],null]`, ""},
	{dictionaryOf(arrow.PrimitiveTypes.Int8, arrow.BinaryTypes.String), `["a",null]`, ""},
	{dictionaryOf(arrow.PrimitiveTypes.Uint16, arrow.PrimitiveTypes.Float64), `[1.5,null]`, "would be read as double from Parquet"},
	{arrow.ListOf(dictionaryOf(arrow.PrimitiveTypes.Int32, arrow.BinaryTypes.String)), `[["a"],null]`, ""},
	{arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, arrow.BinaryTypes.String), `["a","a"]`, "cannot be written as Parquet"},
	{arrow.SparseUnionOf([]arrow.Field{nullable("a", arrow.PrimitiveTypes.Int64)}, []arrow.UnionTypeCode{0}), `[[0,1],[0,null]]`, "cannot be written as Parquet"},
	{arrow.DenseUnionOf([]arrow.Field{nullable("a", arrow.PrimitiveTypes.Int64)}, []arrow.UnionTypeCode{0}), `[[0,1],[0,null]]`, "cannot be written as Parquet"},
}

func TestWritersKeepTypesOrRefuseThem(t *testing.T) {
	for _, c := range types {
		for _, name := range format.WritableNames() {
			t.Run(fmt.Sprintf("%s/%s", name, c.t), func(t *testing.T) {
				schema := arrow.NewSchema([]arrow.Field{nullable("n", arrow.PrimitiveTypes.Int64), nullable("c", c.t)}, nil)
				if name == format.Parquet && c.parquet != "" {
					_, err := format.NewWriter(name, io.Discard, schema)
					if err == nil || !strings.Contains(err.Error(), c.parquet) || !strings.Contains(err.Error(), "ArrowFile") {
						t.Errorf("expected an error with %q and the mend, got %v", c.parquet, err)
					}
					return
				}
				batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(rowsOf(c.json)))
				if err != nil {
					t.Fatal(err)
				}
				table, err := read(t.Context(), lookup(t, name), objects("x", written(t, name, schema, batch, batch)), 0)
				if err != nil {
					t.Fatal(err)
				}
				defer table.Release()
				want := array.NewTableFromRecords(schema, []arrow.RecordBatch{batch, batch})
				if d := cmp.Diff(values(want), values(table)); d != "" {
					t.Errorf("(-written +read):\n%s", d)
				}
				back := arrow.NewSchema(table.Schema().Fields(), nil)
				if err := format.CheckWritable(name, back); err != nil {
					t.Errorf("what was read cannot be written again: %v", err)
				}
			})
		}
	}
}

// rowsOf makes rows of a list of values: their column is c, and n counts them.
func rowsOf(list string) string {
	var rows []string
	elements := splitJSON(list)
	for i, element := range elements {
		rows = append(rows, fmt.Sprintf(`{"n":%d,"c":%s}`, i, element))
	}
	return "[" + strings.Join(rows, ",") + "]"
}

// splitJSON are the elements of an array.
func splitJSON(list string) (elements []string) {
	depth, start := 0, 1
	for i, r := range list {
		switch r {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		if depth == 1 && r == ',' || depth == 0 {
			elements = append(elements, list[start:i])
			start = i + 1
		}
	}
	return elements
}

func TestWriterRefusals(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	for _, name := range []string{format.CSV, format.JSON, "XML"} {
		_, err := format.NewWriter(name, io.Discard, batch.Schema())
		if want := "format " + name + " cannot be written: expected one of Parquet, ArrowFile, ArrowStream, which keep the types"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	other := arrow.NewSchema([]arrow.Field{nullable("n", arrow.PrimitiveTypes.Int32)}, nil)
	w, err := format.NewWriter(format.Parquet, io.Discard, other)
	if err != nil {
		t.Fatal(err)
	}
	const want = `the batches of one file must have the same columns, but the batch has column "n": int64, the file has "n": int32`
	if err := w.Write(batch); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWritersKeepMetadata(t *testing.T) {
	metadata := arrow.NewMetadata([]string{"who"}, []string{"me"})
	field := nullable("n", arrow.PrimitiveTypes.Int64)
	bare := arrow.NewSchema([]arrow.Field{field}, nil)
	field.Metadata = metadata
	schema := arrow.NewSchema([]arrow.Field{field}, &metadata)
	batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, bare, strings.NewReader(`[{"n":1}]`))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range format.WritableNames() {
		table, err := read(t.Context(), lookup(t, name), objects("x", written(t, name, schema, batch)), 0)
		if err != nil {
			t.Fatal(err)
		}
		field, whole := table.Schema().Field(0).Metadata, table.Schema().Metadata()
		if v, _ := field.GetValue("who"); v != "me" {
			t.Errorf("%s: the field's metadata are %s", name, field)
		}
		if v, _ := whole.GetValue("who"); v != "me" {
			t.Errorf("%s: the schema's metadata are %s", name, whole)
		}
	}
}

// An Arrow file has one dictionary for each column. arrow-go takes dictionaries that differ by little for the same, in streams too.
func TestWritersTellWhenDictionariesChange(t *testing.T) {
	column := func(values string) arrow.RecordBatch {
		dt := dictionaryOf(arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Float64)
		list := arrow.ListOf(dt)
		schema := arrow.NewSchema([]arrow.Field{nullable("l", list)}, nil)
		batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(`[{"l":[`+values+`]}]`))
		if err != nil {
			t.Fatal(err)
		}
		return batch
	}
	first := column("1,2")
	for _, name := range []string{format.ArrowFile, format.ArrowStream} {
		for values, want := range map[string]error{"1,2": nil, "1,3": format.ErrDictionary, "1": format.ErrDictionary, "1,2.0000000001": format.ErrDictionary} {
			var b bytes.Buffer
			w, err := format.NewWriter(name, &b, first.Schema())
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Write(first); err != nil {
				t.Fatal(err)
			}
			if err := w.Write(column(values)); !errors.Is(err, want) {
				t.Errorf("%s: %s after 1,2: got %v, want %v", name, values, err, want)
			}
			if err := errors.Join(w.Write(first), w.Close()); err != nil {
				t.Fatal(err)
			}
			table, err := read(t.Context(), lookup(t, name), objects("x", b.String()), 0)
			if err != nil {
				t.Fatal(err)
			}
			if rows := table.NumRows(); want != nil && rows != 2 {
				t.Errorf("%s: %d rows, want those of the first and third batch", name, rows)
			}
		}
	}
}

func TestParquetRowGroupsAreBounded(t *testing.T) {
	groups := func(batches ...arrow.RecordBatch) (rows []int64) {
		data := written(t, format.Parquet, batches[0].Schema(), batches...)
		f, err := file.NewParquetReader(strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range f.MetaData().GetRowGroups() {
			rows = append(rows, g.GetNumRows())
			stats, err := f.MetaData().RowGroup(0).ColumnChunk(0)
			if err != nil {
				t.Fatal(err)
			}
			if set, err := stats.StatsSet(); !set || err != nil {
				t.Error("a column without statistics", err)
			}
		}
		return rows
	}
	wide := func(rows, width int) arrow.RecordBatch {
		schema := arrow.NewSchema([]arrow.Field{nullable("s", arrow.BinaryTypes.String)}, nil)
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		for i := range rows {
			b.Field(0).(*array.StringBuilder).Append(strings.Repeat(string(rune('a'+i%26)), width))
		}
		return b.NewRecordBatch()
	}
	for name, c := range map[string]struct {
		batches []arrow.RecordBatch
		want    []int64
	}{
		"small batches": {[]arrow.RecordBatch{wide(10, 8), wide(20, 8), wide(30, 8)}, []int64{60}},
		"many rows":     {[]arrow.RecordBatch{wide(1<<20, 0), wide(5, 0)}, []int64{1 << 20, 5}},
		"wide batches":  {[]arrow.RecordBatch{wide(40, 1<<20), wide(40, 1<<20)}, []int64{40, 40}},
		"a huge batch":  {[]arrow.RecordBatch{wide(65, 2<<20)}, []int64{31, 31, 3}},
	} {
		if d := cmp.Diff(c.want, groups(c.batches...)); d != "" {
			t.Errorf("%s: rows of the row groups (-want +got):\n%s", name, d)
		}
	}
}

// full fails after so many bytes, as a disk does.
type full struct{ left int }

var errFull = errors.New("no space left on device")

func (f *full) Write(b []byte) (int, error) {
	n := min(len(b), f.left)
	f.left -= n
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func TestWritersTellWhatTheyWriteToFailsWith(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	for _, name := range format.WritableNames() {
		size := len(written(t, name, batch.Schema(), batch))
		for left := 0; left < size; left += 1 + size/64 {
			w, err := format.NewWriter(name, &full{left}, batch.Schema())
			if err == nil {
				err = w.Write(batch)
				if closing := w.Close(); err == nil {
					err = closing
				}
			}
			if !errors.Is(err, errFull) {
				t.Fatalf("%s: after %d bytes of %d: %v", name, left, size, err)
			}
		}
		w, err := format.NewWriter(name, &full{size}, batch.Schema())
		if err = errors.Join(err, w.Write(batch), w.Close()); err != nil {
			t.Errorf("%s: with room for %d bytes: %v", name, size, err)
		}
	}
}

func TestWritersReleaseWhatTheyAreGiven(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	schema := arrow.NewSchema([]arrow.Field{nullable("n", arrow.PrimitiveTypes.Int64), nullable("d", dictionaryOf(arrow.PrimitiveTypes.Int8, arrow.BinaryTypes.String))}, nil)
	batch, _, err := array.RecordFromJSON(mem, schema, strings.NewReader(`[{"n":1,"d":"a"},{"n":2,"d":"b"}]`))
	if err != nil {
		t.Fatal(err)
	}
	defer batch.Release()
	for _, name := range format.WritableNames() {
		written(t, name, schema, batch, batch)
	}
}

// What is written reads the same, whatever slices of whatever tables it is.
func TestWritersAndReadersAgree(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 4))
		schema := arrow.NewSchema([]arrow.Field{
			{Name: "n", Type: arrow.PrimitiveTypes.Int64},
			nullable("s", arrow.BinaryTypes.String),
			nullable("b", arrow.FixedWidthTypes.Boolean),
			nullable("d", dictionaryOf(arrow.PrimitiveTypes.Int8, arrow.BinaryTypes.String)),
			nullable("l", arrow.ListOf(arrow.ListOf(arrow.PrimitiveTypes.Int32))),
			nullable("p", arrow.StructOf(nullable("x", arrow.BinaryTypes.String), nullable("y", arrow.ListOf(arrow.StructOf(nullable("z", arrow.PrimitiveTypes.Int8)))))),
			nullable("m", arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Float32)),
			nullable("f", arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int16)),
			nullable("g", arrow.StructOf(nullable("x", arrow.FixedSizeListOf(1, arrow.PrimitiveTypes.Int16)))),
		}, nil)
		var batches []arrow.RecordBatch
		for range 1 + r.IntN(4) {
			rows := r.IntN(50)
			var b strings.Builder
			for i := range rows {
				if i > 0 {
					b.WriteString(",")
				}
				fmt.Fprintf(&b, `{"n":%d,"s":%s,"b":%s,"d":%s,"l":%s,"p":%s,"m":%s,"f":%s,"g":%s}`, i,
					maybe(r, `"%d"`), maybe(r, "true"), maybe(r, `"%d"`),
					maybe(r, listJSON(r, func() string { return maybe(r, listJSON(r, func() string { return maybe(r, "%d") })) })),
					maybe(r, `{"x":`+maybe(r, `"%d"`)+`,"y":`+maybe(r, listJSON(r, func() string { return maybe(r, `{"z":`+maybe(r, "%d")+"}") }))+"}"),
					maybe(r, listJSON(r, func() string { return `{"key":"k","value":` + maybe(r, "%d") + "}" })),
					maybe(r, "["+maybe(r, "%d")+","+maybe(r, "%d")+"]"),
					maybe(r, `{"x":`+maybe(r, "["+maybe(r, "%d")+"]")+"}"))
			}
			batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader("["+b.String()+"]"))
			if err != nil {
				t.Fatal(err)
			}
			from := int64(r.IntN(rows + 1))
			batches = append(batches, batch.NewSlice(from, from+r.Int64N(int64(rows)-from+1)))
		}
		want := values(array.NewTableFromRecords(schema, batches))
		for _, name := range format.WritableNames() {
			var got strings.Builder
			var files []string
			left := batches
			for len(left) > 0 { // a file for as many batches as go into one
				var b bytes.Buffer
				w, err := format.NewWriter(name, &b, schema)
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for n < len(left) && err == nil {
					if err = w.Write(left[n]); err == nil {
						n++
					}
				}
				if err != nil && !errors.Is(err, format.ErrDictionary) {
					t.Fatalf("seed %d, %s: %v", seed, name, err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				left = left[n:]
				files = append(files, b.String())
			}
			table, err := read(t.Context(), lookup(t, name), objects("x", files...), 7)
			if err != nil {
				t.Fatalf("seed %d, %s: %v", seed, name, err)
			}
			got.WriteString(values(table))
			if d := cmp.Diff(want, got.String()); d != "" {
				t.Fatalf("seed %d, %s (-written +read):\n%s", seed, name, d)
			}
			if name == format.Parquet && len(files) != 1 {
				t.Errorf("seed %d: %d Parquet files", seed, len(files))
			}
		}
	}
}

// Arrow lets lists have values where they are null, or where the struct that they are in is; Parquet has none there.
func TestParquetOfNullListsThatHaveValues(t *testing.T) {
	ints, _, err := array.FromJSON(memory.DefaultAllocator, arrow.PrimitiveTypes.Int64, strings.NewReader(`[1,2,3,4,5,6]`))
	if err != nil {
		t.Fatal(err)
	}
	offsets := memory.NewBufferBytes(arrow.GetBytes([]int32{0, 2, 4, 6}))
	fixed := arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int64)
	for mask, want := range map[byte]string{
		0b111: "[1,2] [3,4] [5,6] ",
		0b110: "(null) [3,4] [5,6] ",
		0b101: "[1,2] (null) [5,6] ",
		0b011: "[1,2] [3,4] (null) ",
		0b010: "(null) [3,4] (null) ",
		0b000: "(null) (null) (null) ",
	} {
		validity := memory.NewBufferBytes([]byte{mask})
		list := func(t arrow.DataType, validity *memory.Buffer) arrow.ArrayData {
			buffers := []*memory.Buffer{validity, offsets}
			if t.ID() == arrow.FIXED_SIZE_LIST {
				buffers = buffers[:1]
			}
			return array.NewData(t, 3, buffers, []arrow.ArrayData{ints.Data()}, array.UnknownNullCount, 0)
		}
		for _, lt := range []arrow.DataType{arrow.ListOf(arrow.PrimitiveTypes.Int64), fixed} {
			inStruct := arrow.StructOf(nullable("x", lt))
			columns := []arrow.Array{
				array.MakeFromData(list(lt, validity)),
				array.MakeFromData(array.NewData(inStruct, 3, []*memory.Buffer{validity}, []arrow.ArrayData{list(lt, nil)}, array.UnknownNullCount, 0)),
			}
			schema := arrow.NewSchema([]arrow.Field{nullable("l", lt), nullable("p", inStruct)}, nil)
			batch := array.NewRecordBatch(schema, columns, 3)
			table, err := read(t.Context(), lookup(t, format.Parquet), objects("x", written(t, format.Parquet, schema, batch, batch.NewSlice(1, 3))), 0)
			if err != nil {
				t.Fatalf("%s, %03b: %v", lt, mask, err)
			}
			words := strings.Fields(want)
			wantAll := strings.Join(append(words, words[1:]...), " ") + " \n"
			wantAll += strings.NewReplacer("[", `{"x":[`, "]", "]}").Replace(wantAll)
			if d := cmp.Diff(wantAll, values(table)); d != "" {
				t.Errorf("%s, %03b (-want +got):\n%s", lt, mask, d)
			}
		}
	}
}

// maybe is null, or JSON with a number in place of %d.
func maybe(r *rand.Rand, json string) string {
	if r.IntN(4) == 0 {
		return "null"
	}
	return strings.ReplaceAll(json, "%d", fmt.Sprint(r.IntN(20)))
}

func listJSON(r *rand.Rand, element func() string) string {
	var elements []string
	for range r.IntN(4) {
		elements = append(elements, element())
	}
	return "[" + strings.Join(elements, ",") + "]"
}
