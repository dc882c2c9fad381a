package authn

import (
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// provider is an OpenID provider on loopback, with discovery. Its keys and its moods change.
type provider struct {
	*httptest.Server
	ca       string // file
	fetches  atomic.Int64
	mu       sync.Mutex
	document string // {"issuer": ...}
	keys     string
	down     bool
	bearer   string // that is wanted; empty: none
	instead  http.Handler
}

func newProvider(t testing.TB, keys string) *provider {
	t.Helper()
	p := &provider{keys: keys}
	p.Server = httptest.NewUnstartedServer(p)
	p.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	p.StartTLS()
	t.Cleanup(p.Close)
	document, err := json.Marshal(map[string]any{
		"issuer": p.URL, "jwks_uri": p.URL + "/keys", "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	p.document = string(document)
	p.ca = written(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})))
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	instead := p.instead
	p.mu.Unlock()
	if instead != nil {
		instead.ServeHTTP(w, r)
		return
	}
	p.serve(w, r)
}

func (p *provider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	answer := ""
	switch {
	case p.down:
		http.Error(w, "down for the night", http.StatusServiceUnavailable)
	case p.bearer != "" && r.Header.Get("Authorization") != "Bearer "+p.bearer:
		http.Error(w, "who are you?", http.StatusForbidden)
	case r.URL.Path == "/.well-known/openid-configuration":
		answer = p.document
	case r.URL.Path == "/keys":
		p.fetches.Add(1)
		answer = p.keys
	case r.URL.Path == "/moved":
		http.Redirect(w, r, "/keys", http.StatusFound)
	default:
		http.NotFound(w, r)
	}
	if answer != "" {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(answer))
	}
}

// set changes the provider.
func (p *provider) set(change func(p *provider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// settings are those of the provider's tokens.
func (p *provider) settings() JWT {
	return JWT{Issuer: p.URL, Audiences: []string{"flight"}, CAFile: p.ca}
}

// token is a good token of the provider, by one of its keys.
func (p *provider) token(t testing.TB, key signingKey) string {
	t.Helper()
	return key.sign(t, claimsOf(map[string]any{"iss": p.URL, "exp": epoch.Add(100 * time.Hour).Unix()}))
}

func TestDiscovery(t *testing.T) {
	key := newECKey(t, "k")
	for name, tt := range map[string]struct {
		change  func(t *testing.T, p *provider, j *JWT)
		problem string
	}{
		"by the issuer's URL": {change: func(*testing.T, *provider, *JWT) {}},
		"by the URL of the keys": {change: func(_ *testing.T, p *provider, j *JWT) {
			j.KeysURL = p.URL + "/keys"
			p.document = "" // nobody asks for it
		}},
		"with a token for the server": {change: func(t *testing.T, p *provider, j *JWT) {
			p.bearer = "pod-token"
			j.TokenFile = written(t, "token", "pod-token\n")
		}},
		"without the token that is wanted": {func(_ *testing.T, p *provider, _ *JWT) { p.bearer = "pod-token" }, "403 Forbidden"},
		"of another issuer": {
			func(_ *testing.T, p *provider, _ *JWT) {
				p.document = strings.Replace(p.document, `"issuer":"`+p.URL, `"issuer":"https://other.example`, 1)
			},
			"did not match the issuer URL",
		},
		"keys in the clear": {func(_ *testing.T, p *provider, _ *JWT) {
			p.document = strings.Replace(p.document, p.URL+"/keys", "http://"+p.Listener.Addr().String()+"/keys", 1)
		}, "expected https://HOST/PATH"},
		"keys that have moved":    {func(_ *testing.T, p *provider, j *JWT) { j.KeysURL = p.URL + "/moved" }, "it redirects, which is not followed"},
		"a document that is none": {func(_ *testing.T, p *provider, _ *JWT) { p.document = "<html>" }, "failed to decode provider discovery object"},
		"a document that does not end": {
			func(_ *testing.T, p *provider, _ *JWT) { p.document = `{"issuer":"` + strings.Repeat("x", 2*maxAnswer) },
			"unexpected end of JSON input",
		},
		"keys that are none": {func(_ *testing.T, p *provider, _ *JWT) { p.keys = "[]" }, "expected a JSON Web Key Set"},
		"another CA":         {func(t *testing.T, _ *provider, j *JWT) { j.CAFile = written(t, "ca.pem", otherCA(t)) }, "certificate"},
		"no CA":              {func(t *testing.T, _ *provider, j *JWT) { j.CAFile = written(t, "ca.pem", "") }, "expected CA certificates in PEM"},
		"no file of CAs":     {func(_ *testing.T, _ *provider, j *JWT) { j.CAFile += "-gone" }, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, keySetOf(t, key))
			j := p.settings()
			tt.change(t, p, &j)
			var log logBuffer
			a := made(t, Settings{JWT: []JWT{j}}, Options{Logger: logTo(&log)}, newClock().Now)
			id, err := identified(t, a, bearerOf(p.token(t, key)))
			if tt.problem == "" {
				wantIdentity(t, id, err, MethodJWT, "ada", GroupAuthenticated)
				return
			}
			wantRefusal(t, err, errUnavailable, "this server cannot get the keys of the token's issuer")
			if problem := a.State()[0].Problem; !strings.Contains(problem, tt.problem) || !strings.Contains(log.String(), tt.problem) {
				t.Errorf("the problem is %q, want %q, and in the log:\n%s", problem, tt.problem, &log)
			}
			if strings.Contains(log.String(), "pod-token") {
				t.Errorf("the log shows a token:\n%s", &log)
			}
		})
	}
}

