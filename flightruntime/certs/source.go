package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flight-operator/flight-operator/internal/watch"
)

// Settings say where a server finds its certificate, and whom it asks for one. The zero value of each field but the first two is a choice.
type Settings struct {
	// CertFile and KeyFile hold the certificate, with its chain, and its private key in PEM. They may be made later.
	CertFile, KeyFile string
	// Names are those of the server. A certificate has to be valid for one of them; any will do if there are none.
	Names []string
	// MinVersion is the oldest version of TLS that is spoken. 0 means tls.VersionTLS12.
	MinVersion uint16
	// ClientCAFile holds the CA certificates in PEM that clients' certificates are verified by; if empty, clients are not asked. As long as
	// nothing could be read from it, no client's certificate is good.
	ClientCAFile string
	// ClientCertificates says what becomes of clients that have none, where there is a ClientCAFile.
	ClientCertificates ClientCertificates
	// OperatorCA holds CA certificates in PEM. A client with a certificate of theirs, and with OperatorURI in it, is the operator; if empty,
	// nobody is.
	OperatorCA string
}

// ClientCertificates says whether clients need a certificate.
type ClientCertificates string

// Values of ClientCertificates.
const (
	// ClientCertificatesRequired: a client without a certificate is refused.
	ClientCertificatesRequired ClientCertificates = ""
	// ClientCertificatesOptional: a client without a certificate is let in, one with a bad certificate is refused.
	ClientCertificatesOptional ClientCertificates = "Optional"
)

// State is how a Source fares.
type State struct {
	// Certificate is what is presented to clients; nil while there is none, and handshakes are refused.
	Certificate *Certificate
	// ClientCADigest is the Digest of the bundle that clients are verified by; empty if there is none.
	ClientCADigest string
	// Problem says why a newer certificate or bundle is not used, or what is wrong with the ones that are; nil if all is well.
	Problem *Problem
	// Failures counts the problems that there were.
	Failures uint64
}

// patience is how long a new pair or bundle may be in disorder before that is told of, where there is an older one: files are written one
// after the other.
const patience = 2 * time.Second

// Source is a server's TLS by files that are followed. What cannot be used leaves the last good in force: connections that are open go on in
// any case, and a handshake gets what is in force at its time. It is safe for use by several goroutines.
type Source struct {
	log *slog.Logger
	now func() time.Time

	inForce atomic.Pointer[generation]
	state   atomic.Pointer[State]
	refused atomic.Int64 // when a handshake was last told to be refused, in Unix seconds

	changed chan struct{} // one of the settings has

	mu     sync.Mutex // for what is below
	next   Settings
	pair   followed[*Certificate]
	bundle followed[*bundle]
}

// Follow reads the files of settings, and follows them until ctx is done. That files are missing or bad is no error: State tells. nil as a
// logger means slog.Default().
func Follow(ctx context.Context, settings Settings, log *slog.Logger) (*Source, error) {
	s, err := newSource(settings, log, time.Now)
	if err != nil {
		return nil, err
	}
	go s.follow(ctx)
	return s, nil
}

func newSource(settings Settings, log *slog.Logger, now func() time.Time) (*Source, error) {
	if log == nil {
		log = slog.Default()
	}
	s := &Source{log: log, now: now, changed: make(chan struct{}, 1), pair: newFollowed[*Certificate]("certificate"), bundle: newFollowed[*bundle]("client CAs")}
	s.state.Store(&State{})
	if err := s.Set(settings); err != nil {
		return nil, err
	}
	return s, nil
}

// Set makes other settings hold for handshakes and calls from now on, with what the files of these hold. An error leaves those before in
// force.
func (s *Source) Set(settings Settings) error {
	if settings.CertFile == "" || settings.KeyFile == "" {
		return errors.New("expected the files of a certificate and of its key")
	}
	if settings.OperatorCA != "" {
		if _, err := ParseBundle([]byte(settings.OperatorCA)); err != nil {
			return fmt.Errorf("the operator's CA: %w", err)
		}
	}
	settings.Names = slices.Clone(settings.Names)
	s.mu.Lock()
	s.next = settings
	s.mu.Unlock()
	s.look()
	select {
	case s.changed <- struct{}{}:
	default: // it is known already
	}
	return nil
}

