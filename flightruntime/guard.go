package flightruntime

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
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

// callGuard stands around every call: it counts, turns panics into INTERNAL, logs, and keeps refusals within what a trailer carries. Around
// a Flight call it puts what the call goes through before the service sees it: the auth handler, then the middleware.
type callGuard struct {
	calls      *callCounter
	log        *slog.Logger
	observe    func(method string, err error, took time.Duration)
	admission  admission
	auth       ServerAuthHandler
	middleware []NamedServerMiddleware
	stall      time.Duration
}

func (g callGuard) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return g.run(stream.Context(), info.FullMethod, func(ctx context.Context) error {
		return handler(srv, &callStream{ServerStream: stream, ctx: ctx, stall: g.stall})
	})
}

func (g callGuard) run(ctx context.Context, fullMethod string, handle func(context.Context) error) error {
	method, isFlight := strings.CutPrefix(fullMethod, flightMethods)
	headers, _ := metadata.FromIncomingContext(ctx) // a copy
	who, refused := g.admission.admit(ctx, Method(method), headers)
	if !isFlight {
		if refused != nil {
			return refused
		}
		return refusal(ctx, g.guarded(ctx, fullMethod, func() error { return handle(ctx) }))
	}
	start := time.Now()
	running := int64(1)
	if who.operator {
		running = 0
	}
	g.calls.n.Add(running)
	counted := func() {
		g.calls.n.Add(-running)
		running = 0
	}
	defer counted()
	call, ctx := newCall(ctx, Method(method), who, headers)
	defer func() {
		_ = g.guarded(ctx, method, func() error {
			call.end()
			return nil
		})
	}()
	err := refused
	if err == nil {
		err = g.through(ctx, call, handle)
	} else {
		err = g.conclude(ctx, call, err)
	}
	if trailers := extraInfoTrailers(err); trailers != nil {
		_ = grpc.SetTrailer(ctx, trailers) // the error goes without its extra info where the client is gone
	}
	counted() // whoever observes sees the call no more
	if g.observe != nil {
		_ = g.guarded(ctx, method, func() error {
			g.observe(method, err, time.Since(start))
			return nil
		})
	}
	return err
}

// through takes a call through the auth handler and the middleware to the service, and tells the middleware how it ended.
func (g callGuard) through(ctx context.Context, call *Call, handle func(context.Context) error) error {
	method := string(call.Method())
	middleware := startedMiddleware{ctx: ctx}
	err := g.guarded(ctx, method, func() error {
		if err := authenticated(ctx, call, g.auth); err != nil {
			return err
		}
		return middleware.start(call, g.middleware)
	})
	if err == nil {
		err = g.guarded(middleware.ctx, method, func() error { return handle(middleware.ctx) })
	}
	err = g.conclude(middleware.ctx, call, err)
	for _, m := range slices.Backward(middleware.started) {
		_ = g.guarded(middleware.ctx, method, func() error {
			m.CallCompleted(err)
			return nil
		})
	}
	return err
}

// guarded runs what may panic; its error is then errFailed.
func (g callGuard) guarded(ctx context.Context, method string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			g.log.ErrorContext(ctx, "panic in a call", logged(ctx, "method", method, "panic", p, "stack", string(debug.Stack()))...)
			err = errFailed
		}
	}()
	return f()
}

// conclude is what a call's error becomes for the client. It is logged: as an error if it is the server's, or else for those who debug.
func (g callGuard) conclude(ctx context.Context, call *Call, err error) error {
	if err == nil || errors.Is(err, errFailed) {
		return err
	}
	method := string(call.Method())
	var inRuntime runtime.Error // a panic that a library has made an error of
	if errors.As(err, &inRuntime) {
		g.log.ErrorContext(ctx, "panic in a call", logged(ctx, "method", method, "panic", err)...)
		return errFailed
	}
	err = refusal(call.ctx, err)
	level := slog.LevelDebug
	switch status.Code(err) { //nolint:exhaustive // the others say that the client, or nobody, is at fault
	case codes.Unknown, codes.Internal, codes.DataLoss:
		level = slog.LevelError
	}
	if g.log.Enabled(ctx, level) {
		g.log.Log(ctx, level, "call failed", logged(ctx, "method", method, "peer", call.Peer(), "error", err)...)
	}
	return err
}

