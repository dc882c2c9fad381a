package pki

import (
	"crypto/tls"
	"sync"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// identityLifetime is short, since a new identity costs nothing: its key never leaves the process.
const identityLifetime = 24 * time.Hour

// Identity is the operator's own certificate towards the servers. Its key is in memory alone. It is issued when it is first asked for, and again at two
// thirds of its life or when another CA issues, so it needs no timer.
type Identity struct {
	snapshot func() (Snapshot, error)
	now      func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
}

// NewIdentity makes an identity that an authority issues.
func NewIdentity(a *Authority) *Identity { return &Identity{snapshot: a.Snapshot, now: a.o.Now} }

// identityRequest is what the operator is.
var identityRequest = Request{CommonName: "flight-operator", URIs: []string{certs.OperatorURI}, Usage: UsageClient, Lifetime: identityLifetime}

// GetClientCertificate is for a tls.Config: the certificate of now. It is an error as long as the authority is not loaded, as on a manager that does not
// lead.
func (i *Identity) GetClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	snapshot, err := i.snapshot()
	if err != nil {
		return nil, err
	}
	now := i.now().Round(0)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current != nil {
		if _, due := Due(i.current.Leaf, snapshot.Active, identityRequest, now, certs.OperatorURI); !due {
			return i.current, nil
		}
	}
	leaf, key, err := issue(snapshot.Active, identityRequest, now)
	if err != nil {
		return nil, err
	}
	i.current = &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	return i.current, nil
}
