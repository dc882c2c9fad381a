package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	cmv1ac "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/desired"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/controllers/status"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// defaultCertificateLife is that of certificates which the operator's own CA issues, the same as cert-manager's default.
const defaultCertificateLife = 90 * 24 * time.Hour

// tlsScope is what one reconciliation knows of a FlightServer's TLS.
type tlsScope struct {
	// published is whether the servers' configuration and the clients' ConfigMap have been written with the authority's bundle.
	published bool
	// loaded is whether the material could be looked at.
	loaded bool
	// authority is the operator's CA, and servers know the operator by its bundle.
	authority pki.Snapshot
	// issuing is what the issuer of the certificate, cert-manager or the operator, says of it, nil if there is nothing to say.
	issuing *status.Problem
	// issuingMoves is whether that is expected to pass.
	issuingMoves bool
	// stalled is what no retry mends.
	stalled *status.Problem
	// renewal is when the certificate will be renewed, zero if that is not known.
	renewal time.Time
	// wake is when to look again at the latest, zero if there is no need.
	wake time.Time
}

// soon makes the scope wake at a time, if not earlier. A time that is over means nothing, and hides none that is to come.
func (t *tlsScope) soon(at time.Time) {
	if at.After(time.Now().Round(0)) && (t.wake.IsZero() || at.Before(t.wake)) {
		t.wake = at
	}
}

// loadTLS finds what a FlightServer has for TLS.
func (r *FlightServerReconciler) loadTLS(_ context.Context, s *scope) (err error) {
	if s.fs.Spec.TLS == nil {
		r.forgetTLS(s.key)
		return nil
	}
	s.tls = &tlsScope{}
	if s.tls.authority, err = r.Authority.Snapshot(); err != nil {
		return fmt.Errorf("the operator has no identity towards the servers: %w", err)
	}
	s.tls.loaded = true
	return nil
}

// forgetTLS drops all that is held of a FlightServer's TLS in memory.
func (r *FlightServerReconciler) forgetTLS(key types.NamespacedName) {
	r.rotations.forget(key)
	r.Authority.Forget(key)
	forgetCertificateMetrics(key)
}

// ensureCertificate sees to the certificate, where it is not the user's own.
func (r *FlightServerReconciler) ensureCertificate(ctx context.Context, s *scope) error {
	names := config.ServerNames(s.fs, r.ClusterDomain)
	if s.tls != nil && s.fs.Spec.TLS.Certificate != nil {
		return r.ensureCertManagerCertificate(ctx, s, names)
	}
	if err := r.removeCertManagerCertificate(ctx, s); err != nil {
		return err
	}
	if s.tls != nil && s.fs.Spec.TLS.OperatorCA != nil {
		return r.ensureOwnCertificate(ctx, s, names)
	}
	return nil
}

// removeCertManagerCertificate removes the Certificate that was asked for before the specification said otherwise. The Secret that cert-manager made
// of it stays: it may be what spec.tls.secretRef names now.
func (r *FlightServerReconciler) removeCertManagerCertificate(ctx context.Context, s *scope) error {
	reader := r.certManager.started()
	if observed := s.before.Status.ObservedGeneration; reader == nil && 0 < observed && observed < s.fs.Generation {
		// The specification changed while no operator ran, or not this one: it may have asked for one before.
		var err error
		if reader, err = r.certManager.reader(ctx); errors.Is(err, errNoCertManager) || errors.Is(err, errNotFilled) {
			return nil // there is none, or the operator cannot have made one
		} else if err != nil {
			return err
		}
	}
	if reader == nil {
		return nil
	}
	var live cmv1.Certificate
	err := reader.Get(ctx, s.key, &live)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up Certificate %s: %w", s.fs.Name, err)
	}
	if checkOwner(s.fs, cmv1.CertificateKind, &live) != nil || !live.DeletionTimestamp.IsZero() {
		return nil
	}
	err = r.client.Delete(ctx, &live, client.Preconditions{UID: &live.UID})
	if client.IgnoreNotFound(err) != nil && !meta.IsNoMatchError(err) {
		return fmt.Errorf("remove Certificate %s: %w", s.fs.Name, err)
	}
	return nil
}

