package flightruntime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
)

// diary is what middleware writes down, in order.
type diary struct {
	mu      sync.Mutex
	entries []string
}

func (d *diary) write(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, fmt.Sprintf(format, args...))
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.entries)
}

// kindWord is how a call ended, for a diary.
func kindWord(err error) string {
	var e *Error
	switch {
	case err == nil:
		return "well"
	case errors.As(callError(err, nil), &e) && e.ExtraInfo != nil:
		return fmt.Sprintf("%s for %s", e.Kind, e.ExtraInfo)
	case e != nil:
		return string(e.Kind)
	default:
		return err.Error()
	}
}

// serverMiddleware writes a diary, as its own factory.
type serverMiddleware struct {
	name    string
	diary   *diary
	headers metadata.MD
	refuse  error
	panics  string // the name of the method that panics
}

func (m *serverMiddleware) StartCall(ctx context.Context, call *Call) (ServerMiddleware, error) {
	m.panicIn("StartCall")
	m.diary.write("%s starts %s after %v", m.name, call.Method(), ctx.Value(contextKey{}))
	return m, m.refuse
}

func (m *serverMiddleware) SendingHeaders() metadata.MD {
	m.panicIn("SendingHeaders")
	return m.headers
}

func (m *serverMiddleware) CallCompleted(err error) {
	m.diary.write("%s ends %s", m.name, kindWord(err))
	m.panicIn("CallCompleted")
}

type contextKey struct{}

func (m *serverMiddleware) Context(ctx context.Context) context.Context {
	m.panicIn("Context")
	return context.WithValue(ctx, contextKey{}, m.name)
}

func (m *serverMiddleware) panicIn(method string) {
	if m.panics == method {
		panic("the middleware's own fault in " + method)
	}
}

// stack are middleware of servers under their names.
func stack(ms ...*serverMiddleware) []NamedServerMiddleware {
	named := make([]NamedServerMiddleware, len(ms))
	for i, m := range ms {
		named[i] = NamedServerMiddleware{Name: m.name, Factory: m}
	}
	return named
}

