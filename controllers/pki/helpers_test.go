package pki

import (
	"crypto/x509"
	"testing"
	"time"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// start is when the tests' time begins.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newCA(t testing.TB, now time.Time, life time.Duration) *CA {
	t.Helper()
	ca, err := NewCA(now, life)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func advance(t testing.TB, s State, seen Seen, now time.Time, p Policy) (State, bool, time.Time) {
	t.Helper()
	next, changed, wake, err := Advance(s, seen, now, p)
	if err != nil {
		t.Fatal(err)
	}
	return next, changed, wake
}

// restart is the state as another process reads it.
func restart(t testing.TB, s State) State {
	t.Helper()
	if s.Active == nil {
		return s
	}
	data, err := Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func issueLeaf(t testing.TB, ca *CA, r Request, now time.Time) *x509.Certificate {
	t.Helper()
	leaf, _, err := issue(ca, r, now)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

var taxi = Request{DNSNames: []string{"taxi.data.svc"}, Usage: UsageServer, Lifetime: 90 * day}
