package controllers_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// newCA is the CA of whoever writes a user's Secret.
func newCA(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.NewCA(time.Now(), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func caPEM(ca *pki.CA) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate.Raw})
}

// pair is a certificate for the server taxi of a namespace, and its key.
func (w *world) pair(ca *pki.CA, edits ...func(*pki.Request)) (certificate, key []byte) {
	w.t.Helper()
	r := pki.Request{DNSNames: []string{"taxi." + w.namespace + ".svc"}, Usage: pki.UsageServer, Lifetime: time.Hour}
	for _, edit := range edits {
		edit(&r)
	}
	certificate, key, err := pki.Issue(ca, r, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return certificate, key
}

// tlsSecret holds a new certificate.
func (w *world) tlsSecret(name string, ca *pki.CA) *corev1.Secret {
	certificate, key := w.pair(ca)
	return &corev1.Secret{ObjectMeta: w.meta(name), Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": certificate, "tls.key": key, "ca.crt": caPEM(ca)}}
}

func fingerprint(t *testing.T, chain []byte) string {
	t.Helper()
	return certs.Fingerprint(leafOf(t, chain))
}

func leafOf(t *testing.T, chain []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(chain)
	if block == nil {
		t.Fatal("no certificate")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func secretRef(name string) func(*v1alpha1.FlightServer) {
	return func(fs *v1alpha1.FlightServer) {
		fs.Spec.TLS = &v1alpha1.TLS{SecretRef: &v1alpha1.LocalReference{Name: name}}
	}
}

// awaitServed waits until every server presents the certificate, and all is well.
func (w *world) awaitServed(name, fingerprint string) *v1alpha1.FlightServer {
	w.t.Helper()
	var fs *v1alpha1.FlightServer
	w.eventually("certificate "+fingerprint[:8]+" to be served", func() error {
		fs = w.awaitReady(name)
		c := fs.Status.Certificate
		if c == nil || c.Fingerprint != fingerprint || !meta.IsStatusConditionTrue(fs.Status.Conditions, v1alpha1.ConditionCertificateServed) {
			return fmt.Errorf("certificate %+v", c)
		}
		for _, s := range fs.Status.Servers {
			if s.CertificateFingerprint != fingerprint {
				return fmt.Errorf("pod %s presents %s", s.Pod, s.CertificateFingerprint)
			}
		}
		return nil
	})
	return fs
}

// clientConfig is what clients mount.
func (w *world) clientConfig(name string) map[string]string {
	w.t.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: w.meta(name + "-client")}
	if err := w.get(cm); err != nil {
		w.t.Fatal(err)
	}
	return cm.Data
}

func TestTLSFromASecretCreatedLater(t *testing.T) {
	w := newWorld(t)
	w.create(w.flightServer("taxi", replicas(2), secretRef("cert")))
	fs := w.awaitCondition("taxi", v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	if c := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionReady); c.Reason != v1alpha1.ReasonSecretNotFound || !strings.Contains(c.Message, "Secret cert does not exist: create it, of type kubernetes.io/tls") {
		t.Errorf("Ready says %s: %s", c.Reason, c.Message)
	}
	ca := newCA(t)
	secret := w.tlsSecret("cert", ca)
	w.create(secret)
	fs = w.awaitServed("taxi", fingerprint(t, secret.Data["tls.crt"]))
	leaf, c := leafOf(t, secret.Data["tls.crt"]), fs.Status.Certificate
	if c.SecretName != "cert" || c.Serial != leaf.SerialNumber.Text(16) || c.Issuer != ca.Certificate.Subject.String() || !c.NotAfter.Time.Equal(leaf.NotAfter) ||
		!c.NotBefore.Time.Equal(leaf.NotBefore) || c.ServedBy != "2/2" || c.RenewalTime != nil {
		t.Errorf("status.certificate is %+v", c)
	}
	address := "grpc+tls://taxi." + w.namespace + ".svc:8815"
	if fs.Status.Address != address {
		t.Errorf("address %q, expected %q", fs.Status.Address, address)
	}
	if got := w.clientConfig("taxi"); got["location"] != address || got["ca.crt"] != string(caPEM(ca)) {
		t.Errorf("clients get %v", got)
	}
	w.expectQuiet("taxi")
	w.expectEvent("taxi", corev1.EventTypeNormal, v1alpha1.ReasonCertificateServed)
}

func TestRotation(t *testing.T) {
	w := newWorld(t)
	ca := newCA(t)
	secret := w.tlsSecret("cert", ca)
	w.create(secret, w.flightServer("taxi", replicas(2), secretRef("cert")))
	w.awaitServed("taxi", fingerprint(t, secret.Data["tls.crt"]))
	pods := w.nodes.podsCreated()
	for range 5 {
		w.settle()
		before := w.operator.writes.Load()
		next := w.tlsSecret("cert", ca)
		change(w, secret, func(s *corev1.Secret) { s.Data = next.Data })
		w.awaitServed("taxi", fingerprint(t, next.Data["tls.crt"]))
		w.settle()
		// An annotation a pod, the status when it starts and when it is done (once more if the pods are not seen at the same time), and their events.
		if n := w.operator.writes.Load() - before; n > 10 {
			t.Errorf("a rotation took %d writes", n)
		}
	}
	if n := w.nodes.podsCreated(); n != pods {
		t.Errorf("rotations replaced pods: %d were created, expected %d", n, pods)
	}
	w.expectEvent("taxi", corev1.EventTypeNormal, v1alpha1.ReasonRotating)
	w.expectQuiet("taxi")
}

// A kubelet that does not bring a pod's volumes up to date is somebody's business after a while, and nobody's once it has.
func TestRotationThatTakesTooLong(t *testing.T) {
	const overdue = time.Second
	w := newWorld(t, func(w *world) { w.rotationOverdue = overdue })
	ca := newCA(t)
	secret := w.tlsSecret("cert", ca)
	w.create(secret, w.flightServer("taxi", replicas(2), secretRef("cert")))
	first := fingerprint(t, secret.Data["tls.crt"])
	w.awaitServed("taxi", first)
	w.nodes.set(func() { w.nodes.deaf = true })
	next, began := w.tlsSecret("cert", ca), time.Now()
	change(w, secret, func(s *corev1.Secret) { s.Data = next.Data })
	second := fingerprint(t, next.Data["tls.crt"])
	fs := w.awaitCondition("taxi", v1alpha1.ConditionCertificateServed, metav1.ConditionFalse, v1alpha1.ReasonRotationOverdue)
	if took := time.Since(began); took < overdue {
		t.Errorf("it is said to take too long after %s", took)
	}
	c := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionCertificateServed)
	for _, want := range []string{"2 of 2 ready servers", "do not present certificate " + second[:16], " for 1s: it presents " + first[:16], "check the pod's events"} {
		if !strings.Contains(c.Message, want) {
			t.Errorf("the message %q does not say %q", c.Message, want)
		}
	}
	for _, s := range fs.Status.Servers {
		if !strings.Contains(c.Message, s.Pod) || s.CertificateFingerprint != first {
			t.Errorf("pod %s presents %s, and the message is %q", s.Pod, s.CertificateFingerprint, c.Message)
		}
	}
	if ready := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionReady); ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonRotationOverdue {
		t.Errorf("Ready is %s for %s", ready.Status, ready.Reason)
	}
	if !meta.IsStatusConditionTrue(fs.Status.Conditions, v1alpha1.ConditionAvailable) || !meta.IsStatusConditionTrue(fs.Status.Conditions, v1alpha1.ConditionCertificateReady) {
		t.Errorf("what is well does not look so: %+v", fs.Status.Conditions)
	}
	w.expectEvent("taxi", corev1.EventTypeWarning, v1alpha1.ReasonRotationOverdue)
	w.nodes.set(func() { w.nodes.deaf = false })
	w.awaitServed("taxi", second)
	w.expectQuiet("taxi")
}

// Whatever a Secret becomes, the last good certificate is served, and the condition says what is wrong.
func TestBrokenSecretLeavesTheLastGoodCertificate(t *testing.T) {
	w := newWorld(t)
	ca := newCA(t)
	secret := w.tlsSecret("cert", ca)
	w.create(secret, w.flightServer("taxi", secretRef("cert")))
	good := fingerprint(t, secret.Data["tls.crt"])
	w.awaitServed("taxi", good)
	certificate, key := w.pair(ca)
	old := func(r *pki.Request) { r.Lifetime = time.Millisecond } // backdated, and over
	other := func(r *pki.Request) { r.DNSNames = []string{"other.example.com"} }
	for _, c := range []struct {
		name, reason, message string
		spoil                 func(map[string][]byte)
	}{
		{"a text", v1alpha1.ReasonCertificateMalformed, "expected certificates in PEM", func(d map[string][]byte) { d["tls.crt"] = []byte("certificate") }},
		{"half of a certificate", v1alpha1.ReasonCertificateMalformed, "", func(d map[string][]byte) { d["tls.crt"] = d["tls.crt"][:len(d["tls.crt"])/2] }},
		{"a key of before", v1alpha1.ReasonKeyMismatch, "the private key is not that of the certificate", func(d map[string][]byte) { d["tls.crt"] = certificate }},
		{"an empty key", v1alpha1.ReasonSecretNotFound, "Secret cert has no tls.key", func(d map[string][]byte) { d["tls.key"] = nil }},
		{"an old certificate", v1alpha1.ReasonCertificateExpired, "expired at", func(d map[string][]byte) { d["tls.crt"], d["tls.key"] = w.pair(ca, old) }},
		{"another's certificate", v1alpha1.ReasonNameMismatch, "other.example.com", func(d map[string][]byte) { d["tls.crt"], d["tls.key"] = w.pair(ca, other) }},
	} {
		change(w, secret, func(s *corev1.Secret) { c.spoil(s.Data) })
		fs := w.awaitCondition("taxi", v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, c.reason)
		condition := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionCertificateReady)
		if !strings.Contains(condition.Message, c.message) || !strings.Contains(condition.Message, "the last good certificate") {
			t.Errorf("%s: message %q", c.name, condition.Message)
		}
		if got := fs.Status.Certificate; got.Fingerprint != good || !meta.IsStatusConditionTrue(fs.Status.Conditions, v1alpha1.ConditionAvailable) {
			t.Errorf("%s: certificate %+v", c.name, got)
		}
		// Mended, another certificate is served, which is the last good of the next case.
		mended := w.tlsSecret("cert", ca)
		change(w, secret, func(s *corev1.Secret) { s.Data = mended.Data })
		good = fingerprint(t, mended.Data["tls.crt"])
		w.awaitServed("taxi", good)
	}
	w.delete(secret)
	w.awaitCondition("taxi", v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	back := &corev1.Secret{ObjectMeta: w.meta("cert"), Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": certificate, "tls.key": key}}
	w.create(back)
	w.awaitServed("taxi", fingerprint(t, certificate))
}

func TestClientCA(t *testing.T) {
	w := newWorld(t)
	w.create(w.tlsSecret("cert", newCA(t)), w.flightServer("taxi", secretRef("cert"), func(fs *v1alpha1.FlightServer) {
		fs.Spec.TLS.ClientCA = &v1alpha1.ClientCA{ConfigMapRef: &v1alpha1.KeyReference{Name: "clients", Key: "bundle"}}
	}))
	fs := w.awaitCondition("taxi", v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, v1alpha1.ReasonClientCAInvalid)
	if c := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionCertificateReady); !strings.Contains(c.Message, "ConfigMap clients does not exist") {
		t.Error(c.Message)
	}
	cm := &corev1.ConfigMap{ObjectMeta: w.meta("clients"), Data: map[string]string{"bundle": string(caPEM(newCA(t)))}}
	w.create(cm)
	w.awaitReady("taxi")
	pods := w.nodes.podsCreated()
	next := string(caPEM(newCA(t)))
	change(w, cm, func(cm *corev1.ConfigMap) { cm.Data["bundle"] = next })
	w.eventually("the servers to check clients against the new CA", func() error {
		for _, got := range w.nodes.clientCAs() {
			if got != certs.Digest([]byte(next)) {
				return fmt.Errorf("still %s", got)
			}
		}
		return nil
	})
	w.awaitReady("taxi")
	change(w, cm, func(cm *corev1.ConfigMap) { cm.Data["bundle"] = "nobody" })
	w.awaitCondition("taxi", v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, v1alpha1.ReasonClientCAInvalid)
	if n := w.nodes.podsCreated(); n != pods {
		t.Errorf("%d pods were created, expected %d", n, pods)
	}
}

// An operator that cannot read its own CA says so, and what the one before it found of the certificates stays.
func TestDamagedCA(t *testing.T) {
	w := newWorld(t)
	secret := w.tlsSecret("cert", newCA(t))
	w.create(secret, w.flightServer("taxi", secretRef("cert")))
	served := fingerprint(t, secret.Data["tls.crt"])
	w.awaitServed("taxi", served)
	w.operator.stop()

	ca := &corev1.Secret{ObjectMeta: w.meta(pki.SecretName)}
	var good []byte
	change(w, ca, func(s *corev1.Secret) {
		good, s.Data[pki.KeyCertificate] = s.Data[pki.KeyCertificate], []byte("damaged")
	})
	w.operator = startOperator(w, runtimeImage)
	w.create(w.flightServer("bus", secretRef("cert")))
	for _, name := range []string{"taxi", "bus"} {
		fs := w.awaitCondition(name, v1alpha1.ConditionCertificateReady, metav1.ConditionUnknown, v1alpha1.ReasonApplyFailed)
		if c := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionReady); c.Reason != v1alpha1.ReasonApplyFailed || !strings.Contains(c.Message, "bring its data back from a backup") {
			t.Errorf("%s: Ready says %s: %s", name, c.Reason, c.Message)
		}
	}
	fs := w.awaitCondition("taxi", v1alpha1.ConditionCertificateServed, metav1.ConditionTrue, v1alpha1.ReasonCertificateServed)
	if c := fs.Status.Certificate; c.Fingerprint != served || c.ServedBy != "1/1" {
		t.Errorf("what was known of the certificate is gone: %+v", c)
	}
	change(w, ca, func(s *corev1.Secret) { s.Data[pki.KeyCertificate] = good })
	w.awaitServed("taxi", served)
}

