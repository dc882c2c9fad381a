package desired

import (
	"bytes"
	"encoding/pem"
	"time"
)

// Overlapping is the trust of clients once their CA certificates are the given ones: for a time the ones before stay beside them, so that a client
// that has read only the old ones, or only the new ones, can talk to every server while the servers change over. Without certificates of now,
// since nobody has told which they are, it is what it was before.
func Overlapping(before Trust, ca []byte, now time.Time, overlap time.Duration) Trust {
	current := blocks(ca)
	if len(current) == 0 {
		return before
	}
	var old [][]byte
	known := blocks(before.CA)
	for _, b := range known {
		if !contains(current, b) {
			old = append(old, b)
		}
	}
	switch isNew := !within(current, known); {
	case len(old) == 0:
		return Trust{CA: join(current)}
	case isNew || before.OverlapUntil.IsZero():
		return Trust{CA: join(append(current, old...)), OverlapUntil: now.Add(overlap).Truncate(time.Second)}
	case now.Before(before.OverlapUntil):
		return Trust{CA: join(append(current, old...)), OverlapUntil: before.OverlapUntil}
	default:
		return Trust{CA: join(current)}
	}
}

// blocks are the certificates of a PEM file, each once, as PEM in one form.
func blocks(data []byte) (certificates [][]byte) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if b := pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}); !contains(certificates, b) {
			certificates = append(certificates, b)
		}
	}
	return certificates
}

func contains(list [][]byte, b []byte) bool {
	for _, other := range list {
		if bytes.Equal(other, b) {
			return true
		}
	}
	return false
}

func within(list, other [][]byte) bool {
	for _, b := range list {
		if !contains(other, b) {
			return false
		}
	}
	return true
}

func join(list [][]byte) []byte { return bytes.Join(list, nil) }
