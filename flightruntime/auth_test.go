package flightruntime

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// insecure settings are for tests on loopback.
var (
	insecureServer = ServerOptions{InsecureAuth: AllowInsecureAuth}
	insecureClient = ClientOptions{InsecureAuth: AllowInsecureAuth}
)

// withAuth are the settings of a server with an auth handler.
func withAuth(h ServerAuthHandler) ServerOptions {
	o := insecureServer
	o.Auth = h
	return o
}

// riddle is an auth handler of two rounds.
type riddle struct{}

func (riddle) Authenticate(_ context.Context, conversation AuthConversation) error {
	name, err := conversation.Read()
	if err != nil {
		return err
	}
	if err := conversation.Write([]byte("what is 2 x 3?")); err != nil {
		return err
	}
	answer, err := conversation.Read()
	if err != nil {
		return err
	}
	if string(answer) != "6" {
		return fmt.Errorf("expected 6, got %q", answer)
	}
	return conversation.Write(append([]byte("\x00token of "), name...))
}

func (riddle) IsValid(_ context.Context, token []byte) (string, error) {
	name, ok := bytes.CutPrefix(token, []byte("\x00token of "))
	if !ok {
		return "", fmt.Errorf("expected a token, got %d bytes", len(token))
	}
	return string(name), nil
}

// solver is its client.
type solver struct {
	name, answer string
	token        []byte
}

func (s *solver) Authenticate(_ context.Context, conversation AuthConversation) (err error) {
	if err := conversation.Write([]byte(s.name)); err != nil {
		return err
	}
	question, err := conversation.Read()
	if err != nil {
		return err
	}
	if string(question) != "what is 2 x 3?" {
		return fmt.Errorf("got the question %q", question)
	}
	if err := conversation.Write([]byte(s.answer)); err != nil {
		return err
	}
	s.token, err = conversation.Read()
	return err
}

func (s *solver) Token(context.Context) ([]byte, error) { return s.token, nil }

// identities is a service whose calls tell who made them.
func identities() (everyService, <-chan string) {
	who := make(chan string, 1)
	return everyService{do: func(ctx context.Context) error {
		who <- CallOf(ctx).PeerIdentity()
		return nil
	}}, who
}

func TestHandshakeGivesATokenThatGoesWithEachCall(t *testing.T) {
	service, who := identities()
	server := start(t, service, withAuth(riddle{}))
	client := connect(t, server, insecureClient)
	if err := client.Authenticate(t.Context(), &solver{name: "ada", answer: "6"}); err != nil {
		t.Fatal(err)
	}
	onEachCall(t, func(t *testing.T, _ Method, call func(context.Context, *Client, ...CallOption) error) {
		if err := call(t.Context(), client); err != nil {
			t.Fatalf("after the handshake: %v", err)
		}
		if got := <-who; got != "ada" {
			t.Errorf("the call is %q's, want ada's", got)
		}
		err := call(t.Context(), connect(t, server, insecureClient))
		if !errors.Is(err, ErrUnauthenticated) || !strings.Contains(err.Error(), "expected a token, got 0 bytes") {
			t.Errorf("without a handshake: %v", err)
		}
	})
}

func TestHandshakeThatFails(t *testing.T) {
	server := start(t, allWell, withAuth(riddle{}))
	for name, test := range map[string]struct {
		handler ClientAuthHandler
		kind    *Error
		message string
	}{
		"the server refuses":            {&solver{answer: "7"}, ErrUnauthenticated, `expected 6, got "7"`},
		"the client goes away":          {handler: goingAway{}, message: "I have seen enough"},
		"the client says less":          {handler: sayingNothing{}, kind: ErrUnauthenticated, message: "EOF"},
		"the client goes on for longer": {talkative{}, ErrUnauthenticated, `expected 6, got "me again"`},
	} {
		t.Run(name, func(t *testing.T) {
			client := connect(t, server, insecureClient)
			err := client.Authenticate(t.Context(), test.handler)
			if err == nil || !strings.Contains(err.Error(), test.message) || (test.kind != nil && !errors.Is(err, test.kind)) {
				t.Errorf("ended with %v, want %v with %q", err, test.kind, test.message)
			}
			if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); !errors.Is(err, ErrUnauthenticated) {
				t.Errorf("the next call ended with %v", err)
			}
		})
	}
	t.Run("there is none", func(t *testing.T) {
		client := connect(t, start(t, allWell, ServerOptions{}), insecureClient)
		if err := client.Authenticate(t.Context(), &solver{}); !errors.Is(err, ErrNotImplemented) {
			t.Errorf("ended with %v", err)
		}
	})
}

