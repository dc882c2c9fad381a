package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/flight-operator/flight-operator/internal/text"
)

// JWT is authentication by signed tokens of one issuer (RFC 7519), as those of OpenID Connect.
type JWT struct {
	// Issuer is the claim iss of its tokens. Where none of Keys, KeysFile and KeysURL is set, it is also the https URL that its keys are discovered at
	// (OpenID Connect Discovery).
	Issuer string
	// Audiences: a token has to be for one of them (aud). At least one.
	Audiences []string
	// Keys is the issuer's JSON Web Key Set itself.
	Keys string
	// KeysFile holds the issuer's JSON Web Key Set. It may be made later, and is followed as it changes.
	KeysFile string
	// KeysURL is where the key set is, for issuers without discovery: an https URL.
	KeysURL string
	// CAFile holds the CA certificates, in PEM, of the issuer's server. Empty: those of the system.
	CAFile string
	// TokenFile holds a token for the host of Issuer, or of KeysURL, where keys are not for everybody. It is sent nowhere else. Empty: none.
	TokenFile string
	// UsernameClaim names the user: a string. Dots lead into objects. Empty: sub. Where a claim NAME_verified is there, it has to be true.
	UsernameClaim string
	// GroupsClaim names the groups: a string or a list of them. Dots lead into objects. Empty: there are no groups.
	GroupsClaim string
	// RequiredClaims have to have these values; a list has to contain it.
	RequiredClaims map[string]string
	// Algorithms that tokens may be signed with, of those of Algorithms. Empty: all of them.
	Algorithms []string
	// RefreshKeys is how often keys are fetched again. 0: DefaultKeyRefresh.
	RefreshKeys time.Duration
	// KeepKeys is how long the last keys stay in force while they cannot be fetched. 0: DefaultKeepKeys.
	KeepKeys time.Duration
}

// Algorithms are those that tokens may be signed with (RFC 7518, 3.1). None of them is symmetric: a key that verifies must not sign.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
}

// leeway is how far the clocks of issuer and server may be apart.
const leeway = 30 * time.Second

// check refuses settings that mean nothing, or too much.
func (s JWT) check() error {
	switch {
	case s.Issuer == "":
		return errors.New("expected an issuer, the claim iss of its tokens")
	case len(s.Audiences) == 0 || slices.Contains(s.Audiences, ""):
		return errors.New("expected audiences, none of them empty: without, tokens for any other service would be good here")
	case s.KeysFile != "" && s.KeysURL != "", s.Keys != "" && s.KeysFile+s.KeysURL != "":
		return errors.New("expected one of the keys, a file and a URL of them")
	}
	for _, a := range s.Algorithms {
		if !slices.Contains(algorithms, jose.SignatureAlgorithm(a)) {
			return fmt.Errorf("expected algorithms of %v, got %q", algorithms, a)
		}
	}
	switch {
	case s.Keys != "":
		_, err := parseKeySet([]byte(s.Keys))
		return err
	case s.KeysFile != "":
		return nil
	}
	address := s.Issuer
	if s.KeysURL != "" {
		address = s.KeysURL
	}
	if err := checkURL(address); err != nil {
		return fmt.Errorf("to get the keys from: %w; or give a file of the keys", err)
	}
	return nil
}

// issuer is a method: the tokens of one issuer.
type issuer struct {
	JWT
	name       string // of the method
	algorithms []jose.SignatureAlgorithm
	keys       keySource
	// identify makes an identity of claims that were verified.
	identify func(claims map[string]any) (*Identity, error)
	now      func() time.Time
	known    cache[verified]
}

// verified is a token that was found to be good.
type verified struct {
	id          *Identity
	from, until time.Time // as the token says; from is zero if it does not
	keys        *keySet   // by which it was
}

// signer is the Proof of an identity: what its token was signed with.
type signer struct {
	issuer string
	key    *jose.JSONWebKey
}

var _ Revoker = (*issuer)(nil)

// newIssuer makes the method of settings that check has let pass. keys is nil where they are in a file, or the settings have them.
func newIssuer(name string, s JWT, keys keySource, now func() time.Time) *issuer {
	i := &issuer{JWT: s, name: name, algorithms: algorithms, keys: keys, now: now}
	if len(s.Algorithms) > 0 {
		i.algorithms = nil
		for _, a := range s.Algorithms {
			i.algorithms = append(i.algorithms, jose.SignatureAlgorithm(a))
		}
	}
	switch {
	case s.Keys != "":
		set, _ := parseKeySet([]byte(s.Keys)) // check has
		i.keys = givenKeys{set}
	case s.KeysFile != "":
		i.keys = newFileKeys(s.KeysFile)
	}
	i.identify = i.byClaims
	return i
}

