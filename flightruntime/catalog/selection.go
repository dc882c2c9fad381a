package catalog

import (
	"context"
	"errors"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// Selection is the units of one part that are read. Units of nil means all of them.
type Selection struct {
	Part  int
	Units []int
}

// maxHeld files are held for one call: far more than a dataset that is read with pleasure has, and few among those a process may have open.
const maxHeld = 4096

// ReadSelected yields the record batches of some units, in order, as Read does those of all. The Units of the options are not used. Where
// clients may overwrite the dataset, the files are held from the beginning, so that the sequence does not end when they are. What follows
// the first batches is decoded ahead of whoever iterates, in a goroutine where opts.Keep is called, too.
func (s *Snapshot) ReadSelected(ctx context.Context, selected []Selection, opts format.ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return ahead(ctx, func(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
		return s.readSelected(ctx, selected, opts)
	})
}

func (s *Snapshot) readSelected(ctx context.Context, selected []Selection, opts format.ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		release, err := s.hold(ctx, selected)
		if err != nil {
			yield(nil, s.readError(err))
			return
		}
		defer release()
		for _, sel := range selected {
			opts.Units = sel.Units
			for batch, err := range s.ReadPart(ctx, sel.Part, opts) {
				if !yield(batch, err) || err != nil {
					return
				}
			}
		}
	}
}

// hold opens the objects of a selection, which can then be opened until they are released, whatever becomes of their names.
func (s *Snapshot) hold(ctx context.Context, selected []Selection) (release func(), err error) {
	var held []source.Reader
	release = func() {
		for _, r := range held {
			_ = r.Close() // it was read only
		}
	}
	if !s.holds {
		return release, nil
	}
	for _, sel := range selected[:min(len(selected), maxHeld)] {
		r, err := s.Layout.Parts[sel.Part].Object.Open(ctx)
		switch {
		case err == nil:
			held = append(held, r)
		case errors.Is(err, source.ErrChanged):
			release()
			return nil, err
		default: // whoever reads the object will tell
			return release, nil
		}
	}
	return release, nil
}
