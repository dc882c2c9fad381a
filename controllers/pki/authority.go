package pki

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

const (
	// SecretName is the Secret with the operator's CA, in the operator's namespace.
	SecretName = "flight-operator-ca"
	// AnnotationRotate on that Secret has the CA replaced each time that it gets another value.
	AnnotationRotate = "flightoperator.dev/rotate-ca"
)

// Options make an Authority.
type Options struct {
	// Client writes the Secret, Reader reads it: without a cache, since that has no Secret's contents.
	Client client.Writer
	Reader client.Reader
	// Namespace is the operator's.
	Namespace string
	// Policy is DefaultPolicy if it is zero.
	Policy Policy
	// Servers are the FlightServers that have TLS. An old CA is trusted until there is a Report on each of them, and a new one waits for that.
	Servers func(context.Context) ([]types.NamespacedName, error)
	// Interval is how often the Secret and the clock are looked at, 10 s if it is 0. Timers stand still while a machine sleeps, so there is none
	// that is set years ahead.
	Interval time.Duration
	// Now is time.Now if it is nil.
	Now func() time.Time
}

const (
	defaultInterval = 10 * time.Second
	// reportPause is the shortest time between two looks that reports ask for: there are many while a CA is replaced.
	reportPause = time.Second
	// retryInterval is the wait after an error, and the shortest between two looks.
	retryInterval = 5 * time.Second
	// attempts are made at a write that others were faster with; two managers need two.
	attempts = 5
)

// Authority keeps the CA in its Secret and replaces it in time. It is a runnable of a manager, for the leader alone. Its methods may be called at any
// time, from any goroutine.
type Authority struct {
	o       Options
	changed chan event.TypedGenericEvent[struct{}]
	// reported asks for a look: a report says something new.
	reported chan struct{}

	// syncing is held by Sync.
	syncing sync.Mutex

	mu      sync.Mutex
	state   *State
	current Snapshot
	problem error
	reports map[types.NamespacedName]report
}

// Snapshot is the CA at one time. It is shared: nothing in it may be changed.
type Snapshot struct {
	// Active issues.
	Active *CA
	// Bundle is all that has to be trusted, in PEM, the newest first: for clients, and for servers to know the operator by.
	Bundle []byte
	// Digest is the bundle's, as certs.Digest gives it, for Report.
	Digest string
}

// ErrNotLoaded is why there is no Snapshot before the first Sync.
var ErrNotLoaded = errors.New("the operator's CA is not loaded yet")

// NewAuthority makes one that knows nothing yet. Start, or Sync, loads it.
func NewAuthority(o Options) (*Authority, error) {
	if o.Policy == (Policy{}) {
		o.Policy = DefaultPolicy
	}
	if o.Policy.Overlap <= 0 || o.Policy.Overlap > o.Policy.Life/10 {
		return nil, fmt.Errorf("policy of the operator's CA: expected an overlap of more than 0 and at most a tenth of its life, got %s of %s", o.Policy.Overlap, o.Policy.Life)
	}
	if o.Namespace == "" {
		return nil, errors.New("the operator's CA needs the operator's namespace")
	}
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Authority{
		o:        o,
		reported: make(chan struct{}, 1),
		changed:  make(chan event.TypedGenericEvent[struct{}], 1),
		reports:  map[types.NamespacedName]report{},
		problem:  ErrNotLoaded,
	}, nil
}

// NeedLeaderElection says that only the leader runs it.
func (a *Authority) NeedLeaderElection() bool { return true }

// Start calls Sync until ctx ends. What goes wrong is logged, once as long as it stays the same, and tried again; it ends no manager.
func (a *Authority) Start(ctx context.Context) error {
	logged := ""
	for {
		wake, err := a.Sync(ctx)
		wait := max(retryInterval, wake.Sub(a.o.Now().Round(0)))
		if err == nil {
			logged = ""
		} else {
			wait = retryInterval
			if text := err.Error(); text != logged && ctx.Err() == nil {
				log.FromContext(ctx).Error(err, "the operator's CA could not be looked after")
				logged = text
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(wait, a.o.Interval)):
		case <-a.reported:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(min(reportPause, a.o.Interval)):
			}
		}
	}
}

// Snapshot gives the CA, or the reason why there is none yet. A CA that was loaded stays, whatever becomes of its Secret.
func (a *Authority) Snapshot() (Snapshot, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == nil {
		return Snapshot{}, a.problem
	}
	return a.current, nil
}

// Problem is why the last Sync failed, nil if it did not.
func (a *Authority) Problem() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.problem
}

// Changed tells that Snapshot gives something new. Events that nobody has received yet are one. There can be one receiver.
func (a *Authority) Changed() <-chan event.TypedGenericEvent[struct{}] { return a.changed }

// Report tells what is known of a FlightServer, instead of what was told before. Only what is certain may be told: as long as it is unknown what one of
// its pods presents, the leaves have to contain what it presented last, or the bundle has to be empty.
func (a *Authority) Report(server types.NamespacedName, r Report) {
	known := report{bundle: r.Bundle}
	for _, leaf := range r.Leaves {
		known.issuers = append(known.issuers, IssuerID(leaf))
	}
	slices.Sort(known.issuers)
	known.issuers = slices.Compact(known.issuers)
	a.mu.Lock()
	before, was := a.reports[server]
	a.reports[server] = known
	a.mu.Unlock()
	if was && before.bundle == known.bundle && slices.Equal(before.issuers, known.issuers) {
		return
	}
	select {
	case a.reported <- struct{}{}:
	default: // one look for many
	}
}