// ensureOwnCertificate has the operator's own CA issue the certificate, if it is due.
func (r *FlightServerReconciler) ensureOwnCertificate(ctx context.Context, s *scope, names []string) error {
	wish := s.fs.Spec.TLS.OperatorCA
	key := types.NamespacedName{Namespace: s.fs.Namespace, Name: config.SecretName(s.fs)}
	if _, err := r.applier.find(ctx, s.fs, key.Name, metadataOf(kindSecret)); err != nil {
		return err
	}
	request, err := certificateRequest(s.fs, names, wish)
	if err != nil {
		return &stalledError{status.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: "spec.tls.operatorCA: " + err.Error()}}
	}
	now := time.Now().Round(0) // the wall clock: a machine that was suspended has to see what time it is
	if c := s.material.certificate.parsed; c != nil {
		if _, due := pki.Due(c.Leaf, s.tls.authority.Active, request, now, key.String()); !due {
			s.tls.renewal = pki.RenewalTime(c.Leaf, request.Lifetime, key.String())
			s.tls.soon(s.tls.renewal)
			return nil
		}
	}
	certificate, private, err := pki.Issue(s.tls.authority.Active, request, now)
	if err != nil {
		s.tls.issuing = &status.Problem{Reason: v1alpha1.ReasonIssuanceFailed, Message: "the operator's CA cannot issue the certificate: " + err.Error()}
		return nil
	}
	want := desired.CertificateSecret(s.fs, certificate, private, s.tls.authority.Bundle)
	if _, err := apply(ctx, r.applier, kindSecret, key, nil, want, version{}); err != nil {
		return err
	}
	r.materials.invalidate(s.key) // the watch has not seen it yet
	if err := r.loadMaterial(ctx, s); err != nil {
		return err
	}
	if c := s.material.certificate.parsed; c != nil {
		s.tls.renewal = pki.RenewalTime(c.Leaf, request.Lifetime, key.String())
		s.tls.soon(s.tls.renewal)
	}
	return nil
}

// certificateRequest is what the operator's own CA is asked for.
func certificateRequest(fs *v1alpha1.FlightServer, serverNames []string, wish *v1alpha1.OperatorCA) (pki.Request, error) {
	names := desired.CertificateNames(fs, serverNames, wish.SubjectNames)
	request := pki.Request{
		DNSNames: names.DNSNames,
		Usage:    pki.UsageServer,
		Lifetime: defaultCertificateLife,
	}
	if wish.PrivateKey != nil {
		request.Key = *wish.PrivateKey
	}
	if wish.Duration != nil {
		request.Lifetime = wish.Duration.Duration
	}
	for _, text := range names.IPAddresses {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return request, fmt.Errorf("ipAddresses: %w", err)
		}
		request.IPs = append(request.IPs, ip)
	}
	return request, nil
}

