// Package cache keeps parts of datasets as the Flight messages that they are sent as, in memory or on a disk, in mapped memory either way:
// a read of a cached part opens no source, decodes nothing, and copies nothing. It knows what a part is made of by a key and a sequence of
// record batches alone, not where these come from.
//
// Memory: what is read from a part aliases its mapping, which is unmapped when the cache has let go of the part and nobody reads it. Nothing
// hangs on the reference counts of Arrow's buffers: whoever reads holds a Lease, and each message that gRPC has yet to write holds one, too.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// Mode is where a cache keeps its parts.
type Mode string

// Values of Mode; manifests spell them alike.
const (
	Memory Mode = "Memory"
	Disk   Mode = "Disk"
)

// Key identifies a part: equal for the same bytes under the same schema, whichever process asks.
type Key [sha256.Size]byte

// KeyOf is the key of what the words say together: where a part comes from, its version, its schema.
func KeyOf(words ...string) Key {
	h := sha256.New()
	for _, w := range words {
		fmt.Fprintf(h, "%q ", w)
	}
	return Key(h.Sum(nil))
}

func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Stats tell how a cache fares.
type Stats struct {
	Mode Mode
	// Bytes of the parts that can be read now, and Limit of what all may take.
	Bytes, Limit int64
	// Of parts that were asked for: Hits were there and Misses were not.
	Hits, Misses int64
	// Evictions are parts that went to make room, Failures are parts that could not be kept, or no longer be read.
	Evictions, Failures int64
}

// RoomError says that a part did not fit.
type RoomError struct {
	Mode Mode
	// Limit of the cache, and what of it was Left for the part.
	Limit, Left int64
	// Bytes and Rows of the part up to the end of the message for which there was no room: more than there was for all of it.
	Bytes, Rows int64
}

func (e *RoomError) Error() string {
	return fmt.Sprintf("no room in the cache: of its %d bytes %d were left, and a part needs %d at least", e.Limit, e.Left, e.Bytes)
}

// StoreError says that memory or the disk fails, and not the source of a part.
type StoreError struct{ Err error }

func (e *StoreError) Error() string { return "write to the cache: " + e.Err.Error() }

// Unwrap is what went wrong.
func (e *StoreError) Unwrap() error { return e.Err }

// maxFills is how many parts are filled at a time: as one takes a processor, more would leave none for those who read.
const maxFills = 2

// touchInterval is how exactly a store is told when a part was used last.
const touchInterval = time.Minute

// failureRetry is when a part that could not be filled in the background is tried again.
const failureRetry = time.Minute

// tooLargeRetry is the same of a part that takes more than the cache may have: others go for nothing each time.
const tooLargeRetry = time.Hour

// store is where a cache's parts lie. Its methods are called by one fill each, several at a time.
type store interface {
	// begin makes the file that a part is written to.
	begin(k Key) (stagedFile, error)
	// take is a part that an earlier process has left; errAbsent if there is none that can be trusted.
	take(k Key, units []int64) (*file, error)
	// room makes sure that n further bytes may be written; a *RoomError if not.
	room(n int64) error
	// touched notes that a part is in use.
	touched(k Key)
	// remove drops what there is of a part that no process could read.
	remove(k Key)
}

// errAbsent: no process has left the part.
var errAbsent = errors.New("the part is not there")

// Cache keeps parts of one mode. Its methods are safe for use by several goroutines.
type Cache struct {
	mode    Mode
	log     *slog.Logger
	store   store
	ctx     context.Context // of fills in the background
	stop    context.CancelFunc
	running sync.WaitGroup
	slots   *semaphore.Weighted

	hits, misses, evictions, failures atomic.Int64

	mu      sync.Mutex
	limit   int64
	held    int64         // bytes that parts take which are mapped or being written, those that were let go of and are still read among them
	parts   map[Key]*Part // that can be read
	mapped  map[*Part]bool
	filling map[Key]chan struct{}
	failed  map[Key]time.Time // until when a part is not tried again
	freed   chan struct{}     // closed when there is more room, and another one put in its place
	// saidWhy is when it was last said that there is no room, or that the disk fails.
	saidWhy time.Time
	closed  bool
}

func newCache(mode Mode, limit int64, log *slog.Logger) *Cache {
	ctx, stop := context.WithCancel(context.Background())
	return &Cache{
		mode: mode, log: log.With("cache", string(mode)), ctx: ctx, stop: stop, slots: semaphore.NewWeighted(maxFills), limit: limit,
		parts: map[Key]*Part{}, mapped: map[*Part]bool{}, filling: map[Key]chan struct{}{}, failed: map[Key]time.Time{},
		freed: make(chan struct{}),
	}
}

