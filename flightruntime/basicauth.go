package flightruntime

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// BasicAuth authenticates by name and password, once, and by a short-lived signed token after that: password hashes are slow to verify,
// and are slow for a purpose. As a ServerAuthHandler it takes all the ways that Flight clients have of doing so:
//
//   - pyarrow's client.authenticate(handler) with a BasicAuth message (Flight.proto), or our BasicHandshake;
//   - pyarrow's client.authenticate_basic_token(name, password), which sends an Authorization header and takes a bearer token back, or our
//     Client.AuthenticateBasicToken;
//   - an Authorization header, Basic or Bearer, on any call.
//
// As a ServerMiddlewareFactory, beside another auth handler or none, it takes the latter two. Replicas that share a keyring take each
// other's tokens.
type BasicAuth struct {
	validate func(ctx context.Context, name, password string) (identity string, err error)
	keys     *signing.Keyring
	lifetime time.Duration
	now      func() time.Time
}

// DefaultTokenLifetime is how long a token is good for.
const DefaultTokenLifetime = time.Hour

// NewBasicAuth makes a BasicAuth. validate tells whom a name and a password belong to, or refuses them: clients hear the same of every
// refusal, so it should also take the same time, for instance by checking a hash of nobody's where the name is unknown. An error of
// KindUnavailable says that it cannot tell, and is passed on. keys sign the tokens; nil means keys that live as long as the process.
func NewBasicAuth(validate func(ctx context.Context, name, password string) (identity string, err error), keys *signing.Keyring) *BasicAuth {
	if keys == nil {
		keys = signing.Random()
	}
	return &BasicAuth{validate: validate, keys: keys, lifetime: DefaultTokenLifetime, now: time.Now}
}

var (
	_ ServerAuthHandler = (*BasicAuth)(nil)
	_ CredentialTaker   = (*BasicAuth)(nil)
)

// TakesCredentials is true.
func (b *BasicAuth) TakesCredentials() bool { return true }

// wrongCredentials is the same for a wrong name, a wrong password and a token that has expired or was made up: which of them it was is
// nobody's business but that of who unwraps the error, on the server.
func wrongCredentials(cause error) error {
	return &Error{
		Kind:    KindUnauthenticated,
		Message: "the name, the password or the token is wrong or has expired: authenticate again",
		cause:   cause,
	}
}

// Authenticate answers a handshake: the client sends a BasicAuth message and gets a token, or has sent an Authorization header.
func (b *BasicAuth) Authenticate(ctx context.Context, conversation AuthConversation) error {
	if call := CallOf(ctx); hasAuthorization(call) {
		_, err := b.byHeader(ctx, call)
		return err
	}
	payload, err := conversation.Read()
	if errors.Is(err, io.EOF) {
		return Errorf(KindUnauthenticated, "expected a message BasicAuth of Flight.proto or the header Authorization, got neither")
	}
	if err != nil {
		return err
	}
	var sent flight.BasicAuth
	if err := proto.Unmarshal(payload, &sent); err != nil {
		return Errorf(KindInvalid, "expected a message BasicAuth of Flight.proto, got %d bytes that are none", len(payload))
	}
	identity, err := b.check(ctx, sent.GetUsername(), sent.GetPassword())
	if err != nil {
		return err
	}
	return conversation.Write([]byte(b.token(identity)))
}

// IsValid tells whose token it is; of a call without one, whom its Authorization header names.
func (b *BasicAuth) IsValid(ctx context.Context, token []byte) (string, error) {
	if call := CallOf(ctx); len(token) == 0 && hasAuthorization(call) {
		return b.byHeader(ctx, call)
	}
	return b.identity(string(token))
}

// StartCall authenticates by the Authorization header. It takes no part in calls without one that somebody else has authenticated, or
// that are going to be by their handshake.
func (b *BasicAuth) StartCall(ctx context.Context, call *Call) (ServerMiddleware, error) {
	if !hasAuthorization(call) && (call.PeerIdentity() != "" || call.Method() == MethodHandshake) {
		return nil, nil //nolint:nilnil // no part in the call
	}
	identity, err := b.byHeader(ctx, call)
	if err != nil {
		return nil, err
	}
	call.SetPeerIdentity(identity)
	return nil, nil //nolint:nilnil // it has done its part
}