type goingAway struct{}

func (goingAway) Authenticate(context.Context, AuthConversation) error {
	return errors.New("I have seen enough")
}
func (goingAway) Token(context.Context) ([]byte, error) { return nil, nil }

type sayingNothing struct{}

func (sayingNothing) Authenticate(context.Context, AuthConversation) error { return nil }
func (sayingNothing) Token(context.Context) ([]byte, error)                { return nil, nil }

type talkative struct{}

func (talkative) Authenticate(_ context.Context, conversation AuthConversation) error {
	for {
		if err := conversation.Write([]byte("me again")); err != nil {
			return err
		}
	}
}
func (talkative) Token(context.Context) ([]byte, error) { return nil, nil }

// users are those that BasicAuth knows in these tests.
func users(_ context.Context, name, password string) (string, error) {
	switch {
	case name == "ada" && password == "love:lace":
		return "Ada Lovelace", nil
	case name == "nameless" && password == "x":
		return "", nil
	case name == "away":
		return "", Errorf(KindUnavailable, "the directory does not answer")
	case name == "ada":
		return "", fmt.Errorf("ada's password is not %q", password)
	default:
		return "", errors.New("no such user")
	}
}

// basicServers are all ways of setting up BasicAuth.
func basicServers(basic *BasicAuth) map[string]ServerOptions {
	handler, middleware := withAuth(basic), insecureServer
	middleware.Middleware = []NamedServerMiddleware{{Name: "basic", Factory: basic}}
	both := withAuth(basic)
	both.Middleware = middleware.Middleware
	return map[string]ServerOptions{"as a handler": handler, "as middleware": middleware, "as both": both}
}

