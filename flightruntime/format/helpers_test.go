package format_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// objects are texts as files named 1, 2 and so on with the given extension.
func objects(ext string, texts ...string) []source.Object {
	var out []source.Object
	for i, text := range texts {
		list, _ := source.NewInline(fmt.Sprintf("%d.%s", i+1, ext), []byte(text)).List(context.Background())
		out = append(out, list...)
	}
	return out
}

func lookup(t testing.TB, name string) format.Format {
	t.Helper()
	f, err := format.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// read inspects and reads all objects, and makes sure of what Format promises: the layout's very schema, the layout's number of rows, no
// memory left behind. The table is the caller's.
func read(ctx context.Context, f format.Format, list []source.Object, maxRows int) (arrow.Table, error) {
	layout, err := f.Inspect(ctx, list, nil)
	if err != nil {
		return nil, err
	}
	var kept []arrow.RecordBatch
	defer func() {
		for _, b := range kept {
			b.Release()
		}
	}()
	for part, p := range layout.Parts {
		var rows int64
		for batch, err := range f.Read(ctx, layout, part, format.ReadOptions{MaxRows: maxRows}) {
			if err != nil {
				return nil, err
			}
			if batch.Schema() != layout.Schema {
				return nil, fmt.Errorf("promise broken: a batch has schema %s, the layout has %s", batch.Schema(), layout.Schema)
			}
			rows += batch.NumRows()
			batch.Retain()
			kept = append(kept, batch)
		}
		if rows != p.Rows {
			return nil, fmt.Errorf("promise broken: %d rows read, %d in the layout", rows, p.Rows)
		}
	}
	return array.NewTableFromRecords(layout.Schema, kept), nil
}

// readPieces reads each column of each unit on its own, and puts together what it got. The table is the caller's.
func readPieces(ctx context.Context, f format.Format, layout *format.Layout, maxRows int) (arrow.Table, error) {
	columns := make([]arrow.Column, layout.Schema.NumFields())
	for c, field := range layout.Schema.Fields() {
		var chunks []arrow.Array
		schema, err := layout.Project([]int{c})
		if err != nil {
			return nil, err
		}
		for part, p := range layout.Parts {
			for unit, u := range p.Units {
				opts := format.ReadOptions{MaxRows: maxRows, Columns: []int{c}, Units: []int{unit}}
				var rows int64
				for batch, err := range f.Read(ctx, layout, part, opts) {
					if err != nil {
						return nil, err
					}
					if !batch.Schema().Equal(schema) {
						return nil, fmt.Errorf("promise broken: a batch has schema %s, the projected layout has %s", batch.Schema(), schema)
					}
					rows += batch.NumRows()
					batch.Column(0).Retain()
					chunks = append(chunks, batch.Column(0))
				}
				if rows != u.Rows {
					return nil, fmt.Errorf("promise broken: unit %d has %d rows, %d in the layout", unit, rows, u.Rows)
				}
			}
		}
		chunked := arrow.NewChunked(field.Type, chunks)
		columns[c] = *arrow.NewColumn(field, chunked)
		chunked.Release()
		for _, a := range chunks {
			a.Release()
		}
	}
	return array.NewTable(layout.Schema, columns, layout.Rows()), nil
}

// show is a table as text: a line for each column, with its type and all its values.
func show(table arrow.Table) string {
	var b strings.Builder
	for i, f := range table.Schema().Fields() {
		var values []string
		for _, chunk := range table.Column(i).Data().Chunks() {
			for row := range chunk.Len() {
				values = append(values, value(chunk, row))
			}
		}
		fmt.Fprintf(&b, "%s %s: %s\n", f.Name, f.Type, strings.Join(values, " "))
	}
	return b.String()
}

func value(a arrow.Array, row int) string {
	if s, ok := a.(array.StringLike); ok && a.IsValid(row) {
		return fmt.Sprintf("%q", s.Value(row))
	}
	return a.ValueStr(row)
}

// readAll reads with several sizes of batches, and piece by piece, which must not matter, and shows the table, or "error: " and the message.
func readAll(t *testing.T, name string, list []source.Object) string {
	t.Helper()
	var got string
	for i, maxRows := range []int{0, 1, 2} {
		table, err := read(t.Context(), lookup(t, name), list, maxRows)
		var shown string
		if err != nil {
			shown = "error: " + err.Error()
		} else {
			shown = show(table)
			table.Release()
		}
		if i > 0 && shown != got {
			t.Errorf("with batches of %d rows:\n%s\nwith large ones:\n%s", maxRows, shown, got)
		}
		got = shown
		if err != nil {
			continue
		}
		layout, err := lookup(t, name).Inspect(t.Context(), list, nil)
		if err != nil {
			t.Fatal(err)
		}
		pieces, err := readPieces(t.Context(), lookup(t, name), layout, maxRows)
		if err != nil {
			t.Errorf("piece by piece, with batches of %d rows: %v", maxRows, err)
			continue
		}
		if shown := show(pieces); shown != got {
			t.Errorf("piece by piece, with batches of %d rows:\n%s\nas a whole:\n%s", maxRows, shown, got)
		}
		pieces.Release()
	}
	return got
}

// leakless reads all parts with an allocator that must get everything back, however early the reading ends.
func leakless(t *testing.T, name string, list []source.Object) {
	t.Helper()
	f := lookup(t, name)
	layout, err := f.Inspect(t.Context(), list, nil)
	if err != nil {
		t.Fatal(err)
	}
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	for _, batches := range []int{0, 1, 1 << 30} {
		left := batches
		for _, err := range f.Read(t.Context(), layout, 0, format.ReadOptions{Allocator: mem, MaxRows: 2}) {
			if err != nil {
				t.Fatal(err)
			}
			if left--; left < 0 {
				break
			}
		}
		mem.AssertSize(t, 0)
	}
}

// endsWhenCancelled makes sure that Inspect and Read heed a context that ends before or between batches.
func endsWhenCancelled(t *testing.T, name string, list []source.Object) {
	t.Helper()
	f := lookup(t, name)
	layout, err := f.Inspect(t.Context(), list, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	batches := 0
	for _, err := range f.Read(ctx, layout, 0, format.ReadOptions{MaxRows: 1}) {
		if last = err; err == nil {
			batches++
			cancel()
		}
	}
	if batches != 1 || !errors.Is(last, context.Canceled) {
		t.Errorf("Read: %d batches, then %v", batches, last)
	}
	if _, err := f.Inspect(ctx, list, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Inspect: %v", err)
	}
}

func testdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// table3 is a table of three rows with a null, a string, a list and a struct.
func table3(mem memory.Allocator) arrow.RecordBatch {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "l", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32), Nullable: true},
		{Name: "p", Type: arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Float64, Nullable: true}), Nullable: true},
	}, nil)
	batch, _, err := array.RecordFromJSON(mem, schema, strings.NewReader(
		`[{"n":1,"s":"a","l":[1,2],"p":{"x":0.5}}, {"n":null,"s":"b","l":[],"p":null}, {"n":3,"s":null,"l":null,"p":{"x":null}}]`))
	if err != nil {
		panic(err)
	}
	return batch
}

