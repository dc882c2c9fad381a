package conformance

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	s := startPlain(t, "-f", manifest, "--volume", "v="+dir)
	eventually(t, func() error { return everyDataset(t, s, flightruntime.DatasetReady) })
	pyarrow(t, "large_text", s.location)
}

// startPlain is start of the command as it is released.
func startPlain(t *testing.T, args ...string) *server {
	t.Helper()
	plain := filepath.Join(t.TempDir(), "flightruntime")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", plain, "../../cmd/flightruntime").CombinedOutput(); err != nil {
		t.Fatalf("build flightruntime: %v\n%s", err, out)
	}
	s := &server{log: &bytes.Buffer{}, exited: make(chan error, 1)}
	s.cmd = exec.Command(plain, append([]string{"serve", "--listen", "grpc://127.0.0.1:0"}, args...)...)
	s.cmd.Env = append(os.Environ(), "GOMEMLIMIT=2600MiB") // as a pod with a limit has it: a record batch, and no garbage of its size
	s.cmd.Stderr = s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	go func() { s.exited <- s.cmd.Wait() }()
	t.Cleanup(s.stop)
	location, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		t.Fatalf("expected the line \"listening on LOCATION\", got %q: %v", line, err)
	}
	s.location = location
	return s
}
