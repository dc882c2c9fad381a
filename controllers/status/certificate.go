package status

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/probe"
)

// Certificate is what was found of a FlightServer's certificate.
type Certificate struct {
	// SecretName is the Secret that it comes from.
	SecretName string
	// Current is the certificate that the servers should present: the Secret's, or while that is not good the last that was. Nil if none is known.
	Current *v1alpha1.CertificateStatus
	// Unseen is why what the Secret holds could not be looked at, nil if it was. Current is then that of before.
	Unseen *Problem
	// Faulty is whether Current is what the Secret holds though the problem is with just that: there is no better one.
	Faulty bool
	// Problem is what is wrong with what the Secret holds now, or with its renewal; nil if all is well.
	Problem *Problem
	// Moving is whether the problem is expected to pass without anybody's doing.
	Moving bool
	// RenewalTime is when the certificate will be renewed, zero if that is not known.
	RenewalTime time.Time
	// ClientCAProblem is what is wrong with the CA certificates that clients are checked against.
	ClientCAProblem *Problem
	// Due is since when the servers should present Current: if some do not for as long as Overdue, it takes too long.
	Due     time.Time
	Overdue time.Duration
}

// RotationOverdue is Certificate.Overdue where nobody says otherwise: the time after which a server that does not present the certificate is in trouble. By then the kubelet has brought its
// volume up to date by itself, whatever became of the operator's hints.
const RotationOverdue = 2 * time.Minute

// certificateReady is the condition CertificateReady.
func certificateReady(c *Certificate) finding {
	served := "; no certificate was good before it, so that clients may refuse the servers"
	switch {
	case c.Faulty:
		served = "; it is presented for want of a better one, and clients may refuse the servers"
	case c.Current != nil && c.Current.NotAfter != nil:
		served = fmt.Sprintf("; the last good certificate, valid until %s, goes on being served", c.Current.NotAfter.UTC().Format(time.RFC3339))
	}
	switch {
	case c.Unseen != nil:
		return isUnknown(c.Unseen.Reason, "%s", c.Unseen.Message).inMotion()
	case c.Problem != nil && c.Moving && c.Current == nil:
		return isFalse(c.Problem.Reason, "%s", c.Problem.Message).inMotion()
	case c.Problem != nil && c.Moving:
		return isFalse(c.Problem.Reason, "%s%s", c.Problem.Message, served).inMotion()
	case c.Problem != nil:
		return isFalse(c.Problem.Reason, "%s%s", c.Problem.Message, served)
	case c.ClientCAProblem != nil:
		return isFalse(c.ClientCAProblem.Reason, "%s", c.ClientCAProblem.Message)
	default:
		return isTrue(v1alpha1.ReasonCertificateValid, "the certificate of Secret %s is valid until %s", c.SecretName, c.Current.NotAfter.UTC().Format(time.RFC3339))
	}
}

// certificateServed is the condition CertificateServed: what the ready servers were seen to present.
func certificateServed(o *Observation, now time.Time) finding {
	c, ready := o.Certificate, o.ready()
	if c.Current == nil && c.Unseen != nil {
		return isUnknown(c.Unseen.Reason, "%s", c.Unseen.Message).inMotion()
	}
	if c.Current == nil {
		return isFalse(certificateReady(c).reason, "there is no certificate to present")
	}
	if len(ready) == 0 {
		return isUnknown(v1alpha1.ReasonNotProbed, "no server is ready to be probed").inMotion()
	}
	slices.SortFunc(ready, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	var behind []string
	why := ""
	for _, pod := range ready {
		if reason := o.certificateBehind(pod); reason != "" {
			if behind == nil {
				why = reason
			}
			behind = append(behind, pod.Name)
		}
	}
	switch {
	case behind == nil:
		return isTrue(v1alpha1.ReasonCertificateServed, "%s presented certificate %s", count(len(ready), "server"), short(c.Current.Fingerprint))
	case now.Sub(c.Due) >= c.Overdue:
		return isFalse(v1alpha1.ReasonRotationOverdue, "%d of %d ready servers (%s) do not present certificate %s for %s: %s; check the pod's events and log",
			len(behind), len(ready), some(behind), short(c.Current.Fingerprint), c.Overdue, why)
	default:
		return isFalse(v1alpha1.ReasonRotating, "waiting for %s to present certificate %s: %s", some(behind), short(c.Current.Fingerprint), why).inMotion()
	}
}

// certificateBehind says in what a server is not up to date, empty if it is.
func (o *Observation) certificateBehind(pod *corev1.Pod) string {
	r, wanted := o.result(pod), o.Wants
	switch {
	case r.Leaf == nil:
		return "it was not seen to present any"
	case r.Leaf.Fingerprint != o.Certificate.Current.Fingerprint:
		if r.Health != nil && r.Health.Certificate != nil && r.Health.Certificate.Message != "" {
			return fmt.Sprintf("it presents %s, for: %s", short(r.Leaf.Fingerprint), r.Health.Certificate.Message)
		}
		return fmt.Sprintf("it presents %s", short(r.Leaf.Fingerprint))
	case r.Answers() && wanted.Chain != "" && r.Content().Chain != wanted.Chain:
		return "it presents it with another chain"
	case r.Answers() && wanted.ClientCA != "" && r.Content().ClientCA != wanted.ClientCA:
		return "it checks clients against other CA certificates"
	default:
		return ""
	}
}

// short is enough of a fingerprint to tell two apart; the whole one is in the status.
func short(fingerprint string) string { return fingerprint[:min(len(fingerprint), 16)] }

// certificateStatus is status.certificate, nil without TLS.
func certificateStatus(o *Observation) *v1alpha1.CertificateStatus {
	c := o.Certificate
	if c == nil {
		return nil
	}
	s := &v1alpha1.CertificateStatus{}
	if c.Current != nil {
		s = c.Current.DeepCopy()
	}
	s.SecretName, s.RenewalTime = c.SecretName, nil
	if !c.RenewalTime.IsZero() {
		at := metav1.NewTime(c.RenewalTime.Truncate(time.Second))
		s.RenewalTime = &at
	}
	ready, served := o.ready(), 0
	for _, pod := range ready {
		if c.Current != nil && o.certificateBehind(pod) == "" {
			served++
		}
	}
	s.ServedBy = fmt.Sprintf("%d/%d", served, len(ready))
	return s
}

// FirstToEnd is that of the certificates which ends first that the servers present, as seen; nil if none was seen. It is shared: nothing in it may
// be changed.
func FirstToEnd(results map[string]probe.Result) (first *x509.Certificate) {
	for _, r := range results {
		if r.Leaf != nil && (first == nil || r.Leaf.Certificate.NotAfter.Before(first.NotAfter)) {
			first = r.Leaf.Certificate
		}
	}
	return first
}
