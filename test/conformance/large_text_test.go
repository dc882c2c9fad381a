package conformance

import (
	"path/filepath"
	"testing"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// TestLargeText serves 2.2 GB of text in one column, half of the time in one record batch, which takes as much memory. The server is one without
// the race detector, which would note each access to them in four times as much.
func TestLargeText(t *testing.T) {
	dir := t.TempDir()
	python(t, "checks/large_text_write.py", dir)
	manifest := filepath.Join(dir, "server.yaml")
	write(t, manifest, serverYAML("large", "  - {name: batch, source: {volume: {claimName: v, path: text.arrow}}}\n  - {name: group, source: {volume: {claimName: v, path: text.parquet}}}\n"))
	s := startPlain(t, []string{"GOMEMLIMIT=2600MiB"}, // as a pod with a limit has it: a record batch, and no garbage of its size
		"-f", manifest, "--volume", "v="+dir)
	eventually(t, func() error { return everyDataset(t, s, flightruntime.DatasetReady) })
	pyarrow(t, "large_text", s.location)
}
