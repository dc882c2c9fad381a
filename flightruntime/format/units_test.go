package format_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// counting is an object that counts how often it is opened and how many bytes are read of it.
type counting struct {
	source.Object
	opens, bytes atomic.Int64
}

func (c *counting) Open(ctx context.Context) (source.Reader, error) {
	c.opens.Add(1)
	r, err := c.Object.Open(ctx)
	return countingReader{r, c}, err
}

type countingReader struct {
	source.Reader
	object *counting
}

func (r countingReader) ReadAt(p []byte, off int64) (int, error) {
	r.object.bytes.Add(int64(len(p)))
	return r.Reader.ReadAt(p, off)
}

// counted are the same objects, counting.
func counted(list []source.Object) (objects []source.Object, counters []*counting) {
	for _, o := range list {
		c := &counting{Object: o}
		objects, counters = append(objects, c), append(counters, c)
	}
	return objects, counters
}

// numbers is a table of so many columns of 64-bit integers that do not compress, with schema metadata.
func numbers(columns, rows int) arrow.RecordBatch {
	metadata := arrow.NewMetadata([]string{"owner"}, []string{"someone"})
	fields := make([]arrow.Field, columns)
	for i := range fields {
		fields[i] = arrow.Field{Name: fmt.Sprintf("c%d", i), Type: arrow.PrimitiveTypes.Int64, Nullable: true}
	}
	builder := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, &metadata))
	defer builder.Release()
	x := uint64(1)
	for i := range fields {
		b := builder.Field(i).(*array.Int64Builder)
		for range rows {
			x = x*6364136223846793005 + 1442695040888963407
			b.Append(int64(x ^ x>>29))
		}
	}
	return builder.NewRecordBatch()
}

func inspect(t testing.TB, name string, list []source.Object) *format.Layout {
	t.Helper()
	layout, err := lookup(t, name).Inspect(t.Context(), list, nil)
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

// rowsRead are the rows of each batch that is read.
func rowsRead(t testing.TB, name string, layout *format.Layout, opts format.ReadOptions) (rows []int64) {
	t.Helper()
	for batch, err := range lookup(t, name).Read(t.Context(), layout, 0, opts) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, batch.NumRows())
	}
	return rows
}

// sumOf are all the rows that are read.
func sumOf(rows []int64) (sum int64) {
	for _, n := range rows {
		sum += n
	}
	return sum
}

func TestUnits(t *testing.T) {
	small, large := table3(memory.DefaultAllocator), numbers(1, 600_000) // of 4.8 MB
	mixed := []arrow.RecordBatch{large, large.NewSlice(0, 10), large.NewSlice(0, 20), large, large.NewSlice(0, 5), large}
	for _, c := range []struct {
		name, format, data string
		want               []int64 // rows
	}{
		{"row groups", format.Parquet, parquetOf(t, small.Schema(), small, small.NewSlice(0, 2), small), []int64{3, 2, 3}},
		{"no row group", format.Parquet, parquetOf(t, small.Schema()), nil},
		{"small record batches together", format.ArrowFile, fileOf(t, small.Schema(), []arrow.RecordBatch{small, small, small}), []int64{9}},
		{"until there are 4 MiB", format.ArrowFile, fileOf(t, large.Schema(), mixed), []int64{600_000, 600_030, 600_005}},
		{"no record batch", format.ArrowFile, fileOf(t, small.Schema(), nil), nil},
		{"a stream is read as a whole", format.ArrowStream, streamOf(t, large.Schema(), mixed), []int64{1_800_035}},
		{"and CSV", format.CSV, "a,b\n1,2\n3,4\n", []int64{2}},
		{"of no rows too", format.CSV, "a,b\n", []int64{0}},
		{"and JSON", format.JSON, `{"a":1}{"a":2}`, []int64{2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			layout := inspect(t, c.format, objects("x", c.data))
			var rows []int64
			var bytes int64
			for _, u := range layout.Parts[0].Units {
				rows, bytes = append(rows, u.Rows), bytes+u.Bytes
				if u.Bytes <= 0 {
					t.Errorf("a unit of %d bytes", u.Bytes)
				}
			}
			if d := cmp.Diff(c.want, rows); d != "" {
				t.Errorf("rows (-want +got):\n%s", d)
			}
			if bytes > int64(len(c.data)) {
				t.Errorf("units of %d bytes in an object of %d", bytes, len(c.data))
			}
		})
	}
}