// Another key of the same ConfigMap is another bundle, though the ConfigMap is of the version that it was.
func TestClientCAOfAnotherKey(t *testing.T) {
	w := newWorld(t)
	before, after := string(caPEM(newCA(t))), string(caPEM(newCA(t)))
	cm := &corev1.ConfigMap{ObjectMeta: w.meta("clients"), Data: map[string]string{"before": before, "after": after}}
	fs := w.flightServer("taxi", secretRef("cert"), func(fs *v1alpha1.FlightServer) {
		fs.Spec.TLS.ClientCA = &v1alpha1.ClientCA{ConfigMapRef: &v1alpha1.KeyReference{Name: "clients", Key: "before"}}
	})
	w.create(cm, w.tlsSecret("cert", newCA(t)), fs)
	w.awaitReady("taxi")
	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.TLS.ClientCA.ConfigMapRef.Key = "after" })
	w.awaitReady("taxi")
	for _, got := range w.nodes.clientCAs() {
		if got != certs.Digest([]byte(after)) {
			t.Errorf("a server checks clients against %s", got)
		}
	}
	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.TLS.ClientCA.ConfigMapRef.Key = "none" })
	w.awaitCondition("taxi", v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, v1alpha1.ReasonClientCAInvalid)
}

// A change of the CA leaves clients the one of before for a time.
func TestClientsTrustOverlaps(t *testing.T) {
	w := newWorld(t, func(w *world) { w.caOverlap = 3 * time.Second })
	before, after := newCA(t), newCA(t)
	secret := w.tlsSecret("cert", before)
	w.create(secret, w.flightServer("taxi", secretRef("cert")))
	w.awaitServed("taxi", fingerprint(t, secret.Data["tls.crt"]))
	next := w.tlsSecret("cert", after)
	change(w, secret, func(s *corev1.Secret) { s.Data = next.Data })
	both := string(caPEM(after)) + string(caPEM(before))
	w.eventually("clients to trust both", func() error { return differs(w.clientConfig("taxi")["ca.crt"], both) })
	w.awaitServed("taxi", fingerprint(t, next.Data["tls.crt"]))
	w.eventually("clients to trust the new one alone", func() error { return differs(w.clientConfig("taxi")["ca.crt"], string(caPEM(after))) })

	// A public CA: clients go by the CAs that they trust anyway.
	public := w.tlsSecret("cert", newCA(t))
	change(w, secret, func(s *corev1.Secret) {
		s.Data = public.Data
		delete(s.Data, "ca.crt")
	})
	w.eventually("clients to be given no CA", func() error { return differs(w.clientConfig("taxi")["ca.crt"], "") })
}

