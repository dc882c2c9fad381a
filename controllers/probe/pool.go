package probe

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
)

// Target is a server to probe.
type Target struct {
	// Pod is the name of the server's pod.
	Pod string
	// UID tells a pod from an earlier one of the same name.
	UID types.UID
	// Address is the host and port of the Flight server.
	Address string
	// Ready is whether the kubelet holds the server ready: then an answer is due.
	Ready bool
	// ServerName is the name that a server with TLS is asked for in the handshake; empty for one that speaks plain text.
	ServerName string
}

// sameServer tells whether the results of one target hold for the other.
func (t Target) sameServer(o Target) bool {
	return t.UID == o.UID && t.Address == o.Address && t.ServerName == o.ServerName
}

// Settings say how the servers of one FlightServer are probed.
type Settings struct {
	Interval         time.Duration
	Timeout          time.Duration
	FailureThreshold int
	// Tokens are what the operator shows servers that speak plain text; nil: nothing. They are shared: others are another pointer.
	Tokens *flightruntime.OperatorTokens
	// Wanted is what the servers should serve. One that serves something else is asked again soon.
	Wanted Content
}

// Content identifies what a server serves. Two servers of one FlightServer that are up to date have the same.
type Content struct {
	// ConfigHash is that of the configuration.
	ConfigHash string
	// Fingerprint is that of the certificate which the server presents. Empty without TLS, and where no certificate is wanted that is known.
	Fingerprint string
	// Chain and ClientCA are the digests of the files with the certificate's chain and with the CA certificates that clients are checked
	// against. Empty like Fingerprint, and where clients are not checked.
	Chain, ClientCA string
	// Auth is the digest of the users, tokens and keys that callers are let in by. Empty without auth.
	Auth string
}

// Pool probes servers, each from a goroutine and over a connection of its own. Its methods never wait for a server.
type Pool struct {
	base   context.Context
	stop   context.CancelFunc
	events chan event.TypedGenericEvent[types.NamespacedName]
	wg     sync.WaitGroup
	// identity is the certificate that the operator shows servers that ask for one; nil if it has none.
	identity func() (*tls.Certificate, error)

	mu sync.Mutex
	// sets holds the workers of each FlightServer by the name of the pod.
	sets map[types.NamespacedName]map[string]*worker
}

// eventBuffer lets probes go on while the controller is busy; more would only wait in another place.
const eventBuffer = 1024

// NewPool makes a pool that probes nothing yet. Start stops it. Identity is the certificate that is shown to servers that ask for one, in each
// handshake anew; nil shows none.
func NewPool(identity func() (*tls.Certificate, error)) *Pool {
	ctx, stop := context.WithCancel(context.Background())
	return &Pool{
		base:     ctx,
		stop:     stop,
		identity: identity,
		events:   make(chan event.TypedGenericEvent[types.NamespacedName], eventBuffer),
		sets:     map[types.NamespacedName]map[string]*worker{},
	}
}

// Start waits for the end of ctx, then ends all probes and returns once none is left. It is a runnable of a manager.
func (p *Pool) Start(ctx context.Context) error {
	<-ctx.Done()
	p.mu.Lock()
	p.stop()
	clear(p.sets)
	p.mu.Unlock()
	p.wg.Wait()
	return nil
}

// Events tells which FlightServers have a server whose result changed in what matters: not its latency, its running calls or the time.
func (p *Pool) Events() <-chan event.TypedGenericEvent[types.NamespacedName] { return p.events }

// Ensure makes the servers that are probed for a FlightServer exactly these. What is no longer among them is not called again.
func (p *Pool) Ensure(key types.NamespacedName, targets []Target, settings Settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.base.Err() != nil {
		return
	}
	old, current := p.sets[key], make(map[string]*worker, len(targets))
	for _, t := range targets {
		w := old[t.Pod]
		if w == nil || !w.target.sameServer(t) {
			w = p.spawn(key, t, settings)
		} else {
			w.update(t, settings)
			delete(old, t.Pod)
		}
		current[t.Pod] = w
	}
	for _, w := range old {
		w.stop()
	}
	p.sets[key] = current
}

// Forget ends the probes of a FlightServer and drops its results and metrics.
func (p *Pool) Forget(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.sets[key] {
		w.stop()
	}
	delete(p.sets, key)
	forgetMetrics(key)
}

// Results gives the result of each server of a FlightServer by the name of its pod. The map is the caller's.
func (p *Pool) Results(key types.NamespacedName) map[string]Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	results := make(map[string]Result, len(p.sets[key]))
	for pod, w := range p.sets[key] {
		results[pod] = w.result
	}
	return results
}

// spawn starts the probes of a server. The pool is locked.
func (p *Pool) spawn(key types.NamespacedName, t Target, settings Settings) *worker {
	ctx, stop := context.WithCancel(p.base)
	w := &worker{
		key:      key,
		target:   t,
		settings: settings,
		result:   Result{State: v1alpha1.ServerPending},
		stop:     stop,
		kick:     make(chan struct{}, 1),
	}
	if t.ServerName != "" {
		w.tls = w.handshakes.config(t.ServerName, p.identity)
	}
	p.wg.Go(func() { p.run(ctx, w) })
	return w
}

// record keeps what a probe came to, tells the controller if that is news, and says when to probe next. It reports false once the server
// is no longer probed.
func (p *Pool) record(ctx context.Context, w *worker, o outcome) (next time.Duration, more bool) {
	p.mu.Lock()
	if ctx.Err() != nil {
		p.mu.Unlock()
		return 0, false
	}
	before := w.result
	w.result = before.after(o, w.settings.FailureThreshold)
	countProbe(w.key, o)
	news := !sameMatter(before, w.result)
	next = w.next(o.begun.Add(o.took))
	p.mu.Unlock()

	if news {
		select {
		case p.events <- event.TypedGenericEvent[types.NamespacedName]{Object: w.key}:
		case <-ctx.Done():
			return 0, false
		}
	}
	return next, true
}