// ensureCertManagerCertificate asks cert-manager for the certificate, and takes over what it says of it.
func (r *FlightServerReconciler) ensureCertManagerCertificate(ctx context.Context, s *scope, names []string) error {
	reader, err := r.certManager.reader(ctx)
	if errors.Is(err, errNoCertManager) {
		s.tls.noCertManager()
		return nil
	}
	if err != nil {
		return err
	}
	live := &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: s.key.Name}}
	var have *cmv1ac.CertificateApplyConfiguration
	var before version
	err = reader.Get(ctx, s.key, live)
	switch {
	case apierrors.IsNotFound(err):
		if err := r.applier.checkUnlabelled(ctx, s.fs, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind), s.key); err != nil {
			return err
		}
		if err := r.checkSecretOfCertificate(ctx, s); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("look up Certificate %s: %w", s.fs.Name, err)
	default:
		if err := checkOwner(s.fs, cmv1.CertificateKind, live); err != nil {
			return err
		}
		if have, err = cmv1ac.ExtractCertificate(live, desired.FieldOwner); err != nil {
			return fmt.Errorf("tell what is owned of Certificate %s: %w", s.fs.Name, err)
		}
		before = versionOf(live)
	}
	_, err = apply(ctx, r.applier, cmv1.CertificateKind, s.key, have, desired.Certificate(s.fs, names), before)
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		s.tls.noCertManager() // it is gone since it was asked for
		return nil
	}
	if err != nil {
		return err
	}
	s.tls.issuing, s.tls.issuingMoves = certManagerSays(live)
	if live.Status.RenewalTime != nil {
		s.tls.renewal = live.Status.RenewalTime.Time
	}
	return nil
}

// checkSecretOfCertificate is an error if the Secret that cert-manager would write is there and was not made for a Certificate of this name: it
// would be overwritten. It is asked before there is a Certificate.
func (r *FlightServerReconciler) checkSecretOfCertificate(ctx context.Context, s *scope) error {
	name := config.SecretName(s.fs)
	m := metadataOf(kindSecret)
	err := r.live.Get(ctx, types.NamespacedName{Namespace: s.fs.Namespace, Name: name}, m)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up Secret %s: %w", name, err)
	}
	if of := m.GetAnnotations()[cmv1.CertificateNameKey]; of != s.fs.Name {
		return &stalledError{status.Problem{Reason: v1alpha1.ReasonNameConflict, Message: fmt.Sprintf(
			"Secret %s exists and was not made by cert-manager for Certificate %s: delete or rename it, or name it in spec.tls.secretRef", name, s.fs.Name)}}
	}
	return nil
}

// noCertManager records that cert-manager is missing. It may be installed at any time; nothing but a look tells.
func (t *tlsScope) noCertManager() {
	t.stalled = &status.Problem{Reason: v1alpha1.ReasonCertManagerNotInstalled, Message: "spec.tls.certificate needs cert-manager, and the cluster does not know its Certificates: " +
		"install cert-manager (it will be noticed), or set spec.tls.operatorCA or spec.tls.secretRef instead"}
	t.issuing = t.stalled
	t.soon(time.Now().Add(stalledRecheck))
}

// certManagerSays is what is not yet, or not, as it should be with a Certificate, and whether that is expected to pass.
func certManagerSays(c *cmv1.Certificate) (problem *status.Problem, moves bool) {
	var ready, issuing *cmv1.CertificateCondition
	for i := range c.Status.Conditions {
		switch condition := &c.Status.Conditions[i]; condition.Type {
		case cmv1.CertificateConditionReady:
			ready = condition
		case cmv1.CertificateConditionIssuing:
			issuing = condition
		}
	}
	switch {
	case issuing != nil && issuing.Status == cmmetav1.ConditionFalse && issuing.Reason == "Failed":
		return &status.Problem{Reason: v1alpha1.ReasonIssuanceFailed, Message: fmt.Sprintf("cert-manager could not issue Certificate %s: %s; kubectl describe certificate,certificaterequest -n %s tells more",
			c.Name, issuing.Message, c.Namespace)}, false
	case ready != nil && ready.Status == cmmetav1.ConditionTrue:
		return nil, false
	case ready != nil:
		return &status.Problem{Reason: v1alpha1.ReasonIssuing, Message: fmt.Sprintf("cert-manager is issuing Certificate %s: %s (%s)", c.Name, ready.Message, ready.Reason)}, true
	default:
		return &status.Problem{Reason: v1alpha1.ReasonIssuing, Message: fmt.Sprintf("waiting for cert-manager to issue Certificate %s; if this lasts, check that its controllers run", c.Name)}, true
	}
}

