package controllers

import (
	"testing"
	"time"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/controllers/status"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// What should be presented is what the servers do present, by the same rules (certs.Source): else rotations never end.
func TestCertificateOf(t *testing.T) {
	now := time.Now()
	ca, err := pki.NewCA(now.Add(-48*time.Hour), 96*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(name string, at time.Time) *certs.Certificate {
		t.Helper()
		certificate, key, err := pki.Issue(ca, pki.Request{DNSNames: []string{name}, Usage: pki.UsageServer, Lifetime: time.Hour}, at)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := certs.Parse(certificate, key)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	good, expired, other, another := issue("taxi", now), issue("taxi", now.Add(-24*time.Hour)), issue("other", now), issue("another", now)
	malformed := &certs.Problem{Reason: certs.ReasonMalformed, Message: "no"}
	for _, c := range []struct {
		name            string
		secret, last    *certs.Certificate // nil: malformed, none
		presented       *certs.Certificate
		want            *certs.Certificate
		problem, faulty bool
	}{
		{"a good one", good, nil, nil, good, false, false},
		{"a good one after another", good, other, other, good, false, false},
		{"a bad one as the first", other, nil, nil, other, true, true},
		{"a bad one after a good one", other, good, good, good, true, false},
		{"a bad one after a good one, and nobody was probed", other, good, nil, good, true, false},
		{"a bad one after one that has expired", other, expired, expired, other, true, true},
		{"a bad one after one that has expired, and nobody was probed", other, expired, nil, other, true, true},
		{"a bad one after a bad one", other, another, another, other, true, true},
		{"one that has expired by itself", expired, expired, expired, expired, true, true},
		{"a text after a good one", nil, good, good, good, true, false},
		{"a text after one that has expired", nil, expired, expired, expired, true, false},
		{"a text as the first", nil, nil, nil, nil, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := &v1alpha1.FlightServer{Spec: v1alpha1.FlightServerSpec{TLS: &v1alpha1.TLS{SecretRef: &v1alpha1.LocalReference{Name: "cert"}}}}
			if c.last != nil {
				fs.Status.Certificate = describe(c.last)
			}
			results := map[string]probe.Result{"unprobed": {}}
			if c.presented != nil {
				results["a"] = probe.Result{Leaf: &probe.Leaf{Fingerprint: certs.Fingerprint(c.presented.Leaf), Certificate: c.presented.Leaf}}
			}
			facts := certificateFacts{parsed: c.secret}
			if c.secret == nil {
				facts.problem = malformed
			}
			got := certificateOf(fs, facts, []string{"taxi"}, results, now)
			if (got.Problem != nil) != c.problem || got.Faulty != c.faulty || fingerprintOf(got) != fingerprintOrNone(c.want) {
				t.Errorf("got %s, problem %v, faulty: %t; expected %s, a problem: %t, faulty: %t",
					fingerprintOf(got), got.Problem, got.Faulty, fingerprintOrNone(c.want), c.problem, c.faulty)
			}
		})
	}
}

func fingerprintOf(c *status.Certificate) string {
	if c.Current == nil {
		return "none"
	}
	return c.Current.Fingerprint
}

func fingerprintOrNone(c *certs.Certificate) string {
	if c == nil {
		return "none"
	}
	return certs.Fingerprint(c.Leaf)
}
