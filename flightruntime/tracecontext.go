package flightruntime

import (
	"context"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
)

// Headers of W3C Trace Context (https://www.w3.org/TR/trace-context/).
const (
	headerTraceParent = "traceparent"
	headerTraceState  = "tracestate"
)

// ServerTraceContext takes the trace that a call is part of from its headers traceparent and tracestate (W3C Trace Context), as pyarrow's
// TracingServerMiddlewareFactory does: the context that the service gets has it as its remote span. A span that the service starts there
// with OpenTelemetry is a child of the caller's; go.opentelemetry.io/otel/trace.SpanContextFromContext tells the ids. Headers that are
// malformed are passed over, as the specification says. A context that has a span already, as with OpenTelemetry's own gRPC
// instrumentation, stays as it is.
func ServerTraceContext() ServerMiddlewareFactory {
	return ServerMiddlewareFunc(func(ctx context.Context, call *Call) (ServerMiddleware, error) {
		if trace.SpanContextFromContext(ctx).IsValid() {
			return nil, nil //nolint:nilnil // no part in the call
		}
		return serverTrace{call.Headers()}, nil
	})
}

type serverTrace struct{ headers metadata.MD }

func (serverTrace) SendingHeaders() metadata.MD { return nil }

func (serverTrace) CallCompleted(error) {}

func (t serverTrace) Context(ctx context.Context) context.Context {
	return propagation.TraceContext{}.Extract(ctx, traceCarrier(t.headers))
}

// ClientTraceContext sends the trace that a call's context is part of in its headers traceparent and tracestate (W3C Trace Context), so
// that spans of the server are children of the context's. Calls whose context has no span, or that have the header from elsewhere, go as
// they are.
func ClientTraceContext() ClientMiddlewareFactory {
	return ClientMiddlewareFunc(func(ctx context.Context, _ Method) ClientMiddleware {
		if sent, _ := metadata.FromOutgoingContext(ctx); len(sent.Get(headerTraceParent)) > 0 {
			return nil
		}
		headers := metadata.MD{}
		propagation.TraceContext{}.Inject(ctx, traceCarrier(headers))
		if len(headers) == 0 {
			return nil
		}
		return clientTrace{headers}
	})
}

type clientTrace struct{ headers metadata.MD }

func (t clientTrace) SendingHeaders() metadata.MD { return t.headers }

func (clientTrace) ReceivedHeaders(metadata.MD) {}

func (clientTrace) CallCompleted(error) {}

// traceCarrier gives OpenTelemetry the headers of a call.
type traceCarrier metadata.MD

var _ propagation.TextMapCarrier = traceCarrier{}

// Get is the value of a header. There is one traceparent, and of several none is to be believed; several tracestates are one list.
func (c traceCarrier) Get(key string) string {
	values := metadata.MD(c).Get(key)
	switch {
	case len(values) == 1:
		return values[0]
	case key == headerTraceState:
		return strings.Join(values, ",")
	default:
		return ""
	}
}

// Set sets a header.
func (c traceCarrier) Set(key, value string) { metadata.MD(c).Set(key, value) }

// Keys are the names of the headers.
func (c traceCarrier) Keys() []string { return slices.Sorted(maps.Keys(c)) }