// AsksClients tells whether clients are asked for certificates of somebody's CA.
func (s *Source) AsksClients() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next.ClientCAFile != ""
}

// State tells how the source fares.
func (s *Source) State() State { return *s.state.Load() }

// follow looks at the files as they and the settings change, until ctx is done.
func (s *Source) follow(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		folders := s.next.folders()
		s.mu.Unlock()
		watched, stop := context.WithCancel(ctx)
		go func() {
			defer stop()
			select {
			case <-s.changed:
			case <-watched.Done():
			}
		}()
		watch.Folders(watched, folders, s.look)
		stop()
	}
}

func (s Settings) folders() []string {
	folders := []string{filepath.Dir(s.CertFile), filepath.Dir(s.KeyFile)}
	if s.ClientCAFile != "" {
		folders = append(folders, filepath.Dir(s.ClientCAFile))
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// look reads the files, puts in force what can be, and says in how long there is reason to look again; 0: none that is known.
func (s *Source) look() (again time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	settings, now := s.next, s.now()

	certPEM, err := os.ReadFile(settings.CertFile)
	var keyPEM []byte
	if err == nil {
		keyPEM, err = os.ReadFile(settings.KeyFile)
	}
	s.pair.read(now, err, func() (*Certificate, error) { return Parse(certPEM, keyPEM) }, certPEM, keyPEM)
	s.pair.choose(func(c *Certificate) error { return c.Check(settings.Names, now) })
	if settings.ClientCAFile == "" {
		s.bundle = newFollowed[*bundle](s.bundle.what)
	} else {
		data, err := os.ReadFile(settings.ClientCAFile)
		s.bundle.read(now, err, func() (*bundle, error) { return newBundle(data) }, data)
		s.bundle.choose(func(*bundle) error { return nil })
	}

	before, t := s.inForce.Load(), settings.terms()
	if before == nil || before.terms != t || before.certificate != s.pair.inForce || before.clientCAs != s.bundle.inForce {
		g := newGeneration(t, s.pair.inForce, s.bundle.inForce, s.verify)
		s.inForce.Store(g)
		s.tell(before, g)
	}
	failures := s.State().Failures
	for _, told := range []bool{s.pair.tell(now, s.log), s.bundle.tell(now, s.log)} {
		if told {
			failures++
		}
	}
	state := &State{Certificate: s.pair.inForce, Problem: joined(s.pair.told, s.bundle.told), Failures: failures}
	if b := s.bundle.inForce; b != nil {
		state.ClientCADigest = b.digest
	}
	s.state.Store(state)
	return soonest(s.pair.again(now), s.bundle.again(now), s.untilValid(now))
}

// untilValid is the time until a certificate that is there already becomes valid; 0 if there is none such.
func (s *Source) untilValid(now time.Time) time.Duration {
	if c := s.pair.newest; c != nil && now.Before(c.Leaf.NotBefore) {
		return c.Leaf.NotBefore.Sub(now)
	}
	return 0
}

// tell logs what is in force from now on.
func (s *Source) tell(before, g *generation) {
	if c := g.certificate; c != nil && (before == nil || before.certificate != c) {
		s.log.Info("certificate in force", "fingerprint", Fingerprint(c.Leaf), "notBefore", c.Leaf.NotBefore.UTC(), "notAfter", c.Leaf.NotAfter.UTC())
	}
	if b := g.clientCAs; b != nil && (before == nil || before.clientCAs != b) {
		s.log.Info("client CAs in force", "certificates", len(b.all), "digest", b.digest)
	}
}

// TLSConfig is the configuration of a server: each handshake gets what is in force at its time.
func (s *Source) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			g := s.inForce.Load()
			if g.certificate == nil {
				return nil, s.refuse()
			}
			return g.tls, nil
		},
	}
}

// refusalsToldEvery bounds the log lines of a server that has no certificate, and of many clients.
const refusalsToldEvery = 10 * time.Second