// Forget takes back what was told of a FlightServer, which is gone or has no TLS any more.
func (a *Authority) Forget(server types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.reports, server)
}

// Sync loads the CA, or makes it, and does what is due. It says when something will be due next.
func (a *Authority) Sync(ctx context.Context) (wake time.Time, err error) {
	a.syncing.Lock()
	defer a.syncing.Unlock()
	for range attempts {
		if wake, err = a.sync(ctx); !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.problem = err
	return wake, err
}

// sync is one attempt. What it decides counts only once it is written.
func (a *Authority) sync(ctx context.Context) (time.Time, error) {
	secret, before, err := a.load(ctx)
	if err != nil {
		return time.Time{}, err
	}
	seen := a.see(ctx, before)
	if secret != nil {
		seen.Trigger = secret.Annotations[AnnotationRotate]
	}
	state, changed, wake, err := Advance(before, seen, a.o.Now(), a.o.Policy)
	if err != nil {
		return time.Time{}, err
	}
	if changed || secret == nil {
		if err := a.write(ctx, secret, state); err != nil {
			return time.Time{}, err
		}
		tell(ctx, before, state)
	}
	a.adopt(state)
	return wake, nil
}

// load reads the Secret. If there is none, it is nil, and the state is the one that was loaded before: a CA that clients trust does not end because
// somebody deletes a Secret.
func (a *Authority) load(ctx context.Context) (*corev1.Secret, State, error) {
	secret := &corev1.Secret{}
	err := a.o.Reader.Get(ctx, a.key(), secret)
	if apierrors.IsNotFound(err) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.state == nil {
			return nil, State{}, nil
		}
		return nil, *a.state, nil
	}
	if err != nil {
		return nil, State{}, fmt.Errorf("read Secret %s with the operator's CA: %w", a.key(), err)
	}
	state, err := Decode(secret.Data)
	if err != nil {
		return nil, State{}, fmt.Errorf("the operator's CA in Secret %s is damaged: %w; bring its data back from a backup, or stop the operator and delete the "+
			"Secret to begin with a new CA, for which all clients have to fetch ca.crt anew", a.key(), err)
	}
	return secret, state, nil
}

// see is what is known of the world, but for the trigger.
func (a *Authority) see(ctx context.Context, s State) Seen {
	if a.o.Servers == nil {
		return Seen{}
	}
	servers, err := a.o.Servers(ctx)
	if err != nil {
		log.FromContext(ctx).Error(err, "cannot tell which servers use the operator's CA, so no CA is replaced or dropped on their word")
		return Seen{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return seen(servers, a.reports, certs.Digest(s.Bundle()))
}

// write creates the Secret, or changes it if it is still as it was read. Keys that are not the operator's stay.
func (a *Authority) write(ctx context.Context, secret *corev1.Secret, s State) error {
	data, err := Encode(s)
	if err != nil {
		return err
	}
	if secret == nil {
		secret = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: a.o.Namespace,
				Name:      SecretName,
				Labels:    map[string]string{v1alpha1.LabelManagedBy: v1alpha1.LabelManagedByValue},
			},
			Type: corev1.SecretTypeTLS,
			Data: data,
		}
		if err := a.o.Client.Create(ctx, secret); err != nil {
			return fmt.Errorf("create Secret %s with the operator's CA: %w", a.key(), err)
		}
		return nil
	}
	patched := secret.DeepCopy()
	for _, key := range dataKeys {
		delete(patched.Data, key)
	}
	maps.Copy(patched.Data, data)
	patch := client.MergeFromWithOptions(secret, client.MergeFromWithOptimisticLock{})
	if err := a.o.Client.Patch(ctx, patched, patch); err != nil {
		return fmt.Errorf("change Secret %s with the operator's CA: %w", a.key(), err)
	}
	return nil
}

// adopt makes a state that is written the one that counts.
func (a *Authority) adopt(s State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	bundle := s.Bundle()
	old := a.current
	a.state, a.current = &s, Snapshot{Active: s.Active, Bundle: bundle, Digest: certs.Digest(bundle)}
	if old.Digest == a.current.Digest && old.Active.ID() == s.Active.ID() {
		return
	}
	select {
	case a.changed <- event.TypedGenericEvent[struct{}]{}:
	default: // one waits to be received
	}
}

func (a *Authority) key() types.NamespacedName {
	return types.NamespacedName{Namespace: a.o.Namespace, Name: SecretName}
}

// tell logs what has become of which CA.
func tell(ctx context.Context, before, after State) {
	logger := log.FromContext(ctx)
	if n := after.Next; n != nil && (before.Next == nil || before.Next.CA.ID() != n.CA.ID()) {
		logger.Info("the next CA is announced", "ca", n.CA.String(), "notAfter", n.CA.Certificate.NotAfter)
	}
	if before.Active == nil || before.Active.ID() != after.Active.ID() {
		logger.Info("the CA issues from now on", "ca", after.Active.String(), "notAfter", after.Active.Certificate.NotAfter)
	}
	kept := map[string]bool{}
	for _, c := range after.Trusted() {
		kept[idOf(c)] = true
	}
	for _, c := range before.Trusted() {
		if !kept[idOf(c)] {
			logger.Info("the CA is trusted no longer", "ca", c.Subject.CommonName, "notAfter", c.NotAfter)
		}
	}
}