// logged are the attributes of a log record, and the trace that the call is part of, if it is.
func logged(ctx context.Context, attributes ...any) []any {
	if s := trace.SpanContextFromContext(ctx); s.HasTraceID() {
		return append(attributes, "traceId", s.TraceID().String())
	}
	return attributes
}

// callStream is a stream whose context knows the call.
type callStream struct {
	grpc.ServerStream
	ctx   context.Context // what the middleware has made of ServerStream's
	stall time.Duration
	sent  bool // whether a message was
}

func (s *callStream) Context() context.Context { return s.ctx }

// SendMsg ends the call where the client reads nothing for too long: what it does not read is held in memory. It sends nothing once the call
// has ended: where a message fails, grpc-go tells the client what it makes of that itself, and not why.
func (s *callStream) SendMsg(m any) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	if s.stall <= 0 || !s.sent { // the first message waits for nobody: grpc-go takes it whatever its size
		s.sent = true
		return s.ServerStream.SendMsg(m)
	}
	cancel := cancelOf(s.ServerStream.Context())
	timer := time.AfterFunc(s.stall, func() {
		cancel(Errorf(KindTimedOut, "the client has read nothing for %s: it is too slow, or has stopped reading", s.stall))
	})
	defer timer.Stop()
	return s.ServerStream.SendMsg(m)
}

// errFailed is what a client hears of a panic: its text is for the log.
var errFailed = Errorf(KindInternal, "the server failed on this call; its log says why")

// maxRefusal keeps the message of a refusal within a trailer: clients take 8 KiB of headers, in which a byte may take three.
const maxRefusal = 2 << 10

// refusal is what a call's error becomes for the client: an *Error as it is, of anything else its gRPC status, INTERNAL, or what the
// context says.
func refusal(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if ctx.Err() != nil && errors.As(context.Cause(ctx), &e) {
		return e.fitting() // why we ended it ourselves
	}
	if errors.As(err, &e) {
		if _, bare := err.(*Error); !bare { //nolint:errorlint // what wraps it has more to say
			e = &Error{Kind: e.Kind, Message: err.Error(), ExtraInfo: e.ExtraInfo, cause: err}
		}
		return e.fitting()
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

// boundCalls gives every call a deadline, if longest is not 0, and a way to be cancelled. This has to be done before the stream exists,
// for only then does it end a write too that waits for a client which does not read. A call with a deadline of the client's ends a little
// earlier.
func boundCalls(longest time.Duration) tap.ServerInHandle {
	late := Errorf(KindTimedOut, "the call has taken longer than %s, which is as long as this server lets a call take", longest)
	return func(ctx context.Context, _ *tap.Info) (context.Context, error) {
		bound, cancel := context.WithCancelCause(ctx)
		// What is made of ctx ends with it, timers too, and grpc-go ends it when the call has ended.
		var end context.CancelFunc
		if deadline, ok := ctx.Deadline(); ok {
			lead := min(deadlineLead, max(time.Until(deadline), 0)/deadlineShare)
			bound, end = context.WithDeadline(bound, deadline.Add(-lead))
		}
		if longest > 0 {
			bound, end = context.WithTimeoutCause(bound, longest, late)
		}
		_ = end
		return context.WithValue(bound, cancelKey{}, cancel), nil
	}
}

// At the deadline, grpc-go resets the stream without a word, and a client that is a little late itself takes that for CANCELLED. A call
// ends earlier than that, with DEADLINE_EXCEEDED, by deadlineLead: many times what it takes to say so; of short times, by a share.
const (
	deadlineLead  = 20 * time.Millisecond
	deadlineShare = 10
)

type cancelKey struct{}

// cancelOf cancels a call.
func cancelOf(ctx context.Context) context.CancelCauseFunc {
	cancel, _ := ctx.Value(cancelKey{}).(context.CancelCauseFunc)
	return cancel
}
