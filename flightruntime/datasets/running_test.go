package datasets

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestACancelledQueryEndsItsCallsAndNoOthers(t *testing.T) {
	r := newRunning(time.Now)
	first, err := r.begin(t.Context(), "q1")
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.begin(t.Context(), "q1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := r.begin(t.Context(), "q2")
	if err != nil {
		t.Fatal(err)
	}
	r.cancel("q1", time.Now().Add(time.Minute))
	for _, ctx := range []context.Context{first, second} {
		if !errors.Is(context.Cause(ctx), errQueryCancelled) {
			t.Errorf("a call of the query ends because of %v", context.Cause(ctx))
		}
	}
	if other.Err() != nil {
		t.Error("a call of another query has ended")
	}
	if _, err := r.begin(t.Context(), "q1"); !errors.Is(err, errQueryCancelled) {
		t.Errorf("a new call of the query: %v", err)
	}
}

func TestCallsThatHaveEndedAreForgotten(t *testing.T) {
	r := newRunning(time.Now)
	call, end := context.WithCancel(t.Context())
	if _, err := r.begin(call, "q1"); err != nil {
		t.Fatal(err)
	}
	end()
	for { // context.AfterFunc has a goroutine of its own
		r.mu.Lock()
		left := len(r.calls)
		r.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the call is still known")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestCancelledQueriesAreForgottenOnceTheirTicketsHaveExpired(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r := newRunning(func() time.Time { return now })
	r.cancel("old", now.Add(time.Minute))
	now = now.Add(2 * time.Minute)
	r.cancel("new", now.Add(time.Minute))
	if r.isCancelled("old") || !r.isCancelled("new") {
		t.Errorf("%v are remembered, want new alone", r.order)
	}
	for i := range maxCancelled + 1 {
		r.cancel(fmt.Sprint(i), now.Add(time.Minute))
	}
	if len(r.cancelled) > maxCancelled || len(r.order) != len(r.cancelled) || r.isCancelled("new") || !r.isCancelled(fmt.Sprint(maxCancelled)) {
		t.Errorf("%d queries are remembered, want the newest %d", len(r.cancelled), maxCancelled)
	}
}
