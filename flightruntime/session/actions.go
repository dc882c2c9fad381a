package session

import (
	"context"
	"iter"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Action is one of the actions that sessions are used by.
type Action struct {
	Name, Description string
	// Run takes the body of the action and gives that of its one result. Cookies go with the headers of the answer, so it is to be called
	// before the first result is sent.
	Run func(ctx context.Context, body []byte) (result []byte, err error)
}

// Actions are the three of Flight.proto, for a Service that has a table of its own.
func Actions() []Action {
	return []Action{
		{
			flight.SetSessionOptionsActionType,
			"Set options of the session, or remove those without a value. The body is a SetSessionOptionsRequest, the result a SetSessionOptionsResult (Flight.proto). The session is a cookie.",
			setOptions,
		},
		{
			flight.GetSessionOptionsActionType,
			"The options of the session. The body is a GetSessionOptionsRequest, the result a GetSessionOptionsResult (Flight.proto).",
			getOptions,
		},
		{
			flight.CloseSessionActionType,
			"End the session. The body is a CloseSessionRequest, the result a CloseSessionResult (Flight.proto).",
			closeSession,
		},
	}
}

// DoAction answers an action, if it is one of the three. A Service calls it from its own DoAction, and not from the sequence that this
// returns: the headers have been sent by then.
func DoAction(ctx context.Context, asked *flightruntime.Action) (results iter.Seq2[[]byte, error], ok bool) {
	for _, a := range Actions() {
		if a.Name == asked.GetType() {
			result, err := a.Run(ctx, asked.GetBody())
			return func(yield func([]byte, error) bool) { yield(result, err) }, true
		}
	}
	return nil, false
}

// begun is the call's session, and its request.
func begun(ctx context.Context, name string, body []byte, request proto.Message) (*Session, error) {
	s := Of(ctx)
	if s == nil {
		return nil, flightruntime.Errorf(flightruntime.KindInternal, "%s needs a session.Manager among the server's middleware", name)
	}
	if len(body) > MaxRequestBytes {
		return nil, flightruntime.Errorf(flightruntime.KindOverLimit, "expected a message %sRequest of at most %d bytes, got %d", name, MaxRequestBytes, len(body))
	}
	if err := proto.Unmarshal(body, request); err != nil {
		return nil, flightruntime.Errorf(flightruntime.KindInvalid, "expected a message %sRequest of Flight.proto, got %d bytes that are none", name, len(body))
	}
	return s, nil
}

func setOptions(ctx context.Context, body []byte) ([]byte, error) {
	var request flight.SetSessionOptionsRequest
	s, err := begun(ctx, flight.SetSessionOptionsActionType, body, &request)
	if err != nil {
		return nil, err
	}
	options := s.current()
	refused := s.manager.apply(ctx, &options, request.GetSessionOptions())
	if err := s.store(options); err != nil {
		return nil, err
	}
	answer := &flight.SetSessionOptionsResult{Errors: map[string]*flight.SetSessionOptionsResultError{}}
	for name, err := range refused {
		answer.Errors[name] = &flight.SetSessionOptionsResultError{Value: errorValue(err)}
	}
	return proto.Marshal(answer)
}

// getOptions answers a client without a session that it has no options, as arrow-go does.
func getOptions(ctx context.Context, body []byte) ([]byte, error) {
	s, err := begun(ctx, flight.GetSessionOptionsActionType, body, &flight.GetSessionOptionsRequest{})
	if err != nil {
		return nil, err
	}
	if err := s.renew(); err != nil {
		return nil, err
	}
	return proto.Marshal(&flight.GetSessionOptionsResult{SessionOptions: s.current().values})
}

// closeSession makes the client forget its cookie. One that keeps it all the same has a session until it expires: the server remembers
// nothing.
func closeSession(ctx context.Context, body []byte) ([]byte, error) {
	s, err := begun(ctx, flight.CloseSessionActionType, body, &flight.CloseSessionRequest{})
	if err != nil {
		return nil, err
	}
	known, err := s.end()
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, flightruntime.Errorf(flightruntime.KindNotFound, "there is no session to close: it is not known or has expired, or the client sent no cookie %s", CookieName)
	}
	return proto.Marshal(&flight.CloseSessionResult{Status: flight.CloseSessionResultClosed})
}
