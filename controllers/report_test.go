package controllers

import (
	"crypto/x509"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/controllers/status"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// The CA is replaced on the word of these reports: each has to be certain.
func TestReport(t *testing.T) {
	stored, presented := &x509.Certificate{Raw: []byte("stored")}, &x509.Certificate{Raw: []byte("presented")}
	published := func(edits ...func(*tlsScope)) *tlsScope {
		t := &tlsScope{loaded: true, published: true, authority: pki.Snapshot{Digest: "bundle"}}
		for _, edit := range edits {
			edit(t)
		}
		return t
	}
	serves := func(hash string) probe.Result {
		return probe.Result{State: v1alpha1.ServerServing, Health: &flightruntime.Health{ConfigHash: hash}, Leaf: &probe.Leaf{Certificate: presented}}
	}
	both := []*x509.Certificate{stored, presented}
	for _, c := range []struct {
		name   string
		tls    *tlsScope
		result probe.Result
		want   pki.Report
	}{
		{"all is written and read", published(), serves("new"), pki.Report{Bundle: "bundle", Leaves: both}},
		{"a server with an older configuration", published(), serves("old"), pki.Report{Leaves: both}},
		{"a server that does not answer", published(), probe.Result{State: v1alpha1.ServerUnreachable}, pki.Report{Leaves: both[:1]}},
		// The servers serve the configuration of before, as they should then; the bundle is not in it.
		{"the configuration was not written", published(func(t *tlsScope) { t.published = false }), serves("new"), pki.Report{}},
		{"the Secret was not read", published(func(t *tlsScope) { t.loaded = false }), serves("new"), pki.Report{}},
		{"nothing was looked at", nil, serves("new"), pki.Report{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := &status.Observation{
				Wants: probe.Content{ConfigHash: "new"}, Results: map[string]probe.Result{"a": c.result},
				Pods: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}},
			}
			if diff := cmp.Diff(c.want, reportOf(c.tls, certificateFacts{parsed: &certs.Certificate{Leaf: stored}}, seen), cmp.Comparer(func(a, b *x509.Certificate) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
		})
	}
}
