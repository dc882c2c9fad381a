package authn

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/apache/arrow-go/v18/arrow/flight"

	"github.com/flight-operator/flight-operator/flightruntime"
)

var (
	errUnauthenticated = flightruntime.ErrUnauthenticated
	errUnavailable     = flightruntime.ErrUnavailable
)

func encoded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestHeaders(t *testing.T) {
	long := strings.Repeat("x", maxToken+1)
	for name, tt := range map[string]struct {
		headers metadata.MD
		want    Credentials
		refusal string
	}{
		"none":                          {headers: metadata.MD{"x-other": {"secret"}}},
		"basic":                         {headers: metadata.MD{"authorization": {"Basic " + encoded("ada:love:lace")}}, want: Credentials{Scheme: SchemeBasic, Name: "ada", Password: "love:lace"}},
		"basic, in other letters":       {headers: metadata.MD{"authorization": {"bASIC  " + encoded("ada:")}}, want: Credentials{Scheme: SchemeBasic, Name: "ada"}},
		"bearer":                        {headers: metadata.MD{"authorization": {"Bearer secret"}}, want: Credentials{Scheme: SchemeBearer, Token: "secret"}},
		"bearer, in other letters":      {headers: metadata.MD{"authorization": {" BEARER  secret "}}, want: Credentials{Scheme: SchemeBearer, Token: "secret"}},
		"the token of a handshake":      {headers: metadata.MD{"auth-token-bin": {"\x00secret\xff"}}, want: Credentials{Scheme: SchemeBearer, Token: "\x00secret\xff"}},
		"another scheme":                {headers: metadata.MD{"authorization": {"ApiKey secret"}}, want: Credentials{Scheme: "apikey", Token: "secret"}},
		"two":                           {headers: metadata.MD{"authorization": {"Bearer secret", "Bearer secret"}}, refusal: "expected one header authorization, got 2"},
		"two tokens of handshakes":      {headers: metadata.MD{"auth-token-bin": {"secret", "secret"}}, refusal: "expected one header auth-token-bin, got 2"},
		"both":                          {headers: metadata.MD{"authorization": {"Bearer secret"}, "auth-token-bin": {"secret"}}, refusal: "expected one kind of credentials"},
		"as binary":                     {headers: metadata.MD{"authorization-bin": {"Bearer secret"}}, refusal: "expected the header authorization, which is text, got authorization-bin"},
		"as both":                       {headers: metadata.MD{"authorization": {"Bearer secret"}, "authorization-bin": {"Bearer secret"}}, refusal: "got authorization-bin"},
		"an empty one":                  {headers: metadata.MD{"authorization": {""}}, refusal: "expected the header authorization with a scheme and credentials"},
		"blank":                         {headers: metadata.MD{"authorization": {"   "}}, refusal: "expected the header authorization with a scheme and credentials"},
		"a scheme alone":                {headers: metadata.MD{"authorization": {"Bearer "}}, refusal: "expected the header authorization with a scheme and credentials"},
		"a token without a scheme":      {headers: metadata.MD{"authorization": {"secret"}}, refusal: "expected the header authorization with a scheme and credentials"},
		"an empty token":                {headers: metadata.MD{"auth-token-bin": {""}}, refusal: "expected a token in the header auth-token-bin, got an empty one"},
		"basic that is no base64":       {headers: metadata.MD{"authorization": {"Basic ada:secret"}}, refusal: "expected the header authorization: Basic BASE64(NAME:PASSWORD)"},
		"basic without a password":      {headers: metadata.MD{"authorization": {"Basic " + encoded("secret")}}, refusal: "expected the header authorization: Basic BASE64(NAME:PASSWORD)"},
		"a bearer token that is long":   {headers: metadata.MD{"authorization": {"Bearer " + long}}, refusal: "expected at most 16384 bytes of credentials in the header authorization, got 16385"},
		"a binary token that is long":   {headers: metadata.MD{"auth-token-bin": {long}}, refusal: "expected at most 16384 bytes of credentials in the header auth-token-bin, got 16385"},
		"another scheme's that is long": {headers: metadata.MD{"authorization": {"ApiKey " + long}}, refusal: "expected at most 16384 bytes"},
		"a password that is long":       {headers: metadata.MD{"authorization": {"Basic " + encoded("ada:"+strings.Repeat("x", maxPassword+1))}}, refusal: "a password of at most 1024"},
		"a name that is long":           {headers: metadata.MD{"authorization": {"Basic " + encoded(strings.Repeat("x", maxName+1)+":secret")}}, refusal: "expected a name of at most 256 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fromHeaders(tt.headers)
			if tt.refusal != "" {
				wantRefusal(t, err, errUnauthenticated, tt.refusal, "secret", encoded("secret"), long)
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add("Basic "+encoded("a:b"), "", "", byte(1))
	f.Add("Bearer x", "y", "z", byte(7))
	f.Fuzz(func(t *testing.T, authorization, token, binary string, which byte) {
		headers := metadata.MD{}
		for i, h := range []struct{ key, value string }{{"authorization", authorization}, {"auth-token-bin", token}, {"authorization-bin", binary}, {"authorization", authorization}} {
			if which&(1<<i) != 0 {
				headers.Append(h.key, h.value)
			}
		}
		c, err := fromHeaders(headers)
		switch {
		case err != nil && !errors.Is(err, errUnauthenticated):
			t.Errorf("ended with %v", err)
		case err != nil && c != Credentials{}:
			t.Errorf("refused, and got %+v", c)
		case err == nil && (c.Scheme == "") != (which&15 == 0):
			t.Errorf("of %v: %+v", headers, c)
		case len(c.Token) > maxToken || len(c.Name) > maxName || len(c.Password) > maxPassword:
			t.Errorf("too long, and let in: %+v", c)
		}
	})
}

func FuzzHandshake(f *testing.F) {
	payload, err := proto.Marshal(&flight.BasicAuth{Username: "ada", Password: "secret"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := fromHandshake(payload)
		if err == nil && (c.Scheme != SchemeBasic || len(c.Name) > maxName || len(c.Password) > maxPassword) {
			t.Errorf("got %+v", c)
		}
		if err != nil && !errors.Is(err, flightruntime.ErrInvalid) && !errors.Is(err, errUnauthenticated) {
			t.Errorf("ended with %v", err)
		}
	})
}
