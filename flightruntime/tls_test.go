package flightruntime

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// authority is a CA of these tests.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

// newAuthority makes a CA that lives for an hour.
func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	ca := &authority{certificate: &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	ca.pem, _ = ca.issue(t, ca.certificate)
	return ca
}

// issue signs a certificate. Both results are PEM.
func (a *authority) issue(t *testing.T, template *x509.Certificate) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if a.key == nil {
		a.key = private // it signs itself
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &private.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// server is a certificate for the names given and 127.0.0.1, if none are.
func (a *authority) server(t *testing.T, names ...string) (certificate, key []byte) {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "server"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSNames: names}
	if names == nil {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	return a.issue(t, template)
}

// client is a certificate for a client.
func (a *authority) client(t *testing.T, template x509.Certificate) (certificate, key []byte) {
	t.Helper()
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue(t, &template)
}

// startTLS serves on loopback with TLS until the test ends.
func startTLS(t *testing.T, service Service, options ServerOptions) *Server {
	t.Helper()
	options.Logger = slog.New(slog.DiscardHandler)
	server, err := NewServer("grpc+tls://127.0.0.1:0", service, options)
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(func() {
		if err := server.Shutdown(t.Context()); err != nil { // the context is done: nothing is waited for
			t.Error(err)
		}
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func serverTLS(t *testing.T, certificate, key, clientCAs []byte) *tls.Config {
	t.Helper()
	c, err := ServerTLS(certificate, key, clientCAs)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func clientTLS(t *testing.T, roots, certificate, key []byte) *tls.Config {
	t.Helper()
	c, err := ClientTLS(roots, certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTLSProvesWhoTheServerIs(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	certificate, key := ca.server(t)
	elsewhere, elsewhereKey := ca.server(t, "flight.example")
	for name, test := range map[string]struct {
		server       *tls.Config
		roots        []byte
		overrideHost string
		refused      string
	}{
		"by its address":                      {server: serverTLS(t, certificate, key, nil), roots: ca.pem},
		"by a name that the client overrides": {server: serverTLS(t, elsewhere, elsewhereKey, nil), roots: ca.pem, overrideHost: "flight.example"},
		"unless it has another name":          {server: serverTLS(t, elsewhere, elsewhereKey, nil), roots: ca.pem, refused: "127.0.0.1"},
		"unless the client expects another":   {server: serverTLS(t, certificate, key, nil), roots: ca.pem, overrideHost: "flight.example", refused: "flight.example"},
		"unless somebody else has signed it":  {server: serverTLS(t, certificate, key, nil), roots: other.pem, refused: "unknown authority"},
		"unless the system does not trust it": {server: serverTLS(t, certificate, key, nil), refused: "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			server := startTLS(t, allWell, ServerOptions{TLS: test.server})
			c := clientTLS(t, test.roots, nil, nil)
			c.ServerName = test.overrideHost
			_, err := connect(t, server, ClientOptions{TLS: c}).GetFlightInfo(t.Context(), DescriptorForPath("a"))
			switch {
			case test.refused == "" && err != nil:
				t.Errorf("ended with %v", err)
			case test.refused != "" && (!errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), test.refused)):
				t.Errorf("ended with %v, want UNAVAILABLE for %q", err, test.refused)
			}
		})
	}
	t.Run("unless the client does not verify it", func(t *testing.T) {
		server := startTLS(t, allWell, ServerOptions{TLS: serverTLS(t, certificate, key, nil)})
		c := clientTLS(t, nil, nil, nil)
		c.InsecureSkipVerify = true //nolint:gosec // pyarrow's disable_server_verification
		if _, err := connect(t, server, ClientOptions{TLS: c}).GetFlightInfo(t.Context(), DescriptorForPath("a")); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("and is not spoken to in plain text", func(t *testing.T) {
		server := startTLS(t, allWell, ServerOptions{TLS: serverTLS(t, certificate, key, nil)})
		plain, err := Connect(ForGRPCTCP("127.0.0.1", server.Location().Port()).String(), ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		if _, err := plain.GetFlightInfo(t.Context(), DescriptorForPath("a")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("nor answers in plain text", func(t *testing.T) {
		plain := start(t, allWell, ServerOptions{})
		client, err := Connect(ForGRPCTLS("127.0.0.1", plain.Location().Port()).String(), ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestClientCertificatesNameThePeer(t *testing.T) {
	ca, clients, other := newAuthority(t, "ca"), newAuthority(t, "clients"), newAuthority(t, "other")
	certificate, key := ca.server(t)
	service, who := identities()
	server := startTLS(t, service, ServerOptions{TLS: serverTLS(t, certificate, key, clients.pem)})
	spiffe, err := url.Parse("spiffe://example/ada")
	if err != nil {
		t.Fatal(err)
	}
	for want, template := range map[string]x509.Certificate{
		"ada":                  {Subject: pkix.Name{CommonName: "ada"}},
		"ada.example":          {Subject: pkix.Name{CommonName: "ada"}, DNSNames: []string{"ada.example", "second.example"}, EmailAddresses: []string{"ada@example"}},
		"ada@example":          {Subject: pkix.Name{CommonName: "ada"}, EmailAddresses: []string{"ada@example"}},
		"spiffe://example/ada": {Subject: pkix.Name{CommonName: "ada"}, DNSNames: []string{"ada.example"}, URIs: []*url.URL{spiffe}},
	} {
		t.Run(want, func(t *testing.T) {
			cert, certKey := clients.client(t, template)
			client := connect(t, server, ClientOptions{TLS: clientTLS(t, ca.pem, cert, certKey)})
			if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); err != nil {
				t.Fatal(err)
			}
			if got := <-who; got != want {
				t.Errorf("the peer is %q", got)
			}
		})
	}
	strange, strangeKey := other.client(t, x509.Certificate{Subject: pkix.Name{CommonName: "ada"}})
	for name, c := range map[string]*tls.Config{
		"without a certificate": clientTLS(t, ca.pem, nil, nil),
		"with a stranger's":     clientTLS(t, ca.pem, strange, strangeKey),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := connect(t, server, ClientOptions{TLS: c}).GetFlightInfo(t.Context(), DescriptorForPath("a")); !errors.Is(err, ErrUnavailable) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// A certificate that nobody has verified names nobody.
func TestCertificatesThatAreNotVerifiedNameNobody(t *testing.T) {
	ca := newAuthority(t, "ca")
	certificate, key := ca.server(t)
	c := serverTLS(t, certificate, key, nil)
	c.ClientAuth = tls.RequireAnyClientCert
	service, who := identities()
	server := startTLS(t, service, ServerOptions{TLS: c})
	cert, certKey := newAuthority(t, "other").client(t, x509.Certificate{Subject: pkix.Name{CommonName: "ada"}})
	client := connect(t, server, ClientOptions{TLS: clientTLS(t, ca.pem, cert, certKey)})
	if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); err != nil {
		t.Fatal(err)
	}
	if got := <-who; got != "" {
		t.Errorf("the peer is %q", got)
	}
}

func TestCredentialsGoOverTLS(t *testing.T) {
	ca := newAuthority(t, "ca")
	certificate, key := ca.server(t)
	service, who := identities()
	server := startTLS(t, service, ServerOptions{TLS: serverTLS(t, certificate, key, nil), Auth: NewBasicAuth(users, nil)})
	client := connect(t, server, ClientOptions{TLS: clientTLS(t, ca.pem, nil, nil)})
	token, err := client.AuthenticateBasicToken(t.Context(), "ada", "love:lace")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a"), token); err != nil || <-who != "Ada Lovelace" {
		t.Errorf("ended with %v", err)
	}
}

func TestTLSSettingsThatDoNotFit(t *testing.T) {
	ca := newAuthority(t, "ca")
	certificate, key := ca.server(t)
	_, otherKey := ca.server(t)
	for name, test := range map[string]struct {
		make func() (*tls.Config, error)
		want string
	}{
		"a server without anything":        {func() (*tls.Config, error) { return ServerTLS(nil, nil, nil) }, "expected a certificate and its private key in PEM"},
		"a key of another certificate":     {func() (*tls.Config, error) { return ServerTLS(certificate, otherKey, nil) }, "private key does not match public key"},
		"certificate and key exchanged":    {func() (*tls.Config, error) { return ServerTLS(key, certificate, nil) }, "expected a certificate and its private key in PEM"},
		"a key that is cut":                {func() (*tls.Config, error) { return ServerTLS(certificate, key[:len(key)/2], nil) }, "expected a certificate and its private key in PEM"},
		"client CAs that are none":         {func() (*tls.Config, error) { return ServerTLS(certificate, key, []byte("none")) }, "expected CA certificates in PEM, found none"},
		"client CAs that are empty":        {func() (*tls.Config, error) { return ServerTLS(certificate, key, []byte{}) }, "expected CA certificates in PEM, found none"},
		"roots that are none":              {func() (*tls.Config, error) { return ClientTLS(key, nil, nil) }, "expected CA certificates in PEM, found none"},
		"a client's key without its other": {func() (*tls.Config, error) { return ClientTLS(nil, nil, key) }, "expected a certificate and its private key in PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.make()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("gave %v, want an error with %q", err, test.want)
			}
			for line := range strings.Lines(string(key)) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "-----") && strings.Contains(err.Error(), line) {
					t.Errorf("the error shows the key: %v", err)
				}
			}
		})
	}
	for location, options := range map[string]ServerOptions{
		"grpc+tls://127.0.0.1:0":     {},
		"grpc://127.0.0.1:0":         {TLS: serverTLS(t, certificate, key, nil)},
		"grpc+unix:///never-created": {TLS: serverTLS(t, certificate, key, nil)},
	} {
		if server, err := NewServer(location, BaseService{}, options); err == nil {
			t.Errorf("a server listens at %s", server.Location())
		}
	}
}
