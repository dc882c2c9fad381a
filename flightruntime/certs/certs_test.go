package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// named is a certificate of a server.
func named(names ...string) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: "server"}, DNSNames: names}
}

func TestParseTakesWhateverIssuersWrite(t *testing.T) {
	ca := newAuthority(t, "ca")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(p384)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		key  crypto.Signer
		pem  []byte
	}{
		{"RSA in PKCS #8", rsaKey, keyPEM(t, rsaKey)},
		{"RSA in PKCS #1", rsaKey, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})},
		{"ECDSA in PKCS #8", p384, keyPEM(t, p384)},
		{"ECDSA in SEC 1, after its parameters", p384, append([]byte("-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n"),
			pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...)},
		{"Ed25519", ed, keyPEM(t, ed)},
		{"text before the key", ed, append([]byte("Bag Attributes\n  friendlyName: a\n"), keyPEM(t, ed)...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			chain := append(ca.sign(t, named("a.example"), tt.key.Public()), ca.pem...)
			c, err := Parse(chain, tt.pem)
			if err != nil {
				t.Fatal(err)
			}
			if c.Leaf.DNSNames[0] != "a.example" || c.Pair.Leaf != c.Leaf || len(c.Pair.Certificate) != 2 || !bytes.Equal(c.Pair.Certificate[1], ca.certificate.Raw) {
				t.Errorf("parsed as %v with a chain of %d", c.Leaf.Subject, len(c.Pair.Certificate))
			}
			if c.Digest != Digest(chain) || len(c.Digest) != 64 {
				t.Errorf("the digest is %q", c.Digest)
			}
			if err := c.Check([]string{"a.example"}, epoch); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParseRefusals(t *testing.T) {
	ca := newAuthority(t, "ca")
	cert, key := ca.issue(t, named("a.example"))
	_, otherKey := ca.issue(t, named("a.example"))
	caKey := keyPEM(t, ca.key)
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	garbage := func(kind string) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte("garbage")}) }
	for _, tt := range []struct {
		name      string
		cert, key []byte
		reason    Reason
		want      string
	}{
		{"nothing", nil, nil, ReasonMalformed, "found none in 0 bytes"},
		{"no certificate", []byte("hello"), key, ReasonMalformed, "expected certificates in PEM"},
		{"certificate and key exchanged", key, cert, ReasonMalformed, "are the two exchanged?"},
		{"the certificate in place of the key", cert, cert, ReasonMalformed, "expected a private key in PEM"},
		{"a certificate cut short", cert[:len(cert)-40], key, ReasonMalformed, "found none"},
		{"a chain cut short", append(bytes.Clone(cert), ca.pem[:len(ca.pem)/2]...), key, ReasonMalformed, "2 certificates begin in the file, and 1 can be read"},
		{"a certificate of garbage", garbage("CERTIFICATE"), key, ReasonMalformed, "certificate 1 in the file is not one"},
		{"a key cut short", cert, key[:len(key)/2], ReasonMalformed, "expected a private key in PEM"},
		{"a key of garbage", cert, garbage("PRIVATE KEY"), ReasonMalformed, "expected an RSA, ECDSA or Ed25519 key"},
		{"an encrypted key", cert, garbage("ENCRYPTED PRIVATE KEY"), ReasonMalformed, "encrypted"},
		{
			"a key encrypted in the old way", cert, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("x")}),
			ReasonMalformed, "encrypted",
		},
		{"a curve that TLS does not know", ca.sign(t, named("a.example"), p224.Public()), keyPEM(t, p224), ReasonMalformed, "P-224"},
		{"the key of another certificate", cert, otherKey, ReasonKeyMismatch, "not that of the certificate (CN=server)"},
		{"a key of another kind", cert, keyPEM(t, short), ReasonKeyMismatch, "not that of the certificate"},
		{"a chain in the wrong order", append(bytes.Clone(cert), ca.pem...), caKey, ReasonKeyMismatch, "has to be the first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse(tt.cert, tt.key)
			var p *Problem
			if !errors.As(err, &p) {
				t.Fatalf("gave %v, %v, want a Problem", c, err)
			}
			if p.Reason != tt.reason || !strings.Contains(p.Message, tt.want) {
				t.Errorf("is %s: %s; want %s with %q", p.Reason, p.Message, tt.reason, tt.want)
			}
			showsNothingOf(t, p.Message, tt.key)
		})
	}
}

// showsNothingOf fails where a message has a line of a key, or the bytes of one: not less than 40 of them, for messages are text too.
func showsNothingOf(t *testing.T, message string, key []byte) {
	t.Helper()
	for line := range strings.Lines(string(key)) {
		if line = strings.TrimSpace(line); len(line) >= 40 && strings.Contains(message, line) {
			t.Errorf("the message shows the key: %s", message)
		}
	}
	if block, _ := pem.Decode(key); block != nil && len(block.Bytes) >= 40 && (bytes.Contains([]byte(message), block.Bytes) || strings.Contains(message, hex.EncodeToString(block.Bytes))) {
		t.Errorf("the message shows the key: %s", message)
	}
}

