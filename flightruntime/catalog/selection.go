package catalog

import (
	"context"
	"errors"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/cache"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/source"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// Selection is the units of one part that are read. Units of nil means all of them.
type Selection struct {
	Part  int
	Units []int
}

// maxHeld files are held for one call: far more than a dataset that is read with pleasure has, and few among those a process may have open.
const maxHeld = 4096

// ReadSelected yields what some units have, in order, as Read does of all. The Units of the options are not used. Where clients may overwrite
// the dataset, the files are held from the beginning, so that the sequence does not end when they are. What a cache holds is read from
// there, and its source is not opened: a chunk then has an Owner, or, in place of its batch, a message that is encoded already if
// encoded, the most bytes that such a one may have, is not 0. Of the rest, what follows the first batches is decoded ahead of whoever iterates,
// in a goroutine where opts.Keep and opts.Want are called, too.
func (s *Snapshot) ReadSelected(ctx context.Context, selected []Selection, encoded int, opts format.ReadOptions) iter.Seq2[wire.Chunk, error] {
	return func(yield func(wire.Chunk, error) bool) {
		cached := s.acquire(selected)
		defer cached.end()
		release, err := s.hold(ctx, selected, cached)
		if err != nil {
			yield(wire.Chunk{}, s.readError(err))
			return
		}
		defer release()
		for len(selected) > 0 {
			n := 0 // parts that are not cached
			for n < len(selected) && cached.part(selected[n].Part) == nil {
				n++
			}
			chunks := s.readUncached(ctx, selected[:n], opts)
			if n == 0 {
				n, chunks = 1, s.readCached(ctx, cached, selected[0], encoded, opts)
			}
			for chunk, err := range chunks {
				if !yield(chunk, err) || err != nil {
					return
				}
			}
			selected = selected[n:]
		}
	}
}

// readCached reads a part that is cached. What turns out to be unreadable before any of it was read is read from its source.
func (s *Snapshot) readCached(ctx context.Context, cached *lease, selected Selection, encoded int, opts format.ReadOptions) iter.Seq2[wire.Chunk, error] {
	return func(yield func(wire.Chunk, error) bool) {
		var lost *cache.LostError
		begun := false
		for chunk, err := range cached.read(ctx, selected, encoded, opts) {
			if errors.As(err, &lost) {
				break
			}
			begun = true
			if !yield(chunk, err) || err != nil {
				return
			}
		}
		switch {
		case lost == nil:
		case begun:
			yield(wire.Chunk{}, &UnavailableError{Name: s.Name, Message: "the cache failed while it was read; ask again, and it is read from its source"})
		default:
			s.readUncached(ctx, []Selection{selected}, opts)(yield)
		}
	}
}

// readUncached reads parts from their source.
func (s *Snapshot) readUncached(ctx context.Context, selected []Selection, opts format.ReadOptions) iter.Seq2[wire.Chunk, error] {
	return func(yield func(wire.Chunk, error) bool) {
		for batch, err := range ahead(ctx, func(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] { return s.readParts(ctx, selected, opts) }) {
			if !yield(wire.Chunk{Batch: batch}, err) {
				return
			}
		}
	}
}

// readParts reads parts from their source, and has each cached afterwards for those who come next.
func (s *Snapshot) readParts(ctx context.Context, selected []Selection, opts format.ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, sel := range selected {
			opts.Units = sel.Units
			ended := false
			for batch, err := range s.ReadPart(ctx, sel.Part, opts) {
				if ended = !yield(batch, err) || err != nil; ended {
					break
				}
			}
			s.cacheLater(sel.Part)
			if ended {
				return
			}
		}
	}
}

// hold opens the objects of a selection that are not cached, which can then be opened until they are released, whatever becomes of their names.
func (s *Snapshot) hold(ctx context.Context, selected []Selection, cached *lease) (release func(), err error) {
	var held []source.Reader
	release = func() {
		for _, r := range held {
			_ = r.Close() // it was read only
		}
	}
	if !s.holds {
		return release, nil
	}
	for _, sel := range selected {
		switch {
		case cached.part(sel.Part) != nil:
			continue
		case len(held) == maxHeld:
			return release, nil
		}
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
