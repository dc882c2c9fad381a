package ipcguard

import (
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Quota is an allocator that refuses, by a panic with a *QuotaError, what exceeds the limit of one step. Panics are the only way to refuse
// that an Allocator has; whoever decodes with it turns this one into an error.
type Quota struct {
	memory.Allocator
	limit int64
	// used since the step began. What is freed is not subtracted: it may stem from an earlier step.
	used *atomic.Int64
}

// NewQuota bounds to limit bytes what is allocated from mem (nil: the default allocator) between two calls of Step.
func NewQuota(mem memory.Allocator, limit int64) *Quota {
	if mem == nil {
		mem = memory.DefaultAllocator
	}
	return &Quota{Allocator: mem, limit: limit, used: new(atomic.Int64)}
}

// SharedWith is an allocator on mem that draws on the same quota.
func (q *Quota) SharedWith(mem memory.Allocator) *Quota {
	return &Quota{Allocator: mem, limit: q.limit, used: q.used}
}

// Limit is what one step may take, in bytes.
func (q *Quota) Limit() int64 { return q.limit }

// Left is what the step may still take, in bytes.
func (q *Quota) Left() int64 { return q.limit - q.used.Load() }

// Step begins the next batch.
func (q *Quota) Step() { q.used.Store(0) }

func (q *Quota) take(n int) {
	if n < 0 || q.used.Add(int64(n)) > q.limit {
		panic(&QuotaError{Claimed: int64(n), Limit: q.limit})
	}
}

// Allocate takes size bytes of the quota.
func (q *Quota) Allocate(size int) []byte {
	q.take(size)
	return q.Allocator.Allocate(size)
}

// Reallocate takes what size exceeds b by of the quota.
func (q *Quota) Reallocate(size int, b []byte) []byte {
	q.take(max(0, size-len(b)))
	return q.Allocator.Reallocate(size, b)
}

// QuotaError tells that a message claims more than it may take.
type QuotaError struct {
	Claimed, Limit int64
	// What was claimed; bytes for one batch if empty.
	What string
}

func (e *QuotaError) Error() string {
	what := e.What
	if what == "" {
		what = "bytes for one batch"
	}
	return fmt.Sprintf("it claims %d %s and the limit is %d", e.Claimed, what, e.Limit)
}
