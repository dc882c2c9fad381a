package main

import (
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/flight-operator/flight-operator/flightruntime/config"
)

func TestPublicCAsAreForIssuers(t *testing.T) {
	for name, tt := range map[string]struct {
		auth *config.Auth
		want bool
	}{
		"no auth":           {nil, false},
		"passwords":         {&config.Auth{Basic: &config.BasicAuth{}}, false},
		"an issuer":         {&config.Auth{JWT: []config.JWTAuth{{Issuer: "https://id.example.com"}}}, true},
		"the cluster's own": {&config.Auth{ServiceAccount: &config.ServiceAccountAuth{}}, true},
	} {
		if got := needsPublicCAs(tt.auth); got != tt.want {
			t.Errorf("%s: public CAs are needed: %v, want %v", name, got, tt.want)
		}
	}
}

// What the process trusts is found out once, so this is in one of its own, on a machine without CAs.
func TestPublicCAsAreTrustedWhereThereAreNone(t *testing.T) {
	if os.Getenv("SSL_CERT_FILE") != os.DevNull {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), "SSL_CERT_FILE="+os.DevNull, "SSL_CERT_DIR="+t.TempDir())
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	for root := range bundle.Roots() {
		ca, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if root.Constraint != nil {
			continue
		}
		var unknown x509.UnknownAuthorityError
		if _, err := ca.Verify(x509.VerifyOptions{CurrentTime: ca.NotBefore}); !errors.As(err, &unknown) {
			t.Fatalf("%s, before: %v, want that it is unknown", ca.Subject, err)
		}
		trustPublicCAs()
		trustPublicCAs() // again is no matter
		if _, err := ca.Verify(x509.VerifyOptions{CurrentTime: ca.NotBefore}); err != nil {
			t.Errorf("%s: %v", ca.Subject, err)
		}
		return
	}
}
