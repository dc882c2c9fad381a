package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// The file is parsed once where it is served as it was at start, and followed from there: also back to that.
func TestTheConfigurationIsFollowedBackToTheFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runtime.yaml")
	c := &config.Config{APIVersion: config.APIVersion, Kind: config.Kind, Name: "data/trips", Limits: config.DefaultLimits()}
	first, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	c.Limits.MaxMessageBytes *= 2
	second, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	become := func(content []byte) {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	become(first)
	client, err := flightruntime.Connect("grpc://"+startServe(t, file), flightruntime.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, step := range []struct {
		content, served []byte
		rejected        bool
	}{
		{first, first, false},
		{[]byte("limits: nonsense"), first, true},
		{first, first, false},
		{second, second, false},
		{first, first, false},
	} {
		become(step.content)
		for { // until it is so
			h, err := client.HealthCheck(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if h.ConfigHash == config.Hash(step.served) && (h.ConfigError != "") == step.rejected {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}
