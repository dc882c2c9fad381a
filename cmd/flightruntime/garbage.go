package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// A stream leaves behind as much garbage as it sends, and lives on little memory itself. By Go's default, which is to collect when there is as
// much garbage as there is else, a server of one stream would collect some fifty times a second.

const (
	// garbage bytes may come together before they are collected, where there is memory enough: a few collections a second at a gigabyte a
	// second, of little that lives.
	garbage = 128 << 20
	// garbageShare of the memory of a small pod is for that at most, as a divisor.
	garbageShare = 8
	// leastPercent: where more lives, garbage is half of it, for most of that are pages and batches, which cost the collector nothing.
	leastPercent = 50
	// leastHeap is what the collector takes for what lives if it is less.
	leastHeap = 4 << 20
)

// tuneGarbageCollection has the garbage collector go by bytes of garbage, unless the user says otherwise by GOGC. A limit by GOMEMLIMIT holds all the
// same.
func tuneGarbageCollection() {
	if os.Getenv("GOGC") != "" {
		return
	}
	most := min(garbage, memoryToUse()/garbageShare)
	percent := 100
	// What is finalised, over and over, tells of the end of each collection.
	var collected func(*collection)
	collected = func(c *collection) {
		if p := gcPercent(liveBytes(), most); differs(p, percent) {
			percent = p
			debug.SetGCPercent(p)
		}
		runtime.SetFinalizer(c, collected)
	}
	collected(new(collection))
}

// collection is something that no one has. It has a pointer, for what has none may share its memory with others.
type collection struct{ _ *int }

// gcPercent is how much garbage there may be, in percent of what lives.
func gcPercent(live, garbage uint64) int {
	return int(max(garbage*100/max(live, leastHeap), leastPercent))
}

// differs by more than a tenth: to set the percentage stops the world.
func differs(a, b int) bool { return a*10 > b*11 || b*10 > a*11 }

// liveBytes are those that the last collection found in use.
func liveBytes() uint64 {
	s := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(s)
	return s[0].Value.Uint64()
}

// pageBudget is what is held for those who read Parquet while their clients do not read on.
func pageBudget() *format.PageBudget {
	return format.NewPageBudget(format.PageBytes(int64(memoryToUse())))
}

// memoryToUse is the limit by GOMEMLIMIT, or that of the container.
func memoryToUse() uint64 {
	limit := uint64(debug.SetMemoryLimit(-1))
	if raw, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		limit = min(limit, cgroupLimit(string(raw)))
	}
	return limit
}

// cgroupLimit is what a file memory.max says; "max" is none.
func cgroupLimit(raw string) uint64 {
	n, err := strconv.ParseUint(strings.TrimSpace(raw), 10, 63)
	if err != nil {
		return math.MaxInt64
	}
	return n
}
