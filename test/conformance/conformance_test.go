// Package conformance has pyarrow judge the runtime: tests start the real flightruntime command, or a server of package flightserver on
// the library, and let Python's client, in checks/, call it and compare what it gets with what pyarrow itself makes of it.
package conformance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// binary is the flightruntime command, built with the race detector when the first test asks for it.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "flightruntime")
	if out, err := exec.Command("go", "build", "-race", "-o", path, "../../cmd/flightruntime").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build flightruntime: %w\n%s", err, out)
	}
	return path, nil
})

// plainBinary is the command without the race detector, whose shadow memory would hide what a server takes.
var plainBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "flightruntime-plain")
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/flightruntime").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build flightruntime: %w\n%s", err, out)
	}
	return path, nil
})

// scratch is a folder for as long as the tests run.
var scratch string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "conformance-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		scratch = dir
		return m.Run()
	}())
}

// logBuffer is what a server logs, which may be read while the server runs.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// server is a flightruntime command that runs.
type server struct {
	location string
	tls      *tls.Config // of our own clients
	cmd      *exec.Cmd
	log      *logBuffer
	exited   chan error
}

// start runs `flightruntime serve` at a free port and waits for the line that tells which.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return startBinary(t, path, nil, args...)
}

// startPlain is start without the race detector, and with more environment.
func startPlain(t *testing.T, env []string, args ...string) *server {
	t.Helper()
	path, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	return startBinary(t, path, env, args...)
}

func startBinary(t *testing.T, path string, env []string, args ...string) *server {
	t.Helper()
	s := &server{log: &logBuffer{}, exited: make(chan error, 1)}
	s.cmd = exec.Command(path, append([]string{"serve", "--listen", "grpc://127.0.0.1:0"}, args...)...)
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stderr = s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	go func() {
		s.exited <- s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("log of the server:\n%s", s.log)
		}
	})
	location, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		<-s.exited
		t.Fatalf("expected the line \"listening on LOCATION\", got %q: %v\n%s", line, err, s.log)
	}
	s.location = location
	return s
}

// stop ends the server as Kubernetes would, so that it can clean up after itself.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
	}
}

// client is a Go client of the server.
func (s *server) client(t *testing.T) *flightruntime.Client {
	t.Helper()
	c, err := flightruntime.Connect(s.location, flightruntime.ClientOptions{TLS: s.tls})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// dataset waits until a dataset is in a state, and returns how it then fares.
func (s *server) dataset(t *testing.T, name string, state flightruntime.DatasetState) flightruntime.DatasetHealth {
	t.Helper()
	c := s.client(t)
	var last flightruntime.DatasetHealth
	eventually(t, func() error {
		h, err := c.HealthCheck(t.Context())
		if err != nil {
			return err
		}
		for _, d := range h.Datasets {
			if d.Name != name {
				continue
			}
			if last = d; d.State == state {
				return nil
			}
		}
		return fmt.Errorf("dataset %s: expected %s, got %+v", name, state, last)
	})
	return last
}

// eventually asks until there is no error, for up to 20 s.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// pyarrow runs the checks of checks/NAME.py against a location; each is a subtest. More arguments are the checks' own.
func pyarrow(t *testing.T, name, location string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../hack/pyarrow", append([]string{"checks/run.py", name, location}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("checks/%s.py: %v\n%s%s", name, err, out, &stderr)
	}
	checks := 0
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; checks++ {
		var result struct{ Name, Failure string }
		if err := decoder.Decode(&result); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("checks/%s.py: %v in %s", name, err, out)
		}
		check(t, result.Name, func(t *testing.T) {
			if result.Failure != "" {
				t.Error(result.Failure)
			}
		})
	}
	if checks == 0 {
		t.Fatalf("checks/%s.py has no check", name)
	}
}

const quickstart = "../../config/samples/quickstart.yaml"

func sampleData(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../config/samples/data")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestQuickstart(t *testing.T) {
	s := start(t, "-f", quickstart, "--volume", "data="+sampleData(t))
	eventually(t, func() error { return everyDataset(t, s, flightruntime.DatasetReady) })
	pyarrow(t, "quickstart", s.location, sampleData(t), quickstart)
}

// TestTypes serves what pyarrow writes: every type, in every binary format, without a cache and from each.
func TestTypes(t *testing.T) {
	dir := t.TempDir()
	python(t, "checks/types_write.py", dir)
	for _, mode := range []string{"None", "Memory", "Disk"} {
		t.Run(mode, func(t *testing.T) { checkTypes(t, dir, mode) })
	}
}

