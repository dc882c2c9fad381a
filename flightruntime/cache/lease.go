package cache

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Lease keeps parts readable: it is the wire.Owner of what is read from them. Whoever got it from Acquire releases it once, and each Retain is
// to be matched by a Release. Where one is missing, because a connection broke and grpc-go forgot what it had queued, the garbage collector
// ends the lease when nobody refers to it.
type Lease struct {
	parts   map[Key]*Part
	refs    atomic.Int64
	held    *held
	cleanup runtime.Cleanup
}

// held are the parts of a lease, which end once.
type held struct {
	once  sync.Once
	parts []*Part
}

func (h *held) end() {
	h.once.Do(func() {
		for _, p := range h.parts {
			p.release()
		}
	})
}

func newLease(parts map[Key]*Part) *Lease {
	l := &Lease{parts: parts, held: &held{parts: make([]*Part, 0, len(parts))}}
	for _, p := range parts {
		l.held.parts = append(l.held.parts, p)
	}
	l.refs.Store(1)
	l.cleanup = runtime.AddCleanup(l, (*held).end, l.held)
	return l
}

// Part is the part of a key; nil if the lease does not have it.
func (l *Lease) Part(k Key) *Part { return l.parts[k] }

// Retain implements wire.Owner.
func (l *Lease) Retain() {
	if l.refs.Add(1) <= 1 {
		panic("cache: a lease was retained after its end")
	}
}

// Release implements wire.Owner.
func (l *Lease) Release() {
	switch n := l.refs.Add(-1); {
	case n == 0:
		l.cleanup.Stop()
		l.held.end()
	case n < 0:
		panic("cache: a lease was released more often than retained")
	}
}
