package pki

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

func TestSeen(t *testing.T) {
	taxi, bus := types.NamespacedName{Namespace: "data", Name: "taxi"}, types.NamespacedName{Namespace: "data", Name: "bus"}
	for _, c := range []struct {
		name    string
		servers []types.NamespacedName
		reports map[types.NamespacedName]report
		want    Seen
	}{
		{"no servers", nil, nil, Seen{Published: "new", Served: map[string]bool{}}},
		{
			"all have the bundle",
			[]types.NamespacedName{taxi, bus},
			map[types.NamespacedName]report{taxi: {"new", []string{"A", "B"}}, bus: {"new", []string{"B"}}},
			Seen{Published: "new", Served: map[string]bool{"A": true, "B": true}},
		},
		{
			"one has an older bundle",
			[]types.NamespacedName{taxi, bus},
			map[types.NamespacedName]report{taxi: {"old", []string{"A"}}, bus: {"new", []string{"B"}}},
			Seen{},
		},
		{
			"nothing is known of one",
			[]types.NamespacedName{taxi, bus},
			map[types.NamespacedName]report{bus: {"new", []string{"B"}}},
			Seen{},
		},
		{
			"one is gone",
			[]types.NamespacedName{bus},
			map[types.NamespacedName]report{taxi: {"old", []string{"A"}}, bus: {"new", nil}},
			Seen{Published: "new", Served: map[string]bool{}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, seen(c.servers, c.reports, "new")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
