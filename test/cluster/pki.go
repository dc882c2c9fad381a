package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateLife is long enough for a cluster that someone forgets about, which no one renews.
const certificateLife = 5 * 365 * 24 * time.Hour

// An identity is what a certificate says of its owner.
type identity struct {
	user   string   // common name: the user in Kubernetes' eyes
	groups []string // organisations
	dns    []string // names and addresses to serve under; without any the certificate is for clients only
	ips    []string
}

// An authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// A pair is a certificate and its private key in PEM.
type pair struct{ certificate, key []byte }

// newAuthority makes a certificate authority that is valid from a little before now.
func newAuthority(now time.Time) (authority, error) {
	template, err := certificateTemplate(identity{user: "flight-cluster-ca"}, now)
	if err != nil {
		return authority{}, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = nil
	key, err := newKey()
	if err != nil {
		return authority{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, fmt.Errorf("signing the certificate authority: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return authority{}, err
	}
	return authority{certificate: certificate, key: key}, nil
}

// issue makes a key and a certificate for an identity.
func (a authority) issue(who identity, now time.Time) (pair, error) {
	template, err := certificateTemplate(who, now)
	if err != nil {
		return pair{}, err
	}
	key, err := newKey()
	if err != nil {
		return pair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return pair{}, fmt.Errorf("signing the certificate of %s: %w", who.user, err)
	}
	return encodePair(der, key)
}

// pair returns the authority's own certificate and key.
func (a authority) pair() (pair, error) { return encodePair(a.certificate.Raw, a.key) }

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func certificateTemplate(who identity, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: who.user, Organization: who.groups},
		NotBefore:    now.Add(-time.Hour), // clocks that jump back a little do no harm
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		DNSNames:     who.dns,
	}
	for _, address := range who.ips {
		ip := net.ParseIP(address)
		if ip == nil {
			return nil, fmt.Errorf("certificate of %s: %q is no IP address", who.user, address)
		}
		template.IPAddresses = append(template.IPAddresses, ip)
	}
	if len(who.dns)+len(who.ips) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	return template, nil
}

func encodePair(certificate []byte, key *ecdsa.PrivateKey) (pair, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair{}, err
	}
	return pair{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}, nil
}

// identities are the owners of the cluster's certificates by the name of their files. The users and groups are those
// that Kubernetes' own RBAC bootstrap roles are bound to.
func (c cluster) identities() map[string]identity {
	return map[string]identity{
		"admin":                   {user: "admin", groups: []string{"system:masters"}},
		"kube-controller-manager": {user: "system:kube-controller-manager"},
		"kube-scheduler":          {user: "system:kube-scheduler"},
		"kube-proxy":              {user: "system:kube-proxy"},
		"coredns":                 {user: dnsUser},
		"kubelet-client":          {user: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}},
		"kubelet": {
			user: "system:node:" + c.nodeName(), groups: []string{"system:nodes"},
			dns: []string{c.nodeName()}, ips: []string{nodeAddress},
		},
		"kube-apiserver": {
			user: "kube-apiserver",
			dns: []string{
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc." + clusterDomain,
			},
			ips: []string{"127.0.0.1", nodeAddress, apiServiceIP},
		},
	}
}

// credentials makes the authority, a certificate for each identity, and the key that signs service account tokens,
// and writes them below the folder pki of the cluster. It returns the pairs by name, the authority's as "ca".
func (c cluster) credentials(now time.Time) (map[string]pair, error) {
	ca, err := newAuthority(now)
	if err != nil {
		return nil, err
	}
	pairs := make(map[string]pair)
	if pairs["ca"], err = ca.pair(); err != nil {
		return nil, err
	}
	for name, who := range c.identities() {
		if pairs[name], err = ca.issue(who, now); err != nil {
			return nil, err
		}
	}
	dir := c.path("pki")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for name, p := range pairs {
		if err := writeFiles(dir, map[string][]byte{name + ".crt": p.certificate, name + ".key": p.key}); err != nil {
			return nil, err
		}
	}
	return pairs, writeTokenKey(dir)
}

// writeTokenKey makes the key pair of service account tokens.
func writeTokenKey(dir string) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return writeFiles(dir, map[string][]byte{
		"service-accounts.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		"service-accounts.pub": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
	})
}

// writeFiles writes files that only their owner may read.
func writeFiles(dir string, files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
