package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/datasets"
)

func get(handler http.Handler) (code int, body string) {
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	return answer.Code, answer.Body.String()
}

func TestReadiness(t *testing.T) {
	loading := &readiness{}
	if code, body := get(loading); code != http.StatusServiceUnavailable || !strings.Contains(body, "first time") {
		t.Errorf("before the datasets are read: %d %s", code, body)
	}
	c := catalog.New(slog.New(slog.DiscardHandler))
	defer c.Close()
	c.Apply([]config.Dataset{{Name: "gone", Format: "CSV", Missing: "create it"}})
	ready := newReadiness(t.Context(), c, nil)
	for code, _ := get(ready); code != http.StatusOK; code, _ = get(ready) {
		select { // one dataset that cannot be read keeps nobody from the others
		case <-t.Context().Done():
			t.Fatal("never ready")
		case <-time.After(time.Millisecond):
		}
	}
	ready.drain()
	if code, body := get(ready); code != http.StatusServiceUnavailable || !strings.Contains(body, "draining") {
		t.Errorf("while draining: %d %s", code, body)
	}
}

func TestServeHTTPTellsThatItsAddressIsTaken(t *testing.T) {
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	address := taken.Listener.Addr().String()
	m := newMetrics(datasets.New(nil, func() int { return 0 }), catalog.New(slog.New(slog.DiscardHandler)))
	if err := serveHTTP(t.Context(), address, m, &readiness{}); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("serveHTTP returned %v, want an error that names %s", err, address)
	}
}

func TestServeHTTPEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := newMetrics(datasets.New(nil, func() int { return 0 }), catalog.New(slog.New(slog.DiscardHandler)))
	if err := serveHTTP(ctx, "127.0.0.1:0", m, &readiness{}); err != nil {
		t.Errorf("serveHTTP returned %v", err)
	}
}

// pipes is a listener of the servers' ends of pipes.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestHTTPClientsThatDoNothingAreSentAway(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: pod\r\n"
	for _, tt := range []struct {
		name, says string
		reads      bool
		want       time.Duration
	}{
		{"nothing is said", "", true, httpReadTimeout},
		{"the header does not end", request, true, httpReadTimeout},
		{"the body does not end", request + "Content-Length: 10\r\n\r\n123", true, httpReadTimeout},
		{"no second request comes", request + "\r\n", true, httpIdleTimeout},
		{"the answer is not read", request + "\r\n", false, httpWriteTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newHTTPServer("", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }))
				server.WriteTimeout = httpWriteTimeout
				ended := make(chan struct{})
				server.ConnState = func(_ net.Conn, s http.ConnState) {
					if s == http.StateClosed {
						close(ended)
					}
				}
				listener := make(pipes, 1)
				defer close(listener)
				go func() { _ = server.Serve(listener) }()
				ours, theirs := net.Pipe()
				defer ours.Close()
				begin := time.Now()
				listener <- theirs
				go func() {
					_, _ = io.WriteString(ours, tt.says)
					if tt.reads {
						_, _ = io.Copy(io.Discard, ours)
					}
				}()
				<-ended
				if took := time.Since(begin).Round(time.Second); took != tt.want {
					t.Errorf("the connection ended after %s, want %s", took, tt.want)
				}
			})
		})
	}
}

