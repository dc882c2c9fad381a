package main

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

func TestIssuedCertificates(t *testing.T) {
	now := time.Now()
	ca, err := newAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	for name, who := range testCluster(t).identities() {
		t.Run(name, func(t *testing.T) {
			issued, err := ca.issue(who, now)
			if err != nil {
				t.Fatal(err)
			}
			keyPair, err := tls.X509KeyPair(issued.certificate, issued.key)
			if err != nil {
				t.Fatal(err)
			}
			if got := keyPair.Leaf.Subject; got.CommonName != who.user || len(got.Organization) != len(who.groups) {
				t.Errorf("subject %s, want %s of %v", got, who.user, who.groups)
			}
			options := x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
			if _, err := keyPair.Leaf.Verify(options); err != nil {
				t.Errorf("as a client: %v", err)
			}
			options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			for _, host := range append(who.dns, who.ips...) {
				options.DNSName = host
				if _, err := keyPair.Leaf.Verify(options); err != nil {
					t.Errorf("serving as %s: %v", host, err)
				}
			}
			options.DNSName = ""
			if _, err := keyPair.Leaf.Verify(options); (err == nil) != (len(who.dns)+len(who.ips) > 0) {
				t.Errorf("serving: %v, but the identity has the names %v and addresses %v", err, who.dns, who.ips)
			}
		})
	}
}

func TestIssueRefusesWhatIsNoAddress(t *testing.T) {
	ca, err := newAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.issue(identity{user: "x", ips: []string{"node0"}}, time.Now()); err == nil {
		t.Error("a name was taken for an address")
	}
}
