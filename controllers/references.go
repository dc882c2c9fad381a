package controllers

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// references finds what FlightServers name. That objects exist comes from the cache, the contents of ConfigMaps from the API server,
// whenever they changed; only their digests are kept.
type references struct {
	cache client.Reader
	live  client.Reader

	mu sync.Mutex
	// known holds the ConfigMaps of each FlightServer by name.
	known map[types.NamespacedName]map[string]knownConfigMap
}

// knownConfigMap is what is known of one version of a ConfigMap.
type knownConfigMap struct {
	version version
	// digests of its keys
	digests map[string]string
}

// version identifies one state of one object.
type version struct {
	uid             types.UID
	resourceVersion string
}

func versionOf(o metav1.Object) version {
	return version{uid: o.GetUID(), resourceVersion: o.GetResourceVersion()}
}

func newReferences(cache, live client.Reader) *references {
	return &references{cache: cache, live: live, known: map[types.NamespacedName]map[string]knownConfigMap{}}
}

// load finds what a FlightServer names.
func (r *references) load(ctx context.Context, fs *v1alpha1.FlightServer) (config.References, error) {
	key := client.ObjectKeyFromObject(fs)
	configMaps, claims := config.Names(fs)
	refs := config.References{
		ConfigMaps: make(map[string]map[string]string, len(configMaps)),
		Claims:     make(map[string]bool, len(claims)),
		Dirs:       config.PodDirs,
	}
	before, now := r.recall(key), make(map[string]knownConfigMap, len(configMaps))
	for _, name := range configMaps {
		cm, err := r.configMap(ctx, types.NamespacedName{Namespace: fs.Namespace, Name: name}, before[name])
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return refs, err
		}
		now[name], refs.ConfigMaps[name] = cm, cm.digests
	}
	r.remember(key, now)
	for _, name := range claims {
		err := r.cache.Get(ctx, types.NamespacedName{Namespace: fs.Namespace, Name: name}, metadataOf("PersistentVolumeClaim"))
		if err != nil && !apierrors.IsNotFound(err) {
			return refs, fmt.Errorf("look up PersistentVolumeClaim %s: %w", name, err)
		}
		refs.Claims[name] = err == nil
	}
	return refs, nil
}

// configMap gives the digests of a ConfigMap, read anew only if it is not as it was before.
func (r *references) configMap(ctx context.Context, key types.NamespacedName, before knownConfigMap) (knownConfigMap, error) {
	m := metadataOf("ConfigMap")
	if err := r.cache.Get(ctx, key, m); err != nil {
		return knownConfigMap{}, err
	}
	if versionOf(m) == before.version {
		return before, nil
	}
	var cm corev1.ConfigMap
	if err := r.live.Get(ctx, key, &cm); err != nil {
		return knownConfigMap{}, fmt.Errorf("read ConfigMap %s: %w", key.Name, err)
	}
	return knownConfigMap{version: versionOf(&cm), digests: digestsOf(&cm)}, nil
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

func (r *references) recall(key types.NamespacedName) map[string]knownConfigMap {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[key]
}

// remember takes over the map.
func (r *references) remember(key types.NamespacedName, known map[string]knownConfigMap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[key] = known
}

func (r *references) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, key)
}

// metadataOf is an empty object of a core kind, to be filled from the cache of metadata.
func metadataOf(kind string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kind}}
}
