package format

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// batchReader decodes one object, batch by batch.
type batchReader interface {
	// next is the next batch, which the caller releases, or io.EOF.
	next(ctx context.Context) (arrow.RecordBatch, error)
	// close releases what the reader holds; not the object.
	close()
}

// pruner is a batchReader whose object tells of its pieces more than their rows. It prunes by itself; for all others, that has been done
// before the object is opened.
type pruner interface {
	batchReader
	// prune leaves out the pieces that keep refuses, and returns the number of their rows.
	prune(keep func(Statistics) bool) int64
	// unwanted is the number of rows that next has left out since this was last asked.
	unwanted() int64
}

// request is what one call of Read asks for.
type request struct {
	part   Part
	layout *Layout
	// schema of the batches: the layout's columns.
	schema  *arrow.Schema
	columns []int // ascending; all of them stand here too
	units   []int // ascending; all of them stand here too
	rows    int64 // of the units
	keep    func(Statistics) bool

	// want says whether any row of a batch of the columns with these places, and this schema, is wanted; nil if all rows are.
	want  func(context.Context, arrow.RecordBatch) bool
	asked []int
	under *arrow.Schema
}

func newRequest(layout *Layout, part int, opts ReadOptions) (*request, error) {
	p := layout.Parts[part]
	schema, err := layout.Project(opts.Columns)
	if err != nil {
		return nil, err
	}
	r := &request{part: p, layout: layout, schema: schema, columns: opts.Columns, units: opts.Units, keep: opts.Keep}
	if r.columns == nil {
		r.columns = upTo(layout.Schema.NumFields())
	}
	if opts.Want != nil {
		if r.under, err = layout.Project(opts.By); err != nil {
			return nil, err
		}
		for _, c := range opts.By {
			place, ok := slices.BinarySearch(r.columns, c)
			if !ok {
				return nil, fmt.Errorf("rows are wanted by column %d: expected one of those that are read, which are %d", c, r.columns)
			}
			r.asked = append(r.asked, place)
		}
		r.want = opts.Want
	}
	if r.units == nil {
		r.units, r.rows = upTo(len(p.Units)), p.Rows
		return r, nil
	}
	if err := ascending("unit", r.units, len(p.Units)); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Object.Name(), err)
	}
	for _, u := range r.units {
		r.rows += p.Units[u].Rows // a part's rows were added up before without overflow
	}
	return r, nil
}

// pruneByRows leaves out the units that the caller refuses, where their numbers of rows are all that is known of them.
func (r *request) pruneByRows() {
	if r.keep == nil {
		return
	}
	kept := make([]int, 0, len(r.units))
	for _, u := range r.units {
		if rows := r.part.Units[u].Rows; r.keep(rowsOnly(rows)) {
			kept = append(kept, u)
		} else {
			r.rows -= rows
		}
	}
	r.units, r.keep = kept, nil
}

// all is true if every column is wanted.
func (r *request) all() bool { return r.schema == r.layout.Schema }

// rowsOnly are the statistics of so many rows of which nothing else is known.
type rowsOnly int64

func (r rowsOnly) Rows() int64                           { return int64(r) }
func (rowsOnly) Column(int) (s ColumnStatistics, _ bool) { return s, false }

// upTo are the numbers from 0 to n-1.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// ascending is an error if indices do not ascend, or if there is nothing at one of them.
func ascending(what string, indices []int, n int) error {
	last := -1
	for _, i := range indices {
		if i <= last {
			return fmt.Errorf("%s %d is asked for after %s %d: expected ascending numbers", what, i, what, last)
		}
		last = i
	}
	if last >= n {
		return fmt.Errorf("there is no %s %d: there are %d, from 0 on", what, last, n)
	}
	return nil
}

// batches is the sequence that Format.Read promises, of the batch reader that open makes: exactly the number of rows that are asked for, or
// an error. Panics of the decoder end it with an error; those of whoever consumes it, or prunes it, are none of its business.
func batches[R batchReader](
	ctx context.Context, layout *Layout, part int, opts ReadOptions, open func(*request, source.Reader) (R, error),
) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		req, err := newRequest(layout, part, opts)
		if err == nil {
			var r R
			if _, ok := any(r).(pruner); !ok {
				req.pruneByRows()
			}
			err = decode(ctx, req, open, yield)
		}
		var c *changedError
		switch {
		case err == nil, errors.Is(err, errStopped):
		case ctx.Err() != nil:
			yield(nil, ctx.Err()) // whatever a decoder made of it
		case errors.As(err, &c):
			yield(nil, c)
		default:
			yield(nil, err)
		}
	}
}

// errStopped: the consumer wants no more.
var errStopped = errors.New("stopped")