func TestBasicAuthTakesEachWay(t *testing.T) {
	basicHeader := func(name, password string) CallOption {
		return WithHeader("authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
	}
	ways := map[string]func(t *testing.T, c *Client, name, password string) ([]CallOption, error){
		"a handshake": func(t *testing.T, c *Client, name, password string) ([]CallOption, error) {
			return nil, c.Authenticate(t.Context(), BasicHandshake(name, password))
		},
		"a token for a header": func(t *testing.T, c *Client, name, password string) ([]CallOption, error) {
			token, err := c.AuthenticateBasicToken(t.Context(), name, password)
			return []CallOption{token}, err
		},
		"a header on each call": func(_ *testing.T, _ *Client, name, password string) ([]CallOption, error) {
			return []CallOption{basicHeader(name, password)}, nil
		},
	}
	for setUp, options := range basicServers(NewBasicAuth(users, nil)) {
		for way, authenticate := range ways {
			t.Run(way+", set up "+setUp, func(t *testing.T) {
				service, who := identities()
				server := start(t, service, options)
				if way == "a handshake" && setUp == "as middleware" {
					if _, err := authenticate(t, connect(t, server, insecureClient), "ada", "love:lace"); !errors.Is(err, ErrNotImplemented) {
						t.Errorf("the handshake ended with %v, want that there is none", err)
					}
					return
				}
				for _, test := range []struct {
					name, password string
					identity       string
					refusal        *Error
				}{
					{name: "ada", password: "love:lace", identity: "Ada Lovelace"},
					{name: "nameless", password: "x", identity: "nameless"},
					{name: "ada", password: "love", refusal: ErrUnauthenticated},
					{name: "eve", password: "love:lace", refusal: ErrUnauthenticated},
					{refusal: ErrUnauthenticated},
					{name: "away", refusal: ErrUnavailable},
				} {
					client := connect(t, server, insecureClient)
					opts, err := authenticate(t, client, test.name, test.password)
					if err == nil {
						_, err = client.GetFlightInfo(t.Context(), DescriptorForPath("a"), opts...)
					}
					switch {
					case test.refusal != nil:
						if !errors.Is(err, test.refusal) {
							t.Errorf("%s with %q ended with %v, want %v", test.name, test.password, err, test.refusal)
						}
					case err != nil:
						t.Errorf("%s with %q ended with %v", test.name, test.password, err)
					default:
						if got := <-who; got != test.identity {
							t.Errorf("%s is %q, want %q", test.name, got, test.identity)
						}
					}
				}
			})
		}
	}
}

func TestBasicAuthGivesABearerTokenWithHeadersAndTrailers(t *testing.T) {
	for setUp, options := range basicServers(NewBasicAuth(users, nil)) {
		t.Run("set up "+setUp, func(t *testing.T) {
			service, who := identities()
			var received receivedHeaders
			o := insecureClient
			o.Middleware = []ClientMiddlewareFactory{&received}
			client := connect(t, start(t, service, options), o)
			basic := WithHeader("authorization", "basic YWRhOmxvdmU6bGFjZQ==") // schemes have no case
			if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a"), basic); err != nil {
				t.Fatal(err)
			}
			<-who
			got := received.get("authorization")
			if len(got) != 2 || got[0] != got[1] || !strings.HasPrefix(got[0], "Bearer ") {
				t.Fatalf("got %q, want one token in headers and trailers", got)
			}
			for _, scheme := range []string{"Bearer ", "bearer  "} {
				bearer := WithHeader("authorization", strings.Replace(got[0], "Bearer ", scheme, 1))
				if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a"), bearer); err != nil || <-who != "Ada Lovelace" {
					t.Errorf("the token, as %q, gave %v", scheme, err)
				}
			}
		})
	}
}

func TestBasicAuthAsksForPasswordsOnce(t *testing.T) {
	asked := 0
	basic := NewBasicAuth(func(context.Context, string, string) (string, error) { asked++; return "ada", nil }, nil)
	for setUp, options := range basicServers(basic) {
		t.Run("set up "+setUp, func(t *testing.T) {
			client := connect(t, start(t, allWell, options), insecureClient)
			asked = 0
			if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a"), WithHeader("authorization", "Basic YTph")); err != nil {
				t.Fatal(err)
			}
			if asked != 1 {
				t.Errorf("one call had the password verified %d times", asked)
			}
		})
	}
}

func TestBasicAuthRefusesOtherHeaders(t *testing.T) {
	for setUp, options := range basicServers(NewBasicAuth(users, nil)) {
		client := connect(t, start(t, allWell, options), insecureClient)
		for name, headers := range map[string][]string{
			"none":               nil,
			"an empty one":       {""},
			"two":                {"Basic YWRhOmxvdmU6bGFjZQ==", "Basic YWRhOmxvdmU6bGFjZQ=="},
			"another scheme":     {"Negotiate YWRhOmxvdmU6bGFjZQ=="},
			"no scheme":          {"YWRhOmxvdmU6bGFjZQ=="},
			"not Base64":         {"Basic ada:love:lace"},
			"without a password": {"Basic YWRh"},
			"a made-up token":    {"Bearer x"},
			"an empty token":     {"Bearer"},
			"a token of zeroes":  {"Bearer " + base64.RawURLEncoding.EncodeToString(make([]byte, 100))},
		} {
			t.Run(name+", set up "+setUp, func(t *testing.T) {
				var opts []CallOption
				for _, h := range headers {
					opts = append(opts, WithHeader("authorization", h))
				}
				if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a"), opts...); !errors.Is(err, ErrUnauthenticated) {
					t.Errorf("ended with %v", err)
				}
			})
		}
	}
}

