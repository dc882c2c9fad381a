package scan_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

// Whether any row of a batch matches is told by the columns of the filter alone, where there are others besides.
func TestEarly(t *testing.T) {
	fields := []arrow.Field{
		nullable("a", arrow.PrimitiveTypes.Int64), nullable("b", arrow.BinaryTypes.String), nullable("c", arrow.PrimitiveTypes.Float64),
		nullable("s", arrow.StructOf(nullable("x", arrow.PrimitiveTypes.Int64))),
	}
	batch := fromJSON(t, fields, `[
		{"a": 1, "b": "x", "c": 1.5, "s": {"x": 7}},
		{"a": 2, "b": null, "c": 2.5, "s": null}
	]`)
	all, none := []int(nil), []string{}
	for _, c := range []struct {
		filter  string
		columns []string
		want    []int // nil: it saves nothing
		may     bool
	}{
		{"", nil, all, true},
		{"a == 2", nil, []int{0}, true},
		{"a == 3", nil, []int{0}, false},
		{"a == 2 && a > 0", nil, []int{0}, true},
		{"b == 'x' && a == 2", nil, []int{0, 1}, false},
		{"b == 'x' && a == 1", []string{"c", "a", "b"}, []int{0, 1}, true},
		{"b == null", []string{"c"}, []int{1}, true},
		{"b < 'a'", []string{"c"}, []int{1}, false},
		{"s.x == 7 || s.x == 8", nil, []int{3}, true},
		{"s.x == 8", nil, []int{3}, false},
		{"a == 1", []string{"a"}, all, true},
		{"a == 1", none, all, true},
		{"a == 1 && c > 1.0", []string{"c"}, all, true},
		{"true", nil, all, true},
		{"false", nil, all, true},
	} {
		t.Run(fmt.Sprintf("%s of %v", c.filter, c.columns), func(t *testing.T) {
			plan := compile(t, scan.Query{Columns: c.columns, Filter: c.filter}, batch.Schema())
			got, may := plan.Early()
			if !slices.Equal(got, c.want) || (may == nil) != (c.want == nil) {
				t.Fatalf("by columns %d, want %d", got, c.want)
			}
			if may == nil {
				return
			}
			first := columnsOf(batch, got)
			for range 2 {
				if may(t.Context(), first) != c.may {
					t.Errorf("%t, want %t", !c.may, c.may)
				}
			}
			if rows := apply(t, nil, scan.Query{Columns: c.columns, Filter: c.filter}, batch).NumRows(); (rows > 0) != c.may {
				t.Errorf("%d rows match", rows)
			}
			// Whoever asks wrongly, or has ended, is not told that no row matches: Run.Apply says what is wrong.
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if !may(ended, first) || !may(t.Context(), batch) {
				t.Error("it tells what it cannot know")
			}
		})
	}
}

// columnsOf are some columns of a batch.
func columnsOf(batch arrow.RecordBatch, columns []int) arrow.RecordBatch {
	fields := make([]arrow.Field, len(columns))
	arrays := make([]arrow.Array, len(columns))
	for i, c := range columns {
		fields[i], arrays[i] = batch.Schema().Field(c), batch.Column(c)
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), arrays, batch.NumRows())
}
