// Package signing signs what a server gives to its clients and wants to know again: tickets, tokens, cookies. All replicas share the keys, so
// what one has signed every other takes. What is signed can be read by whoever holds it; nothing secret goes in.
package signing

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"sync"
)

// Purpose keeps what was signed for one use from being taken for another.
type Purpose string

// Values of Purpose.
const (
	Ticket   Purpose = "ticket"
	Bearer   Purpose = "bearer"
	Session  Purpose = "session"
	Login    Purpose = "login"
	Operator Purpose = "operator"
)

const (
	// MinKeyBytes is the least length of a key: that of the hash, as RFC 2104 recommends.
	MinKeyBytes = sha256.Size
	// keyIDBytes tell keys apart, so that one MAC is computed and not one a key.
	keyIDBytes = 4
	macBytes   = sha256.Size
	// Overhead is what signing adds to a payload, in bytes.
	Overhead = keyIDBytes + macBytes
)

// ErrForged is the error of Open for what none of the keys has signed for that purpose.
var ErrForged = errors.New("not signed by this server, or signed with a key that has been retired")

// Keyring holds the keys: the first signs, all are taken. To rotate, put a new key behind the others everywhere, then in front, then drop
// the oldest once what it signed has expired. A Keyring never changes and is safe for use by several goroutines.
type Keyring struct{ keys []key }

type key struct {
	id [keyIDBytes]byte
	// macs are hashes that have taken in the secret, which is half of the work for a short payload.
	macs *sync.Pool
}

// New makes a keyring of at least one key.
func New(secrets ...[]byte) (*Keyring, error) {
	if len(secrets) == 0 {
		return nil, errors.New("expected at least one signing key, got none")
	}
	r := &Keyring{}
	for i, secret := range secrets {
		if len(secret) < MinKeyBytes {
			return nil, fmt.Errorf("signing key %d has %d bytes: expected at least %d random ones", i, len(secret), MinKeyBytes)
		}
		secret = bytes.Clone(secret)
		k := key{macs: &sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}}
		sum := sha256.Sum256(append([]byte("key id\x00"), secret...))
		copy(k.id[:], sum[:])
		r.keys = append(r.keys, k)
	}
	return r, nil
}

// Random is a keyring that lives as long as the process: for a server without replicas.
func Random() *Keyring {
	secret := make([]byte, MinKeyBytes)
	_, _ = rand.Read(secret) // it never fails
	r, err := New(secret)
	if err != nil {
		panic(err) // the key has the length that New asks for
	}
	return r
}

// Sign is the payload with a signature before it.
func (r *Keyring) Sign(purpose Purpose, payload []byte) []byte {
	k := r.keys[0]
	signed := make([]byte, 0, Overhead+len(payload))
	signed = append(signed, k.id[:]...)
	signed = append(signed, k.mac(purpose, payload)...)
	return append(signed, payload...)
}

// Open is the payload of what Sign made for the same purpose; a slice of signed. The error is ErrForged.
func (r *Keyring) Open(purpose Purpose, signed []byte) ([]byte, error) {
	if len(signed) < Overhead {
		return nil, ErrForged
	}
	id, mac, payload := signed[:keyIDBytes], signed[keyIDBytes:Overhead], signed[Overhead:]
	for _, k := range r.keys {
		if bytes.Equal(k.id[:], id) && hmac.Equal(mac, k.mac(purpose, payload)) {
			return payload, nil
		}
	}
	return nil, ErrForged
}

func (k key) mac(purpose Purpose, payload []byte) []byte {
	h := k.macs.Get().(hash.Hash) //nolint:forcetypeassert // New makes no other
	defer k.macs.Put(h)
	h.Reset()
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	h.Write(payload)
	return h.Sum(nil)
}