func TestTokensExpireAndReplicasShareThem(t *testing.T) {
	secret, other := bytes.Repeat([]byte{1}, signing.MinKeyBytes), bytes.Repeat([]byte{2}, signing.MinKeyBytes)
	ring := func(secrets ...[]byte) *signing.Keyring {
		t.Helper()
		k, err := signing.New(secrets...)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	issuer := NewBasicAuth(users, ring(secret))
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	issuer.now = func() time.Time { return now }
	token := issuer.token("ada")
	for name, test := range map[string]struct {
		keys  *signing.Keyring
		after time.Duration
		token string
		want  bool
	}{
		"at once":                     {ring(secret), 0, token, true},
		"just in time":                {ring(secret), DefaultTokenLifetime - time.Second, token, true},
		"too late":                    {ring(secret), DefaultTokenLifetime, token, false},
		"with a key that is rotated":  {ring(other, secret), 0, token, true},
		"with a key that is retired":  {ring(other), 0, token, false},
		"changed":                     {ring(secret), 0, "A" + token[1:], false},
		"cut":                         {ring(secret), 0, token[:len(token)-4], false},
		"signed for something else":   {ring(secret), 0, base64.RawURLEncoding.EncodeToString(ring(secret).Sign(signing.Ticket, []byte(`{"sub":"ada","exp":9999999999}`))), false},
		"signed, and not of our form": {ring(secret), 0, base64.RawURLEncoding.EncodeToString(ring(secret).Sign(signing.Bearer, []byte(`"ada"`))), false},
	} {
		t.Run(name, func(t *testing.T) {
			replica := NewBasicAuth(users, test.keys)
			replica.now = func() time.Time { return now.Add(test.after) }
			identity, err := replica.IsValid(t.Context(), []byte(test.token))
			if test.want != (err == nil && identity == "ada") || (err != nil && !errors.Is(err, ErrUnauthenticated)) {
				t.Errorf("the token is %q's, %v", identity, err)
			}
		})
	}
}

func TestRefusalsOfBasicAuthTellNothing(t *testing.T) {
	for setUp, options := range basicServers(NewBasicAuth(users, nil)) {
		t.Run("set up "+setUp, func(t *testing.T) {
			var logs syncBuffer
			options.Logger = slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
			client := connect(t, start(t, allWell, options), insecureClient)
			said := map[string]bool{}
			for _, name := range []string{"ada", "eve"} {
				_, err := client.AuthenticateBasicToken(t.Context(), name, "a-wrong-password")
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("ended with %v", err)
				}
				said[e.Message] = true
			}
			bearer := WithHeader("authorization", "Bearer a-token-that-was-made-up")
			var e *Error
			if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a"), bearer); errors.As(err, &e) {
				said[e.Message] = true
			}
			if len(said) != 1 {
				t.Errorf("a wrong password, an unknown user and a wrong token are told apart: %v", said)
			}
			if !strings.Contains(logs.String(), "call failed") {
				t.Errorf("the log has nothing of it: %s", &logs)
			}
			for _, secret := range []string{"a-wrong-password", base64.StdEncoding.EncodeToString([]byte("a-wrong-password")), "a-token-that-was-made-up"} {
				if strings.Contains(logs.String(), secret) {
					t.Errorf("the log shows %q: %s", secret, &logs)
				}
			}
		})
	}
}

