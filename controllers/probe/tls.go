package probe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// handshakeEvery is how long a connection is used before the next probe makes a new one, so that what a server presents is known to be at
// most as old. While another certificate is awaited, every probe does.
const handshakeEvery = time.Minute

// Leaf is the certificate that a server presented in a handshake with the operator.
type Leaf struct {
	// Fingerprint is the SHA-256 of the certificate in DER, in lower-case hexadecimal.
	Fingerprint string
	// Certificate is shared: nothing in it may be changed.
	Certificate *x509.Certificate
}

// errNoLeaf cannot be: a TLS server without a certificate does not get through a handshake.
var errNoLeaf = errors.New("the server presented no certificate")

// handshakes watches the handshakes of one server's connections. gRPC makes new connections by itself.
type handshakes struct {
	mu   sync.Mutex
	last *Leaf
}

// config makes a TLS configuration that takes any certificate and records it. Which one a server should present, its Secret says: that it
// presents another one is a finding, for the status, and no reason to end the connection. Nothing is entrusted to the server: the operator
// shows its certificate, whose key stays here, and asks how the server fares. What it answers is taken for no more than what a pod says of itself.
func (h *handshakes) config(serverName string, identity func() (*tls.Certificate, error)) *tls.Config {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         serverName,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection records what is presented; package status compares it with the Secret's
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errNoLeaf
			}
			h.record(state.PeerCertificates[0])
			return nil
		},
	}
	if identity != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if certificate, err := identity(); err == nil {
				return certificate, nil
			}
			return &tls.Certificate{}, nil // none: most servers answer nobody in particular too
		}
	}
	return c
}

func (h *handshakes) record(leaf *x509.Certificate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = &Leaf{Fingerprint: certs.Fingerprint(leaf), Certificate: leaf}
}

// leaf is what was presented last, nil before the first handshake.
func (h *handshakes) leaf() *Leaf {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}
