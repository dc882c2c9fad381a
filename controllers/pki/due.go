package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// RenewalTime is when a certificate is to be replaced: at two thirds of its life, and earlier by up to a tenth, by the seed, so that not all are
// replaced at the same time. A lifetime that is wished for now counts instead of the certificate's own if it is shorter; 0 is no wish.
func RenewalTime(leaf *x509.Certificate, lifetime time.Duration, seed string) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	if lifetime > 0 {
		life = min(life, lifetime+backdate(lifetime))
	}
	return leaf.NotBefore.Add(life/3*2 - jitter(seed, life/10))
}

// jitter is from 0 to most, always the same for a seed.
func jitter(seed string, most time.Duration) time.Duration {
	sum := sha256.Sum256([]byte(seed))
	return time.Duration(float64(binary.BigEndian.Uint64(sum[:8])) / math.MaxUint64 * float64(most))
}

// Due tells whether a certificate has to be issued anew, and why. The active CA and the request are what it would be issued by now; the seed is the
// certificate's own, for instance the name of its Secret, and is the same at each call.
func Due(leaf *x509.Certificate, active *CA, r Request, now time.Time, seed string) (reason string, due bool) {
	for _, policy := range policies {
		if reason := policy(leaf, active.Certificate, r, now, seed); reason != "" {
			return reason, true
		}
	}
	return "", false
}

// policies each give a reason to issue a certificate anew, the most telling first.
var policies = []func(leaf, ca *x509.Certificate, r Request, now time.Time, seed string) string{
	otherIssuer,
	otherNames,
	otherUsage,
	otherKey,
	expired,
	notYetValid,
	aged,
}

func otherIssuer(leaf, ca *x509.Certificate, _ Request, _ time.Time, _ string) string {
	if leaf.CheckSignatureFrom(ca) == nil {
		return ""
	}
	return fmt.Sprintf("it is issued by %q, and the CA that issues now is %q", leaf.Issuer.CommonName, ca.Subject.CommonName)
}

func otherNames(leaf, _ *x509.Certificate, r Request, _ time.Time, _ string) string {
	uris := make([]string, len(leaf.URIs))
	for i, u := range leaf.URIs {
		uris[i] = u.String()
	}
	wanted := make([]string, len(r.URIs))
	for i, text := range r.URIs {
		wanted[i] = text
		if u, err := url.Parse(text); err == nil {
			wanted[i] = u.String() // as it is written in certificates
		}
	}
	ips := make([]string, len(leaf.IPAddresses))
	for i, ip := range leaf.IPAddresses {
		ips[i] = ip.String()
	}
	for _, names := range []struct {
		kind       string
		have, want []string
	}{
		{"DNS names", leaf.DNSNames, r.DNSNames},
		{"IP addresses", ips, texts(r.IPs)},
		{"URIs", uris, wanted},
	} {
		if have, want := unique(names.have), unique(names.want); !slices.Equal(have, want) {
			return fmt.Sprintf("its %s are %q, and should be %q", names.kind, have, want)
		}
	}
	return ""
}

func otherUsage(leaf, _ *x509.Certificate, r Request, _ time.Time, _ string) string {
	have := "something else"
	if slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		have = string(UsageServer)
	} else if slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		have = string(UsageClient)
	}
	if have == string(r.Usage) {
		return ""
	}
	return fmt.Sprintf("it is for %s, and should be for %s", have, r.Usage)
}

func otherKey(leaf, _ *x509.Certificate, r Request, _ time.Time, _ string) string {
	have, want := keyOf(leaf), spelledOut(r.Key)
	if have == want {
		return ""
	}
	return fmt.Sprintf("its key is %s, and should be %s", showKey(have), showKey(want))
}

func expired(leaf, _ *x509.Certificate, _ Request, now time.Time, _ string) string {
	if now.Before(leaf.NotAfter) {
		return ""
	}
	return "it has expired at " + leaf.NotAfter.UTC().Format(time.RFC3339)
}

// notYetValid is a certificate that was issued while the clock was ahead.
func notYetValid(leaf, ca *x509.Certificate, r Request, now time.Time, _ string) string {
	if from, _ := validity(ca, r.Lifetime, now); !now.Before(leaf.NotBefore) || !from.Before(leaf.NotBefore) {
		return ""
	}
	return "it is not valid before " + leaf.NotBefore.UTC().Format(time.RFC3339)
}

// aged is silent where a new one would end with the CA as the old one does.
func aged(leaf, ca *x509.Certificate, r Request, now time.Time, seed string) string {
	at := RenewalTime(leaf, r.Lifetime, seed)
	if _, until := validity(ca, r.Lifetime, now); now.Before(at) || leaf.NotAfter.Equal(ca.NotAfter) && until.Equal(ca.NotAfter) {
		return ""
	}
	return "its time of renewal was " + at.UTC().Format(time.RFC3339)
}

// texts are addresses as Go writes those of certificates: IPv4 in IPv6 is IPv4.
func texts(ips []netip.Addr) []string {
	out := make([]string, len(ips))
	for i, ip := range ips {
		out[i] = ip.Unmap().String()
	}
	return out
}

// unique sorts and leaves each out but once. The argument stays as it is.
func unique(names []string) []string {
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}
