package flightserver

import (
	"context"
	"encoding/json"
	"iter"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Names of middleware.
const (
	Greeting = "greeting"
	Headers  = "headers"
)

// Revealing shows what it knows of a call: by actions that are named after what they show.
type Revealing struct{ flightruntime.BaseService }

// DoAction shows one thing.
func (Revealing) DoAction(ctx context.Context, action *flightruntime.Action) iter.Seq2[[]byte, error] {
	call := flightruntime.CallOf(ctx)
	switch action.GetType() {
	case "headers":
		return asJSON(call.Headers())
	case "greeting":
		if m, ok := call.Middleware(Greeting).(*SendHeaders); ok {
			return asJSON(m.Greeting)
		}
		return asJSON(nil)
	case "trace":
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, carrier)
		return asJSON(carrier)
	case "identity":
		return results(call.PeerIdentity())
	case "method":
		return results(string(call.Method()))
	case "fail":
		return failing(flightruntime.Errorf(flightruntime.KindUnavailable, "asked to fail"))
	default:
		return failing(flightruntime.Errorf(flightruntime.KindNotImplemented, "there is no action %q", action.GetType()))
	}
}

// asJSON is a result; binary is in base64.
func asJSON(v any) iter.Seq2[[]byte, error] {
	if md, ok := v.(metadata.MD); ok {
		raw := map[string][][]byte{}
		for key, values := range md {
			for _, value := range values {
				raw[key] = append(raw[key], []byte(value))
			}
		}
		v = raw
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		return failing(err)
	}
	return results(string(encoded))
}

// GetFlightInfo adds headers and trailers.
func (Revealing) GetFlightInfo(ctx context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	call := flightruntime.CallOf(ctx)
	for key, value := range map[string]string{"x-ahead": "text", "x-ahead-bin": "\x00binary\xff"} {
		if err := call.AddHeader(key, value); err != nil {
			return nil, err
		}
	}
	for key, value := range map[string]string{"x-behind": "text", "x-behind-bin": "\x00binary\xff"} {
		if err := call.AddTrailer(key, value); err != nil {
			return nil, err
		}
	}
	return &flightruntime.FlightInfo{Schema: schemaBytes(arrow.NewSchema(nil, nil)), FlightDescriptor: d, TotalRecords: unknown, TotalBytes: unknown}, nil
}

// SendHeaders is middleware that answers with headers.
type SendHeaders struct {
	MD metadata.MD
	// Greeting is for the service to find.
	Greeting string
}

// SendingHeaders are the headers.
func (m *SendHeaders) SendingHeaders() metadata.MD { return m.MD }

// CallCompleted does nothing.
func (m *SendHeaders) CallCompleted(error) {}

// Sending is a factory of middleware that answers each call with the headers.
func Sending(md metadata.MD, greeting string) flightruntime.ServerMiddlewareFactory {
	return flightruntime.ServerMiddlewareFunc(func(context.Context, *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
		return &SendHeaders{MD: md, Greeting: greeting}, nil
	})
}

// Returning is a factory of middleware that answers each call with all the headers that came with it.
func Returning() flightruntime.ServerMiddlewareFactory {
	return flightruntime.ServerMiddlewareFunc(func(_ context.Context, call *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
		return &SendHeaders{MD: call.Headers()}, nil
	})
}

// Selective is a factory of middleware that refuses all calls but ListActions, unless they have the header "x-pass": "harbour".
func Selective() flightruntime.ServerMiddlewareFactory {
	return flightruntime.ServerMiddlewareFunc(func(_ context.Context, call *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
		pass := call.Headers().Get("x-pass")
		switch {
		case call.Method() == flightruntime.MethodListActions:
			return nil, nil //nolint:nilnil // no part in the call
		case len(pass) != 1 || pass[0] != "harbour":
			return nil, flightruntime.Errorf(flightruntime.KindUnauthenticated, "expected the header x-pass with the word, got %d of them", len(pass))
		default:
			return &SendHeaders{Greeting: "passed with " + pass[0]}, nil
		}
	})
}

// Recorder is a factory of middleware that records which methods were called, and how the calls ended.
type Recorder struct {
	mu      sync.Mutex
	methods []flightruntime.Method
	errors  []error
}

// StartCall begins to record a call.
func (r *Recorder) StartCall(_ context.Context, call *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.methods = append(r.methods, call.Method())
	return recording{r}, nil
}

// Methods are those that were called, and Errors how the calls ended.
func (r *Recorder) Methods() (methods []flightruntime.Method, errors []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.methods, r.errors
}

type recording struct{ *Recorder }

func (recording) SendingHeaders() metadata.MD { return nil }

func (r recording) CallCompleted(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, err)
}
