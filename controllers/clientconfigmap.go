package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/flight-operator/flight-operator/controllers/desired"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// clientConfigMaps remember which version of the ConfigMap for clients is known to hold what it should, and until when it should.
type clientConfigMaps struct {
	mu sync.Mutex
	by map[types.NamespacedName]clientConfigMap
}

type clientConfigMap struct {
	verifiedConfigMap
	// until is when CA certificates of before go, zero if there are none.
	until time.Time
}

func newClientConfigMaps() *clientConfigMaps {
	return &clientConfigMaps{by: map[types.NamespacedName]clientConfigMap{}}
}

func (c *clientConfigMaps) get(key types.NamespacedName) clientConfigMap {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[key]
}

func (c *clientConfigMaps) set(key types.NamespacedName, m clientConfigMap) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by[key] = m
}

func (c *clientConfigMaps) forget(key types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, key)
}

// publish sees to the ConfigMap that clients mount. The servers' own is there already.
func (r *FlightServerReconciler) publish(ctx context.Context, s *scope) error {
	if err := r.applyClientConfigMap(ctx, s); err != nil {
		return err
	}
	if s.tls != nil {
		s.tls.published = true
	}
	return nil
}

func (r *FlightServerReconciler) applyClientConfigMap(ctx context.Context, s *scope) error {
	key := types.NamespacedName{Namespace: s.fs.Namespace, Name: desired.ClientConfigMapName(s.fs.Name)}
	m := metadataOf(kindConfigMap)
	found, err := r.applier.find(ctx, s.fs, key.Name, m)
	if err != nil {
		return err
	}
	now := time.Now().Round(0)
	ca := s.clientsCA()
	hash := config.Hash(append([]byte(desired.Address(s.fs)+"\n"), ca...))
	known := r.clients.get(s.key)
	if found && known.verifiedConfigMap == (verifiedConfigMap{versionOf(m), hash}) && (known.until.IsZero() || now.Before(known.until)) {
		s.soon(known.until)
		return nil
	}
	var have *corev1ac.ConfigMapApplyConfiguration
	var before version
	var trust desired.Trust
	if found {
		if have, before, trust, err = r.readClientConfigMap(ctx, key); err != nil {
			return err
		}
	}
	switch {
	case s.tls == nil:
		trust = desired.Trust{}
	case s.fs.Spec.TLS.OperatorCA != nil:
		// The operator's CAs have an overlap of their own; those that somebody else issued by before have not.
		trust.CA = pki.WithoutRetired(trust.CA, ca)
		trust = desired.Overlapping(trust, ca, now, r.CAOverlap)
	case len(ca) == 0 && s.material.certificate.parsed != nil:
		trust = desired.Trust{} // it is good, and of a CA that clients trust anyway: with ca.crt they would trust no other
	default:
		trust = desired.Overlapping(trust, ca, now, r.CAOverlap)
	}
	after, err := apply(ctx, r.applier, kindConfigMap, key, have, desired.ClientConfigMap(s.fs, trust), before)
	if err != nil {
		return err
	}
	r.clients.set(s.key, clientConfigMap{verifiedConfigMap: verifiedConfigMap{after, hash}, until: trust.OverlapUntil})
	s.soon(trust.OverlapUntil)
	return nil
}

// clientsCA are the CA certificates by which clients know the servers now, empty if nobody has told.
func (s *scope) clientsCA() []byte {
	switch {
	case s.tls == nil:
		return nil
	case s.fs.Spec.TLS.OperatorCA != nil:
		return s.tls.authority.Bundle
	default:
		return s.material.certificate.ca
	}
}

// soon has a FlightServer with TLS looked at again at a time.
func (s *scope) soon(at time.Time) {
	if s.tls != nil {
		s.tls.soon(at)
	}
}

// readClientConfigMap tells what the operator owns of the ConfigMap, nil if it is gone, and which CA certificates it has.
func (r *FlightServerReconciler) readClientConfigMap(ctx context.Context, key types.NamespacedName) (*corev1ac.ConfigMapApplyConfiguration, version, desired.Trust, error) {
	var cm corev1.ConfigMap
	err := r.live.Get(ctx, key, &cm)
	if apierrors.IsNotFound(err) {
		return nil, version{}, desired.Trust{}, nil
	}
	if err != nil {
		return nil, version{}, desired.Trust{}, fmt.Errorf("read ConfigMap %s: %w", key.Name, err)
	}
	have, err := corev1ac.ExtractConfigMap(&cm, desired.FieldOwner)
	if err != nil {
		return nil, version{}, desired.Trust{}, fmt.Errorf("tell what is owned of ConfigMap %s: %w", key.Name, err)
	}
	trust := desired.Trust{CA: []byte(cm.Data[config.CAKey])}
	// A time that somebody has spoiled begins anew.
	trust.OverlapUntil, _ = time.Parse(time.RFC3339, cm.Annotations[desired.AnnotationOverlapUntil])
	return have, versionOf(&cm), trust, nil
}
