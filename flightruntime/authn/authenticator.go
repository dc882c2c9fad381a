package authn

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
	"github.com/flight-operator/flight-operator/internal/watch"
)

// Options are of an Authenticator. The zero value is a choice.
type Options struct {
	// Keys sign the tokens of logins. It is asked for each: keys may change. Replicas need the same. nil: keys that live as long as the process.
	Keys func() *signing.Keyring
	// TokenLifetime is how long the token of a login is good for. 0: DefaultTokenLifetime.
	TokenLifetime time.Duration
	// Logger is told of files and issuers; it sees no credentials. nil: slog.Default().
	Logger *slog.Logger
	// Observer, if set, sees each attempt of a caller. It is called by many goroutines, and must not block.
	Observer func(Attempt)
}

// Attempt is what became of a caller's credentials.
type Attempt struct {
	// Method is that of the identity; empty where there is none.
	Method  string
	Outcome Outcome
}

// Outcome says in a word what became of credentials.
type Outcome string

// Values of Outcome.
const (
	OutcomeAccepted    Outcome = "accepted"
	OutcomeRefused     Outcome = "refused"     // wrong, expired, or none where some are needed
	OutcomeUnavailable Outcome = "unavailable" // too many failures or logins at once, or whoever knows does not answer
)

// Authenticator finds out who makes each call, and puts the Identity into its context. It is middleware of a server, the first of it, and answers
// handshakes; set no ServerOptions.Auth beside it. The operator passes. It is safe for use by several goroutines.
type Authenticator struct {
	observe func(Attempt)
	logins  logins
	tools   tools

	methods atomic.Pointer[methods]
	changed atomic.Pointer[chan struct{}] // closed when identities may have changed

	mu      sync.Mutex    // of Set
	renewed chan struct{} // the settings have been
}

var (
	_ flightruntime.CredentialTaker     = (*Authenticator)(nil)
	_ flightruntime.HandshakeMiddleware = (*Authenticator)(nil)
)

// New makes an Authenticator, which follows the files of its settings until ctx is done. That files are missing or bad is no error: State tells,
// and nobody is let in by them.
func New(ctx context.Context, s Settings, o Options) (*Authenticator, error) {
	a, err := newAuthenticator(ctx, s, o, time.Now)
	if err != nil {
		return nil, err
	}
	go a.follow(ctx)
	return a, nil
}

func newAuthenticator(ctx context.Context, s Settings, o Options, now func() time.Time) (*Authenticator, error) {
	if o.Keys == nil {
		keys := signing.Random()
		o.Keys = func() *signing.Keyring { return keys }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Observer == nil {
		o.Observer = func(Attempt) {}
	}
	a := &Authenticator{observe: o.Observer, logins: logins{o.Keys, or(o.TokenLifetime, DefaultTokenLifetime), now}, renewed: make(chan struct{}, 1)}
	a.tools = tools{
		ctx: ctx, log: o.Logger, now: now, passwords: newPasswords(), attempts: newAttempts(now), changed: a.tellChanged,
	}
	a.methods.Store(&methods{})
	first := make(chan struct{})
	a.changed.Store(&first)
	if err := a.Set(s); err != nil {
		return nil, err
	}
	return a, nil
}

// Set makes other settings hold for calls from now on. An error leaves those before in force.
func (a *Authenticator) Set(s Settings) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, err := newMethods(s, a.methods.Load(), a.tools)
	if err != nil {
		return err
	}
	m.look(a.tools.log) // before anybody is asked by them
	a.methods.Store(m)
	a.tellChanged()
	select {
	case a.renewed <- struct{}{}:
	default: // it is known already
	}
	return nil
}

// pollEvery is how often files are looked at on file systems that do not tell of changes. Who is removed is to be refused within 2 s.
const pollEvery = time.Second

// follow looks at the files as they and the settings change, until ctx is done.
func (a *Authenticator) follow(ctx context.Context) {
	for ctx.Err() == nil {
		watched, stop := context.WithCancel(ctx)
		go func() {
			defer stop()
			select {
			case <-a.renewed:
			case <-watched.Done():
			}
		}()
		watch.Folders(watched, a.methods.Load().folders(), a.look)
		stop()
	}
}

func (a *Authenticator) look() (again time.Duration) {
	if a.methods.Load().look(a.tools.log) {
		a.tellChanged()
	}
	return pollEvery
}

// tellChanged tells whoever waits on Changed.
func (a *Authenticator) tellChanged() {
	next := make(chan struct{})
	close(*a.changed.Swap(&next))
}

// Changed is closed when identities may have changed since it was called: a user removed, a key gone, other settings. Then StillValid tells whose
// running calls are to go on.
func (a *Authenticator) Changed() <-chan struct{} { return *a.changed.Load() }

// StillValid is false if an identity would not be found out again by the credentials that it was found out by: they would be refused now, or be
// those of another user or of other groups. That they have expired in the meantime does not count. It may ask a cluster, and wait for it.
func (a *Authenticator) StillValid(ctx context.Context, id *Identity) bool {
	m := a.methods.Load()
	if id.Method == MethodAnonymous {
		return m.anonymous
	}
	for _, c := range m.all {
		if c.Name() != id.Method {
			continue
		}
		r, ok := c.Method.(Revoker)
		if !ok || r.StillValid(ctx, id) {
			return true
		}
	}
	return false
}

// MethodState is how a method fares.
type MethodState struct {
	Name string
	// Digest identifies the users, tokens or keys that are in force: SHA-256 in hexadecimal. Empty: there are none yet, or they are kept elsewhere.
	Digest string
	// Problem says why what the files hold, or an issuer says, is not in force; empty if it is.
	Problem string
}

// State tells how the methods fare, in the order in which they are asked.
func (a *Authenticator) State() []MethodState {
	m := a.methods.Load()
	var states []MethodState
	for _, c := range m.all {
		s := MethodState{Name: c.Name()}
		if f, ok := c.Method.(follower); ok {
			s.Digest, s.Problem = f.digest(), f.trouble()
		}
		states = append(states, s)
	}
	if m.anonymous {
		states = append(states, MethodState{Name: MethodAnonymous})
	}
	return states
}

// TakesCredentials is true where callers are asked for what others must not see.
func (a *Authenticator) TakesCredentials() bool {
	return slices.ContainsFunc(a.methods.Load().all, func(c configured) bool { return c.Name() != MethodClientCertificate })
}
