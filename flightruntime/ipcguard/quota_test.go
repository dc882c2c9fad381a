package ipcguard

import (
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

func TestQuotaBoundsEachStep(t *testing.T) {
	const limit = 1 << 20
	q := NewQuota(nil, limit)
	allocate := func(mem memory.Allocator, n int) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = p.(error)
			}
		}()
		mem.Free(mem.Allocate(n))
		return nil
	}
	shared := q.SharedWith(memory.NewGoAllocator())
	var refused *QuotaError
	for i, c := range []struct {
		mem     memory.Allocator
		n       int
		refused bool
	}{{q, limit / 2, false}, {shared, limit / 2, false}, {q, 1, true}, {shared, 1, true}} {
		if err := allocate(c.mem, c.n); c.refused != errors.As(err, &refused) {
			t.Errorf("allocation %d of %d bytes: %v", i, c.n, err)
		}
	}
	q.Step()
	if err := allocate(q, 1); err != nil {
		t.Errorf("in the next step: %v", err)
	}
}
