package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// longestFirstLoad is how long a server waits for its datasets before it takes calls all the same: what is read by then is not to wait
// for one dataset that takes long.
const longestFirstLoad = 30 * time.Second

// readiness tells whether a server wants calls.
type readiness struct {
	loaded, draining atomic.Bool
	tls              *certs.Source // nil: plain text
}

// newReadiness is ready once each dataset of the catalog has been read or could not be, and no later than longestFirstLoad from now; with TLS,
// not without a certificate.
func newReadiness(ctx context.Context, c *catalog.Catalog, tls *certs.Source) *readiness {
	r := &readiness{tls: tls}
	go func() {
		bound, cancel := context.WithTimeout(ctx, longestFirstLoad)
		defer cancel()
		_ = c.Attempted(bound) // late or not, it is time
		r.loaded.Store(true)
	}()
	return r
}

func (r *readiness) drain() { r.draining.Store(true) }

func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	switch {
	case r.draining.Load():
		http.Error(w, "draining", http.StatusServiceUnavailable)
	case !r.loaded.Load():
		http.Error(w, "datasets are being read for the first time", http.StatusServiceUnavailable)
	default:
		if why := r.withoutCertificate(); why != "" {
			http.Error(w, "there is no certificate to present: "+why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}

// withoutCertificate says why no handshake can succeed; empty if one can.
func (r *readiness) withoutCertificate() string {
	if r.tls == nil {
		return ""
	}
	state := r.tls.State()
	if state.Certificate != nil || state.Problem == nil {
		return ""
	}
	return state.Problem.Message
}

// serveHTTP answers until ctx is done.
func serveHTTP(ctx context.Context, address string, m *metrics, ready *readiness) error {
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", ready)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	server := newHTTPServer(address, mux)
	server.WriteTimeout = httpWriteTimeout
	return listenHTTP(ctx, server)
}

// Times that clients of HTTP get, so that none holds a connection by doing nothing.
const (
	// httpReadTimeout is for a whole request: it has no body that anyone reads.
	httpReadTimeout = 5 * time.Second
	// httpIdleTimeout is between two requests on a connection: longer than the minute after which Prometheus comes again.
	httpIdleTimeout = 2 * time.Minute
	// httpWriteTimeout is for an answer; the client that waits longest is Prometheus, for 10 s if it is not told otherwise.
	httpWriteTimeout = 30 * time.Second
	// maxHTTPHeaderBytes of a request: Prometheus and kubelets send some hundred.
	maxHTTPHeaderBytes = 16 << 10
)

// newHTTPServer is a server that bounds what its clients hold of it, but for the time that an answer takes.
func newHTTPServer(address string, handler http.Handler) *http.Server {
	return &http.Server{Addr: address, Handler: handler, ReadTimeout: httpReadTimeout, IdleTimeout: httpIdleTimeout, MaxHeaderBytes: maxHTTPHeaderBytes}
}

// listenHTTP answers until ctx is done.
func listenHTTP(ctx context.Context, server *http.Server) error {
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP at %s: %w", server.Addr, err)
	case <-ctx.Done():
	}
	return server.Close()
}
