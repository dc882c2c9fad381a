package cache

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"math"
	"os"
	"runtime/debug"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// Source is what a part is made of.
type Source struct {
	Key Key
	// Name is how messages to users call the part.
	Name   string
	Schema *arrow.Schema
	// Units are the numbers of rows of the pieces of the part that can be read each on its own, in order.
	Units []int64
	// Read yields all record batches, which have the schema and as many rows as the units together. A batch that nobody retains is valid until the next.
	Read func(ctx context.Context) iter.Seq2[arrow.RecordBatch, error]
	// Note, if set, is asked when all has been read: what it says is kept with the part.
	Note func() ([]byte, error)
	// Unchanged is asked when all has been read: an error says that it may not have been one version of the part.
	Unchanged func(ctx context.Context) error
	// Progress, if set, is told how many rows have been read.
	Progress func(rows int64)
}

// stagedFile is the file of a part that is being written.
type stagedFile interface {
	io.Writer
	// commit makes the file last, once all has been written.
	commit() error
	// file is what is written to.
	file() *os.File
	// Close closes the file, which is gone if it was not committed.
	io.Closer
}

// file is the complete file of a part.
type file struct {
	*os.File

	size  int64
	index *index
}

// Fill makes a part readable, in the name of someone who keeps it; see Keep. What is there already is not filled again. A *RoomError says that
// it did not fit, a *StoreError that memory or the disk fails; other errors are those of the source.
func (c *Cache) Fill(ctx context.Context, src Source, who any) error {
	leave, err := c.enter(ctx, src.Key, who)
	if leave == nil || err != nil {
		return err
	}
	defer leave()
	if err := c.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer c.slots.Release(1)
	return c.fill(ctx, src, who)
}

// FillLater fills a part in the background, unless that is being done already or has just failed. What goes wrong is told in the log and in Stats.
func (c *Cache) FillLater(src Source) { c.later(src, c.fill) }

// TakeLater makes a part readable, in the background, if an earlier process has left it.
func (c *Cache) TakeLater(src Source) {
	c.later(src, func(_ context.Context, src Source, who any) error {
		if err := c.take(src, who); !errors.Is(err, errAbsent) {
			return err
		}
		return nil
	})
}

func (c *Cache) later(src Source, fill func(context.Context, Source, any) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, filling := c.filling[src.Key]
	if c.closed || filling || c.parts[src.Key] != nil || time.Until(c.failed[src.Key]) > 0 {
		return
	}
	done := make(chan struct{})
	c.filling[src.Key] = done
	c.running.Go(func() {
		defer c.leave(src.Key, done)
		if c.slots.Acquire(c.ctx, 1) != nil {
			return
		}
		defer c.slots.Release(1)
		if err := fill(c.ctx, src, nil); err != nil && c.ctx.Err() == nil {
			c.fellShort(src, err)
		}
	})
}

// fellShort notes that a part is not tried again for a while. What is no part's own fault is said once in a while, whatever the number of parts.
func (c *Cache) fellShort(src Source, err error) {
	now := time.Now()
	c.mu.Lock()
	for k, until := range c.failed {
		if now.After(until) {
			delete(c.failed, k)
		}
	}
	c.failed[src.Key] = now.Add(retryAfter(src, err))
	var full *RoomError
	var failed *StoreError
	common := errors.As(err, &full) || errors.As(err, &failed)
	said := common && now.Sub(c.saidWhy) < failureRetry
	if common && !said {
		c.saidWhy = now
	}
	c.mu.Unlock()
	if !said {
		c.log.Warn("a part could not be kept in the cache, and is read from its source", "part", src.Name, "error", err)
	}
}

// retryAfter is when a part that fell short is tried again.
func retryAfter(src Source, err error) time.Duration {
	var full *RoomError
	if !errors.As(err, &full) || full.Rows == 0 {
		return failureRetry
	}
	rows := int64(0)
	for _, n := range src.Units {
		rows += n
	}
	if needed := float64(full.Bytes) / float64(full.Rows) * float64(rows); needed > float64(full.Limit) {
		return tooLargeRetry
	}
	return failureRetry
}

