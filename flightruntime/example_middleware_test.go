package flightruntime_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// passes lets calls in that have a pass, and answers with how it knows them.
type passes struct{}

// StartCall refuses calls without a pass. The service does not see them.
func (passes) StartCall(_ context.Context, call *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
	shown := call.Headers().Get("x-pass")
	if len(shown) == 0 {
		return nil, flightruntime.Errorf(flightruntime.KindUnauthenticated, "expected the header x-pass")
	}
	call.SetPeerIdentity("bearer of " + shown[0])
	return &passMiddleware{passes: shown}, nil
}

// TakesCredentials makes servers refuse to take passes in plain text.
func (passes) TakesCredentials() bool { return true }

// passMiddleware follows one call.
type passMiddleware struct{ passes []string }

// SendingHeaders go with the answer, also where it is an error.
func (m *passMiddleware) SendingHeaders() metadata.MD {
	return metadata.MD{"x-seen": m.passes, "x-digest-bin": {"\x00\xff"}}
}

// CallCompleted hears how the call ended.
func (m *passMiddleware) CallCompleted(err error) { fmt.Println("server: ended with", err) }

// guardedService knows its middleware by name.
type guardedService struct{ flightruntime.BaseService }

func (guardedService) GetSchema(ctx context.Context, _ *flightruntime.FlightDescriptor) (*arrow.Schema, error) {
	call := flightruntime.CallOf(ctx)
	fmt.Println("server:", call.PeerIdentity(), len(call.Middleware("passes").(*passMiddleware).passes))
	return tides, nil
}

// Middleware of a server sees each call first: it reads and sends headers, refuses calls, tells who calls.
func ExampleServerMiddlewareFactory() {
	location, stop := serve(guardedService{}, flightruntime.ServerOptions{
		Middleware:   []flightruntime.NamedServerMiddleware{{Name: "passes", Factory: passes{}}},
		InsecureAuth: flightruntime.AllowInsecureAuth, // on loopback
	})
	defer stop()
	client, err := flightruntime.Connect(location, flightruntime.ClientOptions{})
	must(err)
	defer client.Close()

	d := flightruntime.DescriptorForPath("Dover")
	_, err = client.GetSchema(context.Background(), d, flightruntime.WithHeader("x-pass", "red"), flightruntime.WithHeader("x-pass", "blue"))
	must(err)
	_, err = client.GetSchema(context.Background(), d)
	fmt.Println("client:", err)
	// Output:
	// server: bearer of red 2
	// server: ended with <nil>
	// client: flight: unauthenticated: expected the header x-pass
}

// wallet shows passes, and tells what comes back.
type wallet struct{ passes []string }

// StartCall begins a call.
func (w wallet) StartCall(_ context.Context, method flightruntime.Method) flightruntime.ClientMiddleware {
	return &walletMiddleware{method: method, passes: w.passes}
}

// walletMiddleware follows one call.
type walletMiddleware struct {
	method flightruntime.Method
	passes []string
}

func (m *walletMiddleware) SendingHeaders() metadata.MD { return metadata.MD{"x-pass": m.passes} }

func (m *walletMiddleware) ReceivedHeaders(headers metadata.MD) {
	if seen := headers.Get("x-seen"); seen != nil {
		fmt.Printf("client: %s was let in by %s, digest %x\n", m.method, seen, headers.Get("x-digest-bin"))
	}
}

func (m *walletMiddleware) CallCompleted(err error) {
	fmt.Println("client: not served:", errors.Is(err, flightruntime.ErrNotImplemented))
}

// Middleware of a client sends headers with each call and sees those that come back, also with calls that fail.
func ExampleClientMiddlewareFactory() {
	location, stop := serve(guardedService{}, flightruntime.ServerOptions{
		Middleware:   []flightruntime.NamedServerMiddleware{{Name: "passes", Factory: passes{}}},
		InsecureAuth: flightruntime.AllowInsecureAuth, // on loopback
	})
	defer stop()
	client, err := flightruntime.Connect(location, flightruntime.ClientOptions{
		Middleware: []flightruntime.ClientMiddlewareFactory{wallet{passes: []string{"red", "blue"}}},
	})
	must(err)
	defer client.Close()

	_, _ = client.ListActions(context.Background())
	// Output:
	// server: ended with flight: not implemented: this server has no ListActions
	// client: ListActions was let in by [red blue], digest [00ff]
	// client: not served: true
}
