package catalog

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime/cache"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// State is how a dataset fares.
type State string

// Values of State; the runtime's health answer carries the same words.
const (
	Ready    State = "Ready"
	Loading  State = "Loading"
	Degraded State = "Degraded"
	Failed   State = "Failed"
)

// Status is how a dataset fares, and what of it is served.
type Status struct {
	Name  string
	State State
	// Message says what is wrong; empty where nothing is.
	Message string
	// Snapshot is what is served, nil if nothing is.
	Snapshot *Snapshot
}

// Times between two attempts at what did not succeed: they double from the first to the last.
const (
	// A key of a ConfigMap that has not reached the pod yet comes within a fraction of a second once the kubelet was told.
	notCurrentRetryFirst = 50 * time.Millisecond
	notCurrentRetryLast  = time.Second
	// Listing costs little; what was listed and could not be read is not read again before it changes.
	failedRetryFirst = 250 * time.Millisecond
	failedRetryLast  = 10 * time.Second
	// unchangedRetry is when what could not be read, and has not changed, is read again all the same: the failure may have been the
	// storage's.
	unchangedRetry = 5 * time.Minute
)

// dataset is one dataset's life: a goroutine that loads it, and what it found.
type dataset struct {
	catalog *Catalog
	stop    context.CancelFunc
	gone    <-chan struct{} // closed when the catalog holds it no longer
	// refreshes asks for an attempt now; the channel sent is closed after it.
	refreshes chan chan struct{}
	// wake asks for an attempt now and does not wait.
	wake chan struct{}
	// attempted is closed when the first attempt has ended, well or not.
	attempted chan struct{}

	mu       sync.Mutex
	spec     config.Dataset
	state    State
	message  string
	snapshot *Snapshot
	changed  chan struct{} // closed when there is another snapshot, and when the catalog holds the dataset no longer
}

func newDataset(c *Catalog, spec config.Dataset) *dataset {
	ctx, stop := context.WithCancel(c.ctx)
	d := &dataset{
		catalog: c, stop: stop, gone: ctx.Done(),
		refreshes: make(chan chan struct{}), wake: make(chan struct{}, 1), attempted: make(chan struct{}),
		spec: spec, state: Loading, message: "being read for the first time", changed: make(chan struct{}),
	}
	c.running.Go(func() { d.run(ctx) })
	return d
}

// update gives the dataset a new specification. What is served goes on being served until the new one is read.
func (d *dataset) update(spec config.Dataset) {
	d.mu.Lock()
	changed := !reflect.DeepEqual(d.spec, spec)
	if changed {
		d.spec, d.state, d.message = spec, Loading, "being read after a change of its configuration"
	}
	d.mu.Unlock()
	if changed {
		d.poke()
	}
}

// poke asks for an attempt now.
func (d *dataset) poke() {
	select {
	case d.wake <- struct{}{}:
	default: // one is asked for already
	}
}

// refresh attempts a load now and waits for its end.
func (d *dataset) refresh(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case d.refreshes <- done:
	case <-ctx.Done():
		return ctx.Err()
	case <-d.gone:
		return &NotFoundError{Name: d.status().Name}
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *dataset) status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Status{Name: d.spec.Name, State: d.state, Message: d.message, Snapshot: d.snapshot}
}

// watch is the snapshot, nil if there is none, and a channel that is closed when there is another.
func (d *dataset) watch() (*Snapshot, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.snapshot, d.changed
}

func (d *dataset) run(ctx context.Context) {
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		close(d.changed) // nothing changes any more
	}()
	defer d.forgetCached()
	var l loader
	l.attempt(ctx, d, true)
	close(d.attempted)
	for ctx.Err() == nil {
		timer := time.NewTimer(time.Until(l.due))
		select {
		case <-ctx.Done():
		case <-timer.C:
			l.attempt(ctx, d, false)
		case <-d.wake:
			l.attempt(ctx, d, true)
		case done := <-d.refreshes:
			l.attempt(ctx, d, true)
			close(done)
		case <-l.again:
			l.again = nil
			l.refill(ctx, d)
		}
		timer.Stop()
	}
}

