package flightruntime

import (
	"time"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// Names of the actions that the bundled server answers.
const (
	ActionHealthCheck = "HealthCheck"
	ActionStatus      = "Status"
	ActionRefresh     = "Refresh"
)

// Health is the answer to the HealthCheck action: one result, as JSON.
type Health struct {
	Status  HealthStatus `json:"status"`
	Version string       `json:"version"`
	// ConfigHash identifies the configuration that is served: the hash of the bytes of runtime.yaml.
	ConfigHash string `json:"configHash"`
	// ConfigError says why a newer configuration is not served; the one of ConfigHash goes on being served.
	ConfigError string `json:"configError,omitempty"`
	// ActiveStreams counts the calls that are running, this one not among them.
	ActiveStreams int             `json:"activeStreams"`
	Datasets      []DatasetHealth `json:"datasets"`
	// Certificate is what new connections are presented; nil for a server that speaks plain text.
	Certificate *CertificateHealth `json:"certificate,omitempty"`
	// Auth is nil for a server that lets everybody do everything.
	Auth *AuthHealth `json:"auth,omitempty"`
}

// AuthHealth is the auth that a server goes by, and why it is not newer.
type AuthHealth struct {
	// Digest identifies the users, tokens and keys that are in force.
	Digest string `json:"digest"`
	// Message says why newer ones, or newer rules, are not in force, and the mend.
	Message string `json:"message,omitempty"`
}

// CertificateHealth is the certificate that a server presents, and why it is not a newer one.
type CertificateHealth struct {
	// Fingerprint is the SHA-256 of the certificate in DER, in lower-case hexadecimal; empty while there is none.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Digest is the SHA-256 of the file that its chain was read from.
	Digest string `json:"digest,omitempty"`
	// NotAfter is when it ends.
	NotAfter time.Time `json:"notAfter,omitzero"`
	// ClientCADigest is the SHA-256 of the file with the CA certificates that clients are checked against; empty if they are not, and while
	// there are none.
	ClientCADigest string `json:"clientCADigest,omitempty"`
	// Reason and Message say why a newer certificate, or newer CA certificates, are not served, and the mend.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// CertificateHealthOf is how a server's TLS fares, for the answer to HealthCheck; nil without a source.
func CertificateHealthOf(source *certs.Source) *CertificateHealth {
	if source == nil {
		return nil
	}
	state := source.State()
	h := &CertificateHealth{ClientCADigest: state.ClientCADigest}
	if c := state.Certificate; c != nil {
		h.Fingerprint, h.Digest, h.NotAfter = certs.Fingerprint(c.Leaf), c.Digest, c.Leaf.NotAfter.UTC()
	}
	if p := state.Problem; p != nil {
		h.Reason, h.Message = string(p.Reason), p.Message
	}
	return h
}

// HealthStatus says whether a server serves.
type HealthStatus string

// Values of HealthStatus.
const (
	Serving    HealthStatus = "SERVING"
	NotServing HealthStatus = "NOT_SERVING"
)

// DatasetHealth is how one dataset fares on one server.
type DatasetHealth struct {
	Name  string       `json:"name"`
	State DatasetState `json:"state"`
	// Rows, Bytes and Files of the version that is served.
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"`
	Files int   `json:"files"`
	// CachedBytes are those that the cache holds of it.
	CachedBytes int64 `json:"cachedBytes,omitempty"`
	// SchemaFingerprint is equal for equal schemas; empty while nothing is served.
	SchemaFingerprint string `json:"schemaFingerprint,omitempty"`
	// RefreshedAt is when the served version was read.
	RefreshedAt time.Time `json:"refreshedAt,omitzero"`
	// Message says what is wrong, and the mend.
	Message string `json:"message,omitempty"`
}

// DatasetState is how a dataset fares on a server.
type DatasetState string

// Values of DatasetState.
const (
	// DatasetReady: the newest version is served.
	DatasetReady DatasetState = "Ready"
	// DatasetLoading: the first version, or one that a new configuration asks for, is being read.
	DatasetLoading DatasetState = "Loading"
	// DatasetDegraded: the newest version cannot be read, the one before is served.
	DatasetDegraded DatasetState = "Degraded"
	// DatasetFailed: no version can be served.
	DatasetFailed DatasetState = "Failed"
)
