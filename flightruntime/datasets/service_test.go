package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// served is a service behind a real server on loopback.
type served struct {
	*Service
	catalog  *catalog.Catalog
	client   *flightruntime.Client
	rpc      flight.FlightServiceClient
	location string
}

func serve(t testing.TB, middleware ...flightruntime.NamedServerMiddleware) *served {
	t.Helper()
	return serveFrom(t, catalog.New(slog.New(slog.DiscardHandler)), middleware...)
}

// serveFrom serves what a catalog has, which is closed with the test.
func serveFrom(t testing.TB, c *catalog.Catalog, middleware ...flightruntime.NamedServerMiddleware) *served {
	t.Helper()
	t.Cleanup(c.Close)
	var server *flightruntime.Server
	service := New(c, func() int { return server.ActiveCalls() })
	server, err := flightruntime.NewServer("grpc://127.0.0.1:0", service, flightruntime.ServerOptions{Logger: slog.New(slog.DiscardHandler), Middleware: middleware})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve() }()
	t.Cleanup(func() {
		ended, end := context.WithCancel(context.Background())
		end()
		_ = server.Shutdown(ended)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	client, err := flightruntime.Connect(server.Location().String(), flightruntime.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	conn, err := grpc.NewClient(strings.TrimPrefix(server.Location().String(), "grpc://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &served{Service: service, catalog: c, client: client, rpc: flight.NewFlightServiceClient(conn), location: server.Location().String()}
}

// load gives the service a configuration and waits until its datasets are read.
func (s *served) load(t testing.TB, raw string, datasets ...config.Dataset) (changed bool) {
	t.Helper()
	changed = s.Load(&config.Config{Limits: config.DefaultLimits(), Datasets: datasets}, []byte(raw))
	if err := s.catalog.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	return changed
}

func (s *served) health(t *testing.T) *flightruntime.Health {
	t.Helper()
	h, err := s.client.HealthCheck(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// get reads a dataset to its end.
func (s *served) get(ctx context.Context, ticket string) (messages int, err error) {
	stream, err := s.rpc.DoGet(ctx, &flight.Ticket{Ticket: []byte(ticket)})
	if err != nil {
		return 0, err
	}
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return messages, nil
		} else if err != nil {
			return messages, err
		}
		messages++
	}
}

// actOn runs an action and decodes its results.
func (s *served) actOn(ctx context.Context, action, body string) (names []string, err error) {
	for result, err := range s.client.DoAction(ctx, action, []byte(body)) {
		if err != nil {
			return names, err
		}
		var d flightruntime.DatasetHealth
		if err := json.Unmarshal(result, &d); err != nil {
			return names, err
		}
		names = append(names, d.Name+" "+string(d.State))
	}
	return names, nil
}

func inline(name, data string) config.Dataset {
	return config.Dataset{Name: name, Format: "CSV", Inline: &config.Inline{Data: data}}
}

var gone = config.Dataset{Name: "gone", Format: "CSV", Missing: "ConfigMap data/gone does not exist: create it"}

func TestAServiceWithoutAConfigurationDoesNotServe(t *testing.T) {
	s := serve(t)
	h := s.health(t)
	if h.Status != flightruntime.NotServing || h.ConfigHash != "" || h.Datasets == nil || h.Version == "" {
		t.Errorf("HealthCheck answers %+v", h)
	}
	if _, err := s.get(t.Context(), "notes"); status.Code(err) != codes.NotFound {
		t.Errorf("DoGet ended with %v, want NOT_FOUND", err)
	}
	s.Reject(errors.New("runtime.yaml: half a file"))
	if h := s.health(t); h.Status != flightruntime.NotServing || h.ConfigError != "runtime.yaml: half a file" {
		t.Errorf("after a configuration that breaks a rule, HealthCheck answers %+v", h)
	}
}

func TestHealthTellsHowEachDatasetFares(t *testing.T) {
	s := serve(t)
	s.load(t, "one", inline("notes", "a\n1\n2\n"), gone)
	h := s.health(t)
	if h.Status != flightruntime.Serving || h.ConfigHash != config.Hash([]byte("one")) || h.ConfigError != "" {
		t.Errorf("HealthCheck answers %+v", h)
	}
	if len(h.Datasets) != 2 {
		t.Fatalf("HealthCheck tells of %+v", h.Datasets)
	}
	if h.Datasets[1].SchemaFingerprint == "" || time.Since(h.Datasets[1].RefreshedAt) > time.Hour {
		t.Errorf("notes have the fingerprint %q of %s", h.Datasets[1].SchemaFingerprint, h.Datasets[1].RefreshedAt)
	}
	h.Datasets[1].SchemaFingerprint, h.Datasets[1].RefreshedAt = "", time.Time{}
	want := []flightruntime.DatasetHealth{
		{Name: "gone", State: flightruntime.DatasetFailed, Message: gone.Missing},
		{Name: "notes", State: flightruntime.DatasetReady, Rows: 2, Bytes: 6, Files: 1},
	}
	if diff := cmp.Diff(want, h.Datasets); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestHealthAsJSON holds the names that probes of other versions and languages read.
func TestHealthAsJSON(t *testing.T) {
	s := serve(t)
	s.load(t, "one", gone)
	for body, err := range s.client.DoAction(t.Context(), "HealthCheck", nil) {
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"status": "SERVING", "version": got["version"], "configHash": config.Hash([]byte("one")), "activeStreams": 0.0,
			"datasets": []any{map[string]any{"name": "gone", "state": "Failed", "rows": 0.0, "bytes": 0.0, "files": 0.0, "message": gone.Missing}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestLoadTellsWhetherTheConfigurationIsAnother(t *testing.T) {
	s := serve(t)
	if !s.load(t, "one", inline("notes", "a\n1\n")) {
		t.Error("the first configuration is none")
	}
	if s.load(t, "one", inline("notes", "a\n1\n")) {
		t.Error("the same configuration is another")
	}
	if !s.load(t, "two") {
		t.Error("another configuration is the same")
	}
	if h := s.health(t); len(h.Datasets) != 0 || h.ConfigHash != config.Hash([]byte("two")) {
		t.Errorf("HealthCheck answers %+v", h)
	}
}

func TestARejectedConfigurationLeavesTheOneBeforeInPlace(t *testing.T) {
	s := serve(t)
	s.load(t, "one", inline("notes", "a\n1\n"))
	s.Reject(errors.New("runtime.yaml: datasets[0].name: expected a label"))
	s.Reject(errors.New("runtime.yaml: half a file"))
	h := s.health(t)
	if h.Status != flightruntime.Serving || h.ConfigHash != config.Hash([]byte("one")) || h.ConfigError != "runtime.yaml: half a file" {
		t.Errorf("HealthCheck answers %+v", h)
	}
	if _, err := s.get(t.Context(), "notes"); err != nil {
		t.Errorf("DoGet ended with %v", err)
	}
	s.load(t, "one", inline("notes", "a\n1\n"))
	if h := s.health(t); h.ConfigError != "" {
		t.Errorf("after a good one, the error is still %q", h.ConfigError)
	}
}

func TestADrainingServiceDoesNotWantCallsButAnswersThem(t *testing.T) {
	s := serve(t)
	s.load(t, "one", inline("notes", "a\n1\n"))
	s.Drain()
	if h := s.health(t); h.Status != flightruntime.NotServing || h.ConfigHash == "" || len(h.Datasets) != 1 {
		t.Errorf("HealthCheck answers %+v", h)
	}
	if _, err := s.get(t.Context(), "notes"); err != nil {
		t.Errorf("DoGet ended with %v", err)
	}
}

func TestWhatCannotBeServedIsUnavailableWithTheReason(t *testing.T) {
	s := serve(t)
	s.load(t, "one", inline("notes", "a\n1\n"), gone)
	path := func(name string) *flight.FlightDescriptor {
		return &flight.FlightDescriptor{Type: flight.DescriptorPATH, Path: []string{name}}
	}
	_, infoErr := s.rpc.GetFlightInfo(t.Context(), path("gone"))
	_, schemaErr := s.rpc.GetSchema(t.Context(), path("gone"))
	_, getErr := s.get(t.Context(), "gone")
	for call, err := range map[string]error{"GetFlightInfo": infoErr, "GetSchema": schemaErr, "DoGet": getErr} {
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), gone.Missing) {
			t.Errorf("%s ended with %v, want UNAVAILABLE and %q", call, err, gone.Missing)
		}
	}
	stream, err := s.rpc.ListFlights(t.Context(), &flight.Criteria{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Recv()
	if err != nil || info.GetFlightDescriptor().GetPath()[0] != "notes" {
		t.Errorf("ListFlights begins with %v, %v, want notes", info, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("ListFlights goes on with %v, want its end", err)
	}
}

func TestWrongDescriptorsAreRefused(t *testing.T) {
	s := serve(t)
	s.load(t, "one", inline("notes", "a\n1\n"))
	for name, d := range map[string]*flight.FlightDescriptor{
		"nothing":         {},
		"an empty path":   {Type: flight.DescriptorPATH},
		"an unknown type": {Type: 7, Path: []string{"notes"}},
	} {
		if _, err := s.rpc.GetFlightInfo(t.Context(), d); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "a path of one part") {
			t.Errorf("%s ended with %v, want INVALID_ARGUMENT", name, err)
		}
	}
}

// A file that has changed before the first of it was sent is read as it is now, unless its columns have changed, which the client was told.
func TestAFileThatChangedIsServedAnew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "notes.csv")
	write := func(data string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path+".new", []byte(data), 0o600), os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	}
	write("a\n1\n")
	s := serve(t)
	s.load(t, "one", config.Dataset{Name: "notes", Format: "CSV", Files: &config.Files{Root: dir, Path: "notes.csv"}})
	write("a\n1\n2\n")
	if got, err := s.text(t, []byte("notes")); err != nil || got != "a \n1 \n2 " {
		t.Errorf("a reader gets %q, %v, want both rows", got, err)
	}
	if h := s.health(t); h.Datasets[0].Rows != 2 {
		t.Errorf("%d rows are served, want 2", h.Datasets[0].Rows)
	}
	write("b\n1\n")
	if _, err := s.get(t.Context(), "notes"); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "ask again") {
		t.Errorf("with other columns, DoGet ended with %v, want UNAVAILABLE that says to ask again", err)
	}
	names, err := s.actOn(t.Context(), "Refresh", "notes")
	if diff := cmp.Diff([]string{"notes Ready"}, names); diff != "" || err != nil {
		t.Errorf("Refresh: %v, -want +got:\n%s", err, diff)
	}
	if got, err := s.text(t, []byte("notes")); err != nil || got != "b \n1 " {
		t.Errorf("a reader gets %q, %v", got, err)
	}
}

func TestActionsOnDatasets(t *testing.T) {
	s := serve(t)
	s.load(t, "one", inline("notes", "a\n1\n"), gone)
	for _, tt := range []struct {
		action, body string
		want         []string
		code         codes.Code
		message      string
	}{
		{action: "Status", want: []string{"gone Failed", "notes Ready"}},
		{action: "Status", body: "gone", want: []string{"gone Failed"}},
		{action: "Status", body: "note", code: codes.NotFound, message: `did you mean "notes"?`},
		{action: "Refresh", want: []string{"gone Failed", "notes Ready"}},
		{action: "Refresh", body: "notes", want: []string{"notes Ready"}},
		{action: "Refresh", body: "note", code: codes.NotFound, message: `did you mean "notes"?`},
		{action: "refresh", code: codes.InvalidArgument, message: "HealthCheck, Status, Refresh"},
	} {
		t.Run(tt.action+" "+tt.body, func(t *testing.T) {
			got, err := s.actOn(t.Context(), tt.action, tt.body)
			if status.Code(err) != tt.code || (err != nil && !strings.Contains(err.Error(), tt.message)) {
				t.Fatalf("ended with %v, want %v and %q", err, tt.code, tt.message)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestActiveStreamsCountsTheOthers(t *testing.T) {
	s := serve(t)
	s.load(t, "one", inline("notes", "a\n"+strings.Repeat("1234567\n", 1<<20)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 2 { // two that do not read, and so do not end
		stream, err := s.rpc.DoGet(ctx, &flight.Ticket{Ticket: []byte("notes")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if h := s.health(t); h.ActiveStreams != 2 {
		t.Errorf("%d streams are active, want 2", h.ActiveStreams)
	}
	cancel()
	for s.health(t).ActiveStreams != 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("the cancelled streams are still counted")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestADatasetLargerThanALimitedMessageIsCut(t *testing.T) {
	s := serve(t)
	limits := config.DefaultLimits()
	limits.MaxMessageBytes = 64 << 10
	s.Load(&config.Config{Limits: limits, Datasets: []config.Dataset{inline("notes", "a\n"+strings.Repeat("1234567\n", 1<<16))}}, nil)
	if err := s.catalog.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	if messages, err := s.get(t.Context(), "notes"); err != nil || messages < 8 {
		t.Errorf("%d messages came, and %v, want 512 KiB in messages of 64 KiB", messages, err)
	}
}
