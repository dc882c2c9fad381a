package authn

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// everything are settings of all methods but certificates, and what lets ada in by each.
func everything(t testing.TB) (s Settings, good map[string]flightruntime.CallOption) {
	t.Helper()
	issuer, reviewed := newECKey(t, "issuer"), newCluster(t)
	s = reviewed.reviewing(t)
	s.Basic = &Basic{UsersFile: written(t, "users", htpasswd(t, "ada", "love:lace"))}
	s.Bearer = &Bearer{TokensFile: written(t, "tokens", "made-once,ada,analysts\n")}
	s.JWT = []JWT{{Issuer: "https://issuer.example", Audiences: []string{"flight"}, KeysFile: written(t, "jwks", keySetOf(t, issuer))}}
	in := map[string]any{"exp": time.Now().Add(time.Hour).Unix(), "nbf": time.Now().Unix()}
	return s, map[string]flightruntime.CallOption{
		MethodBasic:          basicHeader("ada", "love:lace"),
		MethodBearer:         bearerHeader("made-once"),
		MethodJWT:            bearerHeader(issuer.sign(t, claimsOf(in))),
		MethodServiceAccount: bearerHeader(reviewed.key.sign(t, ofCluster(in))),
	}
}

// following is an Authenticator as servers have it.
func following(t testing.TB, s Settings, o Options) *Authenticator {
	t.Helper()
	a, err := New(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestEachCallByEachMethod(t *testing.T) {
	settings, good := everything(t)
	bad := map[string]flightruntime.CallOption{
		"a wrong password":    basicHeader("ada", "wrong"),
		"an unknown user":     basicHeader("eve", "love:lace"),
		"a token of nobody's": bearerHeader("made-up"),
		"an empty header":     flightruntime.WithHeader("authorization", ""),
		"another scheme":      flightruntime.WithHeader("authorization", "Negotiate x"),
		"a binary header":     flightruntime.WithHeader("authorization-bin", "Bearer made-once"),
		"a long token":        bearerHeader(strings.Repeat("x", 30<<10)),
	}
	service := newService()
	server := served(t, following(t, settings, Options{}), service, flightruntime.ServerOptions{})
	client := connected(t, server, flightruntime.ClientOptions{})
	settings.Anonymous = true
	open := connected(t, served(t, following(t, settings, Options{}), service, flightruntime.ServerOptions{}), flightruntime.ClientOptions{})
	for method, call := range rpcs {
		t.Run(string(method), func(t *testing.T) {
			for name, option := range good {
				if err := call(t.Context(), client, option); err != nil {
					t.Errorf("by %s: %v", name, err)
				} else if id := <-service.who; id.Method != name || (id.User != "ada" && id.User != reader) {
					t.Errorf("by %s, %s called by %s", name, id.User, id.Method)
				}
			}
			for name, option := range bad {
				if name == "a wrong password" || name == "an unknown user" {
					continue // in TestFailedLoginsAreLimited: they are
				}
				if err := call(t.Context(), client, option); !errors.Is(err, errUnauthenticated) {
					t.Errorf("with %s: %v", name, err)
				}
				if err := call(t.Context(), open, option); !errors.Is(err, errUnauthenticated) {
					t.Errorf("with %s, where others are anonymous: %v", name, err)
				}
			}
			// Servers say how many bytes of headers they take, so that clients do not even send these.
			if err := call(t.Context(), client, bearerHeader(strings.Repeat("x", 100<<10))); err == nil {
				t.Error("a token of 100 KB was let in")
			}
			err := call(t.Context(), client)
			wantRefusal(t, err, errUnauthenticated, "expected credentials (a name and a password, a bearer token), got none")
			if err := call(t.Context(), open); err != nil {
				t.Errorf("anonymous: %v", err)
			} else if id := <-service.who; id.User != UserAnonymous || id.Groups[0] != GroupUnauthenticated || len(id.Groups) != 1 {
				t.Errorf("without credentials called %+v", id)
			}
			if len(service.who) != 0 {
				t.Error("a call was let in that was refused")
			}
		})
	}
	for _, option := range []string{"a wrong password", "an unknown user"} {
		_, err := client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("a"), bad[option])
		wantRefusal(t, err, errUnauthenticated, errWrong.Message)
	}
}

func TestAServerWithoutMethodsAsksNobody(t *testing.T) {
	service := newService()
	a := following(t, Settings{}, Options{})
	client := connected(t, served(t, a, service, flightruntime.ServerOptions{}), flightruntime.ClientOptions{})
	if _, err := client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("a")); err != nil || <-service.who != nil {
		t.Errorf("without methods: %v", err)
	}
	if err := a.Set(Settings{Bearer: &Bearer{TokensFile: written(t, "tokens", "made-once,ada\n")}}); err != nil {
		t.Fatal(err)
	}
	_, err := client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("a"))
	wantRefusal(t, err, errUnauthenticated, "expected credentials (a bearer token), got none")
	err = client.Authenticate(t.Context(), flightruntime.BasicHandshake("ada", "love:lace"))
	wantRefusal(t, err, flightruntime.ErrNotImplemented, "this server takes no names and passwords")
	_, err = client.AuthenticateBasicToken(t.Context(), "ada", "love:lace")
	wantRefusal(t, err, errUnauthenticated, "expected other credentials (a bearer token)")
}

