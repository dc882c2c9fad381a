package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// epoch is when these tests happen.
var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// authority is a CA of these tests.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	pem         []byte
}

// newAuthority makes a CA that lives for the whole of the tests' time.
func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: epoch.Add(-1000 * time.Hour), NotAfter: epoch.Add(1000 * time.Hour),
	}
	a.certificate = template
	a.pem = a.sign(t, template, a.key.Public())
	certificate, err := ParseBundle(a.pem)
	if err != nil {
		t.Fatal(err)
	}
	a.certificate = certificate[0]
	return a
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes a certificate in PEM; an hour from epoch on, if the template does not say.
func (a *authority) sign(t testing.TB, template *x509.Certificate, key crypto.PublicKey) []byte {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	signed := *template
	signed.SerialNumber = serial
	if signed.NotAfter.IsZero() {
		signed.NotBefore, signed.NotAfter = epoch.Add(-time.Hour), epoch.Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, &signed, a.certificate, key, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issue makes a certificate and its key, in PEM.
func (a *authority) issue(t testing.TB, template *x509.Certificate) (certificate, key []byte) {
	t.Helper()
	private := newKey(t)
	return a.sign(t, template, private.Public()), keyPEM(t, private)
}

func keyPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