func TestCheck(t *testing.T) {
	ca := newAuthority(t, "ca")
	lived := func(from, to time.Duration, names ...string) *x509.Certificate {
		c := named(names...)
		c.NotBefore, c.NotAfter = epoch.Add(from), epoch.Add(to)
		return c
	}
	addressed := &x509.Certificate{IPAddresses: []net.IP{net.IPv4(10, 0, 0, 7), net.ParseIP("fd00::7")}}
	many := make([]string, 1000)
	for i := range many {
		many[i] = "a" + strings.Repeat("b", i%50) + ".example"
	}
	for _, tt := range []struct {
		name     string
		template *x509.Certificate
		names    []string
		reason   Reason // empty: all is well
		want     string
	}{
		{"the name", named("taxi.data.svc"), []string{"taxi.data.svc"}, "", ""},
		{"one of the names", named("b.example"), []string{"a.example", "b.example"}, "", ""},
		{"in other letters", named("Taxi.Data.svc"), []string{"taxi.data.svc"}, "", ""},
		{"a wildcard", named("*.data.svc"), []string{"taxi.data.svc"}, "", ""},
		{"an address", addressed, []string{"10.0.0.7"}, "", ""},
		{"an address of IPv6", addressed, []string{"fd00:0::7"}, "", ""},
		{"no names asked for", named("a.example"), nil, "", ""},
		{"the first moment", lived(0, time.Hour, "a"), []string{"a"}, "", ""},
		{"the last moment", lived(-time.Hour, 0, "a"), []string{"a"}, "", ""},
		{"another name", named("b.example"), []string{"a.example"}, ReasonWrongName, "valid for b.example, and none of these is a name of the server: issue it for one of a.example"},
		{"a wildcard for one label only", named("*.svc"), []string{"taxi.data.svc"}, ReasonWrongName, "*.svc"},
		{"another address", addressed, []string{"10.0.0.8"}, ReasonWrongName, "10.0.0.7, fd00::7"},
		{"the common name alone", named(), []string{"server"}, ReasonWrongName, "no subject alternative names"},
		{"a thousand names", named(many...), []string{"other.example"}, ReasonWrongName, "and 995 more"},
		{"a name of great length", named("b." + strings.Repeat("c", 5000)), []string{"a.example"}, ReasonWrongName, "…"},
		{"expired", lived(-2*time.Hour, -time.Second, "a"), []string{"a"}, ReasonExpired, "expired at 2030-01-02T03:04:04Z"},
		{"not yet valid", lived(time.Second, time.Hour, "a"), []string{"a"}, ReasonNotYetValid, "valid from 2030-01-02T03:04:06Z on, and it is 2030-01-02T03:04:05Z"},
		{"expired without names asked for", lived(-2*time.Hour, -time.Second), nil, ReasonExpired, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse(ca.issue(t, tt.template))
			if err != nil {
				t.Fatal(err)
			}
			err = c.Check(tt.names, epoch)
			if tt.reason == "" {
				if err != nil {
					t.Errorf("refused with %v", err)
				}
				return
			}
			var p *Problem
			if !errors.As(err, &p) || p.Reason != tt.reason || !strings.Contains(p.Message, tt.want) {
				t.Errorf("gave %v, want %s with %q", err, tt.reason, tt.want)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestFingerprintIsOpenSSLs(t *testing.T) {
	// openssl x509 -fingerprint -sha256, without colons and in lower case.
	if got := Fingerprint(&x509.Certificate{}); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("the fingerprint of nothing is %s, want SHA-256's", got)
	}
}

func TestParseBundle(t *testing.T) {
	a, b := newAuthority(t, "a"), newAuthority(t, "b")
	both := append([]byte("# our roots\n"), append(bytes.Clone(a.pem), b.pem...)...)
	got, err := ParseBundle(both)
	if err != nil || len(got) != 2 || !got[0].Equal(a.certificate) || !got[1].Equal(b.certificate) {
		t.Errorf("gave %d certificates, %v", len(got), err)
	}
	for name, bundle := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "a key": keyPEM(t, a.key), "half of it": both[:len(both)-60],
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseBundle(bundle)
			var p *Problem
			if !errors.As(err, &p) || p.Reason != ReasonMalformed {
				t.Errorf("gave %d certificates, %v, want a Problem that is Malformed", len(got), err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	ca := newAuthority(f, "ca")
	cert, key := ca.issue(f, named("a.example"))
	f.Add(cert, key)
	f.Add(append(bytes.Clone(cert), ca.pem...), key[:50])
	f.Add(key, cert)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		c, err := Parse(cert, key)
		var p *Problem
		switch {
		case err == nil && (c == nil || c.Leaf == nil || len(c.Pair.Certificate) == 0 || c.Pair.PrivateKey == nil):
			t.Error("neither a whole certificate nor an error")
		case err == nil:
			_ = c.Check([]string{"a.example", "10.0.0.1"}, epoch)
		case !errors.As(err, &p) || p.Reason != ReasonMalformed && p.Reason != ReasonKeyMismatch:
			t.Errorf("refused with %v, want a Problem", err)
		default:
			showsNothingOf(t, p.Message, key)
		}
	})
}

func FuzzParseBundle(f *testing.F) {
	f.Add(newAuthority(f, "ca").pem)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, bundle []byte) {
		got, err := ParseBundle(bundle)
		var p *Problem
		if (err == nil) != (len(got) > 0) || err != nil && !errors.As(err, &p) {
			t.Errorf("gave %d certificates, %v", len(got), err)
		}
	})
}