func TestUnitsOfManySmallRecordBatchesAreFew(t *testing.T) {
	batch := numbers(40, 4)
	layout := inspect(t, format.ArrowFile, objects("arrow", fileOf(t, batch.Schema(), slices.Repeat([]arrow.RecordBatch{batch}, 2000))))
	p := layout.Parts[0]
	if n := int64(len(p.Units)); n < 2 || n > p.Object.Size()>>20+1 || p.Rows != 8000 {
		t.Errorf("%d units and %d rows in %d bytes", n, p.Rows, p.Object.Size())
	}
	if rows := sumOf(rowsRead(t, format.ArrowFile, layout, format.ReadOptions{Units: []int{1}})); rows != p.Units[1].Rows {
		t.Errorf("the second unit has %d rows, %d were read", p.Units[1].Rows, rows)
	}
}

// binaryFormats are the same table of 20 columns and 4 pieces, in each format that knows where its columns are.
func binaryFormats(t *testing.T) map[string]string {
	t.Helper()
	batch := numbers(20, 120_000)
	pieces := make([]arrow.RecordBatch, 4)
	for i := range pieces {
		pieces[i] = batch.NewSlice(int64(i)*30_000, int64(i+1)*30_000)
	}
	return map[string]string{
		format.Parquet:     parquetOf(t, batch.Schema(), pieces...),
		format.ArrowFile:   fileOf(t, batch.Schema(), pieces),
		format.ArrowStream: streamOf(t, batch.Schema(), pieces, ipc.WithZstd()),
	}
}

func TestOnlyWhatIsWantedIsReadFromStorage(t *testing.T) {
	for name, data := range binaryFormats(t) {
		all := int64(len(data))
		list, counters := counted(objects("x", data))
		layout := inspect(t, name, list)
		if read := counters[0].bytes.Load(); read > all/10 {
			t.Errorf("%s: Inspect reads %d of %d bytes", name, read, all)
		}
		last := len(layout.Parts[0].Units) - 1
		for what, c := range map[string]struct {
			opts     format.ReadOptions
			fraction float64
			rows     int64
		}{
			"everything":            {format.ReadOptions{}, 1, 120_000},
			"1 of 20 columns":       {format.ReadOptions{Columns: []int{7}}, 0.05, 120_000},
			"2 columns":             {format.ReadOptions{Columns: []int{0, 19}}, 0.1, 120_000},
			"no column":             {format.ReadOptions{Columns: []int{}}, 0, 120_000},
			"1 unit":                {format.ReadOptions{Units: []int{last}}, 1 / float64(last+1), 120_000 / int64(last+1)},
			"no unit":               {format.ReadOptions{Units: []int{}}, 0, 0},
			"a unit's column":       {format.ReadOptions{Units: []int{0}, Columns: []int{3}}, 0.05 / float64(last+1), 120_000 / int64(last+1)},
			"units that are pruned": {format.ReadOptions{Keep: func(format.Statistics) bool { return false }}, 0, 0},
		} {
			counters[0].bytes.Store(0)
			if rows := sumOf(rowsRead(t, name, layout, c.opts)); rows != c.rows {
				t.Errorf("%s, %s: %d rows, want %d", name, what, rows, c.rows)
			}
			// Footers and metadata come on top.
			if read, most := counters[0].bytes.Load(), int64(c.fraction*1.02*float64(all))+100_000; read > most {
				t.Errorf("%s, %s: %d of %d bytes are read, want at most %d", name, what, read, all, most)
			}
		}
	}
}

