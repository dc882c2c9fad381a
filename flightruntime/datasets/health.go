package datasets

import (
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/internal/text"
	"github.com/flight-operator/flight-operator/internal/version"
)

// Health is what HealthCheck answers.
func (s *Service) Health() flightruntime.Health {
	h := flightruntime.Health{
		Status:        flightruntime.NotServing,
		Version:       version.Version,
		ActiveStreams: s.activeCalls(),
		Certificate:   flightruntime.CertificateHealthOf(s.tls),
		Datasets:      []flightruntime.DatasetHealth{},
	}
	loaded := s.loaded.Load()
	if loaded == nil {
		return h
	}
	h.ConfigHash = loaded.hash
	if loaded.newerErr != nil {
		h.ConfigError = loaded.newerErr.Error()
	}
	if loaded.Config != nil && !s.draining.Load() {
		h.Status = flightruntime.Serving
	}
	for _, d := range s.catalog.Statuses() {
		h.Datasets = append(h.Datasets, datasetHealth(d))
	}
	return h
}

// maxMessage keeps the answer to HealthCheck for a thousand datasets well below the 4 MiB that clients take.
const maxMessage = 1 << 10

func datasetHealth(d catalog.Status) flightruntime.DatasetHealth {
	h := flightruntime.DatasetHealth{Name: d.Name, State: flightruntime.DatasetState(d.State), Message: text.Cut(d.Message, maxMessage)}
	if s := d.Snapshot; s != nil {
		h.Rows, h.Bytes, h.Files = s.Layout.Rows(), s.Layout.Bytes(), len(s.Layout.Parts)
		h.SchemaFingerprint, h.RefreshedAt = s.SchemaFingerprint, s.ReadAt
	}
	return h
}
