package status

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// Auth is what was found of a FlightServer's auth.
type Auth struct {
	// Problem is what is missing of that which spec.auth names; nil if all is there.
	Problem *Problem
	// Insecure is whether credentials travel in plain text.
	Insecure bool
	// Warnings are what is likely not meant.
	Warnings []string
}

// maxWarnings bounds status.auth.warnings.
const maxWarnings = 20

// authReady is the condition AuthReady: what the ready servers say of themselves.
func authReady(o *Observation) finding {
	ready := o.ready()
	slices.SortFunc(ready, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	var behind []string
	for _, pod := range ready {
		r := o.result(pod)
		if r.Answers() && r.Health.Auth != nil && r.Health.Auth.Message != "" {
			return isFalse(v1alpha1.ReasonAuthInvalid, "pod %s goes on with the auth of before: %s", pod.Name, r.Health.Auth.Message)
		}
		if !o.authLoaded(pod) {
			behind = append(behind, pod.Name)
		}
	}
	switch {
	case o.Auth.Problem != nil:
		return isFalse(o.Auth.Problem.Reason, "%s", o.Auth.Problem.Message)
	case len(ready) == 0:
		return isUnknown(v1alpha1.ReasonNotProbed, "no server is ready to be probed").inMotion()
	case behind != nil:
		return isFalse(v1alpha1.ReasonAuthPending, "waiting for %s to take up users, tokens and keys", some(behind)).inMotion()
	case o.Auth.Insecure:
		return isTrue(v1alpha1.ReasonAuthInsecure, "%s loaded the users, tokens and keys that are specified; passwords, tokens and data travel in plain text, "+
			"as spec.auth.insecure allows: set spec.tls", count(len(ready), "server"))
	default:
		return isTrue(v1alpha1.ReasonAuthLoaded, "%s loaded the users, tokens and keys that are specified", count(len(ready), "server"))
	}
}

// authLoaded tells whether a server says that it goes by what is wanted.
func (o *Observation) authLoaded(pod *corev1.Pod) bool {
	r := o.result(pod)
	return r.Answers() && r.Content().Auth == o.Wants.Auth
}

// authStatus is status.auth, nil without auth.
func authStatus(o *Observation) *v1alpha1.AuthStatus {
	if o.Auth == nil {
		return nil
	}
	ready, loaded := o.ready(), 0
	for _, pod := range ready {
		if o.authLoaded(pod) {
			loaded++
		}
	}
	s := &v1alpha1.AuthStatus{Hash: o.Wants.Auth, LoadedBy: fmt.Sprintf("%d/%d", loaded, len(ready))}
	for _, w := range o.Auth.Warnings[:min(len(o.Auth.Warnings), maxWarnings)] {
		s.Warnings = append(s.Warnings, Cut(w))
	}
	return s
}
