package authn

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/crypto/bcrypt"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// epoch is when these tests happen, unless a clock moves on.
var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: epoch} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// logTo is a logger of all levels.
func logTo(l *logBuffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// write writes a file as the kubelet does: whole or not at all.
func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// written is a new file with a content.
func written(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	write(t, path, content)
	return path
}

// htpasswd is a line of a users file, of the lowest cost.
func htpasswd(t testing.TB, name, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return name + ":" + strings.Replace(string(hash), "$2a$", "$2y$", 1) + "\n" // as htpasswd -B
}

// made is an Authenticator that looks at its files when it is told to.
func made(t testing.TB, s Settings, o Options, now func() time.Time) *Authenticator {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a, err := newAuthenticator(t.Context(), s, o, now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// identified is whose credentials are, to an Authenticator.
func identified(t testing.TB, a *Authenticator, c Credentials) (*Identity, error) {
	t.Helper()
	id, _, err := a.identify(t.Context(), a.methods.Load(), c)
	return id, err
}

func bearerOf(token string) Credentials { return Credentials{Scheme: SchemeBearer, Token: token} }

func passwordOf(name, password string) Credentials {
	return Credentials{Scheme: SchemeBasic, Name: name, Password: password, Peer: "192.0.2.7:4711"}
}

// wantRefusal checks that an error is of a kind and has words, and shows none of the secrets.
func wantRefusal(t testing.TB, err error, kind *flightruntime.Error, words string, secrets ...string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), words) {
		t.Errorf("ended with %v, want %v with %q", err, kind, words)
		return
	}
	for _, s := range secrets {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%q shows %q", err, s)
		}
	}
}

// wantIdentity checks who was found out.
func wantIdentity(t testing.TB, id *Identity, err error, method, user string, groups ...string) {
	t.Helper()
	if err != nil {
		t.Errorf("refused: %v", err)
		return
	}
	if id.Method != method || id.User != user || !slices.Equal(id.Groups, groups) {
		t.Errorf("got %s by %s in %q, want %s by %s in %q", id.User, id.Method, id.Groups, user, method, groups)
	}
}

// signingKey is a private key of an issuer, and its public part as JSON.
type signingKey struct {
	id      string
	alg     jose.SignatureAlgorithm
	private crypto.Signer
}

func newECKey(t testing.TB, id string) signingKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{id, jose.ES256, k}
}

func (k signingKey) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: string(k.alg), Use: "sig"}
}

// keySetOf is a JSON Web Key Set.
func keySetOf(t testing.TB, keys ...signingKey) string {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, k.public())
	}
	raw, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// sign makes a token of claims.
func (k signingKey) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	if k.id != "" {
		options = options.WithHeader("kid", k.id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: k.private}, options)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// claimsOf are good claims for the tests' issuer, for an hour, with others in their place; those of nil are left out.
func claimsOf(others map[string]any) map[string]any {
	claims := map[string]any{"iss": "https://issuer.example", "aud": "flight", "sub": "ada", "exp": epoch.Add(time.Hour).Unix()}
	maps.Copy(claims, others)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// anyService answers each RPC, and tells who called.
type anyService struct {
	who chan *Identity
}

func newService() anyService { return anyService{make(chan *Identity, 1)} }

func (s anyService) tell(ctx context.Context) error {
	id, _ := IdentityOf(ctx)
	if id != nil && flightruntime.CallOf(ctx).PeerIdentity() != id.User {
		return flightruntime.Errorf(flightruntime.KindInternal, "PeerIdentity is %q", flightruntime.CallOf(ctx).PeerIdentity())
	}
	s.who <- id
	return nil
}

var schema = arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)

func one[T any](v T, err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) { yield(v, err) }
}

func (s anyService) ListFlights(ctx context.Context, _ []byte) iter.Seq2[*flightruntime.FlightInfo, error] {
	return one(&flightruntime.FlightInfo{}, s.tell(ctx))
}

func (s anyService) GetFlightInfo(ctx context.Context, _ *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	return &flightruntime.FlightInfo{}, s.tell(ctx)
}

func (s anyService) PollFlightInfo(ctx context.Context, _ *flightruntime.FlightDescriptor) (*flightruntime.PollInfo, error) {
	return &flightruntime.PollInfo{}, s.tell(ctx)
}

func (s anyService) GetSchema(ctx context.Context, _ *flightruntime.FlightDescriptor) (*arrow.Schema, error) {
	return schema, s.tell(ctx)
}

func (s anyService) DoGet(ctx context.Context, _ *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	return flightruntime.GeneratorStream(schema, func(func(flightruntime.Chunk, error) bool) {}), s.tell(ctx)
}

