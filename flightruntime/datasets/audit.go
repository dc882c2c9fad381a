package datasets

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authn"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
	"github.com/flight-operator/flight-operator/internal/text"
)

// Decision is what became of a call's question whether it may.
type Decision string

// Values of Decision.
const (
	// DecisionAllow: the rules allowed it.
	DecisionAllow Decision = "allow"
	// DecisionDeny: they did not.
	DecisionDeny Decision = "deny"
	// DecisionUnauthenticated: it was not known who calls.
	DecisionUnauthenticated Decision = "unauthenticated"
	// DecisionNone: the call ended before the question, such as one that cannot be understood, or has none, such as ListActions.
	DecisionNone Decision = "none"
)

// AuditOptions say who is told of calls.
type AuditOptions struct {
	// Logger gets a record for each call, at level Info: identity, how it was authenticated, RPC, verb, action, dataset, decision, the indexes of
	// the rules that granted it, rows and bytes of record batches, code, duration, peer. It has no credentials, no filters, no data. nil: none.
	Logger *slog.Logger
	// Observe, if set, sees each call's method, verb (empty where there is none) and decision: for metrics. It is called by many goroutines.
	Observe func(method, verb string, decision Decision)
}

// auditName is the name of the audit's middleware.
const auditName = "audit"

// Audit is middleware that tells of each call when it has ended. It is to be the first: what it begins before, it sees refused too.
func Audit(options AuditOptions) flightruntime.NamedServerMiddleware {
	return flightruntime.NamedServerMiddleware{Name: auditName, Factory: flightruntime.ServerMiddlewareFunc(
		func(_ context.Context, call *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
			return &record{options: options, call: call, begun: time.Now()}, nil
		},
	)}
}

// record is what the audit knows of a call. Its methods do nothing on nil: there is no audit.
type record struct {
	options AuditOptions
	call    *flightruntime.Call
	begun   time.Time

	mu       sync.Mutex
	id       *authn.Identity
	what     permit
	decision Decision
	rows     int64
	bytes    int64
}

type recordKey struct{}

func recordOf(ctx context.Context) *record {
	r, _ := ctx.Value(recordKey{}).(*record)
	return r
}

// Context makes the service find the record.
func (r *record) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, recordKey{}, r)
}

// SendingHeaders are none.
func (r *record) SendingHeaders() metadata.MD { return nil }

// calls notes who calls.
func (r *record) calls(id *authn.Identity) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.id = id
}

// decided notes what was decided. Of several decisions a refusal counts, or else the last.
func (r *record) decided(p permit, ok bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.decision == DecisionDeny {
		return
	}
	p.record = nil
	r.what, r.decision = p, DecisionAllow
	if !ok {
		r.decision = DecisionDeny
	}
}

// moved notes a batch that came or went.
func (r *record) moved(c wire.Chunk) {
	var rows, bytes int64
	switch {
	case r == nil:
		return
	case c.Batch != nil:
		rows, bytes = c.Batch.NumRows(), wire.BatchBytes(c.Batch)
	case c.Encoded != nil && c.Encoded.Rows > 0:
		rows, bytes = c.Encoded.Rows, int64(len(c.Encoded.Data))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows += rows
	r.bytes += bytes
}

// mostAudited bytes of a name that a caller sent stand in a record: more than any dataset's has.
const mostAudited = 256

// CallCompleted tells of the call.
func (r *record) CallCompleted(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	decision := r.decision
	switch {
	case decision != DecisionAllow && errors.Is(err, flightruntime.ErrUnauthenticated):
		decision = DecisionUnauthenticated
	case decision == "":
		decision = DecisionNone
	}
	method := string(r.call.Method())
	if r.options.Observe != nil {
		r.options.Observe(method, string(r.what.verb), decision)
	}
	if r.options.Logger == nil {
		return
	}
	attributes := []slog.Attr{
		slog.String("identity", r.call.PeerIdentity()),
		slog.String("method", method),
		slog.String("verb", string(r.what.verb)),
		slog.String("dataset", text.Cut(r.what.dataset, mostAudited)),
		slog.String("decision", string(decision)),
		slog.Any("rules", append([]int{}, r.what.grant.Rules()...)),
		slog.Int64("rows", r.rows),
		slog.Int64("bytes", r.bytes),
		slog.String("code", status.Code(err).String()),
		slog.Duration("duration", time.Since(r.begun)),
		slog.String("peer", r.call.Peer()),
	}
	if r.id != nil {
		attributes = append(attributes, slog.String("authenticatedBy", r.id.Method))
	}
	if r.what.action != "" {
		attributes = append(attributes, slog.String("action", text.Cut(r.what.action, mostAudited)))
	}
	r.options.Logger.LogAttrs(context.Background(), slog.LevelInfo, auditName, attributes...)
}
