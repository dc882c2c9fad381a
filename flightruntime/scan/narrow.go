package scan

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// narrower is a narrowing at work on one stream of batches.
type narrower struct {
	*narrowing
	mem   memory.Allocator
	tests []*tester // by part; nil for parts without a filter
	// of has the rows of each part in the current batch, by blocks.
	of [][]bitmap
}

func (n *narrowing) start(mem memory.Allocator) *narrower {
	r := &narrower{narrowing: n, mem: mem, tests: make([]*tester, len(n.tests)), of: make([][]bitmap, len(n.tests))}
	for i, p := range n.tests {
		if p != nil {
			t := newTester(p)
			r.tests[i] = &t
		}
	}
	return r
}

// narrow is what is visible of a batch, as far as the query needs it. The caller releases it.
func (r *narrower) narrow(ctx context.Context, batch arrow.RecordBatch) (arrow.RecordBatch, error) {
	if err := r.evaluate(ctx, batch); err != nil {
		return nil, err
	}
	rows := int(batch.NumRows())
	blocks := (rows + blockRows - 1) / blockRows
	everyPart := make([]int, len(r.of))
	for i := range everyPart {
		everyPart[i] = i
	}
	visible := r.union(everyPart, blocks)
	n := 0
	for i := range visible {
		n += visible[i].count()
	}
	shown := stretches(visible, nil)
	columns := make([]arrow.Array, len(r.output))
	defer release(columns)
	for i, c := range r.output {
		column := batch.Column(c.place)
		if r.view.allRows && !c.masked {
			column.Retain()
			columns[i] = column
			continue
		}
		from := shown
		if c.masked {
			from = stretches(visible, r.union(c.parts, blocks))
		}
		var err error
		if columns[i], err = rebuild(r.mem, column, from, n); err != nil {
			return nil, fmt.Errorf("column %s: %w", quoted(r.schema.Field(i).Name), err)
		}
	}
	return array.NewRecordBatch(r.schema, columns, int64(n)), nil
}

// evaluate finds the rows of each part.
func (r *narrower) evaluate(ctx context.Context, batch arrow.RecordBatch) error {
	for i, t := range r.tests {
		r.of[i] = r.of[i][:0]
		if t == nil {
			for from := 0; from < int(batch.NumRows()); from += blockRows {
				var all bitmap
				all.fill(min(blockRows, int(batch.NumRows())-from))
				r.of[i] = append(r.of[i], all)
			}
			continue
		}
		err := t.each(ctx, batch, func(_ int, yes *bitmap) bool {
			r.of[i] = append(r.of[i], *yes)
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// union has the rows that are of any of the parts.
func (r *narrower) union(parts []int, blocks int) []bitmap {
	out := make([]bitmap, blocks)
	for _, part := range parts {
		for block := range out {
			for w := range out[block] {
				out[block][w] |= r.of[part][block][w]
			}
		}
	}
	return out
}

// stretches are the rows that are visible; those that granted does not have are holes. granted of nil has all.
func stretches(visible, granted []bitmap) []stretch {
	var out []stretch
	for i := range visible {
		from := i * blockRows
		if granted == nil {
			out = visible[i].appendTo(out, from)
			continue
		}
		for run := range runs(&visible[i], &granted[i]) {
			last := len(out) - 1
			switch {
			case run.isHole() && last >= 0 && out[last].isHole():
				out[last].n += run.n
			case run.isHole():
				out = append(out, run)
			case last >= 0 && !out[last].isHole() && out[last].end() == from+run.from:
				out[last].n += run.n
			default:
				out = append(out, stretch{from + run.from, run.n})
			}
		}
	}
	return out
}

// runs yields the rows of a block that are visible, one after the other.
func runs(visible, granted *bitmap) func(yield func(stretch) bool) {
	return func(yield func(stretch) bool) {
		visible.each(func(i int) bool {
			if granted.has(i) {
				return yield(stretch{i, 1})
			}
			return yield(stretch{hole, 1})
		})
	}
}
