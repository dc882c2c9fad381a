package authn

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func newRSAKey(t testing.TB, id string, alg jose.SignatureAlgorithm, bits int) signingKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{id, alg, k}
}

// unsigned is a token of alg none.
func unsigned(t testing.TB, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode(payload) + "."
}

// byPublicKey is a token of HS256 whose secret is a public key, which everybody knows, in a form in which a server may have it.
func byPublicKey(t testing.TB, id string, secret []byte, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, (&jose.SignerOptions{}).WithHeader("kid", id))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestJWT(t *testing.T) {
	key, rsaKey := newECKey(t, "ec"), newRSAKey(t, "rsa", jose.RS256, minRSA)
	pss := rsaKey
	pss.alg = jose.PS256
	other := newECKey(t, "ec") // of the same name
	der, err := x509.MarshalPKIXPublicKey(rsaKey.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	keys := written(t, "jwks", keySetOf(t, key, rsaKey))
	settings := JWT{
		Issuer: "https://issuer.example", Audiences: []string{"flight", "arrow"}, KeysFile: keys, GroupsClaim: "realm.roles",
		RequiredClaims: map[string]string{"tenant": "north"},
	}
	good := func(others map[string]any) map[string]any {
		all := claimsOf(map[string]any{"tenant": "north"})
		for k, v := range others {
			all[k] = v
			if v == nil {
				delete(all, k)
			}
		}
		return all
	}
	in := func(d time.Duration) int64 { return epoch.Add(d).Unix() }
	const wrong = "the name, the password or the token is wrong or has expired"
	for name, tt := range map[string]struct {
		token   string
		user    string
		groups  []string
		refusal string
	}{
		"good":                               {token: key.sign(t, good(nil)), user: "ada"},
		"of another key":                     {token: rsaKey.sign(t, good(nil)), user: "ada"},
		"for several audiences":              {token: key.sign(t, good(map[string]any{"aud": []string{"other", "arrow"}})), user: "ada"},
		"with groups":                        {token: key.sign(t, good(map[string]any{"realm": map[string]any{"roles": []string{"analysts", "analysts", "system:masters", ""}}})), user: "ada", groups: []string{"analysts"}},
		"with one group":                     {token: key.sign(t, good(map[string]any{"realm": map[string]any{"roles": "analysts"}})), user: "ada", groups: []string{"analysts"}},
		"without the name of a key":          {token: signingKey{"", key.alg, key.private}.sign(t, good(nil)), user: "ada"},
		"expired just now":                   {token: key.sign(t, good(map[string]any{"exp": in(-leeway)})), user: "ada"},
		"valid in a moment":                  {token: key.sign(t, good(map[string]any{"nbf": in(leeway)})), user: "ada"},
		"expired":                            {token: key.sign(t, good(map[string]any{"exp": in(-leeway - time.Second)})), refusal: "the token has expired at 2030-01-02T03:03:34Z: get a new one"},
		"not yet valid":                      {token: key.sign(t, good(map[string]any{"nbf": in(leeway + time.Second)})), refusal: "the token is good from 2030-01-02T03:04:36Z on, and it is 2030-01-02T03:04:05Z"},
		"without an end":                     {token: key.sign(t, good(map[string]any{"exp": nil})), refusal: "the token never expires"},
		"for another audience":               {token: key.sign(t, good(map[string]any{"aud": "other"})), refusal: `the token is for another audience: have it issued for this server (aud "flight")`},
		"for no audience":                    {token: key.sign(t, good(map[string]any{"aud": nil})), refusal: "the token is for another audience"},
		"of another issuer":                  {token: key.sign(t, good(map[string]any{"iss": "https://other.example"})), refusal: wrong},
		"of no issuer":                       {token: key.sign(t, good(map[string]any{"iss": nil})), refusal: wrong},
		"without a user":                     {token: key.sign(t, good(map[string]any{"sub": nil})), refusal: "expected a string as its claim sub, which names the user, found none"},
		"of a user that is a number":         {token: key.sign(t, good(map[string]any{"sub": 7})), refusal: wrong},
		"of a reserved user":                 {token: key.sign(t, good(map[string]any{"sub": "system:serviceaccount:a:b"})), refusal: "names that begin with system: are reserved"},
		"with groups of numbers":             {token: key.sign(t, good(map[string]any{"realm": map[string]any{"roles": []any{7}}})), refusal: "expected strings in its claim realm.roles"},
		"with groups that are none":          {token: key.sign(t, good(map[string]any{"realm": map[string]any{"roles": true}})), refusal: "expected a list of strings as its claim realm.roles"},
		"without a required claim":           {token: key.sign(t, good(map[string]any{"tenant": nil})), refusal: "its claim tenant is not as this server requires"},
		"with another required one":          {token: key.sign(t, good(map[string]any{"tenant": "south"})), refusal: "its claim tenant is not as this server requires"},
		"signed by nobody":                   {token: unsigned(t, good(nil)), refusal: wrong},
		"HS256 with the public key, in PEM":  {token: byPublicKey(t, "rsa", publicPEM, good(nil)), refusal: wrong},
		"HS256 with the public key, in DER":  {token: byPublicKey(t, "rsa", der, good(nil)), refusal: wrong},
		"by another key of that name":        {token: other.sign(t, good(nil)), refusal: wrong},
		"by a key that is not known":         {token: newECKey(t, "new").sign(t, good(nil)), refusal: wrong},
		"by an algorithm the key is not for": {token: pss.sign(t, good(nil)), refusal: wrong},
		"signature changed":                  {token: key.sign(t, good(nil))[:100] + "AAAA" + key.sign(t, good(nil))[104:], refusal: wrong},
		"signature of another's claims":      {token: swapped(key.sign(t, good(nil)), key.sign(t, good(map[string]any{"sub": "bob"}))), refusal: wrong},
		"cut":                                {token: strings.TrimRight(key.sign(t, good(nil))[:80], "."), refusal: wrong},
		"no token":                           {token: "a.b.c", refusal: wrong},
		"dots":                               {token: "..", refusal: wrong},
	} {
		t.Run(name, func(t *testing.T) {
			a := made(t, Settings{JWT: []JWT{settings}}, Options{}, newClock().Now)
			for _, time := range []string{"first", "second"} { // which is remembered
				id, err := identified(t, a, bearerOf(tt.token))
				if tt.refusal == "" {
					wantIdentity(t, id, err, MethodJWT, tt.user, append(tt.groups, GroupAuthenticated)...)
					if err == nil && id.Claims["tenant"] != "north" {
						t.Errorf("the %s time, the claims are %v", time, id.Claims)
					}
					continue
				}
				wantRefusal(t, err, errUnauthenticated, tt.refusal, tt.token, "north")
			}
		})
	}
}

// swapped is the first token with the claims of the second.
func swapped(token, of string) string {
	parts, others := strings.Split(token, "."), strings.Split(of, ".")
	return parts[0] + "." + others[1] + "." + parts[2]
}

func TestJWTExpiresWhileItIsRemembered(t *testing.T) {
	clock, key := newClock(), newECKey(t, "k")
	a := made(t, Settings{JWT: []JWT{{Issuer: "https://issuer.example", Audiences: []string{"flight"}, KeysFile: written(t, "jwks", keySetOf(t, key))}}}, Options{}, clock.Now)
	token := key.sign(t, claimsOf(nil))
	id, err := identified(t, a, bearerOf(token))
	wantIdentity(t, id, err, MethodJWT, "ada", GroupAuthenticated)
	clock.Advance(time.Hour + leeway + time.Second)
	_, err = identified(t, a, bearerOf(token))
	wantRefusal(t, err, errUnauthenticated, "the token has expired")
	if !a.StillValid(t.Context(), id) {
		t.Error("what a token began is not to go on once it has expired")
	}
}

func TestJWTOfAKeyThatIsGone(t *testing.T) {
	clock, before, after := newClock(), newECKey(t, "before"), newECKey(t, "after")
	path := written(t, "jwks", keySetOf(t, before))
	a := made(t, Settings{JWT: []JWT{{Issuer: "https://issuer.example", Audiences: []string{"flight"}, KeysFile: path}}}, Options{}, clock.Now)
	token := before.sign(t, claimsOf(nil))
	id, err := identified(t, a, bearerOf(token))
	wantIdentity(t, id, err, MethodJWT, "ada", GroupAuthenticated)

	write(t, path, keySetOf(t, after, before)) // both, while keys rotate
	a.look()
	_, err = identified(t, a, bearerOf(token))
	if err != nil || !a.StillValid(t.Context(), id) {
		t.Errorf("with both keys: %v", err)
	}
	write(t, path, keySetOf(t, after))
	a.look()
	_, err = identified(t, a, bearerOf(token))
	wantRefusal(t, err, errUnauthenticated, "wrong or has expired")
	if a.StillValid(t.Context(), id) {
		t.Error("the identity still holds, by a key that is gone")
	}
}

func TestJWTOfSeveralIssuers(t *testing.T) {
	north, south := newECKey(t, "k"), newECKey(t, "k")
	issuer := func(name string, key signingKey, claim string) JWT {
		return JWT{Issuer: "https://" + name, Audiences: []string{"flight"}, KeysFile: written(t, "jwks", keySetOf(t, key)), UsernameClaim: claim}
	}
	a := made(t, Settings{JWT: []JWT{issuer("north", north, ""), issuer("south", south, "email")}}, Options{}, newClock().Now)
	for _, tt := range []struct {
		key     signingKey
		claims  map[string]any
		user    string
		refusal string
	}{
		{north, map[string]any{"iss": "https://north"}, "ada", ""},
		{south, map[string]any{"iss": "https://south", "email": "ada@south.example"}, "ada@south.example", ""},
		{south, map[string]any{"iss": "https://south", "email": "ada@south.example", "email_verified": true}, "ada@south.example", ""},
		{south, map[string]any{"iss": "https://south", "email": "ada@south.example", "email_verified": false}, "", "its claim email_verified is not true"},
		{south, map[string]any{"iss": "https://south", "email": 7}, "", "expected a string as its claim email, which names the user, found a number"},
		{south, map[string]any{"iss": "https://south"}, "", "expected a string as its claim email"},
		{south, map[string]any{"iss": "https://north"}, "", "wrong or has expired"}, // one issuer's key does not sign for the other
	} {
		id, err := identified(t, a, bearerOf(tt.key.sign(t, claimsOf(tt.claims))))
		if tt.refusal != "" {
			wantRefusal(t, err, errUnauthenticated, tt.refusal)
		} else {
			wantIdentity(t, id, err, MethodJWT, tt.user, GroupAuthenticated)
		}
	}
}

func TestJWTSettings(t *testing.T) {
	good := JWT{Issuer: "https://issuer.example", Audiences: []string{"flight"}}
	for name, tt := range map[string]struct {
		change func(*JWT)
		want   string
	}{
		"good":                   {func(*JWT) {}, ""},
		"no issuer":              {func(j *JWT) { j.Issuer = "" }, "issuer 0: expected an issuer"},
		"no audience":            {func(j *JWT) { j.Audiences = nil }, "issuer 0: expected audiences"},
		"an empty audience":      {func(j *JWT) { j.Audiences = []string{"a", ""} }, "expected audiences, none of them empty"},
		"HS256":                  {func(j *JWT) { j.Algorithms = []string{"RS256", "HS256"} }, `got "HS256"`},
		"none":                   {func(j *JWT) { j.Algorithms = []string{"none"} }, `got "none"`},
		"an issuer in the clear": {func(j *JWT) { j.Issuer = "http://issuer.example" }, `expected https://HOST/PATH, got "http://issuer.example"; or give a file of the keys`},
		"keys in the clear":      {func(j *JWT) { j.KeysURL = "http://issuer.example/keys" }, `expected https://HOST/PATH`},
		"both":                   {func(j *JWT) { j.KeysURL, j.KeysFile = "https://a", "/b" }, "expected one of the keys, a file and a URL"},
		"keys, and a file":       {func(j *JWT) { j.Keys, j.KeysFile = keySetOf(t, newECKey(t, "k")), "/b" }, "expected one of the keys, a file and a URL"},
		"keys, and a URL":        {func(j *JWT) { j.Keys, j.KeysURL = keySetOf(t, newECKey(t, "k")), "https://a" }, "expected one of the keys, a file and a URL"},
		"keys, and no URL":       {func(j *JWT) { j.Issuer, j.Keys = "me", keySetOf(t, newECKey(t, "k")) }, ""},
		"keys that are none":     {func(j *JWT) { j.Keys = "x" }, "expected a JSON Web Key Set"},
		"a file, and no URL":     {func(j *JWT) { j.Issuer, j.KeysFile = "me", "/b" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := good
			tt.change(&j)
			err := j.check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(fmt.Sprint("issuer 0: ", err), tt.want)) {
				t.Errorf("ended with %v, want %q", err, tt.want)
			}
		})
	}
	j := JWT{Issuer: "a", Audiences: []string{"flight"}, KeysFile: "/keys"}
	if _, err := newAuthenticator(t.Context(), Settings{JWT: []JWT{j, j}}, Options{}, time.Now); err == nil || !strings.Contains(err.Error(), `issuer 1: the issuer "a" again`) {
		t.Errorf("the same issuer twice: %v", err)
	}
}

