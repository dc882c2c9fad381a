package scan

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"
)

// predicate is a filter that has been compiled. It never changes.
type predicate struct {
	condition
	slots    []slot // field is that of the schema, or the place of the column in the batches that a tester is given
	verdicts int
}

// fields appends those that the predicate needs. It is safe on nil.
func (p *predicate) fields(to []int) []int {
	if p == nil {
		return to
	}
	for _, s := range p.slots {
		to = append(to, s.field)
	}
	return to
}

// placed is the predicate for batches that have the fields at other places. It is safe on nil.
func (p *predicate) placed(place []int) *predicate {
	if p == nil {
		return nil
	}
	out := *p
	out.slots = make([]slot, len(p.slots))
	for i, s := range p.slots {
		s.field = place[s.field]
		out.slots[i] = s
	}
	return &out
}

// tester is a predicate at work on one batch after the other. It is for one goroutine at a time.
type tester struct {
	*predicate
	block block
}

func newTester(p *predicate) tester {
	return tester{predicate: p, block: block{columns: make([]binding, len(p.slots)), verdicts: make([]verdicts, p.verdicts)}}
}

// each calls f for each block of rows, in order, with the first of them and those for which the predicate is true, until f is false.
func (t *tester) each(ctx context.Context, batch arrow.RecordBatch, f func(from int, yes *bitmap) bool) error {
	b := &t.block
	b.stopped = func() bool { return ctx.Err() != nil }
	for i, s := range t.slots {
		b.columns[i] = bind(batch.Column(s.field), s.path, s.open)
	}
	defer b.forget()
	verdict := b.truths.get()
	defer b.truths.put(verdict)
	total := int(batch.NumRows())
	for b.from = 0; b.from < total; b.from += blockRows {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.n = min(blockRows, total-b.from)
		t.eval(b, verdict)
		if !f(b.from, &verdict.yes) {
			break
		}
	}
	return ctx.Err() // a condition that stopped early is not to be believed
}

// forget lets go of the batch.
func (b *block) forget() {
	clear(b.columns)
	for _, v := range b.texts.free {
		clear(v.own)
		v.values = nil
	}
}