// A footer is read by the first call, and by those after only if the file is another version.
func TestParquetFooterIsKept(t *testing.T) {
	list, counters := counted(objects("x", binaryFormats(t)[format.Parquet]))
	layout := inspect(t, format.Parquet, list)
	read := func() bool {
		counters[0].bytes.Store(0)
		if rows := sumOf(rowsRead(t, format.Parquet, layout, format.ReadOptions{Columns: []int{}})); rows != 120_000 {
			t.Errorf("%d rows", rows)
		}
		return counters[0].bytes.Load() > 0
	}
	first, second := read(), read()
	layout.Parts[0].Object = version{layout.Parts[0].Object}
	if other := read(); !first || second || !other {
		t.Errorf("the footer is read: first %t, then %t, of another version %t", first, second, other)
	}
}

// Reads at the same time share what is kept of a file.
func TestParquetReadsAtTheSameTime(t *testing.T) {
	data := wideFile(t, 4, 3_000)
	layout := inspect(t, format.Parquet, objects("parquet", data))
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			var rows int64
			for batch, err := range lookup(t, format.Parquet).Read(t.Context(), layout, 0, format.ReadOptions{Keep: func(s format.Statistics) bool {
				for field := range layout.Schema.NumFields() {
					_, _ = s.Column(field)
				}
				return true
			}}) {
				if err != nil {
					t.Error(err)
					return
				}
				rows += batch.NumRows()
			}
			if rows != 3_000 {
				t.Errorf("%d rows", rows)
			}
		})
	}
	readers.Wait()
}

func TestProjectionKeepsSchemaMetadata(t *testing.T) {
	for name, data := range binaryFormats(t) {
		layout := inspect(t, name, objects("x", data))
		for batch, err := range lookup(t, name).Read(t.Context(), layout, 0, format.ReadOptions{Columns: []int{2, 5}}) {
			if err != nil {
				t.Fatal(err)
			}
			s := batch.Schema()
			if owner, _ := s.Metadata().GetValue("owner"); owner != "someone" || s.NumFields() != 2 || s.Field(0).Name != "c2" || s.Field(1).Name != "c5" {
				t.Errorf("%s: schema %s", name, s)
			}
		}
	}
}

// Nested columns take several places in a record batch's metadata, and dictionaries messages of their own.
func TestProjectionOfEveryKindOfColumn(t *testing.T) {
	batch := manyTypes(t)
	for name, list := range map[string][]source.Object{
		format.ArrowFile:   objects("arrow", fileOf(t, batch.Schema(), []arrow.RecordBatch{batch}), fileOf(t, batch.Schema(), []arrow.RecordBatch{batch}, ipc.WithLZ4())),
		format.ArrowStream: objects("arrows", streamOf(t, batch.Schema(), []arrow.RecordBatch{batch, batch}), streamOf(t, batch.Schema(), []arrow.RecordBatch{batch}, ipc.WithZstd())),
	} {
		whole := readAll(t, name, list) // column by column besides
		if strings.HasPrefix(whole, "error") {
			t.Fatal(whole)
		}
		lines := strings.SplitAfter(whole, "\n")
		layout := inspect(t, name, list[:1])
		for first := range batch.NumCols() { // and by neighbours
			columns := []int{int(first)}
			if last := int(batch.NumCols()) - 1; int(first) < last {
				columns = append(columns, last)
			}
			var batches []arrow.RecordBatch
			for got, err := range lookup(t, name).Read(t.Context(), layout, 0, format.ReadOptions{Columns: columns}) {
				if err != nil {
					t.Fatal(err)
				}
				got.Retain()
				batches = append(batches, got)
			}
			schema, err := layout.Project(columns)
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.SplitAfter(show(array.NewTableFromRecords(schema, batches)), "\n") {
				if line != "" && !strings.HasPrefix(lines[columns[i]], strings.TrimSuffix(line, "\n")) {
					t.Errorf("%s, columns %d: got %s, want %s", name, columns, line, lines[columns[i]])
				}
			}
		}
	}
}

