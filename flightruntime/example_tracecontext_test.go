package flightruntime_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/trace"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// tracedService is part of its callers' traces.
type tracedService struct{ flightruntime.BaseService }

func (tracedService) ListActions(ctx context.Context) ([]*flightruntime.ActionType, error) {
	// A span that OpenTelemetry's SDK starts with this context is a child of the caller's.
	caller := trace.SpanContextFromContext(ctx)
	fmt.Println("server:", caller.TraceID(), caller.IsRemote())
	return nil, nil
}

// Traces go from the client's context to the service's, as W3C Trace Context says.
func ExampleServerTraceContext() {
	location, stop := serve(tracedService{}, flightruntime.ServerOptions{
		Middleware: []flightruntime.NamedServerMiddleware{{Name: "trace", Factory: flightruntime.ServerTraceContext()}},
	})
	defer stop()
	client, err := flightruntime.Connect(location, flightruntime.ClientOptions{
		Middleware: []flightruntime.ClientMiddlewareFactory{flightruntime.ClientTraceContext()},
	})
	must(err)
	defer client.Close()

	// Where there is an SDK: ctx, span := otel.Tracer("tides").Start(ctx, "look up")
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0x4b, 15: 0x36}, SpanID: trace.SpanID{7: 0x01}})
	ctx := trace.ContextWithSpanContext(context.Background(), span)
	fmt.Println("client:", span.TraceID())
	_, err = client.ListActions(ctx)
	must(err)
	// Output:
	// client: 4b000000000000000000000000000036
	// server: 4b000000000000000000000000000036 true
}
