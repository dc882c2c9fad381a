package status_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/controllers/status"
	"github.com/flight-operator/flight-operator/flightruntime"
)

// end is when the certificate of these tests does.
var end = metav1.NewTime(now.Add(24 * time.Hour))

// withTLS is a FlightServer whose servers should present the certificate "new", and do.
func withTLS(edits ...func(*status.Observation)) *status.Observation {
	o := observe(func(o *status.Observation) {
		o.Wants = probe.Content{ConfigHash: "new", Fingerprint: "new", Chain: "chain", ClientCA: "clients"}
		o.Certificate = &status.Certificate{SecretName: "tls", Current: &v1alpha1.CertificateStatus{Fingerprint: "new", NotAfter: &end}, Due: now, Overdue: status.RotationOverdue}
		o.Results = map[string]probe.Result{"a": presenting("new"), "b": presenting("new")}
	})
	for _, edit := range edits {
		edit(o)
	}
	return o
}

func presenting(fingerprint string) probe.Result {
	r := serving("new")
	r.Leaf = &probe.Leaf{Fingerprint: fingerprint, Certificate: &x509.Certificate{NotAfter: end.Time}}
	r.Health.Certificate = &flightruntime.CertificateHealth{Fingerprint: fingerprint, Digest: "chain", ClientCADigest: "clients"}
	return r
}

func TestCertificateConditions(t *testing.T) {
	broken := status.Problem{Reason: v1alpha1.ReasonKeyMismatch, Message: "Secret tls: the key is another's"}
	for _, c := range []struct {
		name    string
		seen    *status.Observation
		want    []string
		message string
		served  string
	}{
		{
			name:    "all present it",
			seen:    withTLS(),
			want:    []string{"Ready=True Ready", "CertificateReady=True CertificateValid", "CertificateServed=True CertificateServed"},
			message: "2 servers presented certificate new",
			served:  "2/2",
		},
		{
			name:    "one has not taken it up yet",
			seen:    withTLS(func(o *status.Observation) { o.Results["b"] = presenting("old") }),
			want:    []string{"Ready=False Rotating", "CertificateReady=True CertificateValid", "CertificateServed=False Rotating", "Reconciling=True Rotating"},
			message: "waiting for b to present certificate new: it presents old",
			served:  "1/2",
		},
		{
			name: "one says why it does not",
			seen: withTLS(func(o *status.Observation) {
				o.Results["b"] = presenting("old")
				o.Results["b"].Health.Certificate.Message = "the certificate is valid from tomorrow on"
			}),
			want:    []string{"Ready=False Rotating", "CertificateReady=True CertificateValid", "CertificateServed=False Rotating", "Reconciling=True Rotating"},
			message: "it presents old, for: the certificate is valid from tomorrow on",
			served:  "1/2",
		},
		{
			name: "it takes too long",
			seen: withTLS(func(o *status.Observation) {
				o.Results["b"] = presenting("old")
				o.Certificate.Due = now.Add(-status.RotationOverdue)
			}),
			want:    []string{"Ready=False RotationOverdue", "CertificateReady=True CertificateValid", "CertificateServed=False RotationOverdue"},
			message: "1 of 2 ready servers (b) do not present certificate new for 2m0s: it presents old",
			served:  "1/2",
		},
		{
			name:    "another chain",
			seen:    withTLS(func(o *status.Observation) { o.Results["a"].Health.Certificate.Digest = "other" }),
			want:    []string{"Ready=False Rotating", "CertificateReady=True CertificateValid", "CertificateServed=False Rotating", "Reconciling=True Rotating"},
			message: "another chain",
			served:  "1/2",
		},
		{
			name:    "clients are checked against other CAs",
			seen:    withTLS(func(o *status.Observation) { o.Results["a"].Health.Certificate.ClientCADigest = "" }),
			want:    []string{"Ready=False Rotating", "CertificateReady=True CertificateValid", "CertificateServed=False Rotating", "Reconciling=True Rotating"},
			message: "it checks clients against other CA certificates",
			served:  "1/2",
		},
		{
			name:    "a server that was not probed yet",
			seen:    withTLS(func(o *status.Observation) { o.Results["a"] = probe.Result{State: v1alpha1.ServerPending} }),
			want:    []string{"Ready=False NotProbed", "CertificateReady=True CertificateValid", "CertificateServed=False Rotating", "Reconciling=True NotProbed"},
			message: "waiting for a to present certificate new: it was not seen to present any",
			served:  "1/2",
		},
		{
			name:    "no server is ready",
			seen:    withTLS(func(o *status.Observation) { unready(&o.Pods[0]); unready(&o.Pods[1]) }),
			want:    []string{"Ready=False Progressing", "CertificateReady=True CertificateValid", "CertificateServed=Unknown NotProbed", "Reconciling=True Progressing"},
			message: "no server is ready to be probed",
			served:  "0/0",
		},
		{
			name:    "a Secret that is broken leaves the last good certificate",
			seen:    withTLS(func(o *status.Observation) { o.Certificate.Problem = &broken }),
			want:    []string{"Ready=False KeyMismatch", "CertificateReady=False KeyMismatch", "CertificateServed=True CertificateServed"},
			message: "2 servers presented certificate new",
			served:  "2/2",
		},
		{
			name: "a Secret that never was",
			seen: withTLS(func(o *status.Observation) {
				o.Certificate.Problem, o.Certificate.Current = &status.Problem{Reason: v1alpha1.ReasonSecretNotFound, Message: "Secret tls does not exist"}, nil
				unready(&o.Pods[0])
				unready(&o.Pods[1])
			}),
			want:    []string{"Ready=False SecretNotFound", "CertificateReady=False SecretNotFound", "CertificateServed=False SecretNotFound"},
			message: "there is no certificate to present",
			served:  "0/0",
		},
		{
			name: "a certificate that is being issued",
			seen: withTLS(func(o *status.Observation) {
				o.Certificate.Problem, o.Certificate.Moving, o.Certificate.Current = &status.Problem{Reason: v1alpha1.ReasonIssuing, Message: "cert-manager is issuing"}, true, nil
			}),
			want:    []string{"Ready=False Issuing", "CertificateReady=False Issuing", "CertificateServed=False Issuing", "Reconciling=True Issuing"},
			message: "there is no certificate to present",
			served:  "0/2",
		},
		{
			name: "a Secret that cannot be read leaves what is known",
			seen: withTLS(func(o *status.Observation) {
				p := status.Problem{Reason: v1alpha1.ReasonApplyFailed, Message: "read Secret tls: no"}
				o.Pending, o.Certificate.Unseen = &p, &p
			}),
			want:    []string{"Ready=False ApplyFailed", "CertificateReady=Unknown ApplyFailed", "CertificateServed=True CertificateServed", "Reconciling=True ApplyFailed"},
			message: "2 servers presented certificate new",
			served:  "2/2",
		},
		{
			name: "a Secret that could never be read",
			seen: withTLS(func(o *status.Observation) {
				p := status.Problem{Reason: v1alpha1.ReasonApplyFailed, Message: "read Secret tls: no"}
				o.Pending, o.Certificate.Unseen, o.Certificate.Current = &p, &p, nil
			}),
			want:    []string{"Ready=False ApplyFailed", "CertificateReady=Unknown ApplyFailed", "CertificateServed=Unknown ApplyFailed", "Reconciling=True ApplyFailed"},
			message: "read Secret tls: no",
			served:  "0/2",
		},
		{
			name: "CA certificates for clients that are none",
			seen: withTLS(func(o *status.Observation) {
				o.Certificate.ClientCAProblem = &status.Problem{Reason: v1alpha1.ReasonClientCAInvalid, Message: "ConfigMap clients does not exist"}
				o.Wants.ClientCA = ""
			}),
			want:    []string{"Ready=False ClientCAInvalid", "CertificateReady=False ClientCAInvalid", "CertificateServed=True CertificateServed"},
			message: "2 servers presented certificate new",
			served:  "2/2",
		},
		{
			name: "without cert-manager",
			seen: withTLS(func(o *status.Observation) {
				p := status.Problem{Reason: v1alpha1.ReasonCertManagerNotInstalled, Message: "install cert-manager"}
				o.Stalled, o.Certificate.Problem = &p, &p
			}),
			want:    []string{"Ready=False CertManagerNotInstalled", "CertificateReady=False CertManagerNotInstalled", "CertificateServed=True CertificateServed", "Stalled=True CertManagerNotInstalled"},
			message: "2 servers presented certificate new",
			served:  "2/2",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := status.Compute(c.seen, v1alpha1.FlightServerStatus{}, metav1.NewTime(now))
			wantConditions(t, got.Conditions, c.want, v1alpha1.ConditionCertificateServed, c.message, ofDatasets...)
			if got.Certificate.ServedBy != c.served || got.Certificate.SecretName != "tls" {
				t.Errorf("certificate %+v, expected to be served by %s", got.Certificate, c.served)
			}
		})
	}
}

