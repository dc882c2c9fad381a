package landing

import (
	"context"
	"errors"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

const (
	// filesInARound are open at a time, until all of them get their names and are made durable together. Batches with keys make as many.
	filesInARound = 64
	// filesAtATime are encoded and synchronised: synchronisations share the file system's journal. More would take more memory.
	filesAtATime = 4
)

// groupFile is one file of a round.
type groupFile struct {
	batches []*Pending
	staged  *staged // nil if it was not written
	landed  Landed
	err     error
}

// land writes the files of a round, and has them finished while the next round is written.
func (a *Appender) land(round []*groupFile) {
	rests := make([][]*Pending, len(round))
	atATime(round, func(i int, f *groupFile) { rests[i] = a.stage(f) })
	a.requeue(slices.Concat(rests...))
	a.written <- round
}

// finish makes the files of a round durable, one round after the other, and answers their batches.
func (a *Appender) finish() {
	defer close(a.done)
	for round := range a.written {
		atATime(round, func(_ int, f *groupFile) {
			if f.staged == nil {
				return
			}
			if err := a.landing.sync(f.staged); err != nil {
				f.staged, f.err = nil, err
			}
		})
		a.publish(round)
		for _, f := range round {
			for _, p := range f.batches {
				a.answer(p, f.landed, f.err)
			}
		}
	}
}

// atATime calls f for each file, for some of them at a time.
func atATime(round []*groupFile, f func(i int, file *groupFile)) {
	var group errgroup.Group
	group.SetLimit(filesAtATime)
	for i, file := range round {
		group.Go(func() error {
			f(i, file)
			return nil
		})
	}
	_ = group.Wait() // each file has its own error
}

// stage writes one file. What it has no place for it takes out of the file's batches: those after another dictionary, and all of them, each
// to be written alone, if one of several cannot be encoded.
func (a *Appender) stage(f *groupFile) (rest []*Pending) {
	key := f.batches[0].key
	landed, ok, err := a.landing.already(key)
	if ok || err != nil {
		f.landed, f.err = landed, err
		return nil
	}
	held := 0
	f.staged, f.err = a.landing.write(a.ctx, key, func(w io.Writer) (err error) {
		held, err = a.encode(w, f.batches)
		return err
	})
	switch {
	case f.err == nil:
		rest = f.batches[held:]
		f.batches = f.batches[:held]
	case len(f.batches) > 1 && !errors.Is(f.err, ErrVolume) && !errors.Is(f.err, context.Canceled):
		rest = f.batches
		for _, p := range rest {
			p.alone = true
		}
		f.batches, f.err = nil, nil
	}
	return rest
}

// encode writes an object of as many of the batches as it holds, and tells how many these are.
func (a *Appender) encode(w io.Writer, batches []*Pending) (held int, err error) {
	writer, err := format.NewWriter(a.format, w, batches[0].batch.Schema())
	if err != nil {
		return 0, err
	}
	for held < len(batches) && err == nil {
		if err = writer.Write(batches[held].batch); err == nil {
			held++
		}
	}
	if held > 0 && errors.Is(err, format.ErrDictionary) {
		err = nil
	}
	if closeErr := writer.Close(); err == nil {
		err = closeErr
	}
	return held, err
}

// publish gives the files their names and makes them durable, together.
func (a *Appender) publish(round []*groupFile) {
	var files []*staged
	for _, f := range round {
		if f.staged != nil {
			files = append(files, f.staged)
		}
	}
	var err error
	if len(files) > 0 {
		err = a.landing.publish(a.ctx, files...)
	}
	for _, f := range round {
		switch {
		case f.staged == nil:
		case err != nil:
			f.err = err
		default:
			f.landed, f.err = f.staged.landed, f.staged.err
		}
		if errors.Is(f.err, context.Canceled) {
			f.err = ErrClosed // the only reason for the appender's context to end
		}
	}
}
