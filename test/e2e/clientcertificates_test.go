package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// testClientCertificates has pyarrow show certificates of all kinds, and takes a CA away from clients that are connected.
func testClientCertificates(t *testing.T) {
	s := server{namespace(t, "e2e-mtls"), "mutual"}
	evidence.watch(t, s.namespace)
	ca, clients, others := authority(t), authority(t), authority(t)
	s.secret(t, "cert", ca)
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "clients"}, Data: map[string]string{"ca.crt": string(bundle(clients))}}
	if err := cluster.Create(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	apply(t, tlsServer(s, "{secretRef: {name: cert}, clientCA: {configMapRef: {name: clients}}}"))
	s.ready(t)
	roots := s.caFile(t).path
	client := func(r pki.Request) pki.Request {
		r.Usage, r.CommonName = pki.UsageClient, "reader"
		r.DNSNames = []string{"reader.example.com"}
		if r.Lifetime == 0 {
			r.Lifetime = time.Hour
		}
		return r
	}
	connect := func(t *testing.T, ca *pki.CA, r pki.Request) string {
		t.Helper()
		args := []string{"test/e2e/connect.py", strings.Replace(s.location(t), "grpc:", "grpc+tls:", 1), s.host(), roots}
		if ca != nil {
			certificate, key := pair(t, ca, client(r))
			args = append(args, file600(t, certificate), file600(t, key))
		}
		return strings.TrimSpace(run(t, "", "hack/pyarrow", args...))
	}
	for _, c := range []struct {
		name    string
		ca      *pki.CA
		request pki.Request
		want    string
	}{
		{"a good certificate", clients, pki.Request{}, "ok"},
		{"none", nil, pki.Request{}, "FlightUnavailableError"},
		{"one of another CA", others, pki.Request{}, "FlightUnavailableError"},
		{"one that has ended", clients, pki.Request{Lifetime: time.Millisecond}, "FlightUnavailableError"},
		{"one of the operator's name, of the clients' CA", clients, pki.Request{URIs: []string{certs.OperatorURI}}, "FlightUnavailableError"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := connect(t, c.ca, c.request); got != c.want {
				t.Errorf("pyarrow says %s, expected %s", got, c.want)
			}
		})
	}

	// Connected clients, by both versions of TLS, each with a cache of sessions that it would resume.
	certificate, key := pair(t, clients, client(pki.Request{}))
	shown, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	configs := map[string]*tls.Config{}
	connected := map[string]*flightruntime.Client{}
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		configs[name] = &tls.Config{MinVersion: version, MaxVersion: version, RootCAs: pool, ServerName: s.host(), Certificates: []tls.Certificate{shown}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
		connected[name] = s.connect(t, configs[name])
		if err := names(t, connected[name]); err != nil {
			t.Fatal(err)
		}
	}
	cm.Data["ca.crt"] = string(bundle(others))
	if err := cluster.Update(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	eventually(t, func() error { // served by all, as the status says
		fs := s.get(t)
		if !isTrue(fs, v1alpha1.ConditionReady) || connect(t, others, pki.Request{}) != "ok" {
			return fmt.Errorf("the new CA is not in force yet: %+v", fs.Status.Conditions)
		}
		return nil
	})
	t.Logf("another clients' CA is in force after %s", time.Since(begun))
	s.ready(t)
	for name, c := range connected {
		if err := names(t, c); err == nil || !strings.Contains(err.Error(), "unauthenticated") {
			t.Errorf("%s: a client that is connected is served after its CA was removed: %v", name, err)
		}
		if err := names(t, s.connect(t, configs[name])); err == nil {
			t.Errorf("%s: a client that resumes its session is served after its CA was removed", name)
		}
	}
	if got := connect(t, clients, pki.Request{}); got != "FlightUnavailableError" {
		t.Errorf("a client of the removed CA: pyarrow says %s", got)
	}
	s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.TLS.ClientCA.Mode = v1alpha1.ClientCAOptional })
	s.ready(t)
	for ca, want := range map[*pki.CA]string{nil: "ok", others: "ok", clients: "FlightUnavailableError"} {
		if got := connect(t, ca, pki.Request{}); got != want {
			t.Errorf("with mode Optional pyarrow says %s, expected %s", got, want)
		}
	}
}

// connect makes a client of one of the pods, for a Service would choose another one each time.
func (s server) connect(t *testing.T, c *tls.Config) *flightruntime.Client {
	t.Helper()
	client, err := flightruntime.Connect(fmt.Sprintf("grpc+tls://%s:%d", s.pods(t)[0].Status.PodIP, v1alpha1.PortFlight), flightruntime.ClientOptions{TLS: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// names asks for the datasets, and gives the error.
func names(t *testing.T, c *flightruntime.Client) error {
	t.Helper()
	for _, err := range c.ListFlights(t.Context(), nil) {
		if err != nil {
			return err
		}
	}
	return nil
}

func file600(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
