package probe

import (
	"fmt"
	"time"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
)

// Result is what the probes of one server came to.
type Result struct {
	// State after the last probe. A server keeps its state until the failure threshold is reached.
	State v1alpha1.ServerState
	// Reason and Message say why, unless the state is ServerServing. They are the same for the same trouble, probe after probe.
	Reason  string
	Message string
	// Health is the last answer, nil before the first. It is shared: nobody may change it. While the server is unreachable it is out of date.
	Health *flightruntime.Health
	// Failures counts the probes in a row that failed.
	Failures int
	// LastProbe is when the last probe began, and Latency how long it took.
	LastProbe time.Time
	Latency   time.Duration
}

// Answers tells whether Health is what the server says now.
func (r Result) Answers() bool {
	return r.Health != nil && (r.State == v1alpha1.ServerServing || r.State == v1alpha1.ServerNotServing)
}

// outcome is what a single probe came to: an answer, or a reason and a message.
type outcome struct {
	health  *flightruntime.Health
	reason  string
	message string
	begun   time.Time
	took    time.Duration
}

// after is the result once another probe has been made.
func (r Result) after(o outcome, failureThreshold int) Result {
	r.LastProbe, r.Latency = o.begun, o.took
	if o.health == nil {
		r.Failures++
		if r.Failures >= failureThreshold {
			r.State, r.Reason, r.Message = v1alpha1.ServerUnreachable, o.reason, o.message
		}
		return r
	}
	r.Failures = 0
	r.Health = o.health
	r.State, r.Reason, r.Message = v1alpha1.ServerServing, "", ""
	if o.health.Status == flightruntime.NotServing {
		r.State, r.Reason, r.Message = v1alpha1.ServerNotServing, v1alpha1.ReasonNotServing, notServing(o.health)
	}
	return r
}

func notServing(h *flightruntime.Health) string {
	if h.ConfigError != "" {
		return fmt.Sprintf("answers %s: %s", h.Status, h.ConfigError)
	}
	return fmt.Sprintf("answers %s: it is starting or being stopped", h.Status)
}

// sameMatter tells whether two results say the same of a server, figures that change by the minute left out.
func sameMatter(a, b Result) bool {
	return a.LastProbe.IsZero() == b.LastProbe.IsZero() && a.State == b.State && a.Reason == b.Reason && a.Message == b.Message && sameHealth(a.Health, b.Health)
}

func sameHealth(a, b *flightruntime.Health) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Status != b.Status || a.Version != b.Version || a.ConfigHash != b.ConfigHash || a.ConfigError != b.ConfigError || len(a.Datasets) != len(b.Datasets) {
		return false
	}
	for i, d := range a.Datasets {
		d.RefreshedAt = b.Datasets[i].RefreshedAt
		if d != b.Datasets[i] {
			return false
		}
	}
	return true
}

// settled tells whether the next answer is expected to be like the last one, so that there is no hurry to ask again.
func settled(r Result, ready bool, configHash string) bool {
	if !r.Answers() {
		return !ready || r.State == v1alpha1.ServerUnreachable
	}
	if r.Failures > 0 {
		return true
	}
	if r.Health.ConfigHash != configHash {
		return false
	}
	for _, d := range r.Health.Datasets {
		if d.State == flightruntime.DatasetLoading {
			return false
		}
	}
	return true
}
