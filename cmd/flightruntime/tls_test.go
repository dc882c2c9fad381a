package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

func withTLS(tls string) string { return taxi + "  tls: " + tls + "\n" }

func secret(name, content string) string {
	return "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: " + name + ", namespace: data}\n" + content + "\n"
}

// contentOf is what a file holds.
func contentOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestASecretInTheManifestsIsAFolder(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString
	m := renderer(t, serveFlags{})
	text := documents(withTLS("{secretRef: {name: cert}, minVersion: TLS13, clientCA: {secretRef: {name: clients, key: bundle}, mode: Optional}}"),
		secret("cert", `data: {tls.crt: `+encoded([]byte("CERT"))+`, tls.key: `+encoded([]byte("OLD"))+"}\nstringData: {tls.key: KEY}"), secret("clients", "stringData: {bundle: CA}"), zones)
	c, raw := mustRender(t, m, text)
	if got := contentOf(t, c.TLS.CertFile) + contentOf(t, c.TLS.KeyFile) + contentOf(t, c.TLS.ClientCA.File); got != "CERTKEYCA" {
		t.Errorf("the files hold %q", got)
	}
	if c.TLS.MinVersion != "TLS13" || c.TLS.ClientCA.Mode != "Optional" || len(c.TLS.Names) > 0 || c.TLS.OperatorCA != "" {
		t.Errorf("rendered %+v", c.TLS)
	}
	if strings.Contains(raw, "KEY") || strings.Contains(raw, encoded([]byte("KEY"))) {
		t.Errorf("the configuration holds the key:\n%s", raw)
	}
	if info, err := os.Stat(c.TLS.KeyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read the key: %v %v", info.Mode(), err)
	}
	if _, again := mustRender(t, m, text); again != raw {
		t.Error("the same manifests give another configuration")
	}
	if changed, _ := mustRender(t, m, strings.Replace(text, "tls.key: KEY", "tls.key: KEY2", 1)); contentOf(t, changed.TLS.KeyFile) != "KEY2" {
		t.Error("another key is not in the files")
	}
}

func TestASecretIsAFolderOfAFlag(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(filepath.Dir(dir))
	f := serveFlags{secrets: map[string]string{"cert": filepath.Base(dir)}}
	c, _ := mustRender(t, renderer(t, f), documents(withTLS("{secretRef: {name: cert}, clientCA: {configMapRef: {name: zones, key: zones.csv}}}"), zones))
	want := &config.TLS{
		CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"), MinVersion: "TLS12",
		ClientCA: &config.ClientCA{File: c.TLS.ClientCA.File, Mode: "Required"},
	}
	if diff := cmp.Diff(want, c.TLS); diff != "" {
		t.Error(diff)
	}
	if got := contentOf(t, c.TLS.ClientCA.File); got != "zone\n1\n" {
		t.Errorf("the ConfigMap's key holds %q", got)
	}
}