func (s anyService) DoPut(ctx context.Context, _ *flightruntime.DataReader, _ *flightruntime.MetadataWriter) error {
	return s.tell(ctx)
}

func (s anyService) DoExchange(ctx context.Context, _ *flightruntime.DataReader, _ *flightruntime.DataWriter) error {
	return s.tell(ctx)
}

func (s anyService) DoAction(ctx context.Context, _ *flightruntime.Action) iter.Seq2[[]byte, error] {
	return one([]byte("well"), s.tell(ctx))
}

func (s anyService) ListActions(ctx context.Context) ([]*flightruntime.ActionType, error) {
	return []*flightruntime.ActionType{{Type: "any"}}, s.tell(ctx)
}

// rpcs are the calls that a client makes, each to its end.
var rpcs = map[flightruntime.Method]func(ctx context.Context, c *flightruntime.Client, o ...flightruntime.CallOption) error{
	flightruntime.MethodListFlights: func(ctx context.Context, c *flightruntime.Client, o ...flightruntime.CallOption) error {
		return last(c.ListFlights(ctx, nil, o...))
	},
	flightruntime.MethodGetFlightInfo: func(ctx context.Context, c *flightruntime.Client, o ...flightruntime.CallOption) error {
		_, err := c.GetFlightInfo(ctx, flightruntime.DescriptorForPath("a"), o...)
		return err
	},
	flightruntime.MethodPollFlightInfo: func(ctx context.Context, c *flightruntime.Client, o ...flightruntime.CallOption) error {
		_, err := c.PollFlightInfo(ctx, flightruntime.DescriptorForPath("a"), o...)
		return err
	},
	flightruntime.MethodGetSchema: func(ctx context.Context, c *flightruntime.Client, o ...flightruntime.CallOption) error {
		_, err := c.GetSchema(ctx, flightruntime.DescriptorForPath("a"), o...)
		return err
	},
	flightruntime.MethodDoGet: func(ctx context.Context, c *flightruntime.Client, o ...flightruntime.CallOption) error {
		r, err := c.DoGet(ctx, &flightruntime.Ticket{Ticket: []byte("a")}, o...)
		if err != nil {
			return err
		}
		return last(r.Chunks())
	},
	flightruntime.MethodDoPut: func(ctx context.Context, c *flightruntime.Client, o ...flightruntime.CallOption) error {
		w, _, err := c.DoPut(ctx, flightruntime.DescriptorForPath("a"), schema, o...)
		if err != nil {
			return err
		}
		return w.Close()
	},
	flightruntime.MethodDoExchange: func(ctx context.Context, c *flightruntime.Client, o ...flightruntime.CallOption) error {
		w, r, err := c.DoExchange(ctx, flightruntime.DescriptorForPath("a"), o...)
		if err != nil {
			return err
		}
		if err := w.CloseSend(); err != nil {
			return err
		}
		return last(r.Chunks())
	},
	flightruntime.MethodDoAction: func(ctx context.Context, c *flightruntime.Client, o ...flightruntime.CallOption) error {
		return last(c.DoAction(ctx, "any", nil, o...))
	},
	flightruntime.MethodListActions: func(ctx context.Context, c *flightruntime.Client, o ...flightruntime.CallOption) error {
		_, err := c.ListActions(ctx, o...)
		return err
	},
}

func last[T any](all iter.Seq2[T, error]) (err error) {
	for _, e := range all {
		err = e
	}
	return err
}

// served is a server with an Authenticator, at a free port.
func served(t testing.TB, a *Authenticator, service flightruntime.Service, o flightruntime.ServerOptions) *flightruntime.Server {
	t.Helper()
	o.Middleware = append([]flightruntime.NamedServerMiddleware{{Name: "authn", Factory: a}}, o.Middleware...)
	location := "grpc://127.0.0.1:0"
	if o.TLS != nil || o.TLSSource != nil {
		location = "grpc+tls://127.0.0.1:0"
	}
	o.InsecureAuth = flightruntime.AllowInsecureAuth // on loopback
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := flightruntime.NewServer(location, service, o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Shutdown(ctx)
	})
	return s
}

// connected is a client of a server.
func connected(t testing.TB, s *flightruntime.Server, o flightruntime.ClientOptions) *flightruntime.Client {
	t.Helper()
	o.InsecureAuth = flightruntime.AllowInsecureAuth
	c, err := flightruntime.Connect(s.Location().String(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// eventually waits for something to become so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

func basicHeader(name, password string) flightruntime.CallOption {
	return flightruntime.WithHeader("authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
}

func bearerHeader(token string) flightruntime.CallOption {
	return flightruntime.WithHeader("authorization", "Bearer "+token)
}
