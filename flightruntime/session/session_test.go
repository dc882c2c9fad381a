package session

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// testService answers the session actions, "lazy SetSessionOptions" once the headers have been sent, "option NAME" with the option's value,
// and everything else with nothing.
type testService struct{ flightruntime.BaseService }

func (testService) DoAction(ctx context.Context, asked *flightruntime.Action) iter.Seq2[[]byte, error] {
	if results, ok := DoAction(ctx, asked); ok {
		return results
	}
	return func(yield func([]byte, error) bool) {
		if name, ok := strings.CutPrefix(asked.GetType(), "option "); ok {
			yield(fmt.Append(nil, Of(ctx).Option(name)), nil)
		} else if name, ok := strings.CutPrefix(asked.GetType(), "lazy "); ok {
			results, _ := DoAction(ctx, &flightruntime.Action{Type: name, Body: asked.GetBody()})
			results(yield)
		}
	}
}

func (testService) ListFlights(context.Context, []byte) iter.Seq2[*flightruntime.FlightInfo, error] {
	return func(func(*flightruntime.FlightInfo, error) bool) {}
}

// replica is a server of one Manager, and the clock that it looks at.
type replica struct {
	*Manager
	location string

	mu    sync.Mutex
	clock time.Time
}

func (r *replica) time() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clock
}

func (r *replica) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock = r.clock.Add(d)
}

func serve(t *testing.T, s Settings, before ...flightruntime.NamedServerMiddleware) *replica {
	t.Helper()
	r := &replica{Manager: New(s), clock: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)}
	r.now = r.time
	server, err := flightruntime.NewServer("grpc://127.0.0.1:0", testService{}, flightruntime.ServerOptions{
		Middleware: append(before, flightruntime.NamedServerMiddleware{Name: "session", Factory: r}),
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	r.location = server.Location().String()
	return r
}

// recorder notes the lines Set-Cookie of all calls, and tells which came with the trailers.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

const inTrailers = "in trailers: "

func (r *recorder) StartCall(context.Context, flightruntime.Method) flightruntime.ClientMiddleware {
	return &recordedCall{recorder: r}
}

type recordedCall struct {
	recorder *recorder
	headers  bool // whether they have come
}

func (*recordedCall) SendingHeaders() metadata.MD { return nil }
func (*recordedCall) CallCompleted(error)         {}
func (c *recordedCall) ReceivedHeaders(headers metadata.MD) {
	c.recorder.mu.Lock()
	defer c.recorder.mu.Unlock()
	for _, line := range headers.Get(headerSetCookie) {
		if c.headers {
			line = inTrailers + line
		}
		c.recorder.lines = append(c.recorder.lines, line)
	}
	c.headers = true // those of gRPC come with every call
}

// take is what came since the last take.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines
	r.lines = nil
	return lines
}

