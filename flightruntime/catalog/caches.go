package catalog

import (
	"context"
	"time"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/cache"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// openPatience is how long a dataset waits for the folder of the cache on disk before it is served from its source: far longer than a disk takes
// that works.
const openPatience = time.Second

// Times between two attempts to open that folder: they double from the first to the last. A volume may be mounted, emptied or given to the right user while the
// server runs, and nothing tells of it.
const (
	openRetryFirst = time.Second
	openRetryLast  = time.Minute
)

// caches are those of the server.
type caches struct {
	memory *cache.Cache // nil until it is configured
	disk   *diskCache   // likewise
	// changed is closed when disk is another one, or has been opened; and another one put in its place.
	changed chan struct{}
}

// diskCache is the cache on a disk as far as it is open. The catalog's lock guards it.
type diskCache struct {
	dir     string
	limit   int64
	cache   *cache.Cache       // nil until it is open
	problem string             // why it cannot be used
	stop    context.CancelFunc // ends the attempts to open it
}

// Configure makes the catalog keep to the configuration of the caches. It is called before Apply, and waits for no disk.
func (c *Catalog) Configure(conf *config.Cache) {
	if conf == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := conf.Memory; m != nil {
		if c.caches.memory == nil {
			c.caches.memory = cache.NewMemory(m.SizeLimit, c.log)
		}
		c.caches.memory.SetLimit(m.SizeLimit)
	}
	if conf.Disk != nil {
		c.configureDisk(conf.Disk)
	}
}

// configureDisk keeps the cache on disk that there is, or has another one opened. The caller holds the lock.
func (c *Catalog) configureDisk(conf *config.DiskCache) {
	before := c.caches.disk
	if before != nil && before.dir == conf.Dir && before.problem == conf.Missing { // what failed is tried again at once
		before.limit = conf.SizeLimit
		if before.cache != nil {
			before.cache.SetLimit(conf.SizeLimit)
		}
		return
	}
	if before != nil {
		before.stop()
		if before.cache != nil {
			c.running.Go(before.cache.Close)
		}
	}
	ctx, stop := context.WithCancel(c.ctx)
	disk := &diskCache{dir: conf.Dir, limit: conf.SizeLimit, problem: conf.Missing, stop: stop}
	c.caches.disk = disk
	c.cachesChanged()
	if disk.problem == "" {
		go c.open(ctx, disk, conf.SizeLimit) // nobody waits for it: it may be for ever
	}
}

// open opens the cache on a disk, and tries again until it succeeds or another one has taken its place.
func (c *Catalog) open(ctx context.Context, disk *diskCache, limit int64) {
	for pause := openRetryFirst; ; pause = next(pause, openRetryFirst, openRetryLast) {
		opened, err := c.openDisk(disk.dir, limit, c.log)
		if c.opened(disk, opened, err) {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// opened notes the outcome of an attempt to open a cache, and is false where another one may have another.
func (c *Catalog) opened(disk *diskCache, opened *cache.Cache, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := disk.problem
	switch {
	case c.caches.disk != disk:
		if err == nil {
			go opened.Close()
		}
		return true
	case err != nil:
		if disk.problem = err.Error(); disk.problem != before {
			c.log.Error("the cache on disk cannot be used: datasets are read from their sources until it can", "error", err)
			c.cachesChanged()
		}
		return false
	}
	opened.SetLimit(disk.limit)
	disk.cache, disk.problem = opened, ""
	if before != "" {
		c.log.Info("the cache on disk can be used now", "folder", disk.dir)
	}
	c.cachesChanged()
	return true
}

// cachesChanged tells those who wait for a cache. The caller holds the lock.
func (c *Catalog) cachesChanged() {
	close(c.caches.changed)
	c.caches.changed = make(chan struct{})
}

// CacheStats tell how each cache fares that is used.
func (c *Catalog) CacheStats() (stats []cache.Stats) {
	for _, each := range c.openCaches() {
		stats = append(stats, each.Stats())
	}
	return stats
}

// Usable tells of each cache that is configured whether it can be used now.
func (c *Catalog) Usable() map[cache.Mode]bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	usable := map[cache.Mode]bool{}
	if c.caches.memory != nil {
		usable[cache.Memory] = true
	}
	if c.caches.disk != nil {
		usable[cache.Disk] = c.caches.disk.cache != nil
	}
	return usable
}

// openCaches are those that can be used now.
func (c *Catalog) openCaches() (open []*cache.Cache) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.caches.memory != nil {
		open = append(open, c.caches.memory)
	}
	if c.caches.disk != nil && c.caches.disk.cache != nil {
		open = append(open, c.caches.disk.cache)
	}
	return open
}

// closeCaches lets go of what is cached. Reads that are running end as they would have.
func (c *Catalog) closeCaches() {
	open := c.openCaches()
	c.mu.Lock()
	c.caches.memory, c.caches.disk = nil, nil
	c.mu.Unlock()
	for _, each := range open {
		each.Close()
	}
}

// cacheOf is the cache that a dataset is to be kept in, nil if none; why there is none where there should be; and what is closed when the answer
// may have become another one, nil if it never does.
func (c *Catalog) cacheOf(ctx context.Context, spec config.Dataset) (_ *cache.Cache, problem string, changed <-chan struct{}) {
	switch spec.Cache {
	case v1alpha1.CacheMemory:
		c.mu.RLock()
		defer c.mu.RUnlock()
		return c.caches.memory, "", nil
	case v1alpha1.CacheDisk:
		return c.openedDisk(ctx)
	default:
		return nil, "", nil
	}
}

// openedDisk waits for the cache on disk as long as patience goes.
func (c *Catalog) openedDisk(ctx context.Context) (_ *cache.Cache, problem string, changed <-chan struct{}) {
	patience := time.NewTimer(openPatience)
	defer patience.Stop()
	for {
		c.mu.RLock()
		var disk diskCache
		if c.caches.disk != nil {
			disk = *c.caches.disk
		}
		changed := c.caches.changed
		c.mu.RUnlock()
		if disk.dir == "" || disk.cache != nil || disk.problem != "" {
			return disk.cache, disk.problem, changed
		}
		select {
		case <-changed:
		case <-patience.C:
			return nil, "its folder " + disk.dir + " does not answer", changed
		case <-ctx.Done():
			return nil, "", changed
		}
	}
}