const shown3 = `n int64: 1 (null) 3
s utf8: "a" "b" (null)
l list<item: int32, nullable>: [1,2] [] (null)
p struct<x: float64>: {"x":0.5} (null) {"x":null}
`

func streamOf(t testing.TB, schema *arrow.Schema, batches []arrow.RecordBatch, opts ...ipc.Option) string {
	t.Helper()
	var b bytes.Buffer
	w := ipc.NewWriter(&b, append(opts, ipc.WithSchema(schema))...)
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

func fileOf(t testing.TB, schema *arrow.Schema, batches []arrow.RecordBatch, opts ...ipc.Option) string {
	t.Helper()
	var b bytes.Buffer
	w, err := ipc.NewFileWriter(&b, append(opts, ipc.WithSchema(schema))...)
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

// parquetOf has a row group for each batch.
func parquetOf(t testing.TB, schema *arrow.Schema, batches ...arrow.RecordBatch) string {
	t.Helper()
	var b bytes.Buffer
	w := parquetWriter(t, schema, &b)
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

func parquetWriter(t testing.TB, schema *arrow.Schema, to io.Writer) *pqarrow.FileWriter {
	t.Helper()
	w, err := pqarrow.NewFileWriter(schema, to, nil, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// parquetAs is a Parquet file of a batch, written with these properties.
func parquetAs(t testing.TB, batch arrow.RecordBatch, props *parquet.WriterProperties, arrowProps pqarrow.ArrowWriterProperties) string {
	t.Helper()
	var b bytes.Buffer
	w, err := pqarrow.NewFileWriter(batch.Schema(), &b, props, arrowProps)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(batch); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
