package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// keySet is a JSON Web Key Set (RFC 7517, 5): the public keys of an issuer. It is not changed.
type keySet struct {
	keys   []jose.JSONWebKey
	digest string // of what it was read from
}

// Bounds of key sets. Issuers have two or three keys.
const (
	maxKeys = 256
	// minRSA is the least length that RFC 7518, 3.3, allows, in bits.
	minRSA = 2048
)

// parseKeySet reads a key set. Keys that are not for signatures, or of kinds that are not taken, are left out, as RFC 7517 asks for.
func parseKeySet(data []byte) (*keySet, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("expected a JSON Web Key Set ({\"keys\": [...]}), got %d bytes that are none", len(data))
	}
	if len(raw.Keys) > maxKeys {
		return nil, fmt.Errorf("expected at most %d keys, found %d", maxKeys, len(raw.Keys))
	}
	set := &keySet{digest: digest([][]byte{data})}
	for i, encoded := range raw.Keys {
		var private struct {
			D json.RawMessage `json:"d"`
		}
		if json.Unmarshal(encoded, &private) == nil && private.D != nil {
			return nil, fmt.Errorf("key %d is a private one: give the public part only, and make another key, for this one has been shown", i)
		}
		var key jose.JSONWebKey
		if err := json.Unmarshal(encoded, &key); err != nil {
			if errors.Is(err, jose.ErrUnsupportedKeyType) {
				continue
			}
			return nil, fmt.Errorf("key %d is damaged: %w", i, err)
		}
		if (key.Use == "" || key.Use == "sig") && verifies(&key) {
			set.keys = append(set.keys, key)
		}
	}
	if len(set.keys) == 0 {
		return nil, fmt.Errorf("expected public keys for signatures (RSA of at least %d bits, P-256, P-384, P-521, Ed25519), found none among %d keys",
			minRSA, len(raw.Keys))
	}
	return set, nil
}

// verifies is true of a key that signatures can be verified by.
func verifies(key *jose.JSONWebKey) bool { return len(algorithmsOf(key)) > 0 }

// algorithmsOf are the algorithms that a key is for: one, if it says so, or all that its kind allows.
func algorithmsOf(key *jose.JSONWebKey) []jose.SignatureAlgorithm {
	var all []jose.SignatureAlgorithm
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSA {
			all = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			all = []jose.SignatureAlgorithm{jose.ES256}
		case elliptic.P384():
			all = []jose.SignatureAlgorithm{jose.ES384}
		case elliptic.P521():
			all = []jose.SignatureAlgorithm{jose.ES512}
		}
	case ed25519.PublicKey:
		all = []jose.SignatureAlgorithm{jose.EdDSA}
	}
	if key.Algorithm == "" {
		return all
	}
	for _, a := range all {
		if string(a) == key.Algorithm {
			return []jose.SignatureAlgorithm{a}
		}
	}
	return nil
}

// find is the key that a token names, for the algorithm that it names. A token that names no key is good where only one key can be meant: to try
// all would be work that anybody can ask for. nil: there is none.
func (s *keySet) find(id, algorithm string) *jose.JSONWebKey {
	if s == nil {
		return nil
	}
	var found *jose.JSONWebKey
	for i := range s.keys {
		key := &s.keys[i]
		if id != "" && key.KeyID != id {
			continue
		}
		for _, a := range algorithmsOf(key) {
			if string(a) != algorithm {
				continue
			}
			if id != "" {
				return key
			}
			if found != nil {
				return nil
			}
			found = key
		}
	}
	return found
}

// has is true if the set has that very key.
func (s *keySet) has(key *jose.JSONWebKey) bool {
	if s == nil {
		return false
	}
	for i := range s.keys {
		if k, ok := s.keys[i].Key.(interface{ Equal(crypto.PublicKey) bool }); ok && s.keys[i].KeyID == key.KeyID && k.Equal(key.Key) {
			return true
		}
	}
	return false
}
