package datasets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authn"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/session"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// knows is middleware that believes the header x-user: what authentication has found out is not what these tests are about.
type knows struct{ id *authn.Identity }

func (k knows) Context(ctx context.Context) context.Context { return authn.WithIdentity(ctx, k.id) }
func (knows) SendingHeaders() metadata.MD                   { return nil }
func (knows) CallCompleted(error)                           {}

var believing = flightruntime.NamedServerMiddleware{Name: "authn", Factory: flightruntime.ServerMiddlewareFunc(
	func(_ context.Context, call *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
		user := strings.Join(call.Headers().Get("x-user"), "")
		switch user {
		case "":
			return nil, nil //nolint:nilnil // nobody
		case "wrong":
			return nil, flightruntime.Errorf(flightruntime.KindUnauthenticated, "wrong password")
		}
		id := &authn.Identity{User: user, Method: "test", Claims: map[string]any{"team": "red"}}
		call.SetPeerIdentity(user)
		return knows{id}, nil
	},
)}

func asks(query string) *flightruntime.FlightDescriptor {
	return flightruntime.DescriptorForCommand([]byte(query))
}

func as(user string) flightruntime.CallOption { return flightruntime.WithHeader("x-user", user) }

// policyOf compiles rules that must be right.
func policyOf(t testing.TB, rules ...authz.Rule) *authz.Policy {
	t.Helper()
	p, err := authz.Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// let is a rule for one user and all verbs that are named, with all actions where action is among them.
func let(user, dataset string, verbs ...authz.Verb) authz.Rule {
	r := authz.Rule{Subjects: []authz.Subject{{User: user}}, Datasets: []string{dataset}, Verbs: verbs}
	for _, v := range verbs {
		if v == authz.Action {
			r.Actions = []string{"*"}
		}
	}
	return r
}

// rpcs are all that can be asked of a dataset, and of the server.
var rpcs = []struct {
	name string
	call func(s *served, dataset string, user flightruntime.CallOption) error
}{
	{"GetFlightInfo", func(s *served, dataset string, user flightruntime.CallOption) error {
		_, err := s.client.GetFlightInfo(context.Background(), flightruntime.DescriptorForPath(dataset), user)
		return err
	}},
	{"GetFlightInfo of a query", func(s *served, dataset string, user flightruntime.CallOption) error {
		_, err := s.client.GetFlightInfo(context.Background(), asks(`{"dataset": "`+dataset+`", "filter": "a > 0"}`), user)
		return err
	}},
	{"PollFlightInfo", func(s *served, dataset string, user flightruntime.CallOption) error {
		_, err := s.client.PollFlightInfo(context.Background(), flightruntime.DescriptorForPath(dataset), user)
		return err
	}},
	{"GetSchema", func(s *served, dataset string, user flightruntime.CallOption) error {
		_, err := s.client.GetSchema(context.Background(), flightruntime.DescriptorForPath(dataset), user)
		return err
	}},
	{"DoGet", func(s *served, dataset string, user flightruntime.CallOption) error {
		return s.drain(dataset, user)
	}},
	{"DoGet of a query", func(s *served, dataset string, user flightruntime.CallOption) error {
		return s.drain(`{"dataset": "`+dataset+`", "limit": 1}`, user)
	}},
	{"DoExchange", func(s *served, dataset string, user flightruntime.CallOption) error {
		w, r, err := s.client.DoExchange(context.Background(), flightruntime.DescriptorForPath(dataset), user)
		if err != nil {
			return err
		}
		defer r.Cancel()
		if err := errors.Join(w.WriteMetadata([]byte(`{"acknowledged": 0}`)), w.CloseSend()); err != nil {
			return err
		}
		for {
			if _, err := r.Read(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}},
	{"DoPut", func(s *served, dataset string, user flightruntime.CallOption) error {
		return s.offer(flightruntime.DescriptorForPath(dataset), user)
	}},
	{"DoPut that overwrites", func(s *served, dataset string, user flightruntime.CallOption) error {
		return s.offer(asks(`{"dataset": "`+dataset+`", "mode": "overwrite"}`), user)
	}},
	{"Status", func(s *served, dataset string, user flightruntime.CallOption) error {
		return s.act("Status", dataset, user)
	}},
	{"Refresh", func(s *served, dataset string, user flightruntime.CallOption) error {
		return s.act("Refresh", dataset, user)
	}},
	{"Delete", func(s *served, dataset string, user flightruntime.CallOption) error {
		return s.act("Delete", `{"dataset": "`+dataset+`", "all": true}`, user)
	}},
}

// drain reads what a ticket stands for to its end.
func (s *served) drain(ticket string, opts ...flightruntime.CallOption) error {
	_, err := s.shown(ticket, opts...)
	return err
}

// shown is what a ticket gives: the columns' names, then a line a row.
func (s *served) shown(ticket string, opts ...flightruntime.CallOption) (string, error) {
	r, err := s.client.DoGet(context.Background(), &flightruntime.Ticket{Ticket: []byte(ticket)}, opts...)
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

// offer puts rows, one if they are not given.
func (s *served) offer(d *flightruntime.FlightDescriptor, user flightruntime.CallOption, values ...int64) error {
	if len(values) == 0 {
		values = []int64{1}
	}
	w, _, err := s.client.DoPut(context.Background(), d, numbers().Schema(), user)
	if err != nil {
		return err
	}
	if err := w.WriteBatch(numbers(values...)); err != nil {
		return err
	}
	return w.Close()
}

func (s *served) act(action, body string, opts ...flightruntime.CallOption) error {
	_, err := s.results(action, body, opts...)
	return err
}

func (s *served) results(action, body string, opts ...flightruntime.CallOption) (results []string, err error) {
	for result, err := range s.client.DoAction(context.Background(), action, []byte(body), opts...) {
		if err != nil {
			return results, err
		}
		results = append(results, string(result))
	}
	return results, nil
}

// guarded serves trips, which may be overwritten, and trip5, under rules.
func guarded(t testing.TB, middleware ...flightruntime.NamedServerMiddleware) *served {
	t.Helper()
	sessions := flightruntime.NamedServerMiddleware{Name: "session", Factory: session.New(session.Settings{})}
	s := serve(t, append(middleware, believing, sessions)...)
	dir := t.TempDir()
	put := overwritable("trips", "ArrowStream", dir, "*.arrows")
	s.load(t, "one", put, overwritable("trip5", "ArrowStream", t.TempDir(), "*.arrows"), inline("notes", "a,b\n1,x\n2,y\n3,z\n"))
	for _, name := range []string{"trips", "trip5"} {
		if _, err := s.put(t, flightruntime.DescriptorForPath(name), numbers(1, 2, 3)); err != nil {
			t.Fatal(err)
		}
	}
	s.SetPolicy(policyOf(t,
		let("ann", "trips", authz.List, authz.Get, authz.Put, authz.Exchange, authz.Action),
		let("lister", "*", authz.List),
		let("lister", "none", authz.Action),
		let("system:anonymous", "trips", authz.Get),
		authz.Rule{Subjects: []authz.Subject{{User: "red"}}, Datasets: []string{"trips", "notes"}, Verbs: []authz.Verb{authz.List, authz.Get, authz.Exchange, authz.Action}, Actions: []string{"*"}, Filter: "a >= 2"},
		let("red", "trips", authz.Put),
	))
	return s
}

// Every RPC for every kind of caller: what they may, what they may only list, and what they must not know of.
func TestEveryRPCAsksTheRules(t *testing.T) {
	const ok, denied, missing, unknown = codes.OK, codes.PermissionDenied, codes.NotFound, codes.Unauthenticated
	callers := []string{"ann", "lister", "stranger", "system:anonymous", "", "red"}
	for rpc, want := range map[string][]codes.Code{
		"GetFlightInfo":            {ok, denied, missing, ok, unknown, ok},
		"GetFlightInfo of a query": {ok, denied, missing, ok, unknown, ok},
		"PollFlightInfo":           {ok, denied, missing, ok, unknown, ok},
		"GetSchema":                {ok, denied, missing, ok, unknown, ok},
		"DoGet":                    {ok, denied, missing, ok, unknown, ok},
		"DoGet of a query":         {ok, denied, missing, ok, unknown, ok},
		"DoExchange":               {ok, denied, missing, missing, unknown, ok},
		"DoPut":                    {ok, denied, missing, missing, unknown, ok},
		"DoPut that overwrites":    {ok, denied, missing, missing, unknown, denied}, // red does not see every row
		"Status":                   {ok, denied, denied, denied, unknown, ok},
		"Refresh":                  {ok, denied, denied, denied, unknown, ok},
		"Delete":                   {ok, denied, denied, denied, unknown, denied},
	} {
		t.Run(rpc, func(t *testing.T) {
			s := guarded(t)
			for _, r := range rpcs {
				if r.name != rpc {
					continue
				}
				for i, user := range callers {
					if err := r.call(s, "trips", as(user)); status.Code(err) != want[i] {
						t.Errorf("%q: %v, want %s", user, err, want[i])
					}
				}
			}
		})
	}
}

func TestActionsOfTheServerAskTheRules(t *testing.T) {
	s := guarded(t)
	info, err := s.client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("trips"), as("ann"))
	if err != nil {
		t.Fatal(err)
	}
	cancel, _ := proto.Marshal(&flight.CancelFlightInfoRequest{Info: info})
	renew, _ := proto.Marshal(&flight.RenewFlightEndpointRequest{Endpoint: info.GetEndpoint()[0]})
	for _, tt := range []struct {
		action, body          string
		ann, lister, stranger codes.Code
	}{
		{"Status", "", codes.OK, codes.OK, codes.PermissionDenied},
		{"Refresh", "", codes.OK, codes.OK, codes.PermissionDenied},
		{flight.GetSessionOptionsActionType, "", codes.OK, codes.OK, codes.PermissionDenied},
		{flight.SetSessionOptionsActionType, "", codes.OK, codes.OK, codes.PermissionDenied},
		{flight.RenewFlightEndpointActionType, string(renew), codes.OK, codes.PermissionDenied, codes.PermissionDenied},
		{flight.CancelFlightInfoActionType, string(cancel), codes.OK, codes.PermissionDenied, codes.PermissionDenied},
		{"HealthCheck", "", codes.OK, codes.OK, codes.OK},
		{"nonsense", "", codes.InvalidArgument, codes.InvalidArgument, codes.InvalidArgument},
	} {
		for user, want := range map[string]codes.Code{"ann": tt.ann, "lister": tt.lister, "stranger": tt.stranger} {
			if err := s.act(tt.action, tt.body, as(user)); status.Code(err) != want {
				t.Errorf("%s by %s: %v, want %s", tt.action, user, err, want)
			}
		}
	}
	names := func(user string) (out []string) {
		actions, err := s.client.ListActions(t.Context(), as(user))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range actions {
			out = append(out, a.GetType())
		}
		return out
	}
	if d := cmp.Diff([]string{"HealthCheck"}, names("stranger")); d != "" {
		t.Error(d)
	}
	if got := names("ann"); len(got) != len(actions) {
		t.Errorf("ann may run %v", got)
	}
	// What concerns several datasets tells of those that it may tell of.
	for user, want := range map[string]int{"ann": 1, "lister": 0, "red": 2} {
		for _, action := range []string{"Status", "Refresh"} {
			if results, err := s.results(action, "", as(user)); err != nil || len(results) != want {
				t.Errorf("%s tells %s %v, %v, want %d datasets", action, user, results, err, want)
			}
		}
	}
	for user, want := range map[string]codes.Code{"ann": codes.OK, "lister": codes.PermissionDenied, "": codes.Unauthenticated} {
		w, r, err := s.client.DoExchange(t.Context(), asks("echo"), as(user))
		if err != nil {
			t.Fatal(err)
		}
		_ = w.WriteMetadata([]byte("x"))
		if _, err := r.Read(); status.Code(err) != want {
			t.Errorf("echo for %q: %v", user, err)
		}
		r.Cancel()
	}
}

func TestHealthForThoseWhoMayNotKnow(t *testing.T) {
	s := guarded(t)
	s.Reject(errors.New("trip5: nonsense"))
	for _, user := range []string{"stranger", ""} {
		if got, err := s.results("HealthCheck", "", as(user)); err != nil || len(got) != 1 || got[0] != `{"status":"SERVING"}` {
			t.Errorf("%q hears %v, %v, want the status alone", user, got, err)
		}
	}
	got, err := s.results("HealthCheck", "", as("red"))
	if err != nil {
		t.Fatal(err)
	}
	var h flightruntime.Health
	if err := json.Unmarshal([]byte(got[0]), &h); err != nil {
		t.Fatal(err)
	}
	if len(h.Datasets) != 2 || h.Datasets[0].Rows != -1 || h.Datasets[0].SchemaFingerprint != "" || h.ConfigError != "" {
		t.Errorf("red, who sees some rows of two datasets, hears %+v", h)
	}
	got, err = s.results("HealthCheck", "", as("ann"))
	if err != nil || !strings.Contains(got[0], `"rows":3`) || strings.Contains(got[0], "trip5") {
		t.Errorf("ann hears %v, %v", got, err)
	}
}

// Who may not list a dataset gets the same answer, byte for byte but for the name, whether it is there or not: also who may do something to
// others.
func TestWhatIsForbiddenIsAsWhatIsMissing(t *testing.T) {
	s := guarded(t)
	for _, user := range []string{"ann", "stranger", "system:anonymous", "", "red"} {
		for _, r := range rpcs {
			forbidden, missing := r.call(s, "trip5", as(user)), r.call(s, "trip6", as(user))
			if forbidden == nil || missing == nil {
				t.Errorf("%s by %q: %v, %v", r.name, user, forbidden, missing)
				continue
			}
			if d := cmp.Diff(strings.ReplaceAll(missing.Error(), "trip6", "trip5"), forbidden.Error()); d != "" || status.Code(missing) != status.Code(forbidden) {
				t.Errorf("%s by %q: -missing +forbidden:\n%s", r.name, user, d)
			}
		}
	}
	if err := s.drain("trip6", as("ann")); !strings.Contains(err.Error(), `did you mean "trips"?`) {
		t.Errorf("ann hears %v, want what she may have meant", err)
	}
	if err := s.drain("trip6", as("stranger")); strings.Contains(err.Error(), "trips") || strings.Contains(err.Error(), "trip5") {
		t.Errorf("a stranger hears %v", err)
	}
	// Rules for names that there are not tell nothing of others.
	s.SetPolicy(policyOf(t, let("ann", "trip6", authz.Get)))
	if err := s.drain("trip6", as("ann")); status.Code(err) != codes.NotFound || strings.Contains(err.Error(), "trip5") {
		t.Errorf("ann hears %v", err)
	}
}

func TestListFlightsShowsWhatMayBeListed(t *testing.T) {
	s := guarded(t)
	for user, want := range map[string][]string{
		"ann": {"trips rows 3, endpoints 1, columns a"}, "lister": {"notes rows -1, endpoints 0, columns", "trip5 rows -1, endpoints 0, columns", "trips rows -1, endpoints 0, columns"},
		"stranger": nil, "system:anonymous": nil, "red": {"notes rows -1, endpoints 1, columns a b", "trips rows -1, endpoints 1, columns a"},
	} {
		var got []string
		for info, err := range s.client.ListFlights(t.Context(), nil, as(user)) {
			if err != nil {
				t.Fatal(err)
			}
			line := fmt.Sprintf("%s rows %d, endpoints %d, columns", info.GetFlightDescriptor().GetPath()[0], info.GetTotalRecords(), len(info.GetEndpoint()))
			if len(info.GetSchema()) > 0 {
				schema, err := flightruntime.SchemaOf(info.GetSchema())
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range schema.Fields() {
					line += " " + f.Name
				}
			}
			got = append(got, line)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", user, d)
		}
	}
}

// part is a rule that grants some of notes.
func part(user string, columns []string, filter string) authz.Rule {
	r := let(user, "notes", authz.List, authz.Get, authz.Exchange)
	r.Columns, r.Filter = columns, filter
	return r
}

func TestParts(t *testing.T) {
	s := guarded(t)
	s.SetPolicy(policyOf(t,
		part("columns", []string{"a"}, ""),
		part("rows", nil, "b != 'x'"),
		part("both", []string{"a"}, "b == 'x'"), part("both", []string{"b"}, "a >= 2"),
		part("claims", []string{"a"}, "identity.claims.team == 'red' && a == 1"),
		part("mistaken", []string{"a"}, "c > 1"),
		let("all", "notes", authz.Get), part("all", []string{"a"}, "a == 1"),
	))
	for _, tt := range []struct {
		user, query, want string
		rows              int64
		code              codes.Code
	}{
		{user: "columns", want: "a \n1 \n2 \n3 ", rows: 3},
		{user: "columns", query: `"filter": "a > 1"`, want: "a \n2 \n3 ", rows: -1},
		{user: "columns", query: `"filter": "b == 'x'"`, code: codes.InvalidArgument},
		{user: "columns", query: `"columns": ["b"]`, code: codes.InvalidArgument},
		{user: "rows", want: "a b \n2 y \n3 z ", rows: -1},
		{user: "rows", query: `"filter": "b == 'x'"`, want: "a b ", rows: -1},
		{user: "rows", query: `"limit": 1`, want: "a b \n2 y ", rows: -1},
		{user: "both", want: "a b \n1 (null) \n(null) y \n(null) z ", rows: -1},
		{user: "both", query: `"filter": "a == null", "columns": ["b"]`, want: "b \ny \nz ", rows: -1},
		{user: "claims", want: "a \n1 ", rows: -1},
		{user: "mistaken", code: codes.PermissionDenied},
		{user: "all", want: "a b \n1 x \n2 y \n3 z ", rows: 3},
	} {
		query := `{"dataset": "notes"`
		if tt.query != "" {
			query += ", " + tt.query
		}
		query += "}"
		info, err := s.client.GetFlightInfo(t.Context(), asks(query), as(tt.user))
		if status.Code(err) != tt.code {
			t.Errorf("%s, %s: %v, want %s", tt.user, query, err, tt.code)
		}
		if err != nil {
			if strings.Contains(err.Error(), `"c"`) || tt.user == "columns" && strings.Contains(err.Error(), "a, b") {
				t.Errorf("%s, %s: %v tells too much", tt.user, query, err)
			}
			continue
		}
		whole := tt.user == "all"
		if info.GetTotalRecords() != tt.rows || (info.GetTotalBytes() == -1) == whole || len(info.GetEndpoint()) != 1 {
			t.Errorf("%s, %s: %d rows, %d bytes", tt.user, query, info.GetTotalRecords(), info.GetTotalBytes())
		}
		for _, ticket := range []string{query, string(info.GetEndpoint()[0].GetTicket().GetTicket())} {
			if got, err := s.shown(ticket, as(tt.user)); err != nil || got != tt.want {
				t.Errorf("%s, %s: %q, %v, want %q", tt.user, query, got, err, tt.want)
			}
		}
	}
}

// A subscription is narrowed as a DoGet is.
func TestSubscriptionsAreNarrowed(t *testing.T) {
	s := guarded(t)
	w, r, err := s.client.DoExchange(t.Context(), flightruntime.DescriptorForPath("notes"), as("red"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Cancel()
	if err := w.WriteMetadata([]byte(`{"acknowledged": 0}`)); err != nil {
		t.Fatal(err)
	}
	sub := &subscriber{t, w, r}
	sub.expect("[2 3]")
}

// Of what is appended, a subscriber hears what they may see, and of the rest not even that it came.
func TestSubscribersDoNotHearOfHiddenRows(t *testing.T) {
	s := guarded(t)
	w, r, err := s.client.DoExchange(t.Context(), flightruntime.DescriptorForPath("trips"), as("red"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Cancel()
	if err := w.WriteMetadata([]byte(`{"acknowledged": 0}`)); err != nil {
		t.Fatal(err)
	}
	sub := &subscriber{t, w, r}
	sub.expect("[2 3]")
	for _, values := range [][]int64{{1}, {0, 1}, {1, 4, 0}} { // red sees what is 2 or more
		if err := s.offer(flightruntime.DescriptorForPath("trips"), as("ann"), values...); err != nil {
			t.Fatal(err)
		}
	}
	got, n, err := sub.next()
	if err != nil || got != "[4]" || n.Sequence != 3 {
		t.Errorf("after rows that are hidden, the next message has %q, %+v, %v, want [4] with sequence 3", got, n, err)
	}
}

// large is an object that says that it is.
type large struct{ source.Object }

func (large) Size() int64 { return 8 * endpointBytes }

// However large a dataset is, who sees a part of it gets one endpoint: its division would tell of what they do not see.
func TestPartsAreNotDivided(t *testing.T) {
	s := guarded(t)
	snapshot, err := s.Service.catalog.Snapshot("notes")
	if err != nil {
		t.Fatal(err)
	}
	layout := *snapshot.Layout
	of := layout.Parts[0]
	layout.Parts = nil
	for range 3 {
		layout.Parts = append(layout.Parts, format.Part{Object: large{of.Object}, Rows: of.Rows, Units: []format.Unit{{Rows: of.Rows, Bytes: 8 * endpointBytes}}})
	}
	grown := *snapshot
	grown.Layout = &layout
	s.SetPolicy(policyOf(t, let("ann", "notes", authz.Get), part("red", []string{"a"}, ""), part("rows", nil, "a == 1")))
	for user, want := range map[string]int{"ann": 3, "red": 1, "rows": 1} {
		ctx := authn.WithIdentity(t.Context(), &authn.Identity{User: user})
		p, err := s.caller(ctx).may(authz.Get, "notes")
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.planned(ctx, queryOf("notes"), &grown)
		if err != nil {
			t.Fatal(err)
		}
		if endpoints, err := s.endpoints(ctx, r); err != nil || len(endpoints) != want {
			t.Errorf("%s gets %d endpoints, %v, want %d", user, len(endpoints), err, want)
		}
	}
}

// A ticket is no right by itself: it is good for whom it was given to, for as long as the rules say so.
func TestTicketsAreHeldAgainstTheRulesOfNow(t *testing.T) {
	s := guarded(t)
	info, err := s.client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("notes"), as("red"))
	if err != nil {
		t.Fatal(err)
	}
	ticket := string(info.GetEndpoint()[0].GetTicket().GetTicket())
	if got, err := s.shown(ticket, as("red")); err != nil || got != "a b \n2 y \n3 z " {
		t.Errorf("red gets %q, %v", got, err)
	}
	for _, user := range []string{"ann", "", "system:anonymous"} {
		if err := s.drain(ticket, as(user)); !errors.Is(err, flightruntime.ErrUnauthorized) {
			t.Errorf("%q gets %v with red's ticket", user, err)
		}
	}
	s.SetPolicy(policyOf(t, part("red", []string{"a"}, "a == 3")))
	if got, err := s.shown(ticket, as("red")); err != nil || got != "a \n3 " {
		t.Errorf("with fewer rights, red gets %q, %v", got, err)
	}
	s.SetPolicy(policyOf(t, let("red", "notes", authz.List)))
	if err := s.drain(ticket, as("red")); status.Code(err) != codes.PermissionDenied {
		t.Errorf("without rights, red gets %v", err)
	}
	s.SetPolicy(policyOf(t))
	if err := s.drain(ticket, as("red")); status.Code(err) != codes.NotFound {
		t.Errorf("without any, red gets %v", err)
	}
	s.SetPolicy(nil)
	if got, err := s.shown(ticket, as("red")); err != nil || strings.Count(got, "\n") != 3 {
		t.Errorf("without a policy, red gets %q, %v", got, err)
	}
}

// Data that cannot be read tell their words to the log, not to those who must not see all of them.
func TestErrorsDoNotTellWhatIsHidden(t *testing.T) {
	s := guarded(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "pay.csv")
	if err := os.WriteFile(path, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.load(t, "two", files("pay", "CSV", dir, "*.csv"), config.Dataset{Name: "gone", Format: "CSV", Missing: "ConfigMap data/secret does not exist"})
	red, gone := let("red", "pay", authz.Get), let("red", "gone", authz.Get)
	red.Columns, gone.Columns = []string{"a"}, []string{"a"}
	s.SetPolicy(policyOf(t, red, gone, let("ann", "*", authz.Get)))
	// The same size and time as before, so that it is not known to be another file before it is read.
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path, []byte("a,b\nSS,\"\n"), 0o600), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pay", "gone"} {
		err := s.drain(name, as("red"))
		if err == nil {
			t.Fatalf("%s can be read", name)
		}
		for _, word := range []string{"SS", "secret", "ConfigMap", "line", "pay.csv"} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("red hears %v", err)
			}
		}
	}
	if err := s.drain("gone", as("ann")); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("ann, who may see all of it, hears %v", err)
	}
}

func TestCallsWhoseRightsHaveEndedCanBeEnded(t *testing.T) {
	for name, tt := range map[string]struct {
		rules   []authz.Rule
		revoked func(*authn.Identity) bool
		ended   bool
	}{
		"the same rules":            {rules: []authz.Rule{let("ann", "big", authz.Get)}},
		"more rules":                {rules: []authz.Rule{let("ann", "*", authz.Get, authz.List)}},
		"other rules":               {rules: []authz.Rule{let("bob", "big", authz.Get)}, ended: true},
		"rules that show less":      {rules: []authz.Rule{func() authz.Rule { r := let("ann", "big", authz.Get); r.Columns = []string{"b"}; return r }()}, ended: true},
		"another verb":              {rules: []authz.Rule{let("ann", "big", authz.List)}, ended: true},
		"somebody who is not known": {rules: []authz.Rule{let("ann", "big", authz.Get)}, revoked: func(id *authn.Identity) bool { return id.User == "ann" }, ended: true},
		"somebody else not known":   {rules: []authz.Rule{let("ann", "big", authz.Get)}, revoked: func(id *authn.Identity) bool { return id.User == "bob" }},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, believing)
			s.load(t, "one", inline("big", "a\n"+strings.Repeat("1234567\n", 1<<20)))
			s.SetPolicy(policyOf(t, let("ann", "big", authz.Get)))
			r, err := s.client.DoGet(t.Context(), &flightruntime.Ticket{Ticket: []byte("big")}, as("ann"))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Cancel()
			if _, err := r.Read(); err != nil { // and no more: the server's next write waits
				t.Fatal(err)
			}
			s.SetPolicy(policyOf(t, tt.rules...))
			if n := s.EndCalls(tt.revoked); (n == 1) != tt.ended {
				t.Errorf("%d calls ended", n)
			}
			for err == nil {
				_, err = r.Read()
			}
			if ended := errors.Is(err, flightruntime.ErrUnauthorized); ended != tt.ended || !ended && !errors.Is(err, io.EOF) {
				t.Errorf("the call ended with %v", err)
			}
		})
	}
}

