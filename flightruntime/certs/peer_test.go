package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func client(name string, uris ...string) *x509.Certificate {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, u := range uris {
		parsed, err := url.Parse(u)
		if err != nil {
			panic(err)
		}
		c.URIs = append(c.URIs, parsed)
	}
	return c
}

// TestWhoIsWho holds each kind of client against each kind of server.
func TestWhoIsWho(t *testing.T) {
	server, users, operator, stranger := newAuthority(t, "server"), newAuthority(t, "users"), newAuthority(t, "operator"), newAuthority(t, "stranger")
	chainOf := func(a *authority, template *x509.Certificate) []*x509.Certificate {
		certificate, _ := a.issue(t, template)
		chain, err := ParseBundle(certificate)
		if err != nil {
			t.Fatal(err)
		}
		return chain
	}
	old := client("ada")
	old.NotBefore, old.NotAfter = epoch.Add(-2*time.Hour), epoch.Add(-time.Hour)
	oldOperator := client("", OperatorURI)
	oldOperator.NotBefore, oldOperator.NotAfter = old.NotBefore, old.NotAfter
	const nobody, user, isOperator, refused = "nobody", "user", "operator", "refused"
	for _, tt := range []struct {
		name                         string
		chain                        []*x509.Certificate
		notAsked, optional, required string
	}{
		{"nothing", nil, nobody, nobody, refused},
		{"a user's", chainOf(users, client("ada")), nobody, user, user},
		{"a user's of old", chainOf(users, old), nobody, refused, refused},
		{"a server's of the users' CA", chainOf(users, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}), nobody, refused, refused},
		{"a stranger's", chainOf(stranger, client("ada")), nobody, refused, refused},
		{"the operator's", chainOf(operator, client("", OperatorURI)), isOperator, isOperator, isOperator},
		{"the operator's, with another URI too", chainOf(operator, client("", "urn:a", OperatorURI)), isOperator, isOperator, isOperator},
		{"the operator's of old", chainOf(operator, oldOperator), nobody, refused, refused},
		{"of the operator's CA without the URI", chainOf(operator, client("operator")), nobody, refused, refused},
		{"of the operator's CA with the name alone", chainOf(operator, client(OperatorURI)), nobody, refused, refused},
		{"of the operator's CA with a URI like it", chainOf(operator, client("", OperatorURI+"s")), nobody, refused, refused},
		{"a user's with the operator's URI", chainOf(users, client("ada", OperatorURI)), nobody, refused, refused},
		{"a stranger's with the operator's URI", chainOf(stranger, client("", OperatorURI)), nobody, refused, refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for mode, want := range map[string]string{"not asked": tt.notAsked, "optional": tt.optional, "required": tt.required} {
				w := newWorld(t, func(s *Settings) {
					s.OperatorCA = string(operator.pem)
					if mode != "not asked" {
						s.ClientCAFile = filepath.Join(filepath.Dir(s.CertFile), "ca.crt")
					}
					if mode == "optional" {
						s.ClientCertificates = ClientCertificatesOptional
					}
				})
				w.issue(t, server, named("a.example"))
				w.write(t, "ca.crt", users.pem)
				w.look()
				for range 2 { // the second answer may be one that is remembered
					p, err := w.Peer(tls.ConnectionState{PeerCertificates: tt.chain})
					got := nobody
					switch {
					case err != nil:
						got = refused
					case p.Operator:
						got = isOperator
					case p.Leaf != nil:
						got = user
					}
					if got != want {
						t.Errorf("where certificates are %s: %s (%v), want %s", mode, got, err, want)
					}
				}
			}
		})
	}
}

func TestWithoutABundleNoClientIsGood(t *testing.T) {
	users := newAuthority(t, "users")
	certificate, _ := users.issue(t, client("ada"))
	chain, err := ParseBundle(certificate)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(s *Settings) { s.ClientCAFile = filepath.Join(filepath.Dir(s.CertFile), "ca.crt") })
	if p, err := w.Peer(tls.ConnectionState{PeerCertificates: chain}); err == nil {
		t.Errorf("let in as %+v", p)
	}
}

