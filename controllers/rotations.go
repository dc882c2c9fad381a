package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// rotations remember since when each FlightServer's servers should present their certificate, and whether they were seen to. An operator that has
// just started counts from then.
type rotations struct {
	mu sync.Mutex
	by map[types.NamespacedName]rotation
}

type rotation struct {
	fingerprint string
	since       time.Time
	done        bool
}

func newRotations() *rotations { return &rotations{by: map[types.NamespacedName]rotation{}} }

// due is since when a certificate should be presented: since it was first asked for here or, if all servers did last time, since now. What they
// are found behind in then, a new pod or other CA certificates for clients, is no older.
func (r *rotations) due(key types.NamespacedName, fingerprint string, now time.Time) (since time.Time, awaited bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by[key].fingerprint != fingerprint {
		r.by[key] = rotation{fingerprint: fingerprint, since: now}
	}
	current := r.by[key]
	if current.done {
		return now, false
	}
	return current.since, true
}

// served records whether all servers present the certificate, and gives the time that it took them the first time that they do. When they do not any
// more, a pod being new for instance, time counts anew.
func (r *rotations) served(key types.NamespacedName, all bool, now time.Time) (took time.Duration, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	current, ok := r.by[key]
	if !ok || current.done == all {
		return 0, false
	}
	current.done = all
	if !all {
		current.since = now
	}
	r.by[key] = current
	return now.Sub(current.since), all
}

func (r *rotations) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.by, key)
}
