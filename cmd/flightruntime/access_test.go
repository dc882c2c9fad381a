package main

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authn"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/datasets"
)

// accessOf holds a configuration's auth against the calls of a service without datasets.
func accessOf(t *testing.T, c *config.Config, plain bool) *access {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	files := catalog.New(quiet)
	t.Cleanup(files.Close)
	a, err := newAccess(t.Context(), c, datasets.New(files, func() int { return 0 }), plain, func(authn.Attempt) {}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// expectMethod fails unless callers are asked by one method, of that name.
func expectMethod(t *testing.T, a *access, want string) {
	t.Helper()
	if methods := a.authenticator.State(); len(methods) != 1 || methods[0].Name != want {
		t.Errorf("callers are asked by %+v, expected %s", methods, want)
	}
}

// Of a configuration whose auth is wrong, nothing comes into force.
func TestAuthThatIsWrong(t *testing.T) {
	a := accessOf(t, &config.Config{Auth: &config.Auth{Anonymous: &v1alpha1.AnonymousAuth{}}}, false)
	before := a.service.Policy()
	for keys, want := range map[string]string{"": "auth method serviceAccount", "x": "expected a JSON Web Key Set"} {
		wrong := &config.Auth{
			ServiceAccount: &config.ServiceAccountAuth{Audiences: []string{"flight"}, Issuer: "https://kubernetes.default.svc", Keys: keys},
			Rules:          []v1alpha1.AuthRule{{Subjects: []v1alpha1.AuthSubject{{User: "system:anonymous"}}, Verbs: []v1alpha1.AuthVerb{v1alpha1.VerbGet}}},
		}
		if err := a.load(&config.Config{Auth: wrong}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("keys %q: %v, want %q", keys, err, want)
		}
		if a.service.Policy() != before {
			t.Errorf("keys %q: the newer rules are in force", keys)
		}
		expectMethod(t, a, authn.MethodAnonymous)
	}
}

// A process that speaks plain text, and whose newer configuration has auth with TLS, takes no credentials until another one takes its place.
func TestAuthInPlainText(t *testing.T) {
	dir := t.TempDir()
	auth := func(insecure v1alpha1.InsecureAuth) *config.Config {
		return &config.Config{Auth: &config.Auth{Insecure: insecure, Bearer: &config.BearerAuth{Tokens: filepath.Join(dir, "tokens")}}}
	}
	for _, c := range []struct {
		name  string
		plain bool
		after *config.Config
		want  string
	}{
		{"with TLS", false, auth(""), authn.MethodBearer},
		{"without", true, auth(""), "TLS"},
		{"without, if that is meant", true, auth(v1alpha1.InsecureAuthAllow), authn.MethodBearer},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := accessOf(t, &config.Config{}, c.plain)
			if err := a.load(c.after); err != nil {
				t.Fatal(err)
			}
			expectMethod(t, a, c.want)
		})
	}
	if _, err := (needsTLS{}).Authenticate(t.Context(), authn.Credentials{}); !errors.Is(err, flightruntime.ErrUnauthenticated) {
		t.Errorf("callers hear %v", err)
	}
}

// A pod that was started before a method was specified has no folder with its files, and never will have: until it is replaced, the auth before holds.
// Where there was none, nobody is let in.
func TestAuthByFilesThatWereNotMounted(t *testing.T) {
	dir := t.TempDir()
	bearer := func(folder string) *config.Config {
		return &config.Config{Auth: &config.Auth{Bearer: &config.BearerAuth{Tokens: filepath.Join(folder, "tokens")}}}
	}
	anonymous := &config.Config{Auth: &config.Auth{Anonymous: &v1alpha1.AnonymousAuth{}}}
	missing := filepath.Join(dir, "missing")
	for _, c := range []struct {
		name          string
		before, after *config.Config
		want          string
	}{
		{"the folder is there", anonymous, bearer(dir), authn.MethodBearer},
		{"the folder is missing", anonymous, bearer(missing), authn.MethodAnonymous},
		{"from no auth", &config.Config{}, bearer(missing), authn.MethodBearer},
		{"at the start", bearer(missing), bearer(missing), authn.MethodBearer},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := accessOf(t, c.before, false)
			if err := a.load(c.after); err != nil {
				t.Fatal(err)
			}
			expectMethod(t, a, c.want)
			if a.service.Policy() == nil {
				t.Error("everybody may do everything")
			}
		})
	}
}
