// Package version tells which release a binary is.
package version

// Version of the binary, set when it is linked: -ldflags "-X github.com/flight-operator/flight-operator/internal/version.Version=v1.2.3".
var Version = "dev"
