package scenarios

import (
	"context"
	"errors"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/session"
)

// authBasicProto is the scenario auth:basic_proto: a handshake with a message BasicAuth, then a token on each call.
func authBasicProto() Scenario {
	validate := func(_ context.Context, name, password string) (string, error) {
		if name != "arrow" || password != "flight" {
			return "", errors.New("expected arrow and flight")
		}
		return name, nil
	}
	return Scenario{Name: "auth:basic_proto", Service: whoami{}, Options: flightruntime.ServerOptions{
		Auth:         flightruntime.NewBasicAuth(validate, nil),
		InsecureAuth: flightruntime.AllowInsecureAuth, // the scenario is in plain text
	}}
}

// whoami answers every action with the caller's identity.
type whoami struct{ flightruntime.BaseService }

// DoAction takes any action.
func (whoami) DoAction(ctx context.Context, _ *flightruntime.Action) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		yield([]byte(flightruntime.CallOf(ctx).PeerIdentity()), nil)
	}
}

const middlewareHeader = "x-middleware"

// middleware is the scenario of that name: a header comes back, on a call that fails too.
func middleware() Scenario {
	back := flightruntime.ServerMiddlewareFunc(func(_ context.Context, call *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
		return headersBack{metadata.MD{middlewareHeader: call.Headers().Get(middlewareHeader)}}, nil
	})
	return Scenario{Name: "middleware", Service: sometimes{}, Options: flightruntime.ServerOptions{
		Middleware: []flightruntime.NamedServerMiddleware{{Name: "back", Factory: back}},
	}}
}

type headersBack struct{ headers metadata.MD }

func (m headersBack) SendingHeaders() metadata.MD { return m.headers }
func (headersBack) CallCompleted(error)           {}

// sometimes fails on every command but "success".
type sometimes struct{ flightruntime.BaseService }

// GetFlightInfo takes the command "success".
func (sometimes) GetFlightInfo(_ context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	if !isCommand(d, "success") {
		return nil, flightruntime.Errorf(flightruntime.KindServer, "expected the command success, got the descriptor %s", d)
	}
	e := endpoint("foo")
	e.Location = []*flight.Location{{Uri: "grpc+tcp://localhost:10010"}}
	return flightInfo(arrow.NewSchema(nil, nil), d, e), nil
}

// sessionOptions is the scenario session_options: any option is taken, but one name and one value.
func sessionOptions() Scenario {
	const invalid = "lol_invalid"
	sessions := session.New(session.Settings{Check: func(_ context.Context, name string, value any) error {
		switch {
		case name == invalid:
			return session.ErrInvalidName
		case value == invalid:
			return session.ErrInvalidValue
		}
		return nil
	}})
	return Scenario{Name: "session_options", Service: sessionService{}, Options: flightruntime.ServerOptions{
		Middleware: []flightruntime.NamedServerMiddleware{{Name: "session", Factory: sessions}},
	}}
}

type sessionService struct{ flightruntime.BaseService }

// DoAction takes the actions of sessions.
func (s sessionService) DoAction(ctx context.Context, asked *flightruntime.Action) iter.Seq2[[]byte, error] {
	if results, ok := session.DoAction(ctx, asked); ok {
		return results
	}
	return s.BaseService.DoAction(ctx, asked)
}
