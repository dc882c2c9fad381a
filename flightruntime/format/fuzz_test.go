package format_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// fuzz makes sure of what Format promises for whatever bytes: batches that hold together, as many rows as Inspect found, or an error that
// names the object and speaks of no Go internals. An unchanged object never reads as a changed one.
func fuzz(t *testing.T, name string, data []byte) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	defer func() {
		// What the quota allows small objects, once to inspect and once to read, for the whole and then for each of up to 8 columns.
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > (2+1+8)*256<<20 {
			t.Errorf("%d bytes were allocated for %d", after.TotalAlloc-before.TotalAlloc, len(data))
		}
	}()
	table, err := read(t.Context(), lookup(t, name), objects("x", string(data)), 3)
	fuzzPieces(t, name, data)
	if err != nil {
		checkError(t, name, err)
		return
	}
	defer table.Release()
	for i := range int(table.NumCols()) {
		checkColumns(t, table.Column(i).Data().Chunks())
	}
}

// checkError makes sure that an error is one for users.
func checkError(t *testing.T, name string, err error) {
	text := err.Error()
	damaged := strings.Contains(text, "damaged") // then there are rows, or columns, that are not what the file says
	if !strings.HasPrefix(text, "1.x: ") && !damaged && !errors.Is(err, source.ErrChanged) {
		t.Errorf("an error that does not name the file: %v", err)
	}
	for _, internal := range []string{"runtime error", "goroutine", "promise broken", "nil pointer", "interface conversion"} {
		if strings.Contains(text, internal) {
			t.Errorf("an error that users cannot read: %v", err)
		}
	}
	if textual := name == format.CSV || name == format.JSON; textual && errors.Is(err, source.ErrChanged) {
		t.Errorf("Read does not agree with Inspect: %v", err)
	}
}

// checkColumns makes sure that arrays hold together.
func checkColumns(t *testing.T, arrays []arrow.Array) {
	for i, a := range arrays {
		// arrow-go wants a buffer of nulls, which its own reader does not make, and text below nulls to be text.
		if err := array.ValidateFull(a); err != nil && !strings.Contains(err.Error(), "buffers for null") && !strings.Contains(err.Error(), "valid utf8") {
			t.Errorf("array %d: %v", i, err)
		}
	}
}

// fuzzPieces reads single columns of single units, the later ones only where the first is wanted, and asks for all statistics. What it does not read may be damaged in other ways, so that
// it need not fail where a whole read does; but it must hold to what it gives.
func fuzzPieces(t *testing.T, name string, data []byte) {
	f := lookup(t, name)
	layout, err := f.Inspect(t.Context(), objects("x", string(data)), nil)
	if err != nil {
		return
	}
	fields, units := layout.Schema.NumFields(), len(layout.Parts[0].Units)
	for c := range min(fields, 8) {
		opts := format.ReadOptions{Columns: []int{c}, MaxRows: 3, Keep: func(s format.Statistics) bool {
			for i := range fields {
				if c, ok := s.Column(i); ok && (c.Nulls < -1 || c.Nulls > s.Rows()) {
					t.Errorf("%d nulls in %d rows", c.Nulls, s.Rows())
				}
			}
			return true
		}}
		if units > 0 {
			opts.Units = []int{c % units}
		}
		if asked := 0; c > 0 { // every third batch is wanted
			opts.Columns, opts.By = []int{0, c}, []int{0}
			opts.Want = func(context.Context, arrow.RecordBatch) bool { asked++; return asked%3 == 0 }
		}
		for batch, err := range f.Read(t.Context(), layout, 0, opts) {
			if err != nil {
				checkError(t, name, err)
				break
			}
			checkColumns(t, batch.Columns())
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"a,b\n1,2\n", "a\n\"x\"\"y\"z\n\n\r\n\"", "a,b\r\n,\"\n\"\r\n", "a\n2020-01-01T00:00:00.5+01:30\n12:34\n0xF\n-1e5\nnan\n", "\xef\xbb\xbfa\n\xff\n", "a,b\n1\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzz(t, format.CSV, data)
		// What encoding/csv accepts without laziness is plain enough that there is but one way to read it.
		if bytes.ContainsAny(data, "\r") || bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
			return
		}
		r := csv.NewReader(bytes.NewReader(data))
		r.ReuseRecord = true
		rows := int64(-1)
		for {
			_, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return
			}
			rows++
		}
		layout, err := lookup(t, format.CSV).Inspect(t.Context(), objects("x", string(data)), nil)
		if err == nil && layout.Rows() != rows {
			t.Errorf("%d rows, encoding/csv has %d", layout.Rows(), rows)
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":1}{"a":2.5,"b":[{"c":"x"},null]}`, `[{"a":{"b":"2020-01-01"}},{"a":null}]`, `{"a":[[],[[1]]]}`, `{"\u0061":"\ud83d\ude00"}`, "\xef\xbb\xbf{}\n", `{"a":1e400}`, `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzz(t, format.JSON, data) })
}

func FuzzArrow(f *testing.F) {
	batch := table3(memory.DefaultAllocator)
	schema, batches := dictionaries(f)
	many := manyTypes(f)
	for _, seed := range []string{
		streamOf(f, batch.Schema(), []arrow.RecordBatch{batch}),
		streamOf(f, batch.Schema(), []arrow.RecordBatch{batch}, ipc.WithZstd()),
		fileOf(f, batch.Schema(), []arrow.RecordBatch{batch}),
		fileOf(f, batch.Schema(), []arrow.RecordBatch{batch}, ipc.WithLZ4()),
		streamOf(f, schema, batches),
		testdata(f, "dictionary-deltas.arrow"),
		fileOf(f, many.Schema(), []arrow.RecordBatch{many}, ipc.WithZstd()),
		streamOf(f, many.Schema(), []arrow.RecordBatch{many}),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzz(t, format.ArrowFile, data)
		fuzz(t, format.ArrowStream, data)
	})
}

func FuzzParquet(f *testing.F) {
	batch := table3(memory.DefaultAllocator)
	for _, seed := range []string{
		parquetOf(f, batch.Schema(), batch),
		parquetOf(f, batch.Schema(), batch.NewSlice(0, 1), batch.NewSlice(1, 3)),
		testdata(f, "arrow-types.parquet"),
		testdata(f, "restored-types.parquet"),
		testdata(f, "statistics.parquet"),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzz(t, format.Parquet, data)
		fuzzLettingGo(t, data)
	})
}

// fuzzLettingGo makes sure that two readers, who let go of their pages in turn, read what one does.
func fuzzLettingGo(t *testing.T, data []byte) {
	layout, err := lookup(t, format.Parquet).Inspect(t.Context(), objects("x", string(data)), nil)
	if err != nil {
		return
	}
	const most = 30 // batches: each may take a large page to be read again
	pages := format.NewPageBudget(0)
	alone := startReading(t, layout, format.ReadOptions{MaxRows: 3, Pages: enough()})
	a, b := startReading(t, layout, format.ReadOptions{MaxRows: 3, Pages: pages}), startReading(t, layout, format.ReadOptions{MaxRows: 3, Pages: pages})
	for i := 0; i < most && alone.step(); i++ {
		a.step()
		b.step()
	}
	if alone.ended {
		a.step()
		b.step()
	}
	for _, r := range []*reading{alone, a, b} {
		r.stop()
	}
	sameReading(t, "a", a, alone)
	sameReading(t, "b", b, alone)
	if held := pages.Stats().Held; held != 0 {
		t.Errorf("%d bytes are held after the end", held)
	}
}
