package datasets

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// text reads what a ticket stands for: the columns' names, then a line a row.
func (s *served) text(t *testing.T, ticket []byte) (string, error) {
	t.Helper()
	r, err := s.client.DoGet(t.Context(), &flightruntime.Ticket{Ticket: ticket})
	if err != nil {
		return "", err
	}
	defer r.Cancel()
	schema, err := r.Schema()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, f := range schema.Fields() {
		b.WriteString(f.Name + " ")
	}
	for c, err := range r.Chunks() {
		if err != nil {
			return b.String(), err
		}
		for row := range int(c.Batch.NumRows()) {
			b.WriteString("\n")
			for _, column := range c.Batch.Columns() {
				b.WriteString(column.ValueStr(row) + " ")
			}
		}
	}
	return b.String(), nil
}

// rowGroups writes a Parquet file with a row group for each pair of numbers: the column a counts from the first to below the second.
func rowGroups(t *testing.T, path string, groups ...[2]int64) {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}, {Name: "b", Type: arrow.BinaryTypes.String}}, nil)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pqarrow.NewFileWriter(schema, f, parquet.NewWriterProperties(parquet.WithStats(true)), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		a, b := array.NewInt64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
		for i := g[0]; i < g[1]; i++ {
			a.Append(i)
			b.Append(fmt.Sprint("row ", i))
		}
		batch := array.NewRecordBatch(schema, []arrow.Array{a.NewArray(), b.NewArray()}, g[1]-g[0])
		if err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func files(name, format, dir, path string) config.Dataset {
	return config.Dataset{Name: name, Format: format, Files: &config.Files{Root: dir, Path: path}}
}

func TestQueries(t *testing.T) {
	dir := t.TempDir()
	rowGroups(t, filepath.Join(dir, "a.parquet"), [2]int64{0, 3}, [2]int64{3, 6})
	rowGroups(t, filepath.Join(dir, "b.parquet"), [2]int64{6, 9})
	s := serve(t)
	s.load(t, "one", files("trips", "Parquet", dir, "*.parquet"), inline("notes", "day,note\n1,x\n2,\n3,z\n"))
	for _, tt := range []struct {
		query string
		want  string
		rows  int64
	}{
		{`{"dataset": "trips", "columns": ["b"], "filter": "a >= 4 && a < 7"}`, "b \nrow 4 \nrow 5 \nrow 6 ", -1},
		{`{"dataset": "trips", "columns": ["a"], "limit": 4}`, "a \n0 \n1 \n2 \n3 ", 4},
		{`{"dataset": "trips", "columns": ["b", "a"], "filter": "a > 6"}`, "b a \nrow 7 7 \nrow 8 8 ", -1},
		{`{"dataset": "trips", "filter": "a > 100"}`, "a b ", -1},
		{`{"dataset": "trips", "limit": 0}`, "a b ", 0},
		{`{"dataset": "trips", "columns": ["a"], "filter": "a > 1", "limit": 2}`, "a \n2 \n3 ", -1},
		{`{"dataset": "notes", "filter": "note.endsWith('z') || day == 1", "columns": ["day"]}`, "day \n1 \n3 ", -1},
		{`{"dataset": "notes"}`, "day note \n1 x \n2  \n3 z ", 3},
	} {
		t.Run(tt.query, func(t *testing.T) {
			d := flightruntime.DescriptorForCommand([]byte(tt.query))
			info, err := s.client.GetFlightInfo(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			schema, err := s.client.GetSchema(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			if inInfo, err := flightruntime.SchemaOf(info.GetSchema()); err != nil || !inInfo.Equal(schema) {
				t.Errorf("the FlightInfo has the schema %v (%v), GetSchema gives %v", inInfo, err, schema)
			}
			if info.GetTotalRecords() != tt.rows {
				t.Errorf("the FlightInfo tells of %d rows, want %d", info.GetTotalRecords(), tt.rows)
			}
			polled, err := s.client.PollFlightInfo(t.Context(), d)
			if err != nil || polled.GetProgress() != 1 || polled.GetFlightDescriptor() != nil || len(polled.GetInfo().GetEndpoint()) != 1 {
				t.Errorf("PollFlightInfo gives %v, %v", polled, err)
			}
			for how, ticket := range map[string][]byte{"the endpoint's ticket": info.GetEndpoint()[0].GetTicket().GetTicket(), "the query as a ticket": []byte(tt.query)} {
				if got, err := s.text(t, ticket); err != nil || got != tt.want {
					t.Errorf("%s gives %q, %v, want %q", how, got, err, tt.want)
				}
			}
		})
	}
}

func TestWrongQueries(t *testing.T) {
	s := serve(t)
	s.load(t, "one", inline("notes", "day,note\n1,x\n"))
	for query, want := range map[string]string{
		`{"dataset": "note"}`:                                                   `did you mean "notes"?`,
		`{"dataset": "notes", "columns": ["dya"]}`:                              `did you mean "day"?`,
		`{"dataset": "notes", "filter": "day > 'x'"}`:                           "dataset notes",
		`{"dataset": "notes", "filter": "dya > 1"}`:                             "day",
		`{"dataset": "notes", "colums": []}`:                                    `did you mean "columns"?`,
		`{"dataset": "notes", "limit": -1}`:                                     "limit",
		`{"dataset": "notes"} {`:                                                "one JSON object",
		strings.Repeat("[", 1<<20):                                              "query",
		`{"dataset": "notes", "filter": "` + strings.Repeat("(", 10_000) + `"}`: "filter",
	} {
		_, err := s.client.GetFlightInfo(t.Context(), flightruntime.DescriptorForCommand([]byte(query)))
		if !errors.Is(err, flightruntime.ErrInvalid) && !errors.Is(err, flightruntime.ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s ended with %v, want %q", query, err, want)
		}
	}
}

func TestEndpointsTogetherAreTheDataset(t *testing.T) {
	dir := t.TempDir()
	rowGroups(t, filepath.Join(dir, "a.parquet"), [2]int64{0, 3}, [2]int64{3, 6})
	rowGroups(t, filepath.Join(dir, "b.parquet"), [2]int64{6, 9})
	s := serve(t)
	s.load(t, "one", files("trips", "Parquet", dir, "*.parquet"))
	snapshot, err := s.catalog.Snapshot("trips")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, r := range partition(snapshot.Layout, 1, maxEndpoints) { // as if each row group were worth a stream
		signed, err := ticket{ID: "q", Query: queryOf("trips"), Range: &r, Expires: time.Now().Add(time.Minute).Unix()}.sign(s.keys.Load())
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.text(t, signed)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, strings.Split(got, "\n")[1:]...)
	}
	whole, err := s.text(t, []byte("trips"))
	if diff := cmp.Diff(strings.Split(whole, "\n")[1:], rows); err != nil || diff != "" || len(rows) != 9 {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}

func TestATicketOfFilesThatHaveChangedSaysToAskAgain(t *testing.T) {
	dir := t.TempDir()
	rowGroups(t, filepath.Join(dir, "a.parquet"), [2]int64{0, 3})
	s := serve(t)
	s.load(t, "one", files("trips", "Parquet", dir, "*.parquet"))
	snapshot, err := s.catalog.Snapshot("trips")
	if err != nil {
		t.Fatal(err)
	}
	r := partition(snapshot.Layout, 1, 8)[0]
	signed, err := ticket{ID: "q", Query: queryOf("trips"), Range: &r, Expires: time.Now().Add(time.Minute).Unix()}.sign(s.keys.Load())
	if err != nil {
		t.Fatal(err)
	}
	refresh := func() {
		t.Helper()
		if _, err := s.actOn(t.Context(), "Refresh", "trips"); err != nil {
			t.Fatal(err)
		}
	}
	rowGroups(t, filepath.Join(dir, "b.parquet"), [2]int64{3, 6})
	refresh()
	if got, err := s.text(t, signed); err != nil || strings.Count(got, "\n") != 3 {
		t.Errorf("after an append, the ticket gives %q, %v, want its 3 rows", got, err)
	}
	rowGroups(t, filepath.Join(dir, "a.parquet.new"), [2]int64{0, 4})
	if err := os.Rename(filepath.Join(dir, "a.parquet.new"), filepath.Join(dir, "a.parquet")); err != nil {
		t.Fatal(err)
	}
	refresh()
	if _, err := s.text(t, signed); !errors.Is(err, flightruntime.ErrUnavailable) || !strings.Contains(err.Error(), "ask for the FlightInfo again") {
		t.Errorf("after a change, the ticket ends with %v", err)
	}
}

func TestAnyReplicaTakesATicket(t *testing.T) {
	keys, err := signing.Parse(signing.Generate())
	if err != nil {
		t.Fatal(err)
	}
	one, other, stranger := serve(t), serve(t), serve(t)
	for _, s := range []*served{one, other, stranger} {
		s.load(t, "one", inline("notes", "a\n1\n"))
	}
	one.SetKeys(keys)
	other.SetKeys(keys)
	info, err := one.client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("notes"))
	if err != nil {
		t.Fatal(err)
	}
	ticket := info.GetEndpoint()[0].GetTicket().GetTicket()
	if got, err := other.text(t, ticket); err != nil || got != "a \n1 " {
		t.Errorf("another replica answers %q, %v", got, err)
	}
	if _, err := stranger.text(t, ticket); !errors.Is(err, flightruntime.ErrInvalid) || !strings.Contains(err.Error(), "not signed by this server") {
		t.Errorf("a server with other keys answers %v", err)
	}
}

func TestEndpointsSayWhereAndHowLong(t *testing.T) {
	s := serve(t)
	s.Load(&config.Config{Limits: config.DefaultLimits(), ExternalAddress: "grpc+tls://flight.example.com:443", Datasets: []config.Dataset{inline("notes", "a\n1\n")}}, nil)
	if err := s.catalog.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, err := s.client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("notes"))
	if err != nil {
		t.Fatal(err)
	}
	e := info.GetEndpoint()[0]
	var uris []string
	for _, l := range e.GetLocation() {
		uris = append(uris, l.GetUri())
	}
	if diff := cmp.Diff([]string{"arrow-flight-reuse-connection://?", "grpc+tls://flight.example.com:443"}, uris); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if left := time.Until(e.GetExpirationTime().AsTime()); left < ticketLifetime-time.Minute || left > ticketLifetime {
		t.Errorf("the ticket is good for %s, want %s", left, ticketLifetime)
	}
}

// act runs an action of Flight.proto, whose one result it decodes.
func act[T any, P interface {
	*T
	proto.Message
}](t *testing.T, s *served, action string, request proto.Message) (P, error) {
	t.Helper()
	body, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	result := P(new(T))
	for got, err := range s.client.DoAction(t.Context(), action, body) {
		if err != nil {
			return nil, err
		}
		if err := proto.Unmarshal(got, result); err != nil {
			t.Fatal(err)
		}
	}
	return result, nil
}

func TestCancelAndRenew(t *testing.T) {
	s := serve(t)
	s.load(t, "one", inline("notes", "a\n"+strings.Repeat("1234567\n", 1<<20)))
	info, err := s.client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("notes"))
	if err != nil {
		t.Fatal(err)
	}
	endpoint := info.GetEndpoint()[0]

	later := time.Now().Add(10 * time.Minute)
	s.now = func() time.Time { return later }
	renewed, err := act[flight.FlightEndpoint](t, s, "RenewFlightEndpoint", &flight.RenewFlightEndpointRequest{Endpoint: endpoint})
	if err != nil || !renewed.GetExpirationTime().AsTime().After(endpoint.GetExpirationTime().AsTime()) {
		t.Fatalf("renewed to %v, %v, from %v", renewed.GetExpirationTime(), err, endpoint.GetExpirationTime())
	}
	running, err := s.client.DoGet(t.Context(), renewed.GetTicket())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := running.Schema(); err != nil {
		t.Fatal(err)
	}
	result, err := act[flight.CancelFlightInfoResult](t, s, "CancelFlightInfo", &flight.CancelFlightInfoRequest{Info: info})
	if err != nil || result.GetStatus() != flight.CancelStatusCancelled {
		t.Errorf("CancelFlightInfo gave %v, %v", result, err)
	}
	if _, err := running.ReadAll(); !errors.Is(err, flightruntime.ErrCancelled) || !strings.Contains(err.Error(), "CancelFlightInfo") {
		t.Errorf("a running call ended with %v, want CANCELLED that says why", err)
	}
	if _, err := s.text(t, endpoint.GetTicket().GetTicket()); !errors.Is(err, flightruntime.ErrCancelled) {
		t.Errorf("a new call ended with %v, want CANCELLED", err)
	}
	if _, err := act[flight.FlightEndpoint](t, s, "RenewFlightEndpoint", &flight.RenewFlightEndpointRequest{Endpoint: endpoint}); !errors.Is(err, flightruntime.ErrCancelled) {
		t.Errorf("a cancelled query's endpoint was renewed: %v", err)
	}
	byName := &flight.FlightInfo{Endpoint: []*flight.FlightEndpoint{{Ticket: &flight.Ticket{Ticket: []byte("notes")}}}}
	if result, err := act[flight.CancelFlightInfoResult](t, s, "CancelFlightInfo", &flight.CancelFlightInfoRequest{Info: byName}); err != nil || result.GetStatus() != flight.CancelStatusNotCancellable {
		t.Errorf("a dataset's name was cancelled: %v, %v", result, err)
	}
	for _, action := range []string{"CancelFlightInfo", "RenewFlightEndpoint"} {
		for _, err := range s.client.DoAction(t.Context(), action, []byte("garbage")) {
			if !errors.Is(err, flightruntime.ErrInvalid) || !strings.Contains(err.Error(), "Flight.proto") {
				t.Errorf("%s of garbage ended with %v", action, err)
			}
		}
	}
	s.now = func() time.Time { return later.Add(2 * ticketLifetime) }
	if _, err := s.text(t, endpoint.GetTicket().GetTicket()); !errors.Is(err, flightruntime.ErrInvalid) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired ticket ended with %v", err)
	}
}