// manyTypes is a batch with a column of each way to lie in a record batch.
func manyTypes(t testing.TB) arrow.RecordBatch {
	t.Helper()
	dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	point := arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Float64, Nullable: true}, arrow.Field{Name: "name", Type: arrow.BinaryTypes.StringView, Nullable: true})
	var fields []arrow.Field
	var columns []arrow.Array
	for _, c := range []struct {
		name   string
		of     arrow.DataType
		values string
	}{
		{"null", arrow.Null, `[null, null, null]`},
		{"int", arrow.PrimitiveTypes.Int32, `[1, null, 3]`},
		{"bool", arrow.FixedWidthTypes.Boolean, `[true, null, false]`},
		{"string", arrow.BinaryTypes.String, `["a", null, "c"]`},
		{"dictionary", dictionary, `["a", null, "b"]`},
		{"view", arrow.BinaryTypes.StringView, `["a text longer than twelve bytes", null, "c"]`},
		{"list", arrow.ListOf(arrow.BinaryTypes.BinaryView), `[["YQ==", "Yg=="], null, []]`},
		{"views", arrow.ListViewOf(arrow.PrimitiveTypes.Int16), `[[1, 2], null, []]`},
		{"fixed", arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int8), `[[1, 2], null, [3, 4]]`},
		{"struct", point, `[{"x": 1, "name": "a name longer than twelve bytes"}, null, {"x": null, "name": "b"}]`},
		{"map", arrow.MapOf(arrow.BinaryTypes.String, point), `[[{"key": "k", "value": {"x": 1, "name": "v"}}], null, []]`},
		{"dictionaries", arrow.ListOf(dictionary), `[["x", "y"], null, ["x"]]`},
		{"large", arrow.BinaryTypes.LargeString, `["a", null, "c"]`},
		{"bytes", &arrow.FixedSizeBinaryType{ByteWidth: 3}, `["YWJj", null, "ZGVm"]`},
	} {
		column, _, err := array.FromJSON(memory.DefaultAllocator, c.of, strings.NewReader(c.values))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		fields = append(fields, arrow.Field{Name: c.name, Type: c.of, Nullable: true})
		columns = append(columns, column)
	}
	add := func(name string, column arrow.Array) {
		fields = append(fields, arrow.Field{Name: name, Type: column.DataType(), Nullable: true})
		columns = append(columns, column)
	}
	ends, _, _ := array.FromJSON(memory.DefaultAllocator, arrow.PrimitiveTypes.Int32, strings.NewReader(`[2, 3]`))
	add("runs", array.NewRunEndEncodedArray(ends, columns[3], 3, 0))
	codes, _, _ := array.FromJSON(memory.DefaultAllocator, arrow.PrimitiveTypes.Int8, strings.NewReader(`[0, 1, 0]`))
	offsets, _, _ := array.FromJSON(memory.DefaultAllocator, arrow.PrimitiveTypes.Int32, strings.NewReader(`[0, 0, 1]`))
	dense, err := array.NewDenseUnionFromArrays(codes, offsets, []arrow.Array{columns[1], columns[3]})
	if err != nil {
		t.Fatal(err)
	}
	add("dense", dense)
	sparse, err := array.NewSparseUnionFromArrays(codes, []arrow.Array{columns[1], columns[5]})
	if err != nil {
		t.Fatal(err)
	}
	add("sparse", sparse)
	add("last", columns[1])
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, 3)
}