func TestPlainTextIsRefusedWhereCredentialsAreTaken(t *testing.T) {
	for name, tt := range map[string]struct {
		s     Settings
		taken bool
	}{
		"nobody is asked":    {Settings{}, false},
		"anonymous":          {Settings{Anonymous: true}, false},
		"certificates":       {Settings{ClientCertificate: &ClientCertificate{UsernameFrom: UsernameFromCommonName}}, false},
		"bearer":             {Settings{Anonymous: true, Bearer: &Bearer{TokensFile: "/gone"}}, true},
		"somebody's own one": {Settings{Own: []Method{apiKeys{}}}, true},
	} {
		options := flightruntime.ServerOptions{Middleware: []flightruntime.NamedServerMiddleware{{Name: "authn", Factory: made(t, tt.s, Options{}, time.Now)}}}
		_, err := flightruntime.NewServer("grpc://127.0.0.1:0", newService(), options)
		if refused := err != nil && strings.Contains(err.Error(), "authentication without TLS"); refused != tt.taken {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// basicOf are settings of basic alone, and the file of users.
func basicOf(t testing.TB, users string) (Settings, string) {
	t.Helper()
	path := written(t, "users", users)
	return Settings{Basic: &Basic{UsersFile: path, GroupsFile: filepath.Join(filepath.Dir(path), "groups")}}, path
}

func TestLoginsEachWay(t *testing.T) {
	ways := map[string]func(ctx context.Context, c *flightruntime.Client, name, password string) (flightruntime.CallOption, error){
		"a handshake": func(ctx context.Context, c *flightruntime.Client, name, password string) (flightruntime.CallOption, error) {
			return flightruntime.WithHeader("x-none", "x"), c.Authenticate(ctx, flightruntime.BasicHandshake(name, password))
		},
		"a token for a header": func(ctx context.Context, c *flightruntime.Client, name, password string) (flightruntime.CallOption, error) {
			return c.AuthenticateBasicToken(ctx, name, password)
		},
		"a header on the call": func(_ context.Context, _ *flightruntime.Client, name, password string) (flightruntime.CallOption, error) {
			return basicHeader(name, password), nil
		},
	}
	for way, login := range ways {
		t.Run(way, func(t *testing.T) {
			service := newService()
			settings, _ := basicOf(t, htpasswd(t, "ada", "love:lace"))
			server := served(t, following(t, settings, Options{}), service, flightruntime.ServerOptions{})
			for _, tt := range []struct {
				name, password string
				good           bool
			}{{"ada", "love:lace", true}, {"ada", "love", false}, {"ada", "", false}, {"eve", "love:lace", false}, {"", "", false}, {"ada", strings.Repeat("x", maxPassword), false}} {
				client := connected(t, server, flightruntime.ClientOptions{})
				option, err := login(t.Context(), client, tt.name, tt.password)
				if err == nil {
					_, err = client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("a"), option)
				}
				if !tt.good {
					wantRefusal(t, err, errUnauthenticated, errWrong.Message, "love")
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				wantIdentity(t, <-service.who, nil, MethodBasic, "ada", GroupAuthenticated)
			}
		})
	}
}

// received is client middleware that keeps what it receives.
type received struct{ all []metadata.MD }

func (r *received) StartCall(context.Context, flightruntime.Method) flightruntime.ClientMiddleware {
	return r
}
func (r *received) SendingHeaders() metadata.MD    { return nil }
func (r *received) ReceivedHeaders(md metadata.MD) { r.all = append(r.all, md) }
func (r *received) CallCompleted(error)            {}

func (r *received) get(key string) (values []string) {
	for _, md := range r.all {
		values = append(values, md.Get(key)...)
	}
	return values
}

func TestTokensOfLogins(t *testing.T) {
	clock := newClock()
	keys, err := signing.Parse(signing.Generate())
	if err != nil {
		t.Fatal(err)
	}
	options := Options{Keys: func() *signing.Keyring { return keys }, TokenLifetime: 10 * time.Minute}
	settings, users := basicOf(t, htpasswd(t, "ada", "love:lace")+htpasswd(t, "bob", "b"))
	write(t, settings.Basic.GroupsFile, "analysts: ada\n")
	one, other := made(t, settings, options, clock.Now), made(t, settings, options, clock.Now) // two replicas
	service := newService()
	first := connected(t, served(t, one, service, flightruntime.ServerOptions{}), flightruntime.ClientOptions{})
	var answer received
	login := connected(t, served(t, one, service, flightruntime.ServerOptions{}), flightruntime.ClientOptions{Middleware: []flightruntime.ClientMiddlewareFactory{&answer}})
	second := connected(t, served(t, other, service, flightruntime.ServerOptions{}), flightruntime.ClientOptions{})
	call := func(c *flightruntime.Client, o ...flightruntime.CallOption) (*Identity, error) {
		if _, err := c.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("a"), o...); err != nil {
			return nil, err
		}
		return <-service.who, nil
	}
	if _, err := call(login, basicHeader("ada", "love:lace")); err != nil {
		t.Fatal(err)
	}
	headers := answer.get("authorization")
	if len(headers) != 2 || headers[0] != headers[1] || !strings.HasPrefix(headers[0], "Bearer ") {
		t.Fatalf("got %q, want one token in headers and trailers", headers)
	}
	token := strings.TrimPrefix(headers[0], "Bearer ")
	signed := func(purpose signing.Purpose, payload string) string {
		return base64URL.EncodeToString(keys.Sign(purpose, []byte(payload)))
	}

	for name, c := range map[string]*flightruntime.Client{"the same replica": first, "another replica": second} {
		id, err := call(c, bearerHeader(token))
		wantIdentity(t, id, err, MethodBasic, "ada", "analysts", GroupAuthenticated)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		id, err = call(c, flightruntime.WithHeader("auth-token-bin", token))
		wantIdentity(t, id, err, MethodBasic, "ada", "analysts", GroupAuthenticated)
	}
	for name, forged := range map[string]string{
		"changed":                   token[:len(token)-2] + "xx",
		"cut":                       token[:len(token)/2],
		"signed for something else": signed(signing.Bearer, `{"m":"basic","r":"x ada","exp":9999999999}`),
		"of another method":         signed(signing.Login, `{"m":"bearer","r":"x ada","exp":9999999999}`),
		"of no user":                signed(signing.Login, `{"m":"basic","r":"","exp":9999999999}`),
		"of another password":       signed(signing.Login, `{"m":"basic","r":"x ada","exp":9999999999}`),
		"no JSON":                   signed(signing.Login, `ada`),
	} {
		_, err := call(first, bearerHeader(forged))
		if err == nil || !errors.Is(err, errUnauthenticated) || !strings.Contains(err.Error(), errWrong.Message) {
			t.Errorf("%s: %v", name, err)
		}
	}

	id, err := call(first, bearerHeader(token))
	if err != nil {
		t.Fatal(err)
	}
	look := func() { one.look(); other.look() }
	t.Run("another user changes", func(t *testing.T) {
		write(t, users, string(userLine(t, users, "ada"))+htpasswd(t, "carol", "c"))
		look()
		if _, err := call(second, bearerHeader(token)); err != nil || !one.StillValid(t.Context(), id) {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("the groups change", func(t *testing.T) {
		write(t, settings.Basic.GroupsFile, "admins: ada\n")
		look()
		now, err := call(second, bearerHeader(token))
		wantIdentity(t, now, err, MethodBasic, "ada", "admins", GroupAuthenticated)
		if one.StillValid(t.Context(), id) || !one.StillValid(t.Context(), now) {
			t.Error("the identity of other groups holds, or that of these does not")
		}
		id = now
	})
	t.Run("the token expires", func(t *testing.T) {
		clock.Advance(10 * time.Minute)
		_, err := call(first, bearerHeader(token))
		wantRefusal(t, err, errUnauthenticated, "the token has expired at 2030-01-02T03:14:05Z: authenticate again")
		if !one.StillValid(t.Context(), id) {
			t.Error("what began is not to go on")
		}
		clock.Advance(-10 * time.Minute)
	})
	t.Run("the password changes", func(t *testing.T) {
		before := string(userLine(t, users, "ada"))
		write(t, users, htpasswd(t, "ada", "love:lace")) // of another salt
		look()
		_, err := call(second, bearerHeader(token))
		wantRefusal(t, err, errUnauthenticated, errWrong.Message)
		if one.StillValid(t.Context(), id) {
			t.Error("the identity of the old password holds")
		}
		write(t, users, before)
		look()
		if _, err := call(second, bearerHeader(token)); err != nil {
			t.Errorf("with the old password back: %v", err)
		}
	})
	t.Run("the user is gone", func(t *testing.T) {
		write(t, users, "")
		look()
		_, err := call(second, bearerHeader(token))
		wantRefusal(t, err, errUnauthenticated, errWrong.Message)
		if one.StillValid(t.Context(), id) {
			t.Error("the identity of nobody holds")
		}
	})
	t.Run("the keys change", func(t *testing.T) {
		if keys, err = signing.Parse(signing.Generate()); err != nil {
			t.Fatal(err)
		}
		_, err := call(second, bearerHeader(token))
		wantRefusal(t, err, errUnauthenticated, errWrong.Message)
	})
}

// userLine is a user's line of a file.
func userLine(t *testing.T, path, name string) []byte {
	t.Helper()
	data, err := readFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines(data) {
		if strings.HasPrefix(line, name+":") {
			return []byte(line + "\n")
		}
	}
	t.Fatalf("%s has no %s", path, name)
	return nil
}

func TestARemovedUserIsRefusedWithoutARestart(t *testing.T) {
	settings, users := basicOf(t, htpasswd(t, "ada", "love:lace"))
	service := newService()
	a := following(t, settings, Options{})
	client := connected(t, served(t, a, service, flightruntime.ServerOptions{}), flightruntime.ClientOptions{})
	token, err := client.AuthenticateBasicToken(t.Context(), "ada", "love:lace")
	if err != nil {
		t.Fatal(err)
	}
	call := func() error {
		_, err := client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("a"), token)
		if err == nil {
			<-service.who
		}
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	changed, before := a.Changed(), time.Now()
	write(t, users, htpasswd(t, "bob", "b"))
	<-changed
	wantRefusal(t, call(), errUnauthenticated, errWrong.Message)
	t.Logf("refused %s after the user was removed", time.Since(before))
}

func TestFailedLoginsAreLimited(t *testing.T) {
	clock := newClock()
	settings, _ := basicOf(t, htpasswd(t, "ada", "love:lace"))
	a := made(t, settings, Options{}, clock.Now)
	from := func(peer, password string) error {
		c := passwordOf("ada", password)
		c.Peer = peer
		_, err := identified(t, a, c)
		return err
	}
	const guesser, other = "192.0.2.7:1000", "192.0.2.8:1000"
	for i := range failuresAtOnce {
		if err := from(fmt.Sprintf("192.0.2.7:%d", 2000+i), "love:lace"); err != nil { // costs nothing
			t.Fatal(err)
		}
		wantRefusal(t, from(fmt.Sprintf("192.0.2.7:%d", 1000+i), "wrong"), errUnauthenticated, errWrong.Message)
	}
	wantRefusal(t, from(guesser, "wrong"), errUnavailable, "too many logins from this address have failed: wait 10s")
	wantRefusal(t, from(guesser, "love:lace"), errUnavailable, "too many logins from this address have failed")
	if err := from(other, "love:lace"); err != nil {
		t.Errorf("another address is limited: %v", err)
	}
	clock.Advance(failureEvery)
	if err := from(guesser, "love:lace"); err != nil {
		t.Errorf("it is still limited: %v", err)
	}
	wantRefusal(t, from(guesser, "wrong"), errUnauthenticated, errWrong.Message)
	wantRefusal(t, from(guesser, "wrong"), errUnavailable, "too many logins")
}

func TestWhereFailuresAreCounted(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.7:1000":              "192.0.2.7",
		"[::ffff:192.0.2.7]:1000":     "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:1000": "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::]:1":     "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1000":         "fe80::/64",
		"@":                           "@",
		"/run/flight.sock":            "/run/flight.sock",
		"":                            "",
	} {
		if got := origin(peer); got != want {
			t.Errorf("%q is counted by %q, want %q", peer, got, want)
		}
	}
}

func TestPeersAreRememberedInBounds(t *testing.T) {
	clock := newClock()
	a := newAttempts(clock.Now)
	for i := range 3 * maxPeers {
		a.failed(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255))
		if len(a.peers) > maxPeers {
			t.Fatalf("%d peers are remembered", len(a.peers))
		}
	}
	for i := 0; len(a.peers) < maxPeers; i++ {
		a.failed(fmt.Sprintf("172.16.%d.%d:1", i>>8&255, i&255))
	}
	clock.Advance(time.Hour)
	a.failed("192.0.2.7:1")
	if len(a.peers) != 1 {
		t.Errorf("%d peers are remembered, of which one has failed of late", len(a.peers))
	}
}

func TestHashesAreFewAtATime(t *testing.T) {
	settings, _ := basicOf(t, htpasswd(t, "ada", "love:lace"))
	a := made(t, settings, Options{}, newClock().Now)
	p := a.tools.passwords
	for range cap(p.slots) { // all are busy
		p.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range maxWaiting {
		waiting.Go(func() {
			_, _, err := a.identify(ctx, a.methods.Load(), passwordOf("ada", "love:lace"))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("who waited ended with %v", err)
			}
		})
	}
	eventually(t, "all wait", func() bool { return p.waiting.Load() == maxWaiting })
	_, err := identified(t, a, passwordOf("ada", "love:lace"))
	wantRefusal(t, err, errUnavailable, "too many logins at once")
	cancel()
	waiting.Wait()
	<-p.slots
	id, err := identified(t, a, passwordOf("ada", "love:lace"))
	wantIdentity(t, id, err, MethodBasic, "ada", GroupAuthenticated)
}

// apiKeys is a method of somebody's own: keys by the scheme ApiKey, and passwords of a directory.
type apiKeys struct{}

func (apiKeys) Name() string { return "apiKey" }

func (apiKeys) Authenticate(_ context.Context, c Credentials) (*Identity, error) {
	switch {
	case c.Scheme == "apikey" && c.Token == "k1":
		return &Identity{User: "ada", Groups: []string{"keys"}, Method: "apiKey"}, nil
	case c.Scheme == "apikey":
		return nil, errors.New("the key is not one of ours")
	case c.Scheme == SchemeBasic && c.Name == "away":
		return nil, flightruntime.Errorf(flightruntime.KindUnavailable, "the directory does not answer")
	case c.Scheme == SchemeBasic && c.Password == "directory":
		return &Identity{User: c.Name, Method: "apiKey"}, nil
	}
	return nil, ErrOtherMethod
}

func (apiKeys) Remember(id *Identity) string { return id.User }

func (apiKeys) Recall(_ context.Context, memory string) (*Identity, error) {
	return &Identity{User: memory, Method: "apiKey"}, nil
}

func TestMethodsOfOnesOwn(t *testing.T) {
	service := newService()
	a := following(t, Settings{Own: []Method{apiKeys{}}}, Options{})
	server := served(t, a, service, flightruntime.ServerOptions{})
	client := connected(t, server, flightruntime.ClientOptions{})
	call := func(o ...flightruntime.CallOption) (*Identity, error) {
		if _, err := client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("a"), o...); err != nil {
			return nil, err
		}
		return <-service.who, nil
	}
	id, err := call(flightruntime.WithHeader("authorization", "ApiKey k1"))
	wantIdentity(t, id, err, "apiKey", "ada", "keys", GroupAuthenticated)
	if !a.StillValid(t.Context(), id) {
		t.Error("an identity does not hold that nobody revokes")
	}
	_, err = call(flightruntime.WithHeader("authorization", "ApiKey k2"))
	wantRefusal(t, err, errUnauthenticated, "the key is not one of ours")
	_, err = call(basicHeader("away", "x"))
	wantRefusal(t, err, errUnavailable, "the directory does not answer")
	_, err = call(basicHeader("bob", "x"))
	wantRefusal(t, err, errUnauthenticated, errWrong.Message)
	token, err := client.AuthenticateBasicToken(t.Context(), "bob", "directory")
	if err != nil {
		t.Fatal(err)
	}
	id, err = call(token)
	wantIdentity(t, id, err, "apiKey", "bob", GroupAuthenticated)
	if err := client.Authenticate(t.Context(), flightruntime.BasicHandshake("carol", "directory")); err != nil {
		t.Fatal(err)
	}
	id, err = call()
	wantIdentity(t, id, err, "apiKey", "carol", GroupAuthenticated)
}

func TestOtherSettings(t *testing.T) {
	settings, _ := everything(t)
	a := made(t, settings, Options{}, time.Now)
	id, err := identified(t, a, bearerOf("made-once"))
	wantIdentity(t, id, err, MethodBearer, "ada", "analysts", GroupAuthenticated)
	before := a.methods.Load()
	changed := a.Changed()
	settings.Anonymous = true
	if err := a.Set(settings); err != nil {
		t.Fatal(err)
	}
	<-changed
	for i, c := range a.methods.Load().all {
		if c.Method != before.all[i].Method {
			t.Errorf("%s was made anew, and has forgotten what it knew", c.Name())
		}
	}
	if !a.StillValid(t.Context(), id) || !a.StillValid(t.Context(), anonymous) {
		t.Error("an identity does not hold")
	}
	bad := settings
	bad.JWT = []JWT{{}}
	if err := a.Set(bad); err == nil || !strings.Contains(err.Error(), "auth method jwt, issuer 0: expected an issuer") {
		t.Errorf("bad settings: %v", err)
	}
	if got := a.State(); len(got) != 5 || got[0].Name != MethodBasic || got[4].Name != MethodAnonymous || got[0].Digest == "" {
		t.Errorf("after bad settings, the state is %+v", got)
	}
	settings.Bearer, settings.Anonymous = nil, false
	if err := a.Set(settings); err != nil {
		t.Fatal(err)
	}
	if a.StillValid(t.Context(), id) || a.StillValid(t.Context(), anonymous) {
		t.Error("an identity holds whose method is gone")
	}
}

func TestAttemptsAreObserved(t *testing.T) {
	settings, good := everything(t)
	var mu sync.Mutex
	seen := map[Attempt]int{}
	a := following(t, settings, Options{Observer: func(s Attempt) { mu.Lock(); defer mu.Unlock(); seen[s]++ }})
	service := newService()
	client := connected(t, served(t, a, service, flightruntime.ServerOptions{}), flightruntime.ClientOptions{})
	for _, option := range good {
		if _, err := client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("a"), option); err != nil {
			t.Error(err)
		} else {
			<-service.who
		}
	}
	if err := client.Authenticate(t.Context(), flightruntime.BasicHandshake("ada", "love:lace")); err != nil {
		t.Error(err)
	}
	for range failuresAtOnce + 2 {
		client.AuthenticateBasicToken(t.Context(), "ada", "wrong")
	}
	want := map[Attempt]int{
		{MethodBasic, OutcomeAccepted}: 2, {MethodBearer, OutcomeAccepted}: 1, {MethodJWT, OutcomeAccepted}: 1, {MethodServiceAccount, OutcomeAccepted}: 1,
		{"", OutcomeRefused}: failuresAtOnce, {"", OutcomeUnavailable}: 2,
	}
	mu.Lock()
	defer mu.Unlock()
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("seen were %v, want %v", seen, want)
	}
}

