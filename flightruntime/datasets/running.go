package datasets

import (
	"context"
	"sync"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// errQueryCancelled ends the calls of a query that somebody has cancelled.
var errQueryCancelled = flightruntime.Errorf(flightruntime.KindCancelled, "the query was cancelled by the action CancelFlightInfo: ask for the FlightInfo again")

// maxCancelled bounds what is remembered of cancelled queries. The oldest are forgotten first: their tickets work again until they expire.
const maxCancelled = 10_000

// running knows which queries' calls are running here, so that CancelFlightInfo can end them. It is a server's own: other replicas are told
// by the client, if it reads from them.
type running struct {
	now func() time.Time

	mu        sync.Mutex
	calls     map[string]map[*context.CancelCauseFunc]struct{}
	cancelled map[string]time.Time // and when their tickets expire
	order     []string             // of cancelled, oldest first
}

func newRunning(now func() time.Time) *running {
	return &running{now: now, calls: map[string]map[*context.CancelCauseFunc]struct{}{}, cancelled: map[string]time.Time{}}
}

// begin notes a call of a query until the call's context is done. The context returned is done, too, when the query is cancelled.
func (r *running) begin(call context.Context, id string) (context.Context, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, gone := r.cancelled[id]; gone {
		return nil, errQueryCancelled
	}
	ctx, cancel := context.WithCancelCause(call)
	if r.calls[id] == nil {
		r.calls[id] = map[*context.CancelCauseFunc]struct{}{}
	}
	r.calls[id][&cancel] = struct{}{}
	context.AfterFunc(call, func() {
		cancel(nil)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.calls[id], &cancel)
		if len(r.calls[id]) == 0 {
			delete(r.calls, id)
		}
	})
	return ctx, nil
}

func (r *running) isCancelled(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, gone := r.cancelled[id]
	return gone
}

// cancel ends the calls of a query and refuses those to come.
func (r *running) cancel(id string, expires time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for cancel := range r.calls[id] {
		(*cancel)(errQueryCancelled)
	}
	if _, known := r.cancelled[id]; known {
		return
	}
	for len(r.order) > 0 && (len(r.order) >= maxCancelled || r.cancelled[r.order[0]].Before(r.now())) {
		delete(r.cancelled, r.order[0])
		r.order = r.order[1:]
	}
	r.cancelled[id] = expires
	r.order = append(r.order, id)
}