// Keys in the settings hold until other settings come; those that are none leave the settings before in force.
func TestKeysInTheSettings(t *testing.T) {
	first, second := newECKey(t, "a"), newECKey(t, "b")
	settings := func(keys string) Settings {
		return Settings{JWT: []JWT{{Issuer: "https://issuer.example", Audiences: []string{"flight"}, Keys: keys}}}
	}
	a := made(t, settings(keySetOf(t, first)), Options{}, newClock().Now)
	check := func(good, gone signingKey) {
		t.Helper()
		id, err := identified(t, a, bearerOf(good.sign(t, claimsOf(nil))))
		wantIdentity(t, id, err, MethodJWT, "ada", GroupAuthenticated)
		if _, err := identified(t, a, bearerOf(gone.sign(t, claimsOf(nil)))); !errors.Is(err, errUnauthenticated) {
			t.Errorf("the other key: %v", err)
		}
	}
	check(first, second)
	if err := a.Set(settings("x")); err == nil {
		t.Error("no keys are keys")
	}
	check(first, second)
	if err := a.Set(settings(keySetOf(t, second))); err != nil {
		t.Fatal(err)
	}
	check(second, first)
}

func TestKeySets(t *testing.T) {
	small := newRSAKey(t, "small", jose.RS256, 1024)
	good := newECKey(t, "good")
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: good.private, KeyID: "good"}}})
	if err != nil {
		t.Fatal(err)
	}
	encryption := good.public()
	encryption.Use = "enc"
	forEncryption, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{encryption}})
	if err != nil {
		t.Fatal(err)
	}
	one := strings.TrimSuffix(strings.TrimPrefix(keySetOf(t, good), `{"keys":[`), "]}")
	for name, tt := range map[string]struct {
		set  string
		keys int
		want string
	}{
		"one":                          {keySetOf(t, good), 1, ""},
		"two":                          {keySetOf(t, good, newRSAKey(t, "r", jose.RS256, minRSA)), 2, ""},
		"one that nobody knows beside": {`{"keys":[{"kty":"future"},` + one + `]}`, 1, ""},
		"a symmetric one beside":       {`{"keys":[{"kty":"oct","k":"c2VjcmV0"},` + one + `]}`, 1, ""},
		"a short one beside":           {keySetOf(t, good, small), 1, ""},
		"a short one":                  {keySetOf(t, small), 0, "expected public keys for signatures"},
		"a symmetric one":              {`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, 0, "found none among 1 keys"},
		"one for encryption":           {string(forEncryption), 0, "found none among 1 keys"},
		"a private one":                {string(private), 0, "key 0 is a private one"},
		"none":                         {`{"keys":[]}`, 0, "found none among 0 keys"},
		"no keys":                      {`{}`, 0, "found none among 0 keys"},
		"no JSON":                      {"-----BEGIN PUBLIC KEY-----", 0, "expected a JSON Web Key Set"},
		"a damaged one":                {`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`, 0, "key 0 is damaged"},
		"very many":                    {`{"keys":[` + strings.Repeat(`{},`, maxKeys) + `{}]}`, 0, "expected at most 256 keys, found 257"},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := parseKeySet([]byte(tt.set))
			switch {
			case tt.want != "":
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "c2VjcmV0") {
					t.Errorf("ended with %v, want %q", err, tt.want)
				}
			case err != nil || len(set.keys) != tt.keys:
				t.Errorf("got %+v, %v, want %d keys", set, err, tt.keys)
			}
		})
	}
}

func TestATokenWithoutTheNameOfAKeyIsTriedByOneKeyAtMost(t *testing.T) {
	first, second := newECKey(t, "first"), newECKey(t, "second")
	set, err := parseKeySet([]byte(keySetOf(t, first, second)))
	if err != nil {
		t.Fatal(err)
	}
	if set.find("", "ES256") != nil {
		t.Error("one of two keys that it might be was taken")
	}
	if set.find("second", "ES256") == nil || set.find("second", "RS256") != nil || set.find("third", "ES256") != nil {
		t.Error("a key is found that is not meant, or is not found")
	}
}

func TestClaims(t *testing.T) {
	var claims map[string]any
	if err := json.Unmarshal([]byte(`{"a": {"b": {"c": 1}, "d.e": "x"}, "https://x.example/g": ["y"], "a.b": true, "n": 1.5, "list": ["p", 7, ["q"]]}`), &claims); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"a.b": "true", "a.b.c": "1", "a.d.e": `"x"`, "https://x.example/g": `["y"]`, "n": "1.5", "a.x": "null", "x": "null", "": "null", ".": "null", "a.b.c.d": "null",
	} {
		got, err := json.Marshal(claim(claims, name))
		if err != nil || string(got) != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
	for name, values := range map[string]map[string]bool{
		"a.b":  {"true": true, "false": false, "": false},
		"n":    {"1.5": true, "1.50": false},
		"list": {"p": true, "7": true, "q": false},
		"a":    {"": false},
		"none": {"": false, "null": false},
	} {
		for value, want := range values {
			if got := require(claims, map[string]string{name: value}) == nil; got != want {
				t.Errorf("%s = %q: %t, want %t", name, value, got, want)
			}
		}
	}
}

func FuzzKeySet(f *testing.F) {
	f.Add([]byte(keySetOf(f, newECKey(f, "k"))))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := parseKeySet(data)
		if (set == nil) == (err == nil) {
			t.Fatalf("got %v and %v", set, err)
		}
		for i := range set.list() {
			if !verifies(&set.keys[i]) || !set.keys[i].IsPublic() {
				t.Errorf("key %d is let in", i)
			}
		}
	})
}

// list are the keys; none of nil.
func (s *keySet) list() []jose.JSONWebKey {
	if s == nil {
		return nil
	}
	return s.keys
}

func FuzzJWT(f *testing.F) {
	key := newECKey(f, "k")
	a := made(f, Settings{JWT: []JWT{{Issuer: "https://issuer.example", Audiences: []string{"flight"}, KeysFile: written(f, "jwks", keySetOf(f, key)), GroupsClaim: "g"}}},
		Options{}, newClock().Now)
	good := key.sign(f, claimsOf(nil))
	f.Add(good)
	f.Add(unsigned(f, claimsOf(nil)))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		id, err := identified(t, a, bearerOf(token))
		if err == nil && (id.User != "ada" || len(id.Claims) != 4) { // the last bits of a signature in base64 do not count
			t.Errorf("%q lets %s in, with %v", token, id.User, id.Claims)
		}
		if err != nil && !errors.Is(err, errUnauthenticated) {
			t.Errorf("ended with %v", err)
		}
	})
}
