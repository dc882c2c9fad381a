package probe_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/internal/flighttest"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// presenter is a TLS server whose certificate changes.
type presenter struct {
	*flighttest.Server
	ca *pki.CA

	mu      sync.Mutex
	current *certs.Certificate
	// clients are the certificates that clients showed.
	clients []*x509.Certificate
}

func startPresenter(t *testing.T) *presenter {
	t.Helper()
	ca, err := pki.NewCA(time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p := &presenter{ca: ca}
	p.rotate(t)
	p.Server = flighttest.StartTLS(t, &tls.Config{
		MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequestClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.current == nil {
				return nil, errors.New("none yet")
			}
			return &p.current.Pair, nil
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.clients = append(p.clients, state.PeerCertificates...)
			return nil
		},
	})
	return p
}

// rotate makes the server present another certificate from now on, and gives its fingerprint.
func (p *presenter) rotate(t *testing.T) string {
	t.Helper()
	c := issue(t, p.ca, pki.Request{DNSNames: []string{"taxi.data.svc"}, Usage: pki.UsageServer, Lifetime: time.Minute})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = c
	return certs.Fingerprint(c.Leaf)
}

func issue(t *testing.T, ca *pki.CA, r pki.Request) *certs.Certificate {
	t.Helper()
	certificate, key, err := pki.Issue(ca, r, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c, err := certs.Parse(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encrypted(pod, address string) probe.Target {
	t := target(pod, address)
	t.ServerName = "taxi.data.svc"
	return t
}

func presents(fingerprint string) func(probe.Result) bool {
	return func(r probe.Result) bool { return r.Leaf != nil && r.Leaf.Fingerprint == fingerprint }
}

// With an interval of an hour, a new certificate is seen because it is awaited.
func TestPresentedCertificateIsSeen(t *testing.T) {
	pool, server := startPool(t), startPresenter(t)
	first := certs.Fingerprint(server.current.Leaf)
	settings := slow
	settings.Wanted.Fingerprint = first
	pool.Ensure(taxi, []probe.Target{encrypted("a", server.Address())}, settings)
	r := await(t, pool, "a", "the first certificate", presents(first))
	if !r.Content().Serves(settings.Wanted) || r.Leaf.Certificate.DNSNames[0] != "taxi.data.svc" {
		t.Errorf("result %+v", r)
	}
	settings.Wanted.Fingerprint = "another"
	pool.Ensure(taxi, []probe.Target{encrypted("a", server.Address())}, settings)
	second := server.rotate(t)
	if r := await(t, pool, "a", "the second certificate", presents(second)); r.Content().Serves(settings.Wanted) {
		t.Error("another certificate than the wanted one passes for it")
	}
}

func TestOperatorShowsItsIdentity(t *testing.T) {
	server := startPresenter(t)
	identity := issue(t, server.ca, pki.Request{URIs: []string{certs.OperatorURI}, Usage: pki.UsageClient, Lifetime: time.Minute})
	var fails atomic.Bool
	pool := startPoolWith(t, func() (*tls.Certificate, error) {
		if fails.Load() {
			return nil, errors.New("the CA is not loaded")
		}
		return &identity.Pair, nil
	})
	pool.Ensure(taxi, []probe.Target{encrypted("a", server.Address())}, slow)
	await(t, pool, "a", "Serving", inState(v1alpha1.ServerServing))
	server.mu.Lock()
	shown := server.clients
	server.mu.Unlock()
	if len(shown) == 0 || len(shown[0].URIs) != 1 || shown[0].URIs[0].String() != certs.OperatorURI {
		t.Errorf("the server was shown %v", shown)
	}
	// Without an identity, servers that do not insist are asked nevertheless.
	fails.Store(true)
	pool.Ensure(taxi, []probe.Target{encrypted("b", server.Address())}, slow)
	await(t, pool, "b", "Serving", inState(v1alpha1.ServerServing))
}

func TestTroublesWithTLSAreToldApart(t *testing.T) {
	for _, c := range []struct {
		name    string
		address func(*testing.T) string
		message string
	}{
		{"plain text", func(t *testing.T) string { return flighttest.Start(t).Address() }, "plain text"},
		{"no certificate yet", func(t *testing.T) string {
			server := startPresenter(t)
			server.mu.Lock()
			server.current = nil
			server.mu.Unlock()
			return server.Address()
		}, "has no certificate to present yet"},
		{"the operator is nobody", func(t *testing.T) string {
			c := startPresenter(t).current
			return flighttest.StartTLS(t, &tls.Config{
				MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{c.Pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(),
			}).Address()
		}, "does not take the operator's own certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pool := startPool(t)
			pool.Ensure(taxi, []probe.Target{encrypted("a", c.address(t))}, slow)
			r := await(t, pool, "a", "Unreachable", inState(v1alpha1.ServerUnreachable))
			if r.Reason != v1alpha1.ReasonHandshakeFailed || !strings.Contains(r.Message, c.message) {
				t.Errorf("reason %q, message %q; expected %q, %q", r.Reason, r.Message, v1alpha1.ReasonHandshakeFailed, c.message)
			}
		})
	}
}

// Where the operator cannot show its certificate, it shows a token; and it shows it to no server that speaks TLS.
func TestTokensAreShownInPlainTextAlone(t *testing.T) {
	keys := signing.Random()
	tokens := &flightruntime.OperatorTokens{Keys: func() *signing.Keyring { return keys }, Audience: "data/taxi"}
	asked := func(server *flighttest.Server) chan bool {
		shown := make(chan bool, 1)
		server.Admit(func(ctx context.Context) error {
			headers, _ := metadata.FromIncomingContext(ctx)
			operator, err := tokens.Check(headers)
			select {
			case shown <- operator:
			default:
			}
			return err
		})
		return shown
	}
	plain, secret := flighttest.Start(t), startPresenter(t)
	toPlain, toSecret := asked(plain), asked(secret.Server)
	settings := slow
	settings.Tokens = tokens
	pool := startPool(t)
	pool.Ensure(taxi, []probe.Target{target("a", plain.Address()), encrypted("b", secret.Address())}, settings)
	for pod, c := range map[string]struct {
		shown chan bool
		want  bool
	}{"a": {toPlain, true}, "b": {toSecret, false}} {
		if r := await(t, pool, pod, "Serving", inState(v1alpha1.ServerServing)); r.Failures != 0 {
			t.Errorf("%s: %+v", pod, r)
		}
		if got := <-c.shown; got != c.want {
			t.Errorf("%s was shown a token: %v, want %v", pod, got, c.want)
		}
	}
	// Of other keys, the server says so.
	other := signing.Random()
	settings.Tokens = &flightruntime.OperatorTokens{Keys: func() *signing.Keyring { return other }, Audience: "data/taxi"}
	pool.Ensure(taxi, []probe.Target{target("a", plain.Address())}, settings)
	r := await(t, pool, "a", "Unreachable", inState(v1alpha1.ServerUnreachable))
	if r.Reason != v1alpha1.ReasonNotServing || !strings.Contains(r.Message, "takes the operator for somebody else: the operator's token") {
		t.Errorf("%s: %s", r.Reason, r.Message)
	}
}

func TestContent(t *testing.T) {
	full := probe.Content{ConfigHash: "c", Fingerprint: "f", Chain: "d", ClientCA: "a"}
	for _, c := range []struct {
		name   string
		have   probe.Content
		wanted probe.Content
		want   bool
	}{
		{"all of it", full, full, true},
		{"another configuration", full, probe.Content{ConfigHash: "x"}, false},
		{"another certificate", full, probe.Content{ConfigHash: "c", Fingerprint: "x"}, false},
		{"another chain", full, probe.Content{ConfigHash: "c", Fingerprint: "f", Chain: "x"}, false},
		{"other CAs", full, probe.Content{ConfigHash: "c", Fingerprint: "f", Chain: "d", ClientCA: "x"}, false},
		{"what is not known to be wanted is not compared", full, probe.Content{ConfigHash: "c"}, true},
		{"nothing is told", probe.Content{}, full, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.have.Serves(c.wanted); got != c.want {
				t.Errorf("%v, expected %v", got, c.want)
			}
		})
	}
	if got := (probe.Result{State: v1alpha1.ServerUnreachable, Health: &flightruntime.Health{ConfigHash: "c"}}).Content(); got != (probe.Content{}) {
		t.Errorf("a server that does not answer serves %+v", got)
	}
}
