package session_test

import (
	"context"
	"fmt"
	"iter"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/session"
)

// service greets in the language of the session.
type service struct{ flightruntime.BaseService }

func (service) DoAction(ctx context.Context, asked *flightruntime.Action) iter.Seq2[[]byte, error] {
	if results, ok := session.DoAction(ctx, asked); ok {
		return results
	}
	greeting := "hello"
	if session.Of(ctx).Option("language") == "nl" {
		greeting = "hallo"
	}
	return func(yield func([]byte, error) bool) { yield([]byte(greeting), nil) }
}

func Example() {
	ctx := context.Background()
	sessions := session.New(session.Settings{Check: func(_ context.Context, name string, value any) error {
		switch {
		case name != "language":
			return session.ErrInvalidName
		case value != "en" && value != "nl":
			return session.ErrInvalidValue
		}
		return nil
	}})
	server, err := flightruntime.NewServer("grpc://127.0.0.1:0", service{}, flightruntime.ServerOptions{
		Middleware: []flightruntime.NamedServerMiddleware{{Name: "session", Factory: sessions}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server.Start()
	defer server.Shutdown(ctx)

	client, err := flightruntime.Connect(server.Location().String(), flightruntime.ClientOptions{
		Middleware: []flightruntime.ClientMiddlewareFactory{flightruntime.NewCookieMiddleware()},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	refused, err := session.SetOptions(ctx, client, map[string]any{"language": "nl", "colour": "blue"})
	fmt.Println("refused:", refused, err)
	options, err := session.GetOptions(ctx, client)
	fmt.Println("options:", options, err)
	for greeting, err := range client.DoAction(ctx, "greet", nil) {
		fmt.Println(string(greeting), err)
	}
	fmt.Println(session.Close(ctx, client))
	// Output:
	// refused: map[colour:the name of the session option is invalid] <nil>
	// options: map[language:nl] <nil>
	// hallo <nil>
	// <nil>
}
