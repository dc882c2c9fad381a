package flightruntime

import (
	"strings"
	"testing"
)

func TestParseLocation(t *testing.T) {
	for _, tt := range []struct {
		location string
		uri      string // empty: refused
		refusal  string
	}{
		{location: "grpc://10.0.0.7:8815", uri: "grpc://10.0.0.7:8815"},
		{location: "grpc+tcp://taxi.data.svc:8815", uri: "grpc://taxi.data.svc:8815"},
		{location: "grpc://[::1]:8815", uri: "grpc://[::1]:8815"},
		{location: "grpc://0.0.0.0:0", uri: "grpc://0.0.0.0:0"},
		{location: "grpc://:8815", uri: "grpc://:8815"},
		{location: "grpc://host:65535", uri: "grpc://host:65535"},
		{location: "grpc+tls://flight.example.com:443", uri: "grpc+tls://flight.example.com:443"},
		{location: "grpc+unix:///run/flight.sock", uri: "grpc+unix:///run/flight.sock"},
		{location: "grpc+unix:///run/../run/flight.sock", uri: "grpc+unix:///run/flight.sock"},
		{location: "arrow-flight-reuse-connection://?", uri: "arrow-flight-reuse-connection://?"},
		{location: "arrow-flight-reuse-connection://", uri: "arrow-flight-reuse-connection://?"},
		{location: "grpc+unix://run/flight.sock", refusal: "absolute path"},
		{location: "arrow-flight-reuse-connection://host:1", refusal: "nothing after"},
		{location: "grpc+tls://host", refusal: "a port between 0 and 65535"},
		{location: "grpcs://host:1", refusal: `unknown scheme "grpcs", expected grpc, grpc+tcp, grpc+tls, grpc+unix`},
		{location: "", refusal: "SCHEME://HOST:PORT"},
		{location: "host:8815", refusal: "SCHEME://HOST:PORT"},
		{location: "http://host:8815", refusal: `unknown scheme "http"`},
		{location: "grpc://host", refusal: "a port between 0 and 65535"},
		{location: "grpc://host:", refusal: "a port between 0 and 65535"},
		{location: "grpc://host:65536", refusal: "a port between 0 and 65535"},
		{location: "grpc://host:-1", refusal: "nothing but a host and a port"},
		{location: "grpc://host:flight", refusal: "nothing but a host and a port"},
		{location: "grpc://host:8815/path", refusal: "nothing but a host and a port"},
		{location: "grpc://host:8815?query", refusal: "nothing but a host and a port"},
		{location: "grpc://host:8815#fragment", refusal: "nothing but a host and a port"},
		{location: "grpc://user@host:8815", refusal: "nothing but a host and a port"},
	} {
		t.Run(tt.location, func(t *testing.T) {
			l, err := ParseLocation(tt.location)
			if tt.refusal != "" {
				if err == nil {
					t.Fatalf("parsed as %v, want a refusal", l)
				}
				if !strings.Contains(err.Error(), tt.refusal) || !strings.Contains(err.Error(), tt.location) {
					t.Errorf("refused with %q, want it to name the location and %q", err, tt.refusal)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if l.String() != tt.uri {
				t.Errorf("is %s, want %s", l, tt.uri)
			}
			again, err := ParseLocation(l.String())
			if err != nil || again != l {
				t.Errorf("its URI parses as %v, %v", again, err)
			}
		})
	}
}

func TestConstructedLocations(t *testing.T) {
	for uri, l := range map[string]Location{
		"grpc://[::1]:8815":                 ForGRPCTCP("::1", 8815),
		"grpc+tls://host:443":               ForGRPCTLS("host", 443),
		"grpc+unix:///run/flight.sock":      ForGRPCUnix("/run/flight.sock"),
		"arrow-flight-reuse-connection://?": ReuseConnection,
	} {
		if parsed, err := ParseLocation(uri); l.String() != uri || parsed != l || err != nil {
			t.Errorf("%s is %s, and parses as %v, %v", uri, l, parsed, err)
		}
	}
	if port := ForGRPCTCP("::1", 8815).Port(); port != 8815 {
		t.Errorf("the port is %d", port)
	}
}
