package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authn"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/datasets"
)

// metrics are what /metrics tells.
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.HistogramVec
	attempts *prometheus.CounterVec
	asked    *prometheus.CounterVec
}

func newMetrics(service *datasets.Service, c *catalog.Catalog) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "flight_call_duration_seconds",
			Help:    "Time that calls took, by Flight method and gRPC code.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 11), // 0.5 ms to 9 min
		}, []string{"method", "code"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flight_authentications_total",
			Help: "Calls by how callers showed who they are and what became of it: accepted, refused or unavailable.",
		}, []string{"method", "outcome"}),
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flight_decisions_total",
			Help: "Calls by Flight method, verb and what the rules said: allow, deny, unauthenticated, or none where they were not asked.",
		}, []string{"method", "verb", "decision"}),
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.calls, m.attempts, m.asked, healthCollector{service}, cacheCollector{c})
	return m
}

// addTLS tells of the server's TLS too.
func (m *metrics) addTLS(source *certs.Source) { m.registry.MustRegister(tlsCollector{source}) }

// addServer tells of the server's connections.
func (m *metrics) addServer(server *flightruntime.Server) {
	m.registry.MustRegister(connectionCollector{server})
}

func (m *metrics) observeAttempt(a authn.Attempt) {
	m.attempts.WithLabelValues(a.Method, string(a.Outcome)).Inc()
}

func (m *metrics) observeDecision(method, verb string, decision datasets.Decision) {
	m.asked.WithLabelValues(method, verb, string(decision)).Inc()
}

func (m *metrics) observe(method string, err error, took time.Duration) {
	m.calls.WithLabelValues(method, status.Code(err).String()).Observe(took.Seconds())
}

var (
	activeCalls  = prometheus.NewDesc("flight_active_calls", "Flight calls that are running.", nil, nil)
	datasetRows  = prometheus.NewDesc("flight_dataset_rows", "Rows of the version of a dataset that is served.", []string{"dataset"}, nil)
	datasetBytes = prometheus.NewDesc("flight_dataset_bytes", "Bytes of the files of the version that is served.", []string{"dataset"}, nil)
	datasetRead  = prometheus.NewDesc("flight_dataset_refreshed_timestamp_seconds", "When the version that is served was read.", []string{"dataset"}, nil)
	datasetState = prometheus.NewDesc("flight_dataset_state", "1 for the state that a dataset is in.", []string{"dataset", "state"}, nil)
)

// healthCollector tells in metrics what HealthCheck tells.
type healthCollector struct{ service *datasets.Service }

func (c healthCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{activeCalls, datasetRows, datasetBytes, datasetRead, datasetState} {
		descs <- d
	}
}

func (c healthCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	h := c.service.Health()
	gauge(activeCalls, float64(h.ActiveStreams))
	for _, d := range h.Datasets {
		gauge(datasetState, 1, d.Name, string(d.State))
		if d.SchemaFingerprint != "" { // a version is served
			gauge(datasetRows, float64(d.Rows), d.Name)
			gauge(datasetBytes, float64(d.Bytes), d.Name)
			gauge(datasetRead, float64(d.RefreshedAt.Unix()), d.Name)
		}
	}
}

// tell collects a number.
func tell(out chan<- prometheus.Metric, d *prometheus.Desc, kind prometheus.ValueType, n int64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, kind, float64(n), labels...)
}

var (
	connections         = prometheus.NewDesc("flight_connections", "Connections of clients that are open.", nil, nil)
	connectionsLimit    = prometheus.NewDesc("flight_connections_limit", "Connections that may be open.", nil, nil)
	connectionsAccepted = prometheus.NewDesc("flight_connections_accepted_total", "Connections that were let in.", nil, nil)
	connectionsRefused  = prometheus.NewDesc("flight_connections_refused_total", "Connections that were closed at once, for as many were open as may be.", nil, nil)
	receivedBytes       = prometheus.NewDesc("flight_received_bytes_total", "Bytes from clients as they go over the wire: with TLS, those of its records and handshakes.", nil, nil)
	sentBytes           = prometheus.NewDesc("flight_sent_bytes_total", "Bytes to clients as they go over the wire: with TLS, those of its records and handshakes.", nil, nil)
)