// While the servers change from a user's certificate to one of the operator's CA, and back, clients can verify both.
func TestClientsTrustOverlapsWhereTheIssuerIsAnother(t *testing.T) {
	w := newWorld(t)
	secret := w.tlsSecret("cert", newCA(t))
	// A CA that is not named as the operator's are.
	certificate, _ := w.pair(newCA(t), func(r *pki.Request) { r.CommonName = "corp" })
	secret.Data["ca.crt"] = certificate
	fs := w.flightServer("taxi", secretRef("cert"))
	w.create(secret, fs)
	w.awaitServed("taxi", fingerprint(t, secret.Data["tls.crt"]))
	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.TLS = &v1alpha1.TLS{OperatorCA: &v1alpha1.OperatorCA{}} })
	w.awaitReady("taxi")
	operators := &corev1.Secret{ObjectMeta: w.meta(pki.SecretName)}
	if err := w.get(operators); err != nil {
		t.Fatal(err)
	}
	own, users := string(operators.Data[pki.KeyBundle]), string(certificate)
	if err := differs(w.clientConfig("taxi")["ca.crt"], own+users); err != nil {
		t.Error("after the change to the operator's CA:", err)
	}
	change(w, fs, secretRef("cert"))
	w.awaitServed("taxi", fingerprint(t, secret.Data["tls.crt"]))
	if err := differs(w.clientConfig("taxi")["ca.crt"], users+own); err != nil {
		t.Error("after the change back:", err)
	}
}

