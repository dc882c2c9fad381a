package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/desired"
	"github.com/flight-operator/flight-operator/controllers/status"
)

// writeStatus computes the status and writes it, if it says anything new. Events follow what was written. A conflict is no error: the
// FlightServer has changed, and what is new of it will be worked on.
func (r *FlightServerReconciler) writeStatus(ctx context.Context, s *scope) (conflict bool, err error) {
	after, ok := s.status()
	if !ok || ctx.Err() != nil {
		return false, nil
	}
	exposeConditions(s.key, after.Conditions)
	if s.seen != nil {
		exposeServers(s.key, s.seen.Results)
		r.exposeRotation(s, after.Conditions)
	}
	if status.Same(&s.before.Status, &after) {
		return false, nil
	}
	s.fs.Status = after
	err = r.client.Status().Patch(ctx, s.fs, client.MergeFromWithOptions(s.before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(desired.FieldOwner))
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case apierrors.IsConflict(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("write the status: %w", err)
	}
	r.tell(s, after.Conditions)
	return false, nil
}

// exposeRotation exposes what became of the certificate, and how long that took.
func (r *FlightServerReconciler) exposeRotation(s *scope, conditions []metav1.Condition) {
	if s.tls == nil || !s.tls.loaded {
		return
	}
	exposeCertificates(s.key, s.seen.Results)
	served := meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionCertificateServed)
	if took, first := r.rotations.served(s.key, served, time.Now().Round(0)); first {
		rotationSeconds.WithLabelValues(s.key.Namespace, s.key.Name).Observe(took.Seconds())
	}
}

// status is what was found; false if nothing was looked at.
func (s *scope) status() (v1alpha1.FlightServerStatus, bool) {
	before := *s.before.Status.DeepCopy()
	now := metav1.Now()
	if s.suspended {
		before.ObservedGeneration = s.fs.Generation
		before.Conditions = status.Merge(before.Conditions, status.Suspended(before.Conditions, s.fs.Generation), now)
		return before, true
	}
	if s.seen == nil {
		return before, false
	}
	before.Selector = labels.SelectorFromSet(desired.Selector(s.fs.Name)).String()
	before.Address = desired.Address(s.fs)
	return status.Compute(s.seen, before, now), true
}

// tell makes an event of each condition that changed. Conditions that say the same make one.
func (r *FlightServerReconciler) tell(s *scope, conditions []metav1.Condition) {
	told := map[string]bool{}
	for _, c := range status.Changed(s.before.Status.Conditions, conditions) {
		if told[c.Reason+c.Message] {
			continue
		}
		told[c.Reason+c.Message] = true
		kind := corev1.EventTypeNormal
		if status.Trouble(c) {
			kind = corev1.EventTypeWarning
		}
		// By the condition's type as the action, those of two conditions with one reason are no series, which would be written again later.
		r.events.Eventf(s.fs, nil, kind, c.Reason, c.Type, "%s", c.Message)
	}
}