// otherCA is a certificate in PEM that has nothing to do with the others.
func otherCA(t *testing.T) string {
	t.Helper()
	_, _, ca := clientCertificates(t, nil)
	return string(ca)
}

func TestATokenForTheServerIsSentNowhereElse(t *testing.T) {
	key := newECKey(t, "k")
	elsewhere, p := newProvider(t, keySetOf(t, key)), newProvider(t, "")
	got := make(chan string, 1)
	elsewhere.set(func(p *provider) {
		p.instead = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got <- r.Header.Get("Authorization")
			p.serve(w, r)
		})
	})
	p.document = strings.Replace(p.document, p.URL+"/keys", elsewhere.URL+"/keys", 1)
	p.bearer = "pod-token"
	j := p.settings()
	j.TokenFile = written(t, "token", "pod-token")
	a := made(t, Settings{JWT: []JWT{j}}, Options{}, newClock().Now)
	id, err := identified(t, a, bearerOf(p.token(t, key)))
	wantIdentity(t, id, err, MethodJWT, "ada", GroupAuthenticated)
	if header := <-got; header != "" {
		t.Errorf("another server got %q", header)
	}
}

func TestKeysRotate(t *testing.T) {
	clock, before, after := newClock(), newECKey(t, "before"), newECKey(t, "after")
	p := newProvider(t, keySetOf(t, before))
	a := made(t, Settings{JWT: []JWT{p.settings()}}, Options{}, clock.Now)
	id, err := identified(t, a, bearerOf(p.token(t, before)))
	wantIdentity(t, id, err, MethodJWT, "ada", GroupAuthenticated)

	p.set(func(p *provider) { p.keys = keySetOf(t, before, after) })
	_, err = identified(t, a, bearerOf(p.token(t, after)))
	wantRefusal(t, err, errUnauthenticated, "wrong or has expired") // the keys were fetched a moment ago
	clock.Advance(betweenFetches)
	_, err = identified(t, a, bearerOf(p.token(t, after)))
	if err != nil {
		t.Errorf("a new key was not fetched: %v", err)
	}

	changed := a.Changed()
	p.set(func(p *provider) { p.keys = keySetOf(t, after) })
	clock.Advance(DefaultKeyRefresh + time.Second)
	_, err = identified(t, a, bearerOf(p.token(t, after))) // good already, and has the keys fetched again
	if err != nil {
		t.Error(err)
	}
	<-changed
	_, err = identified(t, a, bearerOf(p.token(t, before)))
	wantRefusal(t, err, errUnauthenticated, "wrong or has expired")
	if a.StillValid(t.Context(), id) {
		t.Error("the identity still holds, by a key that is gone")
	}
}

