package flightruntime

import (
	"context"
	"crypto/x509"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// caller is who calls, as far as TLS tells.
type caller struct {
	identity string // empty: nobody that is known
	operator bool
	leaf     *x509.Certificate // verified; nil: none
}

// admission is by what a server knows who calls, before any auth handler and middleware.
type admission struct {
	peers  *certs.Source   // nil where there is none
	tokens *OperatorTokens // nil where there are none
}

// admit finds out who calls, by what is in force now: the CA of a client's certificate may have been taken away since it connected. An error
// refuses the call.
func (a admission) admit(ctx context.Context, method Method, headers metadata.MD) (caller, error) {
	who, err := a.who(ctx, headers)
	if err == nil && who.operator && method != MethodDoAction {
		err = errOperatorMayNot
	}
	return who, err
}

func (a admission) who(ctx context.Context, headers metadata.MD) (caller, error) {
	state, encrypted := tlsState(ctx)
	if a.peers != nil {
		who, err := a.peers.Peer(state.State)
		switch {
		case err != nil:
			return caller{}, Errorf(KindUnauthenticated, "%w", err)
		case who.Operator:
			return operator, nil
		case who.Leaf != nil:
			return known(who.Leaf), nil
		}
		return caller{}, nil
	}
	switch {
	case encrypted && len(state.State.VerifiedChains) > 0:
		return known(state.State.VerifiedChains[0][0]), nil
	case encrypted || a.tokens == nil: // a token is for where a certificate cannot be shown
		return caller{}, nil
	}
	shown, err := a.tokens.Check(headers)
	if shown {
		return operator, nil
	}
	return caller{}, err
}

// operator is the operator as a caller.
var operator = caller{identity: certs.OperatorURI, operator: true}

// known is a caller with a verified certificate.
func known(leaf *x509.Certificate) caller { return caller{identity: identityOf(leaf), leaf: leaf} }

// errOperatorMayNot keeps the operator's certificate, and its tokens, from being worth more to a thief than they are to the operator.
var errOperatorMayNot = Errorf(KindUnauthorized, "the operator may run the actions %s and %s, and nothing else", ActionHealthCheck, ActionStatus)

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
