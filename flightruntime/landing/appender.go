package landing

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/semaphore"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// Appender lands record batches of many clients at a time. Batches that wait while others are written become one file together, so that a
// disk's synchronisation, which takes milliseconds, is shared by as many as there are: a batch that comes alone does not wait for company.
// A batch with a key has a file of its own.
type Appender struct {
	landing *Landing
	format  string
	opts    AppenderOptions

	// room is what may still wait, in bytes.
	room *semaphore.Weighted

	mu     sync.Mutex
	queue  []*Pending
	closed bool
	wake   chan struct{} // has one element while the queue may not be empty
	ctx    context.Context
	stop   context.CancelFunc
	done   chan struct{}
	// written are rounds that are to be made durable, in their order.
	written chan []*groupFile
}

// AppenderOptions bound an appender's memory and files.
type AppenderOptions struct {
	// MaxFileBytes of batches go into one file, as Arrow data, unless a single batch is larger. 0 means DefaultMaxFileBytes.
	MaxFileBytes int64
	// MaxPendingBytes of batches are held at a time, those that are being written among them; a single batch that is larger is held alone.
	// More have to wait before they are taken. 0 means twice MaxFileBytes: while one file is written, the next is gathered.
	MaxPendingBytes int64
}

// DefaultMaxFileBytes is one row group of Parquet, as package format writes them.
const DefaultMaxFileBytes = 64 << 20

// ErrClosed is the error of an appender that was closed.
var ErrClosed = errors.New("nothing can be appended any more: the dataset's appender was closed, put again")

// NewAppender starts an appender that writes files of the format of that name, which has to be one of format.WritableNames. Close ends it.
// The landing stays the caller's.
func NewAppender(l *Landing, formatName string, opts AppenderOptions) *Appender {
	if opts.MaxFileBytes <= 0 {
		opts.MaxFileBytes = DefaultMaxFileBytes
	}
	if opts.MaxPendingBytes <= 0 {
		opts.MaxPendingBytes = 2 * opts.MaxFileBytes
	}
	a := &Appender{
		landing: l, format: formatName, opts: opts,
		room: semaphore.NewWeighted(opts.MaxPendingBytes),
		wake: make(chan struct{}, 1), done: make(chan struct{}), written: make(chan []*groupFile),
	}
	a.ctx, a.stop = context.WithCancel(context.Background())
	go a.run()
	go a.finish()
	return a
}

// Append lands a batch and returns when it outlives a power failure. If ctx ends before, its error is returned, and the batch lands in full
// or not at all.
//
// All batches of the dataset have to have the same columns, which the caller sees to. The appender keeps the batch for as long as it needs
// it; the caller may release its own reference when Append returns.
func (a *Appender) Append(ctx context.Context, batch arrow.RecordBatch, key Key) (Landed, error) {
	p, err := a.Enqueue(ctx, batch, key)
	if err != nil {
		return Landed{}, err
	}
	return p.Wait(ctx)
}

// Enqueue is Append without waiting for the end: only for room, if too much is pending. Batches without a key that one goroutine enqueues
// land in their order.
func (a *Appender) Enqueue(ctx context.Context, batch arrow.RecordBatch, key Key) (*Pending, error) {
	p := &Pending{batch: batch, key: key, size: format.BatchBytes(batch), done: make(chan struct{})}
	p.weight = min(p.size, a.opts.MaxPendingBytes)
	if err := a.room.Acquire(ctx, p.weight); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		a.room.Release(p.weight)
		return nil, ErrClosed
	}
	batch.Retain()
	a.queue = append(a.queue, p)
	a.poke()
	return p, nil
}

func (a *Appender) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Close takes no more batches and waits until those that it took have landed. If ctx ends before, those that are left fail with ErrClosed.
func (a *Appender) Close(ctx context.Context) error {
	a.mu.Lock()
	a.closed = true
	a.poke()
	a.mu.Unlock()
	defer a.stop()
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		a.stop()
		<-a.done
		return ctx.Err()
	}
}

// Pending is a batch on its way.
type Pending struct {
	batch  arrow.RecordBatch
	key    Key
	size   int64
	weight int64 // of the room that it takes
	alone  bool  // in its file, for it failed in company

	done   chan struct{}
	landed Landed
	err    error
}

func (p *Pending) joinable() bool { return p.key.ID == "" && !p.alone }

// Wait returns when the batch has landed, or cannot. If ctx ends before, its error is returned, and the batch lands in full or not at all.
func (p *Pending) Wait(ctx context.Context) (Landed, error) {
	select {
	case <-p.done:
		return p.landed, p.err
	case <-ctx.Done():
		return Landed{}, ctx.Err()
	}
}

// Done is closed when the batch has landed, or cannot.
func (p *Pending) Done() <-chan struct{} { return p.done }

// answer tells the outcome, and lets go of the batch.
func (a *Appender) answer(p *Pending, landed Landed, err error) {
	p.landed, p.err = landed, err
	p.batch.Release()
	p.batch = nil
	a.room.Release(p.weight)
	close(p.done)
}

func (a *Appender) run() {
	defer close(a.written)
	for {
		round, closed := a.take()
		switch {
		case len(round) > 0:
			a.land(round)
		case closed:
			return
		default:
			<-a.wake
		}
	}
}

// take is what the next round writes: of all that waits, in its order, as much as fits in a file's size and a round's number of files.
func (a *Appender) take() (round []*groupFile, closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	size, n := int64(0), 0
	for ; n < len(a.queue); n++ {
		p := a.queue[n]
		if n > 0 && size+p.size > a.opts.MaxFileBytes {
			break
		}
		group := joins(round, p)
		if group == nil && len(round) == filesInARound {
			break
		}
		if group == nil {
			group = &groupFile{}
			round = append(round, group)
		}
		group.batches = append(group.batches, p)
		size += p.size
	}
	a.queue = a.queue[n:]
	if len(a.queue) == 0 {
		a.queue = nil // lets go of what was taken
	}
	return round, a.closed
}

// joins is the file that a batch goes into with others, nil if there is none yet.
func joins(round []*groupFile, p *Pending) *groupFile {
	if !p.joinable() {
		return nil
	}
	for _, f := range round {
		first := f.batches[0]
		if first.joinable() && (first.batch.Schema() == p.batch.Schema() || first.batch.Schema().Equal(p.batch.Schema())) {
			return f
		}
	}
	return nil
}

// requeue gives batches back that could not be written in this round: they are first in the next.
func (a *Appender) requeue(batches []*Pending) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = append(slices.Clip(batches), a.queue...)
}
