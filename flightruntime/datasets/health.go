package datasets

import (
	"context"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
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
	if s.auth != nil {
		h.Auth = s.auth()
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

// healthFor is what HealthCheck answers a caller: status alone to those who may not run it, and of the datasets those that they may run it on.
func (s *Service) healthFor(ctx context.Context, c caller) ([][]byte, error) {
	h := s.Health()
	if !flightruntime.CallOf(ctx).IsOperator() {
		h.ActiveStreams-- // this very call
	}
	if c.unbound() {
		return jsonResults(h)
	}
	if err := c.mayAct(flightruntime.ActionHealthCheck); err != nil {
		return jsonResults(struct {
			Status flightruntime.HealthStatus `json:"status"`
		}{h.Status})
	}
	all := len(h.Datasets)
	h.Datasets = []flightruntime.DatasetHealth{}
	for _, d := range s.catalog.Statuses() {
		p := permit{caller: c, verb: authz.Action, action: flightruntime.ActionHealthCheck, dataset: d.Name}
		var ok bool
		if p.grant, ok = p.allowed(); ok {
			h.Datasets = append(h.Datasets, p.health(d))
		}
	}
	if len(h.Datasets) < all { // it may name the others
		h.ConfigError = ""
	}
	return jsonResults(h)
}

// health is how a dataset fares, without what is hidden from the caller: how much there is, what its columns are, and what is wrong with it.
func (p permit) health(d catalog.Status) flightruntime.DatasetHealth {
	h := datasetHealth(d)
	if p.narrowed() {
		h.Rows, h.Bytes, h.Files, h.SchemaFingerprint, h.Message = -1, -1, -1, "", ""
		h.CachedBytes = 0
	}
	return h
}

// maxMessage keeps the answer to HealthCheck for a thousand datasets well below the 4 MiB that clients take.
const maxMessage = 1 << 10

func datasetHealth(d catalog.Status) flightruntime.DatasetHealth {
	h := flightruntime.DatasetHealth{Name: d.Name, State: flightruntime.DatasetState(d.State), Message: text.Cut(d.Message, maxMessage)}
	if s := d.Snapshot; s != nil {
		h.Rows, h.Bytes, h.Files = s.Layout.Rows(), s.Layout.Bytes(), len(s.Layout.Parts)
		h.CachedBytes = s.CachedBytes()
		h.SchemaFingerprint, h.RefreshedAt = s.SchemaFingerprint, s.ReadAt
	}
	return h
}
