package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Peer is who is at the other end of a connection. The zero value is somebody who has shown nothing.
type Peer struct {
	// Operator is true of the operator.
	Operator bool
	// Leaf is the peer's certificate, if it was asked for and is good.
	Leaf *x509.Certificate
}

// bundle is CA certificates.
type bundle struct {
	pool   *x509.CertPool
	all    []*x509.Certificate
	digest string
}

func newBundle(data []byte) (*bundle, error) {
	all, err := ParseBundle(data)
	if err != nil {
		return nil, err
	}
	return &bundle{pool: poolOf(all), all: all, digest: Digest(data)}, nil
}

func poolOf(certificates []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certificates {
		pool.AddCert(c)
	}
	return pool
}

// terms are what settings say of connections, apart from what files hold.
type terms struct {
	minVersion uint16
	asks       bool // clients for their certificates
	clients    ClientCertificates
	operatorCA string
}

func (s Settings) terms() terms {
	return terms{minVersion: max(s.MinVersion, tls.VersionTLS12), asks: s.ClientCAFile != "", clients: s.ClientCertificates, operatorCA: s.OperatorCA}
}

// generation is all that holds for connections at one time. Only its cache changes.
type generation struct {
	terms
	certificate *Certificate // nil while there is none
	clientCAs   *bundle      // nil while there are none
	operators   *x509.CertPool
	tls         *tls.Config

	mu    sync.Mutex
	known map[[sha256.Size]byte]verdict // by the certificates that a peer has shown
}

// verdict is a peer that was found to be good, until one of its certificates or a CA's ends.
type verdict struct {
	peer  Peer
	until time.Time
}

// maxKnown verdicts are remembered; beyond, all are found again.
const maxKnown = 4096

func newGeneration(t terms, certificate *Certificate, clientCAs *bundle, verify func(tls.ConnectionState) error) *generation {
	g := &generation{terms: t, certificate: certificate, clientCAs: clientCAs, known: map[[sha256.Size]byte]verdict{}}
	named := x509.NewCertPool() // whose certificates clients are asked for
	if clientCAs != nil {
		named = poolOf(clientCAs.all)
	}
	if t.operatorCA != "" {
		operators, _ := ParseBundle([]byte(t.operatorCA)) // Source.Set has
		g.operators = poolOf(operators)
		for _, c := range operators {
			named.AddCert(c)
		}
	}
	if certificate == nil {
		return g
	}
	g.tls = &tls.Config{
		Certificates: []tls.Certificate{certificate.Pair},
		MinVersion:   t.minVersion,
		CipherSuites: cipherSuites,
		NextProtos:   []string{"h2"},
		// A session that is resumed shows no certificate and proves no client's anew. Connections of gRPC live long: there is little to save.
		SessionTicketsDisabled: true,
	}
	if t.asks || g.operators != nil {
		// Who is good is for verify to say: Go's own verification knows one pool, and not that it may matter nothing.
		g.tls.ClientAuth = tls.RequestClientCert
		g.tls.ClientCAs = named
		g.tls.VerifyConnection = verify
	}
	if t.asks && t.clients == ClientCertificatesRequired {
		g.tls.ClientAuth = tls.RequireAnyClientCert // for the alert that says so
	}
	return g
}

// cipherSuites are those of TLS 1.2 that encrypt and authenticate in one, with keys that live as long as a connection: all that HTTP/2 allows
// (RFC 9113, appendix A, forbids the others). TLS 1.3 has no others.
var cipherSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// verify is a handshake's last step.
func (s *Source) verify(state tls.ConnectionState) error {
	_, err := s.Peer(state)
	return err
}

// Peer tells who is at the other end of a connection, by what is in force now: a server asks at each call, for a CA that was taken away is to
// be refused on connections too that are open. An error says why the peer is not to be let in.
func (s *Source) Peer(state tls.ConnectionState) (Peer, error) {
	return s.inForce.Load().peer(state.PeerCertificates, s.now())
}

// peer is who has shown a chain of certificates, the peer's own the first.
func (g *generation) peer(chain []*x509.Certificate, now time.Time) (Peer, error) {
	if len(chain) == 0 {
		if g.asks && g.clients == ClientCertificatesRequired {
			return Peer{}, errors.New("expected a client certificate, got none: connect with one that a CA of this server's clients has signed")
		}
		return Peer{}, nil
	}
	namesOperator := hasOperatorURI(chain[0])
	if !g.asks && (!namesOperator || g.operators == nil) {
		return Peer{}, nil // nobody has asked
	}
	key := keyOf(chain)
	g.mu.Lock()
	v, ok := g.known[key]
	g.mu.Unlock()
	if ok && !now.After(v.until) {
		return v.peer, nil
	}
	v, err := g.judge(chain, namesOperator, now)
	if err != nil {
		if !g.asks {
			return Peer{}, nil
		}
		return Peer{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= maxKnown {
		clear(g.known)
	}
	g.known[key] = v
	return v.peer, nil
}

// judge verifies a chain. The operator's name is nobody else's, whoever has signed it.
func (g *generation) judge(chain []*x509.Certificate, namesOperator bool, now time.Time) (verdict, error) {
	if namesOperator {
		until, err := verifyClient(chain, g.operators, now)
		if err != nil {
			return verdict{}, fmt.Errorf("the client certificate (%s) has the operator's name, and the operator's CA has not signed it: %w", OperatorURI, err)
		}
		return verdict{Peer{Operator: true}, until}, nil
	}
	var pool *x509.CertPool
	if g.clientCAs != nil {
		pool = g.clientCAs.pool
	}
	until, err := verifyClient(chain, pool, now)
	if err != nil {
		return verdict{}, fmt.Errorf("the client certificate (%s) is not good: %w", name(chain[0]), err)
	}
	return verdict{Peer{Leaf: chain[0]}, until}, nil
}

// verifyClient tells until when a chain is good. Without a pool, none is.
func verifyClient(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) (until time.Time, err error) {
	if roots == nil {
		roots = x509.NewCertPool() // nil would be what the system trusts
	}
	verified, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: poolOf(chain[1:]), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return until, err
	}
	until = chain[0].NotAfter
	for _, link := range verified[0] {
		if link.NotAfter.Before(until) {
			until = link.NotAfter
		}
	}
	return until, nil
}

func hasOperatorURI(c *x509.Certificate) bool {
	for _, uri := range c.URIs {
		if uri.String() == OperatorURI {
			return true
		}
	}
	return false
}

func keyOf(chain []*x509.Certificate) (key [sha256.Size]byte) {
	h := sha256.New()
	for _, c := range chain {
		h.Write(c.Raw) // DER says its own length
	}
	h.Sum(key[:0])
	return key
}
