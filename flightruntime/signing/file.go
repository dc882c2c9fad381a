package signing

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
)

// Keys as a file, as the operator's Secret carries it: a line each, in base64, the one that signs first. Empty lines and lines that begin
// with # do not count.

// FileName is the key in the Secret that the operator makes, and the file's name in a pod.
const FileName = "signing-keys"

// Parse reads a file of keys. Its errors show nothing of them.
func Parse(raw []byte) (*Keyring, error) {
	var secrets [][]byte
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		secret, err := base64.StdEncoding.DecodeString(string(line))
		if err != nil {
			return nil, fmt.Errorf("line %d is not base64: expected a signing key of at least %d random bytes a line, as base64", n, MinKeyBytes)
		}
		secrets = append(secrets, secret)
	}
	if len(secrets) == 0 {
		return nil, errors.New("there is no signing key: expected one a line, as base64")
	}
	return New(secrets...)
}

// Generate is the file of one new key.
func Generate() []byte {
	secret := make([]byte, MinKeyBytes)
	_, _ = rand.Read(secret) // it never fails
	return append([]byte(base64.StdEncoding.EncodeToString(secret)), '\n')
}