func differs(got, want string) error {
	if got != want {
		return fmt.Errorf("got %d certificates, expected %d", strings.Count(got, "BEGIN"), strings.Count(want, "BEGIN"))
	}
	return nil
}

func TestOperatorCA(t *testing.T) {
	w := newWorld(t, func(w *world) { w.caOverlap = 2 * time.Second })
	w.create(w.flightServer("taxi", replicas(2), func(fs *v1alpha1.FlightServer) {
		fs.Spec.TLS = &v1alpha1.TLS{OperatorCA: &v1alpha1.OperatorCA{SubjectNames: v1alpha1.SubjectNames{DNSNames: []string{"flight.example.com"}, IPAddresses: []string{"192.0.2.7"}}}}
	}))
	fs := w.awaitReady("taxi")
	secret := &corev1.Secret{ObjectMeta: w.meta("taxi-operator-tls")}
	if err := w.get(secret); err != nil {
		t.Fatal(err)
	}
	leaf := leafOf(t, secret.Data["tls.crt"])
	first := certs.Fingerprint(leaf)
	for _, name := range []string{"taxi." + w.namespace + ".svc.cluster.local", "pod-1.taxi." + w.namespace + ".svc", "flight.example.com", "192.0.2.7"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	w.awaitServed("taxi", first)
	if at := fs.Status.Certificate.RenewalTime; at == nil || at.Before(&metav1.Time{Time: time.Now().Add(45 * 24 * time.Hour)}) || at.After(leaf.NotAfter) {
		t.Errorf("renewal at %v of a certificate until %s", at, leaf.NotAfter)
	}
	pods := w.nodes.podsCreated()
	w.expectQuiet("taxi")

	// Its Secret is the operator's: what somebody makes of it is mended.
	change(w, secret, func(s *corev1.Secret) { s.Data["tls.crt"] = []byte("mine") })
	w.eventually("a new certificate", func() error {
		if err := w.get(secret); err != nil {
			return err
		}
		if bytes.Equal(secret.Data["tls.crt"], []byte("mine")) {
			return errors.New("still spoiled")
		}
		return nil
	})
	w.awaitServed("taxi", fingerprint(t, secret.Data["tls.crt"]))

	// Another CA: at each moment, whoever reads ca.crt can verify what is served.
	old := w.clientConfig("taxi")["ca.crt"]
	ca := &corev1.Secret{ObjectMeta: w.meta(pki.SecretName)}
	change(w, ca, func(s *corev1.Secret) { s.Annotations = map[string]string{pki.AnnotationRotate: "now"} })
	w.eventually("the old CA to be dropped", func() error {
		bundle := w.clientConfig("taxi")["ca.crt"]
		if err := w.get(secret); err != nil {
			return err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(bundle))
		if _, err := leafOf(t, secret.Data["tls.crt"]).Verify(x509.VerifyOptions{Roots: pool, DNSName: "taxi." + w.namespace + ".svc"}); err != nil {
			t.Errorf("clients cannot verify the certificate: %v", err)
		}
		if strings.Contains(bundle, old) {
			return fmt.Errorf("%d CA certificates", strings.Count(bundle, "BEGIN"))
		}
		return nil
	})
	w.awaitServed("taxi", fingerprint(t, secret.Data["tls.crt"]))
	if n := w.nodes.podsCreated(); n != pods {
		t.Errorf("%d pods were created, expected %d", n, pods)
	}
}

// A certificate that ended while the operator's hands were off is left alone, and the first to be mended when they are on again.
func TestACertificateThatEndedWhileSuspended(t *testing.T) {
	w := newWorld(t)
	fs := w.flightServer("taxi", replicas(1), func(fs *v1alpha1.FlightServer) {
		fs.Spec.TLS = &v1alpha1.TLS{OperatorCA: &v1alpha1.OperatorCA{}}
	})
	w.create(fs)
	w.awaitReady("taxi")
	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.Suspend = v1alpha1.SuspendReconciliation })
	w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonSuspended)

	secret, authority := &corev1.Secret{ObjectMeta: w.meta("taxi-operator-tls")}, &corev1.Secret{ObjectMeta: w.meta(pki.SecretName)}
	if err := errors.Join(w.get(secret), w.get(authority)); err != nil {
		t.Fatal(err)
	}
	state, err := pki.Decode(authority.Data)
	if err != nil {
		t.Fatal(err)
	}
	names := leafOf(t, secret.Data["tls.crt"]).DNSNames
	ended, key := w.pair(state.Active, func(r *pki.Request) { r.DNSNames, r.Lifetime = names, time.Second })
	change(w, secret, func(s *corev1.Secret) { s.Data["tls.crt"], s.Data["tls.key"] = ended, key })
	time.Sleep(time.Until(leafOf(t, ended).NotAfter.Add(time.Second)))
	if err := w.get(secret); err != nil || !bytes.Equal(secret.Data["tls.crt"], ended) {
		t.Errorf("the Secret was mended while suspended, %v", err)
	}

	pods := w.nodes.podsCreated()
	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.Suspend = v1alpha1.SuspendNone })
	w.eventually("a certificate that is valid", func() error {
		if err := w.get(secret); err != nil {
			return err
		}
		if leaf := leafOf(t, secret.Data["tls.crt"]); time.Now().After(leaf.NotAfter) {
			return fmt.Errorf("it ended at %s", leaf.NotAfter)
		}
		return nil
	})
	w.awaitServed("taxi", fingerprint(t, secret.Data["tls.crt"]))
	if n := w.nodes.podsCreated(); n != pods {
		t.Errorf("%d pods were replaced", n-pods)
	}
}

