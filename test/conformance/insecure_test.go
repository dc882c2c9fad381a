package conformance

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// insecureYAML is a FlightServer with auth and without TLS, of which ada reads the dataset small.
func insecureYAML(t *testing.T, insecure string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("love:lace"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return serverYAML("insecure", small) + fmt.Sprintf(`  auth:
    insecure: %s
    methods: {basic: {secretRef: {name: users}}}
    rules: [{subjects: [{user: ada}], verbs: [list, get]}]
---
apiVersion: v1
kind: Secret
metadata: {name: users}
stringData: {users: "ada:%s"}
`, insecure, hash)
}

// TestInsecureAuth: where that is meant, pyarrow shows passwords and tokens in plain text; the operator is known by the server's signing keys, as they
// are now, and no user is by these.
func TestInsecureAuth(t *testing.T) {
	dir := t.TempDir()
	manifest, keysFile := filepath.Join(dir, "server.yaml"), filepath.Join(dir, "signing-keys")
	first, second := signing.Generate(), signing.Generate()
	write(t, keysFile, string(first))
	write(t, manifest, insecureYAML(t, "Allow"))
	s := start(t, "-f", manifest, "--signing-keys", keysFile)
	pyarrow(t, "insecure_auth", s.location)
	if !strings.Contains(s.log.String(), "passwords, tokens and data travel in plain text") {
		t.Error("the log does not warn")
	}

	client := s.client(t)
	ask := func(keys []byte) (*flightruntime.Health, error) {
		ring, err := signing.Parse(keys)
		if err != nil {
			t.Fatal(err)
		}
		token, err := flightruntime.OperatorTokens{Keys: func() *signing.Keyring { return ring }, Audience: "insecure"}.Show()
		if err != nil {
			t.Fatal(err)
		}
		return client.HealthCheck(t.Context(), token)
	}
	for _, c := range []struct {
		file        []byte
		good, wrong []byte
	}{
		{first, first, second},
		{append(first, second...), first, signing.Generate()},
		{append(second, first...), second, signing.Generate()},
		{second, second, first},
	} {
		write(t, keysFile, string(c.file))
		eventually(t, func() error {
			if _, err := ask(c.wrong); err == nil {
				return errors.New("other keys are good")
			} else if !errors.Is(err, flightruntime.ErrUnauthenticated) {
				return fmt.Errorf("with other keys: %w", err)
			}
			h, err := ask(c.good)
			if err == nil && (h.ConfigHash == "" || h.Auth == nil || len(h.Datasets) != 1) {
				err = fmt.Errorf("the operator is told %+v", h)
			}
			return err
		})
	}
}

// TestInsecureAuthIsRefused: unless that is meant, there is no auth in plain text.
func TestInsecureAuthIsRefused(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(t.TempDir(), "server.yaml")
	write(t, manifest, insecureYAML(t, "Refuse"))
	out, err := exec.CommandContext(t.Context(), path, "serve", "--listen", "grpc://127.0.0.1:0", "-f", manifest).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "auth needs TLS, or insecure: Allow if that is meant") {
		t.Errorf("ended with %v: %s", err, out)
	}
}
