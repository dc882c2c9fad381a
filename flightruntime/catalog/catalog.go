// Package catalog is the live set of datasets. Each has a snapshot that calls read from; a newer version is read beside it and takes its
// place in one step. What cannot be read leaves the snapshot before in place, and says why.
package catalog

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/flight-operator/flight-operator/flightruntime/cache"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/internal/text"
)

// Catalog is the live set of datasets. Its methods are safe for use by several goroutines.
type Catalog struct {
	log     *slog.Logger
	ctx     context.Context // of the goroutines that load datasets
	stop    context.CancelFunc
	running sync.WaitGroup
	// loading has as many places as datasets are read at a time, and retrying one for those that had no room in memory.
	loading, retrying *semaphore.Weighted
	openDisk          func(dir string, limit int64, log *slog.Logger) (*cache.Cache, error)
	pages             *format.PageBudget // nil: the process's own

	mu       sync.RWMutex
	names    []string // sorted
	datasets map[string]*dataset
	caches   caches
}

// Option is a setting of a catalog.
type Option func(*Catalog)

// WithPages has all reads of the catalog's datasets share a budget of pages. Without it, they share the process's own.
func WithPages(budget *format.PageBudget) Option { return func(c *Catalog) { c.pages = budget } }

// New makes an empty catalog. Close releases it.
func New(log *slog.Logger, options ...Option) *Catalog {
	ctx, stop := context.WithCancel(context.Background())
	c := &Catalog{
		log: log, ctx: ctx, stop: stop, loading: semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))), retrying: semaphore.NewWeighted(1),
		openDisk: cache.NewDisk, datasets: map[string]*dataset{}, caches: caches{changed: make(chan struct{})},
	}
	for _, o := range options {
		o(c)
	}
	return c
}

// Close ends loading and waits until it has. Snapshots go on being readable, from their sources.
func (c *Catalog) Close() {
	c.stop()
	c.running.Wait()
	c.closeCaches()
}

// Apply makes the catalog hold the given datasets and no others. It does not wait: each dataset's Status tells how far it is.
func (c *Catalog) Apply(datasets []config.Dataset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := make(map[string]*dataset, len(datasets))
	names := make([]string, 0, len(datasets))
	for _, spec := range datasets {
		d, ok := c.datasets[spec.Name]
		if ok {
			d.update(spec)
		} else {
			d = newDataset(c, spec)
		}
		next[spec.Name] = d
		names = append(names, spec.Name)
	}
	for name, d := range c.datasets {
		if next[name] == nil {
			d.stop()
			c.log.Info("dataset removed", "dataset", name)
		}
	}
	slices.Sort(names)
	c.names, c.datasets = names, next
}

// Snapshot is what is served under a name now. The error is a *NotFoundError or an *UnavailableError.
func (c *Catalog) Snapshot(name string) (*Snapshot, error) {
	c.mu.RLock()
	d, names := c.datasets[name], c.names
	c.mu.RUnlock()
	if d == nil {
		return nil, &NotFoundError{Name: name, Similar: text.Similar(name, names)}
	}
	s := d.status()
	if s.Snapshot == nil {
		return nil, &UnavailableError{Name: name, Message: s.Message}
	}
	return s.Snapshot, nil
}

// Watch is Snapshot, and a channel that is closed as soon as there is another snapshot, or no such dataset any more.
func (c *Catalog) Watch(name string) (*Snapshot, <-chan struct{}, error) {
	c.mu.RLock()
	d, names := c.datasets[name], c.names
	c.mu.RUnlock()
	if d == nil {
		return nil, nil, &NotFoundError{Name: name, Similar: text.Similar(name, names)}
	}
	snapshot, changed := d.watch()
	if snapshot == nil {
		return nil, nil, &UnavailableError{Name: name, Message: d.status().Message}
	}
	return snapshot, changed, nil
}

// Statuses tells how each dataset fares, by name.
func (c *Catalog) Statuses() []Status {
	all := c.all()
	statuses := make([]Status, len(all))
	for i, d := range all {
		statuses[i] = d.status()
	}
	return statuses
}

// Names are those of the datasets, in order.
func (c *Catalog) Names() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.names)
}

// Refresh reads a dataset again if it has changed, all of them if name is empty, waits until that is done, and tells how they fare.
func (c *Catalog) Refresh(ctx context.Context, name string) ([]Status, error) {
	if name == "" {
		return c.RefreshEach(ctx, func(string) bool { return true })
	}
	c.mu.RLock()
	d, names := c.datasets[name], c.names
	c.mu.RUnlock()
	if d == nil {
		return nil, &NotFoundError{Name: name, Similar: text.Similar(name, names)}
	}
	if err := d.refresh(ctx); err != nil {
		return nil, err
	}
	return []Status{d.status()}, nil
}

// RefreshEach is Refresh for every dataset whose name is wanted.
func (c *Catalog) RefreshEach(ctx context.Context, wanted func(name string) bool) ([]Status, error) {
	asked := slices.DeleteFunc(c.all(), func(d *dataset) bool { return !wanted(d.status().Name) })
	var wg sync.WaitGroup
	errs := make([]error, len(asked))
	for i, d := range asked {
		wg.Go(func() { errs[i] = d.refresh(ctx) })
	}
	wg.Wait()
	statuses := make([]Status, 0, len(asked))
	for i, d := range asked {
		var gone *NotFoundError
		switch {
		case errors.As(errs[i], &gone):
			// it was removed meanwhile: the others are all there are
		case errs[i] != nil:
			return nil, errs[i]
		default:
			statuses = append(statuses, d.status())
		}
	}
	return statuses, nil
}

// Attempted waits until every dataset that the catalog holds has been read once, or could not be.
func (c *Catalog) Attempted(ctx context.Context) error {
	for _, d := range c.all() {
		select {
		case <-d.attempted:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (c *Catalog) all() []*dataset {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := make([]*dataset, len(c.names))
	for i, name := range c.names {
		all[i] = c.datasets[name]
	}
	return all
}

func (c *Catalog) logChange(name string, state State, message string, s *Snapshot) {
	attrs := []any{"dataset", name, "state", state}
	if s != nil {
		attrs = append(attrs, "rows", s.Layout.Rows(), "bytes", s.Layout.Bytes(), "files", len(s.Layout.Parts))
	}
	if message != "" {
		c.log.Warn("dataset", append(attrs, "message", message)...)
		return
	}
	c.log.Info("dataset", attrs...)
}
