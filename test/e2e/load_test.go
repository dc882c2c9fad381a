package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// load is a pyarrow client in a process of its own that keeps streams open and makes new connections; load.py says how.
type load struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
	stderr *bytes.Buffer
}

// loadReport is what came of it.
type loadReport struct {
	Seconds     float64
	Streams     int
	Batches     int
	Broken      []string
	Connections int
	Refused     []string
	// Checksums are those of the dataset that new connections read, each once.
	Checksums []string
}

func startLoad(t *testing.T, s server, caFile string, streams, connections int) *load {
	t.Helper()
	location := strings.Replace(s.location(t), "grpc://", "grpc+tls://", 1)
	cmd := exec.CommandContext(t.Context(), "hack/pyarrow", "test/e2e/load.py", location, s.host(), caFile, "numbers", strconv.Itoa(streams), strconv.Itoa(connections))
	cmd.Dir = repository
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	l := &load{cmd: cmd, stdin: stdin, stdout: bufio.NewReader(stdout), stderr: &bytes.Buffer{}}
	cmd.Stderr = l.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.stdout.ReadString('\n'); err != nil {
		t.Fatalf("the load does not start: %v\n%s", err, l.stderr)
	}
	return l
}

// end ends the load and tells what came of it.
func (l *load) end(t *testing.T) (r loadReport) {
	t.Helper()
	if err := l.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(l.stdout)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Wait(); err != nil {
		t.Fatalf("the load failed: %v\n%s", err, l.stderr)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %q\n%s", err, out, l.stderr)
	}
	return r
}
