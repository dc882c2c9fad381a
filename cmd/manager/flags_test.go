package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFlags(t *testing.T) {
	const image = "--runtime-image=example.test/flightruntime:v1"
	o, err := parse([]string{image, "--operator-namespace=flight", "--ca-overlap=1h", "--namespace=a,b", "--namespace=c", "--leader-elect", "--log-level=debug", "--log-format=text", "--max-concurrent-reconciles=3"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, o.namespaces); diff != "" {
		t.Error(diff)
	}
	if !o.leaderElect || o.logLevel != slog.LevelDebug || o.logFormat != "text" || o.maxConcurrentReconciles != 3 || o.caOverlap != time.Hour || o.operatorNamespace != "flight" {
		t.Errorf("got %+v", o)
	}

	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no image", nil, "--runtime-image is missing"},
		{"a namespace that cannot be", []string{image, "--namespace=A"}, `"A" is not the name of a namespace`},
		{"an unknown level", []string{image, "--log-level=loud"}, `expected debug, info, warn or error, got "loud"`},
		{"an unknown format", []string{image, "--log-format=xml"}, `expected json or text, got "xml"`},
		{"no workers", []string{image, "--max-concurrent-reconciles=0"}, "expected at least 1, got 0"},
		{"no namespace of its own", []string{image}, "--operator-namespace is missing, and this is no pod"},
		{"a word", []string{image, "start"}, `expected flags alone, got ["start"]`},
		{"an unknown flag", []string{image, "--nonsense"}, "--nonsense"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parse(c.args); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("expected an error with %q, got %v", c.want, err)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if err := run(context.Background(), []string{"--version"}, &out, &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != "dev\n" {
		t.Errorf("got %q", out.String())
	}
}
