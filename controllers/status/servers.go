package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

const pendingState = v1alpha1.ServerPending

// Servers lists what is known of each live pod: those in trouble first, then by name, MaxStatusServers at most.
func Servers(o *Observation) []v1alpha1.ServerStatus {
	var servers []v1alpha1.ServerStatus
	for _, pod := range o.live() {
		r := o.result(pod)
		s := v1alpha1.ServerStatus{Pod: pod.Name, State: r.State, Reason: r.Reason, Message: Cut(r.Message)}
		if !r.LastProbe.IsZero() {
			s.LastProbe = ptr.To(metav1.NewTime(r.LastProbe.Truncate(1e9)))
			s.Latency = &metav1.Duration{Duration: r.Latency.Round(1e3)}
		}
		if r.Leaf != nil {
			s.CertificateFingerprint = r.Leaf.Fingerprint
		}
		if h := r.Health; h != nil {
			s.Version, s.ConfigHash, s.ActiveStreams = h.Version, h.ConfigHash, ptr.To(int32(h.ActiveStreams))
			if h.ConfigError != "" && s.Message == "" {
				s.Reason, s.Message = v1alpha1.ReasonConfigurationPending, Cut(h.ConfigError)
			}
		}
		servers = append(servers, s)
	}
	slices.SortFunc(servers, func(a, b v1alpha1.ServerStatus) int {
		return cmp.Or(cmp.Compare(serverRank(a), serverRank(b)), strings.Compare(a.Pod, b.Pod))
	})
	return servers[:min(len(servers), v1alpha1.MaxStatusServers)]
}

// serverRank orders servers by how much they need attention.
func serverRank(s v1alpha1.ServerStatus) int {
	switch {
	case s.State == v1alpha1.ServerUnreachable:
		return 0
	case s.State == v1alpha1.ServerNotServing:
		return 1
	case s.Message != "":
		return 2
	case s.State == v1alpha1.ServerPending:
		return 3
	default:
		return 4
	}
}

// Summary counts the servers that are ready, and the datasets that are Ready. The list has to be of all datasets.
func Summary(o *Observation, all []v1alpha1.DatasetStatus) v1alpha1.Summary {
	served := 0
	for _, d := range all {
		if d.State == v1alpha1.DatasetReady {
			served++
		}
	}
	return v1alpha1.Summary{
		Servers:  fmt.Sprintf("%d/%d", len(o.ready()), o.Wanted),
		Datasets: fmt.Sprintf("%d/%d", served, len(o.Datasets)),
	}
}
