package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// TestParquetFilesOfOurs has pyarrow read the Parquet files that the runtime writes: types, values, metadata and statistics.
func TestParquetFilesOfOurs(t *testing.T) {
	dir := t.TempDir()
	python(t, "checks/parquet_columns.py", "write", dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.arrow"))
	if err != nil || len(files) < 5 {
		t.Fatalf("expected the files that parquet_columns.py makes, got %v: %v", files, err)
	}
	for _, f := range files {
		asParquet(t, f)
	}
	python(t, "checks/parquet_columns.py", "check", dir)
}

// asParquet writes the batches of an Arrow file as Parquet, beside it.
func asParquet(t *testing.T, path string) {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	batches, err := ipc.NewFileReader(in)
	if err != nil {
		t.Fatal(err)
	}
	defer batches.Close()
	out, err := os.Create(strings.TrimSuffix(path, ".arrow") + ".parquet")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := format.NewWriter(format.Parquet, out, batches.Schema())
	if err != nil {
		t.Fatal(err)
	}
	for i := range batches.NumRecords() {
		batch, err := batches.RecordBatch(i)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
