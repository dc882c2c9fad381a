package scan

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Run is a plan at work on one stream of batches. It counts the rows that the limit leaves, and holds memory that is used for one batch
// after the other. It is for one goroutine at a time.
type Run struct {
	plan  *Plan
	mem   memory.Allocator
	left  int64 // rows that the limit leaves
	test  tester
	found []stretch // rows of the current batch that match, up to the limit
	view  *narrower // nil if all of the dataset is visible
}

// Start begins a stream of batches. What Apply makes is allocated with mem; nil means memory.DefaultAllocator.
func (p *Plan) Start(mem memory.Allocator) *Run {
	if mem == nil {
		mem = memory.DefaultAllocator
	}
	r := &Run{plan: p, mem: mem, left: math.MaxInt64}
	if p.limit >= 0 {
		r.left = p.limit
	}
	if p.filter != nil {
		r.test = newTester(p.filter)
	}
	if p.view != nil {
		r.view = p.view.start(mem)
	}
	return r
}

// Done says that no further row can come out, because the limit is reached.
func (r *Run) Done() bool { return r.left == 0 }

// Apply takes a batch that has exactly the fields of Plan.Columns, and returns one with Plan.Schema and the rows that match, in their order. It
// may have none. The caller releases it; the batch given stays the caller's. What comes out shares memory with what went in if all rows
// match, or those that do stand side by side.
//
// The errors are those of ctx, which is heeded within a batch too, those of the allocator if it panics with an error, and such as are a
// defect: no row makes a compiled query fail.
func (r *Run) Apply(ctx context.Context, batch arrow.RecordBatch) (out arrow.RecordBatch, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, recovered(p)
		}
	}()
	read := r.plan.read
	if r.view != nil {
		read = r.view.read
	}
	if err := check(batch, read); err != nil {
		return nil, err
	}
	if r.view != nil {
		if batch, err = r.view.narrow(ctx, batch); err != nil {
			return nil, err
		}
		defer batch.Release()
	}
	rows := int(batch.NumRows())
	if r.plan.filter == nil || r.Done() || rows == 0 {
		n := int(min(int64(rows), r.left))
		r.left -= int64(n)
		return r.slice(batch, 0, n), nil
	}
	if err := r.match(ctx, batch); err != nil {
		return nil, err
	}
	switch len(r.found) {
	case 0:
		return r.slice(batch, 0, 0), nil
	case 1:
		r.left -= int64(r.found[0].n)
		return r.slice(batch, r.found[0].from, r.found[0].end()), nil
	default:
		return r.take(batch)
	}
}

// recovered is the error that stands for a panic.
func recovered(p any) error {
	err, ok := p.(error)
	var fault runtime.Error
	if !ok || errors.As(err, &fault) {
		return errDefect
	}
	return err
}

// check makes sure that a batch has the columns that it is to have.
func check(batch arrow.RecordBatch, fields []arrow.Field) error {
	if n := int(batch.NumCols()); n != len(fields) {
		return fmt.Errorf("a batch has %d columns: expected the %d that the query needs", n, len(fields))
	}
	for i, f := range fields {
		if t := batch.Column(i).DataType(); t != f.Type && !arrow.TypeEqual(t, f.Type) {
			return fmt.Errorf("column %s of a batch is %s: expected %s", quoted(f.Name), t, f.Type)
		}
	}
	return nil
}

// match finds the rows that match, up to the limit.
func (r *Run) match(ctx context.Context, batch arrow.RecordBatch) error {
	r.found = r.found[:0]
	left := r.left
	return r.test.each(ctx, batch, func(from int, yes *bitmap) bool {
		r.found = yes.appendTo(r.found, from)
		if left -= int64(yes.count()); left <= 0 {
			r.found = withoutLast(r.found, int(-left))
		}
		return left > 0
	})
}

// withoutLast is the stretches without the last n of their rows.
func withoutLast(of []stretch, n int) []stretch {
	for n > 0 {
		last := &of[len(of)-1]
		if last.n > n {
			last.n -= n
			break
		}
		n -= last.n
		of = of[:len(of)-1]
	}
	return of
}

// slice is a part of the batch, projected.
func (r *Run) slice(batch arrow.RecordBatch, from, to int) arrow.RecordBatch {
	columns := make([]arrow.Array, len(r.plan.output))
	defer release(columns)
	for i, column := range r.plan.output {
		columns[i] = array.NewSlice(batch.Column(column), int64(from), int64(to))
	}
	return array.NewRecordBatch(r.plan.schema, columns, int64(to-from))
}

// take is a batch of the rows that match, projected.
func (r *Run) take(batch arrow.RecordBatch) (arrow.RecordBatch, error) {
	n := 0
	for _, s := range r.found {
		n += s.n
	}
	columns := make([]arrow.Array, len(r.plan.output))
	defer release(columns)
	for i, column := range r.plan.output {
		var err error
		if columns[i], err = take(r.mem, batch.Column(column), r.found, n); err != nil {
			return nil, fmt.Errorf("column %s: %w", quoted(r.plan.schema.Field(i).Name), err)
		}
	}
	r.left -= int64(n)
	return array.NewRecordBatch(r.plan.schema, columns, int64(n)), nil
}

func release(arrays []arrow.Array) {
	for _, a := range arrays {
		if a != nil {
			a.Release()
		}
	}
}
