package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/cache"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// caching is how a snapshot is cached.
type caching struct {
	cache *cache.Cache
	keys  []cache.Key // of the layout's parts
}

// cachedIn is the snapshot with a cache, or without one if that is nil. root tells apart objects of the same name.
func (s *Snapshot) cachedIn(c *cache.Cache, root string) *Snapshot {
	if s.caching == nil && c == nil || s.caching != nil && s.caching.cache == c {
		return s
	}
	changed := *s
	changed.caching = nil
	if c != nil {
		changed.caching = &caching{cache: c, keys: make([]cache.Key, len(s.Layout.Parts))}
		for i, p := range s.Layout.Parts {
			changed.caching.keys[i] = cache.KeyOf(s.FormatName, root, p.Object.Name(), p.Object.Version(), string(s.SchemaIPC), unitsOf(p))
		}
	}
	return &changed
}

// unitsOf tells how a part is divided.
func unitsOf(p format.Part) string {
	var b strings.Builder
	for _, u := range p.Units {
		b.WriteString(strconv.FormatInt(u.Rows, 10))
		b.WriteByte(' ')
	}
	return b.String()
}

// CachedBytes is what the parts of the snapshot take that a cache holds; 0 without a cache.
func (s *Snapshot) CachedBytes() int64 {
	if s.caching == nil {
		return 0
	}
	return s.caching.cache.Bytes(s.caching.keys)
}

// cacheSource is what a part is cached from.
func (s *Snapshot) cacheSource(part int) cache.Source {
	p := s.Layout.Parts[part]
	units := make([]int64, len(p.Units))
	for i, u := range p.Units {
		units[i] = u.Rows
	}
	var found statisticsKeeper
	return cache.Source{
		Key: s.caching.keys[part], Name: p.Object.Name(), Schema: s.Layout.Schema, Units: units,
		Read: func(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
			found = statisticsKeeper{schema: s.Layout.Schema}
			return found.of(s.ReadPart(ctx, part, format.ReadOptions{}))
		},
		Note: func() ([]byte, error) { return found.kept.encode() },
		Unchanged: func(ctx context.Context) error {
			r, err := p.Object.Open(ctx)
			if err != nil {
				return s.readError(err)
			}
			return r.Close()
		},
	}
}

// cacheLater has a part cached on disk in the background.
func (s *Snapshot) cacheLater(part int) {
	if c := s.caching; c != nil && c.cache.Mode() == cache.Disk {
		c.cache.FillLater(s.cacheSource(part))
	}
}

// takeLater has those parts read from the disk that an earlier process has left there.
func (s *Snapshot) takeLater() {
	if c := s.caching; c != nil && c.cache.Mode() == cache.Disk {
		for part := range s.Layout.Parts {
			c.cache.TakeLater(s.cacheSource(part))
		}
	}
}

// lease is what is cached of the parts of a selection. nil is nothing.
type lease struct {
	*cache.Lease

	snapshot *Snapshot
}

func (s *Snapshot) acquire(selected []Selection) *lease {
	if s.caching == nil {
		return nil
	}
	keys := make([]cache.Key, len(selected))
	for i, sel := range selected {
		keys[i] = s.caching.keys[sel.Part]
	}
	return &lease{s.caching.cache.Acquire(keys), s}
}

func (l *lease) end() {
	if l != nil {
		l.Release()
	}
}

func (l *lease) part(part int) *cache.Part {
	if l == nil {
		return nil
	}
	return l.Part(l.snapshot.caching.keys[part])
}

