package pki

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// Keys of the Secret's data.
const (
	// KeyCertificate and KeyPrivateKey are the active CA, as in every Secret of type kubernetes.io/tls.
	KeyCertificate = "tls.crt"
	KeyPrivateKey  = "tls.key"
	// KeyBundle is all that has to be trusted, the newest first. It follows from the rest.
	KeyBundle = "ca.crt"

	keyNextCertificate = "next.crt"
	keyNextPrivateKey  = "next.key"
	keyState           = "state.json"
)

// dataKeys are all of them.
var dataKeys = []string{KeyCertificate, KeyPrivateKey, KeyBundle, keyNextCertificate, keyNextPrivateKey, keyState}

// stateVersion is that of the form of state.json, and of the set of keys beside it.
const stateVersion = 1

// document is state.json. It holds no key.
type document struct {
	Version int          `json:"version"`
	Trigger string       `json:"trigger,omitempty"`
	Next    *nextDoc     `json:"next,omitempty"`
	Retired []retiredDoc `json:"retired,omitempty"`
}

type nextDoc struct {
	Announced time.Time `json:"announced"`
	Published time.Time `json:"published,omitzero"`
}

type retiredDoc struct {
	Certificate string    `json:"certificate"`
	Since       time.Time `json:"since"`
}

// Encode is the state as the data of a Secret. The state has an active CA.
func Encode(s State) (map[string][]byte, error) {
	data := map[string][]byte{KeyCertificate: encodeCertificate(s.Active.Certificate), KeyBundle: s.Bundle()}
	doc := document{Version: stateVersion, Trigger: s.Trigger}
	var err error
	if data[KeyPrivateKey], err = encodeKey(s.Active.key); err != nil {
		return nil, err
	}
	if s.Next != nil {
		doc.Next = &nextDoc{Announced: s.Next.Announced, Published: s.Next.Published}
		data[keyNextCertificate] = encodeCertificate(s.Next.CA.Certificate)
		if data[keyNextPrivateKey], err = encodeKey(s.Next.CA.key); err != nil {
			return nil, err
		}
	}
	for _, r := range s.Retired {
		doc.Retired = append(doc.Retired, retiredDoc{Certificate: string(encodeCertificate(r.Certificate)), Since: r.Since})
	}
	if data[keyState], err = json.Marshal(doc); err != nil {
		return nil, fmt.Errorf("encode %s: %w", keyState, err)
	}
	return data, nil
}

// Decode reads what Encode wrote. Its errors name the key of the data, and show nothing of private keys. Keys that it does not know are no error.
func Decode(data map[string][]byte) (State, error) {
	doc, err := decodeDocument(data)
	if err != nil {
		return State{}, err
	}
	s := State{Trigger: doc.Trigger}
	if s.Active, err = decodeCA(data[KeyCertificate], data[KeyPrivateKey]); err != nil {
		return State{}, fmt.Errorf("%s and %s: %w", KeyCertificate, KeyPrivateKey, err)
	}
	if doc.Next != nil {
		ca, err := decodeCA(data[keyNextCertificate], data[keyNextPrivateKey])
		if err != nil {
			return State{}, fmt.Errorf("%s and %s: %w", keyNextCertificate, keyNextPrivateKey, err)
		}
		s.Next = &Next{CA: ca, Announced: doc.Next.Announced, Published: doc.Next.Published}
	}
	for i, r := range doc.Retired {
		certificate, err := decodeRoot([]byte(r.Certificate))
		if err != nil {
			return State{}, fmt.Errorf("%s: retired[%d]: %w", keyState, i, err)
		}
		s.Retired = append(s.Retired, Retired{Certificate: certificate, Since: r.Since})
	}
	return s, s.checkBundle(data[KeyBundle])
}

func decodeDocument(data map[string][]byte) (document, error) {
	var version struct {
		Version int `json:"version"`
	}
	if len(data[keyState]) == 0 {
		return document{}, fmt.Errorf("%s is missing: expected the state of the operator's CA, got keys %q", keyState, slices.Sorted(maps.Keys(data)))
	}
	if err := json.Unmarshal(data[keyState], &version); err != nil {
		return document{}, fmt.Errorf("%s: %w", keyState, err)
	}
	if version.Version != stateVersion {
		return document{}, fmt.Errorf("%s: expected version %d, got %d: another release of the operator wrote it", keyState, stateVersion, version.Version)
	}
	var doc document
	decoder := json.NewDecoder(bytes.NewReader(data[keyState]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&doc); err != nil {
		return document{}, fmt.Errorf("%s: %w", keyState, err)
	}
	if doc.Next != nil && doc.Next.Announced.IsZero() {
		return document{}, fmt.Errorf("%s: next.announced: expected a time, got none", keyState)
	}
	for i, r := range doc.Retired {
		if r.Since.IsZero() {
			return document{}, fmt.Errorf("%s: retired[%d].since: expected a time, got none", keyState, i)
		}
	}
	_, next := data[keyNextCertificate]
	if _, key := data[keyNextPrivateKey]; next != (doc.Next != nil) || key != next {
		return document{}, fmt.Errorf("%s, %s and next in %s: expected all of them or none", keyNextCertificate, keyNextPrivateKey, keyState)
	}
	return doc, nil
}

// checkBundle compares what clients are told to trust with what the state is about.
func (s State) checkBundle(bundle []byte) error {
	trusted := s.Trusted()
	ids := map[string]bool{}
	for _, c := range trusted {
		ids[idOf(c)] = true
	}
	if len(ids) < len(trusted) {
		return fmt.Errorf("%s: expected different CAs, got one twice", keyState)
	}
	told, err := certs.ParseBundle(bundle)
	if err != nil {
		return fmt.Errorf("%s: %w", KeyBundle, err)
	}
	for _, c := range told {
		i := slices.IndexFunc(trusted, c.Equal)
		if i < 0 {
			return fmt.Errorf("%s: expected the operator's CAs, each once, got %q", KeyBundle, c.Subject)
		}
		trusted = slices.Delete(trusted, i, i+1)
	}
	if len(trusted) > 0 {
		return fmt.Errorf("%s: expected %q among the operator's CAs, got it not", KeyBundle, trusted[0].Subject)
	}
	return nil
}
