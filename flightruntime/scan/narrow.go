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
	// shown are the visible rows of the current batch, masked what each mask leaves of them; cells and holes are for a moment.
	shown, cells, holes []stretch
	masked              [][]stretch
}

func (n *narrowing) start(mem memory.Allocator) *narrower {
	r := &narrower{narrowing: n, mem: mem, tests: make([]*tester, len(n.tests)), of: make([][]bitmap, len(n.tests)), masked: make([][]stretch, len(n.masks))}
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
	r.shown = stretches(r.shown[:0], visible)
	for i, parts := range r.masks {
		r.masked[i] = r.mask(r.masked[i][:0], visible, r.union(parts, blocks))
	}
	columns := make([]arrow.Array, len(r.output))
	defer release(columns)
	for i, c := range r.output {
		column, from := batch.Column(c.place), r.shown
		switch {
		case c.mask != unmasked:
			from = r.masked[c.mask]
		case r.view.allRows:
			column.Retain()
			columns[i] = column
			continue
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

// stretches appends those of rows.
func stretches(to []stretch, rows []bitmap) []stretch {
	for i := range rows {
		to = rows[i].appendTo(to, i*blockRows)
	}
	return to
}

// mask appends the stretches of the visible rows, those that are not granted as holes.
func (r *narrower) mask(to []stretch, visible, granted []bitmap) []stretch {
	withheld := make([]bitmap, len(visible))
	for i := range visible {
		for w := range visible[i] {
			withheld[i][w] = visible[i][w] &^ granted[i][w]
		}
		granted[i].and(&visible[i])
	}
	r.cells, r.holes = stretches(r.cells[:0], granted), stretches(r.holes[:0], withheld)
	cells, holes := r.cells, r.holes
	for len(cells)+len(holes) > 0 {
		if len(holes) == 0 || len(cells) > 0 && cells[0].from < holes[0].from {
			to, cells = append(to, cells[0]), cells[1:]
			continue
		}
		// Holes that have only rows between them that are not visible are one.
		if last := len(to) - 1; last >= 0 && to[last].isHole() {
			to[last].n += holes[0].n
		} else {
			to = append(to, stretch{hole, holes[0].n})
		}
		holes = holes[1:]
	}
	return to
}
