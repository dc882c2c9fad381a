package probe

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Metrics are by FlightServer, not by pod: pods come and go, and each would leave its series behind.
var (
	probesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "flight_operator_probes_total",
		Help: "Probes of Flight servers by result: Serving, NotServing, or the reason of the failure.",
	}, []string{"namespace", "flightserver", "result"})

	probeSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "flight_operator_probe_duration_seconds",
		Help: "Time that probes of Flight servers took, failed ones among them.",
		// From an answer in the same rack to the longest deadline that a FlightServer can set.
		Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60},
	}, []string{"namespace", "flightserver"})
)

func init() { metrics.Registry.MustRegister(probesTotal, probeSeconds) }

func countProbe(key types.NamespacedName, o outcome) {
	result := o.reason
	if o.health != nil {
		result = "Serving"
		if o.health.Status == flightruntime.NotServing {
			result = "NotServing"
		}
	}
	probesTotal.WithLabelValues(key.Namespace, key.Name, result).Inc()
	probeSeconds.WithLabelValues(key.Namespace, key.Name).Observe(o.took.Seconds())
}

func forgetMetrics(key types.NamespacedName) {
	labels := prometheus.Labels{"namespace": key.Namespace, "flightserver": key.Name}
	probesTotal.DeletePartialMatch(labels)
	probeSeconds.DeletePartialMatch(labels)
}
