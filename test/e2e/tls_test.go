package e2e

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// authority is the CA of somebody who writes Secrets by hand.
func authority(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.NewCA(time.Now(), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func bundle(cas ...*pki.CA) []byte {
	var out []byte
	for _, ca := range cas {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate.Raw})...)
	}
	return out
}

// pair is a certificate and its key, which no output of this run may hold.
func pair(t *testing.T, ca *pki.CA, r pki.Request) (certificate, key []byte) {
	t.Helper()
	certificate, key, err := pki.Issue(ca, r, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	evidence.key(key)
	return certificate, key
}

// serverPair is for the server of a FlightServer.
func (s server) pair(t *testing.T, ca *pki.CA) (certificate, key []byte) {
	t.Helper()
	return pair(t, ca, pki.Request{DNSNames: []string{s.host()}, Usage: pki.UsageServer, Lifetime: time.Hour})
}

func (s server) host() string { return s.name + "." + s.namespace + ".svc" }

// secret writes the Secret with the server's certificate, and gives the certificate's fingerprint.
func (s server) secret(t *testing.T, name string, ca *pki.CA) string {
	t.Helper()
	certificate, key := s.pair(t, ca)
	writeSecret(t, s.namespace, name, certificate, key, bundle(ca))
	return fingerprint(t, certificate, key)
}

func writeSecret(t *testing.T, ns, name string, certificate, key, ca []byte) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Type: corev1.SecretTypeTLS}
	data := map[string][]byte{"tls.crt": certificate, "tls.key": key, "ca.crt": ca}
	eventually(t, func() error {
		err := cluster.Get(t.Context(), client.ObjectKeyFromObject(secret), secret)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		secret.Data = data
		if err != nil {
			return cluster.Create(t.Context(), secret)
		}
		return cluster.Update(t.Context(), secret)
	})
}

func fingerprint(t *testing.T, certificate, key []byte) string {
	t.Helper()
	c, err := certs.Parse(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return certs.Fingerprint(c.Leaf)
}

// presented is the fingerprint of the certificate that a new connection to an address is presented.
func presented(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}} //nolint:gosec // it is looked at, not trusted
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return certs.Fingerprint(conn.(*tls.Conn).ConnectionState().PeerCertificates[0]), nil
}

// presents is an error unless each pod presents a certificate to a new connection.
func (s server) presents(t *testing.T, fingerprint string) error {
	t.Helper()
	pods := s.pods(t)
	if len(pods) == 0 {
		return fmt.Errorf("%s has no pods", s.name)
	}
	for _, pod := range pods {
		got, err := presented(t.Context(), net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(v1alpha1.PortFlight)))
		if err != nil || got != fingerprint {
			return fmt.Errorf("pod %s presents %q, expected %q: %w", pod.Name, got, fingerprint, err)
		}
	}
	return nil
}

// proven waits until the status says that every server presents a certificate, and gives the time since a change.
func (s server) proven(t *testing.T, fingerprint string, since time.Time) time.Duration {
	t.Helper()
	eventually(t, func() error {
		fs := s.get(t)
		if c := fs.Status.Certificate; c == nil || c.Fingerprint != fingerprint || !isTrue(fs, v1alpha1.ConditionCertificateServed) {
			return fmt.Errorf("%s/%s: expected certificate %s to be served, got %+v and %+v", s.namespace, s.name, fingerprint, c, fs.Status.Conditions)
		}
		return nil
	})
	return time.Since(since)
}

// caFile is a file of CA certificates that clients read.
type caFile struct {
	path string
	// also is in it too: what clients were given by hand.
	also atomic.Pointer[[]byte]
}

// caFile keeps a file as a kubelet would that mounts the ConfigMap for clients, until the test ends.
func (s server) caFile(t *testing.T) *caFile {
	t.Helper()
	f := &caFile{path: filepath.Join(t.TempDir(), "ca.crt")}
	write := func(ctx context.Context) error {
		var cm corev1.ConfigMap
		if err := cluster.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.name + "-client"}, &cm); err != nil {
			return err
		}
		if cm.Data["ca.crt"] == "" {
			return fmt.Errorf("ConfigMap %s has no ca.crt", cm.Name)
		}
		data := []byte(cm.Data["ca.crt"])
		if also := f.also.Load(); also != nil {
			data = append(data, *also...)
		}
		if err := os.WriteFile(f.path+".new", data, 0o600); err != nil {
			return err
		}
		return os.Rename(f.path+".new", f.path)
	}
	eventually(t, func() error { return write(t.Context()) })
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_ = write(ctx) // while the namespace goes there is none
			time.Sleep(100 * time.Millisecond)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return f
}

// tlsServer is the manifest of two servers with a small dataset and the given spec.tls.
func tlsServer(s server, tls string) string {
	return fmt.Sprintf(`
apiVersion: flightoperator.dev/v1alpha1
kind: FlightServer
metadata: {name: %s, namespace: %s}
spec:
  replicas: 2
  tls: %s
  datasets:
  - name: numbers
    format: CSV
    source: {inline: {data: "a\n1\n2\n3\n"}}
`, s.name, s.namespace, tls)
}

