package status_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/controllers/status"
	"github.com/flight-operator/flight-operator/flightruntime"
)

func knows(digest, message string) probe.Result {
	r := serving("new")
	r.Health.Auth = &flightruntime.AuthHealth{Digest: digest, Message: message}
	return r
}

func TestAuthConditions(t *testing.T) {
	for _, c := range []struct {
		name            string
		insecure        bool
		a, b            probe.Result
		problem         *status.Problem
		want            []string
		message, loaded string
	}{
		{"all go by it", false, knows("x", ""), knows("x", ""), nil, []string{"Ready=True Ready", "AuthReady=True AuthLoaded"}, "2 servers loaded", "2/2"},
		{"all go by it, in plain text", true, knows("x", ""), knows("x", ""), nil, []string{"Ready=True Ready", "AuthReady=True AuthInsecure"}, "travel in plain text", "2/2"},
		{"one does not yet, in plain text", true, knows("x", ""), knows("y", ""), nil, []string{"Ready=False AuthPending", "AuthReady=False AuthPending", "Reconciling=True AuthPending"}, "waiting for b", "1/2"},
		{"one does not yet", false, knows("x", ""), knows("y", ""), nil, []string{"Ready=False AuthPending", "AuthReady=False AuthPending", "Reconciling=True AuthPending"}, "waiting for b", "1/2"},
		{"one cannot", false, knows("y", "basic: users: line 3: not bcrypt"), knows("x", ""), nil, []string{"Ready=False AuthInvalid", "AuthReady=False AuthInvalid"}, "pod a goes on with the auth of before: basic: users: line 3", "1/2"},
		{"nothing is there", false, knows("x", ""), knows("x", ""), &status.Problem{Reason: v1alpha1.ReasonAuthSourceNotFound, Message: "Secret users does not exist"}, []string{"Ready=False AuthSourceNotFound", "AuthReady=False AuthSourceNotFound"}, "Secret users", "2/2"},
		{"one does not answer", false, knows("x", ""), probe.Result{State: v1alpha1.ServerPending}, nil, []string{"Ready=False NotProbed", "AuthReady=False AuthPending", "Reconciling=True NotProbed"}, "waiting for b", "1/2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := observe(func(o *status.Observation) {
				o.Wants = probe.Content{ConfigHash: "new", Auth: "x"}
				o.Auth = &status.Auth{Problem: c.problem, Insecure: c.insecure, Warnings: []string{"a warning"}}
				o.Results = map[string]probe.Result{"a": c.a, "b": c.b}
			})
			got := status.Compute(seen, v1alpha1.FlightServerStatus{}, metav1.NewTime(now))
			wantConditions(t, got.Conditions, c.want, v1alpha1.ConditionAuthReady, c.message, ofDatasets...)
			if diff := cmp.Diff(&v1alpha1.AuthStatus{Hash: "x", LoadedBy: c.loaded, Warnings: []string{"a warning"}}, got.Auth); diff != "" {
				t.Error(diff)
			}
		})
	}
}
