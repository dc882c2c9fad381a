// Package datasets is the bundled server: the Flight service over a catalog of datasets. It is written on package flightruntime, as any
// other server would be.
package datasets

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// Service serves the datasets of a configuration. Load gives it one; until then it answers that it does not serve.
type Service struct {
	flightruntime.BaseService

	catalog     *catalog.Catalog
	activeCalls func() int
	running     *running
	permitted   permitted
	landings    *landings
	now         func() time.Time

	tls      *certs.Source
	auth     func() *flightruntime.AuthHealth
	keys     atomic.Pointer[signing.Keyring]
	loaded   atomic.Pointer[loadedConfig]
	policy   atomic.Pointer[policy]
	draining atomic.Bool
}

// loadedConfig is the configuration that is served.
type loadedConfig struct {
	*config.Config
	hash string
	// newerErr says why a newer configuration is not served.
	newerErr error
}

// New makes a service over a catalog, which stays the caller's to close. activeCalls counts the calls that are running, that of the
// caller of HealthCheck among them, but no call of the operator's. Until SetKeys, tickets are signed with keys that live as long as the process.
func New(c *catalog.Catalog, activeCalls func() int) *Service {
	s := &Service{catalog: c, activeCalls: activeCalls, running: newRunning(time.Now), landings: newLandings(), now: time.Now}
	s.keys.Store(signing.Random())
	s.SetPolicy(nil)
	return s
}

// SetKeys makes the service sign with these keys, and take what they have signed. Replicas that have the same keys take each other's
// tickets.
func (s *Service) SetKeys(keys *signing.Keyring) { s.keys.Store(keys) }

// Keys are those that the service signs with now.
func (s *Service) Keys() *signing.Keyring { return s.keys.Load() }

// SetTLS makes HealthCheck tell how the server's TLS fares. It is called before the first call.
func (s *Service) SetTLS(source *certs.Source) { s.tls = source }

// SetAuth makes the answer to HealthCheck tell of auth, by a function that any number of calls may ask at a time. It has to be called before the
// server begins to serve.
func (s *Service) SetAuth(health func() *flightruntime.AuthHealth) { s.auth = health }

// Load makes the service serve a configuration, given with the bytes that it was parsed from, and tells whether that is another than
// before.
func (s *Service) Load(c *config.Config, raw []byte) (changed bool) {
	next := &loadedConfig{Config: c, hash: config.Hash(raw)}
	s.catalog.Configure(c.Cache)
	s.catalog.Apply(c.Datasets)
	before := s.loaded.Swap(next)
	s.landings.keep(c.Datasets)
	return before == nil || before.hash != next.hash
}

// Reject tells HealthCheck's callers why a newer configuration is not served. The one before goes on being served.
func (s *Service) Reject(err error) {
	rejected := loadedConfig{newerErr: err}
	if current := s.loaded.Load(); current != nil {
		rejected.Config, rejected.hash = current.Config, current.hash
	}
	s.loaded.Store(&rejected)
}

// Close waits until what was put has landed. No call may be running.
func (s *Service) Close() { s.landings.close() }

// Drain makes HealthCheck answer NOT_SERVING from now on.
func (s *Service) Drain() { s.draining.Store(true) }

// callError gives an error of the catalog its gRPC status.
func callError(err error) error {
	var notFound *catalog.NotFoundError
	var unavailable *catalog.UnavailableError
	var changed *catalog.ChangedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &notFound):
		return flightruntime.Errorf(flightruntime.KindNotFound, "%w", err)
	case errors.As(err, &unavailable), errors.As(err, &changed):
		return flightruntime.Errorf(flightruntime.KindUnavailable, "%w", err)
	default:
		return err
	}
}
