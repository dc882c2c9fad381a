package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// identity is one whose authority and clock the test moves.
type identity struct {
	*Identity
	at State
	t  time.Time
}

func newIdentity(t *testing.T) *identity {
	t.Helper()
	i := &identity{t: start, at: State{Active: newCA(t, start, year)}}
	i.Identity = &Identity{
		snapshot: func() (Snapshot, error) { return Snapshot{Active: i.at.Active, Bundle: i.at.Bundle()}, nil },
		now:      func() time.Time { return i.t },
	}
	return i
}

func (i *identity) get(t *testing.T) *tls.Certificate {
	t.Helper()
	c, err := i.GetClientCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestIdentityIsRenewed(t *testing.T) {
	i := newIdentity(t)
	first := i.get(t)
	i.t = start.Add(12 * time.Hour)
	if i.get(t) != first {
		t.Error("it is another after half of its life")
	}
	i.t = start.Add(16 * time.Hour)
	second := i.get(t)
	if key := first.PrivateKey.(*ecdsa.PrivateKey); second == first || key.Equal(second.PrivateKey) {
		t.Error("it, or its key, is the same after two thirds of its life")
	}
	i.at = State{Active: newCA(t, i.t, year)}
	third := i.get(t)
	if err := third.Leaf.CheckSignatureFrom(i.at.Active.Certificate); err != nil {
		t.Errorf("another CA issues now: %v", err)
	}
	i.t = start.Add(-day)
	if back := i.get(t); back.Leaf.NotBefore.After(i.at.Active.Certificate.NotBefore) {
		t.Errorf("the clock jumped back: it is valid from %s, its CA from %s", back.Leaf.NotBefore, i.at.Active.Certificate.NotBefore)
	}
}

func TestIdentityNeedsAnAuthority(t *testing.T) {
	missing := errors.New("not loaded")
	i := &Identity{snapshot: func() (Snapshot, error) { return Snapshot{}, missing }, now: time.Now}
	if _, err := i.GetClientCertificate(nil); !errors.Is(err, missing) {
		t.Errorf("%v, want %v", err, missing)
	}
}

// TestIdentityInAHandshake shows it to a server that asks for it, as each Flight server does.
func TestIdentityInAHandshake(t *testing.T) {
	i := newIdentity(t)
	i.t = time.Now()
	i.at = State{Active: newCA(t, i.t, year), Next: &Next{CA: newCA(t, i.t, year), Announced: i.t}}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(i.at.Bundle())
	certPEM, keyPEM, err := Issue(i.at.Active, taxi, i.t)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		here, there := net.Pipe()
		server := tls.Server(there, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, SessionTicketsDisabled: true, MinVersion: tls.VersionTLS12})
		client := tls.Client(here, &tls.Config{RootCAs: roots, ServerName: "taxi.data.svc", GetClientCertificate: i.GetClientCertificate, MinVersion: version, MaxVersion: version})
		failed := make(chan error, 1)
		go func() { failed <- client.HandshakeContext(t.Context()) }()
		if err := server.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
		if peer := server.ConnectionState().PeerCertificates[0]; len(peer.URIs) != 1 || peer.URIs[0].String() != certs.OperatorURI {
			t.Errorf("the server sees the URIs %v, want %s", peer.URIs, certs.OperatorURI)
		}
		here.Close()
		there.Close()
	}
}