// refuse is the error of a handshake for which there is no certificate.
func (s *Source) refuse() error {
	why := "there is none"
	if p := s.State().Problem; p != nil {
		why = p.Message
	}
	err := fmt.Errorf("no certificate to present: %s", why)
	now, last := s.now().Unix(), s.refused.Load()
	if now-last >= int64(refusalsToldEvery.Seconds()) && s.refused.CompareAndSwap(last, now) {
		s.log.Error("TLS handshake refused", "error", err)
	}
	return err
}

// followed is something that files hold, and of which the last good version is kept.
type followed[T comparable] struct {
	what    string
	seen    string // Digest of what newest was read from
	newest  T      // what the files hold; nil if that is nothing
	inForce T
	problem *Problem  // of what the files hold now
	since   time.Time // of the first look that could not read the files
	told    *Problem
	toldOf  string // what told is of
}

func newFollowed[T comparable](what string) followed[T] { return followed[T]{what: what} }

// read takes what the files hold, given as its parts, through parse, unless that was done before.
func (f *followed[T]) read(now time.Time, err error, parse func() (T, error), parts ...[]byte) {
	var none T
	seen := "error"
	if err == nil {
		seen = ""
		for _, part := range parts {
			seen += Digest(part)
		}
	}
	if err == nil && seen == f.seen && f.newest != none {
		return
	}
	f.seen = seen
	var parsed T
	if err != nil {
		f.problem = unreadable(err)
	} else if parsed, err = parse(); err != nil {
		f.problem = asProblem(err)
	}
	if err == nil {
		f.newest, f.since = parsed, time.Time{}
		return
	}
	f.newest = none
	if f.since.IsZero() {
		f.since = now
	}
}

// choose puts in force what the files hold. What check refuses replaces only what it refuses too.
func (f *followed[T]) choose(check func(T) error) {
	var none T
	if f.newest == none {
		return
	}
	err := check(f.newest)
	if err == nil || f.inForce == none || check(f.inForce) != nil {
		f.inForce = f.newest
	}
	f.problem = asProblem(err)
}

// tell logs a problem once, as soon as it is to be told of, and its end. It is true of a problem that was not there before.
func (f *followed[T]) tell(now time.Time, log *slog.Logger) bool {
	switch {
	case f.problem == nil:
		if f.told != nil {
			log.Info("the "+f.what+" is in order again", "was", f.told.Reason)
		}
		f.told, f.toldOf = nil, ""
		return false
	case f.again(now) > 0:
		return false
	}
	of := string(f.problem.Reason) + f.seen
	if of == f.toldOf {
		return false
	}
	f.told, f.toldOf = f.problem, of
	log.Error("something is wrong with the "+f.what, "reason", f.told.Reason, "error", f.told.Message)
	return true
}

// again is the time until what is wrong with the files has lasted; 0 if it has, or nothing is.
func (f *followed[T]) again(now time.Time) time.Duration {
	var none T
	if f.since.IsZero() || f.inForce == none {
		return 0
	}
	return max(patience-now.Sub(f.since), 0)
}

func asProblem(err error) *Problem {
	var p *Problem
	if err == nil || errors.As(err, &p) {
		return p
	}
	return problem(ReasonMalformed, "%v", err)
}

// unreadable is what it means that a file cannot be read.
func unreadable(err error) *Problem {
	if errors.Is(err, fs.ErrNotExist) {
		return problem(ReasonMissing, "expected a file, found none: %v", err)
	}
	return problem(ReasonMalformed, "a file cannot be read: %v", err)
}

// joined is both problems in one.
func joined(pair, bundle *Problem) *Problem {
	switch {
	case bundle == nil:
		return pair
	case pair == nil:
		return problem(bundle.Reason, "client CAs: %s", bundle.Message)
	default:
		return problem(pair.Reason, "%s; client CAs: %s", pair.Message, bundle.Message)
	}
}

// soonest is the least of the times that are not 0; 0 if all are.
func soonest(times ...time.Duration) (least time.Duration) {
	for _, t := range times {
		if t > 0 && (least == 0 || t < least) {
			least = t
		}
	}
	return least
}
