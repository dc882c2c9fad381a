package datasets

import (
	"context"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow/flight"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/scan"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// request is a query on the snapshot that is served now.
type request struct {
	permit
	query    scan.Query
	snapshot *catalog.Snapshot
	view     *scan.View // nil if the caller sees all of the dataset
	plan     *scan.Plan
}

// described is what a descriptor asks, by a verb that the caller may use: a path of one part is all of that dataset, a command is a query.
func (s *Service) described(ctx context.Context, v authz.Verb, d *flightruntime.FlightDescriptor) (request, error) {
	switch {
	case d.GetType() == flight.DescriptorPATH && len(d.GetPath()) == 1:
		return s.request(ctx, v, scan.Query{Dataset: d.GetPath()[0]})
	case d.GetType() == flight.DescriptorCMD:
		return s.command(ctx, v, d.GetCmd())
	default:
		return request{}, flightruntime.Errorf(flightruntime.KindInvalid,
			"descriptor %s: expected a path of one part, the name of a dataset, or a command, a query as JSON", describe(d))
	}
}

func (s *Service) command(ctx context.Context, v authz.Verb, raw []byte) (request, error) {
	query, err := scan.ParseQuery(raw)
	if err != nil {
		return request{}, flightruntime.Errorf(flightruntime.KindInvalid, "%w", err)
	}
	return s.request(ctx, v, query)
}

func (s *Service) request(ctx context.Context, v authz.Verb, query scan.Query) (request, error) {
	p, err := s.caller(ctx).may(v, query.Dataset)
	if err != nil {
		return request{}, err
	}
	return p.request(ctx, query)
}

// request is a query on the snapshot that is served now, for a caller who may.
func (p permit) request(ctx context.Context, query scan.Query) (request, error) {
	snapshot, err := p.service.catalog.Snapshot(query.Dataset)
	if err != nil {
		return request{}, p.callError(ctx, err)
	}
	return p.planned(ctx, query, snapshot)
}

// planned is a query on a snapshot.
func (p permit) planned(ctx context.Context, query scan.Query, snapshot *catalog.Snapshot) (request, error) {
	view, err := p.view(ctx, snapshot.Layout.Schema)
	if err != nil {
		return request{}, err
	}
	var plan *scan.Plan
	switch {
	case view != nil:
		plan, err = view.Compile(query)
	case isWhole(query):
		d := derive(snapshot)
		plan, err = d.whole, d.wholeErr
	default:
		plan, err = scan.Compile(query, snapshot.Layout.Schema)
	}
	if err != nil {
		return request{}, flightruntime.Errorf(flightruntime.KindInvalid, "dataset %s: %w", query.Dataset, err)
	}
	return request{permit: p, query: query, snapshot: snapshot, view: view, plan: plan}, nil
}

func describe(d *flightruntime.FlightDescriptor) string {
	if d.GetType() == flight.DescriptorCMD {
		return fmt.Sprintf("with a command of %d bytes", len(d.GetCmd()))
	}
	return fmt.Sprintf("%q", d.GetPath())
}

// whole is true if the answer is the dataset as it is.
func (r request) whole() bool { return r.view == nil && isWhole(r.query) }

// isWhole is true of a query for all that there is.
func isWhole(q scan.Query) bool { return q.Columns == nil && q.Filter == "" && q.Limit == nil }

// rows is how many the answer has; -1 if only reading tells.
func (r request) rows() int64 {
	rows := r.snapshot.Layout.Rows()
	switch {
	case r.query.Filter != "", r.view != nil && !r.view.AllRows():
		return -1
	case r.query.Limit != nil:
		return min(rows, *r.query.Limit)
	default:
		return rows
	}
}

// bytes is how many the files of the answer have; -1 if not all of them are read.
func (r request) bytes() int64 {
	if !r.whole() {
		return -1
	}
	return r.snapshot.Layout.Bytes()
}

// read yields the answer from some units of the dataset: batches, which are valid until the next, or, of what is cached and goes out as it is,
// messages of at most so many bytes.
func (r request) read(ctx context.Context, selected []catalog.Selection, encoded int) iter.Seq2[wire.Chunk, error] {
	if r.whole() {
		return r.snapshot.ReadSelected(ctx, selected, encoded, format.ReadOptions{})
	}
	return func(yield func(wire.Chunk, error) bool) {
		run := r.plan.Start(nil)
		if run.Done() {
			return
		}
		opts := format.ReadOptions{
			Columns: r.plan.Columns(),
			Keep:    func(st format.Statistics) bool { return r.plan.MayMatch(st) },
		}
		opts.By, opts.Want = r.plan.Early()
		for chunk, err := range r.snapshot.ReadSelected(ctx, selected, 0, opts) {
			if err == nil {
				chunk.Batch, err = run.Apply(ctx, chunk.Batch)
			}
			if err != nil {
				yield(wire.Chunk{}, err)
				return
			}
			if !emit(yield, chunk) || run.Done() {
				return
			}
		}
	}
}

// emit hands over a batch, unless it has no row, and releases it.
func emit(yield func(wire.Chunk, error) bool, chunk wire.Chunk) bool {
	defer chunk.Batch.Release()
	return chunk.Batch.NumRows() == 0 || yield(chunk, nil)
}
