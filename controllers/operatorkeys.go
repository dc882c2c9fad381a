package controllers

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// insecure tells whether callers show servers in plain text who they are. Then the operator does so by tokens.
func insecure(fs *v1alpha1.FlightServer) bool { return fs.Spec.Auth != nil && fs.Spec.TLS == nil }

// operatorKeys are the signing keys of the FlightServers with auth and without TLS, by which the operator shows their servers who it is. Those of others are
// not kept. Once there, they stay as long as there is auth: when TLS is specified, servers without it still run.
type operatorKeys struct {
	mu sync.Mutex
	by map[types.NamespacedName]operatorKey
}

// operatorKey is what one version of a Secret gives.
type operatorKey struct {
	version version
	tokens  *flightruntime.OperatorTokens // nil if no version could be read yet
}

func newOperatorKeys() *operatorKeys {
	return &operatorKeys{by: map[types.NamespacedName]operatorKey{}}
}

// tokens are those for the servers of a FlightServer; nil: there are none.
func (o *operatorKeys) tokens(key types.NamespacedName) *flightruntime.OperatorTokens {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.by[key].tokens
}

// are tells whether a version has been looked at.
func (o *operatorKeys) are(key types.NamespacedName, v version) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.by[key].version == v
}

// set takes over the keys of a version; nil: they cannot be read, and those before stay.
func (o *operatorKeys) set(key types.NamespacedName, v version, keys *signing.Keyring) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := operatorKey{v, o.by[key].tokens}
	if keys != nil {
		now.tokens = &flightruntime.OperatorTokens{Keys: func() *signing.Keyring { return keys }, Audience: key.String()}
	}
	o.by[key] = now
}

func (o *operatorKeys) forget(key types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.by, key)
}