func TestFirstToEnd(t *testing.T) {
	early := presenting("x")
	early.Leaf.Certificate = &x509.Certificate{NotAfter: now}
	if got := status.FirstToEnd(map[string]probe.Result{"a": presenting("x"), "b": early, "c": serving("new")}); got != early.Leaf.Certificate {
		t.Errorf("the first to end is %v, expected the one that ends at %s", got, now)
	}
	if got := status.FirstToEnd(nil); got != nil {
		t.Errorf("of no certificates: %v", got)
	}
}

// The condition says which certificate is served, if the Secret's is bad.
func TestWhatIsServedInstead(t *testing.T) {
	broken := status.Problem{Reason: v1alpha1.ReasonCertificateExpired, Message: "it expired"}
	for _, c := range []struct {
		name string
		edit func(*status.Certificate)
		want string
	}{
		{"the last good", func(*status.Certificate) {}, "; the last good certificate, valid until " + end.UTC().Format(time.RFC3339) + ", goes on being served"},
		{"itself", func(c *status.Certificate) { c.Faulty = true }, "; it is presented for want of a better one, and clients may refuse the servers"},
		{"none", func(c *status.Certificate) { c.Current = nil }, "; no certificate was good before it, so that clients may refuse the servers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := withTLS(func(o *status.Observation) { o.Certificate.Problem = &broken; c.edit(o.Certificate) })
			got := meta.FindStatusCondition(status.Conditions(o, nil, now), v1alpha1.ConditionCertificateReady)
			if diff := cmp.Diff(broken.Message+c.want, got.Message); diff != "" {
				t.Error(diff)
			}
		})
	}
}
