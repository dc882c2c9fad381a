package flightruntime

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
)

// spanOf is a span's ids and state, as a tracer makes them.
func spanOf(t *testing.T, state string) trace.SpanContext {
	t.Helper()
	traceID, err := trace.TraceIDFromHex("4bf92f3577b34da6a3ce929d0e0e4736")
	if err != nil {
		t.Fatal(err)
	}
	spanID, err := trace.SpanIDFromHex("00f067aa0ba902b7")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := trace.ParseTraceState(state)
	if err != nil {
		t.Fatal(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.FlagsSampled, TraceState: parsed})
}

// traced are the settings of a server that follows traces.
func traced() ServerOptions {
	return ServerOptions{Middleware: []NamedServerMiddleware{{Name: "trace", Factory: ServerTraceContext()}}}
}

func TestTracesGoFromTheClientsContextToTheServices(t *testing.T) {
	spans := make(chan trace.SpanContext, 1)
	server := start(t, everyService{do: func(ctx context.Context) error {
		spans <- trace.SpanContextFromContext(ctx)
		return nil
	}}, traced())
	client := connect(t, server, ClientOptions{Middleware: []ClientMiddlewareFactory{ClientTraceContext()}})
	span := spanOf(t, "vendor=value,other=1")
	onEachCall(t, func(t *testing.T, _ Method, call func(context.Context, *Client, ...CallOption) error) {
		if err := call(trace.ContextWithSpanContext(t.Context(), span), client); err != nil {
			t.Fatal(err)
		}
		got := <-spans
		if got.TraceID() != span.TraceID() || got.SpanID() != span.SpanID() || !got.IsSampled() || got.TraceState().String() != "vendor=value,other=1" {
			t.Errorf("the service has the span %v, want the client's", got)
		}
		if !got.IsRemote() {
			t.Error("the span is not remote")
		}
		if err := call(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		if got := <-spans; got.IsValid() {
			t.Errorf("without a span, the service has %v", got)
		}
	})
}

func TestTraceHeadersAreReadAsTheSpecificationSays(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for name, test := range map[string]struct {
		headers []CallOption
		valid   bool
		state   string
	}{
		"a parent":                 {[]CallOption{WithHeader("traceparent", parent)}, true, ""},
		"a parent and its state":   {[]CallOption{WithHeader("traceparent", parent), WithHeader("tracestate", "a=1")}, true, "a=1"},
		"a state of several lines": {[]CallOption{WithHeader("traceparent", parent), WithHeader("tracestate", "a=1"), WithHeader("tracestate", "b=2")}, true, "a=1,b=2"},
		"a state that is none":     {[]CallOption{WithHeader("traceparent", parent), WithHeader("tracestate", "====")}, true, ""},
		"a later version":          {[]CallOption{WithHeader("traceparent", "01"+parent[2:]+"-more")}, true, ""},
		"a state alone":            {[]CallOption{WithHeader("tracestate", "a=1")}, false, ""},
		"two parents":              {[]CallOption{WithHeader("traceparent", parent), WithHeader("traceparent", parent)}, false, ""},
		"a parent that is none":    {[]CallOption{WithHeader("traceparent", "00-xyz")}, false, ""},
		"a trace of zeroes":        {[]CallOption{WithHeader("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01")}, false, ""},
		"a forbidden version":      {[]CallOption{WithHeader("traceparent", "ff"+parent[2:])}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got trace.SpanContext
			server := start(t, everyService{do: func(ctx context.Context) error {
				got = trace.SpanContextFromContext(ctx)
				return nil
			}}, traced())
			if _, err := connect(t, server, ClientOptions{}).GetFlightInfo(t.Context(), DescriptorForPath("a"), test.headers...); err != nil {
				t.Fatal(err)
			}
			if got.IsValid() != test.valid || got.TraceState().String() != test.state {
				t.Errorf("got the span %v, state %q", got, got.TraceState())
			}
		})
	}
}

func TestTraceHeadersFromElsewhereStay(t *testing.T) {
	const parent = "00-11111111111111111111111111111111-2222222222222222-00"
	ctx := trace.ContextWithSpanContext(t.Context(), spanOf(t, ""))
	ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", parent)
	if m := ClientTraceContext().StartCall(ctx, MethodDoGet); m != nil {
		t.Errorf("it adds %v", m.SendingHeaders())
	}
	// Other instrumentation of the server has begun a span before.
	call, ctx := newCall(t.Context(), MethodDoGet, caller{}, metadata.Pairs("traceparent", parent))
	ctx = trace.ContextWithSpanContext(ctx, spanOf(t, ""))
	if m, err := ServerTraceContext().StartCall(ctx, call); m != nil || err != nil {
		t.Errorf("it replaces the span: %v, %v", m, err)
	}
}

func TestLogRecordsNameTheTrace(t *testing.T) {
	for name, do := range map[string]func(context.Context) error{
		"a panic":        func(context.Context) error { panic("own fault") },
		"a failed call":  func(context.Context) error { return errors.New("disk on fire") },
		"a library's":    func(context.Context) error { return libraryPanic() },
		"a refused call": func(context.Context) error { return Errorf(KindNotFound, "gone") },
	} {
		t.Run(name, func(t *testing.T) {
			var logs syncBuffer
			options := traced()
			options.Logger = slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
			client := connect(t, start(t, everyService{do: do}, options), ClientOptions{Middleware: []ClientMiddlewareFactory{ClientTraceContext()}})
			if _, err := client.GetFlightInfo(trace.ContextWithSpanContext(t.Context(), spanOf(t, "")), DescriptorForPath("a")); err == nil {
				t.Error("the call went well")
			}
			if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); err == nil {
				t.Error("the call went well")
			}
			lines := strings.Split(strings.TrimSpace(logs.String()), "\n")
			if len(lines) != 2 || !strings.Contains(lines[0], "traceId=4bf92f3577b34da6a3ce929d0e0e4736") || strings.Contains(lines[1], "traceId") {
				t.Errorf("logged %q, want the trace in the first of two", lines)
			}
		})
	}
}