func TestServerMiddlewareStandsAroundEachCall(t *testing.T) {
	for name, result := range map[string]error{
		"well": nil, "not found": Errorf(KindNotFound, "gone"), "not found for ever": Errorf(KindNotFound, "gone").WithExtraInfo([]byte("ever")), "internal": errors.New("any error"),
	} {
		t.Run("that ends "+name, func(t *testing.T) {
			onEachCall(t, func(t *testing.T, method Method, call func(context.Context, *Client, ...CallOption) error) {
				var d diary
				outer := &serverMiddleware{name: "outer", diary: &d}
				inner := &serverMiddleware{name: "inner", diary: &d}
				nobody := NamedServerMiddleware{Name: "nobody", Factory: ServerMiddlewareFunc(func(context.Context, *Call) (ServerMiddleware, error) {
					return nil, nil //nolint:nilnil // it has no part in the call
				})}
				server := start(t, everyService{do: func(ctx context.Context) error {
					call := CallOf(ctx)
					d.write("the service is called after %v", ctx.Value(contextKey{}))
					if call.Middleware("outer") != ServerMiddleware(outer) || call.Middleware("inner") != ServerMiddleware(inner) || call.Middleware("nobody") != nil {
						t.Error("the service finds other middleware under its name")
					}
					return result
				}}, ServerOptions{Middleware: append(stack(outer, inner), nobody)})
				if err := call(t.Context(), connect(t, server, ClientOptions{})); kindWord(err) != name {
					t.Errorf("ended with %v, want %s", err, name)
				}
				want := []string{
					"outer starts " + string(method) + " after <nil>",
					"inner starts " + string(method) + " after outer",
					"the service is called after inner",
					"inner ends " + name,
					"outer ends " + name,
				}
				eventually(t, fmt.Sprintf("%q", want), func() bool { return len(d.read()) >= len(want) })
				if got := d.read(); !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		})
	}
}

func TestServerMiddlewareSendsHeadersAlsoWithCallsThatFail(t *testing.T) {
	headers := metadata.MD{"X-Word": {"one", "two"}, "x-bytes-bin": {"\x00\xff"}}
	for name, test := range map[string]struct {
		result, refusal error
	}{
		"a call that goes well":                    {},
		"a call that fails":                        {result: Errorf(KindNotFound, "gone")},
		"a call that other middleware has refused": {refusal: Errorf(KindUnauthorized, "not you")},
	} {
		t.Run(name, func(t *testing.T) {
			var d diary
			server := start(t, everyService{do: func(context.Context) error { return test.result }}, ServerOptions{Middleware: stack(
				&serverMiddleware{name: "sending", diary: &d, headers: headers},
				&serverMiddleware{name: "refusing", diary: &d, refuse: test.refusal},
			)})
			onEachCall(t, func(t *testing.T, _ Method, call func(context.Context, *Client, ...CallOption) error) {
				var received receivedHeaders
				client := connect(t, server, ClientOptions{Middleware: []ClientMiddlewareFactory{&received}})
				want := errors.Join(test.result, test.refusal)
				if err := call(t.Context(), client); kindWord(err) != kindWord(want) {
					t.Errorf("ended with %v, want %v", err, want)
				}
				if got := received.get("x-word"); !slices.Equal(got, []string{"one", "two"}) {
					t.Errorf("the header of two values arrived as %q", got)
				}
				if got := received.get("x-bytes-bin"); !slices.Equal(got, []string{"\x00\xff"}) {
					t.Errorf("the binary header arrived as %q", got)
				}
			})
		})
	}
}

func TestServerMiddlewareRefusesACallBeforeTheServiceSeesIt(t *testing.T) {
	onEachCall(t, func(t *testing.T, method Method, call func(context.Context, *Client, ...CallOption) error) {
		var d diary
		server := start(t, everyService{do: func(context.Context) error {
			t.Error("the service sees a call that was refused")
			return nil
		}}, ServerOptions{Middleware: stack(
			&serverMiddleware{name: "first", diary: &d},
			&serverMiddleware{name: "refusing", diary: &d, refuse: Errorf(KindUnauthorized, "not you").WithExtraInfo([]byte("why"))},
			&serverMiddleware{name: "last", diary: &d},
		)})
		err := call(t.Context(), connect(t, server, ClientOptions{}))
		var got *Error
		if !errors.As(err, &got) || got.Kind != KindUnauthorized || got.Message != "not you" || string(got.ExtraInfo) != "why" {
			t.Errorf("ended with %#v", err)
		}
		// The one that refuses has not begun, and the one after it was not asked.
		want := []string{"first starts " + string(method) + " after <nil>", "refusing starts " + string(method) + " after first", "first ends unauthorized for why"}
		if got := d.read(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestServerMiddlewareHearsOnceOfEachEnd(t *testing.T) {
	for name, test := range map[string]struct {
		do      func(ctx context.Context, leave context.CancelFunc) error
		longest time.Duration
		want    []string // any of these
	}{
		"the service panics": {
			do:   func(context.Context, context.CancelFunc) error { panic("the service's own fault") },
			want: []string{"internal"},
		},
		"the client cancels": {
			do: func(ctx context.Context, leave context.CancelFunc) error {
				leave()
				return blocked.do(ctx)
			},
			want: []string{"cancelled"},
		},
		"the deadline passes": {
			do:      func(ctx context.Context, _ context.CancelFunc) error { return blocked.do(ctx) },
			longest: timeoutOfTests,
			want:    []string{"timed out"},
		},
		"the service has all done when the client is gone": {
			do: func(ctx context.Context, leave context.CancelFunc) error {
				leave()
				<-ctx.Done()
				return nil
			},
			// What is still to be sent cannot be.
			want: []string{"well", "cancelled"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachCall(t, func(t *testing.T, _ Method, call func(context.Context, *Client, ...CallOption) error) {
				var d diary
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				server := start(t, everyService{do: func(ctx context.Context) error { return test.do(ctx, leave) }}, ServerOptions{
					Middleware: stack(&serverMiddleware{name: "it", diary: &d}), MaxCallDuration: test.longest,
				})
				if err := call(ctx, connect(t, server, ClientOptions{})); err == nil {
					t.Error("the call went well")
				}
				eventually(t, "the call ends", func() bool { return server.ActiveCalls() == 0 })
				got := d.read()
				if len(got) != 2 || !slices.ContainsFunc(test.want, func(want string) bool { return got[1] == "it ends "+want }) {
					t.Errorf("got %q, want one end: %q", got, test.want)
				}
			})
		})
	}
}

func TestAPanicInMiddlewareEndsTheCallAndNoMore(t *testing.T) {
	for method, want := range map[string][]string{
		"StartCall":      {"outer ends internal"},
		"SendingHeaders": {"panicking ends internal", "outer ends internal"},
		"Context":        {"panicking ends internal", "outer ends internal"},
		"CallCompleted":  {"inner ends well", "panicking ends well", "outer ends well"},
	} {
		t.Run(method, func(t *testing.T) {
			var d diary
			var logs syncBuffer
			server := start(t, allWell, ServerOptions{
				Logger: slog.New(slog.NewTextHandler(&logs, nil)),
				Middleware: stack(
					&serverMiddleware{name: "outer", diary: &d},
					&serverMiddleware{name: "panicking", diary: &d, panics: method},
					&serverMiddleware{name: "inner", diary: &d},
				),
			})
			_, err := connect(t, server, ClientOptions{}).GetFlightInfo(t.Context(), DescriptorForPath("a"))
			if (err == nil) != (method == "CallCompleted") || strings.Contains(fmt.Sprint(err), "own fault") {
				t.Errorf("ended with %v", err)
			}
			ends := slices.DeleteFunc(d.read(), func(entry string) bool { return strings.Contains(entry, "starts") })
			if !slices.Equal(ends, want) {
				t.Errorf("got %q, want %q", ends, want)
			}
			if !strings.Contains(logs.String(), "the middleware's own fault in "+method) {
				t.Errorf("the log has nothing of it: %s", &logs)
			}
		})
	}
}

// A service that gets a context which is not made of the call's still runs, and its call can be ended.
func TestMiddlewareMayReplaceTheContext(t *testing.T) {
	ended := make(chan error, 1)
	replaced := ServerMiddlewareFunc(func(context.Context, *Call) (ServerMiddleware, error) { return elsewhere{}, nil })
	server := start(t, &testService{doGet: endless(func() {})}, ServerOptions{
		StallTimeout: timeoutOfTests,
		Middleware:   []NamedServerMiddleware{{Name: "elsewhere", Factory: replaced}},
		Observer:     func(_ string, err error, _ time.Duration) { ended <- err },
	})
	if _, err := connect(t, server, ClientOptions{}).DoGet(t.Context(), &Ticket{}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrTimedOut) {
		t.Errorf("ended with %v, want a time-out for the client does not read", err)
	}
}

type elsewhere struct{ idle }

func (elsewhere) Context(context.Context) context.Context { return context.Background() }

// idle is server middleware that does nothing.
type idle struct{}

func (idle) SendingHeaders() metadata.MD { return nil }
func (idle) CallCompleted(error)         {}

// clientMiddleware writes a diary, as its own factory.
type clientMiddleware struct {
	name    string
	diary   *diary
	headers metadata.MD
}

func (m *clientMiddleware) StartCall(_ context.Context, method Method) ClientMiddleware {
	m.diary.write("%s starts %s", m.name, method)
	return m
}

func (m *clientMiddleware) SendingHeaders() metadata.MD { return m.headers }

func (m *clientMiddleware) ReceivedHeaders(md metadata.MD) {
	for _, v := range md.Get("x-answer") {
		m.diary.write("%s receives %s", m.name, v)
	}
}

func (m *clientMiddleware) CallCompleted(err error) {
	m.diary.write("%s ends %s", m.name, kindWord(err))
}

func TestClientMiddlewareStandsAroundEachCall(t *testing.T) {
	for name, result := range map[string]error{"well": nil, "not found for ever": Errorf(KindNotFound, "gone").WithExtraInfo([]byte("ever"))} {
		t.Run("that ends "+name, func(t *testing.T) {
			answering := ServerMiddlewareFunc(func(_ context.Context, call *Call) (ServerMiddleware, error) {
				words := call.Headers().Get("x-word")
				return &serverMiddleware{diary: &diary{}, headers: metadata.Pairs("x-answer", strings.Join(words, "+"))}, nil
			})
			server := start(t, everyService{do: func(context.Context) error { return result }}, ServerOptions{
				Middleware: []NamedServerMiddleware{{Name: "answering", Factory: answering}},
			})
			onEachCall(t, func(t *testing.T, method Method, call func(context.Context, *Client, ...CallOption) error) {
				var d diary
				client := connect(t, server, ClientOptions{Middleware: []ClientMiddlewareFactory{
					&clientMiddleware{name: "outer", diary: &d, headers: metadata.MD{"X-Word": {"one", "two"}}},
					ClientMiddlewareFunc(func(context.Context, Method) ClientMiddleware { return nil }),
					&clientMiddleware{name: "inner", diary: &d, headers: metadata.Pairs("x-word", "three")},
				}})
				if err := call(t.Context(), client, WithHeader("x-word", "zero")); kindWord(err) != name {
					t.Errorf("ended with %v, want %s", err, name)
				}
				want := []string{
					"outer starts " + string(method), "inner starts " + string(method),
					"outer receives zero+one+two+three", "inner receives zero+one+two+three",
					"inner ends " + name, "outer ends " + name,
				}
				if got := d.read(); !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		})
	}
}

func TestClientMiddlewareHearsOnceOfEachEnd(t *testing.T) {
	forever := blocked
	for name, test := range map[string]struct {
		options ClientOptions
		use     func(t *testing.T, c *Client)
		want    string
	}{
		"a reader is cancelled, and not read": {use: func(t *testing.T, c *Client) {
			r, err := c.DoGet(t.Context(), &Ticket{})
			if err != nil {
				t.Fatal(err)
			}
			r.Cancel()
		}, want: "cancelled"},
		"a reader is cancelled, and read": {use: func(t *testing.T, c *Client) {
			r, err := c.DoGet(t.Context(), &Ticket{})
			if err != nil {
				t.Fatal(err)
			}
			r.Cancel()
			if _, err := r.Read(); !errors.Is(err, ErrCancelled) {
				t.Errorf("reading on gave %v", err)
			}
		}, want: "cancelled"},
		"what a put answers is cancelled": {use: func(t *testing.T, c *Client) {
			_, results, err := c.DoPut(t.Context(), DescriptorForPath("a"), numbers)
			if err != nil {
				t.Fatal(err)
			}
			results.Cancel()
			if _, err := results.Read(); !errors.Is(err, ErrCancelled) {
				t.Errorf("reading on gave %v", err)
			}
		}, want: "cancelled"},
		"an exchange is cancelled": {use: func(t *testing.T, c *Client) {
			_, r, err := c.DoExchange(t.Context(), DescriptorForPath("a"))
			if err != nil {
				t.Fatal(err)
			}
			r.Cancel()
		}, want: "cancelled"},
		"the context ends": {use: func(t *testing.T, c *Client) {
			ctx, cancel := context.WithCancel(t.Context())
			if _, err := c.DoGet(ctx, &Ticket{}); err != nil {
				t.Fatal(err)
			}
			cancel()
		}, want: "cancelled"},
		"the client is closed": {use: func(t *testing.T, c *Client) {
			r, err := c.DoGet(t.Context(), &Ticket{})
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			if _, err := r.Read(); !errors.Is(err, ErrCancelled) && !errors.Is(err, ErrUnavailable) {
				t.Errorf("reading on gave %v", err)
			}
		}, want: "unavailable or cancelled"},
		"a header cannot be sent": {use: func(t *testing.T, c *Client) {
			if _, err := c.DoGet(t.Context(), &Ticket{}, WithHeader("x-word", "two\nlines")); !errors.Is(err, ErrInternal) {
				t.Errorf("ended with %v", err)
			}
		}, want: "internal"},
		"credentials would go in plain text": {use: func(t *testing.T, c *Client) {
			if _, err := c.DoGet(t.Context(), &Ticket{}, WithHeader("authorization", "Bearer x")); !errors.Is(err, ErrUnauthenticated) {
				t.Errorf("ended with %v", err)
			}
		}, want: "unauthenticated"},
	} {
		t.Run(name, func(t *testing.T) {
			var d diary
			client := connect(t, start(t, forever, ServerOptions{}), ClientOptions{Middleware: []ClientMiddlewareFactory{&clientMiddleware{name: "it", diary: &d}}})
			test.use(t, client)
			eventually(t, "the end is told", func() bool { return len(d.read()) >= 2 })
			got := d.read()
			if end, told := strings.CutPrefix(got[1], "it ends "); len(got) != 2 || !told || !strings.Contains(test.want, end) {
				t.Errorf("got %q, want one end: %s", got, test.want)
			}
		})
	}
	t.Run("a sequence is not read to its end", func(t *testing.T) {
		var d diary
		client := connect(t, start(t, answers("a", "b", "c"), ServerOptions{}), ClientOptions{Middleware: []ClientMiddlewareFactory{&clientMiddleware{name: "it", diary: &d}}})
		for range client.DoAction(t.Context(), "any", nil) {
			break
		}
		eventually(t, "the end is told", func() bool { return len(d.read()) >= 2 })
		if got := d.read(); len(got) != 2 || got[1] != "it ends cancelled" {
			t.Errorf("got %q, want one end: cancelled", got)
		}
	})
	t.Run("it is read beyond its end", func(t *testing.T) {
		var d diary
		server := start(t, allWell, ServerOptions{})
		client := connect(t, server, ClientOptions{Middleware: []ClientMiddlewareFactory{&clientMiddleware{name: "it", diary: &d}}})
		r, err := client.DoGet(t.Context(), &Ticket{})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := drain(r); n != 1 || err != nil {
			t.Fatalf("read %d chunks, %v", n, err)
		}
		r.Cancel()
		if _, err := r.Read(); !errors.Is(err, io.EOF) {
			t.Errorf("reading on gave %v", err)
		}
		if got := d.read(); len(got) != 2 || got[1] != "it ends well" {
			t.Errorf("got %q, want one end: well", got)
		}
	})
}

// answering is middleware that answers handshakes, in which clients say their names.
type answering struct{ fail bool }

func (a answering) StartCall(_ context.Context, call *Call) (ServerMiddleware, error) {
	if call.Method() != MethodHandshake {
		call.SetPeerIdentity(strings.Join(call.Headers().Get(headerAuthToken), ""))
	}
	return nil, nil //nolint:nilnil // no part in the call
}

func (a answering) AnswerHandshake(_ context.Context, conversation AuthConversation) error {
	name, err := conversation.Read()
	if err != nil || a.fail {
		return errors.Join(err, errors.New("you are not on the list"))
	}
	return errors.Join(conversation.Write([]byte("what is 2 x 3?")), justRead(conversation), conversation.Write(name))
}

func justRead(conversation AuthConversation) error {
	_, err := conversation.Read()
	return err
}

func TestMiddlewareAnswersHandshakes(t *testing.T) {
	service, who := identities()
	options := func(factories ...ServerMiddlewareFactory) ServerOptions {
		o := insecureServer
		for _, f := range factories {
			o.Middleware = append(o.Middleware, NamedServerMiddleware{Name: "one", Factory: f})
		}
		return o
	}
	none := ServerMiddlewareFunc(func(context.Context, *Call) (ServerMiddleware, error) { return nil, nil })
	for name, o := range map[string]ServerOptions{"alone": options(answering{}), "after others, before others": options(none, answering{}, answering{fail: true})} {
		t.Run(name, func(t *testing.T) {
			client := connect(t, start(t, service, o), insecureClient)
			if err := client.Authenticate(t.Context(), &solver{name: "ada", answer: "6"}); err != nil {
				t.Fatal(err)
			}
			if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); err != nil {
				t.Fatal(err)
			}
			if got := <-who; got != "ada" {
				t.Errorf("the call is %q's, want ada's", got)
			}
		})
	}
	t.Run("it refuses", func(t *testing.T) {
		err := connect(t, start(t, service, options(answering{fail: true})), insecureClient).Authenticate(t.Context(), &solver{name: "ada"})
		if !errors.Is(err, ErrUnauthenticated) || !strings.Contains(err.Error(), "you are not on the list") {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("an auth handler comes before it", func(t *testing.T) {
		o := options(answering{fail: true})
		o.Auth = riddle{}
		if err := connect(t, start(t, service, o), insecureClient).Authenticate(t.Context(), &solver{name: "ada", answer: "6"}); err != nil {
			t.Error(err)
		}
	})
}
