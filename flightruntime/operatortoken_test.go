package flightruntime

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// keyringOf is a keyring of keys that are told apart by a letter each.
func keyringOf(t testing.TB, letters string) *signing.Keyring {
	t.Helper()
	var secrets [][]byte
	for _, letter := range letters {
		secrets = append(secrets, []byte(strings.Repeat(string(letter), signing.MinKeyBytes)))
	}
	keys, err := signing.New(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestOperatorTokens(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	tokens := func(keys, audience string, at time.Time) OperatorTokens {
		return OperatorTokens{func() *signing.Keyring { return keyringOf(t, keys) }, audience, func() time.Time { return at }}
	}
	shown := func(keys, audience string, at time.Time) []string {
		o, err := tokens(keys, audience, at).Show()
		if err != nil {
			t.Fatal(err)
		}
		var s callSettings
		o(&s)
		if len(s.headers) != 2 || s.headers[0] != HeaderOperatorToken {
			t.Fatalf("the headers are %q", s.headers)
		}
		return s.headers[1:]
	}
	signed := func(p signing.Purpose, payload string) []string {
		return []string{string(keyringOf(t, "a").Sign(p, []byte(payload)))}
	}
	good, err := json.Marshal(operatorToken{"data/taxi", now.Add(time.Second).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	const forged = "none of this server's signing keys has signed it"
	for name, tt := range map[string]struct {
		sent    []string
		keys    string // of the server, the first signs
		refused string // empty: it is the operator, if anything was sent
	}{
		"none":                               {nil, "a", ""},
		"a good one":                         {shown("a", "data/taxi", now), "a", ""},
		"a minute old":                       {shown("a", "data/taxi", now.Add(-time.Minute)), "a", ""},
		"of a clock that is behind":          {shown("a", "data/taxi", now.Add(-89*time.Second)), "a", ""},
		"of a clock that is ahead":           {shown("a", "data/taxi", now.Add(30*time.Second)), "a", ""},
		"a new key is behind":                {shown("a", "data/taxi", now), "ab", ""},
		"a new key is in front":              {shown("a", "data/taxi", now), "ba", ""},
		"signed with the new key":            {shown("ba", "data/taxi", now), "ab", ""},
		"the key is gone":                    {shown("a", "data/taxi", now), "b", forged},
		"too old":                            {shown("a", "data/taxi", now.Add(-90*time.Second)), "a", "it has expired"},
		"too good":                           {shown("a", "data/taxi", now.Add(31*time.Second)), "a", "it is good for longer than tokens are"},
		"for ever":                           {signed(signing.Operator, `{"aud":"data/taxi","exp":9223372036854775807}`), "a", "is not good"},
		"for another server":                 {shown("a", "data/trips", now), "a", "it is for another server"},
		"for one of another namespace":       {shown("a", "prod/taxi", now), "a", "it is for another server"},
		"for none":                           {signed(signing.Operator, `{"exp":1893553446}`), "a", "it is for another server"},
		"the token of a login":               {signed(signing.Login, string(good)), "a", forged},
		"a ticket":                           {signed(signing.Ticket, string(good)), "a", forged},
		"not JSON":                           {signed(signing.Operator, "x"), "a", "it cannot be read"},
		"nothing":                            {[]string{""}, "a", forged},
		"not signed":                         {[]string{string(good)}, "a", forged},
		"too long":                           {[]string{strings.Repeat("x", 1025)}, "a", "it is longer than 1 KiB"},
		"two":                                {append(shown("a", "data/taxi", now), shown("a", "data/taxi", now)...), "a", "expected one, got several"},
		"one, and a second that is no token": {append(shown("a", "data/taxi", now), ""), "a", "expected one, got several"},
	} {
		t.Run(name, func(t *testing.T) {
			operator, err := tokens(tt.keys, "data/taxi", now).Check(metadata.MD{HeaderOperatorToken: tt.sent})
			switch {
			case tt.refused != "":
				if operator || !errors.Is(err, ErrUnauthenticated) || !strings.Contains(err.Error(), tt.refused) {
					t.Errorf("operator: %v, %v, want it refused with %q", operator, err, tt.refused)
				}
			case err != nil || operator != (tt.sent != nil):
				t.Errorf("operator: %v, %v", operator, err)
			}
		})
	}
}

// FuzzOperatorToken: whatever is sent, it is the operator's only if the key has signed it.
func FuzzOperatorToken(f *testing.F) {
	keys := keyringOf(f, "a")
	tokens := OperatorTokens{Keys: func() *signing.Keyring { return keys }, Audience: "data/taxi"}
	f.Add([]byte(""))
	f.Add(keys.Sign(signing.Operator, []byte(`{"aud":"data/trips"}`)))
	f.Add(keys.Sign(signing.Login, []byte(`{"aud":"data/taxi"}`)))
	f.Fuzz(func(t *testing.T, sent []byte) {
		if operator, err := tokens.Check(metadata.Pairs(HeaderOperatorToken, string(sent))); operator || err == nil {
			t.Errorf("%q is taken for the operator's", sent)
		}
	})
}

func TestTheOperatorInPlainTextAsksHowAServerFaresAndNoMore(t *testing.T) {
	keys := signing.Random()
	tokens := OperatorTokens{Keys: func() *signing.Keyring { return keys }, Audience: "data/taxi"}
	token, err := tokens.Show()
	if err != nil {
		t.Fatal(err)
	}
	var server *Server
	service := everyService{do: func(ctx context.Context) error {
		if !CallOf(ctx).IsOperator() || CallOf(ctx).PeerIdentity() != certs.OperatorURI {
			t.Errorf("the caller is %q", CallOf(ctx).PeerIdentity())
		}
		if n := server.ActiveCalls(); n != 0 {
			t.Errorf("%d calls are counted, want none of the operator's", n)
		}
		return nil
	}}
	server = start(t, service, ServerOptions{OperatorTokens: &tokens, Auth: NewBasicAuth(users, nil), InsecureAuth: AllowInsecureAuth})
	client := connect(t, server, ClientOptions{})
	act := func(action string, o ...CallOption) (err error) {
		for _, err = range client.DoAction(t.Context(), action, nil, o...) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, action := range []string{ActionHealthCheck, ActionStatus} {
		if err := act(action, token); err != nil {
			t.Errorf("%s: %v", action, err)
		}
		if err := act(action); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%s of nobody: %v", action, err)
		}
	}
	for _, action := range []string{ActionRefresh, "", "healthcheck", "CloseSession"} {
		if err := act(action, token); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%s: %v, want PERMISSION_DENIED", action, err)
		}
	}
	onEachCall(t, func(t *testing.T, method Method, call func(context.Context, *Client, ...CallOption) error) {
		if err := call(t.Context(), client, token); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%s: %v, want PERMISSION_DENIED", method, err)
		}
		if err := call(t.Context(), client, WithHeader(HeaderOperatorToken, "x")); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%s with a bad token: %v, want UNAUTHENTICATED", method, err)
		}
	})
	var sent callSettings
	token(&sent)
	ctx := metadata.AppendToOutgoingContext(t.Context(), sent.headers...)
	if _, err := healthpb.NewHealthClient(client.conn).Check(ctx, &healthpb.HealthCheckRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("gRPC's health: %v, want PERMISSION_DENIED", err)
	}
	// By no other header is it worth anything.
	for _, header := range []string{headerAuthToken, headerAuthorization} {
		value := sent.headers[1]
		if header == headerAuthorization {
			value = "Bearer x"
		}
		if err := lastError(client.DoAction(t.Context(), ActionHealthCheck, nil, WithHeader(header, value))); err == nil {
			t.Errorf("the operator's token is taken as %s", header)
		}
	}
}

// With TLS, the operator has its certificate, and a token says nothing.
func TestAnOperatorTokenSaysNothingWithTLS(t *testing.T) {
	ca := newAuthority(t, "ca")
	files := followFiles(t, ca, nil, nil)
	certificate, key := ca.server(t)
	pair, err := ServerTLS(certificate, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := signing.Random()
	tokens := OperatorTokens{Keys: func() *signing.Keyring { return keys }, Audience: "data/taxi"}
	token, err := tokens.Show()
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]ServerOptions{"by files": {TLSSource: files.source}, "as it is": {TLS: pair}} {
		t.Run(name, func(t *testing.T) {
			service := everyService{do: func(ctx context.Context) error {
				if CallOf(ctx).IsOperator() {
					t.Error("the token makes an operator")
				}
				return nil
			}}
			o.OperatorTokens = &tokens
			server := startTLS(t, service, o)
			client := connect(t, server, ClientOptions{TLS: clientTLS(t, ca.pem, nil, nil)})
			if err := lastError(client.DoAction(t.Context(), ActionHealthCheck, nil, token)); err != nil {
				t.Error(err)
			}
		})
	}
}
