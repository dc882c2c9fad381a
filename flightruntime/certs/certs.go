// Package certs judges certificates, for servers and the operator alike: whether a pair of certificate and key is one, whether it is good for
// a server's names now, and who a client is. It knows neither configuration nor Kubernetes.
package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flight-operator/flight-operator/internal/text"
)

// OperatorURI is the name of the operator, as a URI in its client certificate. It means something only where the operator's own CA has signed
// that.
const OperatorURI = "urn:flightoperator.dev:operator"

// Reason says in a word what is wrong with a certificate.
type Reason string

// Values of Reason.
const (
	// ReasonMissing: there is no file, or no such key.
	ReasonMissing Reason = "Missing"
	// ReasonMalformed: what is there cannot be read, or is of a kind that TLS has no use for.
	ReasonMalformed Reason = "Malformed"
	// ReasonKeyMismatch: the private key is another certificate's.
	ReasonKeyMismatch Reason = "KeyMismatch"
	// ReasonExpired: the certificate was valid until some time ago.
	ReasonExpired Reason = "Expired"
	// ReasonNotYetValid: the certificate will be valid, or somebody's clock is wrong.
	ReasonNotYetValid Reason = "NotYetValid"
	// ReasonWrongName: the certificate is valid for none of the server's names.
	ReasonWrongName Reason = "WrongName"
)

// Problem is what is wrong with a certificate. Its message says what was expected, what came and the mend, and shows nothing of a key.
type Problem struct {
	Reason  Reason
	Message string
}

// Error is the message.
func (p *Problem) Error() string { return p.Message }

func problem(r Reason, format string, args ...any) *Problem {
	return &Problem{Reason: r, Message: fmt.Sprintf(format, args...)}
}

// Certificate is a certificate with its chain and its key. It is not to be changed.
type Certificate struct {
	Leaf *x509.Certificate
	// Pair is the whole chain, the leaf first, and the private key.
	Pair tls.Certificate
	// Digest is the SHA-256 of the PEM that the chain was read from, in lower-case hexadecimal.
	Digest string
}

// Parse reads a certificate, with the chain that follows it, and its private key, both in PEM. The error is a *Problem, Malformed or
// KeyMismatch.
func Parse(certPEM, keyPEM []byte) (*Certificate, error) {
	chain, err := parseChain(certPEM)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	leaf := chain[0]
	if !belong(key.Public(), leaf) {
		for _, other := range chain[1:] {
			if belong(key.Public(), other) {
				return nil, problem(ReasonKeyMismatch, "the private key is that of a later certificate in the chain: the server's own certificate has to be the first")
			}
		}
		return nil, problem(ReasonKeyMismatch, "the private key is not that of the certificate (%s): write both at once, of one issuance", name(leaf))
	}
	c := &Certificate{Leaf: leaf, Pair: tls.Certificate{Leaf: leaf, PrivateKey: key}, Digest: Digest(certPEM)}
	for _, link := range chain {
		c.Pair.Certificate = append(c.Pair.Certificate, link.Raw)
	}
	return c, nil
}

// ParseBundle reads CA certificates in PEM: at least one. The error is a *Problem, Malformed.
func ParseBundle(bundle []byte) ([]*x509.Certificate, error) { return parseChain(bundle) }

// Digest is the SHA-256 of bytes in lower-case hexadecimal, as Certificate.Digest is of a chain's PEM.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Fingerprint identifies a certificate: the SHA-256 of its DER in lower-case hexadecimal.
func Fingerprint(leaf *x509.Certificate) string { return Digest(leaf.Raw) }

// Check tells whether a server of these names can show the certificate at a time. One name has to fit; without names, any certificate does.
// The error is a *Problem: Expired, NotYetValid or WrongName.
func (c *Certificate) Check(names []string, now time.Time) error {
	leaf := c.Leaf
	switch {
	case now.After(leaf.NotAfter):
		return problem(ReasonExpired, "the certificate (%s) expired at %s: renew it", name(leaf), leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return problem(ReasonNotYetValid, "the certificate (%s) is valid from %s on, and it is %s: wait, or set the clocks right",
			name(leaf), leaf.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case len(names) == 0:
		return nil
	}
	for _, n := range names {
		if leaf.VerifyHostname(n) == nil {
			return nil
		}
	}
	return problem(ReasonWrongName, "the certificate is valid for %s, and none of these is a name of the server: issue it for one of %s",
		subjects(leaf), listed(names))
}

// parseChain reads all certificates of a PEM file, and passes over the text between them.
func parseChain(data []byte) (chain []*x509.Certificate, err error) {
	hasKey := false
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			hasKey = hasKey || strings.HasSuffix(block.Type, "PRIVATE KEY")
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, problem(ReasonMalformed, "certificate %d in the file is not one: %v", len(chain)+1, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 && hasKey {
		return nil, problem(ReasonMalformed, "expected certificates in PEM, found a private key: are the two exchanged?")
	}
	if len(chain) == 0 {
		return nil, problem(ReasonMalformed, "expected certificates in PEM (-----BEGIN CERTIFICATE-----), found none in %d bytes", len(data))
	}
	if opened := bytes.Count(data, []byte("-----BEGIN CERTIFICATE-----")); opened > len(chain) {
		return nil, problem(ReasonMalformed, "%d certificates begin in the file, and %d can be read: write it whole", opened, len(chain))
	}
	return chain, nil
}

// errKey is what is said of a key that cannot be read. The parsers' own errors are left out: they could show parts of it.
var errKey = errors.New("expected an RSA, ECDSA or Ed25519 key, as PKCS #8, PKCS #1 or SEC 1")

// parseKey reads the first private key of a PEM file.
func parseKey(data []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue // openssl writes "EC PARAMETERS" before the key
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, problem(ReasonMalformed, "the private key is encrypted: expected one that needs no password")
		}
		key, err := parseKeyDER(block.Bytes)
		if err != nil {
			return nil, problem(ReasonMalformed, "the private key cannot be read: %v", err)
		}
		return key, nil
	}
	return nil, problem(ReasonMalformed, "expected a private key in PEM (-----BEGIN PRIVATE KEY-----), found none in %d bytes", len(data))
}

// minRSABits is the least that Go's TLS signs with.
const minRSABits = 1024

func parseKeyDER(der []byte) (crypto.Signer, error) {
	var key any
	var err error
	if key, err = x509.ParsePKCS8PrivateKey(der); err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(der); err != nil {
			if key, err = x509.ParseECPrivateKey(der); err != nil {
				return nil, errKey
			}
		}
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("expected an RSA key of at least %d bits, got %d", minRSABits, key.N.BitLen())
		}
		return key, nil
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P224() {
			return nil, errors.New("expected an ECDSA key on P-256, P-384 or P-521, got P-224, which TLS does not know")
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	default:
		return nil, errKey
	}
}

// belong is true if a certificate was issued for a public key.
func belong(key crypto.PublicKey, c *x509.Certificate) bool {
	public, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(key)
}

// name is how messages call a certificate: by what tells people most.
func name(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return "CN=" + text.Cut(c.Subject.CommonName, maxName)
	}
	return subjects(c)
}

const (
	// maxName keeps a message to a line, whatever a certificate says of itself.
	maxName = 128
	// maxListed names are told of: a certificate may have thousands.
	maxListed = 5
)

// subjects are the names that a certificate is valid for.
func subjects(c *x509.Certificate) string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name (it has no subject alternative names)"
	}
	return listed(names)
}

func listed(names []string) string {
	var b strings.Builder
	for i, n := range names {
		if i == maxListed {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(text.Cut(n, maxName))
	}
	return b.String()
}
