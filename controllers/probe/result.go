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
	// Leaf is the certificate that the server presented in the last handshake that came to an answer, nil without TLS and before the first.
	Leaf *Leaf
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

// Content is what the server says that it serves and, of its certificate, what it was seen to present. Only what Health says now counts.
func (r Result) Content() Content {
	if !r.Answers() {
		return Content{}
	}
	c := Content{ConfigHash: r.Health.ConfigHash}
	if r.Leaf != nil {
		c.Fingerprint = r.Leaf.Fingerprint
	}
	if h := r.Health.Certificate; h != nil {
		c.Chain, c.ClientCA = h.Digest, h.ClientCADigest
	}
	if h := r.Health.Auth; h != nil {
		c.Auth = h.Digest
	}
	return c
}

// Serves tells whether content is what is wanted. What is not known to be wanted is not compared.
func (c Content) Serves(wanted Content) bool {
	same := func(have, want string) bool { return want == "" || have == want }
	return c.ConfigHash == wanted.ConfigHash && same(c.Fingerprint, wanted.Fingerprint) && same(c.Chain, wanted.Chain) && same(c.ClientCA, wanted.ClientCA) && same(c.Auth, wanted.Auth)
}

// outcome is what a single probe came to: an answer, or a reason and a message.
type outcome struct {
	health  *flightruntime.Health
	leaf    *Leaf
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
	r.Health, r.Leaf = o.health, o.leaf
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
	return a.LastProbe.IsZero() == b.LastProbe.IsZero() && a.State == b.State && a.Reason == b.Reason && a.Message == b.Message &&
		sameLeaf(a.Leaf, b.Leaf) && sameHealth(a.Health, b.Health)
}

func sameLeaf(a, b *Leaf) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Fingerprint == b.Fingerprint
}

func sameAuth(a, b *flightruntime.AuthHealth) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func sameCertificate(a, b *flightruntime.CertificateHealth) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func sameHealth(a, b *flightruntime.Health) bool {
	if a == nil || b == nil {
		return a == b
	}
	if !sameCertificate(a.Certificate, b.Certificate) || !sameAuth(a.Auth, b.Auth) {
		return false
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
func settled(r Result, ready bool, wanted Content) bool {
	if !r.Answers() {
		return !ready || r.State == v1alpha1.ServerUnreachable
	}
	if r.Failures > 0 {
		return true
	}
	if !r.Content().Serves(wanted) {
		return false
	}
	for _, d := range r.Health.Datasets {
		if d.State == flightruntime.DatasetLoading {
			return false
		}
	}
	return true
}
