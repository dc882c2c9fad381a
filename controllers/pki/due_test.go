package pki

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

func TestDue(t *testing.T) {
	ca := newCA(t, start, 10*year)
	asked := everything(UsageServer, v1alpha1.PrivateKey{})
	leaf := issueLeaf(t, ca, asked, start)
	renewal := RenewalTime(leaf, asked.Lifetime, "data/taxi").Sub(start)
	for _, c := range []struct {
		name string
		at   time.Duration
		edit func(*Request)
		want string
	}{
		{"fresh", 0, nil, ""},
		{"in the other order", 0, func(r *Request) { r.DNSNames = []string{"taxi.data.svc", "*.taxi.data.svc"} }, ""},
		{"just before its time", renewal - time.Second, nil, ""},
		{"its time", renewal, nil, "its time of renewal was 2026-"},
		{"expired", 90 * day, nil, "expired at 2026-04-01T00:00:00Z"},
		{"a shorter lifetime", 10 * day, func(r *Request) { r.Lifetime = 10 * day }, "its time of renewal"},
		{"a longer lifetime", 10 * day, func(r *Request) { r.Lifetime = 900 * day }, ""},
		{"another name", 0, func(r *Request) { r.DNSNames = []string{"bus.data.svc"} }, `its DNS names are ["*.taxi.data.svc" "taxi.data.svc"], and should be ["bus.data.svc"]`},
		{"a name less", 0, func(r *Request) { r.DNSNames = r.DNSNames[:1] }, "its DNS names"},
		{"another address", 0, func(r *Request) { r.IPs = []netip.Addr{netip.MustParseAddr("10.0.0.3")} }, "its IP addresses"},
		{"another URI", 0, func(r *Request) { r.URIs = []string{"urn:example:bus"} }, "its URIs"},
		{"another usage", 0, func(r *Request) { r.Usage = UsageClient }, "it is for server, and should be for client"},
		{"another algorithm", 0, func(r *Request) { r.Key.Algorithm = v1alpha1.KeyEd25519 }, "its key is ECDSA 256, and should be Ed25519"},
		{"another size", 0, func(r *Request) { r.Key.Size = 384 }, "and should be ECDSA 384"},
		{"the clock is behind", -day, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := asked
			if c.edit != nil {
				c.edit(&r)
			}
			reason, due := Due(leaf, ca, r, start.Add(c.at), "data/taxi")
			if due != (c.want != "") || !strings.Contains(reason, c.want) {
				t.Errorf("%t %q, want %q", due, reason, c.want)
			}
		})
	}
}

func TestDueByTheCA(t *testing.T) {
	old, ca := newCA(t, start, 300*day), newCA(t, start, 300*day)
	leaf := issueLeaf(t, old, taxi, start)
	if reason, due := Due(leaf, ca, taxi, start, ""); !due || !strings.Contains(reason, old.String()) || !strings.Contains(reason, ca.String()) {
		t.Errorf("another CA issues: %t %q", due, reason)
	}
	ahead := issueLeaf(t, ca, taxi, start.Add(9*day))
	if reason, due := Due(ahead, ca, taxi, start.Add(8*day), ""); !due || !strings.Contains(reason, "not valid before 2026-01-09T23:55:00Z") {
		t.Errorf("issued while the clock was ahead: %t %q", due, reason)
	}
	// A new one would end with the CA as well: it would be issued again and again.
	last := issueLeaf(t, ca, taxi, start.Add(299*day))
	if reason, due := Due(last, ca, taxi, start.Add(300*day-time.Second), ""); due {
		t.Errorf("the CA is at its end: %q", reason)
	}
}

// TestIssuingEndsBeingDue holds Due against Issue: what has just been issued is not due, at any age of the CA.
func TestIssuingEndsBeingDue(t *testing.T) {
	ca := newCA(t, start, 300*day)
	requests := map[string]Request{"taxi": taxi, "operator": identityRequest, "short": {DNSNames: taxi.DNSNames, Usage: UsageServer, Lifetime: time.Minute}, "odd URI": {URIs: []string{"HTTP://example.test/%7Ea b"}, Usage: UsageClient, Lifetime: day}}
	for name, r := range requests {
		for _, at := range []time.Duration{-day, 0, 100 * day, 299 * day, 300*day - 2*time.Second} {
			leaf := issueLeaf(t, ca, r, start.Add(at))
			if reason, due := Due(leaf, ca, r, start.Add(at), name); due {
				t.Errorf("%s after %s: %s", name, at, reason)
			}
		}
	}
}

func TestRenewalTime(t *testing.T) {
	leaf := issueLeaf(t, newCA(t, start, year), taxi, start.Add(day))
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	first, last := leaf.NotBefore.Add(life/3*2-life/10), leaf.NotBefore.Add(life/3*2)
	different := map[time.Time]bool{}
	for i := range 1000 {
		seed := fmt.Sprint(i)
		at := RenewalTime(leaf, 0, seed)
		if at.Before(first) || at.After(last) {
			t.Fatalf("seed %s: %s, want %s to %s", seed, at, first, last)
		}
		if !at.Equal(RenewalTime(leaf, 0, seed)) {
			t.Fatalf("seed %s: two times", seed)
		}
		different[at.Truncate(time.Hour)] = true
	}
	if len(different) < 100 {
		t.Errorf("1000 certificates are renewed in %d different hours of %s", len(different), life/10)
	}
}
