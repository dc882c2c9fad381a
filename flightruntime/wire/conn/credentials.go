package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
)

// Plain are the credentials of a server without TLS. Calls have no AuthInfo, as without any credentials.
func Plain() credentials.TransportCredentials { return plain{} }

// TLS are the credentials of a server with TLS. They shake hands as credentials.NewTLS does, and calls have the same AuthInfo.
func TLS(config *tls.Config) credentials.TransportCredentials {
	return secure{credentials.NewTLS(config)}
}

type plain struct{}

func (plain) ServerHandshake(socket net.Conn) (net.Conn, credentials.AuthInfo, error) {
	tune(socket)
	return newConn(socket, socket, newVector(socket), newReadiness(socket)), nil, nil
}

func (plain) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errServerOnly
}

func (plain) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "insecure"}
}

func (plain) Clone() credentials.TransportCredentials { return plain{} }

func (plain) OverrideServerName(string) error { return errServerOnly }

// secure wraps grpc-go's credentials.
type secure struct {
	credentials.TransportCredentials
}

func (s secure) ServerHandshake(socket net.Conn) (net.Conn, credentials.AuthInfo, error) {
	tune(socket)
	under := newGather(socket)
	c, info, err := s.TransportCredentials.ServerHandshake(under)
	if err != nil {
		return nil, nil, err
	}
	return newConn(c, socket, &encrypter{tls: c, under: under}, newTLSReadiness(under)), info, nil
}

func (s secure) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errServerOnly
}

func (s secure) Clone() credentials.TransportCredentials {
	return secure{s.TransportCredentials.Clone()}
}

func (s secure) OverrideServerName(string) error { return errServerOnly }

var errServerOnly = errors.New("these are credentials of servers: use others for a client")
