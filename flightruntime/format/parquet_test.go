package format_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

func TestParquetReadsWhatWasWritten(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	none := array.NewRecordBatch(batch.Schema(), batch.NewSlice(0, 0).Columns(), 0)
	want := strings.ReplaceAll(shown3, "x: float64", "x: float64 nullable")
	want = strings.ReplaceAll(want, "item: int32", "element: int32")
	if got := readAll(t, format.Parquet, objects("parquet", parquetOf(t, batch.Schema(), batch))); got != want {
		t.Errorf("one row group: %s", cmp.Diff(want, got))
	}
	two := parquetOf(t, batch.Schema(), batch.NewSlice(0, 2), batch.NewSlice(2, 3))
	if got := readAll(t, format.Parquet, objects("parquet", two)); got != want {
		t.Errorf("two row groups: %s", cmp.Diff(want, got))
	}
	for name, data := range map[string]string{"no row groups": parquetOf(t, batch.Schema()), "an empty row group": parquetOf(t, batch.Schema(), none)} {
		table, err := read(t.Context(), lookup(t, format.Parquet), objects("parquet", data), 0)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if table.NumRows() != 0 || table.NumCols() != 4 {
			t.Errorf("%s: %d rows, %d columns", name, table.NumRows(), table.NumCols())
		}
		table.Release()
	}
}

// Types that Parquet has no name for come back as they were. The file is of pyarrow 26: parquet.write_table with a column of durations, one
// of lists of durations, and one of seconds in Berlin's time.
func TestParquetKeepsArrowTypes(t *testing.T) {
	const want = `d duration[ms]: 5ms (null)
l list<element: duration[ms], nullable>: ["1ms",null] (null)
t timestamp[ms, tz=Europe/Berlin]: 2024-05-01T14:00:00+02:00 (null)
`
	list := objects("parquet", testdata(t, "arrow-types.parquet"))
	if d := cmp.Diff(want, readAll(t, format.Parquet, list)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	table, err := read(t.Context(), lookup(t, format.Parquet), list, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	if _, ok := table.Column(1).Data().Chunk(0).(*array.List).ListValues().(*array.Duration); !ok {
		t.Error("the lists do not hold durations")
	}
}

// Nor do types that arrow-go leaves out. The file is of pyarrow 26.
func TestParquetRestoresArrowTypes(t *testing.T) {
	const want = `d32 decimal32(5, 2): -1.5 2.5 (null)
d64 list<element: decimal64(15, 2), nullable>: ["-1.5",null] (null) []
view string_view: "b" "a text longer than twelve bytes" (null)
bytes list_view<element: binary_view, nullable>: ["eA=="] (null) ["Ynl0ZXMsIG1vcmUgdGhhbiB0d2VsdmU=",""]
large large_list_view<element: int16, nullable>: [1,2] (null) [3]
s struct<t: timestamp[ms, tz=Asia/Tokyo] nullable, v: string_view nullable>: {"t":"1970-01-01T09:00:01+09:00","v":"a"} (null) {"t":null,"v":"b"}
json extension<arrow.json[storage_type=utf8]>: {} null [1]
bool8 extension<arrow.bool8>: true (null) false
`
	list := objects("parquet", testdata(t, "restored-types.parquet"))
	if d := cmp.Diff(want, readAll(t, format.Parquet, list)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	leakless(t, format.Parquet, list)
}

// Metadata of a field come back where its dictionary does not, for Parquet has only those of text, and so do those of elements.
func TestParquetKeepsMetadataInside(t *testing.T) {
	d := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.PrimitiveTypes.Int64}
	f := arrow.Field{Name: "d", Type: d, Nullable: true, Metadata: arrow.NewMetadata([]string{"unit"}, []string{"m"})}
	schema := arrow.NewSchema([]arrow.Field{f, {Name: "s", Type: arrow.StructOf(f), Nullable: true}, {Name: "l", Type: arrow.ListOfField(f), Nullable: true}}, nil)
	layout, err := lookup(t, format.Parquet).Inspect(t.Context(), objects("parquet", parquetOf(t, schema)), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := arrow.Field{Name: "d", Type: arrow.PrimitiveTypes.Int64, Nullable: true, Metadata: f.Metadata}
	if got := layout.Schema.Field(0); !got.Equal(want) {
		t.Errorf("expected %v, got %v", want, got)
	}
	if got := layout.Schema.Field(1).Type.(*arrow.StructType).Field(0); !got.Equal(want) {
		t.Errorf("in a struct: expected %v, got %v", want, got)
	}
	if got := layout.Schema.Field(2).Type.(*arrow.ListType).ElemField().Metadata; !got.Equal(want.Metadata) {
		t.Errorf("in a list: expected %v, got %v", want.Metadata, got)
	}
}

// Lists without any value have a dictionary all the same.
func TestParquetListsOfDictionariesWithoutValues(t *testing.T) {
	d := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "l", Type: arrow.ListOf(d), Nullable: true},
		{Name: "m", Type: arrow.MapOf(arrow.BinaryTypes.String, d), Nullable: true},
	}, nil)
	batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(
		`[{"l":["a"],"m":[{"key":"k","value":"a"}]},{"l":[],"m":[]},{"l":null,"m":null}]`))
	if err != nil {
		t.Fatal(err)
	}
	table, err := read(t.Context(), lookup(t, format.Parquet), objects("parquet", written(t, format.Parquet, schema, batch.NewSlice(1, 3))), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	var sent bytes.Buffer
	w := ipc.NewWriter(&sent, ipc.WithSchema(table.Schema()))
	for r := array.NewTableReader(table, 0); r.Next(); {
		if err := w.Write(r.RecordBatch()); err != nil {
			t.Error(err)
		}
	}
}

