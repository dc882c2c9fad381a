package e2e

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/pki"
)

// testDisturbedRotations breaks something in the middle of rotations, under load: no stream ends, no connection is refused, and each certificate
// that is good comes to be served.
func testDisturbedRotations(t *testing.T) {
	s := server{namespace(t, "e2e-disturbed"), "disturbed"}
	evidence.watch(t, s.namespace)
	ca := authority(t)
	current := s.secret(t, "cert", ca)
	apply(t, tlsServer(s, "{secretRef: {name: cert}}"))
	s.ready(t)
	s.proven(t, current, time.Now())
	l := startLoad(t, s, s.caFile(t).path, 4, 10)

	t.Run("the operator is killed before it has proof", func(t *testing.T) {
		for range 3 {
			begun := time.Now()
			current = s.secret(t, "cert", ca)
			run(t, "", "kubectl", "-n", systemNamespace, "delete", "pod", "-l", "app.kubernetes.io/name=flight-operator", "--grace-period=0", "--force", "--wait=false")
			t.Logf("proven after %s", s.proven(t, current, begun))
		}
	})
	t.Run("the kubelet stands still", func(t *testing.T) {
		kubelet := kubeletPID(t)
		signal(t, kubelet, syscall.SIGSTOP)
		begun := time.Now()
		current = s.secret(t, "cert", ca)
		message := s.condition(t, v1alpha1.ConditionCertificateServed, "False", v1alpha1.ReasonRotating)
		if !strings.Contains(message, "waiting for ") {
			t.Errorf("the condition says %q", message)
		}
		time.Sleep(5 * time.Second)
		signal(t, kubelet, syscall.SIGCONT)
		t.Logf("proven after %s", s.proven(t, current, begun))
	})
	t.Run("a pod does not come up", func(t *testing.T) {
		before := s.get(t).Spec.PodTemplate
		s.edit(t, func(spec *v1alpha1.FlightServerSpec) {
			spec.PodTemplate = &v1alpha1.PodTemplate{NodeSelector: map[string]string{"nowhere": "true"}}
		})
		s.condition(t, v1alpha1.ConditionReady, "False", v1alpha1.ReasonUnschedulable)
		begun := time.Now()
		current = s.secret(t, "cert", ca)
		t.Logf("proven for the pods that serve after %s", s.proven(t, current, begun))
		s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.PodTemplate = before })
		s.ready(t)
	})
	t.Run("the certificate comes before its key", func(t *testing.T) {
		old := s.get(t).Status.Certificate.Fingerprint
		certificate, key := s.pair(t, ca)
		secretKey(t, s.namespace, "tls.crt", certificate)
		s.condition(t, v1alpha1.ConditionCertificateReady, "False", v1alpha1.ReasonKeyMismatch)
		if err := s.presents(t, old); err != nil {
			t.Errorf("the last good certificate is not served: %v", err)
		}
		secretKey(t, s.namespace, "tls.key", key)
		current = fingerprint(t, certificate, key)
		s.proven(t, current, time.Now())
	})
	for _, broken := range []struct {
		name, reason string
		edit         func(*pki.Request)
	}{
		{"a certificate of another server", v1alpha1.ReasonNameMismatch, func(r *pki.Request) { r.DNSNames = []string{"other.example.com"} }},
		{"a certificate that has ended, as by a clock ahead", v1alpha1.ReasonCertificateExpired, func(r *pki.Request) { r.Lifetime = time.Millisecond }},
	} {
		t.Run(broken.name, func(t *testing.T) {
			request := pki.Request{DNSNames: []string{s.host()}, Usage: pki.UsageServer, Lifetime: time.Hour}
			broken.edit(&request)
			certificate, key := pair(t, ca, request)
			writeSecret(t, s.namespace, "cert", certificate, key, bundle(ca))
			s.condition(t, v1alpha1.ConditionCertificateReady, "False", broken.reason)
			if err := s.presents(t, current); err != nil {
				t.Errorf("the last good certificate is not served: %v", err)
			}
		})
	}
	t.Run("a certificate that begins in a moment, as by a clock behind", func(t *testing.T) {
		later := time.Now().Add(pki.Backdate + 8*time.Second)
		certificate, key, err := pki.Issue(ca, pki.Request{DNSNames: []string{s.host()}, Usage: pki.UsageServer, Lifetime: time.Hour}, later)
		if err != nil {
			t.Fatal(err)
		}
		evidence.key(key)
		writeSecret(t, s.namespace, "cert", certificate, key, bundle(ca))
		s.condition(t, v1alpha1.ConditionCertificateReady, "False", v1alpha1.ReasonCertificateNotYetValid)
		if err := s.presents(t, current); err != nil {
			t.Errorf("the last good certificate is not served: %v", err)
		}
		current = fingerprint(t, certificate, key)
		s.proven(t, current, time.Now())
	})
	t.Run("the Secret is deleted", func(t *testing.T) {
		run(t, "", "kubectl", "-n", s.namespace, "delete", "secret", "cert")
		s.condition(t, v1alpha1.ConditionCertificateReady, "False", v1alpha1.ReasonSecretNotFound)
		if err := s.presents(t, current); err != nil {
			t.Errorf("the last good certificate is not served: %v", err)
		}
		current = s.secret(t, "cert", ca)
		s.proven(t, current, time.Now())
	})
	t.Run("another CA", func(t *testing.T) {
		// Clients get both CAs; those that have read only the old one until their kubelet brings the new one are why the Secret's ca.crt is best changed first.
		other := authority(t)
		next, key := s.pair(t, ca)
		writeSecret(t, s.namespace, "cert", next, key, bundle(other, ca))
		s.proven(t, fingerprint(t, next, key), time.Now())
		time.Sleep(time.Second) // the mount of load's CA file
		current = s.secret(t, "cert", other)
		s.proven(t, current, time.Now())
	})
	report := l.end(t)
	if len(report.Broken) > 0 || len(report.Refused) > 0 || len(report.Checksums) != 1 {
		t.Errorf("%d streams, of which these broke: %q; %d connections made, these refused: %q; checksums %q",
			report.Streams, report.Broken, report.Connections, report.Refused, report.Checksums)
	}
	t.Logf("FIGURE under load and disturbed for %.0f s: %d streams, %d broken; %d new connections, %d refused", report.Seconds, report.Streams, len(report.Broken), report.Connections, len(report.Refused))
}

// secretKey writes one key of the Secret cert, as tools do that write file by file.
func secretKey(t *testing.T, ns, key string, value []byte) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cert"}}
	eventually(t, func() error {
		if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
			return err
		}
		secret.Data[key] = value
		return cluster.Update(t.Context(), secret)
	})
}

// kubeletPID is the number of the cluster's kubelet.
func kubeletPID(t *testing.T) int {
	t.Helper()
	for line := range strings.Lines(run(t, "", "test/cluster/cluster", "status")) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "kubelet" && fields[1] == "process" {
			pid, err := strconv.Atoi(fields[2])
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("the cluster has no kubelet")
	return 0
}

func signal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
	if s == syscall.SIGSTOP {
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // it may run already
	}
}