func TestTheAuditTellsOfEachCall(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	seen := map[string]int{}
	audit := Audit(AuditOptions{
		Logger: slog.New(slog.NewJSONHandler(&lockedWriter{mu: &mu, w: &log}, nil)),
		Observe: func(method, verb string, decision Decision) {
			mu.Lock()
			defer mu.Unlock()
			seen[method+" "+verb+" "+string(decision)]++
		},
	})
	s := guarded(t, audit)
	for _, tt := range []struct {
		call func() error
		want map[string]any
	}{
		{func() error { return s.drain(`{"dataset": "notes", "filter": "b != 'y'"}`, as("red")) }, map[string]any{
			"identity": "red", "authenticatedBy": "test", "method": "DoGet", "verb": "get", "dataset": "notes", "decision": "allow", "rules": []any{4.0}, "rows": 1.0, "code": "OK",
		}},
		{func() error { return s.drain("trip5", as("red")) }, map[string]any{
			"identity": "red", "authenticatedBy": "test", "method": "DoGet", "verb": "get", "dataset": "trip5", "decision": "deny", "rules": []any{}, "rows": 0.0, "code": "NotFound",
		}},
		{func() error { return s.offer(flightruntime.DescriptorForPath("trips"), as("ann")) }, map[string]any{
			"identity": "ann", "authenticatedBy": "test", "method": "DoPut", "verb": "put", "dataset": "trips", "decision": "allow", "rules": []any{0.0}, "rows": 1.0, "code": "OK",
		}},
		{func() error { return s.act("Refresh", "trips", as("stranger")) }, map[string]any{
			"identity": "stranger", "authenticatedBy": "test", "method": "DoAction", "verb": "action", "action": "Refresh", "dataset": "", "decision": "deny", "rules": []any{}, "rows": 0.0, "code": "PermissionDenied",
		}},
		{func() error { return s.drain("trips", as("wrong")) }, map[string]any{
			"identity": "", "method": "DoGet", "verb": "", "dataset": "", "decision": "unauthenticated", "rules": []any{}, "rows": 0.0, "code": "Unauthenticated",
		}},
		{func() error { return s.drain("trips", as("")) }, map[string]any{
			"identity": "", "method": "DoGet", "verb": "get", "dataset": "trips", "decision": "unauthenticated", "rules": []any{}, "rows": 0.0, "code": "Unauthenticated",
		}},
		{func() error { return s.drain(`{"dataset"`, as("ann")) }, map[string]any{
			"identity": "ann", "method": "DoGet", "verb": "", "dataset": "", "decision": "none", "rules": []any{}, "rows": 0.0, "code": "InvalidArgument",
		}},
		{func() error { return s.offer(asks(`{"dataset": "trips", "mode": "overwrite"}`), as("red")) }, map[string]any{
			"identity": "red", "authenticatedBy": "test", "method": "DoPut", "verb": "action", "action": "Delete", "dataset": "trips", "decision": "deny", "rules": []any{4.0}, "rows": 0.0, "code": "PermissionDenied",
		}},
	} {
		mu.Lock()
		log.Reset()
		mu.Unlock()
		_ = tt.call()
		var got map[string]any
		for got == nil { // the record comes after the answer
			mu.Lock()
			text := log.String()
			mu.Unlock()
			if strings.HasSuffix(text, "\n") {
				if err := json.Unmarshal([]byte(text), &got); err != nil {
					t.Fatalf("%v: %s", err, text)
				}
			}
			time.Sleep(time.Millisecond)
		}
		if got["peer"] == "" || got["duration"].(float64) <= 0 || (got["bytes"].(float64) > 0) != (got["rows"].(float64) > 0) {
			t.Errorf("peer, duration, bytes: %v", got)
		}
		for _, key := range []string{"time", "level", "msg", "peer", "duration", "bytes"} {
			delete(got, key)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
		if strings.Contains(log.String(), "b != 'y'") {
			t.Error("the record has a filter")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if seen["DoGet get allow"] != 1 || seen["DoGet  unauthenticated"] != 1 || seen["DoAction action deny"] != 1 {
		t.Errorf("observed: %v", seen)
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