// JSON is an extension of text, also where no schema was stored that says so. The files are of pyarrow 26: parquet.write_table, store_schema=False.
func TestParquetJSON(t *testing.T) {
	const shown = `n int64: 1 2
j extension<arrow.json[storage_type=utf8]>: {"a": 1} null
large extension<arrow.json[storage_type=LARGE]>: [1] null
view extension<arrow.json[storage_type=VIEW]>: [2] null
l list<element: extension<arrow.json[storage_type=utf8]>, nullable>: [{"a":1},[]] [3]
s struct<x: extension<arrow.json[storage_type=utf8]> nullable>: {"x":1} {"x":null}
`
	for name, want := range map[string]string{
		"json.parquet":        strings.NewReplacer("LARGE", "utf8", "VIEW", "utf8").Replace(shown),
		"json-stored.parquet": strings.NewReplacer("LARGE", "large_utf8", "VIEW", "string_view").Replace(shown),
	} {
		list := objects("parquet", testdata(t, name))
		if d := cmp.Diff(want, readAll(t, format.Parquet, list)); d != "" {
			t.Errorf("%s: (-want +got):\n%s", name, d)
		}
		leakless(t, format.Parquet, list)
	}
}

// Extensions come back where their fields have metadata of their own, which pqarrow fails at.
func TestParquetExtensionsWithMetadata(t *testing.T) {
	json, err := extensions.NewJSONType(arrow.BinaryTypes.String)
	if err != nil {
		t.Fatal(err)
	}
	unit := arrow.NewMetadata([]string{"unit"}, []string{"m"})
	for _, c := range []struct {
		typ  arrow.ExtensionType
		json string
	}{{extensions.NewBool8Type(), `true`}, {extensions.NewUUIDType(), `"00000000-0000-0000-0000-000000000007"`}, {json, `"1"`}} {
		t.Run(c.typ.ExtensionName(), func(t *testing.T) {
			f := arrow.Field{Name: "x", Type: c.typ, Nullable: true, Metadata: unit}
			schema := arrow.NewSchema([]arrow.Field{f, {Name: "s", Type: arrow.StructOf(f), Nullable: true}}, nil)
			batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(fmt.Sprintf(`[{"x":%[1]s,"s":{"x":%[1]s}},{"x":null,"s":null}]`, c.json)))
			if err != nil {
				t.Fatal(err)
			}
			table, err := read(t.Context(), lookup(t, format.Parquet), objects("parquet", written(t, format.Parquet, schema, batch)), 0)
			if err != nil {
				t.Fatal(err)
			}
			defer table.Release()
			if got := table.Schema().Fields(); !got[0].Equal(f) || !got[1].Type.(*arrow.StructType).Field(0).Equal(f) {
				t.Errorf("expected %v, and in a struct, got %v", f, got)
			}
			if d := cmp.Diff(values(array.NewTableFromRecords(schema, []arrow.RecordBatch{batch})), values(table)); d != "" {
				t.Errorf("(-written +read):\n%s", d)
			}
		})
	}
}

// INT96 says nothing of zones, whatever stored them. The file is of pyarrow 26: parquet.write_table with use_deprecated_int96_timestamps.
func TestParquetTimesStoredAsINT96HaveNoZone(t *testing.T) {
	const want = `n timestamp[ns]: 2017-07-14T02:40:00 (null)
i int64: 7 (null)
u extension<arrow.uuid>: 00000000-0000-0000-0000-000000000007 (null)
z timestamp[ns]: 1970-01-01T00:00:00.000001 (null)
m map<utf8, timestamp[ns], items_nullable>: [{"key":"k","value":"1970-01-01T00:00:00.000000001"}] (null)
l list<element: timestamp[ns], nullable>: ["1970-01-01T00:00:00.000001",null] (null)
s struct<x: int8 nullable, y: timestamp[ns] nullable>: {"x":2,"y":"1970-01-01T00:00:00.000003"} (null)
`
	if d := cmp.Diff(want, readAll(t, format.Parquet, objects("parquet", testdata(t, "int96.parquet")))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// What is decoded from messages has the very types that the file's columns have, for arrow.TypeEqual looks at large lists and dictionaries more
// closely than it says: nothing may be empty in one and absent in the other.
func TestParquetTypesAreThoseOfTheirMessages(t *testing.T) {
	element := arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int64, Nullable: true})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "large", Type: arrow.LargeListOf(arrow.PrimitiveTypes.Float64), Nullable: true},
		{Name: "structs", Type: arrow.LargeListOf(element), Nullable: true},
		{Name: "inside", Type: arrow.StructOf(arrow.Field{Name: "l", Type: arrow.LargeListOf(element), Nullable: true}), Nullable: true},
	}, nil)
	for name, data := range map[string]string{"of our helpers": parquetOf(t, schema), "of pyarrow": testdata(t, "restored-types.parquet")} {
		layout, err := lookup(t, format.Parquet).Inspect(t.Context(), objects("parquet", data), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sent, err := flight.DeserializeSchema(flight.SerializeSchema(layout.Schema, memory.DefaultAllocator), memory.DefaultAllocator)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, f := range layout.Schema.Fields() {
			if got := sent.Field(i).Type; !arrow.TypeEqual(f.Type, got) {
				t.Errorf("%s: column %s: expected %v as the message's type, got %v", name, f.Name, f.Type, got)
			}
		}
	}
}

