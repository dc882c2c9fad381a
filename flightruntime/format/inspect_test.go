package format_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// equalLayouts makes sure that a reader cannot tell two layouts from each other.
func equalLayouts(t *testing.T, what string, got, want *format.Layout) {
	t.Helper()
	if !got.Schema.Equal(want.Schema) || !got.Schema.Metadata().Equal(want.Schema.Metadata()) {
		t.Errorf("%s: schema %s, want %s", what, got.Schema, want.Schema)
	}
	if len(got.Parts) != len(want.Parts) {
		t.Fatalf("%s: %d parts, want %d", what, len(got.Parts), len(want.Parts))
	}
	for i, p := range got.Parts {
		if w := want.Parts[i]; p.Object.Name() != w.Object.Name() || p.Rows != w.Rows || !cmp.Equal(p.Units, w.Units) {
			t.Errorf("%s: part %d is %s with %d rows in units %v, want %s with %d rows in units %v", what, i, p.Object.Name(), p.Rows, p.Units, w.Object.Name(), w.Rows, w.Units)
		}
	}
}

// filesOf are files of each format, each with another type or kind of values where the format infers types.
func filesOf(t *testing.T) map[string][]string {
	t.Helper()
	batch := table3(memory.DefaultAllocator)
	var parquet, file, stream []string
	for i := range 4 {
		metadata := arrow.NewMetadata([]string{"file"}, []string{fmt.Sprint(i)})
		schema := arrow.NewSchema(batch.Schema().Fields(), &metadata)
		b := batch.NewSlice(0, int64(i%3)+1)
		parquet = append(parquet, parquetOf(t, schema, recordOf(schema, b), recordOf(schema, b)))
		file = append(file, fileOf(t, schema, []arrow.RecordBatch{recordOf(schema, b)}))
		stream = append(stream, streamOf(t, schema, []arrow.RecordBatch{recordOf(schema, b)}))
	}
	return map[string][]string{
		format.Parquet:     parquet,
		format.ArrowFile:   file,
		format.ArrowStream: stream,
		format.CSV:         {"a,b\n1,\n", "a,b\n2.5,NA\n", "a,b\nx,2020-01-01\n", "a,b\n1,2020-01-01\n0,\n"},
		format.JSON:        {`{"a":1,"c":[]}`, `{"a":2.5,"b":"2020-01-01"}{"d":null}`, `{"b":"x","d":{"y":[true]}}`, `{"c":[{"e":null}]}{"é\n":1}`},
	}
}

func TestInspectReadsWhatIsNew(t *testing.T) {
	for name, texts := range filesOf(t) {
		f := lookup(t, name)
		list, counters := counted(objects("x", texts...))
		opened := func() (names []string) {
			for _, c := range counters {
				if c.opens.Swap(0) > 0 {
					names = append(names, c.Name())
				}
			}
			return names
		}
		layout, err := f.Inspect(t.Context(), list[:3], nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		opened()
		metadata := name == format.Parquet || name == format.ArrowFile || name == format.ArrowStream // which the first file gives
		for _, c := range []struct {
			what   string
			now    []source.Object
			opened []string
		}{
			{"nothing changed", list[:3], nil},
			{"one more at the end", list, []string{"4.x"}},
			{"one more in the middle", []source.Object{list[0], list[3], list[1], list[2]}, []string{"4.x"}},
			{"one less", []source.Object{list[0], list[2]}, nil},
			{"the first one removed", list[1:3], map[bool][]string{true: {"2.x"}}[metadata]},
			{"one more before the first", []source.Object{list[3], list[0], list[1], list[2]}, []string{"4.x"}},
			{"another version of one", []source.Object{list[0], version{list[1]}, list[2]}, []string{"2.x"}},
		} {
			got, err := f.Inspect(t.Context(), c.now, layout)
			if err != nil {
				t.Errorf("%s, %s: %v", name, c.what, err)
				continue
			}
			if d := cmp.Diff(c.opened, opened()); d != "" {
				t.Errorf("%s, %s: opened (-want +got):\n%s", name, c.what, d)
			}
			fresh, err := f.Inspect(t.Context(), c.now, nil)
			if err != nil {
				t.Fatal(err)
			}
			opened()
			equalLayouts(t, name+", "+c.what, got, fresh)
			again, err := f.Inspect(t.Context(), list, got)
			if err != nil {
				t.Fatal(err)
			}
			fresh, err = f.Inspect(t.Context(), list, nil)
			if err != nil {
				t.Fatal(err)
			}
			equalLayouts(t, name+", all files after "+c.what, again, fresh)
			opened()
		}
	}
}

// version is another version of an object.
type version struct{ source.Object }

func (v version) Version() string { return v.Object.Version() + " changed" }

// recordOf is a batch under a schema with other metadata.
func recordOf(schema *arrow.Schema, batch arrow.RecordBatch) arrow.RecordBatch {
	return array.NewRecordBatch(schema, batch.Columns(), batch.NumRows())
}

// What is known of a file counts no less than what is read of it.
func TestInspectComparesWhatItKnows(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	other := arrow.NewSchema([]arrow.Field{{Name: "q", Type: arrow.PrimitiveTypes.Int64}}, nil)
	for _, c := range []struct {
		format      string
		known, news string
		added, put  string // the error if the new file comes last, and if it comes first
	}{
		{
			format.Parquet, parquetOf(t, batch.Schema(), batch), parquetOf(t, other),
			`the files of one dataset must have the same columns, but 2.x has "q" as column 1, 1.x has "n" there`,
			`the files of one dataset must have the same columns, but 1.x has "n" as column 1, 2.x has "q" there`,
		},
		{
			format.CSV, "a,b\n1,2\n", "a,c\n1,2\n",
			`2.x: the files of one dataset must have the same header, but it has "c" as column 2, 1.x has "b" there`,
			`1.x: the files of one dataset must have the same header, but it has "b" as column 2, 2.x has "c" there`,
		},
		{
			format.JSON, `{"a":1} {"a":[]}`[:7], `{"b":1} {"a":[true]}`,
			`2.x: record 2, /a: expected a number as in record 1 of 1.x, got an array`,
			`1.x: record 1, /a: expected an array as in record 2 of 2.x, got a number`,
		},
	} {
		list := objects("x", c.known, c.news)
		layout := inspect(t, c.format, list[:1])
		for want, now := range map[string][]source.Object{c.added: list, c.put: {list[1], list[0]}} {
			_, err := lookup(t, c.format).Inspect(t.Context(), now, layout)
			if err == nil || err.Error() != want {
				t.Errorf("%s: got %v, want %s", c.format, err, want)
			}
		}
	}
}

// JSON whose columns are named by data is not remembered without bound: it is read again instead.
func TestInspectRemembersABoundedAmount(t *testing.T) {
	var texts []string
	for i := range 6 {
		texts = append(texts, fmt.Sprintf(`{"%s%d":1}`, strings.Repeat("n", 4<<20), i))
	}
	list, counters := counted(objects("json", texts...))
	layout := inspect(t, format.JSON, list)
	again, err := lookup(t, format.JSON).Inspect(t.Context(), list, layout)
	if err != nil {
		t.Fatal(err)
	}
	equalLayouts(t, "again", again, layout)
	var opens []int64
	for _, c := range counters {
		opens = append(opens, c.opens.Load())
	}
	if d := cmp.Diff([]int64{1, 1, 1, 2, 2, 2}, opens); d != "" {
		t.Errorf("opened (-want +got):\n%s", d)
	}
}
