package flightruntime

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"slices"
	"testing"

	"google.golang.org/grpc/metadata"
)

func TestCallTellsOfTheCallOnEachRPC(t *testing.T) {
	calls := make(chan *Call, 1)
	server := start(t, everyService{do: func(ctx context.Context) error {
		calls <- CallOf(ctx)
		return nil
	}}, ServerOptions{})
	client := connect(t, server, ClientOptions{})
	onEachCall(t, func(t *testing.T, method Method, call func(context.Context, *Client, ...CallOption) error) {
		err := call(t.Context(), client, WithHeader("X-Word", "one"), WithHeader("x-word", "two"), WithHeader("x-bytes-bin", "\x00\xff\n"))
		if err != nil {
			t.Fatal(err)
		}
		got := <-calls
		if got.Method() != method {
			t.Errorf("the method is %s", got.Method())
		}
		if host, port, err := net.SplitHostPort(got.Peer()); err != nil || host != "127.0.0.1" || port == "0" {
			t.Errorf("the peer is %q, want an address and a port", got.Peer())
		}
		if got.PeerIdentity() != "" || got.Middleware("none") != nil {
			t.Errorf("the peer is %q, with middleware %v: nobody has asked", got.PeerIdentity(), got.Middleware("none"))
		}
		if words := got.Headers().Get("x-word"); !slices.Equal(words, []string{"one", "two"}) {
			t.Errorf("the header of two values has %q", words)
		}
		if bin := got.Headers().Get("x-bytes-bin"); !slices.Equal(bin, []string{"\x00\xff\n"}) {
			t.Errorf("the binary header is %q", bin)
		}
	})
}

func TestContextsThatAreNoCallsHaveNone(t *testing.T) {
	if c := CallOf(t.Context()); c != nil {
		t.Errorf("got %v", c)
	}
}

// receivedHeaders is client middleware that keeps what it receives.
type receivedHeaders struct{ all []metadata.MD }

func (r *receivedHeaders) StartCall(context.Context, Method) ClientMiddleware { return r }
func (r *receivedHeaders) SendingHeaders() metadata.MD                        { return nil }
func (r *receivedHeaders) ReceivedHeaders(md metadata.MD)                     { r.all = append(r.all, md) }
func (r *receivedHeaders) CallCompleted(error)                                {}

// get are the values of a header in all that was received.
func (r *receivedHeaders) get(key string) (values []string) {
	for _, md := range r.all {
		values = append(values, md.Get(key)...)
	}
	return values
}

func TestServicesAddHeadersAndTrailersAlsoWhereTheyFail(t *testing.T) {
	for name, result := range map[string]error{"a call that goes well": nil, "a call that fails": Errorf(KindNotFound, "gone")} {
		t.Run(name, func(t *testing.T) {
			server := start(t, everyService{do: func(ctx context.Context) error {
				call := CallOf(ctx)
				if call.Method() != MethodDoAction { // which has sent its headers already
					if err := call.AddHeader("X-Header", "one", "two"); err != nil {
						return err
					}
				}
				return errors.Join(call.AddTrailer("x-trailer-bin", "\x00\xff"), result)
			}}, ServerOptions{})
			onEachCall(t, func(t *testing.T, method Method, call func(context.Context, *Client, ...CallOption) error) {
				var received receivedHeaders
				client := connect(t, server, ClientOptions{Middleware: []ClientMiddlewareFactory{&received}})
				if err := call(t.Context(), client); (err == nil) != (result == nil) {
					t.Fatalf("ended with %v", err)
				}
				if got := received.get("x-header"); method != MethodDoAction && !slices.Equal(got, []string{"one", "two"}) {
					t.Errorf("the header arrived as %q", got)
				}
				if got := received.get("x-trailer-bin"); !slices.Equal(got, []string{"\x00\xff"}) {
					t.Errorf("the trailer arrived as %q", got)
				}
			})
		})
	}
}

// actionService answers actions with a function that has the context.
type actionService struct {
	BaseService
	do func(ctx context.Context, a *Action) iter.Seq2[[]byte, error]
}

func (s actionService) DoAction(ctx context.Context, a *Action) iter.Seq2[[]byte, error] {
	return s.do(ctx, a)
}

func TestHeadersOfActionsAreAddedBeforeTheirResults(t *testing.T) {
	late := make(chan error, 1)
	server := start(t, actionService{do: func(ctx context.Context, _ *Action) iter.Seq2[[]byte, error] {
		early := CallOf(ctx).AddHeader("x-header", "early")
		return func(yield func([]byte, error) bool) {
			late <- CallOf(ctx).AddHeader("x-header", "late")
			yield(nil, early)
		}
	}}, ServerOptions{})
	var received receivedHeaders
	client := connect(t, server, ClientOptions{Middleware: []ClientMiddlewareFactory{&received}})
	if err := lastError(client.DoAction(t.Context(), "any", nil)); err != nil {
		t.Fatal(err)
	}
	if got := received.get("x-header"); !slices.Equal(got, []string{"early"}) {
		t.Errorf("the header arrived as %q", got)
	}
	if err := <-late; err == nil {
		t.Error("a header was taken that cannot be sent any more")
	}
}

