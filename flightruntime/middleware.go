package flightruntime

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// NamedServerMiddleware is a factory of middleware under the name that Call.Middleware finds it by.
type NamedServerMiddleware struct {
	Name    string
	Factory ServerMiddlewareFactory
}

// ServerMiddlewareFactory makes a middleware for each call, on every RPC: pyarrow's ServerMiddlewareFactory.
type ServerMiddlewareFactory interface {
	// StartCall begins a call, whose Headers and Method it may look at. A middleware of nil has no part in it. An error refuses the call:
	// the service does not see it, and the middleware that began before is told.
	StartCall(ctx context.Context, call *Call) (ServerMiddleware, error)
}

// ServerMiddleware follows one call. If it also has a method Context(context.Context) context.Context, that makes the context that the
// service, and the middleware after it, get; see ServerTraceContext.
type ServerMiddleware interface {
	// SendingHeaders are headers to add to the answer. It is called once, right after StartCall.
	SendingHeaders() metadata.MD
	// CallCompleted tells how the call ended: nil, or the error that the client gets. It is called once, on every path: also where a later
	// middleware refuses the call, the service panics, or the client is gone. The middleware that began last is told first.
	CallCompleted(err error)
}

// CredentialTaker is a factory of middleware that has clients send what others must not see, such as passwords and tokens. A server that
// has one refuses to listen without TLS; see ServerOptions.InsecureAuth.
type CredentialTaker interface {
	ServerMiddlewareFactory
	// TakesCredentials is true where the middleware, as it is configured, takes credentials.
	TakesCredentials() bool
}

// HandshakeMiddleware is a factory of middleware that also answers handshakes, where the server has no auth handler. The first one that a
// server has answers.
type HandshakeMiddleware interface {
	ServerMiddlewareFactory
	// AnswerHandshake negotiates with a client, after StartCall: ServerAuthHandler.Authenticate for middleware.
	AnswerHandshake(ctx context.Context, conversation AuthConversation) error
}

// ServerMiddlewareFunc is a factory that is a function.
type ServerMiddlewareFunc func(ctx context.Context, call *Call) (ServerMiddleware, error)

// StartCall calls the function.
func (f ServerMiddlewareFunc) StartCall(ctx context.Context, call *Call) (ServerMiddleware, error) {
	return f(ctx, call)
}

// startedMiddleware is the middleware of one call that has begun.
type startedMiddleware struct {
	started []ServerMiddleware
	ctx     context.Context // what they have made of the call's
}

// start begins a call's middleware, up to the first that refuses it.
func (s *startedMiddleware) start(call *Call, factories []NamedServerMiddleware) error {
	s.started = make([]ServerMiddleware, 0, len(factories))
	call.expectMiddleware(len(factories))
	for _, f := range factories {
		m, err := f.Factory.StartCall(s.ctx, call)
		if err != nil {
			return err
		}
		if m == nil {
			continue
		}
		s.started = append(s.started, m)
		call.addMiddleware(f.Name, m)
		for key, values := range m.SendingHeaders() {
			if err := call.AddHeader(key, values...); err != nil {
				return err
			}
		}
		if c, ok := m.(interface {
			Context(context.Context) context.Context
		}); ok {
			s.ctx = c.Context(s.ctx)
		}
	}
	return nil
}
