// Command cert-manager runs those of cert-manager's controllers that issue certificates inside of a cluster: self-signed
// and CA issuers, Certificates and their requests. The full one brings ACME and the libraries of every cloud.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	requestsca "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	requestsselfsigned "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	"github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	"github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

// names are the controllers that run.
var names = []string{
	issuers.ControllerName, clusterissuers.ControllerName,
	trigger.ControllerName, keymanager.ControllerName, requestmanager.ControllerName,
	issuing.ControllerName, readiness.ControllerName, revisionmanager.ControllerName,
	approver.ControllerName, requestsselfsigned.CRControllerName, requestsca.CRControllerName,
}

const (
	// workers is how many objects a controller works on at a time.
	workers = 2
	// readyAddress is where /readyz tells whether the controllers work.
	readyAddress = ":9403"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		slog.Error("cert-manager ends", "error", err)
		os.Exit(1)
	}
}

// run runs all controllers until ctx is done or one of them fails.
func run(ctx context.Context) error {
	factory, err := controller.NewContextFactory(ctx, options())
	if err != nil {
		return err
	}
	failed := make(chan error)
	for _, name := range names {
		c, err := controller.Known()[name](factory)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		go func() {
			if err := c.Run(workers, ctx); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		}()
	}
	shared, err := factory.Build()
	if err != nil {
		return err
	}
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	shared.SharedInformerFactory.Start(ctx.Done())
	var ready atomic.Bool
	go func() { failed <- serveReadiness(&ready) }()
	go func() {
		shared.KubeSharedInformerFactory.WaitForCacheSync(ctx.Done())
		shared.SharedInformerFactory.WaitForCacheSync(ctx.Done())
		ready.Store(true)
		slog.Info("cert-manager works", "controllers", len(names))
	}()
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// options are cert-manager's defaults, as far as these controllers ask for any.
func options() controller.ContextOptions {
	return controller.ContextOptions{
		Kubeconfig: os.Getenv("KUBECONFIG"), // empty: the service account of the pod
		// Where ClusterIssuers find their Secrets.
		IssuerOptions: controller.IssuerOptions{ClusterResourceNamespace: os.Getenv("POD_NAMESPACE")},
		CertificateOptions: controller.CertificateOptions{
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
	}
}

// serveReadiness answers at readyAddress until it fails.
func serveReadiness(ready *atomic.Bool) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ready.Load() {
			w.WriteHeader(http.StatusOK)
			return
		}
		http.Error(w, "the caches are not filled yet", http.StatusServiceUnavailable)
	})
	server := http.Server{Addr: readyAddress, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return fmt.Errorf("serving readiness at %s: %w", readyAddress, server.ListenAndServe())
}