// read reads units that are cached; nil if they are not.
func (l *lease) read(ctx context.Context, sel Selection, encoded int, opts format.ReadOptions) iter.Seq2[wire.Chunk, error] {
	part := l.part(sel.Part)
	if part == nil {
		return nil
	}
	wanted := l.wantedRows(part, sel, opts.Keep)
	if opts.Columns == nil && part.LargestMessage() <= encoded {
		return func(yield func(wire.Chunk, error) bool) {
			for m, err := range part.Messages(wanted) {
				if err = cmp.Or(ctx.Err(), err); !yield(wire.Chunk{Encoded: m, Owner: l.Lease}, err) || err != nil {
					return
				}
			}
		}
	}
	return func(yield func(wire.Chunk, error) bool) {
		schema, err := l.snapshot.Layout.Project(opts.Columns)
		if err != nil {
			yield(wire.Chunk{}, err)
			return
		}
		columns := opts.Columns
		if columns == nil {
			columns = upTo(schema.NumFields())
		}
		for batch, err := range part.Batches(wanted, columns, schema) {
			if err = cmp.Or(ctx.Err(), err); err != nil {
				yield(wire.Chunk{}, err)
				return
			}
			if !yield(wire.Chunk{Batch: batch, Owner: l.Lease}, nil) {
				return
			}
		}
	}
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// wantedRows tells whether a message's rows are wanted: their unit is selected, and some of them may be kept for their statistics.
func (l *lease) wantedRows(part *cache.Part, sel Selection, keep func(format.Statistics) bool) func(m cache.Rows) bool {
	layout := l.snapshot.Layout
	units := layout.Parts[sel.Part].Units
	selected := make([]bool, len(units))
	for i := range selected {
		selected[i] = sel.Units == nil
	}
	for _, u := range sel.Units {
		selected[u] = true
	}
	var known []cachedStatistics
	if keep != nil {
		rows := layout.Parts[sel.Part].Rows
		known, _ = part.Note(func(note []byte) any { return statisticsOf(note, layout.Schema, rows) }).([]cachedStatistics)
	}
	if len(known) == 0 {
		return func(m cache.Rows) bool { return selected[m.Unit] }
	}
	next, asked, kept := 0, -1, false // the piece that the next message begins in, and what was last said of one
	return func(m cache.Rows) bool {
		for next < len(known) && known[next].end <= m.From {
			next++
		}
		if !selected[m.Unit] {
			return false
		}
		for i := next; i < len(known) && known[i].from() < m.To; i++ {
			if i != asked {
				asked, kept = i, keep(known[i])
			}
			if kept {
				return true
			}
		}
		return false
	}
}

// keep says what a dataset needs in memory.
func (c *Catalog) keep(d *dataset, keys []cache.Key) {
	c.mu.RLock()
	memory := c.caches.memory
	c.mu.RUnlock()
	if memory != nil {
		memory.Keep(d, keys)
	}
}

// fill brings a snapshot into the cache of its dataset as far as that is done before it is served: into memory, whole or not at all. note
// says why it is not cached where it should be.
func (l *loader) fill(ctx context.Context, d *dataset, spec config.Dataset, s *Snapshot) (cached *Snapshot, note string, err error) {
	c, problem, others := d.catalog.cacheOf(ctx, spec)
	l.again = others
	root := spec.Name
	if spec.Files != nil {
		root = spec.Files.Root
	}
	cached = s.cachedIn(c, root)
	switch {
	case c == nil && problem != "":
		return cached, "it is read from its source, for the cache on disk cannot be used: " + problem, nil
	case c == nil:
		return cached, "", nil
	case c.Mode() == cache.Disk:
		if cached != s {
			cached.takeLater()
		}
		return cached, "", nil
	}
	note, err = l.fillMemory(ctx, d, cached)
	if note != "" || err != nil {
		cached = s.cachedIn(nil, "")
	}
	return cached, note, err
}

// fillMemory brings all parts of a snapshot into memory. note says why they do not fit.
func (l *loader) fillMemory(ctx context.Context, d *dataset, s *Snapshot) (note string, err error) {
	c, total := s.caching.cache, s.Layout.Rows()
	freed := c.Freed()
	have := c.Bytes(s.caching.keys)
	if l.needed > 0 && l.neededFor == s.versions {
		// One at a time: of two that have waited for the same room, each would take half of it, and give that back for the other.
		if err := d.catalog.retrying.Acquire(ctx, 1); err != nil {
			return "", err
		}
		defer d.catalog.retrying.Release(1)
		if l.needed-have > c.Free() {
			l.again = freed
			return noRoom(l.needed, c), nil
		}
	}
	done := int64(0)
	for part, p := range s.Layout.Parts {
		src := s.cacheSource(part)
		src.Progress = func(rows int64) { d.progress(done+rows, total) }
		err := c.Fill(ctx, src, d)
		var full *cache.RoomError
		if errors.As(err, &full) {
			l.needed, l.neededFor, l.again = c.Bytes(s.caching.keys)+full.Bytes, s.versions, freed
			if rows := done + full.Rows; rows > 0 {
				l.needed = int64(float64(l.needed) / float64(rows) * float64(total))
			}
			return noRoom(l.needed, c), nil
		}
		var failed *cache.StoreError
		if errors.As(err, &failed) {
			return "it is read from its source, for it cannot be kept in memory: " + failed.Error(), nil
		}
		if err != nil {
			return "", err
		}
		done += p.Rows
	}
	l.needed = 0
	if c.Bytes(s.caching.keys)-have >= muchFilled {
		debug.FreeOSMemory() // what decoding has left behind is as much as all streams take from now on
	}
	return "", nil
}

// muchFilled bytes leave as much behind as is worth a collection of its own, for which the dataset has to wait: it takes some milliseconds.
const muchFilled = 16 << 20

// noRoom says that a dataset does not fit in memory.
func noRoom(needed int64, c *cache.Cache) string {
	quantity := func(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
	return fmt.Sprintf("it is read from its source, for it takes about %s of memory: the cache has %s, of which %s are free; raise spec.cache.memory.sizeLimit",
		quantity(needed), quantity(c.Limit()), quantity(max(c.Free(), 0)))
}
