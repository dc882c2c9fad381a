// Package config is the contract between the operator and the runtime: the type of runtime.yaml, its defaults, its validation, and how it
// follows from a FlightServer. The operator renders it, the runtime reads it; every rule of meaning stands here, once.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// The version of the contract, as runtime.yaml names it.
const (
	APIVersion = "runtime.flightoperator.dev/v1alpha1"
	Kind       = "RuntimeConfig"
	// FileName is the key in the ConfigMap that the operator renders, and the file's name in a pod.
	FileName = "runtime.yaml"
)

// Config is all that a server needs to know to serve.
type Config struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Name of the FlightServer, as namespace/name, for logs.
	Name     string    `json:"name"`
	Datasets []Dataset `json:"datasets,omitempty"`
	Limits   Limits    `json:"limits"`
	// Cache bounds what datasets with a Cache take; nil if none has one.
	Cache *Cache `json:"cache,omitempty"`
	// ExternalAddress is the Flight location that endpoints name beside the place where they were got.
	ExternalAddress string `json:"externalAddress,omitempty"`
	// TLS is nil for a server that speaks plain text.
	TLS *TLS `json:"tls,omitempty"`
	// Auth is nil for a server that lets everybody do everything.
	Auth *Auth `json:"auth,omitempty"`
}

// Dataset is a table served under one name. Exactly one of Inline, Files and Missing is set.
type Dataset struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Format is one of the names in package format.
	Format string  `json:"format"`
	Inline *Inline `json:"inline,omitempty"`
	Files  *Files  `json:"files,omitempty"`
	// Missing says why there is nothing to read, and the mend: the dataset's ConfigMap or claim does not exist.
	Missing string `json:"missing,omitempty"`
	// RefreshInterval is the time between two looks at the files; 0 means never.
	RefreshInterval metav1.Duration `json:"refreshInterval"`
	// Access says what clients may do besides reading; see Allows. With Append and ReadWrite, the batches that they put become further files
	// of the glob in Files. ReadOnly is not rendered: servers from before there was Append refuse a field that they do not know.
	Access v1alpha1.Access `json:"access,omitempty"`
	// Cache is where the dataset is kept as it is sent: Memory or Disk. None is not rendered, as ReadOnly is not.
	Cache v1alpha1.CacheMode `json:"cache,omitempty"`
}

// Inline is text in the configuration itself.
type Inline struct {
	Data string `json:"data"`
}

// Files are files below a directory.
type Files struct {
	// Root is the directory that no path leaves.
	Root string `json:"root"`
	// Path below the root: one file, or a glob.
	Path string `json:"path"`
	// SHA256 of the one file that Path names, in hexadecimal. It is set for keys of ConfigMaps, which reach a pod apart from this
	// configuration: only with the very content that the operator saw is the dataset up to date. Such a file is held in memory.
	SHA256 string `json:"sha256,omitempty"`
}

// Limits bound what a server does for its callers.
type Limits struct {
	MaxMessageBytes int64           `json:"maxMessageBytes"`
	MaxStreams      int32           `json:"maxStreams"`
	MaxCallDuration metav1.Duration `json:"maxCallDuration"`
	DrainTimeout    metav1.Duration `json:"drainTimeout"`
	// MaxConnectionAge is how long a connection takes new calls; 0 means without end.
	MaxConnectionAge metav1.Duration `json:"maxConnectionAge,omitzero"`
}

// Defaults of what a FlightServer leaves out.
const (
	// DefaultMaxMessageBytes is far above what we send (messages are cut to 4 MiB at most) and lets in what pyarrow puts by default.
	DefaultMaxMessageBytes = 64 << 20
	// DefaultMaxStreams calls on one connection: several times what a client with a thread a core needs.
	DefaultMaxStreams      = 512
	DefaultMaxCallDuration = time.Hour
	DefaultDrainTimeout    = time.Minute
	DefaultRefreshInterval = time.Minute
)

// DefaultLimits are the limits of a FlightServer that sets none.
func DefaultLimits() Limits {
	return Limits{
		MaxMessageBytes: DefaultMaxMessageBytes,
		MaxStreams:      DefaultMaxStreams,
		MaxCallDuration: metav1.Duration{Duration: DefaultMaxCallDuration},
		DrainTimeout:    metav1.Duration{Duration: DefaultDrainTimeout},
	}
}

// Parse reads runtime.yaml. A field that it does not know, or a value that breaks a rule, is an error that names the field.
func Parse(data []byte) (*Config, error) {
	var c Config
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		return nil, fmt.Errorf("not a runtime configuration: %w", cleanYAMLError(err))
	}
	if c.APIVersion != APIVersion || c.Kind != Kind {
		return nil, fmt.Errorf("expected apiVersion %s and kind %s, got apiVersion %q and kind %q", APIVersion, Kind, c.APIVersion, c.Kind)
	}
	if errs := c.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("invalid runtime configuration: %w", errs.ToAggregate())
	}
	return &c, nil
}

// Marshal writes runtime.yaml. Equal configurations give equal bytes.
func (c *Config) Marshal() ([]byte, error) { return yaml.Marshal(c) }

// Hash identifies the bytes of a configuration: what a server reports as its configHash, and what the operator compares that to.
func Hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// Digest is the SHA-256 of a ConfigMap's key, as Files.SHA256 carries it.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// cleanYAMLError takes the wrappings of the YAML and JSON libraries off an error, leaving what was wrong.
func cleanYAMLError(err error) error {
	msg := err.Error()
	for _, prefix := range []string{"error unmarshaling JSON: ", "error converting YAML to JSON: ", "while decoding JSON: ", "yaml: ", "json: "} {
		msg = strings.TrimPrefix(msg, prefix)
	}
	return errors.New(msg)
}