func TestAPeerThatIsRememberedEndsWithItsCertificate(t *testing.T) {
	users := newAuthority(t, "users")
	certificate, _ := users.issue(t, client("ada"))
	chain, err := ParseBundle(certificate)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(s *Settings) { s.ClientCAFile = filepath.Join(filepath.Dir(s.CertFile), "ca.crt") })
	w.write(t, "ca.crt", users.pem)
	w.look()
	state := tls.ConnectionState{PeerCertificates: chain}
	if _, err := w.Peer(state); err != nil {
		t.Fatal(err)
	}
	w.now = chain[0].NotAfter.Add(time.Second)
	if _, err := w.Peer(state); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("after its end: %v", err)
	}
}

func TestIntermediatesAreFollowed(t *testing.T) {
	root := newAuthority(t, "root")
	middle := &authority{key: newKey(t)}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "middle"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: epoch.Add(-time.Hour), NotAfter: epoch.Add(time.Minute),
	}
	middle.pem = root.sign(t, template, middle.key.Public())
	parsed, err := ParseBundle(middle.pem)
	if err != nil {
		t.Fatal(err)
	}
	middle.certificate = parsed[0]
	leaf, _ := middle.issue(t, client("ada"))
	chain, err := ParseBundle(append(bytes.Clone(leaf), middle.pem...))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(s *Settings) { s.ClientCAFile = filepath.Join(filepath.Dir(s.CertFile), "ca.crt") })
	w.write(t, "ca.crt", root.pem)
	w.look()
	if _, err := w.Peer(tls.ConnectionState{PeerCertificates: chain}); err != nil {
		t.Error(err)
	}
	if _, err := w.Peer(tls.ConnectionState{PeerCertificates: chain[:1]}); err == nil {
		t.Error("let in without the intermediate")
	}
	w.now = epoch.Add(2 * time.Minute)
	if _, err := w.Peer(tls.ConnectionState{PeerCertificates: chain}); err == nil {
		t.Error("let in although the intermediate has ended")
	}
}

// shake does a handshake and reads a byte, for a TLS 1.3 client learns with that only that it is refused.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		far, err := listener.Accept()
		if err != nil {
			return
		}
		defer far.Close()
		if conn := tls.Server(far, server); conn.Handshake() == nil {
			conn.Write([]byte{1})
		}
		io.Copy(io.Discard, far) // a connection that is closed with bytes unread is reset, and the alert lost
	}()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	conn := tls.Client(near, client)
	_, err = io.ReadFull(conn, make([]byte, 1))
	return conn.ConnectionState(), err
}

