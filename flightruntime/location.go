package flightruntime

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// Scheme is the scheme of a Flight location (Flight.proto, message Location).
type Scheme string

// Values of Scheme.
const (
	// SchemeTCP is gRPC in plain text. "grpc+tcp" is another spelling of it.
	SchemeTCP Scheme = "grpc"
	// SchemeTLS is gRPC over TLS.
	SchemeTLS Scheme = "grpc+tls"
	// SchemeUnix is gRPC over a UNIX domain socket: grpc+unix:///path/to/socket.
	SchemeUnix Scheme = "grpc+unix"
	// SchemeReuseConnection tells a client to ask where it got the location: arrow-flight-reuse-connection://?
	SchemeReuseConnection Scheme = "arrow-flight-reuse-connection"
)

const schemeTCPAlias = "grpc+tcp"

// ReuseConnection is the location of an endpoint that is read where its FlightInfo was got.
var ReuseConnection = Location{scheme: SchemeReuseConnection}

// Location is where a Flight server listens or is found, for instance grpc://10.0.0.7:8815. Locations can be compared with ==.
type Location struct {
	scheme Scheme
	host   string
	port   uint16
	path   string // of a UNIX socket
}

// ParseLocation reads a location. Port 0 means, where a server listens, any free port.
func ParseLocation(s string) (Location, error) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		return Location{}, fmt.Errorf("location %q: expected SCHEME://HOST:PORT, for instance grpc://0.0.0.0:8815", s)
	}
	switch Scheme(scheme) {
	case SchemeTCP, SchemeTLS, schemeTCPAlias:
		return parseHostPort(s, Scheme(scheme))
	case SchemeUnix:
		if !strings.HasPrefix(rest, "/") {
			return Location{}, fmt.Errorf("location %q: expected the absolute path of a socket, for instance grpc+unix:///run/flight.sock", s)
		}
		return Location{scheme: SchemeUnix, path: filepath.Clean(rest)}, nil
	case SchemeReuseConnection:
		if rest != "" && rest != "?" {
			return Location{}, fmt.Errorf("location %q: expected nothing after %s://?", s, scheme)
		}
		return ReuseConnection, nil
	default:
		return Location{}, fmt.Errorf("location %q: unknown scheme %q, expected grpc, grpc+tcp, grpc+tls, grpc+unix or arrow-flight-reuse-connection", s, scheme)
	}
}

func parseHostPort(s string, scheme Scheme) (Location, error) {
	u, err := url.Parse(s)
	if err != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.User != nil || u.Fragment != "" {
		return Location{}, fmt.Errorf("location %q: expected nothing but a host and a port after %s://", s, scheme)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return Location{}, fmt.Errorf("location %q: expected a port between 0 and 65535 after the host", s)
	}
	if scheme == schemeTCPAlias {
		scheme = SchemeTCP
	}
	return Location{scheme: scheme, host: u.Hostname(), port: uint16(port)}, nil
}

// ForGRPCTCP is the location of a server that speaks gRPC in plain text.
func ForGRPCTCP(host string, port uint16) Location {
	return Location{scheme: SchemeTCP, host: host, port: port}
}

// ForGRPCTLS is the location of a server that speaks gRPC over TLS.
func ForGRPCTLS(host string, port uint16) Location {
	return Location{scheme: SchemeTLS, host: host, port: port}
}

// ForGRPCUnix is the location of a server that listens at a UNIX domain socket. The path is absolute.
func ForGRPCUnix(path string) Location {
	return Location{scheme: SchemeUnix, path: filepath.Clean(path)}
}

// Scheme is how the server is spoken to.
func (l Location) Scheme() Scheme { return l.scheme }

// Host is the host's name or address; empty of a location that has none.
func (l Location) Host() string { return l.host }

// Port is the TCP port; 0 of a location that has none.
func (l Location) Port() uint16 { return l.port }

// String is the location's URI.
func (l Location) String() string {
	switch l.scheme {
	case SchemeUnix:
		return string(SchemeUnix) + "://" + l.path
	case SchemeReuseConnection:
		return string(SchemeReuseConnection) + "://?"
	default:
		return string(l.scheme) + "://" + l.address()
	}
}

// listen listens at the location, and gives it with the port that it got.
func (l Location) listen() (net.Listener, Location, error) {
	switch l.scheme {
	case SchemeTCP, SchemeTLS:
		listener, err := net.Listen("tcp", l.address())
		if err != nil {
			return nil, l, fmt.Errorf("listen at %s: %w", l, err)
		}
		l.port = uint16(listener.Addr().(*net.TCPAddr).Port)
		return listener, l, nil
	case SchemeUnix:
		listener, err := listenUnix(l.path)
		if err != nil {
			return nil, l, fmt.Errorf("listen at %s: %w", l, err)
		}
		return listener, l, nil
	default:
		return nil, l, fmt.Errorf("listen at %s: expected a location of the scheme grpc, grpc+tls or grpc+unix", l)
	}
}

func (l Location) address() string { return net.JoinHostPort(l.host, strconv.Itoa(int(l.port))) }

// target is the location in grpc-go's naming: no resolver but the operating system's.
func (l Location) target() (string, error) {
	switch l.scheme {
	case SchemeTCP, SchemeTLS:
		return "passthrough:///" + l.address(), nil
	case SchemeUnix:
		return "unix://" + l.path, nil
	default:
		return "", fmt.Errorf("connect to %s: expected a location of the scheme grpc, grpc+tls or grpc+unix", l)
	}
}
