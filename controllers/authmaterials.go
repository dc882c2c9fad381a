package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/status"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// objectID names a Secret or ConfigMap of a FlightServer's namespace.
type objectID struct{ kind, name string }

// objectFacts are what one version of an object holds: the digest of each key.
type objectFacts struct {
	version version
	digests map[string]string
}

// authFacts are what there is of that which spec.auth names.
type authFacts struct {
	objects map[objectID]objectFacts
	// digest is config.AuthDigest of all files, empty without auth.
	digest string
	// problem is what is missing.
	problem *status.Problem
}

// auth finds what spec.auth names, reading what is not as it was before.
func (m *materials) auth(ctx context.Context, fs *v1alpha1.FlightServer, before authFacts) (authFacts, error) {
	facts := authFacts{objects: map[objectID]objectFacts{}}
	digests := map[config.AuthFile]string{}
	for _, f := range config.AuthFiles(fs) {
		id := objectID{f.Kind, f.Name}
		object, read := facts.objects[id]
		if !read {
			var err error
			if object, err = m.object(ctx, fs.Namespace, id, before.objects[id]); err != nil {
				return facts, err
			}
			facts.objects[id] = object
		}
		digest, found := object.digests[f.Key]
		switch {
		case found:
			digests[f] = digest
		case facts.problem != nil || f.Optional:
		case object.version == version{}:
			facts.problem = &status.Problem{Reason: v1alpha1.ReasonAuthSourceNotFound, Message: fmt.Sprintf("spec.auth: %s %s does not exist: create it; until then nobody is let in by it", f.Kind, f.Name)}
		default:
			facts.problem = &status.Problem{Reason: v1alpha1.ReasonAuthSourceNotFound, Message: fmt.Sprintf("spec.auth: %s %s has no %s: add it; until then nobody is let in by it", f.Kind, f.Name, f.Key)}
		}
	}
	if fs.Spec.Auth != nil {
		facts.digest = config.AuthDigest(fs, digests)
	}
	return facts, nil
}

// object reads the digests of an object's keys, if it is not as it was before.
func (m *materials) object(ctx context.Context, namespace string, id objectID, before objectFacts) (objectFacts, error) {
	key := types.NamespacedName{Namespace: namespace, Name: id.name}
	digests := map[string]string{}
	if id.kind == kindSecret {
		secret, changed, err := m.secret(ctx, key, before.version)
		if !changed || err != nil {
			return before, err
		}
		for k, v := range secret.Data {
			digests[k] = config.Digest(v)
		}
		return objectFacts{version: versionOf(secret), digests: digests}, nil
	}
	cm, changed, err := m.configMap(ctx, key, before.version)
	if !changed || err != nil {
		return before, err
	}
	for k, v := range cm.Data {
		digests[k] = config.Digest([]byte(v))
	}
	for k, v := range cm.BinaryData {
		digests[k] = config.Digest(v)
	}
	return objectFacts{version: versionOf(cm), digests: digests}, nil
}

// observeAuth puts together what was found of auth.
func observeAuth(s *scope, seen *status.Observation) {
	if s.fs.Spec.Auth == nil {
		return
	}
	seen.Auth = &status.Auth{Problem: s.material.auth.problem}
	seen.Wants.Auth = s.material.auth.digest
}