func TestUnknownKeysMakeNoStormOfFetches(t *testing.T) {
	clock, key := newClock(), newECKey(t, "k")
	p := newProvider(t, keySetOf(t, key))
	a := made(t, Settings{JWT: []JWT{p.settings()}}, Options{}, clock.Now)
	if _, err := identified(t, a, bearerOf(p.token(t, key))); err != nil {
		t.Fatal(err)
	}
	storm := func() {
		var callers sync.WaitGroup
		for range 8 {
			forged := newECKey(t, "forged")
			callers.Go(func() {
				for range 20 {
					_, err := identified(t, a, bearerOf(p.token(t, forged)))
					wantRefusal(t, err, errUnauthenticated, "wrong or has expired")
				}
			})
		}
		callers.Wait()
	}
	for want := int64(1); want <= 3; want++ { // the first fetch was that of the start
		storm()
		if got := p.fetches.Load(); got != want {
			t.Errorf("the keys were fetched %d times, want %d", got, want)
		}
		clock.Advance(betweenFetches)
	}
}

func TestKeysOutliveTheirIssuer(t *testing.T) {
	clock, key := newClock(), newECKey(t, "k")
	p := newProvider(t, keySetOf(t, key))
	j := p.settings()
	j.KeepKeys = 2 * time.Hour
	var log logBuffer
	a := made(t, Settings{JWT: []JWT{j}}, Options{Logger: logTo(&log)}, clock.Now)
	token := p.token(t, key)
	if _, err := identified(t, a, bearerOf(token)); err != nil {
		t.Fatal(err)
	}
	p.set(func(p *provider) { p.down = true })
	for range 12 * 2 { // every 5 minutes, for two hours
		clock.Advance(5 * time.Minute)
		if _, err := identified(t, a, bearerOf(token)); err != nil {
			t.Fatalf("the issuer is gone since %s: %v", clock.Now().Sub(epoch), err)
		}
	}
	eventually(t, "the problem is told of", func() bool { return a.State()[0].Problem != "" })
	clock.Advance(time.Second)
	eventually(t, "the keys are too old", func() bool {
		_, err := identified(t, a, bearerOf(token))
		if err != nil {
			wantRefusal(t, err, errUnavailable, "cannot get the keys of the token's issuer")
		}
		return err != nil
	})
	p.set(func(p *provider) { p.down = false })
	clock.Advance(betweenFetches)
	id, err := identified(t, a, bearerOf(token))
	wantIdentity(t, id, err, MethodJWT, "ada", GroupAuthenticated)
	if p := a.State()[0].Problem; p != "" {
		t.Errorf("the problem stays: %s", p)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("the log has %d errors, want one for the whole time:\n%s", n, &log)
	}
}

func TestAnIssuerThatIsGoneAtTheStart(t *testing.T) {
	clock, key := newClock(), newECKey(t, "k")
	p := newProvider(t, keySetOf(t, key))
	p.down = true
	a := made(t, Settings{JWT: []JWT{p.settings()}}, Options{}, clock.Now)
	_, err := identified(t, a, bearerOf(p.token(t, key)))
	wantRefusal(t, err, errUnavailable, "cannot get the keys of the token's issuer")
	p.set(func(p *provider) { p.down = false })
	clock.Advance(betweenFetches)
	id, err := identified(t, a, bearerOf(p.token(t, key)))
	wantIdentity(t, id, err, MethodJWT, "ada", GroupAuthenticated)
}
