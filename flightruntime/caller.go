package flightruntime

import (
	"context"
	"crypto/x509"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// caller is who calls, as far as TLS tells.
type caller struct {
	identity string // empty: nobody that is known
	operator bool
	leaf     *x509.Certificate // verified; nil: none
}

// admitted finds out who calls, by what is in force now: the CA of a client's certificate may have been taken away since it connected. An error
// refuses the call.
func admitted(ctx context.Context, peers *certs.Source, method Method) (caller, error) {
	state, ok := tlsState(ctx)
	if peers == nil {
		if !ok || len(state.State.VerifiedChains) == 0 {
			return caller{}, nil
		}
		return known(state.State.VerifiedChains[0][0]), nil
	}
	who, err := peers.Peer(state.State)
	switch {
	case err != nil:
		return caller{}, Errorf(KindUnauthenticated, "%w", err)
	case who.Operator && method != MethodDoAction:
		return operator, errOperatorMayNot
	case who.Operator:
		return operator, nil
	case who.Leaf != nil:
		return known(who.Leaf), nil
	}
	return caller{}, nil
}

// operator is the operator as a caller.
var operator = caller{identity: certs.OperatorURI, operator: true}

// known is a caller with a verified certificate.
func known(leaf *x509.Certificate) caller { return caller{identity: identityOf(leaf), leaf: leaf} }

// errOperatorMayNot keeps the operator's certificate from being worth more to a thief than it is to the operator.
var errOperatorMayNot = Errorf(KindUnauthorized, "the operator's certificate is good for the actions %s and %s only", ActionHealthCheck, ActionStatus)

// mayAct refuses actions that are not the caller's to ask for.
func mayAct(call *Call, action string) error {
	if call.IsOperator() && action != ActionHealthCheck && action != ActionStatus {
		return errOperatorMayNot
	}
	return nil
}

func tlsState(ctx context.Context) (credentials.TLSInfo, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return credentials.TLSInfo{}, false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	return info, ok
}

// identityOf is whom a verified client certificate names: its first URI, DNS name or e-mail address, or else its common name.
func identityOf(c *x509.Certificate) string {
	switch {
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.EmailAddresses) > 0:
		return c.EmailAddresses[0]
	default:
		return c.Subject.CommonName
	}
}