// byHeader is whom a call's Authorization header names. A call with Basic credentials gets a bearer token. It may be asked twice of one
// call, as handler and as middleware, and then knows the answer.
func (b *BasicAuth) byHeader(ctx context.Context, call *Call) (identity string, err error) {
	if call.basic.by == b {
		return call.basic.identity, nil
	}
	scheme, credentials, err := authorization(call.Headers())
	if err != nil {
		return "", err
	}
	switch scheme {
	case schemeBasic:
		name, password, ok := basicCredentials(credentials)
		if !ok {
			return "", Errorf(KindUnauthenticated, "expected the header Authorization: Basic BASE64(NAME:PASSWORD)")
		}
		if identity, err = b.check(ctx, name, password); err != nil {
			return "", err
		}
		// Clients look for the token in either place.
		bearer := schemeBearer + " " + b.token(identity)
		if err := errors.Join(call.AddHeader(headerAuthorization, bearer), call.AddTrailer(headerAuthorization, bearer)); err != nil {
			return "", err
		}
	case schemeBearer:
		if identity, err = b.identity(credentials); err != nil {
			return "", err
		}
	default:
		return "", Errorf(KindUnauthenticated, "expected the header Authorization with Basic or Bearer credentials")
	}
	call.basic = basicIdentity{by: b, identity: identity}
	return identity, nil
}

// basicIdentity is what a BasicAuth has found out about a call.
type basicIdentity struct {
	by       *BasicAuth
	identity string
}

func (b *BasicAuth) check(ctx context.Context, name, password string) (string, error) {
	identity, err := b.validate(ctx, name, password)
	switch {
	case err == nil && identity == "":
		return name, nil
	case err == nil:
		return identity, nil
	case errors.Is(err, ErrUnavailable), ctx.Err() != nil: // it cannot tell, which is not the caller's fault
		return "", err
	default:
		return "", wrongCredentials(err)
	}
}

// bearerToken is what a token says.
type bearerToken struct {
	Identity string `json:"sub"`
	Expires  int64  `json:"exp"` // Unix seconds
}

func (b *BasicAuth) token(identity string) string {
	payload, err := json.Marshal(bearerToken{Identity: identity, Expires: b.now().Add(b.lifetime).Unix()})
	if err != nil {
		panic(err) // a string and a number
	}
	return base64.RawURLEncoding.EncodeToString(b.keys.Sign(signing.Bearer, payload))
}

func (b *BasicAuth) identity(token string) (string, error) {
	signed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", wrongCredentials(err)
	}
	payload, err := b.keys.Open(signing.Bearer, signed)
	if err != nil {
		return "", wrongCredentials(err)
	}
	var t bearerToken
	if err := json.Unmarshal(payload, &t); err != nil {
		return "", wrongCredentials(err)
	}
	if expired := time.Unix(t.Expires, 0); !b.now().Before(expired) {
		return "", wrongCredentials(fmt.Errorf("the token has expired at %s", expired.UTC().Format(time.RFC3339)))
	}
	return t.Identity, nil
}

// The Authorization header (RFC 9110, 11.6.2), and the schemes of RFC 7617 and RFC 6750.
const (
	headerAuthorization = "authorization"
	schemeBasic         = "Basic"
	schemeBearer        = "Bearer"
)

func hasAuthorization(call *Call) bool {
	return call != nil && len(call.Headers().Get(headerAuthorization)) > 0
}

// authorization is the scheme, in its usual spelling, and the credentials of the Authorization header; empty if there is none.
func authorization(headers metadata.MD) (scheme, credentials string, err error) {
	sent := headers.Get(headerAuthorization)
	switch len(sent) {
	case 0:
		return "", "", nil
	case 1:
	default:
		return "", "", Errorf(KindUnauthenticated, "expected one header Authorization, got %d", len(sent))
	}
	scheme, credentials, _ = strings.Cut(sent[0], " ")
	for _, known := range []string{schemeBasic, schemeBearer} {
		if strings.EqualFold(scheme, known) {
			return known, strings.TrimSpace(credentials), nil
		}
	}
	return scheme, credentials, nil
}

func basicCredentials(encoded string) (name, password string, ok bool) {
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(decoded), ":")
}
