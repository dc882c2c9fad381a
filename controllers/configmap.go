package controllers

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/flight-operator/flight-operator/controllers/desired"
)

// verified remembers which version of a FlightServer's ConfigMap is known to hold which configuration, so that it need not be read again.
// The configurations themselves are not held in memory.
type verified struct {
	mu sync.Mutex
	by map[types.NamespacedName]verifiedConfigMap
}

type verifiedConfigMap struct {
	version version
	hash    string
}

func newVerified() *verified {
	return &verified{by: map[types.NamespacedName]verifiedConfigMap{}}
}

func (v *verified) is(key types.NamespacedName, c verifiedConfigMap) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.by[key] == c
}

func (v *verified) set(key types.NamespacedName, c verifiedConfigMap) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.by[key] = c
}

func (v *verified) forget(key types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.by, key)
}

func (r *FlightServerReconciler) applyConfigMap(ctx context.Context, s *scope) error {
	name := desired.ConfigMapName(s.fs.Name)
	m := metadataOf(kindConfigMap)
	found, err := r.applier.find(ctx, s.fs, name, m)
	if err != nil {
		return err
	}
	if found && r.configMaps.is(s.key, verifiedConfigMap{versionOf(m), s.params.ConfigHash}) {
		return nil
	}
	var have *corev1ac.ConfigMapApplyConfiguration
	var before version
	if found {
		if have, before, err = r.readConfigMap(ctx, types.NamespacedName{Namespace: s.fs.Namespace, Name: name}); err != nil {
			return err
		}
	}
	after, err := apply(ctx, r.applier, kindConfigMap, types.NamespacedName{Namespace: s.fs.Namespace, Name: name}, have, desired.ConfigMap(s.params), before)
	if err != nil {
		return err
	}
	r.configMaps.set(s.key, verifiedConfigMap{after, s.params.ConfigHash})
	return nil
}

// readConfigMap tells what the operator owns of a ConfigMap, nil if it is gone, from the API server: the cache has no contents.
func (r *FlightServerReconciler) readConfigMap(ctx context.Context, key types.NamespacedName) (*corev1ac.ConfigMapApplyConfiguration, version, error) {
	var cm corev1.ConfigMap
	err := r.live.Get(ctx, key, &cm)
	if apierrors.IsNotFound(err) {
		return nil, version{}, nil
	}
	if err != nil {
		return nil, version{}, fmt.Errorf("read ConfigMap %s: %w", key.Name, err)
	}
	have, err := corev1ac.ExtractConfigMap(&cm, desired.FieldOwner)
	if err != nil {
		return nil, version{}, fmt.Errorf("tell what is owned of ConfigMap %s: %w", key.Name, err)
	}
	return have, versionOf(&cm), nil
}