func TestNoCredentialsInLogs(t *testing.T) {
	settings, good := everything(t)
	var log logBuffer
	service := newService()
	a := following(t, settings, Options{Logger: logTo(&log)})
	client := connected(t, served(t, a, service, flightruntime.ServerOptions{Logger: logTo(&log)}), flightruntime.ClientOptions{})
	for _, option := range good {
		client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("a"), option)
		select {
		case <-service.who:
		default:
		}
	}
	const secret = "s3cr3t"
	forged := newECKey(t, "forged").sign(t, claimsOf(map[string]any{"iss": "https://issuer.example"}))
	for _, header := range []string{"Bearer " + secret, secret, "Basic " + encoded("ada:"+secret), "Basic " + encoded(secret), secret + " x", "ApiKey " + secret, "Bearer " + forged} {
		if _, err := client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("a"), flightruntime.WithHeader("authorization", header)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("ended with %v", err)
		}
	}
	client.Authenticate(t.Context(), flightruntime.BasicHandshake(secret, secret))
	for _, s := range []string{secret, encoded("ada:" + secret), "love:lace", "made-once", "pod-token", forged, strings.Split(forged, ".")[2]} {
		if strings.Contains(log.String(), s) {
			t.Errorf("the log shows %q:\n%s", s, &log)
		}
	}
	if !strings.Contains(log.String(), "credentials are nobody's") {
		t.Errorf("the log of those who debug does not say why:\n%s", &log)
	}
}