func TestMetricsTellOfCallsAndDatasets(t *testing.T) {
	c := catalog.New(slog.New(slog.DiscardHandler))
	defer c.Close()
	service := datasets.New(c, func() int { return 3 })
	service.Load(&config.Config{Limits: config.DefaultLimits(), Cache: &config.Cache{
		Memory: &config.MemoryCache{SizeLimit: 1 << 20}, Disk: &config.DiskCache{Missing: "create the claim", SizeLimit: 1 << 20},
	}, Datasets: []config.Dataset{
		{Name: "notes", Format: "CSV", Inline: &config.Inline{Data: "a\n1\n2\n"}, Cache: "Memory"},
		{Name: "gone", Format: "CSV", Missing: "create it"},
	}}, nil)
	if err := c.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := newMetrics(service, c)
	m.observe("DoGet", nil, time.Second)
	m.observe("DoGet", status.Error(codes.NotFound, "no such dataset"), time.Second)
	m.observe("DoGet", errors.New("broken"), time.Second)
	code, text := get(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	for _, want := range []string{
		`flight_active_calls 3`,
		`flight_dataset_rows{dataset="notes"} 2`,
		`flight_dataset_bytes{dataset="notes"} 6`,
		`flight_dataset_state{dataset="notes",state="Ready"} 1`,
		`flight_dataset_state{dataset="gone",state="Failed"} 1`,
		`flight_call_duration_seconds_count{code="OK",method="DoGet"} 1`,
		`flight_call_duration_seconds_count{code="NotFound",method="DoGet"} 1`,
		`flight_call_duration_seconds_count{code="Unknown",method="DoGet"} 1`,
		`flight_cache_usable{mode="Memory"} 1`,
		`flight_cache_usable{mode="Disk"} 0`,
		`flight_cache_limit_bytes{mode="Memory"} 1.048576e+06`,
		`flight_cache_bytes{mode="Memory"} `,
		`flight_cache_failures_total{mode="Memory"} 0`,
		`go_goroutines`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics have no %s", want)
		}
	}
	if strings.Contains(text, `flight_dataset_rows{dataset="gone"}`) {
		t.Error("a dataset that is not served has rows")
	}
}

func TestMetricsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	m := newMetrics(nil, nil)
	m.addTLS(nil)
	m.addServer(nil)
	all := make(chan *prometheus.Desc)
	go func() {
		defer close(all)
		m.registry.Describe(all)
	}()
	ours := 0
	for d := range all {
		name := regexp.MustCompile(`fqName: "(flight_\w+)"`).FindStringSubmatch(d.String())
		if name == nil {
			continue // Go's and the process's
		}
		if ours++; !bytes.Contains(page, []byte("`"+name[1]+"`")) {
			t.Errorf("docs/operations.md does not tell of %s", name[1])
		}
	}
	if ours < 20 {
		t.Errorf("there are %d metrics, of which some are missing here", ours)
	}
}

func TestMetricsTellOfConnections(t *testing.T) {
	m := newMetrics(datasets.New(nil, func() int { return 0 }), catalog.New(slog.New(slog.DiscardHandler)))
	server, err := flightruntime.NewServer("grpc://127.0.0.1:0", nil, flightruntime.ServerOptions{MaxConnections: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	m.addServer(server)
	server.Start()
	defer func() { _ = server.Shutdown(t.Context()) }()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", server.Location().Port()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	const greeting = "GET / HTTP/1.1\r\n\r\n......" // as long as HTTP/2's preface, and none
	first := dial()
	if _, err := first.Read(make([]byte, 1)); err != nil { // a server begins with its settings
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, dial()); err != nil { // it is closed
		t.Fatal(err)
	}
	if _, err := io.WriteString(first, greeting); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, first)
	wanted := []string{
		`flight_connections 0`,
		`flight_connections_limit 1`,
		`flight_connections_accepted_total 1`,
		`flight_connections_refused_total 1`,
		fmt.Sprint(`flight_received_bytes_total `, len(greeting)),
		`flight_sent_bytes_total `,
	}
	missing := func() (lines []string) {
		_, text := get(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
		for _, line := range wanted {
			if !strings.Contains(text, line) || strings.Contains(text, "flight_sent_bytes_total 0") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	for lines := missing(); len(lines) > 0; lines = missing() { // the client sees the end before the server has counted it
		select {
		case <-t.Context().Done():
			t.Fatalf("the metrics have no %q", lines)
		case <-time.After(time.Millisecond):
		}
	}
}
