package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// version identifies one state of one object; empty for one that does not exist.
type version struct {
	uid             types.UID
	resourceVersion string
}

func versionOf(o metav1.Object) version {
	return version{uid: o.GetUID(), resourceVersion: o.GetResourceVersion()}
}

// metadataOf is an empty object of a core kind, to be filled from the cache of metadata.
func metadataOf(kind string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kind}}
}

// objectFacts are what one version of an object holds: the digest of each key, and who is in it.
type objectFacts struct {
	version version
	digests map[string]string
	// accounts are the users that its keys name, with the groups that these say; no password and no token.
	accounts map[string][]string
}

// configMaps reads ConfigMaps: that they exist, and in which version, from the cache, and their contents from the API server, whenever they changed.
type configMaps struct{ cache, live client.Reader }

// read reads a ConfigMap if it is not of the version that is known. One that does not exist is empty.
func (c configMaps) read(ctx context.Context, key types.NamespacedName, known version) (cm *corev1.ConfigMap, changed bool, err error) {
	cm = &corev1.ConfigMap{}
	seen := metadataOf(kindConfigMap)
	err = c.cache.Get(ctx, key, seen)
	switch {
	case apierrors.IsNotFound(err):
		return cm, true, nil
	case err != nil:
		return cm, false, fmt.Errorf("look up ConfigMap %s: %w", key.Name, err)
	case versionOf(seen) == known:
		return cm, false, nil
	}
	err = c.live.Get(ctx, key, cm)
	if client.IgnoreNotFound(err) != nil {
		return cm, false, fmt.Errorf("read ConfigMap %s: %w", key.Name, err)
	}
	return cm, true, nil
}

// facts are the digests of a ConfigMap's keys, given what was known of it before.
func (c configMaps) facts(ctx context.Context, key types.NamespacedName, before objectFacts) (objectFacts, error) {
	cm, changed, err := c.read(ctx, key, before.version)
	if !changed || err != nil {
		return before, err
	}
	return objectFacts{version: versionOf(cm), digests: digestsOf(cm)}, nil
}

// digestsOf are those of a ConfigMap's keys, of data and binaryData alike.
func digestsOf(cm *corev1.ConfigMap) map[string]string {
	digests := make(map[string]string, len(cm.Data)+len(cm.BinaryData))
	for k, v := range cm.Data {
		digests[k] = config.Digest([]byte(v))
	}
	for k, v := range cm.BinaryData {
		digests[k] = config.Digest(v)
	}
	return digests
}
