package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestBuildLog(t *testing.T) {
	for _, test := range []struct {
		name, output, status, tail string
	}{
		{
			name:   "nothing yet",
			status: "loading packages, or linking",
		},
		{
			name:   "downloads and packages are counted",
			output: "go: downloading k8s.io/api v0.35.4\ninternal/goarch\nk8s.io/api/core/v1\n",
			status: "1 modules downloaded, 2 packages compiled, last k8s.io/api/core/v1",
		},
		{
			name:   "the compiler complains",
			output: "x/y\n# x/y\ny/y.go:3:2: undefined: z\n",
			status: "0 modules downloaded, 1 packages compiled, last x/y",
			tail:   "# x/y\ny/y.go:3:2: undefined: z",
		},
		{
			name:   "the last line has no end",
			output: "go: no such module",
			status: "loading packages, or linking",
			tail:   "go: no such module",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log buildLog
			for _, piece := range strings.SplitAfter(test.output, "o") { // lines come in pieces
				if _, err := log.Write([]byte(piece)); err != nil {
					t.Fatal(err)
				}
			}
			if got := log.status(); got != test.status {
				t.Errorf("status %q, want %q", got, test.status)
			}
			if got := log.tail(); got != test.tail {
				t.Errorf("tail %q, want %q", got, test.tail)
			}
		})
	}
}

func TestBuildLogKeepsTheLastComplaints(t *testing.T) {
	var log buildLog
	for i := range 10 * maxComplaints {
		fmt.Fprintf(&log, "error: %d\n", i)
	}
	lines := strings.Split(log.tail(), "\n")
	if want := fmt.Sprintf("error: %d", 10*maxComplaints-1); len(lines) != maxComplaints || lines[len(lines)-1] != want {
		t.Errorf("%d lines, the last %q; want %d, the last %q", len(lines), lines[len(lines)-1], maxComplaints, want)
	}
}

func TestLastLines(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"a\n", "a"},
		{"a\nb", "a\nb"},
		{"a\nb\nc\n\n", "b\nc"},
	} {
		if got := lastLines(test.text, 2); got != test.want {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
}
