package flightruntime

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/flight-operator/flight-operator/internal/text"
)

// serviceName is Flight's service in Flight.proto; flightMethods is how the full names of its methods start. Calls of gRPC's own health
// and reflection services are not counted.
const (
	serviceName   = "arrow.flight.protocol.FlightService"
	flightMethods = "/" + serviceName + "/"
)

// callCounter counts running Flight calls.
type callCounter struct{ n atomic.Int64 }

func (c *callCounter) active() int { return int(c.n.Load()) }

// callGuard stands around every call: it counts, turns panics into INTERNAL, and keeps refusals within what a trailer carries.
type callGuard struct {
	calls   *callCounter
	log     *slog.Logger
	observe func(method string, err error, took time.Duration)
}

func (g callGuard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	err = g.run(ctx, info.FullMethod, func() error {
		resp, err = handler(ctx, req)
		return err
	})
	return resp, err
}

func (g callGuard) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return g.run(stream.Context(), info.FullMethod, func() error { return handler(srv, stream) })
}

func (g callGuard) run(ctx context.Context, fullMethod string, call func() error) (err error) {
	method, isFlight := strings.CutPrefix(fullMethod, flightMethods)
	if isFlight {
		g.calls.n.Add(1)
	}
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			g.log.ErrorContext(ctx, "panic in a call", "method", method, "panic", p, "stack", string(debug.Stack()))
			err = errFailed
		}
		var inRuntime runtime.Error // a panic that a library has made an error of
		if errors.As(err, &inRuntime) {
			g.log.ErrorContext(ctx, "panic in a call", "method", method, "panic", err)
			err = errFailed
		}
		err = refusal(ctx, err)
		if !isFlight {
			return
		}
		g.calls.n.Add(-1)
		if g.observe != nil {
			g.observe(method, err, time.Since(start))
		}
	}()
	return call()
}

// errFailed is what a client hears of a panic: its text is for the log.
var errFailed = status.Error(codes.Internal, "the server failed on this call; its log says why")

// maxRefusal keeps the message of a refusal within a trailer: clients take 8 KiB of headers, in which a byte may take three.
const maxRefusal = 2 << 10

// refusal is the gRPC status of a call's error: of what is not a status yet, INTERNAL, or what the context says.
func refusal(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	switch {
	case ok && text.Cut(s.Message(), maxRefusal) == s.Message():
		return err
	case ok:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		s = status.FromContextError(err)
	case ctx.Err() != nil:
		s = status.FromContextError(ctx.Err())
	default:
		s = status.New(codes.Internal, err.Error())
	}
	return status.Error(s.Code(), text.Cut(s.Message(), maxRefusal))
}

// boundCalls gives every call a deadline. It has to be set before the stream exists, for only then does it end a write too that waits for
// a client which does not read.
func boundCalls(longest time.Duration) tap.ServerInHandle {
	return func(ctx context.Context, _ *tap.Info) (context.Context, error) {
		bound, cancel := context.WithTimeout(ctx, longest)
		context.AfterFunc(ctx, cancel)
		return bound, nil
	}
}
