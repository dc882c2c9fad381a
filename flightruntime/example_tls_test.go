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
	"time"

	"github.com/flight-operator/flight-operator/flightruntime"
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