func checkTypes(t *testing.T, dir, mode string) {
	manifest := filepath.Join(t.TempDir(), "server.yaml")
	var datasets strings.Builder
	files, err := filepath.Glob(filepath.Join(dir, "*.*"))
	if err != nil || len(files) < 10 {
		t.Fatalf("expected the files that types_write.py makes, got %v: %v", files, err)
	}
	for _, file := range files {
		base := filepath.Base(file)
		fmt.Fprintf(&datasets, "  - {name: %s, cache: {mode: %s}, source: {volume: {claimName: v, path: %s}}}\n", strings.ReplaceAll(base, ".", "-"), mode, base)
	}
	write(t, manifest, serverYAML("types", datasets.String()))
	s := start(t, "-f", manifest, "--volume", "v="+dir)
	eventually(t, func() error { return everyDataset(t, s, flightruntime.DatasetReady) })
	pyarrow(t, "all_types", s.location, dir)
	if mode == "Disk" { // the first read fills it
		eventually(t, func() error { return everyDatasetCached(t, s) })
		t.Run("again", func(t *testing.T) { pyarrow(t, "all_types", s.location, dir) })
	}
}

// everyDatasetCached is an error that says which dataset is not in the cache.
func everyDatasetCached(t *testing.T, s *server) error {
	h, err := s.client(t).HealthCheck(t.Context())
	if err != nil {
		return err
	}
	for _, d := range h.Datasets {
		if d.CachedBytes == 0 {
			return fmt.Errorf("dataset %s is not in the cache: %+v", d.Name, d)
		}
	}
	return nil
}

// everyDataset is an error that says which dataset is not in a state.
func everyDataset(t *testing.T, s *server, state flightruntime.DatasetState) error {
	h, err := s.client(t).HealthCheck(t.Context())
	if err != nil {
		return err
	}
	for _, d := range h.Datasets {
		if d.State != state {
			return fmt.Errorf("dataset %s: expected %s, got %s: %s", d.Name, state, d.State, d.Message)
		}
	}
	return nil
}

// TestBadDatasets: what cannot be read is told of with its mend, and the rest is served.
func TestBadDatasets(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{
		"good.csv":        "a,b\n1,x\n2,y\n",
		"wide.csv":        "a,b\n1,x\n2,y,z\n",
		"garbage.parquet": "this is no Parquet file, whatever its name says",
		"garbage.arrow":   "nor is this an Arrow file",
		"broken.json":     "{\"a\": 1}\n{\"a\": \n",
		"one/a.csv":       "id,fare\n1,2.5\n",
		"one/b.csv":       "id,tip\n1,2.5\n",
	} {
		write(t, filepath.Join(dir, name), data)
	}
	manifest := filepath.Join(dir, "server.yaml")
	volume := func(name, path string) string {
		return fmt.Sprintf("  - {name: %s, source: {volume: {claimName: v, path: %q}}}\n", name, path)
	}
	write(t, manifest, serverYAML("bad", volume("good", "good.csv")+volume("wide", "wide.csv")+volume("garbage-parquet", "garbage.parquet")+
		volume("garbage-arrow", "garbage.arrow")+volume("broken-json", "broken.json")+volume("differing", "one/*.csv")+
		volume("empty-glob", "none/**/*.parquet")+volume("missing", "missing.csv")+
		"  - {name: no-map, format: CSV, source: {configMap: {name: absent, key: k}}}\n"))
	s := start(t, "-f", manifest, "--volume", "v="+dir)
	s.dataset(t, "good", flightruntime.DatasetReady)
	for name, wants := range map[string][]string{
		"wide":            {"wide.csv", "row 3", "expected 2 columns, got 3"},
		"garbage-parquet": {"garbage.parquet", "Parquet"},
		"garbage-arrow":   {"garbage.arrow", "Arrow"},
		"broken-json":     {"broken.json"},
		"differing":       {"one/a.csv", "one/b.csv", "fare", "tip"},
		"empty-glob":      {"none/**/*.parquet", "no file"},
		"missing":         {"missing.csv"},
		"no-map":          {"ConfigMap", "absent", "create it"},
	} {
		message := s.dataset(t, name, flightruntime.DatasetFailed).Message
		for _, want := range wants {
			if !strings.Contains(message, want) {
				t.Errorf("dataset %s: expected a message with %q, got %q", name, want, message)
			}
		}
		if strings.Contains(message, "runtime error") {
			t.Errorf("dataset %s: the message shows the text of Go's runtime: %q", name, message)
		}
	}
	pyarrow(t, "bad_datasets", s.location)
}

