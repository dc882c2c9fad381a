package main

import (
	"crypto/x509"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// needsPublicCAs is true where issuers of tokens are called, who may have certificates of public CAs. Nothing else that a server calls is verified
// by the CAs of the machine.
func needsPublicCAs(a *config.Auth) bool {
	return a != nil && (len(a.JWT) > 0 || a.ServiceAccount != nil)
}

// trustPublicCAs makes up for a machine that has no public CAs, such as an image from scratch. It is called before they are needed, and only
// where they are: to parse them takes a twentieth of the time that a server needs to start.
var trustPublicCAs = sync.OnceFunc(func() {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		ca, err := x509.ParseCertificate(root.Certificate)
		switch {
		case err != nil: // this version of Go does not take it
		case root.Constraint != nil:
			pool.AddCertWithConstraint(ca, root.Constraint)
		default:
			pool.AddCert(ca)
		}
	}
	x509.SetFallbackRoots(pool)
})
