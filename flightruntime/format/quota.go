package format

import (
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Lengths that a file claims are claims: an Arrow buffer says in 8 bytes how long it is when uncompressed, and a Parquet page in a varint.
// What one batch takes to decode is therefore bounded by what can honestly be in the object.
const (
	// minQuota is for small objects: a batch of DefaultMaxRows rows of 4 KiB each.
	minQuota = DefaultMaxRows * 4 << 10
	// maxRatio of memory to bytes in the object. General compression of real tables gives 2 to 20; beyond 64 only small or empty content
	// compresses, for which minQuota is enough.
	maxRatio = 64
)

// quota is an allocator that refuses, by a panic with a *quotaError, what exceeds the limit of one step. Panics are the only way to refuse
// that an Allocator has; protect turns this one into an error.
type quota struct {
	memory.Allocator
	limit int64
	// used since the step began. What is freed is not subtracted: it may stem from an earlier step.
	used *atomic.Int64
}

// newQuota bounds what is allocated from mem (nil: the default allocator) between two calls of step.
func newQuota(mem memory.Allocator, objectSize int64) *quota {
	if mem == nil {
		mem = memory.DefaultAllocator
	}
	limit := int64(minQuota)
	if objectSize <= (1<<62)/maxRatio {
		limit = max(limit, objectSize*maxRatio)
	}
	return &quota{Allocator: mem, limit: limit, used: new(atomic.Int64)}
}

// sharedWith is an allocator on mem that draws on the same quota.
func (q *quota) sharedWith(mem memory.Allocator) *quota {
	return &quota{Allocator: mem, limit: q.limit, used: q.used}
}

// step begins the next batch.
func (q *quota) step() { q.used.Store(0) }

func (q *quota) take(n int) {
	if n < 0 || q.used.Add(int64(n)) > q.limit {
		panic(&quotaError{claimed: int64(n), limit: q.limit})
	}
}

func (q *quota) Allocate(size int) []byte {
	q.take(size)
	return q.Allocator.Allocate(size)
}

func (q *quota) Reallocate(size int, b []byte) []byte {
	q.take(max(0, size-len(b)))
	return q.Allocator.Reallocate(size, b)
}

// quotaError: an object claims more content than can be in it.
type quotaError struct{ claimed, limit int64 }

func (e *quotaError) Error() string {
	return fmt.Sprintf("it claims %d bytes for one batch and the limit is %d: the file is damaged, or its row groups or batches are too large to be served; write smaller ones", e.claimed, e.limit)
}