func TestTLSThatCannotBeHere(t *testing.T) {
	cert := secret("cert", "stringData: {tls.crt: a}")
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"a Certificate", withTLS("{certificate: {issuerRef: {name: ca}}}"), []string{"spec.tls.certificate", "needs the operator", "spec.tls.secretRef"}},
		{"the operator's CA", withTLS("{operatorCA: {}}"), []string{"spec.tls.operatorCA", "needs the operator", "--secret"}},
		{"nothing", withTLS("{}"), []string{"spec.tls", "exactly one"}},
		{"a Secret that is not there", withTLS("{secretRef: {name: cert}}"), []string{`Secret "cert"`, "--secret cert=DIR"}},
		{"a Secret of another namespace", documents(withTLS("{secretRef: {name: cert}}"), strings.Replace(cert, "namespace: data", "namespace: other", 1)), []string{`Secret "cert"`}},
		{"a bundle that is not there", documents(withTLS("{secretRef: {name: cert}, clientCA: {configMapRef: {name: clients}}}"), cert), []string{`ConfigMap "clients"`, "spec.tls.clientCA"}},
		{"no bundle", documents(withTLS("{secretRef: {name: cert}, clientCA: {}}"), cert), []string{"spec.tls.clientCA", "exactly one"}},
		{"a key that leaves its folder", documents(withTLS("{secretRef: {name: cert}}"), secret("cert", "stringData: {../tls.crt: a}")), []string{"Secret cert", "not a key"}},
		{"an unknown field of a Secret", documents(withTLS("{secretRef: {name: cert}}"), cert+"colour: red\n"), []string{"document 2", "not a Secret", "colour"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := renderer(t, serveFlags{}).render([]byte(tt.text))
			if err == nil {
				t.Fatalf("rendered %+v", c.TLS)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestTLSSettings(t *testing.T) {
	c := config.TLS{CertFile: "/c", KeyFile: "/k", Names: []string{"a"}, MinVersion: "TLS12", OperatorCA: "CA"}
	want := certs.Settings{CertFile: "/c", KeyFile: "/k", Names: []string{"a"}, MinVersion: tls.VersionTLS12, OperatorCA: "CA"}
	if diff := cmp.Diff(want, tlsSettings(&c)); diff != "" {
		t.Error(diff)
	}
	c.MinVersion, want.MinVersion = "TLS13", tls.VersionTLS13
	c.ClientCA, want.ClientCAFile = &config.ClientCA{File: "/ca", Mode: "Required"}, "/ca"
	if diff := cmp.Diff(want, tlsSettings(&c)); diff != "" {
		t.Error(diff)
	}
	c.ClientCA.Mode, want.ClientCertificates = "Optional", certs.ClientCertificatesOptional
	if diff := cmp.Diff(want, tlsSettings(&c)); diff != "" {
		t.Error(diff)
	}
}

// source follows the files of a folder that is empty.
func source(t *testing.T) *certs.Source {
	t.Helper()
	dir := t.TempDir()
	s, err := followTLS(t.Context(), &config.TLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"), MinVersion: "TLS12"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhetherThereIsTLSStaysAsItIs(t *testing.T) {
	withIt := source(t)
	for _, tt := range []struct {
		name   string
		source *certs.Source
		newer  *config.TLS
		want   string
	}{
		{"plain text as before", nil, nil, ""},
		{"TLS now", nil, &config.TLS{CertFile: "/c", KeyFile: "/k"}, "goes on in plain text"},
		{"TLS no more", withIt, nil, "goes on with it"},
		{"TLS as before", withIt, &config.TLS{CertFile: "/c", KeyFile: "/k"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			if err := reloadTLS(tt.source, tt.newer, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(log.String(), tt.want) || tt.want == "" && log.Len() > 0 {
				t.Errorf("logged %q, want %q in it", &log, tt.want)
			}
		})
	}
}

func TestListenAt(t *testing.T) {
	withTLS := source(t)
	for _, tt := range []struct {
		location string
		source   *certs.Source
		want     string
		refused  string
	}{
		{"grpc://127.0.0.1:0", nil, "grpc://127.0.0.1:0", ""},
		{"grpc://[::1]:8815", withTLS, "grpc+tls://[::1]:8815", ""},
		{"grpc+tls://0.0.0.0:8815", withTLS, "grpc+tls://0.0.0.0:8815", ""},
		{"grpc+tls://0.0.0.0:8815", nil, "", "spec.tls"},
		{"http://0.0.0.0:8815", withTLS, "", "unknown scheme"},
	} {
		got, err := listenAt(tt.location, tt.source)
		if got != tt.want || tt.refused == "" && err != nil || tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)) {
			t.Errorf("%s gives %q, %v; want %q %q", tt.location, got, err, tt.want, tt.refused)
		}
	}
}

func TestWithoutACertificateAServerIsNotReady(t *testing.T) {
	s := source(t)
	ready := &readiness{tls: s}
	ready.loaded.Store(true)
	if code, body := get(ready); code != http.StatusServiceUnavailable || !strings.Contains(body, "tls.crt") {
		t.Errorf("%d %s", code, body)
	}
	if text := metricsOf(t, s); strings.Contains(text, "not_after") || !strings.Contains(text, "flight_certificate_reload_failures_total 1") {
		t.Errorf("the metrics are\n%s", text)
	}
	ready.tls = nil
	if code, body := get(ready); code != http.StatusOK {
		t.Errorf("in plain text: %d %s", code, body)
	}
}

// metricsOf are the metrics of TLS alone.
func metricsOf(t *testing.T, s *certs.Source) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(tlsCollector{s})
	code, text := get(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	return text
}

// A pod that was started before clients were asked has no folder with the CA certificates, and never will have. Until it is replaced, it goes on as it
// was; one that has the folder refuses whoever it has to, also while the file is missing.
func TestClientsAreAskedOnlyWhereTheCAWasMounted(t *testing.T) {
	quiet, dir := slog.New(slog.DiscardHandler), t.TempDir()
	asks := func(folder string) *config.TLS {
		return &config.TLS{CertFile: "/c", KeyFile: "/k", MinVersion: "TLS12", ClientCA: &config.ClientCA{File: filepath.Join(folder, "ca.crt"), Mode: "Required"}}
	}
	s := source(t)
	for _, step := range []struct {
		folder string
		want   bool
	}{{filepath.Join(dir, "missing"), false}, {dir, true}, {filepath.Join(dir, "missing"), true}} {
		if err := reloadTLS(s, asks(step.folder), quiet); err != nil {
			t.Fatal(err)
		}
		if got := s.AsksClients(); got != step.want {
			t.Errorf("with %s clients are asked: %v", step.folder, got)
		}
	}
}
