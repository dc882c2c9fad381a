package datasets

import (
	"math"
	"testing"

	"github.com/flight-operator/flight-operator/flightruntime/authn"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
)

// A dataset that is forbidden takes the same work to refuse as one that there is not: the same allocations are made. One may come from elsewhere: the
// race detector has pools forget what they hold.
func TestTheWorkOfARefusal(t *testing.T) {
	s := guarded(t)
	for _, user := range []string{"stranger", "system:anonymous"} {
		ctx := authn.WithIdentity(t.Context(), &authn.Identity{User: user})
		refusing := func(dataset string) float64 {
			return testing.AllocsPerRun(100, func() {
				if _, err := s.caller(ctx).may(authz.Put, dataset); err == nil {
					t.Fatal("allowed")
				}
			})
		}
		if forbidden, missing := refusing("trips"), refusing("tripz"); math.Abs(forbidden-missing) > 1 {
			t.Errorf("%s: forbidden takes %v allocations, missing %v", user, forbidden, missing)
		}
	}
}

// BenchmarkRefusal is what it takes to refuse a dataset that is forbidden, and one that there is not.
func BenchmarkRefusal(b *testing.B) {
	s := guarded(b)
	ctx := authn.WithIdentity(b.Context(), &authn.Identity{User: "stranger"})
	for _, dataset := range []string{"trips", "tripz"} {
		b.Run(dataset, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.caller(ctx).may(authz.Put, dataset); err == nil {
					b.Fatal("allowed")
				}
			}
		})
	}
}