func TestCredentialsInPlainTextAreRefused(t *testing.T) {
	basic := NewBasicAuth(users, nil)
	for name, o := range map[string]ServerOptions{
		"a handler":  {Auth: riddle{}},
		"BasicAuth":  {Auth: basic},
		"middleware": {Middleware: []NamedServerMiddleware{{Name: "basic", Factory: basic}}},
	} {
		if _, err := NewServer("grpc://127.0.0.1:0", everyService{}, o); err == nil || !strings.Contains(err.Error(), "authentication without TLS") {
			t.Errorf("a server with %s: %v", name, err)
		}
	}
	t.Run("a client", func(t *testing.T) {
		server := start(t, allWell, withAuth(basic))
		var sends clientMiddleware
		sends.diary, sends.headers = &diary{}, metadata.Pairs("authorization", "Bearer x")
		for name, test := range map[string]struct {
			options ClientOptions
			call    func(c *Client) error
		}{
			"a handshake": {call: func(c *Client) error { return c.Authenticate(t.Context(), BasicHandshake("ada", "love:lace")) }},
			"a basic token": {call: func(c *Client) error {
				_, err := c.AuthenticateBasicToken(t.Context(), "ada", "love:lace")
				return err
			}},
			"a header": {call: func(c *Client) error {
				_, err := c.GetSchema(t.Context(), DescriptorForPath("a"), WithHeader("Authorization", "Bearer x"))
				return err
			}},
			"a header of middleware": {
				options: ClientOptions{Middleware: []ClientMiddlewareFactory{&sends}},
				call: func(c *Client) error {
					r, err := c.DoGet(t.Context(), &Ticket{})
					if err != nil {
						return err
					}
					_, err = r.Read()
					return err
				},
			},
		} {
			err := test.call(connect(t, server, test.options))
			if !errors.Is(err, ErrUnauthenticated) || !strings.Contains(err.Error(), "without TLS would show the credentials") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A client may authenticate again, while calls are running.
func TestAuthenticatingAgainIsSafe(t *testing.T) {
	client := connect(t, start(t, allWell, withAuth(NewBasicAuth(users, nil))), insecureClient)
	handler := BasicHandshake("ada", "love:lace")
	if _, err := handler.Token(t.Context()); err == nil {
		t.Error("there is a token before there was a handshake")
	}
	if err := client.Authenticate(t.Context(), handler); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		if err := client.Authenticate(t.Context(), handler); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

// Panics of auth handlers are as those of services.
type panickingAuth struct{}

func (panickingAuth) Authenticate(context.Context, AuthConversation) error { panic("own fault") }
func (panickingAuth) IsValid(context.Context, []byte) (string, error)      { panic("own fault") }

func TestAPanicInAnAuthHandlerEndsTheCallAndNoMore(t *testing.T) {
	server := start(t, allWell, withAuth(panickingAuth{}))
	client := connect(t, server, insecureClient)
	for range 2 {
		if err := client.Authenticate(t.Context(), BasicHandshake("ada", "")); !errors.Is(err, ErrInternal) || strings.Contains(err.Error(), "own fault") {
			t.Errorf("the handshake ended with %v", err)
		}
		if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); !errors.Is(err, ErrInternal) || strings.Contains(err.Error(), "own fault") {
			t.Errorf("the call ended with %v", err)
		}
	}
	eventually(t, "all calls are counted out", func() bool { return server.ActiveCalls() == 0 })
}

func TestAServerThatGivesNoTokenIsNoServerForBasicAuth(t *testing.T) {
	anybody := withAuth(anybodyAuth{})
	client := connect(t, start(t, allWell, anybody), insecureClient)
	if _, err := client.AuthenticateBasicToken(t.Context(), "ada", "love:lace"); !errors.Is(err, ErrUnauthenticated) || !strings.Contains(err.Error(), "without a bearer token") {
		t.Errorf("a basic token: %v", err)
	}
	if err := client.Authenticate(t.Context(), BasicHandshake("ada", "love:lace")); !errors.Is(err, ErrUnauthenticated) || !strings.Contains(err.Error(), "without a token") {
		t.Errorf("a handshake: %v", err)
	}
}

type anybodyAuth struct{}

func (anybodyAuth) Authenticate(_ context.Context, conversation AuthConversation) error {
	if _, err := conversation.Read(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
func (anybodyAuth) IsValid(context.Context, []byte) (string, error) { return "", nil }

func TestOptionsOfTheCallerStayAsTheyAre(t *testing.T) {
	client := connect(t, start(t, allWell, withAuth(NewBasicAuth(users, nil))), insecureClient)
	opts := slices.Grow([]CallOption{WithHeader("x-word", "one")}, 1)
	if _, err := client.AuthenticateBasicToken(t.Context(), "ada", "love:lace", opts...); err != nil {
		t.Fatal(err)
	}
	if more := opts[:2]; more[1] != nil {
		t.Error("the password stays in the caller's memory, behind its options")
	}
}
