package main

import (
	"testing"

	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// A configuration may be that of pods with more memory, which are about to take this one's place.
func TestCachesFitIntoThePod(t *testing.T) {
	c := &config.Config{
		APIVersion: config.APIVersion, Kind: config.Kind, Name: "taxi", Limits: config.DefaultLimits(), Datasets: []config.Dataset{{Name: "a", Format: "CSV", Inline: &config.Inline{Data: "a\n1\n"}, Cache: "Memory"}},
		Cache: &config.Cache{Memory: &config.MemoryCache{SizeLimit: 8 << 30}, Disk: &config.DiskCache{Dir: "/cache", SizeLimit: 100 << 30}},
	}
	raw, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(config.EnvMemoryCache, "1073741824")
	t.Setenv(config.EnvDiskCache, "10737418240")
	got, _, err := parseRuntimeYAML(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got.Cache.Memory.SizeLimit != 1<<30 || got.Cache.Disk.SizeLimit != 10<<30 {
		t.Errorf("%+v and %+v, want what the pod has room for", got.Cache.Memory, got.Cache.Disk)
	}
}