func TestHandshakesGetWhatIsInForce(t *testing.T) {
	ca, other, users, others := newAuthority(t, "ca"), newAuthority(t, "other"), newAuthority(t, "users"), newAuthority(t, "others")
	cert, key := users.issue(t, client("ada"))
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			server := w.TLSConfig()
			config := func(root *authority) *tls.Config {
				return &tls.Config{
					ServerName: "a.example", RootCAs: poolOf([]*x509.Certificate{root.certificate}), MaxVersion: version, NextProtos: []string{"h2"},
					Time: func() time.Time { return epoch }, ClientSessionCache: tls.NewLRUClientSessionCache(8),
				}
			}
			of, ofOther := config(ca), config(other)
			good := func(c *tls.Config) {
				t.Helper()
				state, err := shake(t, server, c)
				if err != nil || state.NegotiatedProtocol != "h2" || state.Version != version {
					t.Errorf("ended with %v as %x %s", err, state.Version, state.NegotiatedProtocol)
				}
				if state.DidResume {
					t.Error("a session was resumed")
				}
			}
			bad := func(c *tls.Config, want string) {
				t.Helper()
				if _, err := shake(t, server, c); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("ended with %v, want %q", err, want)
				}
			}
			bad(of, "internal error")
			if !strings.Contains(w.log.String(), "TLS handshake refused") || !strings.Contains(w.log.String(), "tls.crt") {
				t.Errorf("the log does not say why:\n%s", &w.log)
			}
			w.issue(t, ca, named("a.example"))
			w.look()
			good(of)
			good(of)
			w.issue(t, other, named("a.example"))
			w.look()
			bad(of, "unknown authority")
			good(ofOther)

			w.settings.ClientCAFile = filepath.Join(w.dir, "ca.crt")
			w.write(t, "ca.crt", users.pem)
			if err := w.Set(w.settings); err != nil {
				t.Fatal(err)
			}
			with := ofOther.Clone()
			with.Certificates = []tls.Certificate{pair}
			bad(ofOther, "remote error")
			good(with)
			good(with)
			w.write(t, "ca.crt", others.pem) // the session that could be resumed is of a client whose CA is gone
			w.look()
			with.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			bad(with, "bad certificate")
			w.settings.ClientCertificates = ClientCertificatesOptional
			if err := w.Set(w.settings); err != nil {
				t.Fatal(err)
			}
			good(ofOther)
			bad(with, "bad certificate")
		})
	}
	t.Run("the oldest version", func(t *testing.T) {
		w := newWorld(t, func(s *Settings) { s.MinVersion = tls.VersionTLS13 })
		w.issue(t, ca, named("a.example"))
		w.look()
		old := &tls.Config{ServerName: "a.example", MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // the version is what matters
		if _, err := shake(t, w.TLSConfig(), old); err == nil {
			t.Error("TLS 1.2 was spoken")
		}
		w.settings.MinVersion = 0
		if err := w.Set(w.settings); err != nil {
			t.Fatal(err)
		}
		if _, err := shake(t, w.TLSConfig(), old); err != nil {
			t.Error(err)
		}
		old.MaxVersion = tls.VersionTLS11
		if _, err := shake(t, w.TLSConfig(), old); err == nil {
			t.Error("TLS 1.1 was spoken")
		}
	})
}

func TestTheCacheOfPeersIsBounded(t *testing.T) {
	users := newAuthority(t, "users")
	w := newWorld(t, func(s *Settings) { s.ClientCAFile = filepath.Join(filepath.Dir(s.CertFile), "ca.crt") })
	w.write(t, "ca.crt", users.pem)
	w.look()
	certificate, _ := users.issue(t, client("ada"))
	chain, err := ParseBundle(certificate)
	if err != nil {
		t.Fatal(err)
	}
	known := w.inForce.Load().known
	for n := range maxKnown {
		known[[32]byte{byte(n), byte(n >> 8)}] = verdict{}
	}
	for range 2 {
		if _, err := w.Peer(tls.ConnectionState{PeerCertificates: chain}); err != nil {
			t.Error(err)
		}
	}
	if n := len(known); n != 1 {
		t.Errorf("%d peers are remembered, want the one that came after the most", n)
	}
}

func BenchmarkPeer(b *testing.B) {
	users := newAuthority(b, "users")
	certificate, _ := users.issue(b, client("ada"))
	chain, err := ParseBundle(certificate)
	if err != nil {
		b.Fatal(err)
	}
	bundle, err := newBundle(users.pem)
	if err != nil {
		b.Fatal(err)
	}
	g := newGeneration(terms{asks: true}, nil, bundle, nil)
	for b.Loop() {
		if _, err := g.peer(chain, epoch); err != nil {
			b.Fatal(err)
		}
	}
}

// What HTTP/2 forbids is not spoken, whatever a client offers.
func TestOldCiphersAreRefused(t *testing.T) {
	w := newWorld(t, nil)
	w.issue(t, newAuthority(t, "ca"), named("a.example"))
	w.look()
	server := w.TLSConfig()
	for suite, want := range map[uint16]bool{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: true,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:    false,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256:         false,
	} {
		_, err := shake(t, server, &tls.Config{
			ServerName: "a.example", InsecureSkipVerify: true,
			MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, CipherSuites: []uint16{suite},
		})
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.CipherSuiteName(suite), err)
		}
	}
}
