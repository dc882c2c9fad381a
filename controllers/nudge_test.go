package controllers

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/flightruntime"
)

func TestAdvance(t *testing.T) {
	now := time.Unix(1000, 0)
	serves := func(hash string) probe.Result {
		return probe.Result{State: v1alpha1.ServerServing, Health: &flightruntime.Health{ConfigHash: hash}}
	}
	pending, unreachable := probe.Result{State: v1alpha1.ServerPending}, probe.Result{State: v1alpha1.ServerUnreachable}
	told := nudge{hash: "new", next: now.Add(firstNudge)}
	due := func(count int) nudge { return nudge{hash: "new", count: count, next: now} }

	for _, c := range []struct {
		name      string
		before    nudge
		annotated string
		result    probe.Result
		want      nudge
		patch     map[string]string
	}{
		{name: "a server that serves the configuration needs nothing", result: serves("new")},
		{name: "nor does one that was behind", before: due(2), annotated: "new", result: serves("new")},
		{name: "a new server has just mounted the newest", result: pending},
		{name: "a server that is behind is told", result: serves("old"), want: told, patch: map[string]string{"flightoperator.dev/config-hash": "new"}},
		{name: "so is one that was told of an earlier configuration", before: nudge{hash: "old", count: 3, next: now}, annotated: "old", result: serves("old"), want: told, patch: map[string]string{"flightoperator.dev/config-hash": "new"}},
		{name: "so is one that cannot be asked", result: unreachable, want: told, patch: map[string]string{"flightoperator.dev/config-hash": "new"}},
		{name: "which is told once", annotated: "new", result: unreachable},
		{name: "the cache may not have heard of the annotation yet", before: told, annotated: "old", result: serves("old"), want: told},
		{name: "an operator that starts anew waits first", annotated: "new", result: serves("old"), want: told},
		{name: "a server that is still behind is given time", before: told, annotated: "new", result: serves("old"), want: told},
		{name: "and told again when it is over", before: due(0), annotated: "new", result: serves("old"), want: nudge{hash: "new", count: 1, next: now.Add(4 * time.Second)}, patch: map[string]string{"flightoperator.dev/config-nudge": "1"}},
		{name: "ever more seldom", before: due(4), annotated: "new", result: serves("old"), want: nudge{hash: "new", count: 5, next: now.Add(64 * time.Second)}, patch: map[string]string{"flightoperator.dev/config-nudge": "5"}},
		{name: "and not for ever", before: due(maxNudges), annotated: "new", result: serves("old"), want: due(maxNudges)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, patch := advance(c.before, c.annotated, c.result, probe.Content{ConfigHash: "new"}, now)
			if got != c.want {
				t.Errorf("remembers %+v, expected %+v", got, c.want)
			}
			if diff := cmp.Diff(c.patch, patch); diff != "" {
				t.Error("annotations:", diff)
			}
		})
	}
}
