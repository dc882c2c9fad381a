package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/desired"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// ensureSigningSecret sees to the Secret with the keys that the servers sign tickets with. Keys that it holds are left alone: they are
// rotated by whoever runs the server. The cache has Secrets' metadata alone, so one is read once in each of its versions.
func (r *FlightServerReconciler) ensureSigningSecret(ctx context.Context, s *scope) error {
	key := types.NamespacedName{Namespace: s.fs.Namespace, Name: desired.SigningSecretName(s.fs.Name)}
	m := metadataOf(kindSecret)
	found, err := r.applier.find(ctx, s.fs, key.Name, m)
	if err != nil {
		return err
	}
	if s.fs.Spec.Auth == nil {
		r.operatorKeys.forget(s.key)
	}
	if found && r.signingSecrets.is(s.key, verifiedSecret(m)) && (!insecure(s.fs) || r.operatorKeys.are(s.key, versionOf(m))) {
		return nil
	}
	keys, live, err := r.signingKeys(ctx, key)
	if err != nil {
		return err
	}
	if live != nil && len(keys) > 0 && isWhole(s.fs, live) {
		r.signingSecrets.set(s.key, verifiedSecret(live))
		r.keepKeys(ctx, s, versionOf(live), keys)
		return nil
	}
	if len(keys) == 0 {
		keys = signing.Generate()
	}
	after, err := apply(ctx, r.applier, kindSecret, key, nil, desired.SigningSecret(s.fs, keys), version{})
	if err != nil {
		return err
	}
	r.signingSecrets.set(s.key, verifiedConfigMap{version: after})
	r.keepKeys(ctx, s, after, keys)
	return nil
}

// keepKeys keeps the keys by which the operator shows the servers who it is, where it cannot show its certificate. Of keys that cannot be read, the ones
// before stay, as they do in the servers.
func (r *FlightServerReconciler) keepKeys(ctx context.Context, s *scope, v version, raw []byte) {
	if !insecure(s.fs) {
		return
	}
	keys, err := signing.Parse(raw)
	if err != nil {
		log.FromContext(ctx).Error(err, "the newer signing keys are not used", "secret", desired.SigningSecretName(s.fs.Name))
	}
	r.operatorKeys.set(s.key, v, keys)
}

// signingKeys are what the Secret holds; it is nil if there is none.
func (r *FlightServerReconciler) signingKeys(ctx context.Context, key types.NamespacedName) ([]byte, *corev1.Secret, error) {
	var live corev1.Secret
	err := r.live.Get(ctx, key, &live)
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read Secret %s: %w", key.Name, err)
	}
	return live.Data[signing.FileName], &live, nil
}

// isWhole is true if an object has the labels and the owner that the operator gives it.
func isWhole(fs *v1alpha1.FlightServer, o metav1.Object) bool {
	for k, v := range desired.Labels(fs.Name) {
		if o.GetLabels()[k] != v {
			return false
		}
	}
	owner := metav1.GetControllerOf(o)
	return owner != nil && owner.UID == fs.UID
}

func verifiedSecret(o metav1.Object) verifiedConfigMap {
	return verifiedConfigMap{version: versionOf(o)}
}
