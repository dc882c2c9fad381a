package pki

import (
	"crypto/x509"

	"k8s.io/apimachinery/pkg/types"
)

// Report is what is known of one FlightServer that has TLS.
type Report struct {
	// Bundle is the certs.Digest of the bundle that both the clients' ConfigMap and the servers' configuration have.
	Bundle string
	// Leaves are the certificate in its Secret, and those that its pods present, whoever has issued them.
	Leaves []*x509.Certificate
}

// report is a Report in which CAs stand for what they have issued.
type report struct {
	bundle  string
	issuers []string
}

// seen is what the reports on these FlightServers come to. As long as there is none on one of them, it is nothing.
func seen(servers []types.NamespacedName, reports map[types.NamespacedName]report, bundle string) Seen {
	s := Seen{Published: bundle, Served: map[string]bool{}}
	for _, key := range servers {
		r, known := reports[key]
		if !known {
			return Seen{}
		}
		if r.bundle != bundle {
			s.Published = ""
		}
		for _, id := range r.issuers {
			s.Served[id] = true
		}
	}
	return s
}
