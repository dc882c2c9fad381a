package authn

import (
	"context"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/flightruntime"
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

// BenchmarkCall is a whole GetFlightInfo on loopback, by each way of showing who calls.
func BenchmarkCall(b *testing.B) {
	ec := newECKey(b, "ec")
	settings := Settings{
		Anonymous: true,
		Basic:     &Basic{UsersFile: written(b, "users", htpasswd(b, "ada", "love:lace"))},
		Bearer:    &Bearer{TokensFile: written(b, "tokens", "made-once,ada,analysts\n")},
		JWT:       []JWT{{Issuer: "https://issuer.example", Audiences: []string{"flight"}, KeysFile: written(b, "jwks", keySetOf(b, ec))}},
	}
	asking := connected(b, served(b, made(b, settings, Options{}, time.Now), quiet{}, flightruntime.ServerOptions{}), flightruntime.ClientOptions{})
	open := connected(b, served(b, made(b, Settings{}, Options{}, time.Now), quiet{}, flightruntime.ServerOptions{}), flightruntime.ClientOptions{})
	login, err := asking.AuthenticateBasicToken(b.Context(), "ada", "love:lace")
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name   string
		client *flightruntime.Client
		option flightruntime.CallOption
	}{
		{"not-asked", open, flightruntime.WithHeader("x-none", "x")},
		{"anonymous", asking, flightruntime.WithHeader("x-none", "x")},
		{"login", asking, login},
		{"bearer", asking, bearerHeader("made-once")},
		{"jwt", asking, bearerHeader(ec.sign(b, claimsOf(map[string]any{"exp": time.Now().Add(time.Hour).Unix()})))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := bench.client.GetFlightInfo(b.Context(), flightruntime.DescriptorForPath("a"), bench.option); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// quiet is a service that tells nobody of its calls.
type quiet struct{ flightruntime.BaseService }

func (quiet) GetFlightInfo(context.Context, *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	return &flightruntime.FlightInfo{}, nil
}
