package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// everything is a request with all that there is.
func everything(usage Usage, key v1alpha1.PrivateKey) Request {
	return Request{
		CommonName: "taxi",
		DNSNames:   []string{"taxi.data.svc", "*.taxi.data.svc", "taxi.data.svc"},
		IPs:        []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1"), netip.MustParseAddr("::ffff:10.0.0.2")},
		URIs:       []string{"urn:example:taxi"},
		Usage:      usage,
		Lifetime:   90 * day,
		Key:        key,
	}
}

var keys = []v1alpha1.PrivateKey{
	{},
	{Algorithm: v1alpha1.KeyECDSA, Size: 384},
	{Algorithm: v1alpha1.KeyECDSA, Size: 521},
	{Algorithm: v1alpha1.KeyRSA},
	{Algorithm: v1alpha1.KeyRSA, Size: 3072},
	{Algorithm: v1alpha1.KeyEd25519},
}

func TestIssuedCertificatesVerify(t *testing.T) {
	now := time.Now()
	ca := newCA(t, now, year)
	bundle := State{Active: ca}.Bundle()
	for _, key := range keys {
		for _, usage := range []Usage{UsageServer, UsageClient} {
			t.Run(fmt.Sprint(showKey(spelledOut(key)), " ", usage), func(t *testing.T) {
				certPEM, keyPEM, err := Issue(ca, everything(usage, key), now)
				if err != nil {
					t.Fatal(err)
				}
				pair, err := tls.X509KeyPair(certPEM, keyPEM)
				if err != nil {
					t.Fatal(err)
				}
				verifyByGo(t, pair.Leaf, bundle, usage, now)
				verifyByOpenSSL(t, certPEM, bundle, usage)
				if got := keyOf(pair.Leaf); got != spelledOut(key) {
					t.Errorf("its key is %s, want %s", showKey(got), showKey(key))
				}
				if reason, due := Due(pair.Leaf, ca, everything(usage, key), now, ""); due {
					t.Errorf("it is due at once: %s", reason)
				}
			})
		}
	}
}

func verifyByGo(t *testing.T, leaf *x509.Certificate, bundle []byte, usage Usage, now time.Time) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	right, wrong := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	if usage == UsageClient {
		right, wrong = wrong, right
	}
	for _, name := range []string{"taxi.data.svc", "pod-0.taxi.data.svc", "10.0.0.1", "10.0.0.2", "fd00::1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{right}}); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
	for name, o := range map[string]x509.VerifyOptions{
		"another name":       {Roots: roots, DNSName: "bus.data.svc", CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{right}},
		"another usage":      {Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{wrong}},
		"another CA":         {Roots: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{right}},
		"before it is valid": {Roots: roots, CurrentTime: now.Add(-Backdate - time.Minute), KeyUsages: []x509.ExtKeyUsage{right}},
		"after its lifetime": {Roots: roots, CurrentTime: now.Add(90*day + time.Minute), KeyUsages: []x509.ExtKeyUsage{right}},
	} {
		if _, err := leaf.Verify(o); err == nil {
			t.Errorf("it verifies for %s", name)
		}
	}
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != "urn:example:taxi" {
		t.Errorf("its URIs are %v", leaf.URIs)
	}
}

// verifyByOpenSSL has another implementation look, in its strict mode, where there is one.
func verifyByOpenSSL(t *testing.T, certPEM, bundle []byte, usage Usage) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("without openssl: ", err)
		return
	}
	dir := t.TempDir()
	cert, ca := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "ca.crt")
	for name, data := range map[string][]byte{cert: certPEM, ca: bundle} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	purpose := map[Usage]string{UsageServer: "sslserver", UsageClient: "sslclient"}[usage]
	out, err := exec.CommandContext(t.Context(), openssl, "verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile", ca,
		"-purpose", purpose, "-verify_hostname", "taxi.data.svc", cert).CombinedOutput()
	if err != nil {
		t.Errorf("openssl verify: %v\n%s", err, out)
	}
}

func TestCAsMayNotHaveOthersBelow(t *testing.T) {
	ca := newCA(t, start, year)
	c := ca.Certificate
	if !c.IsCA || c.MaxPathLen != 0 || !c.MaxPathLenZero || c.KeyUsage != x509.KeyUsageCertSign || !bytes.Equal(c.SubjectKeyId, c.AuthorityKeyId) {
		t.Errorf("CA %t, path length %d %t, usage %d, identifiers %x and %x", c.IsCA, c.MaxPathLen, c.MaxPathLenZero, c.KeyUsage, c.SubjectKeyId, c.AuthorityKeyId)
	}
	if other := newCA(t, start, year); other.ID() == ca.ID() || other.String() == ca.String() || other.Certificate.SerialNumber.Cmp(c.SerialNumber) == 0 {
		t.Errorf("two CAs are both %s with serial number %s", ca, c.SerialNumber)
	}
	if got := fmt.Sprintf("%v %+v %#v %s", ca, State{Active: ca}, ca, ca); !strings.Contains(got, ca.String()) || strings.Contains(got, "PrivateKey") {
		t.Errorf("printed it is %s", got)
	}
}