// With no servers wanted, the certificate is kept good for those to come.
func TestACertificateWithoutServersIsRenewed(t *testing.T) {
	w := newWorld(t)
	w.create(w.flightServer("taxi", replicas(0), func(fs *v1alpha1.FlightServer) {
		fs.Spec.TLS = &v1alpha1.TLS{OperatorCA: &v1alpha1.OperatorCA{}}
	}))
	secret, authority := &corev1.Secret{ObjectMeta: w.meta("taxi-operator-tls")}, &corev1.Secret{ObjectMeta: w.meta(pki.SecretName)}
	w.eventually("a certificate", func() error { return errors.Join(w.get(secret), w.get(authority)) })
	state, err := pki.Decode(authority.Data)
	if err != nil {
		t.Fatal(err)
	}
	names := leafOf(t, secret.Data["tls.crt"]).DNSNames
	short, key := w.pair(state.Active, func(r *pki.Request) { r.DNSNames, r.Lifetime = names, 4*time.Second })
	change(w, secret, func(s *corev1.Secret) { s.Data["tls.crt"], s.Data["tls.key"] = short, key })
	w.eventually("it to be renewed", func() error {
		if err := w.get(secret); err != nil {
			return err
		}
		if bytes.Equal(secret.Data["tls.crt"], short) {
			return errors.New("it is the one of before")
		}
		return nil
	})
	if leaf := leafOf(t, secret.Data["tls.crt"]); time.Until(leaf.NotAfter) < 24*time.Hour {
		t.Errorf("it ends at %s", leaf.NotAfter)
	}
}