// loader is what a dataset's goroutine remembers from one attempt to the next.
type loader struct {
	failedVersions string // what was listed when reading failed
	failedErr      error
	failedAt       time.Time
	needed         int64 // bytes that a version takes for which there was no room in memory; 0 if there was
	neededFor      string
	// again is closed when a cache may take what it could not; nil where there is nothing to wait for.
	again   <-chan struct{}
	backoff time.Duration
	due     time.Time // of the next attempt
}

// attempt brings the dataset up to date. asked is true where somebody asked for it: then even what could not be read, and has not
// changed since, is read again.
func (l *loader) attempt(ctx context.Context, d *dataset, asked bool) {
	d.mu.Lock()
	spec, current := d.spec, d.snapshot
	d.mu.Unlock()
	snapshot, note, err := l.load(ctx, d, spec, current, asked)
	if ctx.Err() != nil {
		return
	}
	recorded := d.record(spec, snapshot, note, err)
	d.keepCached()
	if !recorded {
		l.due = time.Now() // the specification changed meanwhile
		return
	}
	l.due = time.Now().Add(l.pause(spec, err))
}

// pause is how long it is from an attempt with some outcome to the next.
func (l *loader) pause(spec config.Dataset, err error) time.Duration {
	before := l.backoff
	l.backoff = 0
	switch {
	case err == nil, spec.Allows().Append && errors.Is(err, source.ErrNoMatch):
		return orNever(spec.RefreshInterval.Duration)
	case spec.Missing != "":
		return never // a new configuration tells when it is there
	case errors.Is(err, source.ErrNotCurrent):
		l.backoff = next(before, notCurrentRetryFirst, notCurrentRetryLast)
	default:
		l.backoff = next(before, failedRetryFirst, failedRetryLast)
	}
	return l.backoff
}

// refill brings what is served into its cache, which had not taken all of it before. It is no look at what there is of the dataset: that has
// an interval, or nobody wants it.
func (l *loader) refill(ctx context.Context, d *dataset) {
	d.mu.Lock()
	spec, current := d.spec, d.snapshot
	d.mu.Unlock()
	if current == nil {
		return
	}
	snapshot, note, err := l.fill(ctx, d, spec, current)
	if err != nil {
		l.attempt(ctx, d, false)
		return
	}
	d.refilled(spec, snapshot, note)
	d.keepCached()
}

// load reads what the specification names, or returns the current snapshot where that is still what it names. note is what is to be told of
// one that can be served.
func (l *loader) load(ctx context.Context, d *dataset, spec config.Dataset, current *Snapshot, asked bool) (_ *Snapshot, note string, err error) {
	src, err := sourceOf(spec)
	if err != nil {
		return nil, "", err
	}
	objects, err := src.List(ctx)
	if err != nil {
		return nil, "", err
	}
	versions := fmt.Sprintf("%s %t\n%s", spec.Format, spec.Allows().Overwrite, versionsOf(objects))
	switch {
	case current != nil && current.versions == versions:
		return l.fill(ctx, d, spec, current.describedAs(spec))
	case !asked && l.failedErr != nil && l.failedVersions == versions && time.Since(l.failedAt) < unchangedRetry:
		return nil, "", l.failedErr
	}
	snapshot, err := d.inspectInTurn(ctx, spec, objects, current, versions)
	if err == nil {
		snapshot, note, err = l.fill(ctx, d, spec, snapshot)
	}
	if err != nil {
		l.failedVersions, l.failedErr, l.failedAt = versions, err, time.Now()
		return nil, "", err
	}
	l.failedErr = nil
	return snapshot, note, nil
}

// inspectInTurn is inspect, of as many datasets at a time as the catalog has places for.
func (d *dataset) inspectInTurn(ctx context.Context, spec config.Dataset, objects []source.Object, current *Snapshot, versions string) (*Snapshot, error) {
	if err := d.catalog.loading.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer d.catalog.loading.Release(1)
	return d.inspect(ctx, spec, objects, current, versions)
}

