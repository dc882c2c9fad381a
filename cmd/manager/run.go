package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/flight-operator/flight-operator/controllers"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/internal/version"
)

// leaderElectionID is the name of the Lease.
const leaderElectionID = "flight-operator"

// run is the whole program until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.version {
		_, err := fmt.Fprintln(stdout, version.Version)
		return err
	}
	logger := logr.FromSlogHandler(handler(o, stderr))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)

	kubeconfig, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	mgr, err := newManager(ctx, kubeconfig, o)
	if err != nil {
		return err
	}
	logger.Info("starting", "version", version.Version, "runtimeImage", o.runtimeImage, "namespaces", o.namespaces)
	return mgr.Start(ctx)
}

func handler(o *options, w io.Writer) slog.Handler {
	opts := &slog.HandlerOptions{Level: o.logLevel}
	if o.logFormat == "text" {
		return slog.NewTextHandler(w, opts)
	}
	return slog.NewJSONHandler(w, opts)
}

// newManager puts the program together.
func newManager(ctx context.Context, kubeconfig *rest.Config, o *options) (ctrl.Manager, error) {
	kubeconfig = rest.CopyConfig(kubeconfig)
	kubeconfig.QPS, kubeconfig.Burst = o.qps, o.burst
	kubeconfig.UserAgent = "flight-operator/" + version.Version
	scheme, err := controllers.Scheme()
	if err != nil {
		return nil, fmt.Errorf("register the API types: %w", err)
	}
	mgr, err := ctrl.NewManager(kubeconfig, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   controllers.CacheOptions(o.namespaces),
		Metrics:                 metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:  o.healthAddress,
		LeaderElection:          o.leaderElect,
		LeaderElectionID:        leaderElectionID,
		LeaderElectionNamespace: o.leaderElectionNamespace,
		// The program ends with the manager, so that the next leader need not wait for the Lease to run out.
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	authority, err := pki.NewAuthority(pki.Options{
		Client:    mgr.GetClient(),
		Reader:    mgr.GetAPIReader(),
		Namespace: o.operatorNamespace,
		Policy:    pki.Policy{Life: o.caLifetime, Overlap: o.caOverlap},
		Servers:   controllers.ServersWithTLS(mgr.GetClient()),
	})
	if err != nil {
		return nil, err
	}
	identity := pki.NewIdentity(authority)
	prober := probe.NewPool(func() (*tls.Certificate, error) { return identity.GetClientCertificate(nil) })
	reconciler := &controllers.FlightServerReconciler{
		RuntimeImage:            o.runtimeImage,
		Prober:                  prober,
		Authority:               authority,
		Namespaces:              controllers.CacheNamespaces(o.namespaces),
		ClusterDomain:           o.clusterDomain,
		CAOverlap:               o.caOverlap,
		MaxConcurrentReconciles: o.maxConcurrentReconciles,
	}
	if err := errors.Join(mgr.Add(authority), mgr.Add(prober)); err != nil {
		return nil, fmt.Errorf("add the operator's CA and the prober: %w", err)
	}
	if err := reconciler.SetupWithManager(ctx, mgr); err != nil {
		return nil, fmt.Errorf("set up the controller: %w", err)
	}
	return mgr, errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping))
}
