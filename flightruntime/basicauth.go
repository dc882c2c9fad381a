package flightruntime

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// BasicAuth authenticates by name and password, once, and by a short-lived signed token after that: password hashes are slow to verify,
// and are slow for a purpose. It takes all the ways that Flight clients have of doing so:
//
//   - pyarrow's client.authenticate(handler) with a BasicAuth message (Flight.proto), for which NewBasicAuth is a ServerAuthHandler;
//   - pyarrow's client.authenticate_basic_token(name, password), which sends an Authorization header and takes a bearer token back;
//   - an Authorization header, Basic or Bearer, on any call. For these two it is a ServerMiddlewareFactory.
//
// Replicas that share a keyring take each other's tokens.
type BasicAuth struct {
	validate func(ctx context.Context, name, password string) (identity string, err error)
	keys     *signing.Keyring
	lifetime time.Duration
	now      func() time.Time
}

// DefaultTokenLifetime is how long a token is good for.
const DefaultTokenLifetime = time.Hour

// NewBasicAuth makes a BasicAuth. validate tells whom a name and a password belong to, or refuses them. keys sign the tokens; nil means
// keys that live as long as the process.
func NewBasicAuth(validate func(ctx context.Context, name, password string) (identity string, err error), keys *signing.Keyring) *BasicAuth {
	if keys == nil {
		keys = signing.Random()
	}
	return &BasicAuth{validate: validate, keys: keys, lifetime: DefaultTokenLifetime, now: time.Now}
}

var (
	_ ServerAuthHandler       = (*BasicAuth)(nil)
	_ ServerMiddlewareFactory = (*BasicAuth)(nil)
)

// errCredentials is the same for a wrong name, a wrong password and a token that has expired or was made up: which of them is nobody's
// business but the log's.
var errCredentials = Errorf(KindUnauthenticated, "the name, the password or the token is wrong or has expired: authenticate again")

// Authenticate answers a handshake: the client sends a BasicAuth message and gets a token.
func (b *BasicAuth) Authenticate(ctx context.Context, conversation AuthConversation) error {
	payload, err := conversation.Read()
	if err != nil {
		return fmt.Errorf("expected a message BasicAuth of Flight.proto: %w", err)
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

// IsValid tells whose token it is.
func (b *BasicAuth) IsValid(_ context.Context, token []byte) (string, error) {
	return b.identity(string(token))
}

// StartCall authenticates by the Authorization header. A call with Basic credentials gets a bearer token in headers and trailers.
func (b *BasicAuth) StartCall(ctx context.Context, call *Call) (ServerMiddleware, error) {
	if call.PeerIdentity() != "" && len(call.Headers().Get(headerAuthorization)) == 0 {
		return nil, nil //nolint:nilnil // no part in the call: a handshake has authenticated it
	}
	scheme, credentials, err := authorization(call.Headers())
	if err != nil {
		return nil, err
	}
	var m bearerMiddleware
	var identity string
	switch scheme {
	case schemeBasic:
		name, password, ok := basicCredentials(credentials)
		if !ok {
			return nil, Errorf(KindUnauthenticated, "expected the header Authorization: Basic BASE64(NAME:PASSWORD)")
		}
		if identity, err = b.check(ctx, name, password); err != nil {
			return nil, err
		}
		m.token = b.token(identity)
		// Clients look for the token in either place.
		if err := call.AddTrailer(headerAuthorization, schemeBearer+" "+m.token); err != nil {
			return nil, err
		}
	case schemeBearer:
		if identity, err = b.identity(credentials); err != nil {
			return nil, err
		}
	default:
		return nil, Errorf(KindUnauthenticated, "expected the header Authorization with Basic or Bearer credentials")
	}
	call.SetPeerIdentity(identity)
	return m, nil
}

// carriesCredentials marks what must not go in plain text.
func (b *BasicAuth) carriesCredentials() {}

func (b *BasicAuth) check(ctx context.Context, name, password string) (string, error) {
	identity, err := b.validate(ctx, name, password)
	switch {
	case errors.Is(err, ErrUnavailable): // whoever knows the passwords is away, which is not the caller's fault
		return "", err
	case err != nil:
		return "", errCredentials
	default:
		return identity, nil
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
		return "", errCredentials
	}
	payload, err := b.keys.Open(signing.Bearer, signed)
	if err != nil {
		return "", errCredentials
	}
	var t bearerToken
	if err := json.Unmarshal(payload, &t); err != nil || b.now().Unix() >= t.Expires {
		return "", errCredentials
	}
	return t.Identity, nil
}

type bearerMiddleware struct{ token string }

func (m bearerMiddleware) SendingHeaders() metadata.MD {
	if m.token == "" {
		return nil
	}
	return metadata.Pairs(headerAuthorization, schemeBearer+" "+m.token)
}

func (bearerMiddleware) CallCompleted(error) {}

// The Authorization header (RFC 9110, 11.6.2), and the schemes of RFC 7617 and RFC 6750.
const (
	headerAuthorization = "authorization"
	schemeBasic         = "Basic"
	schemeBearer        = "Bearer"
)

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
