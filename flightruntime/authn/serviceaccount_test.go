package authn

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime"
)

const reader = "system:serviceaccount:data:reader"

var readersGroups = []string{"system:serviceaccounts", "system:serviceaccounts:data", GroupAuthenticated}

// ofCluster are claims as Kubernetes makes them.
func ofCluster(others map[string]any) map[string]any {
	claims := claimsOf(map[string]any{
		"iss": "https://kubernetes.default.svc.cluster.local", "aud": []string{"flight"}, "sub": reader, "nbf": epoch.Unix(),
		"kubernetes.io": map[string]any{"namespace": "data", "serviceaccount": map[string]any{"name": "reader"}},
	})
	for k, v := range others {
		claims[k] = v
		if v == nil {
			delete(claims, k)
		}
	}
	return claims
}

// cluster is an API server on loopback that reviews tokens as Kubernetes does.
type cluster struct {
	*provider
	key     signingKey
	mu      sync.Mutex
	asked   int
	gone    bool // the service account is
	silent  bool
	answers func(map[string]any) // changes the status
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{key: newECKey(t, "cluster"), provider: newProvider(t, "")}
	c.set(func(p *provider) { p.instead = c })
	return c
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	var review struct {
		APIVersion, Kind string
		Spec             struct {
			Token     string
			Audiences []string
		}
	}
	err := json.NewDecoder(r.Body).Decode(&review)
	switch {
	case c.silent:
		http.Error(w, "the control plane is being upgraded", http.StatusServiceUnavailable)
		return
	case r.Method != http.MethodPost || r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || err != nil || review.Kind != "TokenReview":
		http.Error(w, "no such thing", http.StatusNotFound)
		return
	case r.Header.Get("Authorization") != "Bearer pod-token":
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	status := map[string]any{"authenticated": false, "error": "unknown token " + review.Spec.Token}
	if !c.gone && slices.Equal(review.Spec.Audiences, []string{"flight"}) {
		status = map[string]any{
			"authenticated": true, "audiences": review.Spec.Audiences,
			"user": map[string]any{"username": reader, "uid": "1", "groups": readersGroups},
		}
	}
	if c.answers != nil {
		c.answers(status)
	}
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]any{"apiVersion": review.APIVersion, "kind": review.Kind, "spec": review.Spec, "status": status})
}

func (c *cluster) change(change func(c *cluster)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

func (c *cluster) times() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// reviewing are settings that ask the cluster.
func (c *cluster) reviewing(t testing.TB) Settings {
	return Settings{ServiceAccount: &ServiceAccount{
		Reviewer:  &APIServer{URL: c.URL, CAFile: c.ca, TokenFile: written(t, "token", "pod-token\n")},
		Audiences: []string{"flight"},
	}}
}

func TestServiceAccountsOffline(t *testing.T) {
	key := newECKey(t, "cluster")
	offline := JWT{
		Issuer: "https://kubernetes.default.svc.cluster.local", Audiences: []string{"flight"}, KeysFile: written(t, "jwks", keySetOf(t, key)),
	}
	a := made(t, Settings{ServiceAccount: &ServiceAccount{Offline: &offline}}, Options{}, newClock().Now)
	for name, tt := range map[string]struct {
		claims  map[string]any
		refusal string
	}{
		"good":                     {ofCluster(nil), ""},
		"for another audience":     {ofCluster(map[string]any{"aud": []string{"https://kubernetes.default.svc"}}), "the token is for another audience"},
		"of old, without an end":   {ofCluster(map[string]any{"exp": nil, "aud": nil}), "another audience"},
		"expired":                  {ofCluster(map[string]any{"exp": epoch.Add(-time.Hour).Unix()}), "has expired"},
		"of no service account":    {ofCluster(map[string]any{"sub": "ada"}), "it is not of a service account"},
		"of a node":                {ofCluster(map[string]any{"sub": "system:node:a"}), "it is not of a service account"},
		"of too many parts":        {ofCluster(map[string]any{"sub": reader + ":x"}), "it is not of a service account"},
		"of an empty namespace":    {ofCluster(map[string]any{"sub": "system:serviceaccount::x"}), "it is not of a service account"},
		"of a namespace with more": {ofCluster(map[string]any{"sub": "system:serviceaccount:A B:x"}), "it is not of a service account"},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := identified(t, a, bearerOf(key.sign(t, tt.claims)))
			if tt.refusal != "" {
				wantRefusal(t, err, errUnauthenticated, tt.refusal)
				return
			}
			wantIdentity(t, id, err, MethodServiceAccount, reader, readersGroups...)
			if !a.StillValid(t.Context(), id) {
				t.Error("the identity does not hold")
			}
		})
	}
}

