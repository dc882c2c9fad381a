package controllers

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// A rotation counts from when it was asked for. What falls behind long after it was done counts from when it was found behind.
func TestRotations(t *testing.T) {
	key, start := types.NamespacedName{Namespace: "data", Name: "taxi"}, time.Unix(1000, 0)
	r := newRotations()
	// Each step is a reconciliation: what is due, and then what was found.
	for _, c := range []struct {
		name        string
		at          time.Duration
		fingerprint string
		all         bool
		due         time.Duration
		awaited     bool
		took        time.Duration
		first       bool
	}{
		{"the first", 0, "a", false, 0, true, 0, false},
		{"not yet", time.Second, "a", false, 0, true, 0, false},
		{"served", 2 * time.Second, "a", true, 0, true, 2 * time.Second, true},
		{"still served", time.Hour, "a", true, time.Hour, false, 0, false},
		{"a pod is new", 2 * time.Hour, "a", false, 2 * time.Hour, false, 0, false},
		{"not yet", 2*time.Hour + time.Second, "a", false, 2 * time.Hour, true, 0, false},
		{"it presents it too", 2*time.Hour + 3*time.Second, "a", true, 2 * time.Hour, true, 3 * time.Second, true},
		{"another", 3 * time.Hour, "b", false, 3 * time.Hour, true, 0, false},
	} {
		now := start.Add(c.at)
		due, awaited := r.due(key, c.fingerprint, now)
		if !due.Equal(start.Add(c.due)) || awaited != c.awaited {
			t.Errorf("%s: due since %s, awaited: %t; expected %s, %t", c.name, due.Sub(start), awaited, c.due, c.awaited)
		}
		if took, first := r.served(key, c.all, now); took != c.took || first != c.first {
			t.Errorf("%s: took %s, for the first time: %t; expected %s, %t", c.name, took, first, c.took, c.first)
		}
	}
}
