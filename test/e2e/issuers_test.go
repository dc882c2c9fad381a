package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// issuers are two CA issuers, whose certificates cert-manager makes too.
const issuers = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: self-signed, namespace: %[1]s}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: first, namespace: %[1]s}
spec: {isCA: true, commonName: first, secretName: first, privateKey: {algorithm: ECDSA}, issuerRef: {name: self-signed}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: first, namespace: %[1]s}
spec: {ca: {secretName: first}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: second, namespace: %[1]s}
spec: {isCA: true, commonName: second, secretName: second, privateKey: {algorithm: ECDSA}, issuerRef: {name: self-signed}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: second, namespace: %[1]s}
spec: {ca: {secretName: second}}
`

// testCertManager has the real cert-manager issue and renew, under load.
func testCertManager(t *testing.T) {
	s := server{namespace(t, "e2e-cert-manager"), "issued"}
	evidence.watch(t, s.namespace)
	apply(t, fmt.Sprintf(issuers, s.namespace))
	// Renewed ten seconds after each issuance.
	apply(t, tlsServer(s, "{certificate: {issuerRef: {name: first}, duration: 1h, renewBefore: 59m50s}}"))
	s.ready(t)
	s.servesItsSecret(t)
	roots := s.caFile(t)
	l := startLoad(t, s, roots.path, 4, 20)

	t.Run("left alone", func(t *testing.T) {
		seen := map[string]bool{}
		for begun := time.Now(); time.Since(begun) < 40*time.Second; time.Sleep(200 * time.Millisecond) {
			if fs := s.get(t); isTrue(fs, v1alpha1.ConditionCertificateServed) {
				seen[fs.Status.Certificate.Fingerprint] = true
			}
		}
		if len(seen) < 4 {
			t.Errorf("expected three renewals to be served in 40 s, saw %d certificates", len(seen))
		}
		s.edit(t, func(spec *v1alpha1.FlightServerSpec) {
			spec.TLS.Certificate.Duration, spec.TLS.Certificate.RenewBefore = nil, nil
		})
		s.servesItsSecret(t)
	})
	t.Run("renewed by hand", func(t *testing.T) {
		for range 3 {
			s.servesAnother(t, func() { s.renew(t, s.name) })
		}
	})
	t.Run("another kind of key", func(t *testing.T) {
		s.servesAnother(t, func() {
			s.edit(t, func(spec *v1alpha1.FlightServerSpec) {
				spec.TLS.Certificate.PrivateKey = &v1alpha1.PrivateKey{Algorithm: v1alpha1.KeyRSA, Size: 3072}
			})
		})
		if leaf := s.stored(t).Leaf; leaf.PublicKeyAlgorithm.String() != "RSA" {
			t.Errorf("the key is %s", leaf.PublicKeyAlgorithm)
		}
	})
	t.Run("another issuer", func(t *testing.T) {
		// cert-manager tells of the other CA when it has issued by it. Whoever changes the issuer gives clients its CA before.
		also := secretValue(t, s.namespace, "second", "tls.crt")
		roots.also.Store(&also)
		time.Sleep(time.Second)
		s.servesAnother(t, func() {
			s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.TLS.Certificate.IssuerRef.Name = "second" })
		})
		if issuer := s.get(t).Status.Certificate.Issuer; issuer != "CN=second" {
			t.Errorf("issued by %s", issuer)
		}
	})
	t.Run("another CA of the same issuer", func(t *testing.T) {
		before := secretValue(t, s.namespace, "second", "tls.crt")
		s.renew(t, "second")
		var also []byte
		eventually(t, func() error {
			if also = secretValue(t, s.namespace, "second", "tls.crt"); bytes.Equal(also, before) {
				return errors.New("the CA is still the one of before")
			}
			return nil
		})
		roots.also.Store(&also)
		time.Sleep(time.Second)
		s.servesAnother(t, func() { s.renew(t, s.name) })
		if ca := clientCA(t, s); !strings.Contains(ca, string(also)) || !strings.Contains(ca, string(before)) {
			t.Errorf("clients get %d CA certificates, expected the new one and the one of before", strings.Count(ca, "BEGIN"))
		}
	})
	report := l.end(t)
	if len(report.Broken) > 0 || len(report.Refused) > 0 || len(report.Checksums) != 1 {
		t.Errorf("%d streams, of which these broke: %q; %d connections made, these refused: %q", report.Streams, report.Broken, report.Connections, report.Refused)
	}
	t.Logf("FIGURE cert-manager under load for %.0f s: %d streams, %d broken; %d new connections, %d refused", report.Seconds, report.Streams, len(report.Broken), report.Connections, len(report.Refused))

	t.Run("an issuer that is not there", func(t *testing.T) {
		current := certs.Fingerprint(s.stored(t).Leaf)
		s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.TLS.Certificate.IssuerRef.Name = "third" })
		eventually(t, func() error { return s.presents(t, current) })
		s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.TLS.Certificate.IssuerRef.Name = "second" })
		s.ready(t)
	})
	t.Run("without cert-manager", func(t *testing.T) {
		definition := run(t, "", "kubectl", "get", "crd", "certificates.cert-manager.io", "-o", "json")
		run(t, "", "kubectl", "delete", "crd", "certificates.cert-manager.io")
		s.condition(t, v1alpha1.ConditionStalled, "True", v1alpha1.ReasonCertManagerNotInstalled)
		s.servesItsSecret(t) // the last that cert-manager issued
		run(t, definition, "kubectl", "create", "-f", "-")
		s.ready(t)
	})
}

// testOperatorCA has the operator's own CA issue, renew and be replaced, under load.
func testOperatorCA(t *testing.T) {
	s := server{namespace(t, "e2e-operator-ca"), "owned"}
	evidence.watch(t, s.namespace)
	apply(t, tlsServer(s, "{operatorCA: {dnsNames: [flight.example.com]}}"))
	s.ready(t)
	s.servesItsSecret(t)
	pods := uids(s.pods(t))
	l := startLoad(t, s, s.caFile(t).path, 4, 20)
	t.Run("renewed", func(t *testing.T) {
		s.servesAnother(t, func() {
			s.edit(t, func(spec *v1alpha1.FlightServerSpec) {
				spec.TLS.OperatorCA.PrivateKey = &v1alpha1.PrivateKey{Algorithm: v1alpha1.KeyEd25519}
			})
		})
		s.servesAnother(t, func() {
			s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.TLS.OperatorCA.PrivateKey = nil })
		})
		s.servesAnother(t, func() { run(t, "", "kubectl", "-n", s.namespace, "delete", "secret", "owned-operator-tls") })
	})
	t.Run("another CA", func(t *testing.T) {
		before := clientCA(t, s)
		run(t, "", "kubectl", "-n", systemNamespace, "annotate", "--overwrite", "secret", pki.SecretName, pki.AnnotationRotate+"="+time.Now().Format(time.RFC3339))
		begun := time.Now()
		eventually(t, func() error {
			if strings.Contains(clientCA(t, s), before) {
				return fmt.Errorf("clients trust %d CA certificates, the one of before among them", strings.Count(clientCA(t, s), "BEGIN"))
			}
			return nil
		})
		s.ready(t)
		s.servesItsSecret(t)
		t.Logf("FIGURE the operator's CA replaced in %s, with an overlap of %s", time.Since(begun).Round(time.Second), caOverlap)
	})
	report := l.end(t)
	if len(report.Broken) > 0 || len(report.Refused) > 0 || len(report.Checksums) != 1 {
		t.Errorf("%d streams, of which these broke: %q; %d connections made, these refused: %q", report.Streams, report.Broken, report.Connections, report.Refused)
	}
	if left := uids(s.pods(t)); fmt.Sprint(left) != fmt.Sprint(pods) {
		t.Errorf("expected the same pods without restarts, %v, got %v", pods, left)
	}
	t.Logf("FIGURE the operator's CA under load for %.0f s: %d streams, %d broken; %d new connections, %d refused", report.Seconds, report.Streams, len(report.Broken), report.Connections, len(report.Refused))
}

// stored is the certificate in the Secret of the operator's naming.
func (s server) stored(t *testing.T) *certs.Certificate {
	t.Helper()
	var c *certs.Certificate
	eventually(t, func() error {
		var secret corev1.Secret
		err := cluster.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: config.SecretName(s.get(t))}, &secret)
		if err != nil {
			return err
		}
		evidence.key(secret.Data["tls.key"])
		c, err = certs.Parse(secret.Data["tls.crt"], secret.Data["tls.key"])
		return err
	})
	return c
}

// servesItsSecret waits until the certificate of the Secret is proven.
func (s server) servesItsSecret(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		stored, fs := certs.Fingerprint(s.stored(t).Leaf), s.get(t)
		if fs.Status.Certificate.Fingerprint != stored || !isTrue(fs, v1alpha1.ConditionCertificateServed) {
			return fmt.Errorf("expected %s to be served, got %+v", stored, fs.Status.Certificate)
		}
		return s.presents(t, stored)
	})
}

// servesAnother makes a change and waits until another certificate is proven.
func (s server) servesAnother(t *testing.T, change func()) {
	t.Helper()
	before := certs.Fingerprint(s.stored(t).Leaf)
	change()
	eventually(t, func() error {
		if certs.Fingerprint(s.stored(t).Leaf) == before {
			return fmt.Errorf("the certificate is still %s", before)
		}
		return nil
	})
	s.servesItsSecret(t)
}

// renew triggers a Certificate as cmctl does.
func (s server) renew(t *testing.T, certificate string) {
	t.Helper()
	run(t, "", "kubectl", "-n", s.namespace, "patch", "certificate", certificate, "--subresource=status", "--type=json", "-p",
		`[{"op": "add", "path": "/status/conditions/-", "value": {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered"}}]`)
}

func secretValue(t *testing.T, ns, name, key string) []byte {
	t.Helper()
	var secret corev1.Secret
	eventually(t, func() error { return cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: name}, &secret) })
	return secret.Data[key]
}

func clientCA(t *testing.T, s server) string {
	t.Helper()
	var cm corev1.ConfigMap
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: s.name + "-client"}, &cm); err != nil {
		t.Fatal(err)
	}
	return cm.Data["ca.crt"]
}
