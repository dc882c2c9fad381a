package authn

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Method is a way to find out who calls. The ones of this package are made by Settings; others go beside them. It is used by several goroutines.
type Method interface {
	// Name is what Identity.Method is to be.
	Name() string
	// Authenticate tells whose the credentials are. An error that is ErrOtherMethod says that they are not of this method's kind, or not known to
	// it, and other methods are asked. Any other error refuses the call: of flightruntime.KindUnauthenticated, unless it says otherwise. Its
	// message reaches the caller, so it shows nothing of the credentials.
	Authenticate(ctx context.Context, c Credentials) (*Identity, error)
}

// Exchanger is a Method whose credentials are slow to check, such as passwords. Callers who show them get a short-lived signed token, which
// every replica takes in their place.
type Exchanger interface {
	Method
	// Remember is what the token is to say of an identity that Authenticate gave. It is signed, and not secret from the bearer.
	Remember(id *Identity) string
	// Recall is the identity that Remember remembered, as it is now. An error refuses it, for instance because the user is gone.
	Recall(ctx context.Context, memory string) (*Identity, error)
}

// Revoker is a Method that knows whether what it once found out still holds.
type Revoker interface {
	Method
	// StillValid is false if the same credentials would now be refused, or give another user or other groups. That they have merely expired
	// since does not count: what they began may go on.
	StillValid(ctx context.Context, id *Identity) bool
}

// Credentials are what a call shows of its caller: a Certificate, and one of the others, or nothing.
type Credentials struct {
	// Scheme is that of the header Authorization (RFC 9110, 11.6.2), in lower case: SchemeBasic, SchemeBearer or another. A token of a
	// handshake is a bearer token too. Empty: there is no such header.
	Scheme string
	// Name and Password are those of SchemeBasic.
	Name, Password string
	// Token is that of SchemeBearer; of other schemes, all that follows the scheme.
	Token string
	// Certificate is the client's TLS certificate, which TLS has verified; nil if there is none. Headers come before it: they are the call's,
	// and a connection may carry the calls of many.
	Certificate *x509.Certificate
	// Peer is the address of the client, as flightruntime.Call.Peer has it.
	Peer string
}

// Values of Credentials.Scheme that are known by name.
const (
	SchemeBasic  = "basic"
	SchemeBearer = "bearer"
)

// ErrOtherMethod is the error of a Method for credentials that it does not know.
var ErrOtherMethod = errors.New("credentials of another method")

// other is an ErrOtherMethod with the reason, which only the log of those who debug shows.
func other(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrOtherMethod}, args...)...)
}

// errWrong is the same for a wrong name, a wrong password and a token that is not known: which of them it was is nobody's business.
var errWrong = flightruntime.Errorf(flightruntime.KindUnauthenticated,
	"the name, the password or the token is wrong or has expired: authenticate again")

func refused(format string, args ...any) error {
	return flightruntime.Errorf(flightruntime.KindUnauthenticated, format, args...)
}

func unavailable(format string, args ...any) error {
	return flightruntime.Errorf(flightruntime.KindUnavailable, format, args...)
}
