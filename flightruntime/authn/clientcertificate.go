package authn

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
)

// ClientCertificate is authentication by the client's TLS certificate, which TLS has verified by the CAs of the server's clients.
type ClientCertificate struct {
	// UsernameFrom is the part of the certificate that names the user.
	UsernameFrom UsernameFrom
	// GroupsFrom is the part that names the groups; GroupsFromNothing if there are none.
	GroupsFrom GroupsFrom
}

// UsernameFrom is a part of a certificate that names its user. A certificate has to have it exactly once.
type UsernameFrom string

// Values of UsernameFrom.
const (
	UsernameFromCommonName UsernameFrom = "CommonName" // the common name of the subject
	UsernameFromURISAN     UsernameFrom = "URISAN"     // the URI, such as spiffe://example.org/reader
	UsernameFromDNSSAN     UsernameFrom = "DNSSAN"     // the DNS name
	UsernameFromEmailSAN   UsernameFrom = "EmailSAN"   // the e-mail address
)

// GroupsFrom is a part of a certificate that names the groups of its user.
type GroupsFrom string

// Values of GroupsFrom.
const (
	GroupsFromNothing      GroupsFrom = ""
	GroupsFromOrganization GroupsFrom = "Organization" // the organizations of the subject
)

func (s ClientCertificate) check() error {
	switch s.UsernameFrom {
	case UsernameFromCommonName, UsernameFromURISAN, UsernameFromDNSSAN, UsernameFromEmailSAN:
	default:
		return fmt.Errorf("expected the user from CommonName, URISAN, DNSSAN or EmailSAN, got %q", s.UsernameFrom)
	}
	if s.GroupsFrom != GroupsFromNothing && s.GroupsFrom != GroupsFromOrganization {
		return fmt.Errorf("expected the groups from Organization or nothing, got %q", s.GroupsFrom)
	}
	return nil
}

type clientCertificate struct{ ClientCertificate }

var _ Revoker = clientCertificate{}

func (c clientCertificate) Name() string { return MethodClientCertificate }

func (c clientCertificate) Authenticate(_ context.Context, shown Credentials) (*Identity, error) {
	if shown.Certificate == nil || shown.Scheme != "" {
		return nil, ErrOtherMethod
	}
	names := c.names(shown.Certificate)
	if len(names) != 1 {
		return nil, refused("expected a client certificate with one %s, which names the user, got one with %d", c.UsernameFrom, len(names))
	}
	if err := checkName(names[0]); err != nil {
		return nil, refused("the %s of the client certificate names the user: %w", c.UsernameFrom, err)
	}
	id := &Identity{User: names[0], Method: MethodClientCertificate, Proof: shown.Certificate}
	if c.GroupsFrom == GroupsFromOrganization {
		id.Groups = goodGroups(shown.Certificate.Subject.Organization)
	}
	return id, nil
}

// names are the parts of a certificate that may name the user.
func (c clientCertificate) names(cert *x509.Certificate) (names []string) {
	switch c.UsernameFrom {
	case UsernameFromURISAN:
		for _, uri := range cert.URIs {
			names = append(names, uri.String())
		}
	case UsernameFromDNSSAN:
		names = cert.DNSNames
	case UsernameFromEmailSAN:
		names = cert.EmailAddresses
	case UsernameFromCommonName:
		if cert.Subject.CommonName != "" {
			names = []string{cert.Subject.CommonName}
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

// StillValid is true if the certificate would give the same identity. Whether it is good is for TLS to say.
func (c clientCertificate) StillValid(ctx context.Context, id *Identity) bool {
	cert, _ := id.Proof.(*x509.Certificate)
	now, err := c.Authenticate(ctx, Credentials{Certificate: cert})
	return err == nil && id.is(now)
}