// Whatever the certificate came from before, another source is taken up.
func TestAnotherSourceOfTheCertificate(t *testing.T) {
	w := newWorld(t)
	plain := w.flightServer("taxi", replicas(2))
	w.create(plain)
	w.awaitReady("taxi")
	secret := w.tlsSecret("cert", newCA(t))
	w.create(secret)
	set := func(tls *v1alpha1.TLS) {
		change(w, plain, func(fs *v1alpha1.FlightServer) { fs.Spec.TLS = tls })
	}
	for range 2 {
		set(&v1alpha1.TLS{SecretRef: &v1alpha1.LocalReference{Name: "cert"}})
		w.awaitServed("taxi", fingerprint(t, secret.Data["tls.crt"]))
		set(&v1alpha1.TLS{OperatorCA: &v1alpha1.OperatorCA{}})
		w.eventually("the operator's own", func() error {
			own := &corev1.Secret{ObjectMeta: w.meta("taxi-operator-tls")}
			if err := w.get(own); err != nil {
				return err
			}
			if fs := w.awaitReady("taxi"); fs.Status.Certificate == nil || fs.Status.Certificate.Fingerprint != fingerprint(t, own.Data["tls.crt"]) {
				return fmt.Errorf("certificate %+v", fs.Status.Certificate)
			}
			return nil
		})
		set(nil)
		w.eventually("plain text", func() error {
			if fs := w.awaitReady("taxi"); fs.Status.Certificate != nil || meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionCertificateServed) != nil || fs.Status.Servers[0].CertificateFingerprint != "" {
				return fmt.Errorf("of before: %+v", fs.Status)
			}
			return nil
		})
		if _, has := w.clientConfig("taxi")["ca.crt"]; has {
			t.Error("clients are told of CA certificates for plain text")
		}
	}
}

