package pki

import (
	"crypto/x509"

	"k8s.io/apimachinery/pkg/types"
)

// Report is what is known of one FlightServer that has TLS.
type Report struct {
	// Bundle is the certs.Digest of the bundle that both the clients' ConfigMap and the configuration of all its servers have. It is empty as long as that
	// is not certain, and then the leaves do not count either.
	Bundle string
	// Leaves are the certificate in its Secret, and those that its pods present, whoever has issued them.
	Leaves []*x509.Certificate
}

// report is a Report in which CAs stand for what they have issued.
type report struct {
	bundle  string
	issuers []string
}

// seen is what the reports on these FlightServers come to. It is nothing as long as there is none on one of them, or one that tells of another bundle:
// where a server may not have the newest configuration, neither is it certain which certificate it presents.
func seen(servers []types.NamespacedName, reports map[types.NamespacedName]report, bundle string) Seen {
	s := Seen{Published: bundle, Served: map[string]bool{}}
	for _, key := range servers {
		r, known := reports[key]
		if !known || r.bundle != bundle {
			return Seen{}
		}
		for _, id := range r.issuers {
			s.Served[id] = true
		}
	}
	return s
}