// connect makes a client that keeps cookies, if it is given a middleware for that.
func connect(t *testing.T, r *replica, middleware ...flightruntime.ClientMiddlewareFactory) *flightruntime.Client {
	t.Helper()
	c, err := flightruntime.Connect(r.location, flightruntime.ClientOptions{Middleware: middleware})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func set(t *testing.T, c *flightruntime.Client, options map[string]any) map[string]error {
	t.Helper()
	refused, err := SetOptions(t.Context(), c, options)
	if err != nil {
		t.Fatal(err)
	}
	return refused
}

func get(t *testing.T, c *flightruntime.Client) map[string]any {
	t.Helper()
	options, err := GetOptions(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return options
}

func expectOptions(t *testing.T, c *flightruntime.Client, want map[string]any) {
	t.Helper()
	if got := get(t, c); !reflect.DeepEqual(got, want) {
		t.Errorf("expected the options %v, got %v", want, got)
	}
}

func TestOptionsAreKeptByTheClientAlone(t *testing.T) {
	r := serve(t, Settings{})
	c := connect(t, r, flightruntime.NewCookieMiddleware())
	expectOptions(t, c, map[string]any{})
	all := map[string]any{
		"string": "ä", "empty": "", "bool": false, "int": int64(math.MinInt64), "double": 0.1, "infinite": math.Inf(1),
		"list": []string{"a", "", "(づ｡◕‿‿◕｡)づ"},
	}
	if refused := set(t, c, all); len(refused) != 0 {
		t.Errorf("refused: %v", refused)
	}
	expectOptions(t, c, all)

	set(t, c, map[string]any{"string": "b", "bool": nil, "absent": nil, "more": true})
	want := maps.Clone(all)
	want["string"], want["more"] = "b", true
	delete(want, "bool")
	expectOptions(t, c, want)
	for body, err := range c.DoAction(t.Context(), "option string", nil) {
		if err != nil || string(body) != "b" {
			t.Errorf("expected the service to see the option, got %q, %v", body, err)
		}
	}

	expectOptions(t, connect(t, r, flightruntime.NewCookieMiddleware()), map[string]any{})
	expectOptions(t, connect(t, r), map[string]any{})
}

func TestAnEmptyRequestBeginsASession(t *testing.T) {
	c := connect(t, serve(t, Settings{}), flightruntime.NewCookieMiddleware())
	set(t, c, nil)
	if err := Close(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func TestEachOptionThatIsRefusedHasItsError(t *testing.T) {
	r := serve(t, Settings{Check: func(ctx context.Context, name string, value any) error {
		switch {
		case Of(ctx) == nil:
			return errors.New("no session in the context of a check")
		case name == "frozen":
			return errors.New("not during a query")
		case name != "limit" && !strings.HasPrefix(name, "x-"):
			return fmt.Errorf("%q: %w", name, ErrInvalidName)
		}
		if n, ok := value.(int64); name == "limit" && (!ok || n < 0) {
			return ErrInvalidValue
		}
		return nil
	}})
	c := connect(t, r, flightruntime.NewCookieMiddleware())
	long := strings.Repeat("n", MaxNameBytes-1)
	refused := set(t, c, map[string]any{
		"": 1.0, "x-" + long: "", "x" + long: "", "unknown": "", "frozen": "", "limit": int64(-1),
		"x-list": make([]string, MaxListItems+1), "x-good": make([]string, MaxListItems), "removed": nil,
	})
	want := map[string]error{
		"": ErrInvalidName, "x-" + long: ErrInvalidName, "x" + long: ErrInvalidName, "unknown": ErrInvalidName, "frozen": ErrNotSet,
		"limit": ErrInvalidValue, "x-list": ErrInvalidValue,
	}
	if !maps.EqualFunc(refused, want, errors.Is) {
		t.Errorf("expected %v, got %v", want, refused)
	}
	expectOptions(t, c, map[string]any{"x-good": make([]string, MaxListItems)})

	set(t, c, map[string]any{"limit": int64(5)})
	if refused := set(t, c, map[string]any{"limit": "five"}); !errors.Is(refused["limit"], ErrInvalidValue) {
		t.Errorf("expected ErrInvalidValue, got %v", refused)
	}
	if got := get(t, c)["limit"]; got != int64(5) {
		t.Errorf("expected a refused option to stay as it was, got %v", got)
	}
}

func TestASessionThatIsFullTakesNoMore(t *testing.T) {
	r := serve(t, Settings{})
	jar, lines := flightruntime.NewCookieMiddleware(), &recorder{}
	c := connect(t, r, jar, lines)
	many := map[string]any{}
	for i := range MaxOptions + 2 {
		many[fmt.Sprintf("option-%02d", i)] = true
	}
	want := map[string]error{"option-64": ErrNotSet, "option-65": ErrNotSet}
	if refused := set(t, c, many); !maps.EqualFunc(refused, want, errors.Is) {
		t.Errorf("expected the last two by name to be refused, got %v", refused)
	}
	// What is removed makes room for what is set, whatever their names.
	if refused := set(t, c, map[string]any{"a": 1.0, "option-00": nil}); len(refused) != 0 {
		t.Errorf("refused: %v", refused)
	}

	c = connect(t, r, flightruntime.NewCookieMiddleware(), lines)
	lines.take()
	if refused := set(t, c, map[string]any{"a": strings.Repeat("a", MaxCookieBytes), "b": "b"}); len(refused) != 1 || refused["a"] == nil {
		t.Errorf("expected what fits in no cookie to be refused, got %v", refused)
	}
	for range 2 { // what is replaced makes room
		if refused := set(t, c, map[string]any{"a": strings.Repeat("a", maxOptionBytes*2/3)}); len(refused) != 0 {
			t.Errorf("refused: %v", refused)
		}
	}
	// The fullest session: one byte more is refused.
	fits := 0
	for size := maxOptionBytes; fits == 0; size-- {
		if refused := set(t, c, map[string]any{"a": strings.Repeat("a", size)}); len(refused) == 0 {
			fits = size
		}
	}
	if fits < maxOptionBytes-32 {
		t.Errorf("a value of %d bytes is the longest that is taken: expected about %d", fits, maxOptionBytes)
	}
	r.pass(DefaultLifetime * 2 / 3) // a renewed cookie is as long
	get(t, c)
	for _, line := range lines.take() {
		if len(line) > MaxCookieBytes {
			t.Errorf("a cookie of %d bytes was set: expected at most %d", len(line), MaxCookieBytes)
		}
	}
	if got := get(t, c)["a"]; got != strings.Repeat("a", fits) {
		t.Errorf("the fullest session did not come back: %v", got)
	}
}

func TestCloseEndsTheSession(t *testing.T) {
	lines := &recorder{}
	c := connect(t, serve(t, Settings{}), flightruntime.NewCookieMiddleware(), lines)
	if err := Close(t.Context(), c); !errors.Is(err, flightruntime.ErrNotFound) || !strings.Contains(err.Error(), CookieName) {
		t.Errorf("without a session: expected not found and the name of the cookie, got %v", err)
	}
	set(t, c, map[string]any{"a": "b"})
	lines.take()
	if err := Close(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := lines.take(); len(got) != 1 || got[0] != CookieName+"=; Max-Age=0" {
		t.Errorf("expected the cookie to be made to expire, got %q", got)
	}
	expectOptions(t, c, map[string]any{})
	if err := Close(t.Context(), c); !errors.Is(err, flightruntime.ErrNotFound) {
		t.Errorf("closed twice: expected not found, got %v", err)
	}
}

func TestEveryReplicaServesASession(t *testing.T) {
	secret := bytes.Repeat([]byte("k"), signing.MinKeyBytes)
	keys := func(secrets ...[]byte) func() *signing.Keyring {
		ring, err := signing.New(secrets...)
		if err != nil {
			t.Fatal(err)
		}
		return func() *signing.Keyring { return ring }
	}
	next := bytes.Repeat([]byte("n"), signing.MinKeyBytes)
	jar := flightruntime.NewCookieMiddleware()
	want := map[string]any{"a": "b"}
	set(t, connect(t, serve(t, Settings{Keys: keys(secret)}), jar), want)
	expectOptions(t, connect(t, serve(t, Settings{Keys: keys(secret)}), jar), want)
	expectOptions(t, connect(t, serve(t, Settings{Keys: keys(next, secret)}), jar), want)
	expectOptions(t, connect(t, serve(t, Settings{Keys: keys(next)}), jar), map[string]any{})
	expectOptions(t, connect(t, serve(t, Settings{}), jar), map[string]any{})
}

func TestASessionExpiresUnlessItIsUsed(t *testing.T) {
	uses := map[string]struct {
		use      func(t *testing.T, c *flightruntime.Client)
		trailers bool // whether the cookie comes with them
	}{
		"GetSessionOptions": {use: func(t *testing.T, c *flightruntime.Client) { get(t, c) }},
		"another action": {use: func(t *testing.T, c *flightruntime.Client) {
			for range c.DoAction(t.Context(), "anything", nil) {
				t.Error("expected no answer")
			}
		}, trailers: true},
		"an answered call": {use: func(t *testing.T, c *flightruntime.Client) {
			for range c.ListFlights(t.Context(), nil) {
				t.Error("expected no flight")
			}
		}},
		"a refused call": {use: func(t *testing.T, c *flightruntime.Client) {
			if _, err := c.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("a")); !errors.Is(err, flightruntime.ErrNotImplemented) {
				t.Error(err)
			}
		}},
	}
	for name, test := range uses {
		t.Run(name, func(t *testing.T) {
			r := serve(t, Settings{Lifetime: time.Hour})
			lines := &recorder{}
			jar := flightruntime.NewCookieMiddleware() // its clock is the real one: it keeps the cookie for an hour
			c := connect(t, r, jar, lines)
			set(t, c, map[string]any{"a": "b"})
			if got := lines.take(); len(got) != 1 || !strings.HasSuffix(got[0], "; Max-Age=3600") {
				t.Errorf("expected one cookie for an hour, got %q", got)
			}
			r.pass(20 * time.Minute)
			test.use(t, c)
			if got := lines.take(); len(got) != 0 {
				t.Errorf("a session of 40 minutes more is renewed: %q", got)
			}
			r.pass(20 * time.Minute)
			test.use(t, c)
			if got := lines.take(); len(got) != 1 || strings.HasPrefix(got[0], inTrailers) != test.trailers {
				t.Errorf("expected a session of 20 minutes more to be renewed once, got %q", got)
			}
			r.pass(50 * time.Minute)
			expectOptions(t, c, map[string]any{"a": "b"})
			r.pass(time.Hour)
			expectOptions(t, c, map[string]any{})
		})
	}
}

func TestAnAnswerSetsOneCookie(t *testing.T) {
	r := serve(t, Settings{Lifetime: time.Hour})
	lines := &recorder{}
	c := connect(t, r, flightruntime.NewCookieMiddleware(), lines)
	set(t, c, nil)
	for _, test := range []struct {
		name string
		use  func()
	}{
		{"SetSessionOptions", func() { set(t, c, map[string]any{"a": "b"}) }},
		{"CloseSession", func() { _ = Close(t.Context(), c) }},
	} {
		r.pass(40 * time.Minute) // the session would be renewed
		lines.take()
		test.use()
		if got := lines.take(); len(got) != 1 || strings.HasPrefix(got[0], inTrailers) {
			t.Errorf("%s: expected one cookie with the headers, got %q", test.name, got)
		}
	}
}

func TestASessionIsItsCallersAlone(t *testing.T) {
	identify := flightruntime.NamedServerMiddleware{Name: "who", Factory: flightruntime.ServerMiddlewareFunc(
		func(_ context.Context, call *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
			if who := call.Headers().Get("who"); len(who) > 0 {
				call.SetPeerIdentity(who[0])
			}
			return nil, nil //nolint:nilnil // no part in the call
		})}
	c := connect(t, serve(t, Settings{}, identify), flightruntime.NewCookieMiddleware())
	as := func(who string) flightruntime.CallOption { return flightruntime.WithHeader("who", who) }
	if _, err := SetOptions(t.Context(), c, map[string]any{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	// A session from before its caller logged in stays.
	if options, err := GetOptions(t.Context(), c, as("ada")); err != nil || len(options) != 1 {
		t.Errorf("expected one option, got %v, %v", options, err)
	}
	if _, err := SetOptions(t.Context(), c, map[string]any{"c": "d"}, as("ada")); err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string]int{"ada": 2, "bob": 0, "": 0} {
		if options, err := GetOptions(t.Context(), c, as(who)); err != nil || len(options) != want {
			t.Errorf("as %q: expected %d options, got %v, %v", who, want, options, err)
		}
	}
}

func TestACookieIsSetAfterTheHeadersToo(t *testing.T) {
	c := connect(t, serve(t, Settings{}), flightruntime.NewCookieMiddleware())
	body := []byte("\x0a\x08\x0a\x01a\x12\x03\x0a\x01b") // session_options {key: "a" value {string_value: "b"}}
	for _, err := range c.DoAction(t.Context(), "lazy SetSessionOptions", body) {
		if err != nil {
			t.Fatal(err)
		}
	}
	expectOptions(t, c, map[string]any{"a": "b"})
}

func TestCookiesThatAreNoneAreNoSession(t *testing.T) {
	r := serve(t, Settings{})
	signed := func(payload string) string {
		return encoding.EncodeToString(r.keys().Sign(signing.Session, []byte(payload)))
	}
	const option = "\x0a\x08\x0a\x01a\x12\x03\x0a\x01b" // session_options {key: "a" value {string_value: "b"}}
	header := func(version byte, expires ...byte) string {
		return string(append([]byte{version}, expires...)) + string(make([]byte, len(owner{})))
	}
	later := []byte{0, 0, 0, 255, 0, 0, 0, 0}
	good := header(version, later...)
	jar := flightruntime.NewCookieMiddleware()
	lines := &recorder{}
	set(t, connect(t, r, jar, lines), map[string]any{"a": "b"})
	cookie, err := http.ParseSetCookie(lines.take()[0])
	if err != nil {
		t.Fatal(err)
	}
	forged := []byte(cookie.Value)
	forged[len(forged)/2] ^= 1
	for name, test := range map[string]struct {
		value string
		want  int
	}{
		"the real one":            {cookie.Value, 1},
		"in quotes, as C++ does":  {`"` + cookie.Value + `"`, 1},
		"with a byte changed":     {string(forged), 0},
		"cut":                     {cookie.Value[:len(cookie.Value)-4], 0},
		"empty":                   {"", 0},
		"no base64":               {"%%%", 0},
		"other base64":            {base64.StdEncoding.EncodeToString([]byte("a?>")), 0},
		"too long":                {strings.Repeat("A", MaxCookieBytes+1), 0},
		"signed: nothing":         {signed(""), 0},
		"signed: an option":       {signed(good + option), 1},
		"signed: an unset option": {signed(good + "\x0a\x03\x0a\x01a"), 1},
		"signed: no options":      {signed(good), 0},
		"signed: cut":             {signed(good[:len(good)-1]), 0},
		"signed: another version": {signed(header(version+1, later...) + option), 0},
		"signed: no message":      {signed(good + option + "\xff\xff"), 0},
		"signed: expired":         {signed(header(version, 0, 0, 0, 0, 0, 0, 0, 0) + option), 0},
		"signed: before 1970":     {signed(header(version, 255, 255, 255, 255, 255, 255, 255, 255) + option), 0},
		"signed as a ticket":      {encoding.EncodeToString(r.keys().Sign(signing.Ticket, []byte(good+option))), 0},
	} {
		t.Run(name, func(t *testing.T) {
			options, err := GetOptions(t.Context(), connect(t, r), flightruntime.WithHeader(headerCookie, "other=1; "+CookieName+"="+test.value))
			if err != nil || len(options) != test.want {
				t.Errorf("expected %d options, got %v, %v", test.want, options, err)
			}
		})
	}
}

func TestRequestsThatAreNone(t *testing.T) {
	c := connect(t, serve(t, Settings{}))
	for _, action := range Actions() {
		for _, test := range []struct {
			body []byte
			kind *flightruntime.Error
			text string
		}{
			{[]byte("\xff"), flightruntime.ErrInvalid, "expected a message " + action.Name + "Request of Flight.proto, got 1 bytes that are none"},
			{make([]byte, MaxRequestBytes+1), flightruntime.ErrOverLimit, "at most 65536 bytes, got 65537"},
		} {
			for _, err := range c.DoAction(t.Context(), action.Name, test.body) {
				if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.text) {
					t.Errorf("%s: expected %q, got %v", action.Name, test.text, err)
				}
			}
		}
	}
	if _, err := SetOptions(t.Context(), c, map[string]any{"limit": 5}); !errors.Is(err, flightruntime.ErrInvalid) || !strings.Contains(err.Error(), `"limit"`) || !strings.Contains(err.Error(), "int") {
		t.Errorf("an int: expected an error that names the option and the type, got %v", err)
	}
}

func TestAServerWithoutAManagerSaysSo(t *testing.T) {
	server, err := flightruntime.NewServer("grpc://127.0.0.1:0", testService{}, flightruntime.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	_, err = GetOptions(t.Context(), connect(t, &replica{location: server.Location().String()}))
	if !errors.Is(err, flightruntime.ErrInternal) || !strings.Contains(err.Error(), "session.Manager") {
		t.Errorf("expected an error that says what is missing, got %v", err)
	}
}