// connectionCollector tells of a server's connections.
type connectionCollector struct{ server *flightruntime.Server }

func (c connectionCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connections, connectionsLimit, connectionsAccepted, connectionsRefused, receivedBytes, sentBytes} {
		descs <- d
	}
}

func (c connectionCollector) Collect(out chan<- prometheus.Metric) {
	t := c.server.Traffic()
	tell(out, connections, prometheus.GaugeValue, t.Open)
	tell(out, connectionsLimit, prometheus.GaugeValue, t.Limit)
	tell(out, connectionsAccepted, prometheus.CounterValue, t.Accepted)
	tell(out, connectionsRefused, prometheus.CounterValue, t.Refused)
	tell(out, receivedBytes, prometheus.CounterValue, t.Received)
	tell(out, sentBytes, prometheus.CounterValue, t.Sent)
}

var (
	cacheUsable    = prometheus.NewDesc("flight_cache_usable", "1 if a cache that datasets are to be kept in, Memory or Disk, can be used, 0 if they are read from their sources instead.", []string{"mode"}, nil)
	cacheBytes     = prometheus.NewDesc("flight_cache_bytes", "Bytes that a cache, Memory or Disk, holds of datasets.", []string{"mode"}, nil)
	cacheLimit     = prometheus.NewDesc("flight_cache_limit_bytes", "Bytes that it may hold.", []string{"mode"}, nil)
	cacheHits      = prometheus.NewDesc("flight_cache_hits_total", "Files of datasets that were asked for and in the cache.", []string{"mode"}, nil)
	cacheMisses    = prometheus.NewDesc("flight_cache_misses_total", "Files of datasets that were asked for and not in the cache.", []string{"mode"}, nil)
	cacheEvictions = prometheus.NewDesc("flight_cache_evictions_total", "Files that went from the cache to make room.", []string{"mode"}, nil)
	cacheFailures  = prometheus.NewDesc("flight_cache_failures_total", "Files that could not be kept in the cache, or no longer be read from it; the log says why.", []string{"mode"}, nil)
)

// cacheCollector tells how the caches fare that are used.
type cacheCollector struct{ catalog *catalog.Catalog }

func (c cacheCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{cacheUsable, cacheBytes, cacheLimit, cacheHits, cacheMisses, cacheEvictions, cacheFailures} {
		descs <- d
	}
}

func (c cacheCollector) Collect(out chan<- prometheus.Metric) {
	for mode, usable := range c.catalog.Usable() {
		n := int64(0)
		if usable {
			n = 1
		}
		tell(out, cacheUsable, prometheus.GaugeValue, n, string(mode))
	}
	for _, s := range c.catalog.CacheStats() {
		mode := string(s.Mode)
		tell(out, cacheBytes, prometheus.GaugeValue, s.Bytes, mode)
		tell(out, cacheLimit, prometheus.GaugeValue, s.Limit, mode)
		tell(out, cacheHits, prometheus.CounterValue, s.Hits, mode)
		tell(out, cacheMisses, prometheus.CounterValue, s.Misses, mode)
		tell(out, cacheEvictions, prometheus.CounterValue, s.Evictions, mode)
		tell(out, cacheFailures, prometheus.CounterValue, s.Failures, mode)
	}
}

var (
	certificateEnd = prometheus.NewDesc("flight_certificate_not_after_timestamp_seconds", "When the certificate that is presented to clients ends.", nil, nil)
	reloadFailures = prometheus.NewDesc("flight_certificate_reload_failures_total", "Times that something was wrong with the certificate, its key or the client CAs.", nil, nil)
)

// tlsCollector tells how a server's TLS fares.
type tlsCollector struct{ source *certs.Source }

func (c tlsCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- certificateEnd
	descs <- reloadFailures
}

func (c tlsCollector) Collect(out chan<- prometheus.Metric) {
	state := c.source.State()
	if state.Certificate != nil {
		out <- prometheus.MustNewConstMetric(certificateEnd, prometheus.GaugeValue, float64(state.Certificate.Leaf.NotAfter.Unix()))
	}
	out <- prometheus.MustNewConstMetric(reloadFailures, prometheus.CounterValue, float64(state.Failures))
}
