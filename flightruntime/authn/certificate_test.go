package authn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
)

// clientCertificates makes a CA, and a certificate of it from a template, for servers and clients alike; the first two in PEM.
func clientCertificates(t testing.TB, template *x509.Certificate) (certificate, key, ca []byte) {
	t.Helper()
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	sign := func(template, parent *x509.Certificate, public, private any) []byte {
		template.SerialNumber = big.NewInt(1)
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, private)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	inPEM := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	caKey, leafKey := newKey(), newKey()
	root := &x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	ca = inPEM("CERTIFICATE", sign(root, root, &caKey.PublicKey, caKey))
	if template == nil {
		return nil, nil, ca
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	certificate = inPEM("CERTIFICATE", sign(template, root, &leafKey.PublicKey, caKey))
	der, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, inPEM("PRIVATE KEY", der), ca
}

func TestClientCertificates(t *testing.T) {
	uri := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	full := &x509.Certificate{
		Subject: pkix.Name{CommonName: "ada", Organization: []string{"analysts", "system:masters", "admins"}},
		URIs:    []*url.URL{uri("spiffe://example.org/ada")}, DNSNames: []string{"ada.example.org"}, EmailAddresses: []string{"ada@example.org"},
	}
	for name, tt := range map[string]struct {
		c       ClientCertificate
		shown   Credentials
		user    string
		groups  []string
		refusal string
	}{
		"common name":        {c: ClientCertificate{UsernameFrom: UsernameFromCommonName}, shown: Credentials{Certificate: full}, user: "ada"},
		"URI":                {c: ClientCertificate{UsernameFrom: UsernameFromURISAN}, shown: Credentials{Certificate: full}, user: "spiffe://example.org/ada"},
		"DNS name":           {c: ClientCertificate{UsernameFrom: UsernameFromDNSSAN}, shown: Credentials{Certificate: full}, user: "ada.example.org"},
		"e-mail address":     {c: ClientCertificate{UsernameFrom: UsernameFromEmailSAN}, shown: Credentials{Certificate: full}, user: "ada@example.org"},
		"with organizations": {c: ClientCertificate{UsernameFromCommonName, GroupsFromOrganization}, shown: Credentials{Certificate: full}, user: "ada", groups: []string{"analysts", "admins"}},
		"the part is missing": {
			c: ClientCertificate{UsernameFrom: UsernameFromURISAN}, shown: Credentials{Certificate: &x509.Certificate{}},
			refusal: "expected a client certificate with one URISAN, which names the user, got one with 0",
		},
		"the part is there twice": {
			c: ClientCertificate{UsernameFrom: UsernameFromDNSSAN}, shown: Credentials{Certificate: &x509.Certificate{DNSNames: []string{"a", "b"}}},
			refusal: "expected a client certificate with one DNSSAN, which names the user, got one with 2",
		},
		"a reserved name": {
			c: ClientCertificate{UsernameFrom: UsernameFromCommonName}, shown: Credentials{Certificate: &x509.Certificate{Subject: pkix.Name{CommonName: "system:admin"}}},
			refusal: "the CommonName of the client certificate names the user: names that begin with system: are reserved",
		},
		"none": {c: ClientCertificate{UsernameFrom: UsernameFromCommonName}, refusal: "expected credentials (a client certificate), got none"},
		"beside a token": {
			c: ClientCertificate{UsernameFrom: UsernameFromCommonName}, shown: Credentials{Certificate: full, Scheme: SchemeBearer, Token: "made up"},
			refusal: "the token is wrong",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := made(t, Settings{ClientCertificate: &tt.c}, Options{}, newClock().Now)
			id, err := identified(t, a, tt.shown)
			if tt.refusal != "" {
				wantRefusal(t, err, errUnauthenticated, tt.refusal)
				return
			}
			wantIdentity(t, id, err, MethodClientCertificate, tt.user, append(tt.groups, GroupAuthenticated)...)
			if !a.StillValid(t.Context(), id) {
				t.Error("the identity does not hold")
			}
			if err := a.Set(Settings{ClientCertificate: &ClientCertificate{UsernameFrom: "CommonName", GroupsFrom: "Organization"}}); err != nil {
				t.Fatal(err)
			}
			same := name == "with organizations"
			if got := a.StillValid(t.Context(), id); got != same {
				t.Errorf("with other settings, the identity holds: %t, want %t", got, same)
			}
		})
	}
	for _, c := range []ClientCertificate{{}, {UsernameFrom: "SerialNumber"}, {UsernameFrom: UsernameFromURISAN, GroupsFrom: "OU"}} {
		if err := c.check(); err == nil || !strings.Contains(err.Error(), "expected the ") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
