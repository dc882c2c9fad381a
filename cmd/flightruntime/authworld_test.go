package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// shownBy is what a caller shows.
type shownBy struct {
	header, value string
	certificate   *tls.Certificate
}

// authServer is the whole server, by a configuration.
type authServer struct {
	address string
	others  *flightruntime.FlightInfo // that was given to the user owner
}

// authMethod is a way to show who calls, for each kind of caller, and which server takes it.
type authMethod struct {
	name     string
	inHeader bool // what is shown, rather than in the connection or nowhere
	shown    [kinds]shownBy
	server   [kinds]*authServer
}

// users are those of each kind, in the words of most methods.
var users = [refused]string{"ada", "lia", "dan"}

// accounts are the same among ServiceAccounts.
var accounts = [refused]string{"system:serviceaccount:data:ada", "system:serviceaccount:data:lia", "system:serviceaccount:data:dan"}

const (
	issuerURL  = "https://issuer.example"
	clusterURL = "https://kubernetes.default.svc.cluster.local"
)

// authWorld has all that methods go by, and the servers that take them.
type authWorld struct {
	dir             string
	ca              certAuthority
	issuer, cluster *ecdsa.PrivateKey
	reviewer        *httptest.Server
	offline, review *authServer
	anonymous       [refused]*authServer
}