func decode[R batchReader](
	ctx context.Context, req *request, open func(*request, source.Reader) (R, error), yield func(arrow.RecordBatch, error) bool,
) error {
	o := req.part.Object
	if len(req.units) == 0 && len(req.part.Units) > 0 {
		return ctx.Err() // nothing is asked for
	}
	return withObject(ctx, o, func(r source.Reader) error {
		var decoder R
		err := protect(o, func() (err error) {
			decoder, err = open(req, r)
			return err
		})
		if err != nil {
			return err
		}
		defer func() { _ = protect(o, func() error { decoder.close(); return nil }) }()
		want := req.rows
		if p, ok := any(decoder).(pruner); ok && req.keep != nil {
			want -= p.prune(req.keep)
		}
		for left := want; ; {
			if err := ctx.Err(); err != nil {
				return err
			}
			var batch arrow.RecordBatch
			err := protect(o, func() (err error) {
				batch, err = decoder.next(ctx)
				return err
			})
			if p, ok := any(decoder).(pruner); ok {
				left -= p.unwanted()
			}
			switch {
			case errors.Is(err, io.EOF) && left > 0:
				return changed(o, fmt.Errorf("it has %d rows, it had %d", want-left, want))
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			}
			if left -= batch.NumRows(); left < 0 {
				batch.Release()
				return changed(o, fmt.Errorf("it has more than the %d rows it had", want))
			}
			if !emit(yield, batch) {
				return errStopped
			}
		}
	})
}

// emit hands a batch over for one iteration step.
func emit(yield func(arrow.RecordBatch, error) bool, batch arrow.RecordBatch) bool {
	defer batch.Release()
	return yield(batch, nil)
}

// changed is the error for an object that does not read as it did when it was inspected, because of what err says.
func changed(o source.Object, err error) error { return &changedError{o.Name(), err} }

// changedError wraps source.ErrChanged, and says all there is to say, whatever decoders put before it.
type changedError struct {
	object string
	err    error
}

func (e *changedError) Error() string {
	return fmt.Sprintf("%s %s: %s", e.object, source.ErrChanged, e.err)
}
func (e *changedError) Unwrap() []error { return []error{source.ErrChanged, e.err} }

// withObject opens an object for the duration of f. Its reads end when ctx does.
func withObject(ctx context.Context, o source.Object, f func(source.Reader) error) error {
	r, err := o.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	return f(attentive{ctx, r})
}

// protect calls f, and turns its panics into errors and gives its errors the object's name. io.EOF and the context's errors stay as they are.
func protect(o source.Object, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = recovered(p)
		}
		err = named(o, err)
	}()
	return f()
}

// recovered is the error that stands for a decoder's panic.
func recovered(p any) error {
	if err, ok := p.(error); ok {
		return undecodable(err)
	}
	return errDamaged
}

// errDamaged stands for whatever the decoders of arrow-go panic with: their texts tell of Go slices, not of files.
var errDamaged = errors.New("the file is damaged: its content contradicts its own description")

// undecodable is an error of arrow-go's in words for users.
func undecodable(err error) error {
	var q *ipcguard.QuotaError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, source.ErrChanged):
		return err
	case errors.As(err, &q):
		return fmt.Errorf("%w: the file is damaged, or its row groups or batches are too large to be served; write smaller ones", q)
	case strings.Contains(err.Error(), "runtime error"): // a panic that arrow-go recovered, some of which it wraps and some it prints
		return errDamaged
	default:
		return errors.New(packageNames.Replace(err.Error()))
	}
}

// packageNames are what arrow-go puts before its messages.
var packageNames = strings.NewReplacer("arrow/ipc: ", "", "arrow/array: ", "", "parquet: ", "", "column chunk: ", "")

// named is the error with the object's name, unless it has it already or is none about it alone.
func named(o source.Object, err error) error {
	switch {
	case err == nil, unalike(err), errors.Is(err, io.EOF), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, source.ErrChanged):
		return err
	default:
		return fmt.Errorf("%s: %w", o.Name(), err)
	}
}

// addRows counts rows that files claim, which need not be true, nor even add up.
func addRows(sum, n int64) (int64, error) {
	if n < 0 || sum > math.MaxInt64-n {
		return 0, fmt.Errorf("it claims %d rows: the file is damaged", n)
	}
	return sum + n, nil
}

// section is an object's bytes as a reader that can seek, as arrow-go's file readers want them.
func section(o source.Object, r io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(r, 0, o.Size())
}

// whole are the units of a part that can only be read as a whole.
func (p *Part) whole() []Unit { return []Unit{{Rows: p.Rows, Bytes: p.Object.Size()}} }

// finish makes a batch of what was appended. It may have no columns to count the rows by.
func finish(builder *array.RecordBuilder, rows int) arrow.RecordBatch {
	columns := make([]arrow.Array, len(builder.Fields()))
	for i, b := range builder.Fields() {
		columns[i] = b.NewArray()
		defer columns[i].Release()
	}
	return array.NewRecordBatch(builder.Schema(), columns, int64(rows))
}

func orDefault(mem memory.Allocator) memory.Allocator {
	if mem == nil {
		return memory.DefaultAllocator
	}
	return mem
}

func (o ReadOptions) pages() *PageBudget {
	if o.Pages == nil {
		return processPages()
	}
	return o.Pages
}

func (o ReadOptions) maxRows() int {
	if o.MaxRows <= 0 {
		return DefaultMaxRows
	}
	return o.MaxRows
}