func TestServiceAccountsByReview(t *testing.T) {
	for name, tt := range map[string]struct {
		claims  map[string]any
		change  func(*cluster)
		kind    *flightruntime.Error
		refusal string
		asked   int
	}{
		"good":                                  {claims: ofCluster(nil), asked: 1},
		"gone":                                  {ofCluster(nil), func(c *cluster) { c.gone = true }, errUnauthenticated, "wrong or has expired", 1},
		"for another audience":                  {ofCluster(map[string]any{"aud": "vault"}), nil, errUnauthenticated, "wrong or has expired", 0},
		"expired":                               {ofCluster(map[string]any{"exp": epoch.Add(-time.Hour).Unix()}), nil, errUnauthenticated, "wrong or has expired", 0},
		"that never expires":                    {ofCluster(map[string]any{"exp": nil}), nil, errUnauthenticated, "wrong or has expired", 0},
		"of no service account":                 {ofCluster(map[string]any{"sub": "ada"}), nil, errUnauthenticated, "wrong or has expired", 0},
		"a cluster that ignores audiences":      {ofCluster(nil), func(c *cluster) { c.answers = func(s map[string]any) { delete(s, "audiences") } }, errUnauthenticated, "wrong or has expired", 1},
		"a cluster that names another audience": {ofCluster(nil), func(c *cluster) { c.answers = func(s map[string]any) { s["audiences"] = []string{"vault"} } }, errUnauthenticated, "wrong or has expired", 1},
		"a cluster that names another user": {ofCluster(nil), func(c *cluster) {
			c.answers = func(s map[string]any) {
				s["user"] = map[string]any{"username": "kubernetes-admin", "groups": []string{"system:masters"}}
			}
		}, errUnauthenticated, "wrong or has expired", 1},
		"a cluster that does not answer": {ofCluster(nil), func(c *cluster) { c.silent = true }, errUnavailable, "the cluster does not answer", 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			if tt.change != nil {
				tt.change(c)
			}
			var log logBuffer
			a := made(t, c.reviewing(t), Options{Logger: logTo(&log)}, newClock().Now)
			token := c.key.sign(t, tt.claims)
			id, err := identified(t, a, bearerOf(token))
			if got := c.times(); got != tt.asked {
				t.Errorf("the cluster was asked %d times, want %d", got, tt.asked)
			}
			if tt.refusal == "" {
				wantIdentity(t, id, err, MethodServiceAccount, reader, readersGroups...)
				return
			}
			if tt.kind == errUnavailable {
				wantRefusal(t, err, errUnavailable, tt.refusal, token)
				if p := a.State()[0].Problem; !strings.Contains(p, "503") || strings.Contains(p, "pod-token") {
					t.Errorf("the problem is %q", p)
				}
			} else {
				wantRefusal(t, err, errUnauthenticated, tt.refusal, token)
			}
			if strings.Contains(log.String(), token) || strings.Contains(log.String(), "pod-token") {
				t.Errorf("the log shows a token:\n%s", &log)
			}
		})
	}
}

func TestReviewsAreRememberedForAWhile(t *testing.T) {
	clock, c := newClock(), newCluster(t)
	a := made(t, c.reviewing(t), Options{}, clock.Now)
	token := c.key.sign(t, ofCluster(nil))
	id, err := identified(t, a, bearerOf(token))
	for range 100 {
		if err != nil {
			t.Fatal(err)
		}
		_, err = identified(t, a, bearerOf(token))
	}
	if got := c.times(); got != 1 {
		t.Errorf("the cluster was asked %d times, want once", got)
	}
	c.change(func(c *cluster) { c.gone = true })
	if a.StillValid(t.Context(), id) {
		t.Error("a service account that is gone still holds")
	}
	clock.Advance(rememberReview)
	_, err = identified(t, a, bearerOf(token))
	wantRefusal(t, err, errUnauthenticated, "wrong or has expired")
	c.change(func(c *cluster) { c.silent = true })
	if !a.StillValid(t.Context(), id) {
		t.Error("an identity does not hold because the cluster is silent")
	}
	clock.Advance(2 * time.Hour)
	c.change(func(c *cluster) { c.silent = false })
	if !a.StillValid(t.Context(), id) {
		t.Error("an identity does not hold because its token has expired")
	}
}

func TestForgedTokensAreReviewedSeldom(t *testing.T) {
	clock, c := newClock(), newCluster(t)
	c.gone = true
	a := made(t, c.reviewing(t), Options{}, clock.Now)
	limited := 0
	for i := range 5 * failuresAtOnce {
		shown := bearerOf(c.key.sign(t, ofCluster(map[string]any{"jti": strconv.Itoa(i)})))
		shown.Peer = "192.0.2.7:4711"
		if _, err := identified(t, a, shown); err != nil && strings.Contains(err.Error(), "too many logins") {
			limited++
		}
	}
	if got := c.times(); got != failuresAtOnce || limited != 4*failuresAtOnce {
		t.Errorf("the cluster was asked %d times and %d tokens limited, want %d and %d", got, limited, failuresAtOnce, 4*failuresAtOnce)
	}
}

func TestServiceAccountSettings(t *testing.T) {
	offline := &JWT{Issuer: "a", Audiences: []string{"flight"}, KeysFile: "/keys"}
	for name, tt := range map[string]struct {
		s    Settings
		want string
	}{
		"neither":            {Settings{ServiceAccount: &ServiceAccount{}}, "expected one of Offline and Reviewer"},
		"both":               {Settings{ServiceAccount: &ServiceAccount{Offline: offline, Reviewer: &APIServer{}}}, "expected one of Offline and Reviewer"},
		"no audience":        {Settings{ServiceAccount: &ServiceAccount{Reviewer: &APIServer{}}}, "expected audiences"},
		"an issuer of jwt's": {Settings{JWT: []JWT{*offline}, ServiceAccount: &ServiceAccount{Offline: offline}}, `the issuer "a" is one of jwt too`},
	} {
		if _, err := newAuthenticator(t.Context(), tt.s, Options{}, time.Now); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: ended with %v, want %q", name, err, tt.want)
		}
	}
}

func FuzzReview(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,"audiences":["flight"],"user":{"username":"` + reader + `"}}}`))
	f.Add([]byte(`{"kind":"Status"}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if review, err := parseReview(answer); err != nil && review.Authenticated {
			t.Errorf("got %+v and %v", review, err)
		}
	})
}
