package controllers

import (
	"testing"
	"time"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/status"
)

// What is to come counts, whatever is over: a certificate is renewed in time long after the last rotation was due.
func TestWake(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name   string
		times  []time.Duration
		others time.Duration
		want   time.Duration
	}{
		{"nothing", nil, 0, longestSleep},
		{"others are sooner", []time.Duration{3 * time.Minute}, time.Minute, time.Minute},
		{"the first of two", []time.Duration{5 * time.Minute, 3 * time.Minute}, 0, 3 * time.Minute},
		{"one that is over", []time.Duration{-time.Hour}, 0, longestSleep},
		{"one that is over, and one to come", []time.Duration{-time.Hour, 3 * time.Minute}, 0, 3 * time.Minute},
		{"one to come, and one that is over", []time.Duration{3 * time.Minute, -time.Hour}, 0, 3 * time.Minute},
		{"far away", []time.Duration{24 * time.Hour}, 0, longestSleep},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &scope{tls: &tlsScope{}}
			s.soon(time.Time{})
			for _, d := range c.times {
				s.soon(now.Add(d))
			}
			if got := s.wake(c.others, now); got != c.want {
				t.Errorf("looks again after %s, expected %s", got, c.want)
			}
		})
	}
}

func TestWakeForTheClustersKeys(t *testing.T) {
	for want, s := range map[time.Duration]*scope{0: {}, clusterKeysAge: {usesClusterKeys: true}} {
		if got := s.wake(0, time.Now()); got != want {
			t.Errorf("looks again after %s, expected %s", got, want)
		}
	}
}

// A specification that cannot be rendered does not keep the certificate, which goes on being served, from being renewed.
func TestWakeOfAnInvalidSpecification(t *testing.T) {
	invalid := &stalledError{status.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: "spec.datasets: no"}}
	for _, c := range []struct {
		name string
		tls  *tlsScope
		want bool
	}{
		{"plain text", nil, false},
		{"TLS", &tlsScope{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &scope{tls: c.tls, seen: &status.Observation{}}
			if result, err := s.fail(invalid); err != nil || (result.RequeueAfter > 0) != c.want {
				t.Errorf("got %v, %v; expected another look: %t", result, err, c.want)
			}
		})
	}
}