const rotationsUnderLoad = 50

// testRotations rotates a certificate again and again under the load of streams that go on throughout and of new connections all the time.
func testRotations(t *testing.T) {
	s := server{namespace(t, "e2e-rotations"), "rotating"}
	evidence.watch(t, s.namespace)
	ca := authority(t)
	current := s.secret(t, "cert", ca)
	apply(t, tlsServer(s, "{secretRef: {name: cert}}"))
	s.ready(t)
	s.proven(t, current, time.Now())
	pods := uids(s.pods(t))

	byHand := make(chan time.Duration, 1)
	if os.Getenv("FIGURES") != "" { // it takes the kubelet more than a minute
		go func() { byHand <- timeByHand(t, s.namespace, ca) }()
	}
	l := startLoad(t, s, s.caFile(t).path, 8, 50)
	requests := operatorRequests(t)
	var served, provenAfter []time.Duration
	for range rotationsUnderLoad {
		begun := time.Now()
		current = s.secret(t, "cert", ca)
		eventually(t, func() error { return s.presents(t, current) })
		served = append(served, time.Since(begun))
		provenAfter = append(provenAfter, s.proven(t, current, begun))
	}
	time.Sleep(time.Second) // status and events of the last
	after := operatorRequests(t)
	report := l.end(t)
	if len(report.Broken) > 0 || len(report.Refused) > 0 || len(report.Checksums) != 1 || report.Connections == 0 || report.Batches == 0 {
		t.Errorf("%d streams, of which these broke: %q; %d connections made, these refused: %q; checksums %q",
			report.Streams, report.Broken, report.Connections, report.Refused, report.Checksums)
	}
	if left := uids(s.pods(t)); fmt.Sprint(left) != fmt.Sprint(pods) {
		t.Errorf("expected the same pods without restarts, %v, got %v", pods, left)
	}
	for method, n := range after {
		after[method] = (n - requests[method]) / rotationsUnderLoad
	}
	t.Logf("FIGURE %d rotations: Secret update to presented by both pods: median %s, worst %s; to proven in the status: median %s, worst %s; requests of the operator to the API server a rotation: %v",
		rotationsUnderLoad, median(served), slices.Max(served), median(provenAfter), slices.Max(provenAfter), after)
	t.Logf("FIGURE under load for %.0f s: %d streams with %d batches there and back, %d broken; %d new connections (%.0f/s), %d refused",
		report.Seconds, report.Streams, report.Batches, len(report.Broken), report.Connections, float64(report.Connections)/report.Seconds, len(report.Refused))
	if os.Getenv("FIGURES") != "" {
		t.Logf("FIGURE the same by a Deployment written by hand, which waits for the kubelet: %s", <-byHand)
	}
}

func median(d []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[len(sorted)/2].Round(time.Millisecond)
}

// timeByHand is how long a rotation takes with the same runtime and no operator: its Secret is mounted by a Deployment that somebody wrote.
func timeByHand(t *testing.T, ns string, ca *pki.CA) time.Duration {
	s := server{ns, "byhand"}
	current := s.secret(t, "byhand", ca)
	apply(t, withImages(fmt.Sprintf(byHand, ns)))
	eventually(t, func() error { return s.presents(t, current) })
	time.Sleep(5 * time.Second) // past the pod's start, in which the kubelet looks more often
	begun := time.Now()
	current = s.secret(t, "byhand", ca)
	for deadline := begun.Add(3 * time.Minute); s.presents(t, current) != nil && time.Now().Before(deadline); {
		time.Sleep(200 * time.Millisecond)
	}
	return time.Since(begun).Round(100 * time.Millisecond)
}

const byHand = `
apiVersion: v1
kind: ConfigMap
metadata: {name: byhand, namespace: %[1]s}
data:
  runtime.yaml: |
    apiVersion: runtime.flightoperator.dev/v1alpha1
    kind: RuntimeConfig
    name: byhand
    limits: {maxMessageBytes: 67108864, maxStreams: 512, maxCallDuration: 1h, drainTimeout: 1s}
    tls: {certFile: /tls/tls.crt, keyFile: /tls/tls.key, minVersion: TLS12}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: byhand, namespace: %[1]s}
spec:
  selector: {matchLabels: {app.kubernetes.io/instance: byhand}}
  template:
    metadata: {labels: {app.kubernetes.io/instance: byhand}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: flightruntime
        image: ghcr.io/flight-operator/flightruntime:dev
        args: [serve, --config=/etc/flight/runtime.yaml]
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        volumeMounts:
        - {name: config, mountPath: /etc/flight}
        - {name: tls, mountPath: /tls}
        - {name: tmp, mountPath: /tmp}
      volumes:
      - {name: config, configMap: {name: byhand}}
      - {name: tls, secret: {secretName: byhand}}
      - {name: tmp, emptyDir: {}}
`
