// Package status tells what was found: pure functions from observations to the conditions, lists and counts of a FlightServer's status.
// It reads nothing and writes nothing.
package status

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/flight-operator/flight-operator/controllers/probe"
)

// Problem is why something is not as specified, and the mend.
type Problem struct {
	Reason  string
	Message string
}

// Observation is all that the status follows from. The functions of this package keep none of it.
type Observation struct {
	// Generation of the FlightServer that was worked on.
	Generation int64
	// Wanted is the number of servers.
	Wanted int32
	// Datasets are the names of the datasets that are specified, in their order.
	Datasets []string
	// Missing says, by dataset, which object that it names does not exist.
	Missing map[string]string
	// ConfigHash is the configuration that the servers should serve, empty before there was one.
	ConfigHash string
	// Wants is what every server should serve, by the operator's knowledge.
	Wants probe.Content
	// Certificate is what was found of the certificate, nil without TLS.
	Certificate *Certificate
	// Auth is what was found of auth, nil without it.
	Auth *Auth
	// Stalled is what no retry mends, nil if there is no such thing.
	Stalled *Problem
	// Pending is what failed and is tried again, nil if all went well.
	Pending *Problem
	// Deployment as it was last seen, nil if there is none.
	Deployment *appsv1.Deployment
	// Pods of the FlightServer, those that are being deleted among them.
	Pods []corev1.Pod
	// Results of the probes by the name of the pod.
	Results map[string]probe.Result
}

// live are the pods that are not on their way out.
func (o *Observation) live() []*corev1.Pod {
	var pods []*corev1.Pod
	for i := range o.Pods {
		if Live(&o.Pods[i]) {
			pods = append(pods, &o.Pods[i])
		}
	}
	return pods
}

// ready are the live pods that take calls, by the kubelet's word.
func (o *Observation) ready() []*corev1.Pod {
	var pods []*corev1.Pod
	for _, pod := range o.live() {
		if PodReady(pod) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// result of the probes of a pod; Pending if there was none.
func (o *Observation) result(pod *corev1.Pod) probe.Result {
	if r, ok := o.Results[pod.Name]; ok {
		return r
	}
	return probe.Result{State: pendingState}
}

// Live tells whether a pod is neither ended nor being deleted.
func Live(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp.IsZero() && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

// PodReady tells whether the kubelet holds a pod ready.
func PodReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
