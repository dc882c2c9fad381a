package status

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// Compute is the status that follows from an observation. Of the status before, it takes over the times of transitions, the selector and
// the address.
func Compute(o *Observation, before v1alpha1.FlightServerStatus, now metav1.Time) v1alpha1.FlightServerStatus {
	all := Datasets(o)
	return v1alpha1.FlightServerStatus{
		ObservedGeneration: o.Generation,
		Replicas:           int32(len(o.live())),
		ReadyReplicas:      int32(len(o.ready())),
		Selector:           before.Selector,
		Address:            before.Address,
		ConfigHash:         o.ConfigHash,
		Summary:            Summary(o, all),
		Certificate:        certificateStatus(o),
		Auth:               authStatus(o),
		Conditions:         Merge(before.Conditions, Conditions(o, all, now.Time), now),
		Datasets:           Bounded(all),
		Servers:            Servers(o),
	}
}