func TestProjectionOfText(t *testing.T) {
	for name, data := range map[string]string{
		format.CSV:  "a,b,c\n1,x,2.5\n2,\"y\n\",3.5\n",
		format.JSON: `{"a":1,"b":{"x":[1,2]},"c":2.5} {"c":3.5,"b":null,"a":2}`,
	} {
		layout := inspect(t, name, objects("x", data))
		for batch, err := range lookup(t, name).Read(t.Context(), layout, 0, format.ReadOptions{Columns: []int{0, 2}}) {
			if err != nil {
				t.Fatal(err)
			}
			got := show(array.NewTableFromRecords(batch.Schema(), []arrow.RecordBatch{batch}))
			if want := "a int64: 1 2\nc float64: 2.5 3.5\n"; got != want {
				t.Errorf("%s: %s", name, cmp.Diff(want, got))
			}
		}
		if rows := sumOf(rowsRead(t, name, layout, format.ReadOptions{Columns: []int{}})); rows != 2 {
			t.Errorf("%s, without columns: %d rows", name, rows)
		}
	}
}

func TestWhatThereIsNotCannotBeRead(t *testing.T) {
	layout := inspect(t, format.CSV, objects("csv", "a,b\n1,2\n"))
	for want, opts := range map[string]format.ReadOptions{
		"there is no column 2: there are 2, from 0 on":                        {Columns: []int{0, 2}},
		"column 0 is asked for after column 1: expected ascending numbers":    {Columns: []int{1, 0}},
		"column -1 is asked for after column -1: expected ascending numbers":  {Columns: []int{-1}},
		"1.csv: there is no unit 1: there are 1, from 0 on":                   {Units: []int{1}},
		"1.csv: unit 0 is asked for after unit 0: expected ascending numbers": {Units: []int{0, 0}},
	} {
		var got error
		for _, err := range lookup(t, format.CSV).Read(t.Context(), layout, 0, opts) {
			got = err
		}
		if got == nil || got.Error() != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

// The check of rows holds for units as it does for whole objects.
func TestUnitThatChangesUnderneath(t *testing.T) {
	large := numbers(1, 600_000)
	cut := func(sizes ...int64) (batches []arrow.RecordBatch) {
		for _, n := range sizes {
			batches = append(batches, large.NewSlice(0, n))
		}
		return batches
	}
	parquet := func(sizes ...int64) string { return parquetOf(t, large.Schema(), cut(sizes...)...) }
	file := func(sizes ...int64) string { return fileOf(t, large.Schema(), cut(sizes...)) }
	for _, c := range []struct{ name, format, before, after, want string }{
		{"fewer rows", format.Parquet, parquet(10, 20), parquet(10, 19), "it has 29 rows, it had 30"},
		{"as many rows in other row groups", format.Parquet, parquet(10, 20), parquet(20, 10), "row group 1 is another"},
		{"as many rows in one row group", format.Parquet, parquet(10, 20), parquet(30), "it has other row groups"},
		{"other record batches", format.ArrowFile, file(600_000, 600_000), file(600_000), "it has other record batches"},
		{"fewer rows of a batch", format.ArrowFile, file(600_000, 600_000), file(600_000, 599_000), "it has 599000 rows, it had 600000"},
		{"more rows of a batch", format.ArrowFile, file(600_000, 599_000), file(600_000, 600_000), "it has more than the 599000 rows it had"},
	} {
		t.Run(c.name, func(t *testing.T) {
			layout := inspect(t, c.format, objects("x", c.before))
			layout.Parts[0].Object = shifting{layout.Parts[0].Object, objects("x", c.after)[0]}
			var last error
			for _, err := range lookup(t, c.format).Read(t.Context(), layout, 0, format.ReadOptions{Units: []int{1}}) {
				last = err
			}
			if want := "1.x has changed since it was listed: " + c.want; !errors.Is(last, source.ErrChanged) || last.Error() != want {
				t.Errorf("got %v, want %s", last, want)
			}
		})
	}
}