func (i *issuer) Name() string { return i.name }

func (i *issuer) Authenticate(ctx context.Context, c Credentials) (*Identity, error) {
	if c.Scheme != SchemeBearer || strings.Count(c.Token, ".") != 2 {
		return nil, ErrOtherMethod
	}
	sum := sha256.Sum256([]byte(c.Token))
	if v, ok := i.known.get(sum); ok && v.keys == i.keys.current() {
		return v.id, i.during(v)
	}
	token, err := jwt.ParseSigned(c.Token, i.algorithms)
	if err != nil {
		return nil, other("not a token of an algorithm that is allowed: %v", err)
	}
	var claimed jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&claimed); err != nil {
		return nil, other("the claims cannot be read: %v", err)
	}
	if claimed.Issuer != i.Issuer {
		return nil, other("the issuer is %q", text.Cut(claimed.Issuer, maxName))
	}
	v, err := i.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := i.during(v); err != nil {
		return nil, err
	}
	i.known.put(sum, v)
	return v.id, nil
}

// verify checks all of a token but its time. What is told of it once the signature is good is told to its bearer.
func (i *issuer) verify(ctx context.Context, token *jwt.JSONWebToken) (verified, error) {
	header := token.Headers[0]
	key, set, err := i.keys.key(ctx, header.KeyID, header.Algorithm)
	if errors.Is(err, errUnknownKey) {
		return verified{}, other("it is signed with none of the keys of its issuer")
	}
	if err != nil {
		return verified{}, err
	}
	var known jwt.Claims
	var claims map[string]any
	if err := token.Claims(key, &known, &claims); err != nil {
		return verified{}, other("the signature is not good: %v", err)
	}
	if !slices.ContainsFunc(i.Audiences, known.Audience.Contains) {
		return verified{}, refused("the token is for another audience: have it issued for this server (aud %q)", i.Audiences[0])
	}
	if known.Expiry == nil {
		return verified{}, refused("the token never expires: expected one with the claim exp")
	}
	id, err := i.identify(claims)
	if err != nil {
		return verified{}, refused("the token is not good: %w", err)
	}
	id.Claims, id.Method, id.Proof = claims, i.name, signer{i.Issuer, key}
	v := verified{id: authenticated(id), keys: set, until: known.Expiry.Time()}
	if known.NotBefore != nil {
		v.from = known.NotBefore.Time()
	}
	return v, nil
}

// during refuses a token whose time has passed, or is to come.
func (i *issuer) during(v verified) error {
	now := i.now()
	switch {
	case now.Add(-leeway).After(v.until):
		return refused("the token has expired at %s: get a new one", v.until.UTC().Format(time.RFC3339))
	case !v.from.IsZero() && now.Add(leeway).Before(v.from):
		return refused("the token is good from %s on, and it is %s: wait, or set the clocks right",
			v.from.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// byClaims is the identity by the claims that the settings name.
func (i *issuer) byClaims(claims map[string]any) (*Identity, error) {
	if err := require(claims, i.RequiredClaims); err != nil {
		return nil, err
	}
	name := i.UsernameClaim
	if name == "" {
		name = "sub"
	}
	user, err := userOf(claims, name)
	if err != nil {
		return nil, err
	}
	groups, err := groupsOf(claims, i.GroupsClaim)
	if err != nil {
		return nil, err
	}
	return &Identity{User: user, Groups: groups}, nil
}

// StillValid looks for the key, and at the claims again: the settings may be others.
func (i *issuer) StillValid(_ context.Context, id *Identity) bool {
	by, ok := id.Proof.(signer)
	if !ok || by.issuer != i.Issuer || !i.keys.current().has(by.key) {
		return false
	}
	now, err := i.identify(id.Claims)
	return err == nil && id.is(now)
}

func (i *issuer) look(log *slog.Logger) bool {
	if f, ok := i.keys.(fileKeys); ok {
		return f.look(log)
	}
	return false
}

func (i *issuer) folders() []string {
	if f, ok := i.keys.(fileKeys); ok {
		return f.folders()
	}
	return nil
}

func (i *issuer) trouble() string { return i.keys.trouble() }

func (i *issuer) digest() string {
	if set := i.keys.current(); set != nil {
		return set.digest
	}
	return ""
}