// cert-manager may come after the operator, and go before it.
func TestCertManager(t *testing.T) {
	w := newWorld(t)
	w.create(w.flightServer("taxi", replicas(2), func(fs *v1alpha1.FlightServer) {
		fs.Spec.TLS = &v1alpha1.TLS{Certificate: &v1alpha1.Certificate{IssuerRef: v1alpha1.IssuerReference{Name: "corp", Kind: "ClusterIssuer"}, Duration: &metav1.Duration{Duration: 24 * time.Hour}}}
	}))
	fs := w.awaitCondition("taxi", v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonCertManagerNotInstalled)
	if c := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionStalled); !strings.Contains(c.Message, "install cert-manager") {
		t.Error(c.Message)
	}

	// An operator that may not list Certificates says so, and works on.
	w.operator.forbidden.Store("certificates")
	definitions := installCertManager(t)
	fs = w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed)
	if c := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionReady); !strings.Contains(c.Message, "check that the operator may list and watch them") {
		t.Error(c.Message)
	}
	w.create(w.flightServer("bus"))
	w.awaitReady("bus")
	// cert-manager would overwrite the Secret of somebody else's.
	somebodys := w.tlsSecret("taxi-tls", newCA(t))
	w.create(somebodys)
	w.operator.forbidden.Store("")
	w.awaitCondition("taxi", v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonNameConflict)
	w.delete(somebodys)

	fs = w.awaitCondition("taxi", v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, v1alpha1.ReasonIssuing)
	if c := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionCertificateReady); !strings.Contains(c.Message, "Certificate taxi;") {
		t.Error(c.Message)
	}
	certificate := &cmv1.Certificate{ObjectMeta: w.meta("taxi")}
	if err := w.get(certificate); err != nil {
		t.Fatal(err)
	}
	if s := certificate.Spec; s.SecretName != "taxi-tls" || s.IssuerRef.Kind != "ClusterIssuer" || s.Duration.Duration != 24*time.Hour || s.PrivateKey.Algorithm != cmv1.ECDSAKeyAlgorithm ||
		s.PrivateKey.RotationPolicy != cmv1.RotationPolicyAlways || !strings.Contains(strings.Join(s.DNSNames, " "), "*.taxi."+w.namespace+".svc.cluster.local") {
		t.Errorf("asked cert-manager for %+v", s)
	}

	w.certificateSays(certificate, cmv1.CertificateCondition{Type: cmv1.CertificateConditionIssuing, Status: cmmetav1.ConditionFalse, Reason: "Failed", Message: "the issuer said no"})
	fs = w.awaitCondition("taxi", v1alpha1.ConditionCertificateReady, metav1.ConditionFalse, v1alpha1.ReasonIssuanceFailed)
	if c := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionCertificateReady); !strings.Contains(c.Message, "the issuer said no") {
		t.Error(c.Message)
	}

	secret := w.tlsSecret("taxi-tls", newCA(t))
	secret.Annotations = map[string]string{cmv1.CertificateNameKey: "taxi"}
	w.create(secret)
	w.certificateSays(certificate, cmv1.CertificateCondition{Type: cmv1.CertificateConditionReady, Status: cmmetav1.ConditionTrue, Reason: "Ready", Message: "up to date"})
	fs = w.awaitServed("taxi", fingerprint(t, secret.Data["tls.crt"]))
	if at := fs.Status.Certificate.RenewalTime; at == nil || !at.Time.Equal(renewal) {
		t.Errorf("renewal at %v, expected %s", at, renewal)
	}
	w.expectQuiet("taxi")
	change(w, certificate, func(c *cmv1.Certificate) { c.Spec.DNSNames = []string{"mine.example.com"} })
	w.eventually("the Certificate to be mended", func() error {
		if err := w.get(certificate); err != nil {
			return err
		}
		return differs(certificate.Spec.DNSNames[0], "taxi."+w.namespace+".svc")
	})

	// A Certificate that is not asked for any more goes, also if that was said while no operator ran. Its Secret stays.
	w.operator.stop()
	wish := fs.Spec.TLS.DeepCopy()
	change(w, fs, func(fs *v1alpha1.FlightServer) {
		fs.Spec.TLS = &v1alpha1.TLS{SecretRef: &v1alpha1.LocalReference{Name: "taxi-tls"}}
	})
	w.operator = startOperator(w, runtimeImage)
	w.eventually("the Certificate to be removed", func() error {
		if err := w.get(certificate); err != nil {
			return client.IgnoreNotFound(err)
		}
		return errors.New("it is there")
	})
	w.awaitServed("taxi", fingerprint(t, secret.Data["tls.crt"]))
	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.TLS = wish })
	w.certificateSays(certificate, cmv1.CertificateCondition{Type: cmv1.CertificateConditionReady, Status: cmmetav1.ConditionTrue, Reason: "Ready", Message: "up to date"})
	w.awaitServed("taxi", fingerprint(t, secret.Data["tls.crt"]))

	if err := envtest.UninstallCRDs(apiServer, envtest.CRDInstallOptions{CRDs: definitions}); err != nil {
		t.Fatal(err)
	}
	fs = w.awaitCondition("taxi", v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonCertManagerNotInstalled)
	if !meta.IsStatusConditionTrue(fs.Status.Conditions, v1alpha1.ConditionCertificateServed) || fs.Status.Certificate.ServedBy != "2/2" {
		t.Errorf("the last good certificate is not served any more: %+v", fs.Status)
	}
}

// certificateSays plays cert-manager, whose controllers the end-to-end tests have.
func (w *world) certificateSays(c *cmv1.Certificate, condition cmv1.CertificateCondition) {
	w.t.Helper()
	w.eventually("say it", func() error {
		if err := w.get(c); err != nil {
			return err
		}
		at := metav1.NewTime(renewal)
		c.Status = cmv1.CertificateStatus{RenewalTime: &at, Conditions: []cmv1.CertificateCondition{condition}}
		return w.client.Status().Update(w.ctx, c)
	})
}

// renewal is when cert-manager will renew in these tests.
var renewal = time.Now().Add(16 * time.Hour).Truncate(time.Second)

// installCertManager installs cert-manager's definitions, those of the module that the operator is built with.
func installCertManager(t *testing.T) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-json", "github.com/cert-manager/cert-manager").Output()
	if err != nil {
		t.Fatal(err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	installed, err := envtest.InstallCRDs(apiServer, envtest.CRDInstallOptions{Paths: []string{filepath.Join(module.Dir, "deploy", "crds", "cert-manager.io_certificates.yaml")}, ErrorIfPathMissing: true})
	if err != nil {
		t.Fatal(err)
	}
	return installed
}
