package format_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

func TestLookup(t *testing.T) {
	for _, name := range format.Names() {
		if _, err := format.Lookup(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := format.Lookup("Avro")
	const want = `there is no format "Avro": expected one of Parquet, CSV, JSON, ArrowFile, ArrowStream`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNoObjects(t *testing.T) {
	for _, name := range format.Names() {
		if _, err := lookup(t, name).Inspect(t.Context(), nil, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFilesOfOneDatasetHaveTheSameColumns(t *testing.T) {
	field := func(name string, t arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: t, Nullable: true}
	}
	zone, fare := field("zone", arrow.BinaryTypes.String), field("fare", arrow.PrimitiveTypes.Float64)
	for _, c := range []struct {
		name string
		b    []arrow.Field
		want string // of a file with zone and fare before
	}{
		{"equal", []arrow.Field{zone, fare}, ""},
		{"equal but for metadata", []arrow.Field{zone, {Name: "fare", Type: fare.Type, Nullable: true, Metadata: arrow.NewMetadata([]string{"unit"}, []string{"EUR"})}}, ""},
		{"type", []arrow.Field{zone, field("fare", arrow.BinaryTypes.String)}, `2.arrows has column "fare": string, 1.arrows has "fare": double`},
		{"name", []arrow.Field{zone, field("price", arrow.PrimitiveTypes.Float64)}, `2.arrows has "price" as column 2, 1.arrows has "fare" there`},
		{"order", []arrow.Field{fare, zone}, `2.arrows has "fare" as column 1, 1.arrows has "zone" there`},
		{"more", []arrow.Field{zone, fare, field("tip", arrow.ListOf(arrow.PrimitiveTypes.Int8))}, `2.arrows has a column 3, "tip": list<item: int8>, and 1.arrows has only 2 columns`},
		{"fewer", []arrow.Field{zone}, `2.arrows has no column "fare" (it has 1 columns, 1.arrows has 2)`},
		{"nullability", []arrow.Field{zone, {Name: "fare", Type: fare.Type}}, `2.arrows has column "fare" not nullable, 1.arrows has it nullable`},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := objects("arrows", streamOf(t, arrow.NewSchema([]arrow.Field{zone, fare}, nil), nil), streamOf(t, arrow.NewSchema(c.b, nil), nil))
			layout, err := lookup(t, format.ArrowStream).Inspect(t.Context(), list, nil)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want == "" && layout.Schema.Field(1).HasMetadata():
				t.Error("the schema has the second file's metadata")
			case c.want != "" && err == nil:
				t.Error("no error")
			case c.want != "":
				if d := cmp.Diff("the files of one dataset must have the same columns, but "+c.want, err.Error()); d != "" {
					t.Errorf("message (-want +got):\n%s", d)
				}
			}
		})
	}
}

// shifting is an object whose bytes change without its version, as those of a file that is written in place may.
type shifting struct {
	source.Object
	now source.Object
}

func (s shifting) Open(ctx context.Context) (source.Reader, error) { return s.now.Open(ctx) }
func (s shifting) Size() int64                                     { return s.now.Size() }

func TestObjectThatChangesUnderneath(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	fewer := batch.NewSlice(0, 1)
	other := arrow.NewSchema([]arrow.Field{{Name: "q", Type: arrow.PrimitiveTypes.Int64}}, nil)
	for _, c := range []struct{ name, format, before, after, want string }{
		{"CSV value", format.CSV, "a,b\n1,2\n", "a,b\n1,x\n", `row 2, column "b": expected int64, got "x"`},
		{"CSV null", format.CSV, "a\nNA\n", "a\n7\n", `row 2, column "a": expected null, got "7"`},
		{"CSV width", format.CSV, "a,b\n1,2\n", "a,b\n1\n", `row 2: expected 2 columns, got 1: "1"`},
		{"CSV columns", format.CSV, "a,b\n1,2\n", "a\n1\n", "it has other columns"},
		{"CSV rows", format.CSV, "a\n1\n2\n", "a\n1\n", "it has 1 rows, it had 2"},
		{"JSON value", format.JSON, `{"a":1}`, `{"a":1.5}`, `record 1, /a: "1.5" is not of the column's type`},
		{"JSON kind", format.JSON, `{"a":[1]}`, `{"a":["x"]}`, `record 1, /a/0: expected a number, got a string`},
		{"JSON name", format.JSON, `{"a":1}`, `{"b":1}`, `record 1, /b: the name "b" is new, or comes twice`},
		{"JSON text", format.JSON, `{"a":1}`, `{"a":`, `the file ends in the middle of record 1: it is cut, or still being written`},
		{"JSON rows", format.JSON, `{"a":1}`, `{"a":1}{"a":2}`, "it has more than the 1 rows it had"},
		{"Arrow stream", format.ArrowStream, streamOf(t, batch.Schema(), nil), streamOf(t, other, nil), `it has "q" as column 1, the dataset has "n" there`},
		{"Arrow rows", format.ArrowStream, streamOf(t, batch.Schema(), []arrow.RecordBatch{batch}), streamOf(t, batch.Schema(), []arrow.RecordBatch{fewer}), "it has 1 rows, it had 3"},
		{"Parquet", format.Parquet, parquetOf(t, batch.Schema(), batch), parquetOf(t, other), `it has "q" as column 1, the dataset has "n" there`},
		{"Parquet rows", format.Parquet, parquetOf(t, batch.Schema(), batch), parquetOf(t, batch.Schema(), fewer), "it has 1 rows, it had 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := lookup(t, c.format)
			layout, err := f.Inspect(t.Context(), objects("x", c.before), nil)
			if err != nil {
				t.Fatal(err)
			}
			layout.Parts[0].Object = shifting{layout.Parts[0].Object, objects("x", c.after)[0]}
			var last error
			for _, err := range f.Read(t.Context(), layout, 0, format.ReadOptions{}) {
				last = err
			}
			if !errors.Is(last, source.ErrChanged) {
				t.Fatalf("got %v, want ErrChanged", last)
			}
			if d := cmp.Diff("1.x has changed since it was listed: "+c.want, last.Error()); d != "" {
				t.Errorf("message (-want +got):\n%s", d)
			}
		})
	}
}

// A consumer's panic is the consumer's: it must not be taken for a damaged file.
func TestPanicsOfTheConsumerPass(t *testing.T) {
	f := lookup(t, format.CSV)
	layout, err := f.Inspect(t.Context(), objects("csv", "a\n1\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if p := recover(); fmt.Sprint(p) != "mine" {
			t.Errorf("recovered %v", p)
		}
	}()
	for range f.Read(t.Context(), layout, 0, format.ReadOptions{}) {
		panic("mine")
	}
}
