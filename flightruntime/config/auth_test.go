package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/authn"
)

// authorized has all methods that there are.
func authorized() *v1alpha1.FlightServer {
	fs := withTLS(v1alpha1.TLS{SecretRef: &v1alpha1.LocalReference{Name: "cert"}, ClientCA: &v1alpha1.ClientCA{SecretRef: &v1alpha1.KeyReference{Name: "clients"}}})
	fs.Spec.Auth = &v1alpha1.Auth{
		Methods: v1alpha1.AuthMethods{
			Basic:             &v1alpha1.BasicAuth{SecretRef: v1alpha1.LocalReference{Name: "users"}},
			Bearer:            &v1alpha1.BearerAuth{SecretRef: v1alpha1.LocalReference{Name: "tokens"}},
			JWT:               []v1alpha1.JWTAuth{{Issuer: "https://a", Audiences: []string{"flight"}, JWKS: &v1alpha1.ObjectKey{ConfigMapRef: &v1alpha1.NamedKey{Name: "keys", Key: "a.json"}}}, {Issuer: "https://b", Audiences: []string{"flight"}, UsernameClaim: "email", Algorithms: []string{"EdDSA"}}},
			ServiceAccount:    &v1alpha1.ServiceAccountAuth{Audiences: []string{"flight"}},
			ClientCertificate: &v1alpha1.ClientCertificateAuth{},
			Anonymous:         &v1alpha1.AnonymousAuth{},
		},
		Rules: []v1alpha1.AuthRule{{Subjects: []v1alpha1.AuthSubject{{User: "ada"}}, Verbs: []v1alpha1.AuthVerb{v1alpha1.VerbGet}}},
	}
	return fs
}

func TestRenderAuth(t *testing.T) {
	refs := present
	refs.Cluster = ClusterKeys{Issuer: "https://cluster", Keys: "{}"}
	fs := authorized()
	got, errs := Render(fs, refs)
	if len(errs) > 0 || len(got.Validate()) > 0 {
		t.Fatal(errs, got.Validate())
	}
	jwks := "/var/lib/flight/auth/jwt-" + Hash([]byte("https://a")) + "-jwks/jwks"
	want := &Auth{
		Basic:  &BasicAuth{Users: "/var/lib/flight/auth/basic/users", Groups: "/var/lib/flight/auth/basic/groups"},
		Bearer: &BearerAuth{Tokens: "/var/lib/flight/auth/bearer/tokens"},
		JWT: []JWTAuth{
			{Issuer: "https://a", Audiences: []string{"flight"}, JWKS: jwks, UsernameClaim: "sub", Algorithms: []string{"RS256", "ES256"}},
			{Issuer: "https://b", Audiences: []string{"flight"}, UsernameClaim: "email", Algorithms: []string{"EdDSA"}},
		},
		ServiceAccount:    &ServiceAccountAuth{Audiences: []string{"flight"}, Issuer: "https://cluster", Keys: "{}"},
		ClientCertificate: &ClientCertificateAuth{UsernameFrom: "CommonName"},
		Anonymous:         &v1alpha1.AnonymousAuth{},
		Rules:             fs.Spec.Auth.Rules,
		RunningCalls:      "Continue",
	}
	if diff := cmp.Diff(want, got.Auth); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"cert", "clients", "users", "tokens"}, SecretNames(fs)); diff != "" {
		t.Error(diff)
	}
	fs.Spec.Auth.Methods.ServiceAccount.Verification = v1alpha1.TokenReview
	fs.Spec.Auth.RunningCalls = v1alpha1.RunningCallsEnd
	got, _ = Render(fs, refs)
	if r := got.Auth.ServiceAccount.Review; r == nil || r.Server != "https://kubernetes.default.svc" || got.Auth.ServiceAccount.Keys != "" || got.Auth.RunningCalls != "End" {
		t.Errorf("rendered %+v", got.Auth)
	}
}

func TestValidateAuth(t *testing.T) {
	refs := present
	for _, tt := range []struct {
		name, message string
		spoil         func(*Config)
	}{
		{"plain text", "auth needs TLS, or insecure: Allow if that is meant", func(c *Config) { c.TLS, c.Auth.ClientCertificate = nil, nil }},
		{"certificates in plain text", "clients show certificates only where they are asked", func(c *Config) { c.TLS, c.Auth.Insecure = nil, v1alpha1.InsecureAuthAllow }},
		{"clients are not asked", "clients show certificates only where they are asked", func(c *Config) { c.TLS.ClientCA = nil }},
		{"a relative path", "expected an absolute path", func(c *Config) { c.Auth.Bearer.Tokens = "tokens" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := Render(authorized(), refs)
			tt.spoil(c)
			if errs := c.Validate(); len(errs) != 1 || !strings.Contains(errs[0].Error(), tt.message) {
				t.Errorf("expected %q, got %v", tt.message, errs)
			}
		})
	}
}

func TestInsecureAuth(t *testing.T) {
	fs := authorized()
	fs.Spec.TLS, fs.Spec.Auth.Methods.ClientCertificate = nil, nil
	for insecure, allowed := range map[v1alpha1.InsecureAuth]bool{"": false, v1alpha1.InsecureAuthRefuse: false, v1alpha1.InsecureAuthAllow: true} {
		fs.Spec.Auth.Insecure = insecure
		c, errs := Render(fs, present)
		errs = append(errs, c.Validate()...)
		if allowed != (len(errs) == 0) || allowed != c.Auth.AllowsInsecure() {
			t.Errorf("%q: rendered with %v, allows %v", insecure, errs, c.Auth.AllowsInsecure())
		}
	}
}

// What the operator expects of servers has to be what package authn says that it has loaded.
func TestAuthDigestIsPackageAuthns(t *testing.T) {
	const hash = "$2y$05$nEJRdZe14QWa7sw1BPa9N.Xm6H8kMOt7ISxzm0hoXbcg3t/sy2mDy"
	fs := authorized()
	fs.Spec.Auth.Methods.JWT = nil
	contents := map[string]string{"users": "ada:" + hash + "\n", "tokens": "secret,loader,robots\n"}
	for _, groups := range []string{"", "analysts: ada\n"} {
		dir, digests := t.TempDir(), map[AuthFile]string{}
		if groups != "" {
			contents["groups"] = groups
		}
		for _, f := range AuthFiles(fs) {
			if content, ok := contents[f.Key]; ok {
				digests[f] = Digest([]byte(content))
				if err := os.WriteFile(filepath.Join(dir, f.File), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		a, err := authn.New(t.Context(), authn.Settings{
			Basic:  &authn.Basic{UsersFile: filepath.Join(dir, "users"), GroupsFile: filepath.Join(dir, "groups")},
			Bearer: &authn.Bearer{TokensFile: filepath.Join(dir, "tokens")},
		}, authn.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var loaded []string
		for _, m := range a.State() {
			if m.Problem != "" || m.Digest == "" {
				t.Fatalf("not loaded: %+v", m)
			}
			loaded = append(loaded, m.Digest)
		}
		if want, got := LoadedAuth(loaded), AuthDigest(fs, digests); got != want {
			t.Errorf("with groups %q the operator expects %s, servers say %s", groups, got, want)
		}
	}
}