func newAuthWorld(t testing.TB) *authWorld {
	t.Helper()
	w := &authWorld{dir: t.TempDir(), ca: newCertAuthority(t), issuer: newKey(t), cluster: newKey(t)}
	var lines, tokens strings.Builder
	for _, user := range append(users[:], "owner") {
		hash, err := bcrypt.GenerateFromPassword([]byte("password of "+user), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		lines.WriteString(user + ":" + string(hash) + "\n")
		tokens.WriteString("token-of-" + user + "," + user + "\n")
	}
	w.write(t, "users", lines.String())
	w.write(t, "tokens", tokens.String())
	w.write(t, "jwks", keySet(t, w.issuer))
	w.write(t, "pod-token", "pod-token")
	w.write(t, "clients.crt", w.ca.pem)
	certificate, key := w.ca.issue(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	w.write(t, "tls.crt", certificate)
	w.write(t, "tls.key", key)
	w.reviewer = httptest.NewTLSServer(http.HandlerFunc(reviewToken))
	t.Cleanup(w.reviewer.Close)
	w.write(t, "api.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.reviewer.Certificate().Raw})))
	return w
}

// startAll runs a server of each kind that methods need.
func (w *authWorld) startAll(t testing.TB) {
	t.Helper()
	w.offline = w.start(t, "offline", func(*config.Config) {})
	w.review = w.start(t, "review", func(c *config.Config) {
		at := func(file string) string { return filepath.Join(w.dir, file) }
		c.Auth.ServiceAccount = &config.ServiceAccountAuth{Audiences: []string{"flight"}, Review: &config.TokenReview{Server: w.reviewer.URL, Token: at("pod-token"), CA: at("api.crt")}}
	})
	for kind, user := range users {
		w.anonymous[kind] = w.start(t, "anonymous-"+user, func(c *config.Config) {
			c.Auth.Anonymous = &v1alpha1.AnonymousAuth{}
			for i := range c.Auth.Rules {
				if rule := &c.Auth.Rules[i]; rule.Subjects[0].User == user {
					rule.Subjects = append(rule.Subjects, v1alpha1.AuthSubject{User: "system:anonymous"})
				}
			}
		})
	}
}

func (w *authWorld) write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a server that has all methods, with ServiceAccounts offline and without anonymous, but for an edit.
func (w *authWorld) start(t testing.TB, name string, edit func(*config.Config)) *authServer {
	t.Helper()
	at := func(file string) string { return filepath.Join(w.dir, file) }
	who := func(i int) []v1alpha1.AuthSubject {
		return []v1alpha1.AuthSubject{{User: users[i]}, {User: accounts[i]}}
	}
	c := &config.Config{
		APIVersion: config.APIVersion, Kind: config.Kind, Name: "data/" + name, Limits: config.DefaultLimits(),
		TLS: &config.TLS{
			CertFile: at("tls.crt"), KeyFile: at("tls.key"), MinVersion: v1alpha1.TLS12,
			ClientCA: &config.ClientCA{File: at("clients.crt"), Mode: v1alpha1.ClientCAOptional},
		},
		Auth: &config.Auth{
			Basic:             &config.BasicAuth{Users: at("users"), Groups: at("groups")},
			Bearer:            &config.BearerAuth{Tokens: at("tokens")},
			JWT:               []config.JWTAuth{{Issuer: issuerURL, Audiences: []string{"flight"}, JWKS: at("jwks"), UsernameClaim: "sub", Algorithms: []string{"ES256"}}},
			ClientCertificate: &config.ClientCertificateAuth{UsernameFrom: v1alpha1.UsernameCommonName},
			ServiceAccount:    &config.ServiceAccountAuth{Audiences: []string{"flight"}, Issuer: clusterURL, Keys: keySet(t, w.cluster)},
			RunningCalls:      v1alpha1.RunningCallsContinue,
			Rules: []v1alpha1.AuthRule{
				{Subjects: who(allowed), Verbs: []v1alpha1.AuthVerb{v1alpha1.VerbList, v1alpha1.VerbGet, v1alpha1.VerbPut, v1alpha1.VerbExchange, v1alpha1.VerbAction}},
				{Subjects: []v1alpha1.AuthSubject{{User: "owner"}}, Verbs: []v1alpha1.AuthVerb{v1alpha1.VerbGet}},
				{Subjects: who(lister), Verbs: []v1alpha1.AuthVerb{v1alpha1.VerbList}},
				{Subjects: who(stranger), Datasets: []string{"none"}, Verbs: []v1alpha1.AuthVerb{v1alpha1.VerbList, v1alpha1.VerbGet}},
			},
		},
		Datasets: []config.Dataset{
			{Name: "trips", Format: "CSV", Inline: &config.Inline{Data: "a,b\n1,x\n2,y\n"}},
			{Name: "scratch", Format: "ArrowStream", Files: &config.Files{Root: t.TempDir(), Path: "*.arrows"}, Access: v1alpha1.AccessReadWrite},
		},
	}
	edit(c)
	raw, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	s := &authServer{address: startServe(t, w.write(t, name+".yaml", string(raw)))}
	client, err := flightruntime.Connect("grpc+tls://"+s.address, flightruntime.ClientOptions{TLS: w.clientTLS(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s.others, err = client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath("trips"), flightruntime.WithHeader("authorization", "Bearer token-of-owner"))
		if err == nil {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// login is the header that a server answers a name and a password in a header with, as authenticate_basic_token gets it.
func (w *authWorld) login(t testing.TB, s *authServer, user string) string {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+s.address, grpc.WithTransportCredentials(credentials.NewTLS(w.clientTLS(t, nil))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	shown := basicOf(user, "password of "+user)
	stream, err := flight.NewFlightServiceClient(conn).Handshake(metadata.AppendToOutgoingContext(t.Context(), shown.header, shown.value))
	if err != nil {
		t.Fatal(err)
	}
	headers, err := stream.Header()
	if err != nil || len(headers.Get("authorization")) != 1 {
		t.Fatalf("got %v, %v", headers, err)
	}
	return headers.Get("authorization")[0]
}

// methods are all that there are, with what each kind of caller shows.
func (w *authWorld) methods(t testing.TB) []authMethod {
	t.Helper()
	each := func(name string, inHeader bool, s *authServer, bad shownBy, show func(i int) shownBy) authMethod {
		m := authMethod{name: name, inHeader: inHeader}
		for i := range refused {
			m.shown[i], m.server[i] = show(i), s
		}
		m.shown[refused], m.server[refused] = bad, s
		return m
	}
	byHandshake := func(user string) string {
		client, err := flightruntime.Connect("grpc+tls://"+w.offline.address, flightruntime.ClientOptions{TLS: w.clientTLS(t, nil)})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		shake := flightruntime.BasicHandshake(user, "password of "+user)
		if err := client.Authenticate(t.Context(), shake); err != nil {
			t.Fatal(err)
		}
		token, err := shake.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return string(token)
	}
	account := func(audience string, i int) shownBy {
		return bearerOf(signJWT(t, w.cluster, map[string]any{
			"iss": clusterURL, "aud": []string{audience}, "sub": accounts[i], "exp": time.Now().Add(time.Hour).Unix(), "nbf": time.Now().Unix(),
			"kubernetes.io": map[string]any{"namespace": "data", "serviceaccount": map[string]any{"name": users[i]}},
		}))
	}
	token := func(user string, expires time.Time) shownBy {
		return bearerOf(signJWT(t, w.issuer, map[string]any{"iss": issuerURL, "aud": "flight", "sub": user, "exp": expires.Unix()}))
	}
	withCertificate := func(name string) shownBy {
		certificate, key := w.ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}})
		pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return shownBy{certificate: &pair}
	}
	in := time.Now().Add(time.Hour)
	all := []authMethod{
		each("basic by header", true, w.offline, basicOf("ada", "wrong"), func(i int) shownBy { return basicOf(users[i], "password of "+users[i]) }),
		each("basic by handshake", true, w.offline, shownBy{header: "auth-token-bin", value: "made up"}, func(i int) shownBy {
			return shownBy{header: "auth-token-bin", value: byHandshake(users[i])}
		}),
		each("token of a login", true, w.offline, bearerOf("bWFkZSB1cA"), func(i int) shownBy {
			return shownBy{header: "authorization", value: w.login(t, w.offline, users[i])}
		}),
		each("bearer", true, w.offline, bearerOf("made-up"), func(i int) shownBy { return bearerOf("token-of-" + users[i]) }),
		each("jwt", true, w.offline, token("ada", time.Now().Add(-time.Hour)), func(i int) shownBy { return token(users[i], in) }),
		each("serviceAccount offline", true, w.offline, account("others", allowed), func(i int) shownBy { return account("flight", i) }),
		each("serviceAccount by TokenReview", true, w.review, shownBy{}, func(i int) shownBy { return account("flight", i) }),
		each("clientCertificate", false, w.offline, withCertificate(""), func(i int) shownBy { return withCertificate(users[i]) }),
		each("anonymous", false, w.offline, shownBy{}, func(int) shownBy { return shownBy{} }),
	}
	unknown := signJWT(t, w.cluster, map[string]any{
		"iss": clusterURL, "aud": []string{"flight"}, "sub": "system:serviceaccount:data:gone", "exp": in.Unix(),
		"kubernetes.io": map[string]any{"namespace": "data", "serviceaccount": map[string]any{"name": "gone"}},
	})
	for i := range all {
		switch m := &all[i]; m.name {
		case "serviceAccount by TokenReview":
			m.shown[refused] = bearerOf(unknown)
		case "anonymous":
			copy(m.server[:], w.anonymous[:])
		}
	}
	return all
}

// reviewToken is the part of an API server that reviews tokens: it knows the accounts. Who has signed the token is not what these tests are about.
func reviewToken(w http.ResponseWriter, r *http.Request) {
	var review struct {
		APIVersion, Kind string
		Spec             struct {
			Token     string
			Audiences []string
		}
	}
	err := json.NewDecoder(r.Body).Decode(&review)
	if err != nil || r.Header.Get("Authorization") != "Bearer pod-token" || r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" {
		http.Error(w, "no such thing", http.StatusForbidden)
		return
	}
	answer := map[string]any{"authenticated": false}
	if token, err := jwt.ParseSigned(review.Spec.Token, []jose.SignatureAlgorithm{jose.ES256}); err == nil {
		var claims jwt.Claims
		if err := token.UnsafeClaimsWithoutVerification(&claims); err == nil {
			for _, a := range accounts {
				if claims.Subject == a {
					answer = map[string]any{"authenticated": true, "audiences": review.Spec.Audiences, "user": map[string]any{"username": a, "groups": []string{"system:serviceaccounts"}}}
				}
			}
		}
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": review.APIVersion, "kind": review.Kind, "status": answer})
}

// clientTLS trusts the servers, and shows a certificate if there is one.
func (w *authWorld) clientTLS(t testing.TB, certificate *tls.Certificate) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(w.ca.pem)) {
		t.Fatal("no CA")
	}
	c := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if certificate != nil {
		c.Certificates = []tls.Certificate{*certificate}
	}
	return c
}

// certAuthority issues certificates for servers and clients.
type certAuthority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newCertAuthority(t testing.TB) certAuthority {
	t.Helper()
	a := certAuthority{key: newKey(t)}
	a.cert = &x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.pem = a.sign(t, a.cert, &a.key.PublicKey)
	return a
}

// sign is a certificate of a template, in PEM.
func (a certAuthority) sign(t testing.TB, template *x509.Certificate, public *ecdsa.PublicKey) string {
	t.Helper()
	serial := sha256.Sum256([]byte(template.Subject.CommonName))
	template.SerialNumber = new(big.Int).SetBytes(serial[:8])
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (a certAuthority) issue(t testing.TB, template *x509.Certificate) (certificate, key string) {
	t.Helper()
	k := newKey(t)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return a.sign(t, template, &k.PublicKey), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// keySet is a JSON Web Key Set of one key.
func keySet(t testing.TB, key *ecdsa.PrivateKey) string {
	t.Helper()
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func signJWT(t testing.TB, key *ecdsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