func TestAClientThatIsGoneIsNoticedWithoutPolling(t *testing.T) {
	for name, leave := range map[string]func(client *Client, cancel, breakDown func()){
		"it cancels":                 func(_ *Client, cancel, _ func()) { cancel() },
		"it closes its connection":   func(client *Client, _, _ func()) { client.Close() },
		"its connection breaks down": func(_ *Client, _, breakDown func()) { breakDown() },
	} {
		t.Run(name, func(t *testing.T) {
			onEachCall(t, func(t *testing.T, _ Method, call func(context.Context, *Client, ...CallOption) error) {
				begun, ended := make(chan struct{}), make(chan bool, 1)
				server := start(t, everyService{do: func(ctx context.Context) error {
					if CallOf(ctx).IsCancelled() {
						t.Error("the call is cancelled before it is")
					}
					close(begun)
					<-ctx.Done()
					ended <- CallOf(ctx).IsCancelled()
					return ctx.Err()
				}}, ServerOptions{})
				location, breakDown := relay(t, server)
				client, err := Connect(location, ClientOptions{})
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				over := make(chan error, 1)
				go func() { over <- call(ctx, client) }()
				<-begun
				leave(client, cancel, breakDown)
				if !<-ended {
					t.Error("the context is done, and IsCancelled is false")
				}
				if err := <-over; err == nil {
					t.Error("the client's call went well")
				}
				eventually(t, "the call is counted out", func() bool { return server.ActiveCalls() == 0 })
			})
		})
	}
}

func TestADeadlineThatPassesIsNoticedWithoutPolling(t *testing.T) {
	onEachCall(t, func(t *testing.T, _ Method, call func(context.Context, *Client, ...CallOption) error) {
		begun, ended := make(chan struct{}, 1), make(chan bool, 1)
		server := start(t, everyService{do: func(ctx context.Context) error {
			begun <- struct{}{}
			<-ctx.Done()
			ended <- CallOf(ctx).IsCancelled()
			return ctx.Err()
		}}, ServerOptions{})
		client := connect(t, server, ClientOptions{})
		for timeout := timeoutOfTests; ; timeout *= 2 { // on a busy machine the call may not get to the server in time
			if err := call(t.Context(), client, WithTimeout(timeout)); err == nil {
				t.Error("the client's call went well")
			}
			if len(begun) > 0 {
				break
			}
		}
		if !<-ended {
			t.Error("the context is done, and IsCancelled is false")
		}
	})
}

// relay is a location whose one connection goes on to a server, until it breaks down.
func relay(t *testing.T, server *Server) (location string, breakDown func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 2)
	go func() {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		defer near.Close()
		far, err := net.Dial("tcp", server.Location().address())
		if err != nil {
			t.Error(err)
			return
		}
		defer far.Close()
		conns <- near
		conns <- far
		go io.Copy(near, far)
		io.Copy(far, near)
	}()
	t.Cleanup(func() { listener.Close() })
	return "grpc://" + listener.Addr().String(), func() {
		(<-conns).Close()
		(<-conns).Close()
	}
}

// completion is middleware that notes how its calls ended.
type completion func(error)

func (completion) SendingHeaders() metadata.MD { return nil }
func (c completion) CallCompleted(err error)   { c(err) }

func TestOnEndIsToldOnEachPath(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func() error
		want error
	}{
		"a call that is answered": {func() error { return nil }, nil},
		"one that is refused":     {func() error { return Errorf(KindNotFound, "no") }, ErrNotFound},
		"one that panics":         {func() error { panic("on purpose") }, ErrInternal},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan string, 4)
			var call *Call
			server := start(t, everyService{do: func(ctx context.Context) error {
				call = CallOf(ctx)
				call.OnEnd(func() {
					if ctx.Err() == nil {
						told <- "before the context ended"
					}
					told <- "first"
				})
				call.OnEnd(func() { told <- "second" })
				return tt.do()
			}}, ServerOptions{Logger: slog.New(slog.DiscardHandler), Middleware: []NamedServerMiddleware{{Name: "told", Factory: ServerMiddlewareFunc(
				func(context.Context, *Call) (ServerMiddleware, error) {
					return completion(func(error) { told <- "middleware" }), nil
				})}}})
			_, err := connect(t, server, ClientOptions{}).GetFlightInfo(t.Context(), DescriptorForPath("x"))
			if !errors.Is(err, tt.want) {
				t.Fatalf("the call ended with %v, want %v", err, tt.want)
			}
			for _, want := range []string{"middleware", "first", "second"} {
				if got := <-told; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			call.OnEnd(func() { told <- "late" })
			if got := <-told; got != "late" {
				t.Errorf("after the end, got %q", got)
			}
		})
	}
}
