package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// clusterKeys reads the public keys of the cluster's tokens from the API server, which every ServiceAccount may do.
type clusterKeys struct {
	client rest.Interface
	now    func() time.Time

	mu      sync.Mutex
	current config.ClusterKeys
	read    time.Time
}

// clusterKeysAge is how old the keys may be. A cluster that changes its keys issues tokens by the new ones only when all API servers know them, and
// each server keeps the old ones as long; tokens that this is too slow for are refused until it is over.
const clusterKeysAge = 5 * time.Minute

// get gives the keys. Those that are known stay if newer ones cannot be read.
func (k *clusterKeys) get(ctx context.Context) (config.ClusterKeys, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now().Sub(k.read) < clusterKeysAge {
		return k.current, nil
	}
	fresh, err := k.fetch(ctx)
	if err != nil && k.current == (config.ClusterKeys{}) {
		return fresh, fmt.Errorf("spec.auth.methods.serviceAccount: the public keys of the cluster's tokens cannot be read from the API server: %w", err)
	}
	if err == nil {
		k.current = fresh
	}
	k.read = k.now()
	return k.current, nil
}

func (k *clusterKeys) fetch(ctx context.Context) (keys config.ClusterKeys, err error) {
	raw, err := k.client.Get().AbsPath("/.well-known/openid-configuration").DoRaw(ctx)
	if err != nil {
		return keys, err
	}
	var discovered struct {
		Issuer string `json:"issuer"`
	}
	if err := json.Unmarshal(raw, &discovered); err != nil || discovered.Issuer == "" {
		return keys, fmt.Errorf("expected the name of the issuer, got %d bytes without", len(raw))
	}
	set, err := k.client.Get().AbsPath("/openid/v1/jwks").DoRaw(ctx)
	if err != nil {
		return keys, err
	}
	return config.ClusterKeys{Issuer: discovered.Issuer, Keys: string(set)}, nil
}
