package format_test

import (
	"bytes"
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
		// Twice what the quota allows small objects: once to inspect, once to read.
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 512<<20 {
			t.Errorf("%d bytes were allocated for %d", after.TotalAlloc-before.TotalAlloc, len(data))
		}
	}()
	table, err := read(t.Context(), lookup(t, name), objects("x", string(data)), 3)
	if err != nil {
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
		return
	}
	defer table.Release()
	for i := range int(table.NumCols()) {
		for _, chunk := range table.Column(i).Data().Chunks() {
			// arrow-go wants a buffer of nulls, which its own reader does not make, and text below nulls to be text.
			if err := array.ValidateFull(chunk); err != nil && !strings.Contains(err.Error(), "buffers for null") && !strings.Contains(err.Error(), "valid utf8") {
				t.Errorf("column %d: %v", i, err)
			}
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
		layout, err := lookup(t, format.CSV).Inspect(t.Context(), objects("x", string(data)))
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
	for _, seed := range []string{
		streamOf(f, batch.Schema(), []arrow.RecordBatch{batch}),
		streamOf(f, batch.Schema(), []arrow.RecordBatch{batch}, ipc.WithZstd()),
		fileOf(f, batch.Schema(), []arrow.RecordBatch{batch}),
		fileOf(f, batch.Schema(), []arrow.RecordBatch{batch}, ipc.WithLZ4()),
		streamOf(f, schema, batches),
		testdata(f, "dictionary-deltas.arrow"),
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
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzz(t, format.Parquet, data) })
}