// TestEdit: an edit of the manifest is served by the same process, a broken one leaves the last good version in place.
func TestEdit(t *testing.T) {
	dir := t.TempDir()
	manifest := filepath.Join(dir, "server.yaml")
	inline := func(name, data string) string {
		return fmt.Sprintf("  - {name: %s, format: CSV, source: {inline: {data: %q}}}\n", name, data)
	}
	write(t, manifest, serverYAML("edit", inline("a", "x\n1\n")+inline("b", "y\n1\n")))
	s := start(t, "-f", manifest)
	s.dataset(t, "a", flightruntime.DatasetReady)

	write(t, manifest, serverYAML("edit", inline("a", "x\n1\n2\n3\n")+inline("c", "z\n1\n")))
	s.dataset(t, "c", flightruntime.DatasetReady)
	if a := s.dataset(t, "a", flightruntime.DatasetReady); a.Rows != 3 {
		t.Errorf("expected the 3 rows of the edit, got %d", a.Rows)
	}

	write(t, manifest, serverYAML("edit", inline("a", "x\n1,2\n")+inline("c", "z\n1\n")))
	if a := s.dataset(t, "a", flightruntime.DatasetDegraded); a.Rows != 3 || !strings.Contains(a.Message, "expected 1 column") {
		t.Errorf("expected the 3 rows of before and a message with what is wrong, got %+v", a)
	}

	good, err := s.client(t).HealthCheck(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	write(t, manifest, serverYAML("edit", "  - {name: a, formt: CSV}\n"))
	eventually(t, func() error {
		h, err := s.client(t).HealthCheck(t.Context())
		if err != nil {
			return err
		}
		if h.ConfigHash != good.ConfigHash || !strings.Contains(h.ConfigError, "formt") {
			return fmt.Errorf("expected the configuration of before and an error that names the unknown field, got %+v", h)
		}
		return nil
	})
}

// TestRefresh: files that change are served after Refresh, and after the interval by themselves.
func TestRefresh(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	write(t, filepath.Join(data, "1.csv"), "a\n1\n")
	manifest := filepath.Join(dir, "server.yaml")
	write(t, manifest, serverYAML("refresh", `  - {name: asked, refresh: {interval: 0s}, source: {volume: {claimName: v, path: "*.csv"}}}
  - {name: interval, refresh: {interval: 1s}, source: {volume: {claimName: v, path: "*.csv"}}}
`))
	s := start(t, "-f", manifest, "--volume", "v="+data)
	s.dataset(t, "asked", flightruntime.DatasetReady)
	s.dataset(t, "interval", flightruntime.DatasetReady)
	write(t, filepath.Join(data, "2.csv"), "a\n2\n3\n")
	eventually(t, func() error {
		if d := s.dataset(t, "interval", flightruntime.DatasetReady); d.Rows != 3 {
			return fmt.Errorf("expected 3 rows after the interval, got %d", d.Rows)
		}
		return nil
	})
	if d := s.dataset(t, "asked", flightruntime.DatasetReady); d.Rows != 1 {
		t.Errorf("expected the 1 row of before, got %d", d.Rows)
	}
	pyarrow(t, "refresh", s.location)
}

// TestOverwrite: clients overwrite and delete where the dataset's access allows it.
func TestOverwrite(t *testing.T) {
	dir := t.TempDir()
	manifest := filepath.Join(dir, "server.yaml")
	write(t, manifest, serverYAML("overwrite", `  - {name: trips, access: ReadWrite, source: {volume: {claimName: v, path: "in/**/*.parquet"}}}
  - {name: numbers, access: ReadWrite, source: {volume: {claimName: v, path: "numbers/*.arrow"}}}
  - {name: log, access: Append, source: {volume: {claimName: v, path: "log/*.arrow"}}}
  - {name: notes, format: CSV, source: {inline: {data: "a\n1\n"}}}
`))
	s := start(t, "-f", manifest, "--volume", "v="+dir)
	s.dataset(t, "trips", flightruntime.DatasetReady)
	t.Run("overwrite", func(t *testing.T) { pyarrow(t, "overwrite", s.location) })
	t.Run("without_auth", func(t *testing.T) { pyarrow(t, "without_auth", s.location) })
}

// TestDrain: SIGTERM ends the process only after the running stream has ended, and readiness is gone first.
func TestDrain(t *testing.T) {
	dir := t.TempDir()
	python(t, "checks/large_write.py", dir)
	manifest := filepath.Join(dir, "server.yaml")
	write(t, manifest, serverYAML("drain", "  - {name: large, source: {volume: {claimName: v, path: large.arrow}}}\n"))
	http := freeAddress(t)
	s := start(t, "-f", manifest, "--volume", "v="+dir, "--http", http, "--drain-delay", "500ms")
	s.dataset(t, "large", flightruntime.DatasetReady)
	eventually(t, func() error { return status(t, "http://"+http+"/readyz", 200) })
	if err := status(t, "http://"+http+"/livez", 200); err != nil {
		t.Error(err)
	}
	if err := status(t, "http://"+http+"/metrics", 200); err != nil {
		t.Error(err)
	}
	expectServing(t, s.location)

	// The client reads one batch, says so, and reads the rest only when told to.
	reader := exec.Command("../../hack/pyarrow", "checks/slow_reader.py", s.location)
	stdin, err := reader.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := reader.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	if line, _ := lines.ReadString('\n'); line != "reading\n" {
		t.Fatalf("slow_reader.py: expected \"reading\", got %q", line)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return status(t, "http://"+http+"/readyz", 503) })
	if h, err := s.client(t).HealthCheck(t.Context()); err != nil || h.Status != flightruntime.NotServing {
		t.Errorf("expected NOT_SERVING while draining, got %+v, %v", h, err)
	}
	select {
	case err := <-s.exited:
		t.Fatalf("the server ended with a stream running: %v", err)
	case <-time.After(1500 * time.Millisecond):
	}
	if _, err := io.WriteString(stdin, "go on\n"); err != nil {
		t.Fatal(err)
	}
	if line, _ := lines.ReadString('\n'); line != "20000000 rows\n" {
		t.Errorf("slow_reader.py: expected all rows, got %q", line)
	}
	if err := reader.Wait(); err != nil {
		t.Errorf("slow_reader.py: %v", err)
	}
	select {
	case err := <-s.exited:
		if err != nil {
			t.Errorf("expected a clean exit, got %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the server did not end after its last stream")
	}
}

func expectServing(t *testing.T, location string) {
	t.Helper()
	conn, err := grpc.NewClient(strings.TrimPrefix(location, "grpc://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("gRPC health: expected SERVING, got %v, %v", answer, err)
	}
}

func status(t *testing.T, url string, want int) error {
	t.Helper()
	answer, err := http.Get(url) //nolint:gosec // a test's own server
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != want {
		return fmt.Errorf("%s: expected %d, got %d", url, want, answer.StatusCode)
	}
	return nil
}

// TestRefusals: a command line or manifest that cannot be served ends at once, saying the mend.
func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	manifest := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	tests := map[string]struct {
		args []string
		want string
	}{
		"nothing to serve":     {nil, "at least one of the flags in the group [config file] is required"},
		"no such file":         {[]string{"-f", filepath.Join(dir, "absent.yaml")}, "no such file"},
		"no FlightServer":      {[]string{"-f", manifest("none.yaml", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n")}, "expected a FlightServer"},
		"unknown field":        {[]string{"-f", manifest("field.yaml", serverYAML("a", "  - {name: a, frmat: CSV}\n"))}, "frmat"},
		"claim without folder": {[]string{"-f", manifest("claim.yaml", serverYAML("a", "  - {name: a, source: {volume: {claimName: v, path: a.csv}}}\n"))}, "--volume v=DIR"},
		"path leaves volume":   {[]string{"-f", manifest("leave.yaml", serverYAML("a", "  - {name: a, source: {volume: {claimName: v, path: ../a.csv}}}\n")), "--volume", "v=" + dir}, "spec.datasets[0].source.volume.path"},
		"no such folder":       {[]string{"-f", quickstart, "--volume", "data=" + filepath.Join(dir, "absent")}, "no such folder"},
		"unknown scheme":       {[]string{"-f", quickstart, "--volume", "data=" + dir, "--listen", "http://127.0.0.1:0"}, "unknown scheme"},
		"foreign runtime.yaml": {[]string{"--config", manifest("runtime.yaml", "kind: Pod\n")}, "expected apiVersion runtime.flightoperator.dev/v1alpha1"},
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command(path, append([]string{"serve"}, test.args...)...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.want) {
				t.Errorf("expected an error with %q, got %v: %s", test.want, err, out)
			}
		})
	}
}

func serverYAML(name, datasets string) string {
	return "apiVersion: flightoperator.dev/v1alpha1\nkind: FlightServer\nmetadata: {name: " + name + "}\nspec:\n  datasets:\n" + datasets
}

// write makes a file in one step, so that no reader sees half of it.
func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".partial", []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".partial", path); err != nil {
		t.Fatal(err)
	}
}

func python(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "../../hack/pyarrow", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
