package flightruntime

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ServerTLS is the configuration of a server with a certificate and its key, in PEM. With clientCAs, in PEM too, the server asks each
// client for a certificate that one of them has signed (mTLS), and refuses those without; Call.PeerIdentity tells whom it names.
func ServerTLS(certificate, key, clientCAs []byte) (*tls.Config, error) {
	pair, err := keyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if clientCAs == nil {
		return c, nil
	}
	if c.ClientCAs, err = pool(clientCAs); err != nil {
		return nil, err
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.SessionTicketsDisabled = true // a resumed session would outlive a CA that is taken away
	return c, nil
}

// ClientTLS is the configuration of a client that takes servers whose certificate one of the roots has signed, in PEM; those that the
// system trusts if there are none. With a certificate and its key, the client shows these where it is asked (mTLS).
func ClientTLS(roots, certificate, key []byte) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != nil {
		var err error
		if c.RootCAs, err = pool(roots); err != nil {
			return nil, err
		}
	}
	if certificate != nil || key != nil {
		pair, err := keyPair(certificate, key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// keyPair reads a certificate and its key. Its errors show nothing of the key.
func keyPair(certificate, key []byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return pair, fmt.Errorf("expected a certificate and its private key in PEM: %w", err)
	}
	return pair, nil
}

func pool(pem []byte) (*x509.CertPool, error) {
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(pem) {
		return nil, errors.New("expected CA certificates in PEM, found none")
	}
	return p, nil
}
