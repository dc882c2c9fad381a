package flightruntime_test

import (
	"context"
	"fmt"
	"iter"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// cookieService answers every action with the cookies that came with it, and sets one.
type cookieService struct{ flightruntime.BaseService }

func (cookieService) DoAction(ctx context.Context, _ *flightruntime.Action) iter.Seq2[[]byte, error] {
	call := flightruntime.CallOf(ctx)
	err := call.AddHeader("set-cookie", "visitor=ada; Max-Age=3600")
	return func(yield func([]byte, error) bool) {
		yield(fmt.Appendf(nil, "cookies: %q", call.Headers().Get("cookie")), err)
	}
}

// A client that keeps the cookies which a server sets.
func ExampleNewCookieMiddleware() {
	server, err := flightruntime.NewServer("grpc://127.0.0.1:0", cookieService{}, flightruntime.ServerOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	server.Start()
	defer server.Shutdown(context.Background())

	client, err := flightruntime.Connect(server.Location().String(), flightruntime.ClientOptions{
		Middleware: []flightruntime.ClientMiddlewareFactory{flightruntime.NewCookieMiddleware()},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	for range 2 {
		for answer, err := range client.DoAction(context.Background(), "cookies", nil) {
			fmt.Println(string(answer), err)
		}
	}
	// Output:
	// cookies: [] <nil>
	// cookies: ["visitor=ada"] <nil>
}
