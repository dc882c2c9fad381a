package format_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// wideFile has a column of each type, and so many rows that several goroutines decode them.
func wideFile(t *testing.T, seed uint64, rows int) string {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3))
	var fields []arrow.Field
	var columns []arrow.Array
	for i, dt := range flatTypes() {
		fields = append(fields, arrow.Field{Name: fmt.Sprintf("c%d", i), Type: dt, Nullable: i%2 == 0})
		columns = append(columns, randomColumn(t, r, dt, rows, i%2 == 0))
	}
	shape := parquetShape{compress.Codecs.Uncompressed, parquet.DataPageV1, true, 2000, 20_000, int64(rows/3 + 1), parquet.Encodings.Plain}
	return shape.write(t, array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, int64(rows)))
}

// readUntil reads a file to its end, or to its error; an allocator of ours has all columns decoded in this goroutine.
func readUntil(t *testing.T, data string, mem memory.Allocator) (batches []arrow.RecordBatch, failed error) {
	t.Helper()
	layout, err := lookup(t, format.Parquet).Inspect(t.Context(), objects("parquet", data), nil)
	if err != nil {
		return nil, err
	}
	for batch, err := range lookup(t, format.Parquet).Read(t.Context(), layout, 0, format.ReadOptions{Allocator: mem}) {
		if err != nil {
			return batches, err
		}
		batch.Retain()
		batches = append(batches, batch)
	}
	return batches, nil
}

// What several goroutines decode is what one does.
func TestParquetColumnsDecodedSideBySide(t *testing.T) {
	data := wideFile(t, 1, 30_000)
	want, err := readUntil(t, data, memory.NewGoAllocator())
	if err != nil {
		t.Fatal(err)
	}
	got, err := readUntil(t, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d batches, want %d", len(got), len(want))
	}
	for i := range got {
		if !array.RecordEqual(got[i], want[i]) {
			t.Fatalf("batch %d is another", i)
		}
	}
}

// A damaged file ends after the same batch with the same error, whoever finds it.
func TestParquetErrorsSideBySide(t *testing.T) {
	data := []byte(wideFile(t, 2, 20_000))
	r := rand.New(rand.NewPCG(5, 6))
	failures := map[string]bool{}
	for range 16 {
		damaged := bytes.Clone(data)
		for range 4 { // several columns may be damaged
			damaged[len(data)/4+r.IntN(len(data)/2)] ^= byte(1 + r.IntN(255))
		}
		want, wantErr := readUntil(t, string(damaged), memory.NewGoAllocator())
		got, gotErr := readUntil(t, string(damaged), nil)
		if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || len(got) != len(want) {
			t.Errorf("%d batches and %v; alone, %d and %v", len(got), gotErr, len(want), wantErr)
		}
		failures[fmt.Sprint(gotErr)] = true
	}
	if len(failures) < 3 {
		t.Errorf("hardly any damage was found: %v", failures)
	}
}

// Whoever leaves while several goroutines decode has them end first.
func TestParquetCancelledSideBySide(t *testing.T) {
	data := wideFile(t, 3, 30_000)
	layout := inspect(t, format.Parquet, objects("parquet", data))
	for after := range 6 {
		ctx, cancel := context.WithCancel(t.Context())
		batches := 0
		var last error
		for _, err := range lookup(t, format.Parquet).Read(ctx, layout, 0, format.ReadOptions{}) {
			if last = err; batches == after {
				cancel()
			}
			batches++
		}
		cancel()
		if !errors.Is(last, context.Canceled) || batches != after+2 {
			t.Errorf("after %d batches came %d, then %v", after, batches-after, last)
		}
	}
}
