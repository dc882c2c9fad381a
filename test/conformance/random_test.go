package conformance

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// TestRandomTables serves random tables in files that pyarrow writes in random ways, and has random ones put. CONFORMANCE_SEED makes others.
func TestRandomTables(t *testing.T) {
	seed := cmp.Or(os.Getenv("CONFORMANCE_SEED"), "1")
	dir := t.TempDir()
	python(t, "checks/random_write.py", dir, seed)
	for _, mode := range []string{"None", "Memory", "Disk"} {
		t.Run(mode, func(t *testing.T) { checkRandomTables(t, dir, seed, mode) })
	}
}

func checkRandomTables(t *testing.T, dir, seed, mode string) {
	files, err := filepath.Glob(filepath.Join(dir, "t*.*"))
	if err != nil || len(files) < 10 {
		t.Fatalf("expected the files that random_write.py makes, got %v: %v", files, err)
	}
	var datasets strings.Builder
	for _, file := range files {
		base := filepath.Base(file)
		fmt.Fprintf(&datasets, "  - {name: %s, cache: {mode: %s}, source: {volume: {claimName: v, path: %s}}}\n", strings.ReplaceAll(base, ".", "-"), mode, base)
	}
	for _, kind := range []string{"parquet", "arrow", "arrows"} {
		const entry = "  - {name: put-%[1]s, access: ReadWrite, cache: {mode: %[2]s}, source: {volume: {claimName: v, path: put-%[1]s/*.%[1]s}}}\n"
		fmt.Fprintf(&datasets, entry, kind, mode)
	}
	manifest := filepath.Join(t.TempDir(), "server.yaml")
	write(t, manifest, serverYAML("random", datasets.String()))
	s := start(t, "-f", manifest, "--volume", "v="+dir)
	for _, file := range files {
		s.dataset(t, strings.ReplaceAll(filepath.Base(file), ".", "-"), flightruntime.DatasetReady)
	}
	pyarrow(t, "random_datasets", s.location, dir, seed)
	if mode == "Disk" { // the first read has filled it
		t.Run("again", func(t *testing.T) { pyarrow(t, "random_datasets", s.location, dir, seed) })
	}
}
