package flightruntime

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Schemes of Flight locations (Flight.proto, message Location).
const (
	schemeGRPC = "grpc"
	schemeTCP  = "grpc+tcp"
)

// Location is where a Flight server listens or is found, for instance grpc://10.0.0.7:8815.
type Location struct {
	host string
	port uint16
}

// ParseLocation reads a location. Port 0 means, where a server listens, any free port.
func ParseLocation(s string) (Location, error) {
	scheme, _, found := strings.Cut(s, "://")
	if !found {
		return Location{}, fmt.Errorf("location %q: expected SCHEME://HOST:PORT, for instance grpc://0.0.0.0:8815", s)
	}
	if scheme != schemeGRPC && scheme != schemeTCP {
		return Location{}, fmt.Errorf("location %q: unknown scheme %q, expected grpc or grpc+tcp", s, scheme)
	}
	u, err := url.Parse(s)
	if err != nil || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return Location{}, fmt.Errorf("location %q: expected nothing but a host and a port after %s://", s, scheme)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return Location{}, fmt.Errorf("location %q: expected a port between 0 and 65535 after the host", s)
	}
	return Location{host: u.Hostname(), port: uint16(port)}, nil
}

// ForGRPCTCP is the location of a server that speaks gRPC in plain text.
func ForGRPCTCP(host string, port uint16) Location { return Location{host: host, port: port} }

// Port is the TCP port.
func (l Location) Port() uint16 { return l.port }

// String is the location's URI.
func (l Location) String() string { return schemeGRPC + "://" + l.address() }

func (l Location) address() string { return net.JoinHostPort(l.host, strconv.Itoa(int(l.port))) }

// target is the location in grpc-go's naming: no resolver but the operating system's.
func (l Location) target() string { return "passthrough:///" + l.address() }
