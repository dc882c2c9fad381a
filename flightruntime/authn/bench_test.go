package authn

import (
	"testing"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc/metadata"
)

// BenchmarkIdentify is what finding out who calls costs by itself.
func BenchmarkIdentify(b *testing.B) {
	ec, rsa := newECKey(b, "ec"), newRSAKey(b, "rsa", jose.RS256, minRSA)
	settings := Settings{
		Anonymous: true,
		Basic:     &Basic{UsersFile: written(b, "users", htpasswd(b, "ada", "love:lace"))},
		Bearer:    &Bearer{TokensFile: written(b, "tokens", "made-once,ada,analysts\n")},
		JWT:       []JWT{{Issuer: "https://issuer.example", Audiences: []string{"flight"}, KeysFile: written(b, "jwks", keySetOf(b, ec, rsa))}},
	}
	a := made(b, settings, Options{}, newClock().Now)
	_, login, err := a.identify(b.Context(), a.methods.Load(), passwordOf("ada", "love:lace"))
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name, token string
		forget      bool
	}{
		{"none", "", false},
		{"login", login, false},
		{"bearer", "made-once", false},
		{"jwt-ES256", ec.sign(b, claimsOf(nil)), false},
		{"jwt-ES256-first", ec.sign(b, claimsOf(nil)), true},
		{"jwt-RS256-first", rsa.sign(b, claimsOf(nil)), true},
	} {
		headers := metadata.MD{}
		if bench.token != "" {
			headers.Set("authorization", "Bearer "+bench.token)
		}
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if bench.forget {
					for _, c := range a.methods.Load().all {
						if i, ok := c.Method.(*issuer); ok {
							clear(i.known.all)
						}
					}
				}
				c, err := fromHeaders(headers)
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := a.identify(b.Context(), a.methods.Load(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