// observeCertificate puts together what was found of the certificate, given what kept the phases from their end, if anything did.
func (r *FlightServerReconciler) observeCertificate(s *scope, seen *status.Observation, failure error) {
	if s.fs.Spec.TLS == nil {
		return
	}
	now := time.Now().Round(0)
	if s.tls == nil || !s.tls.loaded {
		seen.Certificate = unseenCertificate(s.fs, failure, now)
		seen.Certificate.Overdue = r.RotationOverdue
		if c := seen.Certificate.Current; c != nil {
			seen.Wants.Fingerprint = c.Fingerprint
		}
		return
	}
	if seen.Stalled == nil {
		seen.Stalled = s.tls.stalled
	}
	facts := s.material.certificate
	c := certificateOf(s.fs, facts, config.ServerNames(s.fs, r.ClusterDomain), r.Prober.Results(s.key), now)
	c.RenewalTime, c.Overdue = s.tls.renewal, r.RotationOverdue
	// What an issuer is about to mend is told in its words; what it cannot do, always.
	if p := s.tls.issuing; p != nil && (c.Problem != nil || !s.tls.issuingMoves) {
		c.Problem, c.Moving = p, s.tls.issuingMoves
	}
	c.ClientCAProblem = s.material.clientCA.problem
	seen.Wants.ClientCA = s.material.clientCA.digest
	if c.Current != nil {
		seen.Wants.Fingerprint = c.Current.Fingerprint
		var awaited bool
		if c.Due, awaited = r.rotations.due(s.key, c.Current.Fingerprint, now); awaited {
			s.tls.soon(c.Due.Add(r.RotationOverdue))
		}
		if p := facts.parsed; p != nil && certs.Fingerprint(p.Leaf) == c.Current.Fingerprint {
			seen.Wants.Chain = p.Digest
			s.tls.soon(p.Leaf.NotAfter)
		}
	}
	if p := facts.parsed; p != nil && now.Before(p.Leaf.NotBefore) {
		s.tls.soon(p.Leaf.NotBefore)
	}
	seen.Certificate = c
}

// unseenCertificate is the one of before, of which nothing new can be told.
func unseenCertificate(fs *v1alpha1.FlightServer, why error, now time.Time) *status.Certificate {
	c := &status.Certificate{SecretName: config.SecretName(fs), Due: now}
	if why != nil {
		c.Unseen = &status.Problem{Reason: v1alpha1.ReasonApplyFailed, Message: why.Error()}
	}
	last := fs.Status.Certificate
	if last == nil {
		return c
	}
	if last.Fingerprint != "" {
		c.Current = last.DeepCopy()
	}
	if last.RenewalTime != nil {
		c.RenewalTime = last.RenewalTime.Time
	}
	return c
}

// reasons are package certs' in the words of conditions.
var reasons = map[certs.Reason]string{
	certs.ReasonMissing:     v1alpha1.ReasonSecretNotFound,
	certs.ReasonMalformed:   v1alpha1.ReasonCertificateMalformed,
	certs.ReasonKeyMismatch: v1alpha1.ReasonKeyMismatch,
	certs.ReasonExpired:     v1alpha1.ReasonCertificateExpired,
	certs.ReasonNotYetValid: v1alpha1.ReasonCertificateNotYetValid,
	certs.ReasonWrongName:   v1alpha1.ReasonNameMismatch,
}

// certificateOf judges what a Secret holds as the servers do: what is good is presented; what is not leaves in place what was presented before,
// and is presented only if nothing was, or nothing that is any better. Results tell what the servers present.
func certificateOf(fs *v1alpha1.FlightServer, facts certificateFacts, serverNames []string, results map[string]probe.Result, now time.Time) *status.Certificate {
	c := &status.Certificate{SecretName: config.SecretName(fs)}
	problem := facts.problem
	if facts.parsed != nil {
		if err := facts.parsed.Check(serverNames, now); err != nil {
			problem = problemOf(err, "Secret "+c.SecretName+": ")
		}
	}
	if problem == nil {
		c.Current = describe(facts.parsed)
		return c
	}
	c.Problem = &status.Problem{Reason: reasons[problem.Reason], Message: problem.Message}
	if last := fs.Status.Certificate; last != nil && last.Fingerprint != "" && (facts.parsed == nil || isGood(last, serverNames, results, now)) {
		c.Current = last.DeepCopy()
	} else if facts.parsed != nil {
		c.Current, c.Faulty = describe(facts.parsed), true
	}
	return c
}

