package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// Backdate is how long before its making a certificate begins to be valid, for peers whose clocks are behind.
const Backdate = 5 * time.Minute

// namePrefix begins the name of each CA.
const namePrefix = "flight-operator CA "

// WithoutRetired is CA certificates that were trusted before, in PEM, without those of the operator, known by their names, that its bundle does not
// have any more. Where there is nothing to read, it is empty.
func WithoutRetired(before, bundle []byte) []byte {
	trusted, err := certs.ParseBundle(before)
	if err != nil {
		return nil
	}
	current, _ := certs.ParseBundle(bundle) // without one, all are retired
	var kept bytes.Buffer
	for _, c := range trusted {
		own := strings.HasPrefix(c.Subject.CommonName, namePrefix) && bytes.Equal(c.RawSubject, c.RawIssuer)
		if !own || slices.ContainsFunc(current, c.Equal) {
			kept.Write(encodeCertificate(c))
		}
	}
	return kept.Bytes()
}

// CA is a certificate authority that can sign. It is never changed, so it may be shared.
type CA struct {
	// Certificate is signed by its own key.
	Certificate *x509.Certificate

	key crypto.Signer
}

// NewCA makes a CA with a key of its own (ECDSA P-256), valid from Backdate before now until life after it.
func NewCA(now time.Time, life time.Duration) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of a CA: %w", err)
	}
	id, err := keyID(key.Public())
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		// Each CA has a name of its own: some verifiers look for the issuer by its name alone.
		Subject:               pkix.Name{CommonName: namePrefix + hex.EncodeToString(id[:8])},
		NotBefore:             now.Add(-Backdate),
		NotAfter:              now.Add(life),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		SubjectKeyId:          id,
		AuthorityKeyId:        id,
	}
	certificate, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of a CA: %w", err)
	}
	return &CA{Certificate: certificate, key: key}, nil
}

// ID identifies the CA among all: its subject key identifier in hexadecimal, which is the authority key identifier of what it signs.
func (ca *CA) ID() string { return idOf(ca.Certificate) }

// String shows the CA without its key.
func (ca *CA) String() string { return ca.Certificate.Subject.CommonName }

// GoString is String, so that no verb of package fmt shows the key.
func (ca *CA) GoString() string { return ca.String() }

func idOf(ca *x509.Certificate) string { return hex.EncodeToString(ca.SubjectKeyId) }

// IssuerID is the ID of the CA that a certificate names as its issuer. It may be none of ours.
func IssuerID(leaf *x509.Certificate) string { return hex.EncodeToString(leaf.AuthorityKeyId) }

// keyID is the identifier of a public key by RFC 7093: the first 160 bits of the SHA-256 of its bits.
func keyID(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encode a public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}

// newSerial is a positive random number of 128 bits.
func newSerial() *big.Int {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // it never fails
	raw[0] |= 1           // never 0
	return new(big.Int).SetBytes(raw)
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Types of PEM blocks.
const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
)

func encodeCertificate(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.Raw})
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

// decodeCA reads a CA's certificate and its key. Errors show nothing of the key.
func decodeCA(certPEM, keyPEM []byte) (*CA, error) {
	if _, err := decodeRoot(certPEM); err != nil {
		return nil, err
	}
	pair, err := certs.Parse(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	key, ok := pair.Pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("expected a private key that can sign, got %T", pair.Pair.PrivateKey)
	}
	return &CA{Certificate: pair.Leaf, key: key}, nil
}

// decodeRoot reads the certificate of a CA that has signed itself.
func decodeRoot(certPEM []byte) (*x509.Certificate, error) {
	chain, err := certs.ParseBundle(certPEM)
	if err != nil {
		return nil, err
	}
	certificate := chain[0]
	switch {
	case len(chain) > 1:
		return nil, fmt.Errorf("expected one certificate, got %d", len(chain))
	case !certificate.BasicConstraintsValid || !certificate.IsCA || certificate.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, fmt.Errorf("expected the certificate of a CA, which may sign others, got that of %q", certificate.Subject)
	case len(certificate.SubjectKeyId) == 0:
		return nil, fmt.Errorf("expected a subject key identifier in the certificate of %q, got none", certificate.Subject)
	case !bytes.Equal(certificate.RawSubject, certificate.RawIssuer):
		return nil, fmt.Errorf("expected a certificate that is signed by its own key, got one of %q that %q has issued", certificate.Subject, certificate.Issuer)
	}
	if err := certificate.CheckSignatureFrom(certificate); err != nil {
		return nil, fmt.Errorf("expected a certificate that is signed by its own key, got that of %q: %w", certificate.Subject, err)
	}
	return certificate, nil
}
