package authn

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/flight-operator/flight-operator/internal/text"
)

// keySource gives the keys of an issuer.
type keySource interface {
	// key is the key that a token names, in the set that it is in. The error is errUnknownKey, or says why there are no keys.
	key(ctx context.Context, id, algorithm string) (*jose.JSONWebKey, *keySet, error)
	// current is the set that is in force, without waiting; nil while there is none. Whatever has to be fetched again is begun to be.
	current() *keySet
	// trouble says why the newest keys are not in force; empty if they are.
	trouble() string
}

var errUnknownKey = errors.New("none of the issuer's keys")

// fileKeys are keys in a file.
type fileKeys struct{ *followed[*keySet] }

func newFileKeys(path string) fileKeys {
	parse := func(contents [][]byte) (*keySet, error) { return parseKeySet(contents[0]) }
	return fileKeys{follow("the keys of an issuer", parse, file{path: path})}
}

func (f fileKeys) key(_ context.Context, id, algorithm string) (*jose.JSONWebKey, *keySet, error) {
	set := f.current()
	if set == nil {
		return nil, nil, unavailable("this server has not got the keys of the token's issuer yet: try again later; its log says why")
	}
	if key := set.find(id, algorithm); key != nil {
		return key, set, nil
	}
	return nil, nil, errUnknownKey
}

func (f fileKeys) current() *keySet {
	set, _ := f.get()
	return set
}

// givenKeys are keys that the settings have.
type givenKeys struct{ set *keySet }

func (g givenKeys) key(_ context.Context, id, algorithm string) (*jose.JSONWebKey, *keySet, error) {
	if key := g.set.find(id, algorithm); key != nil {
		return key, g.set, nil
	}
	return nil, nil, errUnknownKey
}

func (g givenKeys) current() *keySet { return g.set }
func (givenKeys) trouble() string    { return "" }

// Times of keys that are fetched. Defaults where they are 0.
type keyTimes struct {
	// refresh is how old keys may become before they are fetched again, while the old ones go on being used.
	refresh time.Duration
	// keep is how old keys may become while the issuer does not answer.
	keep time.Duration
	// between is the least time between two fetches, whatever callers send.
	between time.Duration
}

// Defaults of keyTimes, and how long a fetch may take.
const (
	DefaultKeyRefresh = 5 * time.Minute
	// DefaultKeepKeys lets an issuer be down for a night.
	DefaultKeepKeys    = 12 * time.Hour
	betweenFetches     = 10 * time.Second
	longestFetch       = 10 * time.Second
	maxFetchedMessage  = 256
	keysNotFetchedText = "this server cannot get the keys of the token's issuer: try again later; its log says why"
)

// fetchedKeys are keys that are fetched from an issuer, by one fetch at a time.
type fetchedKeys struct {
	fetch   func(ctx context.Context) (*keySet, error)
	times   keyTimes
	now     func() time.Time
	log     *slog.Logger
	changed func()          // called after other keys came into force
	ctx     context.Context // ends the fetches

	mu      sync.Mutex
	set     *keySet
	got     time.Time     // when set was fetched last
	tried   time.Time     // when the last fetch began
	failure error         // of the last fetch
	running chan struct{} // closed at the end of the fetch that is running; nil if none is
}

func (f *fetchedKeys) key(ctx context.Context, id, algorithm string) (*jose.JSONWebKey, *keySet, error) {
	set := f.current()
	if key := set.find(id, algorithm); key != nil {
		return key, set, nil
	}
	// The issuer may have new keys. Who sends tokens of keys that there are not makes one fetch in a while, and waits for it.
	if done := f.begin(); done != nil {
		select {
		case <-done:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
		set, _ = f.held()
	}
	if set == nil {
		return nil, nil, unavailable(keysNotFetchedText)
	}
	if key := set.find(id, algorithm); key != nil {
		return key, set, nil
	}
	return nil, nil, errUnknownKey
}

func (f *fetchedKeys) current() *keySet {
	set, fresh := f.held()
	if !fresh {
		f.begin()
	}
	return set
}

// held is the set that is in force, and whether it need not be fetched again yet; nil if there is none, or it is too old.
func (f *fetchedKeys) held() (set *keySet, fresh bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	age := f.now().Sub(f.got)
	if f.set == nil || age > f.times.keep {
		return nil, false
	}
	return f.set, age <= f.times.refresh
}

// begin begins a fetch, unless one is running or was tried of late. It gives what is closed at the end of the one that runs; nil if none does.
func (f *fetchedKeys) begin() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running != nil {
		return f.running
	}
	now := f.now()
	if !f.tried.IsZero() && now.Sub(f.tried) < f.times.between {
		return nil
	}
	f.tried = now
	done := make(chan struct{})
	f.running = done
	go func() {
		f.once()
		f.mu.Lock()
		f.running = nil
		f.mu.Unlock()
		close(done)
	}()
	return done
}

// once fetches and keeps what came.
func (f *fetchedKeys) once() {
	ctx, cancel := context.WithTimeout(f.ctx, longestFetch)
	defer cancel()
	set, err := f.fetch(ctx)
	f.mu.Lock()
	before, failed := f.set, f.failure
	f.failure = err
	changed := false
	if err == nil {
		f.got = f.now()
		if before == nil || before.digest != set.digest {
			f.set, changed = set, before != nil
		}
	}
	f.mu.Unlock()
	switch {
	case err != nil && failed == nil && f.ctx.Err() == nil:
		f.log.Error("the keys of an issuer cannot be fetched; those from before stay in force for a time", "error", text.Cut(err.Error(), maxFetchedMessage))
	case err == nil && failed != nil:
		f.log.Info("the keys of an issuer can be fetched again")
	}
	if changed {
		f.changed()
	}
}

func (f *fetchedKeys) trouble() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure == nil {
		return ""
	}
	return text.Cut("the keys of an issuer cannot be fetched: "+f.failure.Error(), maxFetchedMessage)
}
