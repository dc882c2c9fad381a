package controllers

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// references finds what FlightServers name. That objects exist comes from the cache, the contents of ConfigMaps from the API server,
// whenever they changed; only their digests are kept.
type references struct {
	cache      client.Reader
	configMaps configMaps

	mu sync.Mutex
	// known holds the ConfigMaps of each FlightServer by name.
	known map[types.NamespacedName]map[string]objectFacts
}

func newReferences(cache, live client.Reader) *references {
	return &references{cache: cache, configMaps: configMaps{cache, live}, known: map[types.NamespacedName]map[string]objectFacts{}}
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
	before, now := r.recall(key), make(map[string]objectFacts, len(configMaps))
	for _, name := range configMaps {
		cm, err := r.configMaps.facts(ctx, types.NamespacedName{Namespace: fs.Namespace, Name: name}, before[name])
		if err != nil {
			return refs, err
		}
		if cm.version != (version{}) {
			now[name], refs.ConfigMaps[name] = cm, cm.digests
		}
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

func (r *references) recall(key types.NamespacedName) map[string]objectFacts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[key]
}

// remember takes over the map.
func (r *references) remember(key types.NamespacedName, known map[string]objectFacts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[key] = known
}

func (r *references) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, key)
}
