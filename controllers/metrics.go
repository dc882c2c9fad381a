package controllers

import (
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/probe"
)

var (
	conditionGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "flight_operator_condition",
		Help: "Conditions of FlightServers: 1 is True, 0 False, -1 Unknown.",
	}, []string{"namespace", "flightserver", "type"})

	serversGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "flight_operator_servers",
		Help: "Servers of FlightServers by the state that the operator's probes found.",
	}, []string{"namespace", "flightserver", "state"})

	certificateEnd = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "flight_operator_certificate_not_after_timestamp_seconds",
		Help: "When the first of the certificates ends that the servers of a FlightServer present, as the operator saw in handshakes, in seconds since 1970.",
	}, []string{"namespace", "flightserver"})

	// With the end, it gives the lifetime: what is soon for a certificate of 90 days is all the time that one of a day has.
	certificateBegin = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "flight_operator_certificate_not_before_timestamp_seconds",
		Help: "When that certificate began to be valid, in seconds since 1970.",
	}, []string{"namespace", "flightserver"})

	rotationSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "flight_operator_certificate_rotation_duration_seconds",
		Help: "Time from the operator's reading a new certificate until every ready server was seen to present it.",
		// From a kubelet that is told to one that finds out by itself, and beyond.
		Buckets: []float64{0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 120, 600},
	}, []string{"namespace", "flightserver"})
)

func init() {
	metrics.Registry.MustRegister(conditionGauge, serversGauge, certificateBegin, certificateEnd, rotationSeconds)
}

// lastingConditions are those that are always present, so that their series never vanish.
var lastingConditions = []string{v1alpha1.ConditionReady, v1alpha1.ConditionAvailable, v1alpha1.ConditionDatasetsReady, v1alpha1.ConditionReachable}

// serverStates are all states of a server.
var serverStates = []v1alpha1.ServerState{v1alpha1.ServerServing, v1alpha1.ServerNotServing, v1alpha1.ServerUnreachable, v1alpha1.ServerPending}

// certificateConditions are present with TLS.
var certificateConditions = []string{v1alpha1.ConditionCertificateReady, v1alpha1.ConditionCertificateServed}

func exposeConditions(key types.NamespacedName, conditions []metav1.Condition) {
	values := map[metav1.ConditionStatus]float64{metav1.ConditionTrue: 1, metav1.ConditionFalse: 0, metav1.ConditionUnknown: -1}
	byType := map[string]float64{}
	for _, c := range conditions {
		byType[c.Type] = values[c.Status]
	}
	for _, t := range lastingConditions {
		if value, ok := byType[t]; ok {
			conditionGauge.WithLabelValues(key.Namespace, key.Name, t).Set(value)
		}
	}
	for _, t := range certificateConditions {
		if value, ok := byType[t]; ok {
			conditionGauge.WithLabelValues(key.Namespace, key.Name, t).Set(value)
		} else {
			conditionGauge.DeleteLabelValues(key.Namespace, key.Name, t)
		}
	}
}

func exposeServers(key types.NamespacedName, results map[string]probe.Result) {
	counts := map[v1alpha1.ServerState]int{}
	for _, r := range results {
		counts[r.State]++
	}
	for _, state := range serverStates {
		serversGauge.WithLabelValues(key.Namespace, key.Name, string(state)).Set(float64(counts[state]))
	}
}

func forgetMetrics(key types.NamespacedName) {
	labels := prometheus.Labels{"namespace": key.Namespace, "flightserver": key.Name}
	conditionGauge.DeletePartialMatch(labels)
	serversGauge.DeletePartialMatch(labels)
	rotationSeconds.DeletePartialMatch(labels)
	forgetCertificateMetrics(key)
}

func forgetCertificateMetrics(key types.NamespacedName) {
	certificateBegin.DeleteLabelValues(key.Namespace, key.Name)
	certificateEnd.DeleteLabelValues(key.Namespace, key.Name)
}
