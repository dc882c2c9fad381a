package conformance

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// rotations of TestRotation. large.arrow has more batches than that.
const rotations = 20

// small is a dataset of two rows.
const small = "  - {name: small, format: CSV, source: {inline: {data: \"a\\n1\\n2\\n\"}}}\n"

// trusting is the configuration of our own clients.
func trusting(t *testing.T, roots, certificate, key []byte) *tls.Config {
	t.Helper()
	c, err := flightruntime.ClientTLS(roots, certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func local() *x509.Certificate {
	return &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
}

// install writes NAME.pem and NAME-key.pem of a folder as a Secret's volume has them.
func install(t *testing.T, dir, name, secret string) {
	t.Helper()
	write(t, filepath.Join(secret, "tls.crt"), string(readPEM(t, dir, name)))
	write(t, filepath.Join(secret, "tls.key"), string(readPEM(t, dir, name+"-key")))
}

// presents waits until the server says that it presents what NAME.pem holds.
func (s *server) presents(t *testing.T, dir, name string) {
	t.Helper()
	want := certs.Digest(readPEM(t, dir, name))
	eventually(t, func() error {
		h, err := s.client(t).HealthCheck(t.Context())
		if err != nil {
			return err
		}
		if h.Certificate == nil || h.Certificate.Digest != want {
			return fmt.Errorf("expected the certificate %s.pem, got %+v", name, h.Certificate)
		}
		return nil
	})
}

// TestRotation: pyarrow's streams go on while the certificate changes, each time to one of another CA, and its new connections get the new one.
func TestRotation(t *testing.T) {
	dir, secret := t.TempDir(), t.TempDir()
	python(t, "checks/large_write.py", dir)
	var roots bytes.Buffer
	for _, ca := range []string{"even", "odd"} {
		authority := newCA(t, dir, ca)
		roots.Write(readPEM(t, dir, ca))
		for n := range rotations {
			authority.sign(t, dir, fmt.Sprintf("%s-%d", ca, n), local())
		}
	}
	install(t, dir, "even-0", secret)
	manifest := filepath.Join(dir, "server.yaml")
	write(t, manifest, serverYAML("rotation", small+"  - {name: large, source: {volume: {claimName: v, path: large.arrow}}}\n")+"  tls: {secretRef: {name: cert}}\n")
	address := freeAddress(t)
	s := startPlain(t, nil, "-f", manifest, "--volume", "v="+dir, "--secret", "cert="+secret, "--http", address)
	if !strings.HasPrefix(s.location, "grpc+tls://") {
		t.Fatalf("the server listens at %s", s.location)
	}
	s.tls = trusting(t, roots.Bytes(), nil, nil)
	s.dataset(t, "large", flightruntime.DatasetReady)

	streams := exec.Command("../../hack/pyarrow", "checks/rotating.py", s.location, "4")
	streams.Stderr = &bytes.Buffer{}
	stdin, err := streams.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := streams.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := streams.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	for n := range rotations {
		ca, other := "even", "odd"
		if n%2 == 1 {
			ca, other = other, ca
		}
		name := fmt.Sprintf("%s-%d", ca, n)
		install(t, dir, name, secret)
		s.presents(t, dir, name)
		fmt.Fprintln(stdin, filepath.Join(dir, ca+".pem"), filepath.Join(dir, other+".pem"))
		if line, _ := lines.ReadString('\n'); line != "well\n" {
			_ = streams.Wait()
			t.Fatalf("after rotation %d: %q\n%s", n, line, streams.Stderr)
		}
	}
	stdin.Close()
	rest, err := io.ReadAll(lines)
	if err := errors.Join(err, streams.Wait()); err != nil {
		t.Fatalf("%v\n%s", err, streams.Stderr)
	}
	digests := strings.Fields(string(rest))
	if len(digests) != 8 || digests[0] != "20000000" {
		t.Fatalf("expected rows and digests of four streams, got %q", rest)
	}
	for i := range digests {
		if digests[i] != digests[i%2] {
			t.Errorf("the streams differ: %q", rest)
		}
	}
	if err := metric(t, address, "flight_certificate_reload_failures_total 0", "flight_certificate_not_after_timestamp_seconds"); err != nil {
		t.Error(err)
	}
	for n := range rotations {
		for _, line := range strings.Split(string(readPEM(t, dir, fmt.Sprintf("%s-%d-key", []string{"even", "odd"}[n%2], n))), "\n") {
			if len(line) >= 40 && strings.Contains(s.log.String(), line) {
				t.Error("the log shows a key")
			}
		}
	}
}

// metric is an error that says which text the metrics lack.
func metric(t *testing.T, address string, wants ...string) error {
	t.Helper()
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	for _, want := range wants {
		if !strings.Contains(string(text), want) {
			return fmt.Errorf("the metrics have no %s", want)
		}
	}
	return nil
}

// TestClientCertificates: who is let in follows the manifest as it changes, on connections too that are open.
func TestClientCertificates(t *testing.T) {
	dir := certificates(t)
	manifest := filepath.Join(dir, "server.yaml")
	indented := func(name string) string { return strings.ReplaceAll(string(readPEM(t, dir, name)), "\n", "\n    ") }
	serve := func(ca, mode string) {
		write(t, manifest, serverYAML("mtls", small)+"  tls: {secretRef: {name: cert}, clientCA: {configMapRef: {name: clients}, mode: "+mode+"}}\n"+
			"---\napiVersion: v1\nkind: Secret\nmetadata: {name: cert}\nstringData:\n  tls.crt: |\n    "+indented("server")+"\n  tls.key: |\n    "+indented("server-key")+
			"\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: clients}\ndata:\n  ca.crt: |\n    "+indented(ca)+"\n")
	}
	serve("ca", "Required")
	s := start(t, "-f", manifest)
	s.tls = trusting(t, readPEM(t, dir, "ca"), readPEM(t, dir, "client"), readPEM(t, dir, "client-key"))
	s.dataset(t, "small", flightruntime.DatasetReady)
	open := s.client(t)
	health := func() (*flightruntime.Health, error) { return open.HealthCheck(t.Context()) }
	letIn := func(name string, who ...string) {
		t.Run(name, func(t *testing.T) {
			pyarrow(t, "client_certificates", s.location, append([]string{s.location, dir}, who...)...)
		})
	}
	first, err := health()
	if err != nil {
		t.Fatal(err)
	}
	letIn("required", "client=in", "none=out", "other-client=out")

	serve("ca", "Optional")
	eventually(t, func() error {
		if h, err := health(); err != nil || h.ConfigHash == first.ConfigHash {
			return fmt.Errorf("expected another configuration, got %+v, %w", h, err)
		}
		return nil
	})
	letIn("optional", "client=in", "none=in", "other-client=out")

	serve("other-ca", "Required")
	eventually(t, func() error {
		if h, err := health(); !errors.Is(err, flightruntime.ErrUnauthenticated) {
			return fmt.Errorf("expected the open connection to be refused, got %+v, %w", h, err)
		}
		return nil
	})
	letIn("another CA", "client=out", "none=out", "other-client=in")
}