// serverTLS follows the files of a certificate for 127.0.0.1, with clientCA as that of the clients, and operatorCA as the operator's.
func serverTLS(t *testing.T, clientCA, operatorCA []byte) (source *certs.Source, roots []byte) {
	t.Helper()
	certificate, key, roots := clientCertificates(t, &x509.Certificate{DNSNames: []string{"localhost"}})
	settings := certs.Settings{
		CertFile: written(t, "tls.crt", string(certificate)), KeyFile: written(t, "tls.key", string(key)),
		ClientCertificates: certs.ClientCertificatesOptional, OperatorCA: string(operatorCA),
	}
	if clientCA != nil {
		settings.ClientCAFile = written(t, "ca.crt", string(clientCA))
	}
	source, err := certs.Follow(t.Context(), settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	return source, roots
}

// showing is a client that shows a certificate.
func showing(t *testing.T, s *flightruntime.Server, roots, certificate, key []byte) *flightruntime.Client {
	t.Helper()
	tls, err := flightruntime.ClientTLS(roots, certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	tls.ServerName = "localhost"
	return connected(t, s, flightruntime.ClientOptions{TLS: tls})
}

func TestCertificatesOverTLS(t *testing.T) {
	certificate, key, ca := clientCertificates(t, &x509.Certificate{Subject: pkix.Name{CommonName: "ada", Organization: []string{"analysts"}}})
	operatorURI, err := url.Parse(certs.OperatorURI)
	if err != nil {
		t.Fatal(err)
	}
	operator, operatorKey, operatorCA := clientCertificates(t, &x509.Certificate{URIs: []*url.URL{operatorURI}})
	stranger, strangerKey, _ := clientCertificates(t, &x509.Certificate{Subject: pkix.Name{CommonName: "ada"}})
	settings, good := everything(t)
	settings.ClientCertificate = &ClientCertificate{UsernameFromCommonName, GroupsFromOrganization}
	service := newService()
	a := following(t, settings, Options{})
	source, roots := serverTLS(t, ca, operatorCA)
	server := served(t, a, service, flightruntime.ServerOptions{TLSSource: source})
	ofClients := showing(t, server, roots, certificate, key)
	for method, call := range rpcs {
		if err := call(t.Context(), ofClients); err != nil {
			t.Errorf("%s: %v", method, err)
			continue
		}
		wantIdentity(t, <-service.who, nil, MethodClientCertificate, "ada", "analysts", GroupAuthenticated)
	}
	info := rpcs[flightruntime.MethodGetFlightInfo]
	if err := info(t.Context(), ofClients, good[MethodBearer]); err != nil {
		t.Errorf("with a certificate and a token: %v", err)
	} else if id := <-service.who; id.Method != MethodBearer {
		t.Errorf("the certificate came before the token: %s", id.Method)
	}
	err = info(t.Context(), showing(t, server, roots, nil, nil))
	wantRefusal(t, err, errUnauthenticated, "expected credentials (a name and a password, a bearer token, a client certificate), got none")

	ofOperator := showing(t, server, roots, operator, operatorKey)
	if err := rpcs[flightruntime.MethodDoAction](t.Context(), ofOperator); !errors.Is(err, flightruntime.ErrUnauthorized) {
		t.Errorf("the operator, with an action that is not for it: %v", err)
	}
	if err := last(ofOperator.DoAction(t.Context(), flightruntime.ActionHealthCheck, nil)); err != nil || <-service.who != nil {
		t.Errorf("the operator: %v, want it let in without an identity", err)
	}

	// Where clients are not asked for certificates, but the operator is, one of a stranger proves nothing.
	source, roots = serverTLS(t, nil, operatorCA)
	server = served(t, a, service, flightruntime.ServerOptions{TLSSource: source})
	err = info(t.Context(), showing(t, server, roots, stranger, strangerKey))
	wantRefusal(t, err, errUnauthenticated, "got none")
}
