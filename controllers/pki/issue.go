package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// Usage is the side of a connection that a certificate is for.
type Usage string

// Values of Usage.
const (
	UsageServer Usage = "server"
	UsageClient Usage = "client"
)

// maxRSA bounds the time that making a key takes.
const maxRSA = 8192

// spelledOut is a key without anything left out: ECDSA P-256 if nothing is said.
func spelledOut(k v1alpha1.PrivateKey) v1alpha1.PrivateKey {
	if k.Algorithm == "" {
		k.Algorithm = v1alpha1.KeyECDSA
	}
	if k.Size == 0 {
		k.Size = map[v1alpha1.KeyAlgorithm]int32{v1alpha1.KeyECDSA: 256, v1alpha1.KeyRSA: 2048}[k.Algorithm]
	}
	return k
}

// showKey is for instance "ECDSA 256".
func showKey(k v1alpha1.PrivateKey) string {
	if k.Size == 0 {
		return string(k.Algorithm)
	}
	return fmt.Sprintf("%s %d", k.Algorithm, k.Size)
}

// generate makes a key.
func generate(k v1alpha1.PrivateKey) (crypto.Signer, error) {
	k = spelledOut(k)
	switch k.Algorithm {
	case v1alpha1.KeyECDSA:
		for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
			if curve.Params().BitSize == int(k.Size) {
				return ecdsa.GenerateKey(curve, rand.Reader)
			}
		}
		return nil, fmt.Errorf("key size: expected 256, 384 or 521 for ECDSA, got %d", k.Size)
	case v1alpha1.KeyRSA:
		if k.Size < 2048 || k.Size > maxRSA {
			return nil, fmt.Errorf("key size: expected 2048 to %d for RSA, got %d", maxRSA, k.Size)
		}
		return rsa.GenerateKey(rand.Reader, int(k.Size))
	case v1alpha1.KeyEd25519:
		if k.Size != 0 {
			return nil, fmt.Errorf("key size: expected none for Ed25519, got %d", k.Size)
		}
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		return nil, fmt.Errorf("key algorithm: expected ECDSA, RSA or Ed25519, got %q", k.Algorithm)
	}
}

// keyOf is what a certificate's key is; the zero PrivateKey if it is none that is issued here.
func keyOf(leaf *x509.Certificate) v1alpha1.PrivateKey {
	switch public := leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return v1alpha1.PrivateKey{Algorithm: v1alpha1.KeyECDSA, Size: int32(public.Curve.Params().BitSize)}
	case *rsa.PublicKey:
		return v1alpha1.PrivateKey{Algorithm: v1alpha1.KeyRSA, Size: int32(public.N.BitLen())}
	case ed25519.PublicKey:
		return v1alpha1.PrivateKey{Algorithm: v1alpha1.KeyEd25519}
	default:
		return v1alpha1.PrivateKey{}
	}
}

// Request says what a certificate is to be. Order and repetition of names mean nothing.
type Request struct {
	// CommonName is for people to read; verifiers go by the names below. At most 64 bytes; it may be empty.
	CommonName string
	// DNSNames, IPs and URIs are whom the certificate is for, at least one in all.
	DNSNames []string
	IPs      []netip.Addr
	URIs     []string
	// Usage is the only thing that the certificate may be used for.
	Usage Usage
	// Lifetime is counted from now. It is cut where the CA's own ends.
	Lifetime time.Duration
	// Key is ECDSA P-256 if it is zero.
	Key v1alpha1.PrivateKey
}

// Issue makes a certificate and a private key of its own, in PEM (the key in PKCS #8). The certificate begins to be valid Backdate before now
// (a tenth of its lifetime if that is less), but not before the CA, and ends no later than the CA.
func Issue(ca *CA, r Request, now time.Time) (certPEM, keyPEM []byte, err error) {
	certificate, key, err := issue(ca, r, now)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err = encodeKey(key)
	return encodeCertificate(certificate), keyPEM, err
}

func issue(ca *CA, r Request, now time.Time) (*x509.Certificate, crypto.Signer, error) {
	template, err := r.template(ca.Certificate, now)
	if err != nil {
		return nil, nil, fmt.Errorf("issue a certificate: %w", err)
	}
	key, err := generate(r.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("issue a certificate: %w", err)
	}
	if template.SubjectKeyId, err = keyID(key.Public()); err != nil {
		return nil, nil, err
	}
	certificate, err := sign(template, ca.Certificate, key.Public(), ca.key)
	if err != nil {
		return nil, nil, fmt.Errorf("issue a certificate: %w", err)
	}
	return certificate, key, nil
}

// maxCommonName is the bound of X.520.
const maxCommonName = 64

func (r Request) template(ca *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	usage, known := map[Usage]x509.ExtKeyUsage{UsageServer: x509.ExtKeyUsageServerAuth, UsageClient: x509.ExtKeyUsageClientAuth}[r.Usage]
	switch {
	case !known:
		return nil, fmt.Errorf("usage: expected server or client, got %q", r.Usage)
	case len(r.DNSNames)+len(r.IPs)+len(r.URIs) == 0:
		return nil, errors.New("expected a DNS name, an IP address or a URI that it is for, got none")
	case len(r.CommonName) > maxCommonName:
		return nil, fmt.Errorf("common name: expected at most %d bytes, got %d", maxCommonName, len(r.CommonName))
	case r.Lifetime <= 0:
		return nil, fmt.Errorf("lifetime: expected more than 0, got %s", r.Lifetime)
	}
	from, until := validity(ca, r.Lifetime, now)
	if !until.After(now) {
		return nil, fmt.Errorf("the CA has expired at %s", ca.NotAfter.UTC().Format(time.RFC3339))
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{CommonName: r.CommonName},
		NotBefore:             from,
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{usage},
		BasicConstraintsValid: true,
	}
	return template, r.addNames(template)
}

func (r Request) addNames(template *x509.Certificate) error {
	for _, name := range unique(r.DNSNames) {
		if name == "" {
			return errors.New("DNS names: expected no empty one")
		}
		template.DNSNames = append(template.DNSNames, name)
	}
	for _, ip := range r.IPs {
		if !ip.IsValid() || ip.Zone() != "" {
			return fmt.Errorf("IP addresses: expected one without a zone, got %s", ip)
		}
	}
	for _, ip := range unique(texts(r.IPs)) {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(ip))
	}
	for _, text := range unique(r.URIs) {
		uri, err := url.Parse(text)
		if err != nil || !uri.IsAbs() {
			return fmt.Errorf("URIs: expected an absolute one, got %q", text)
		}
		template.URIs = append(template.URIs, uri)
	}
	return nil
}

// validity is when a certificate of a CA is valid that is issued now.
func validity(ca *x509.Certificate, lifetime time.Duration, now time.Time) (from, until time.Time) {
	from = later(now.Add(-backdate(lifetime)), ca.NotBefore)
	return from, earlier(later(now, from).Add(lifetime), ca.NotAfter)
}

// backdate is small beside a short lifetime, two thirds of which would have passed at the beginning otherwise.
func backdate(lifetime time.Duration) time.Duration { return min(Backdate, lifetime/10) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
