package scan_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

// compile compiles a query that must be right.
func compile(t testing.TB, q scan.Query, schema *arrow.Schema) *scan.Plan {
	t.Helper()
	plan, err := scan.Compile(q, schema)
	if err != nil {
		t.Fatalf("%s: %v", q.Filter, err)
	}
	return plan
}

// input is the part of a batch that a plan has to be given. The caller releases it.
func input(plan *scan.Plan, batch arrow.RecordBatch) arrow.RecordBatch {
	var (
		fields  []arrow.Field
		columns []arrow.Array
	)
	for _, i := range plan.Columns() {
		fields = append(fields, batch.Schema().Field(i))
		columns = append(columns, batch.Column(i))
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, batch.NumRows())
}

// apply runs a query on one batch. The caller releases what comes out.
func apply(t testing.TB, mem memory.Allocator, q scan.Query, batch arrow.RecordBatch) arrow.RecordBatch {
	t.Helper()
	plan := compile(t, q, batch.Schema())
	in := input(plan, batch)
	defer in.Release()
	out, err := plan.Start(mem).Apply(context.Background(), in)
	if err != nil {
		t.Fatalf("%s: %v", q.Filter, err)
	}
	if !out.Schema().Equal(plan.Schema()) {
		t.Fatalf("%s: schema %s instead of %s", q.Filter, out.Schema(), plan.Schema())
	}
	return out
}

// numbered is a batch with one more column, row_number, that counts rows from 0.
func numbered(batch arrow.RecordBatch) arrow.RecordBatch {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	for i := range batch.NumRows() {
		b.Append(i)
	}
	numbers := b.NewArray()
	defer numbers.Release()
	fields := append([]arrow.Field{{Name: "row_number", Type: arrow.PrimitiveTypes.Int64}}, batch.Schema().Fields()...)
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), append([]arrow.Array{numbers}, batch.Columns()...), batch.NumRows())
}

// verdicts is what a filter says of each row of a numbered batch: T for true, F for false, N for null. It asks three times, for the rows that
// match the filter, those that match its negation, and those for which it is null; every row must be in exactly one answer.
func verdicts(t testing.TB, filter string, batch arrow.RecordBatch) string {
	t.Helper()
	out := []byte(strings.Repeat("?", int(batch.NumRows())))
	for _, ask := range []struct {
		filter string
		letter byte
	}{
		{filter, 'T'},
		{"!(" + filter + ")", 'F'},
		{"(" + filter + ") == null", 'N'},
	} {
		matched := apply(t, nil, scan.Query{Columns: []string{"row_number"}, Filter: ask.filter}, batch)
		for _, row := range matched.Column(0).(*array.Int64).Int64Values() {
			if out[row] != '?' {
				t.Fatalf("%s: row %d is %c and %c", filter, row, out[row], ask.letter)
			}
			out[row] = ask.letter
		}
		matched.Release()
	}
	return string(out)
}

// fromJSON is a batch of the given fields.
func fromJSON(t testing.TB, fields []arrow.Field, rows string) arrow.RecordBatch {
	t.Helper()
	batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// arrayOf is an array of a type, from JSON.
func arrayOf(t testing.TB, typ arrow.DataType, values string) arrow.Array {
	t.Helper()
	a, _, err := array.FromJSON(memory.DefaultAllocator, typ, strings.NewReader(values))
	if err != nil {
		t.Fatalf("%s: %v", typ, err)
	}
	return a
}

// oneColumn is a numbered batch with the given array as column x.
func oneColumn(x arrow.Array) arrow.RecordBatch {
	fields := []arrow.Field{{Name: "x", Type: x.DataType(), Nullable: true}}
	return numbered(array.NewRecordBatch(arrow.NewSchema(fields, nil), []arrow.Array{x}, int64(x.Len())))
}

func nullable(name string, typ arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: typ, Nullable: true}
}

// show is a batch as text.
func show(batch arrow.RecordBatch) string {
	var b strings.Builder
	for i, f := range batch.Schema().Fields() {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, batch.Column(i))
	}
	return b.String()
}