// enter waits for its turn to fill a part. leave is nil if there is nothing to fill any more.
func (c *Cache) enter(ctx context.Context, k Key, who any) (leave func(), err error) {
	for {
		c.mu.Lock()
		if p := c.parts[k]; p != nil {
			p.keepers[who] = true
			c.mu.Unlock()
			return nil, nil //nolint:nilnil // nothing to do is no error
		}
		others, filling := c.filling[k]
		if !filling {
			done := make(chan struct{})
			c.filling[k] = done
			c.mu.Unlock()
			return func() { c.leave(k, done) }, nil
		}
		c.mu.Unlock()
		select {
		case <-others:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *Cache) leave(k Key, done chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.filling, k)
	close(done)
}

// fill makes a part, or takes over what an earlier process has left of it.
func (c *Cache) fill(ctx context.Context, src Source, who any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.ErrorContext(ctx, "panic while a part was written to the cache", "part", src.Name, "panic", p, "stack", string(debug.Stack()))
			err = errors.New("the server failed while it wrote to the cache; its log says why")
		}
		if err != nil && ctx.Err() == nil {
			c.failures.Add(1)
		}
	}()
	if err = c.take(src, who); err == nil {
		return nil
	}
	if !errors.Is(err, errAbsent) {
		return err
	}
	staged, err := c.store.begin(src.Key)
	if err != nil {
		return &StoreError{err}
	}
	defer func() {
		if closeErr := staged.Close(); err == nil && closeErr != nil {
			err = &StoreError{closeErr}
		}
	}()
	w := &partWriter{cache: c, out: bufio.NewWriterSize(staged, writeBuffer), index: index{Key: src.Key.String(), Units: src.Units}}
	defer func() { c.hold(-w.held) }() // what is left of it is that of a part that was not made
	if err := w.write(ctx, src); err != nil {
		return w.told(err)
	}
	if err := staged.commit(); err != nil {
		return &StoreError{err}
	}
	if err := c.add(src, &file{File: staged.file(), size: w.at, index: &w.index}, who); err != nil {
		return &StoreError{err}
	}
	w.held = 0
	return nil
}

// take takes over a part that an earlier process has left.
func (c *Cache) take(src Source, who any) error {
	f, err := c.store.take(src.Key, src.Units)
	if err != nil {
		return err
	}
	c.hold(f.size)
	if err := errors.Join(c.add(src, f, who), f.Close()); err != nil {
		c.hold(-f.size)
		return err
	}
	return nil
}

// add makes a part readable whose bytes are held already.
func (c *Cache) add(src Source, f *file, who any) error {
	p, err := newPart(c, src, f)
	if err != nil {
		return err
	}
	p.used = time.Now()
	if who != nil {
		p.keepers[who] = true
	}
	c.mu.Lock()
	c.mapped[p] = true
	closed := c.closed
	if !closed {
		c.parts[src.Key] = p
		delete(c.failed, src.Key)
	}
	c.mu.Unlock()
	if closed {
		p.release()
	}
	return nil
}

// writeBuffer gathers small pieces. What is in it does not show in the folder yet, where it counts.
const writeBuffer = 64 << 10

// partWriter writes a part's file. It is the stream that a wire.Writer sends messages to, so that what the file has is what is sent.
type partWriter struct {
	cache *Cache
	out   *bufio.Writer
	at    int64 // bytes written
	held  int64 // bytes that the cache holds for it
	rows  int64 // of the batches that were written
	// Of the messages that were begun, and of what comes before and behind them: where they end, and their rows.
	begun, begunRows int64

	unit  int   // that rows are of now
	left  int64 // rows that it has yet to get
	index index
}

