package main

import (
	"math"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"testing"
	"time"
)

func TestGCPercent(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		what          string
		live, garbage uint64
		want          int
	}{
		{"before the first collection", 0, 128 * mib, 3200},
		{"an idle server", 8 * mib, 128 * mib, 1600},
		{"one stream", 32 * mib, 128 * mib, 400},
		{"as much lives as there may be garbage", 128 * mib, 128 * mib, 100},
		{"many streams", 256 * mib, 128 * mib, 50},
		{"gigabytes live", 4096 * mib, 128 * mib, 50},
		{"a pod of 64 MiB", 16 * mib, 8 * mib, 50},
	} {
		if got := gcPercent(c.live, c.garbage); got != c.want {
			t.Errorf("%s: got %d, want %d", c.what, got, c.want)
		}
	}
}

func TestCgroupLimit(t *testing.T) {
	for raw, want := range map[string]uint64{"max\n": math.MaxInt64, "536870912\n": 512 << 20, "": math.MaxInt64} {
		if got := cgroupLimit(raw); got != want {
			t.Errorf("%q: got %d, want %d", raw, got, want)
		}
	}
}

// The percentage follows what lives, whose amount the collector tells.
func TestGarbageCollectionIsTuned(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(100)
	tuneGarbageCollection()
	until := func(what string, ok func(percent uint64) bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			runtime.GC()
			s := []runtimemetrics.Sample{{Name: "/gc/gogc:percent"}}
			runtimemetrics.Read(s)
			if ok(s[0].Value.Uint64()) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: the percentage is %d", what, s[0].Value.Uint64())
			}
		}
	}
	until("little lives", func(p uint64) bool { return p > 200 })
	much := make([]byte, 512<<20)
	until("much lives", func(p uint64) bool { return p == leastPercent })
	runtime.KeepAlive(much)
	until("little lives again", func(p uint64) bool { return p > 200 })
}