// NewMemory is a cache in memory, outside Go's heap, of limit bytes. Close releases it.
func NewMemory(limit int64, log *slog.Logger) *Cache {
	c := newCache(Memory, limit, log)
	c.store = &memoryStore{c}
	return c
}

// NewDisk is a cache of limit bytes in files of a folder, which is made if need be, and which processes may share, those on other nodes too.
// What an earlier process has left there is taken over once it is asked for. Close releases the cache and leaves the files.
func NewDisk(dir string, limit int64, log *slog.Logger) (*Cache, error) {
	c := newCache(Disk, limit, log)
	s, err := openFolder(c, dir)
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("open the folder of the cache: %w", err)
	}
	c.store = s
	return c, nil
}

// Mode is where the cache keeps its parts.
func (c *Cache) Mode() Mode { return c.mode }

// Close ends what is being filled and lets go of all parts. Leases stay valid.
func (c *Cache) Close() {
	c.stop()
	c.mu.Lock()
	c.closed = true
	gone := make([]*Part, 0, len(c.parts))
	for _, p := range c.parts {
		gone = append(gone, p)
	}
	clear(c.parts)
	c.mu.Unlock()
	for _, p := range gone {
		p.release()
	}
	c.running.Wait()
	if s, ok := c.store.(io.Closer); ok {
		_ = s.Close() // it is of files that were read
	}
}

// SetLimit changes how many bytes all parts may take. What is there already stays until room is needed.
func (c *Cache) SetLimit(limit int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit > c.limit {
		clear(c.failed)
		c.tellFreed()
	}
	c.limit = limit
}

// Stats tell how the cache fares.
func (c *Cache) Stats() Stats {
	s := Stats{Mode: c.mode, Hits: c.hits.Load(), Misses: c.misses.Load(), Evictions: c.evictions.Load(), Failures: c.failures.Load()}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Limit = c.limit
	for _, p := range c.parts {
		s.Bytes += p.size()
	}
	return s
}

// Free is how many bytes could be filled now without anything going.
func (c *Cache) Free() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limit - c.held
}

// Limit is how many bytes all parts may take.
func (c *Cache) Limit() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limit
}

// Bytes of those of some parts that can be read now.
func (c *Cache) Bytes(keys []Key) (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys {
		if p := c.parts[k]; p != nil {
			n += p.size()
		}
	}
	return n
}

// Acquire takes a lease of those of some parts that can be read now. The caller releases it.
func (c *Cache) Acquire(keys []Key) *Lease {
	found := make(map[Key]*Part, len(keys))
	var told []Key
	now := time.Now()
	c.mu.Lock()
	for _, k := range keys {
		p := c.parts[k]
		if p == nil || found[k] != nil {
			continue
		}
		p.refs.Add(1)
		p.used = now
		found[k] = p
		if now.Sub(p.told) >= touchInterval {
			p.told = now
			told = append(told, k)
		}
	}
	c.mu.Unlock()
	for _, k := range told {
		c.store.touched(k)
	}
	c.hits.Add(int64(len(found)))
	c.misses.Add(int64(len(keys) - len(found)))
	return newLease(found)
}

// Keep says which parts someone needs, by any comparable value that stands for them. Parts that someone has filled or kept, and nobody
// needs any more, go. It is for caches in memory: those on disk let parts go when they need room.
func (c *Cache) Keep(who any, keys []Key) {
	wanted := make(map[Key]bool, len(keys))
	for _, k := range keys {
		wanted[k] = true
	}
	var gone []*Part
	c.mu.Lock()
	for k, p := range c.parts {
		if wanted[k] {
			p.keepers[who] = true
			continue
		}
		if !p.keepers[who] {
			continue
		}
		if delete(p.keepers, who); len(p.keepers) == 0 {
			delete(c.parts, k)
			gone = append(gone, p)
		}
	}
	c.mu.Unlock()
	for _, p := range gone {
		p.release()
	}
}

// Freed is closed as soon as more bytes may be filled than when it was asked for: parts were let go of and are read no longer, one could not be
// finished, or the limit was raised.
func (c *Cache) Freed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.freed
}

// tellFreed tells those who wait for room. The caller holds the lock.
func (c *Cache) tellFreed() {
	close(c.freed)
	c.freed = make(chan struct{})
}

// unmapped notes that a part takes no bytes any more.
func (c *Cache) unmapped(p *Part) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mapped, p)
	c.held -= p.size()
	c.tellFreed()
}

// hold notes that parts take n bytes more, or less if n is negative.
func (c *Cache) hold(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held += n
	if n < 0 {
		c.tellFreed()
	}
}