func TestParquetSaysWhatIsWrong(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	good := parquetOf(t, batch.Schema(), batch)
	large := parquetOf(t, batch.Schema(), repeat(t, batch, 10_000))
	const noFooter = "it begins as a Parquet file but has no footer: it is cut, or still being written; write to another name and rename it when done"
	for _, c := range []struct{ name, data, want string }{
		{"empty", "", "the file is empty: expected a Parquet file"},
		{"cut", good[:len(good)-20], noFooter},
		{"four bytes", good[:4], noFooter},
		{"text", "a,b\n1,2\n", `it is not a Parquet file: it begins with "a,b\n1,2\n"`},
		{"an Arrow file", fileOf(t, batch.Schema(), nil), "it is not a Parquet file; it looks like an Arrow file: set format: ArrowFile"},
		{"encrypted footer", "PARE" + good[4:], "it is an encrypted Parquet file, which cannot be served: write it without encryption"},
		{"encrypted columns", encryptedParquet(t, batch), "it is an encrypted Parquet file, which cannot be served: write it without encryption"},
		{"footer too long", good[:len(good)-8] + "\xff\xff\xff\x7fPAR1", fmt.Sprintf("its Parquet footer of 2147483647 bytes does not fit in the file of %d: the file is damaged or cut", len(good))},
		{"pages missing", "PAR1" + large[len(large)-footerSize(large)-8:], "column \"n\" of row group 0 is said to be outside the file: the file is damaged or cut"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := lookup(t, format.Parquet).Inspect(t.Context(), objects("parquet", c.data), nil)
			if err == nil {
				t.Fatal("no error")
			}
			if d := cmp.Diff("1.parquet: "+c.want, err.Error()); d != "" {
				t.Errorf("message (-want +got):\n%s", d)
			}
		})
	}
}

// repeat is a batch n times over.
func repeat(t testing.TB, batch arrow.RecordBatch, n int) arrow.RecordBatch {
	t.Helper()
	columns := make([]arrow.Array, batch.NumCols())
	for i := range columns {
		var err error
		if columns[i], err = array.Concatenate(slices.Repeat([]arrow.Array{batch.Column(i)}, n), memory.DefaultAllocator); err != nil {
			t.Fatal(err)
		}
	}
	return array.NewRecordBatch(batch.Schema(), columns, -1)
}

func footerSize(file string) int {
	tail := file[len(file)-8:]
	return int(tail[0]) | int(tail[1])<<8 | int(tail[2])<<16
}

// encryptedParquet is a file whose footer is plain text and whose columns are not.
func encryptedParquet(t *testing.T, batch arrow.RecordBatch) string {
	t.Helper()
	key := strings.Repeat("k", 16)
	props := parquet.NewWriterProperties(parquet.WithEncryptionProperties(parquet.NewFileEncryptionProperties(key, parquet.WithPlaintextFooter())))
	return parquetAs(t, batch, props, pqarrow.DefaultWriterProps())
}

func TestParquetWideRowsMakeSmallBatches(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "s", Type: arrow.BinaryTypes.Binary}}, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range 40 {
		wide := make([]byte, 1<<20)
		for j := range wide {
			wide[j] = byte(i * j >> 3)
		}
		builder.Field(0).(*array.BinaryBuilder).Append(wide)
	}
	f := lookup(t, format.Parquet)
	layout, err := f.Inspect(t.Context(), objects("parquet", parquetOf(t, schema, builder.NewRecordBatch())), nil)
	if err != nil {
		t.Fatal(err)
	}
	for batch, err := range f.Read(t.Context(), layout, 0, format.ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if batch.NumRows() > 16 {
			t.Errorf("a batch of %d rows of 1 MiB", batch.NumRows())
		}
	}
}

func TestParquetFreesItsMemory(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	leakless(t, format.Parquet, objects("parquet", parquetOf(t, batch.Schema(), batch, batch)))
}

func TestParquetEndsWhenCancelled(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	endsWhenCancelled(t, format.Parquet, objects("parquet", parquetOf(t, batch.Schema(), batch, batch)))
}
