package catalog

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/semaphore"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

const (
	// aheadFrom bytes of batches are decoded as they are asked for: a small answer is there before a goroutine would begin.
	aheadFrom = 256 << 10
	// aheadBytes of batches are held that a stream has decoded and its reader has not done with: those of some Flight messages, so that neither
	// waits for the other because one batch takes longer than others. A larger batch is held alone, while the next is decoded.
	aheadBytes = 3 << 20
	// aheadBatches are held of small ones.
	aheadBatches = 8
	// leastAhead streams may decode ahead at a time, however few processors there are.
	leastAhead = 16
)

// aheads are the streams of the process that decode ahead.
var aheads atomic.Int64

// beginAhead counts one stream more, unless there are so many that they keep all processors busy without: the others take less memory.
func beginAhead() bool {
	if aheads.Add(1) <= int64(max(leastAhead, 4*runtime.GOMAXPROCS(0))) {
		return true
	}
	aheads.Add(-1)
	return false
}

// ahead yields what read does, in the same order, and has it made in a goroutine of its own once there is much of it: batches are decoded while
// those before them are sent. When the sequence ends, whichever side ends it, the goroutine has ended, too, and all that it held is released.
// A panic of read is one of whoever iterates.
func ahead(ctx context.Context, read func(context.Context) iter.Seq2[arrow.RecordBatch, error]) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		reading, cancel := context.WithCancel(ctx)
		next, stop := iter.Pull2(traced(read(reading)))
		defer stop()
		defer cancel()
		for bytes := int64(0); bytes < aheadFrom || !beginAhead(); {
			batch, err, ok := next()
			if !ok || !yield(batch, err) || err != nil {
				return
			}
			bytes += bytesOf(batch)
		}
		defer aheads.Add(-1)
		d := decoder{room: semaphore.NewWeighted(aheadBytes), batches: make(chan sized, aheadBatches)}
		d.running.Go(func() { d.run(reading, next) })
		defer d.drop()
		defer cancel()
		for b := range d.batches {
			if err := ctx.Err(); err != nil {
				b.Release()
				yield(nil, err)
				return
			}
			if !d.emit(yield, b) {
				return
			}
		}
		if d.panicked != nil {
			panic(d.panicked)
		}
		if d.err != nil {
			yield(nil, d.err)
		}
	}
}

// traced has a panic of a sequence say where it was, of which it would lose track when it is passed on.
func traced[K, V any](seq iter.Seq2[K, V]) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		defer func() {
			if p := recover(); p != nil {
				panic(fmt.Errorf("%v\n\n%s", p, debug.Stack()))
			}
		}()
		seq(yield)
	}
}

// sized is a batch and the room that it takes.
type sized struct {
	arrow.RecordBatch
	bytes int64
}

// decoder decodes a stream ahead of its reader.
type decoder struct {
	running sync.WaitGroup
	room    *semaphore.Weighted // bytes that may be held
	batches chan sized          // decoded, each a reference; closed after the last

	// These are set before batches is closed: how the stream ended, if not well.
	err      error
	panicked any
}

// run decodes until there is nothing more, or until ctx ends.
func (d *decoder) run(ctx context.Context, next func() (arrow.RecordBatch, error, bool)) {
	defer close(d.batches)
	defer func() {
		d.panicked = recover()
	}()
	for {
		batch, err, ok := next()
		if !ok {
			return
		}
		if err != nil {
			d.err = err
			return
		}
		b := sized{batch, min(max(bytesOf(batch), aheadBytes/aheadBatches), aheadBytes)}
		if d.err = d.room.Acquire(ctx, b.bytes); d.err != nil {
			return
		}
		b.Retain()
		d.batches <- b // there is a place for each that has room
	}
}

// emit hands a batch over for one step of the iteration.
func (d *decoder) emit(yield func(arrow.RecordBatch, error) bool, b sized) bool {
	defer d.room.Release(b.bytes)
	defer b.Release()
	return yield(b.RecordBatch, nil)
}

// drop waits for the end of the decoding, which something else has ended, and releases what nobody wants any more.
func (d *decoder) drop() {
	for b := range d.batches {
		b.Release()
	}
	d.running.Wait()
}

// bytesOf are about those that a batch takes in memory.
func bytesOf(batch arrow.RecordBatch) (n int64) {
	if batch == nil {
		return 0
	}
	for _, column := range batch.Columns() {
		n += format.ArrayBytes(column.Data())
	}
	return n
}
