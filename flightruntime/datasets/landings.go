package datasets

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/landing"
)

// landings are where puts into datasets land. Each is opened by the first put into its dataset.
type landings struct {
	mu   sync.Mutex
	open map[string]*landingPlace // by dataset
}

// landingPlace is where puts into one dataset land.
type landingPlace struct {
	spec     config.Dataset
	landing  *landing.Landing
	appender *landing.Appender
	inside   sync.WaitGroup // calls that use it

	mu sync.Mutex
	// schema is that of the first put into a dataset that was empty, until there is a snapshot to go by.
	schema *arrow.Schema
	puts   int  // that were admitted and have not ended
	tried  bool // whether anything of that schema may have landed
}

// closeTimeout is how long puts may go on landing in a place that the configuration no longer has.
const closeTimeout = 30 * time.Second

func newLandings() *landings { return &landings{open: map[string]*landingPlace{}} }

// enter is where puts into a dataset land. It is not closed before the caller leaves it.
func (l *landings) enter(ctx context.Context, spec config.Dataset) (*landingPlace, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.open[spec.Name]; p != nil && sameLanding(p.spec, spec) {
		p.inside.Add(1)
		return p, nil
	}
	opened, err := landing.Open(ctx, spec.Files.Root, spec.Files.Path)
	if err != nil {
		return nil, err
	}
	if before := l.open[spec.Name]; before != nil {
		go before.close()
	}
	p := &landingPlace{spec: spec, landing: opened, appender: landing.NewAppender(opened, spec.Format, landing.AppenderOptions{})}
	l.open[spec.Name] = p
	p.inside.Add(1)
	return p, nil
}

// leave ends what enter began.
func (p *landingPlace) leave() { p.inside.Done() }

// keep closes the places that a configuration no longer has.
func (l *landings) keep(datasets []config.Dataset) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, p := range l.open {
		kept := false
		for _, d := range datasets {
			kept = kept || d.Name == name && d.Allows().Append && sameLanding(p.spec, d)
		}
		if !kept {
			delete(l.open, name)
			go p.close()
		}
	}
}

// close waits until what was taken has landed.
func (l *landings) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, p := range l.open {
		p.close()
		delete(l.open, name)
	}
}

func (p *landingPlace) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := p.appender.Close(ctx); err != nil {
		slog.Warn("puts have not landed in time", "dataset", p.spec.Name, "error", err)
	}
	p.inside.Wait()
	_ = p.landing.Close()
}

// forgetSchema makes the snapshot alone count, or the next put if there is none.
func (p *landingPlace) forgetSchema() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.schema, p.tried = nil, false
}

// landsSoon says that something of what was admitted may land from now on.
func (p *landingPlace) landsSoon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tried = true
}

// ended ends what admit began. Puts that have landed nothing leave it to the next one which columns the dataset has.
func (p *landingPlace) ended() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.puts--; p.puts == 0 && !p.tried {
		p.schema = nil
	}
}

func sameLanding(a, b config.Dataset) bool {
	return a.Format == b.Format && a.Files != nil && b.Files != nil && *a.Files == *b.Files
}

// admit tells whether batches of a schema may land beside what is there: schema is that of the dataset, nil while it is empty. If they may, the put
// ends by ended.
func (p *landingPlace) admit(put, dataset *arrow.Schema) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if dataset == nil {
		dataset = p.schema
	}
	if dataset == nil {
		if err := format.CheckWritable(p.spec.Format, put); err != nil {
			return err
		}
		p.schema = put
		p.puts++
		return nil
	}
	if d := format.Difference("what is put", put, "the dataset", dataset); d != "" {
		return fmt.Errorf("what is put must have the dataset's columns, but %s", d)
	}
	p.puts++
	return nil
}
