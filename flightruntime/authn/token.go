package authn

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// loginToken is what a token says that a login was exchanged for. Its bearer can read it.
type loginToken struct {
	Method  string `json:"m"`
	Memory  string `json:"r"`
	Expires int64  `json:"exp"` // Unix seconds
}

// DefaultTokenLifetime is how long the token of a login is good for.
const DefaultTokenLifetime = flightruntime.DefaultTokenLifetime

// base64URL is how tokens are text.
var base64URL = base64.RawURLEncoding

// logins makes the tokens of logins, and reads them.
type logins struct {
	keys     func() *signing.Keyring
	lifetime time.Duration
	now      func() time.Time
}

// give is the token for an identity that a method has just found out.
func (l logins) give(by Exchanger, id *Identity) (string, error) {
	payload, err := json.Marshal(loginToken{by.Name(), by.Remember(id), l.now().Add(l.lifetime).Unix()})
	if err != nil {
		return "", err
	}
	return base64URL.EncodeToString(l.keys().Sign(signing.Login, payload)), nil
}

// take is the identity of a token's bearer. The error is ErrOtherMethod for what is no such token.
func (l logins) take(ctx context.Context, token string, m *methods) (*Identity, error) {
	signed, err := base64URL.DecodeString(token)
	if err != nil {
		return nil, ErrOtherMethod
	}
	payload, err := l.keys().Open(signing.Login, signed)
	if err != nil {
		return nil, other("%v", err)
	}
	var t loginToken
	if err := json.Unmarshal(payload, &t); err != nil {
		return nil, errWrong
	}
	if expires := time.Unix(t.Expires, 0); !l.now().Before(expires) {
		return nil, refused("the token has expired at %s: authenticate again", expires.UTC().Format(time.RFC3339))
	}
	by := m.exchanger(t.Method)
	if by == nil {
		return nil, errWrong
	}
	return by.Recall(ctx, t.Memory)
}