func (w *partWriter) write(ctx context.Context, src Source) error {
	if err := w.bytes(append([]byte(magic), make([]byte, bodyAlignment-len(magic))...)); err != nil {
		return err
	}
	writer, err := wire.NewWriter(w, src.Schema, math.MaxInt32, wire.WithLargeMessage())
	if err != nil {
		return err
	}
	defer func() { _ = writer.Close() }() // it sends nothing
	joined := newJoiner(src.Schema, writer)
	defer joined.drop()
	if len(src.Units) > 0 {
		w.left = src.Units[0]
	}
	for batch, err := range src.Read(ctx) {
		if err != nil {
			return err
		}
		if err := w.batch(joined, batch, src.Units); err != nil {
			return err
		}
		if src.Progress != nil {
			src.Progress(w.rows)
		}
	}
	for w.left == 0 && w.unit+1 < len(src.Units) { // units without rows
		w.unit, w.left = w.unit+1, src.Units[w.unit+1]
	}
	if w.left > 0 || len(src.Units) > 0 && w.unit+1 < len(src.Units) {
		return fmt.Errorf("unit %d of %d lacks %d rows", w.unit, len(src.Units), w.left)
	}
	if src.Unchanged != nil {
		if err := src.Unchanged(ctx); err != nil {
			return err
		}
	}
	if src.Note != nil {
		if w.index.Note, err = src.Note(); err != nil {
			return err
		}
	}
	tail, err := w.index.encode()
	if err != nil {
		return err
	}
	if err := w.bytes(tail); err != nil {
		return err
	}
	if err := w.out.Flush(); err != nil {
		return &StoreError{err}
	}
	return nil
}

// told is an error that knows how far the part has come.
func (w *partWriter) told(err error) error {
	var full *RoomError
	if errors.As(err, &full) {
		full.Bytes, full.Rows = w.begun, w.begunRows
	}
	return err
}

// batch writes a batch, divided where a unit ends. What may go with the next of the unit waits for that.
func (w *partWriter) batch(to *joiner, batch arrow.RecordBatch, units []int64) error {
	rows := batch.NumRows()
	if rows == 0 {
		return nil
	}
	for from := int64(0); from < rows; {
		for w.left == 0 {
			if w.unit++; w.unit >= len(units) {
				return fmt.Errorf("there are more than the %d rows that were expected", w.rows)
			}
			w.left = units[w.unit]
		}
		n := min(rows-from, w.left)
		piece := batch.NewSlice(from, from+n)
		err := to.add(piece)
		piece.Release()
		if err != nil {
			return err
		}
		from, w.left, w.rows = from+n, w.left-n, w.rows+n
		if w.left > 0 {
			continue
		}
		if err := to.begin(); err != nil {
			return err
		}
	}
	return nil
}

// SendMsg writes a message.
func (w *partWriter) SendMsg(m any) error {
	pieces, err := wire.Codec().Marshal(m)
	if err != nil {
		return err
	}
	defer pieces.Free()
	head := pieces[0].ReadOnlyData()
	metadata, body, err := wire.SplitEncoded(head)
	if err != nil {
		return err
	}
	about, err := ipcguard.Parse(metadata)
	if err != nil {
		return err
	}
	begins := w.at + int64(body)
	padding := make([]byte, (bodyAlignment-begins%bodyAlignment)%bodyAlignment)
	if err := w.bytes(padding); err != nil {
		return err
	}
	msg := message{
		From: w.at, Body: w.at + int64(body), To: w.at + int64(pieces.Len()), Kind: about.Kind,
		Rows: about.Rows, Dictionary: about.Dictionary, Delta: about.Delta,
	}
	if msg.Kind == ipcguard.KindRecordBatch {
		msg.Unit = w.unit
	}
	w.begun, w.begunRows = msg.To, w.begunRows+msg.Rows
	for _, piece := range pieces {
		msg.Sum = crc32.Update(msg.Sum, castagnoli, piece.ReadOnlyData())
		if err := w.bytes(piece.ReadOnlyData()); err != nil {
			return err
		}
	}
	w.index.Messages = append(w.index.Messages, msg)
	return nil
}

// bytes writes bytes if there is room for them.
func (w *partWriter) bytes(b []byte) error {
	n := int64(len(b))
	if n == 0 {
		return nil
	}
	if err := w.cache.store.room(n); err != nil {
		w.begun = max(w.begun, w.at+n)
		return err // a *RoomError for the most part
	}
	w.cache.hold(n)
	w.held += n
	w.at += n
	if _, err := w.out.Write(b); err != nil {
		return &StoreError{err}
	}
	return nil
}
