package format_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// marked is a batch with a column of each of some types, and one that marks a few stretches of rows.
func marked(t *testing.T, r *rand.Rand, rows int, types []arrow.DataType) arrow.RecordBatch {
	t.Helper()
	marks := array.NewInt64Builder(memory.DefaultAllocator)
	for left := rows; left > 0; {
		n := min(left, 1+r.IntN(rows/4))
		for i := range n {
			marks.Append(int64(i & 1 * r.IntN(2)))
		}
		left -= n
		for range min(left, rows/3) {
			marks.Append(0)
		}
		left -= min(left, rows/3)
	}
	fields, columns := []arrow.Field{{Name: "mark", Type: arrow.PrimitiveTypes.Int64}}, []arrow.Array{marks.NewArray()}
	for i, dt := range types {
		fields = append(fields, arrow.Field{Name: fmt.Sprintf("c%d", i), Type: dt, Nullable: i%3 > 0})
		columns = append(columns, randomColumn(t, r, dt, rows, i%3 > 0))
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, int64(rows))
}

func anyMarked(_ context.Context, batch arrow.RecordBatch) bool {
	for _, mark := range batch.Column(0).(*array.Int64).Int64Values() {
		if mark != 0 {
			return true
		}
	}
	return false
}

// showMarked are the rows that are marked, of all batches that come.
func showMarked(t *testing.T, layout *format.Layout, opts format.ReadOptions) (shown string, rows int64) {
	t.Helper()
	var b strings.Builder
	for batch, err := range lookup(t, format.Parquet).Read(t.Context(), layout, 0, opts) {
		if err != nil {
			t.Fatal(err)
		}
		rows += batch.NumRows()
		for row, mark := range batch.Column(0).(*array.Int64).Int64Values() {
			for _, c := range batch.Columns() {
				if mark != 0 {
					b.WriteString(value(c, row) + " ")
				}
			}
		}
	}
	return b.String(), rows
}

// Batches that are not wanted are left out, whole, and nothing else is, however columns are encoded that wait for them.
func TestParquetLeavesOutWhatIsNotWanted(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	fewer := 0
	for i := range 8 {
		shape, types := randomShape(r), flatTypes()
		if i%4 == 0 { // which pqarrow decodes, and where there is a dictionary, ours begins with
			shape.encoding, types = parquet.Encodings.DeltaBinaryPacked, []arrow.DataType{arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64}
		}
		batch := marked(t, r, 500+r.IntN(6000), types)
		layout := inspect(t, format.Parquet, objects("parquet", shape.write(t, batch)))
		maxRows := []int{0, 7, 100}[r.IntN(3)]
		want, all := showMarked(t, layout, format.ReadOptions{MaxRows: maxRows})
		got, rows := showMarked(t, layout, format.ReadOptions{MaxRows: maxRows, Want: anyMarked, By: []int{0}})
		if got != want {
			t.Fatalf("%+v: got\n%s\nwant\n%s", shape, got, want)
		}
		if rows < all {
			fewer++
		}
	}
	if fewer < 4 {
		t.Errorf("batches were left out of %d files only", fewer)
	}
}

// What is not wanted is not read: after the first batch, only the column that tells.
func TestParquetDoesNotReadWhatIsNotWanted(t *testing.T) {
	list, counters := counted(objects("x", binaryFormats(t)[format.Parquet]))
	layout := inspect(t, format.Parquet, list)
	read := func(want bool) int64 {
		counters[0].bytes.Store(0)
		opts := format.ReadOptions{Columns: []int{3, 7, 9}, Want: func(_ context.Context, batch arrow.RecordBatch) bool {
			if batch.NumCols() != 1 || batch.ColumnName(0) != "c7" {
				t.Errorf("asked of %s", batch.Schema())
			}
			return want
		}, By: []int{7}}
		rows := sumOf(rowsRead(t, format.Parquet, layout, opts))
		if want && rows != 120_000 || !want && rows != 0 {
			t.Errorf("wanted %t: %d rows", want, rows)
		}
		return counters[0].bytes.Load()
	}
	read(true) // and the footer
	// Of two columns, three of four row groups are not read.
	if all, none := read(true), read(false); none > all*6/10 {
		t.Errorf("%d bytes are read of what is not wanted, %d of what is", none, all)
	}
}

func TestColumnsThatTellAreAmongThoseRead(t *testing.T) {
	batch := numbers(3, 10)
	layout := inspect(t, format.Parquet, objects("parquet", parquetOf(t, batch.Schema(), batch)))
	for want, opts := range map[string]format.ReadOptions{
		"rows are wanted by column 1: expected one of those that are read, which are [0 2]": {Columns: []int{0, 2}, By: []int{1}},
		"there is no column 3: there are 3, from 0 on":                                      {By: []int{3}},
	} {
		opts.Want = anyMarked
		var got error
		for _, err := range lookup(t, format.Parquet).Read(t.Context(), layout, 0, opts) {
			got = err
		}
		if got == nil || got.Error() != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}
