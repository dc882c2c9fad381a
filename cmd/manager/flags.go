package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/flight-operator/flight-operator/controllers/pki"
)

// options are what the command line says.
type options struct {
	runtimeImage            string
	namespaces              []string
	leaderElect             bool
	leaderElectionNamespace string
	operatorNamespace       string
	clusterDomain           string
	caLifetime              time.Duration
	caOverlap               time.Duration
	metricsAddress          string
	healthAddress           string
	maxConcurrentReconciles int
	qps                     float32
	burst                   int
	logLevel                slog.Level
	logFormat               string
	version                 bool
}

// defaultReconciles are enough for thousands of FlightServers: a reconciliation waits for the API server only.
const defaultReconciles = 8

// The API server keeps its clients fair by itself; these only keep a mistake of ours from becoming its load.
const (
	defaultQPS   = 200
	defaultBurst = 400
)

// parse reads the command line. It returns pflag.ErrHelp after it has printed the usage.
func parse(args []string) (*options, error) {
	o := &options{}
	level := "info"
	flags := pflag.NewFlagSet("manager", pflag.ContinueOnError)
	flags.StringVar(&o.runtimeImage, "runtime-image", "", "image of the Flight servers whose FlightServer names none (required)")
	flags.StringSliceVar(&o.namespaces, "namespace", nil, "namespaces to work in, by commas or by repeating the flag; all if left out")
	flags.BoolVar(&o.leaderElect, "leader-elect", false, "let one of several replicas work at a time")
	flags.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "", "namespace of the Lease, that of the pod if left out")
	flags.StringVar(&o.operatorNamespace, "operator-namespace", "", "namespace of the Secret with the operator's own CA, that of the pod if left out")
	flags.StringVar(&o.clusterDomain, "cluster-domain", "cluster.local", "domain of the cluster, which the full names of Services end in")
	flags.DurationVar(&o.caLifetime, "ca-lifetime", pki.DefaultPolicy.Life, "lifetime of the operator's own CA, which is replaced after two thirds")
	flags.DurationVar(&o.caOverlap, "ca-overlap", pki.DefaultPolicy.Overlap, "time in which clients have to read ca.crt anew when a CA is replaced: so long the next one is announced, and the old one trusted")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", "address of /metrics in plain HTTP; 0 serves none")
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	flags.IntVar(&o.maxConcurrentReconciles, "max-concurrent-reconciles", defaultReconciles, "FlightServers that are worked on at a time")
	flags.Float32Var(&o.qps, "kube-api-qps", defaultQPS, "requests a second to the API server")
	flags.IntVar(&o.burst, "kube-api-burst", defaultBurst, "requests to the API server beyond that in a burst")
	flags.StringVar(&level, "log-level", level, "debug, info, warn or error")
	flags.StringVar(&o.logFormat, "log-format", "json", "json or text")
	flags.BoolVar(&o.version, "version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("expected flags alone, got %q", flags.Args())
	}
	if err := o.logLevel.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: expected debug, info, warn or error, got %q", level)
	}
	if o.version {
		return o, nil
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return o, nil
}

// namespaceFile is where the kubelet tells a pod its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func podNamespace() (string, error) {
	data, err := os.ReadFile(namespaceFile)
	return strings.TrimSpace(string(data)), err
}

func (o *options) check() error {
	if o.runtimeImage == "" {
		return fmt.Errorf("--runtime-image is missing: name the image of the Flight servers, for instance ghcr.io/flight-operator/flightruntime:v1.0.0")
	}
	for _, ns := range o.namespaces {
		if errs := validation.IsDNS1123Label(ns); len(errs) > 0 {
			return fmt.Errorf("--namespace: %q is not the name of a namespace: %s", ns, errs[0])
		}
	}
	if o.logFormat != "json" && o.logFormat != "text" {
		return fmt.Errorf("--log-format: expected json or text, got %q", o.logFormat)
	}
	if o.maxConcurrentReconciles < 1 {
		return fmt.Errorf("--max-concurrent-reconciles: expected at least 1, got %d", o.maxConcurrentReconciles)
	}
	if o.operatorNamespace == "" {
		namespace, err := podNamespace()
		if err != nil {
			return fmt.Errorf("--operator-namespace is missing, and this is no pod: %w", err)
		}
		o.operatorNamespace = namespace
	}
	return nil
}
