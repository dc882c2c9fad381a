package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/datasets"
	"github.com/flight-operator/flight-operator/flightruntime/session"
	"github.com/flight-operator/flight-operator/flightruntime/wire/conn"
)

// serveFlags are the settings of the serve command.
type serveFlags struct {
	configFile   string
	manifestFile string
	serverName   string
	volumes      map[string]string
	secrets      map[string]string
	cacheDir     string
	listen       string
	signingKeys  string
	http         string
	pprof        string
	drainDelay   time.Duration
	logFormat    string
	logLevel     slog.Level
}

func serveCommand() *cobra.Command {
	var f serveFlags
	logLevel := "info"
	cmd := &cobra.Command{
		Use:   "serve (-f MANIFESTS | --config RUNTIME_YAML)",
		Short: "Serve the datasets of a FlightServer until a signal comes",
		Example: `  # Without a cluster: a FlightServer manifest, the claim "data" being a folder
  flightruntime serve -f config/samples/quickstart.yaml --volume data=./data --listen grpc://127.0.0.1:0`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.logLevel.UnmarshalText([]byte(logLevel)); err != nil {
				return fmt.Errorf("--log-level %q: expected debug, info, warn or error", logLevel)
			}
			return serve(cmd.Context(), f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.configFile, "config", "", "the configuration that the operator renders (runtime.yaml); it is followed as it changes")
	flags.StringVarP(&f.manifestFile, "file", "f", "", "manifests: a FlightServer and the ConfigMaps and Secrets that it names; the file is followed as it changes")
	flags.StringVar(&f.serverName, "name", "", "with -f, the FlightServer to serve where the file holds several")
	flags.StringToStringVar(&f.volumes, "volume", nil, "with -f, `CLAIM=DIR`: the folder that stands for a PersistentVolumeClaim; repeatable")
	flags.StringToStringVar(&f.secrets, "secret", nil, "with -f, `NAME=DIR`: the folder that stands for a Secret, with tls.crt and tls.key; it is followed as it changes; repeatable")
	flags.StringVar(&f.cacheDir, "cache-dir", "", "with -f, the `DIR` for datasets with cache mode Disk, which outlives the process; a temporary folder if left out")
	flags.StringVar(&f.listen, "listen", "grpc://0.0.0.0:8815", "where to listen; port 0 takes a free one. With TLS, grpc:// stands for grpc+tls://")
	flags.StringVar(&f.signingKeys, "signing-keys", "", "`FILE` of the keys that tickets are signed with, a line each in base64, followed as it changes; replicas need the same. None: keys that live as long as the process")
	flags.StringVar(&f.http, "http", "", "address of /metrics, /livez and /readyz in plain HTTP, for instance :8080; none if left out")
	flags.StringVar(&f.pprof, "pprof", "", "for debugging, a loopback address of Go's profiles (/debug/pprof/), for instance 127.0.0.1:6060; none if left out")
	flags.DurationVar(&f.drainDelay, "drain-delay", 0, "time between telling that no new calls are wanted and refusing them")
	flags.StringVar(&f.logFormat, "log-format", "text", "text or json")
	flags.StringVar(&logLevel, "log-level", logLevel, "debug, info, warn or error")
	cmd.MarkFlagsOneRequired("config", "file")
	cmd.MarkFlagsMutuallyExclusive("config", "file")
	cmd.MarkFlagsMutuallyExclusive("config", "volume")
	cmd.MarkFlagsMutuallyExclusive("config", "secret")
	cmd.MarkFlagsMutuallyExclusive("config", "cache-dir")
	cmd.MarkFlagsMutuallyExclusive("config", "name")
	return cmd
}

func newLogger(f serveFlags, w io.Writer) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: f.logLevel}
	switch f.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, fmt.Errorf("--log-format %q: expected text or json", f.logFormat)
	}
}

// configSource is a file that configurations come from.
type configSource struct {
	path string
	// served is the content that the first configuration was parsed from.
	served []byte
	// parse gives the configuration that the file's content stands for, and the bytes of its runtime.yaml.
	parse func(raw []byte) (*config.Config, []byte, error)
}

