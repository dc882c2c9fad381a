package status

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// Same tells whether two statuses say the same, figures that change with every probe left out: they are not worth a write.
func Same(a, b *v1alpha1.FlightServerStatus) bool {
	return equality.Semantic.DeepEqual(lasting(a), lasting(b))
}

// lasting is a status without what changes with every probe.
func lasting(s *v1alpha1.FlightServerStatus) v1alpha1.FlightServerStatus {
	out := *s
	out.Servers = slices.Clone(s.Servers)
	for i := range out.Servers {
		out.Servers[i].LastProbe, out.Servers[i].Latency, out.Servers[i].ActiveStreams = nil, nil, nil
	}
	out.Datasets = slices.Clone(s.Datasets)
	for i := range out.Datasets {
		out.Datasets[i].RefreshedAt = nil
	}
	return out
}
