package main

import (
	"fmt"
	"testing"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// BenchmarkCall is a whole GetFlightInfo on loopback with TLS, through all that the server does for a call, the audit among it, by what shows who calls
// and by how many rules are the caller's: all of them are looked at. Allocations are of the client too, which has the same of them each time.
func BenchmarkCall(b *testing.B) {
	w := newAuthWorld(b)
	w.startAll(b)
	of := map[string]shownBy{"none": {}}
	for _, m := range w.methods(b) {
		of[m.name] = m.shown[allowed]
	}
	servers := map[string]*authServer{"none": w.start(b, "open", func(c *config.Config) { c.Auth = nil })}
	for _, n := range []int{1, 1000} {
		servers[fmt.Sprint(n)] = w.start(b, fmt.Sprintf("rules-%d", n), func(c *config.Config) {
			rule := func(dataset string) v1alpha1.AuthRule {
				return v1alpha1.AuthRule{Subjects: []v1alpha1.AuthSubject{{User: "ada"}, {User: "owner"}}, Datasets: []string{dataset}, Verbs: []v1alpha1.AuthVerb{v1alpha1.VerbGet}}
			}
			c.Auth.Rules = nil
			for i := range n - 1 {
				c.Auth.Rules = append(c.Auth.Rules, rule(fmt.Sprintf("other-%d-*", i)))
			}
			c.Auth.Rules = append(c.Auth.Rules, rule("trips"))
		})
	}
	for _, method := range []string{"none", "bearer", "jwt", "token of a login", "clientCertificate"} {
		rules := []string{"1", "1000"}
		if method == "none" {
			rules = []string{"none"}
		}
		for _, n := range rules {
			shown := of[method]
			if method == "token of a login" { // of these servers' own keys
				shown = shownBy{header: "authorization", value: w.login(b, servers[n], "ada")}
			}
			client, err := flightruntime.Connect("grpc+tls://"+servers[n].address, flightruntime.ClientOptions{TLS: w.clientTLS(b, shown.certificate)})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = client.Close() })
			var options []flightruntime.CallOption
			if shown.header != "" {
				options = append(options, flightruntime.WithHeader(shown.header, shown.value))
			}
			b.Run(method+"/rules="+n, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := client.GetFlightInfo(b.Context(), flightruntime.DescriptorForPath("trips"), options...); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