// serve runs until ctx is done and the running calls have ended.
func serve(ctx context.Context, f serveFlags, stdout, stderr io.Writer) error {
	log, err := newLogger(f, stderr)
	if err != nil {
		return err
	}
	source := configSource{path: f.configFile, parse: parseRuntimeYAML}
	if f.manifestFile != "" {
		m, err := newManifest(f)
		if err != nil {
			return err
		}
		defer m.close()
		source = configSource{path: f.manifestFile, parse: m.render}
	}
	go func() { _ = conn.Usable() }() // for NewServer, which asks what that finds out
	first, raw, err := source.read()
	if err != nil {
		return err
	}

	datasetsCatalog := catalog.New(log, catalog.WithPages(pageBudget()))
	defer datasetsCatalog.Close()
	var server *flightruntime.Server
	service := datasets.New(datasetsCatalog, func() int { return server.ActiveCalls() })
	if err := loadKeys(f.signingKeys, service); err != nil {
		return err
	}
	metrics := newMetrics(service, datasetsCatalog)

	// What watches the server, and lets it be watched, goes on until it is drained.
	background, endBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer endBackground()
	tlsSource, err := followTLS(background, first.TLS, log)
	if err != nil {
		return err
	}
	if tlsSource != nil {
		service.SetTLS(tlsSource)
		metrics.addTLS(tlsSource)
	}
	listen, err := listenAt(f.listen, tlsSource)
	if err != nil {
		return err
	}
	rights, err := newAccess(background, first, service, tlsSource == nil, metrics.observeAttempt, log)
	if err != nil {
		return err
	}
	service.SetAuth(rights.health)
	server, err = flightruntime.NewServer(listen, service, flightruntime.ServerOptions{
		TLSSource:        tlsSource,
		OperatorTokens:   &flightruntime.OperatorTokens{Keys: service.Keys, Audience: first.Name},
		InsecureAuth:     insecureAuth(first, log),
		MaxMessageBytes:  int(first.Limits.MaxMessageBytes),
		MaxStreams:       uint32(first.Limits.MaxStreams),
		MaxCallDuration:  first.Limits.MaxCallDuration.Duration,
		MaxConnectionAge: first.Limits.MaxConnectionAge.Duration,
		Middleware: []flightruntime.NamedServerMiddleware{
			datasets.Audit(datasets.AuditOptions{Logger: slog.New(auditWhere{log.With("log", "audit").Handler(), rights}), Observe: metrics.observeDecision}),
			{Name: "auth", Factory: rights.authenticator},
			{Name: "trace", Factory: flightruntime.ServerTraceContext()},
			{Name: "session", Factory: session.New(session.Settings{Keys: service.Keys})},
		},
		Logger:   log,
		Observer: metrics.observe,
	})
	if err != nil {
		return err
	}
	service.Load(first, raw)
	ready := newReadiness(ctx, datasetsCatalog, tlsSource)

	metrics.addServer(server)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(server.Serve)
	if f.http != "" {
		group.Go(func() error { return serveHTTP(background, f.http, metrics, ready) })
	}
	if f.pprof != "" {
		group.Go(func() error { return servePprof(background, f.pprof) })
	}
	group.Go(func() error {
		source.follow(background, service, tlsSource, rights, log)
		return nil
	})
	if f.signingKeys != "" {
		group.Go(func() error {
			followKeys(background, f.signingKeys, service, log)
			return nil
		})
	}
	group.Go(func() error {
		defer endBackground()
		<-groupCtx.Done()
		drain(f, first.Limits.DrainTimeout.Duration, server, service, ready, log)
		return nil
	})
	fmt.Fprintf(stdout, "listening on %s\n", server.Location())
	log.Info("serving", "name", first.Name, "location", server.Location().String(), "datasets", len(first.Datasets), "configHash", config.Hash(raw))
	err = group.Wait()
	service.Close()
	return err
}

// insecureAuth says whether credentials may come in plain text.
func insecureAuth(c *config.Config, log *slog.Logger) flightruntime.InsecureAuth {
	if c.Auth == nil || !c.Auth.AllowsInsecure() {
		return flightruntime.RefuseInsecureAuth
	}
	if c.TLS == nil {
		log.Warn("auth without TLS: passwords, tokens and data travel in plain text, and whoever reads the network can use them", "setting", "spec.auth.insecure: Allow")
	}
	return flightruntime.AllowInsecureAuth
}

// drain tells that no new calls are wanted, then lets the running ones end.
func drain(f serveFlags, timeout time.Duration, server *flightruntime.Server, service *datasets.Service, ready *readiness, log *slog.Logger) {
	log.Info("draining", "activeCalls", server.ActiveCalls(), "delay", f.drainDelay.String(), "timeout", timeout.String())
	ready.drain()
	service.Drain()
	server.SetServing(false)
	time.Sleep(f.drainDelay)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Warn("drained", "error", err)
		return
	}
	log.Info("drained")
}

func parseRuntimeYAML(raw []byte) (*config.Config, []byte, error) {
	c, err := config.Parse(raw)
	if err != nil {
		return nil, nil, err
	}
	c.Cache.Fit(os.Getenv)
	return c, raw, nil
}

// read is the first configuration.
func (s *configSource) read() (*config.Config, []byte, error) {
	raw, err := os.ReadFile(s.path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration: %w", err)
	}
	c, rendered, err := s.parse(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", s.path, err)
	}
	s.served = raw
	return c, rendered, nil
}

// follow loads what the file becomes, until ctx is done. What cannot be read or breaks a rule leaves the last good configuration in place.
func (s configSource) follow(ctx context.Context, service *datasets.Service, tlsSource *certs.Source, rights *access, log *slog.Logger) {
	first := true
	config.Watch(ctx, s.path, func(raw []byte, err error) {
		unchanged := first && err == nil && bytes.Equal(raw, s.served)
		if first = false; unchanged {
			return
		}
		if err == nil {
			var c *config.Config
			if c, raw, err = s.parse(raw); err == nil {
				err = reloadTLS(tlsSource, c.TLS, log)
			}
			if err == nil {
				err = rights.load(c)
			}
			if err == nil {
				if service.Load(c, raw) {
					log.Info("configuration loaded", "configHash", config.Hash(raw), "datasets", len(c.Datasets))
				}
				return
			}
		}
		if errors.Is(err, os.ErrNotExist) {
			return // between two versions of a mounted ConfigMap
		}
		log.Error("the newer configuration is not served", "error", err)
		service.Reject(fmt.Errorf("%s: %s", s.path, strings.TrimSpace(err.Error())))
	})
}
