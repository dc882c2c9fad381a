package flightruntime

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// tlsFiles are the files of a server's TLS, which a test changes.
type tlsFiles struct {
	certs.Settings
	source *certs.Source
}

// followFiles makes the files of a server that ca has signed, and follows them. clients is what its clients are verified by; nil: they are not
// asked.
func followFiles(t *testing.T, ca, clients, operator *authority) *tlsFiles {
	t.Helper()
	dir := t.TempDir()
	f := &tlsFiles{Settings: certs.Settings{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}}
	f.rotate(t, ca)
	if clients != nil {
		f.ClientCAFile = filepath.Join(dir, "ca.crt")
		replace(t, f.ClientCAFile, clients.pem)
	}
	if operator != nil {
		f.OperatorCA = string(operator.pem)
	}
	var err error
	if f.source, err = certs.Follow(t.Context(), f.Settings, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *tlsFiles) rotate(t *testing.T, ca *authority) {
	t.Helper()
	certificate, key := ca.server(t)
	replace(t, f.CertFile, certificate)
	replace(t, f.KeyFile, key)
}

func replace(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// served waits until what is in the files is in force.
func (f *tlsFiles) served(t *testing.T) {
	t.Helper()
	certificate, err := os.ReadFile(f.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	bundle := ""
	if f.ClientCAFile != "" {
		data, err := os.ReadFile(f.ClientCAFile)
		if err != nil {
			t.Fatal(err)
		}
		bundle = certs.Digest(data)
	}
	eventually(t, "the files are in force", func() bool {
		s := f.source.State()
		return s.Certificate != nil && s.Certificate.Digest == certs.Digest(certificate) && s.ClientCADigest == bundle
	})
}

func ask(ctx context.Context, client *Client) error {
	_, err := client.GetFlightInfo(ctx, DescriptorForPath("a"))
	return err
}

func TestStreamsOutliveARotation(t *testing.T) {
	old, next := newAuthority(t, "old"), newAuthority(t, "next")
	files := followFiles(t, old, nil, nil)
	begun, release := make(chan struct{}), make(chan struct{})
	service := &testService{doGet: waiting(begun, release), getFlightInfo: func(context.Context) (*FlightInfo, error) { return &FlightInfo{}, nil }}
	server := startTLS(t, service, ServerOptions{TLSSource: files.source})
	client := connect(t, server, ClientOptions{TLS: clientTLS(t, old.pem, nil, nil)})
	stream, err := client.DoGet(t.Context(), &Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	files.rotate(t, next)
	files.served(t)
	if err := ask(t.Context(), connect(t, server, ClientOptions{TLS: clientTLS(t, next.pem, nil, nil)})); err != nil {
		t.Errorf("a new connection with the new root: %v", err)
	}
	if err := ask(t.Context(), connect(t, server, ClientOptions{TLS: clientTLS(t, old.pem, nil, nil)})); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a new connection with the old root: %v", err)
	}
	if err := ask(t.Context(), client); err != nil {
		t.Errorf("a new call on the old connection: %v", err)
	}
	close(release)
	chunks := 0
	for _, err := range stream.Chunks() {
		if err != nil {
			t.Fatal(err)
		}
		chunks++
	}
	if chunks != 2 {
		t.Errorf("the stream had %d chunks, want 2", chunks)
	}
}

func TestAClientCAThatIsTakenAwayIsRefusedAtTheNextCall(t *testing.T) {
	ca, clients, others := newAuthority(t, "ca"), newAuthority(t, "clients"), newAuthority(t, "others")
	files := followFiles(t, ca, clients, nil)
	begun, release := make(chan struct{}), make(chan struct{})
	service := &testService{doGet: waiting(begun, release), getFlightInfo: func(ctx context.Context) (*FlightInfo, error) {
		if who := CallOf(ctx).PeerIdentity(); who != "ada" {
			t.Errorf("the peer is %q", who)
		}
		if leaf := CallOf(ctx).PeerCertificate(); leaf == nil || leaf.Subject.CommonName != "ada" {
			t.Errorf("the certificate is %v, want ada's", leaf)
		}
		return &FlightInfo{}, nil
	}}
	server := startTLS(t, service, ServerOptions{TLSSource: files.source})
	certificate, key := clients.client(t, x509.Certificate{Subject: pkix.Name{CommonName: "ada"}})
	with := clientTLS(t, ca.pem, certificate, key)
	client := connect(t, server, ClientOptions{TLS: with})
	if err := ask(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	stream, err := client.DoGet(t.Context(), &Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	replace(t, files.ClientCAFile, others.pem)
	files.served(t)
	if err := ask(t.Context(), client); !errors.Is(err, ErrUnauthenticated) || !strings.Contains(err.Error(), "CN=ada") {
		t.Errorf("a call on the open connection: %v", err)
	}
	if _, err := healthpb.NewHealthClient(client.conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a call of gRPC's health on the open connection: %v", err)
	}
	if err := ask(t.Context(), connect(t, server, ClientOptions{TLS: with})); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a new connection: %v", err)
	}
	close(release)
	for _, err := range stream.Chunks() {
		if err != nil {
			t.Errorf("the running stream: %v", err)
		}
	}
	replace(t, files.ClientCAFile, append(others.pem, clients.pem...))
	files.served(t)
	if err := ask(t.Context(), client); err != nil {
		t.Errorf("when it is back, on the open connection: %v", err)
	}
}

func TestTheOperatorAsksHowAServerFaresAndNoMore(t *testing.T) {
	ca, clients, operator := newAuthority(t, "ca"), newAuthority(t, "clients"), newAuthority(t, "operator")
	uri, err := url.Parse(certs.OperatorURI)
	if err != nil {
		t.Fatal(err)
	}
	for name, clientCA := range map[string]*authority{"clients are not asked": nil, "clients need certificates": clients} {
		t.Run(name, func(t *testing.T) {
			files := followFiles(t, ca, clientCA, operator)
			var server *Server
			service := everyService{do: func(ctx context.Context) error {
				if !CallOf(ctx).IsOperator() || CallOf(ctx).PeerIdentity() != certs.OperatorURI {
					t.Errorf("the caller is %q", CallOf(ctx).PeerIdentity())
				}
				if CallOf(ctx).PeerCertificate() != nil {
					t.Error("the operator's certificate passes for a client's")
				}
				if n := server.ActiveCalls(); n != 0 {
					t.Errorf("%d calls are counted, want none of the operator's", n)
				}
				return nil
			}}
			server = startTLS(t, service, ServerOptions{TLSSource: files.source, Auth: NewBasicAuth(users, nil)})
			certificate, key := operator.client(t, x509.Certificate{URIs: []*url.URL{uri}})
			client := connect(t, server, ClientOptions{TLS: clientTLS(t, ca.pem, certificate, key)})
			act := func(action string) (err error) {
				for _, err = range client.DoAction(t.Context(), action, nil) {
					if err != nil {
						return err
					}
				}
				return nil
			}
			for _, action := range []string{ActionHealthCheck, ActionStatus} {
				if err := act(action); err != nil {
					t.Errorf("%s: %v", action, err)
				}
			}
			for _, action := range []string{ActionRefresh, "", "healthcheck", "CloseSession"} {
				if err := act(action); !errors.Is(err, ErrUnauthorized) {
					t.Errorf("%s: %v, want PERMISSION_DENIED", action, err)
				}
			}
			onEachCall(t, func(t *testing.T, method Method, call func(context.Context, *Client, ...CallOption) error) {
				if err := call(t.Context(), client); !errors.Is(err, ErrUnauthorized) {
					t.Errorf("%s: %v, want PERMISSION_DENIED", method, err)
				}
			})
			if _, err := healthpb.NewHealthClient(client.conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.PermissionDenied {
				t.Errorf("gRPC's health: %v, want PERMISSION_DENIED", err)
			}
		})
	}
}

func TestAConnectionOfAgeEndsAndItsStreamDoesNot(t *testing.T) {
	old, next := newAuthority(t, "old"), newAuthority(t, "next")
	files := followFiles(t, old, nil, nil)
	begun, release := make(chan struct{}), make(chan struct{})
	service := &testService{doGet: waiting(begun, release), getFlightInfo: func(context.Context) (*FlightInfo, error) { return &FlightInfo{}, nil }}
	server := startTLS(t, service, ServerOptions{TLSSource: files.source, MaxConnectionAge: 100 * time.Millisecond})
	client := connect(t, server, ClientOptions{TLS: clientTLS(t, old.pem, nil, nil)})
	stream, err := client.DoGet(t.Context(), &Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	files.rotate(t, next)
	files.served(t)
	// The old connection takes calls until it is of age; then the client has to make a new one, and does not know the new root.
	eventually(t, "the client connects anew", func() bool { return errors.Is(ask(t.Context(), client), ErrUnavailable) })
	close(release)
	for _, err := range stream.Chunks() {
		if err != nil {
			t.Errorf("the stream that was running: %v", err)
		}
	}
}

func TestTLSSourcesThatDoNotFit(t *testing.T) {
	ca := newAuthority(t, "ca")
	files := followFiles(t, ca, nil, nil)
	for location, options := range map[string]ServerOptions{
		"grpc://127.0.0.1:0":     {TLSSource: files.source},
		"grpc+tls://127.0.0.1:0": {TLSSource: files.source, TLS: files.source.TLSConfig()},
	} {
		if server, err := NewServer(location, BaseService{}, options); err == nil {
			t.Errorf("a server listens at %s", server.Location())
		}
	}
}

func TestHealthTellsOfTheCertificate(t *testing.T) {
	if h := CertificateHealthOf(nil); h != nil {
		t.Errorf("without TLS: %+v", h)
	}
	files := followFiles(t, newAuthority(t, "ca"), newAuthority(t, "clients"), nil)
	state := files.source.State()
	h := CertificateHealthOf(files.source)
	if h.Fingerprint != certs.Fingerprint(state.Certificate.Leaf) || h.Digest != state.Certificate.Digest || h.ClientCADigest != state.ClientCADigest ||
		!h.NotAfter.Equal(state.Certificate.Leaf.NotAfter) || h.Reason != "" || h.Message != "" {
		t.Errorf("%+v", h)
	}
	if err := os.WriteFile(files.CertFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reason is told", func() bool { return CertificateHealthOf(files.source).Reason == string(certs.ReasonMalformed) })
	if after := CertificateHealthOf(files.source); after.Fingerprint != h.Fingerprint || !strings.Contains(after.Message, "expected certificates in PEM") {
		t.Errorf("%+v", after)
	}
}