func TestValidity(t *testing.T) {
	for _, c := range []struct {
		name string
		// now is counted from the beginning of a CA of 300 days.
		now, lifetime time.Duration
		from, until   time.Duration
		err           string
	}{
		{"it is backdated", 10 * day, 90 * day, 10*day - Backdate, 100 * day, ""},
		{"it is backdated by little if it is short", 10 * day, time.Minute, 10*day - 6*time.Second, 10*day + time.Minute, ""},
		{"it does not begin before the CA", 0, 90 * day, 0, 90 * day, ""},
		{"it does not outlive the CA", 299 * day, 90 * day, 299*day - Backdate, 300 * day, ""},
		{"the clock is behind the CA", -400 * day, 90 * day, 0, 90 * day, ""},
		{"the CA has expired", 300 * day, 90 * day, 0, 0, "has expired at 2026-10-28"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ca := newCA(t, start.Add(Backdate), 300*day-Backdate)
			r := taxi
			r.Lifetime = c.lifetime
			leaf, _, err := issue(ca, r, start.Add(c.now))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("%v, want an error with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !leaf.NotBefore.Equal(start.Add(c.from)) || !leaf.NotAfter.Equal(start.Add(c.until)) {
				t.Errorf("valid from %s to %s, want %s to %s", leaf.NotBefore, leaf.NotAfter, start.Add(c.from), start.Add(c.until))
			}
		})
	}
}

func TestIssueRefuses(t *testing.T) {
	ca := newCA(t, start, year)
	for _, c := range []struct {
		name string
		edit func(*Request)
		want string
	}{
		{"no name", func(r *Request) { r.DNSNames = nil }, "expected a DNS name"},
		{"an empty name", func(r *Request) { r.DNSNames = []string{""} }, "no empty one"},
		{"an address with a zone", func(r *Request) { r.IPs = []netip.Addr{netip.MustParseAddr("fe80::1%eth0")} }, "fe80::1%eth0"},
		{"no address", func(r *Request) { r.IPs = []netip.Addr{{}} }, "IP addresses"},
		{"a relative URI", func(r *Request) { r.URIs = []string{"taxi"} }, `absolute one, got "taxi"`},
		{"no usage", func(r *Request) { r.Usage = "" }, `server or client, got ""`},
		{"no lifetime", func(r *Request) { r.Lifetime = 0 }, "lifetime"},
		{"a long common name", func(r *Request) { r.CommonName = strings.Repeat("x", 65) }, "at most 64 bytes, got 65"},
		{"an unknown algorithm", func(r *Request) { r.Key.Algorithm = "DSA" }, `got "DSA"`},
		{"a short RSA key", func(r *Request) { r.Key = v1alpha1.PrivateKey{Algorithm: v1alpha1.KeyRSA, Size: 1024} }, "2048 to 8192 for RSA, got 1024"},
		{"a curve that there is not", func(r *Request) { r.Key = v1alpha1.PrivateKey{Algorithm: v1alpha1.KeyECDSA, Size: 255} }, "256, 384 or 521 for ECDSA, got 255"},
		{"a size for Ed25519", func(r *Request) { r.Key = v1alpha1.PrivateKey{Algorithm: v1alpha1.KeyEd25519, Size: 512} }, "none for Ed25519, got 512"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := taxi
			c.edit(&r)
			if _, _, err := Issue(ca, r, start); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestSerialsAndKeysAreNeverUsedAgain(t *testing.T) {
	ca := newCA(t, start, year)
	a, aKey, err := Issue(ca, taxi, start)
	if err != nil {
		t.Fatal(err)
	}
	b, bKey, err := Issue(ca, taxi, start)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(aKey, bKey) {
		t.Error("two certificates have one key")
	}
	serials := map[string]bool{}
	for _, text := range [][]byte{a, b, encodeCertificate(ca.Certificate)} {
		block, _ := pem.Decode(text)
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		serials[c.SerialNumber.String()] = true
		if c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() > 128 {
			t.Errorf("serial number %s", c.SerialNumber)
		}
	}
	if len(serials) != 3 {
		t.Errorf("serial numbers %v", serials)
	}
}