// isGood tells whether a certificate of before is, as far as is known: of its names no more than the servers present.
func isGood(c *v1alpha1.CertificateStatus, serverNames []string, results map[string]probe.Result, now time.Time) bool {
	for _, r := range results {
		if r.Leaf != nil && r.Leaf.Fingerprint == c.Fingerprint {
			return (&certs.Certificate{Leaf: r.Leaf.Certificate}).Check(serverNames, now) == nil
		}
	}
	return (c.NotAfter == nil || !now.After(c.NotAfter.Time)) && (c.NotBefore == nil || !now.Before(c.NotBefore.Time))
}

// describe is a certificate in the status's words.
func describe(c *certs.Certificate) *v1alpha1.CertificateStatus {
	notBefore, notAfter := metav1.NewTime(c.Leaf.NotBefore), metav1.NewTime(c.Leaf.NotAfter)
	return &v1alpha1.CertificateStatus{
		Fingerprint: certs.Fingerprint(c.Leaf),
		Serial:      c.Leaf.SerialNumber.Text(16),
		Issuer:      c.Leaf.Issuer.String(),
		NotBefore:   &notBefore,
		NotAfter:    &notAfter,
	}
}

// report tells the operator's CA what is known of a FlightServer, so that no CA is dropped on which a server or a client still depends.
func (r *FlightServerReconciler) report(s *scope, seen *status.Observation) {
	if s.fs.Spec.TLS != nil {
		r.Authority.Report(s.key, reportOf(s.tls, s.material.certificate, seen))
	}
}

// reportOf is what is certain: that all have the bundle is so only if it was published, and every server that runs is known to have it.
func reportOf(t *tlsScope, facts certificateFacts, seen *status.Observation) pki.Report {
	if t == nil || !t.loaded || !t.published {
		return pki.Report{}
	}
	known := pki.Report{Bundle: t.authority.Digest}
	if p := facts.parsed; p != nil {
		known.Leaves = append(known.Leaves, p.Leaf)
	}
	for i := range seen.Pods {
		pod := &seen.Pods[i]
		if !status.Live(pod) {
			continue
		}
		result := seen.Results[pod.Name]
		if result.Leaf != nil {
			known.Leaves = append(known.Leaves, result.Leaf.Certificate)
		}
		if pod.Status.Phase == corev1.PodRunning && (!result.Answers() || result.Health.ConfigHash != seen.Wants.ConfigHash) {
			known.Bundle = "" // it does not know the operator by the newest bundle yet
		}
	}
	return known
}

// serverName is the name that probes ask a pod's server for, empty if it speaks plain text.
func serverName(fs *v1alpha1.FlightServer, pod *corev1.Pod) string {
	if pod.Annotations[desired.AnnotationTLS] != desired.TLSEnabled {
		return ""
	}
	return config.ServerNames(fs, "")[0]
}

// exposeCertificates exposes the time of the certificate that ends first of those that the servers present, as seen and not as stored.
func exposeCertificates(key types.NamespacedName, results map[string]probe.Result) {
	if leaf := status.FirstToEnd(results); leaf != nil {
		certificateBegin.WithLabelValues(key.Namespace, key.Name).Set(float64(leaf.NotBefore.Unix()))
		certificateEnd.WithLabelValues(key.Namespace, key.Name).Set(float64(leaf.NotAfter.Unix()))
		return
	}
	forgetCertificateMetrics(key)
}