// errFailed stands for a panic: its text is for the log.
var errFailed = errors.New("the server failed while it read the dataset; its log says why")

// inspect makes a snapshot of what was listed. Package format turns its libraries' panics into errors; were one to escape, one dataset is to
// fail and not the server.
func (d *dataset) inspect(ctx context.Context, spec config.Dataset, objects []source.Object, current *Snapshot, versions string) (snapshot *Snapshot, err error) {
	defer func() {
		if p := recover(); p != nil {
			d.catalog.log.ErrorContext(ctx, "panic while a dataset was read", "dataset", spec.Name, "panic", p, "stack", string(debug.Stack()))
			err = errFailed
		}
	}()
	return inspect(ctx, spec, objects, current, versions, d.catalog.pages, d.poke)
}

// record keeps the outcome of an attempt, unless the specification has changed since it began.
func (d *dataset) record(spec config.Dataset, snapshot *Snapshot, note string, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !reflect.DeepEqual(d.spec, spec) {
		return false
	}
	was, told := d.state, d.message
	switch {
	case err == nil:
		d.state, d.message = Ready, note
		d.serve(snapshot)
	case spec.Allows().Append && errors.Is(err, source.ErrNoMatch):
		d.state, d.message = Ready, empty
		d.serve(nil)
	case errors.Is(err, source.ErrNotCurrent):
		d.state, d.message = Loading, err.Error()
	case d.snapshot != nil:
		d.state, d.message = Degraded, "the version before is served, for the newest cannot be read: "+err.Error()
	default:
		d.state, d.message = Failed, err.Error()
	}
	switch {
	case d.state != was:
		d.catalog.logChange(d.spec.Name, d.state, d.message, d.snapshot)
	case d.state == Ready:
		d.tellNote(told)
	}
	return true
}

// refilled serves the snapshot that was served, as it is cached now. What is wrong with a newer version is as true as before.
func (d *dataset) refilled(spec config.Dataset, snapshot *Snapshot, note string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !reflect.DeepEqual(d.spec, spec) {
		return
	}
	d.serve(snapshot)
	if d.state == Ready {
		told := d.message
		d.message = note
		d.tellNote(told)
	}
}

// tellNote logs a note that there is now, or is no longer. That it says something else, how much room there is for instance, is no news. The
// caller holds the lock.
func (d *dataset) tellNote(told string) {
	if (d.message == "") != (told == "") {
		d.catalog.logChange(d.spec.Name, d.state, d.message, d.snapshot)
	}
}

// progress tells how much of a version that nothing is served before has been read into memory.
func (d *dataset) progress(rows, of int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == Loading {
		d.message = fmt.Sprintf("being read into memory: %d of %d rows are there", rows, of)
	}
}

// forgetCached lets go of all that the dataset has in memory.
func (d *dataset) forgetCached() { d.catalog.keep(d, nil) }

// keepCached lets go of what is cached in memory and no longer served.
func (d *dataset) keepCached() {
	if s := d.status().Snapshot; s != nil && s.caching != nil && s.caching.cache.Mode() == cache.Memory {
		d.catalog.keep(d, s.caching.keys)
		return
	}
	d.forgetCached()
}

// empty is what is said of a dataset that clients put into, as long as they have not.
const empty = "there is nothing in it yet: the first put says which columns it has"

// serve makes a snapshot the one that is served. The caller holds the lock.
func (d *dataset) serve(snapshot *Snapshot) {
	if d.snapshot == snapshot {
		return
	}
	d.snapshot = snapshot
	close(d.changed)
	d.changed = make(chan struct{})
}

// never is longer than any process runs.
const never = 100 * 365 * 24 * time.Hour

func orNever(d time.Duration) time.Duration {
	if d <= 0 {
		return never
	}
	return d
}

func next(last, first, longest time.Duration) time.Duration {
	return min(max(2*last, first), longest)
}
