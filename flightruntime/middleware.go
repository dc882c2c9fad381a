package flightruntime

import (
	"context"

	"google.golang.org/grpc"
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
// service gets.
type ServerMiddleware interface {
	// SendingHeaders are headers to add to the answer. It is called once, right after StartCall.
	SendingHeaders() metadata.MD
	// CallCompleted tells how the call ended: nil, or the error that the client gets.
	CallCompleted(err error)
}

// ServerMiddlewareFunc is a factory that is a function.
type ServerMiddlewareFunc func(ctx context.Context, call *Call) (ServerMiddleware, error)

// StartCall calls the function.
func (f ServerMiddlewareFunc) StartCall(ctx context.Context, call *Call) (ServerMiddleware, error) {
	return f(ctx, call)
}

// withMiddleware runs a call inside of all middleware.
func withMiddleware(ctx context.Context, call *Call, factories []NamedServerMiddleware, handle func(context.Context) error) error {
	var started []ServerMiddleware
	ended := errFailed // what they hear where the service panics
	defer func() {
		for _, m := range started {
			m.CallCompleted(ended)
		}
	}()
	for _, f := range factories {
		m, err := f.Factory.StartCall(ctx, call)
		if err != nil {
			ended = refusal(ctx, err)
			return ended
		}
		if m == nil {
			continue
		}
		started = append(started, m)
		call.addMiddleware(f.Name, m)
		if headers := m.SendingHeaders(); len(headers) > 0 {
			if err := grpc.SetHeader(ctx, headers); err != nil {
				ended = refusal(ctx, err)
				return ended
			}
		}
		if c, ok := m.(interface {
			Context(context.Context) context.Context
		}); ok {
			ctx = c.Context(ctx)
		}
	}
	ended = handle(ctx)
	return ended
}
