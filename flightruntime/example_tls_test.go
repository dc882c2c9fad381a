package flightruntime_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// A server with TLS that asks its clients for certificates too.
func ExampleServerTLS() {
	ca := newCA()
	certificate, key := ca.issue("flight.example")
	serverTLS, err := flightruntime.ServerTLS(certificate, key, ca.pem) // nil in place of the last: clients need no certificates
	must(err)
	server, err := flightruntime.NewServer("grpc+tls://127.0.0.1:0", whoService{}, flightruntime.ServerOptions{TLS: serverTLS})
	must(err)
	server.Start()
	defer func() { must(server.Shutdown(context.Background())) }()

	certificate, key = ca.issue("ada.example")
	clientTLS, err := flightruntime.ClientTLS(ca.pem, certificate, key)
	must(err)
	clientTLS.ServerName = "flight.example" // in place of the location's host
	client, err := flightruntime.Connect(server.Location().String(), flightruntime.ClientOptions{TLS: clientTLS})
	must(err)
	defer client.Close()
	fmt.Println(who(client))

	stranger, err := flightruntime.ClientTLS(ca.pem, nil, nil)
	must(err)
	stranger.ServerName = "flight.example"
	refused, err := flightruntime.Connect(server.Location().String(), flightruntime.ClientOptions{TLS: stranger})
	must(err)
	defer refused.Close()
	_, err = who(refused)
	fmt.Println("without a certificate:", errors.Is(err, flightruntime.ErrUnavailable))
	// Output:
	// ada.example <nil>
	// without a certificate: true
}

// A server whose certificate is renewed while it runs: calls that are running go on, and new connections get the new certificate.
func ExampleServerOptions_tlsSource() {
	dir, err := os.MkdirTemp("", "example-")
	must(err)
	defer os.RemoveAll(dir)
	files := certs.Settings{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	renew := func(issuer *ca) {
		certificate, key := issuer.issue("flight.example")
		must(os.WriteFile(files.CertFile, certificate, 0o600))
		must(os.WriteFile(files.KeyFile, key, 0o600))
	}
	first, second := newCA(), newCA()
	renew(first)

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // the files are followed until then
	source, err := certs.Follow(ctx, files, nil)
	must(err)
	server, err := flightruntime.NewServer("grpc+tls://127.0.0.1:0", whoService{}, flightruntime.ServerOptions{TLSSource: source})
	must(err)
	server.Start()
	defer func() { must(server.Shutdown(context.Background())) }()

	connects := func(root *ca) bool {
		clientTLS, err := flightruntime.ClientTLS(root.pem, nil, nil)
		must(err)
		clientTLS.ServerName = "flight.example"
		client, err := flightruntime.Connect(server.Location().String(), flightruntime.ClientOptions{TLS: clientTLS})
		must(err)
		defer client.Close()
		_, err = who(client)
		return err == nil
	}
	fmt.Println(connects(first), connects(second))
	renew(second)
	for !connects(second) {
		time.Sleep(10 * time.Millisecond) // the files are looked at a moment after they have changed
	}
	fmt.Println(connects(first), connects(second))
	// Output:
	// true false
	// false true
}

// ca signs certificates for an hour.
type ca struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newCA() *ca {
	c := &ca{certificate: &x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}}
	c.pem, _ = c.sign(c.certificate)
	return c
}

// issue makes a certificate for a name, and its key, in PEM.
func (c *ca) issue(name string) (certificate, key []byte) {
	return c.sign(&x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
}

func (c *ca) sign(template *x509.Certificate) (certificate, key []byte) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	if c.key == nil {
		c.key = private // it signs itself
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, c.certificate, &private.PublicKey, c.key)
	must(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	must(err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}
