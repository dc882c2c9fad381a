package flightruntime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// whoService tells callers who they are.
type whoService struct{ flightruntime.BaseService }

func (whoService) GetFlightInfo(ctx context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	info := flightruntime.NewFlightInfo(tides, d)
	info.AppMetadata = []byte(flightruntime.CallOf(ctx).PeerIdentity())
	return info, nil
}

// who asks who one is.
func who(client *flightruntime.Client, opts ...flightruntime.CallOption) (string, error) {
	info, err := client.GetFlightInfo(context.Background(), flightruntime.DescriptorForPath("me"), opts...)
	return string(info.GetAppMetadata()), err
}

// watchword lets in who knows it. Its tokens are names with a seal.
type watchword struct{}

// Authenticate negotiates once.
func (watchword) Authenticate(_ context.Context, conversation flightruntime.AuthConversation) error {
	name, err := conversation.Read()
	if err != nil {
		return err
	}
	if err := conversation.Write([]byte("the watchword?")); err != nil {
		return err
	}
	word, err := conversation.Read()
	if err != nil {
		return err
	}
	if string(word) != "high water" {
		return flightruntime.Errorf(flightruntime.KindUnauthenticated, "that is not the watchword")
	}
	return conversation.Write([]byte("sealed:" + string(name)))
}

// IsValid knows the bearer of a token, on each call.
func (watchword) IsValid(_ context.Context, token []byte) (identity string, err error) {
	name, sealed := strings.CutPrefix(string(token), "sealed:")
	if !sealed {
		return "", errors.New("show a sealed token")
	}
	return name, nil
}

// guest is its client.
type guest struct {
	name, word string
	token      []byte
}

// Authenticate negotiates once.
func (g *guest) Authenticate(_ context.Context, conversation flightruntime.AuthConversation) (err error) {
	if err := conversation.Write([]byte(g.name)); err != nil {
		return err
	}
	if _, err := conversation.Read(); err != nil {
		return err
	}
	if err := conversation.Write([]byte(g.word)); err != nil {
		return err
	}
	g.token, err = conversation.Read()
	return err
}

// Token goes with each call.
func (g *guest) Token(context.Context) ([]byte, error) { return g.token, nil }

// Auth handlers negotiate once; after that a token goes with each call.
func ExampleServerAuthHandler() {
	_, err := flightruntime.NewServer("grpc://127.0.0.1:0", whoService{}, flightruntime.ServerOptions{Auth: watchword{}})
	fmt.Println("without TLS:", strings.Contains(err.Error(), "use a location of the scheme grpc+tls"))

	location, stop := serve(whoService{}, flightruntime.ServerOptions{
		Auth:         watchword{},
		InsecureAuth: flightruntime.AllowInsecureAuth, // on loopback
	})
	defer stop()
	client, err := flightruntime.Connect(location, flightruntime.ClientOptions{InsecureAuth: flightruntime.AllowInsecureAuth})
	must(err)
	defer client.Close()

	_, err = who(client)
	fmt.Println(err)
	fmt.Println(client.Authenticate(context.Background(), &guest{name: "ada", word: "low water"}))
	must(client.Authenticate(context.Background(), &guest{name: "ada", word: "high water"}))
	fmt.Println(who(client))
	// Output:
	// without TLS: true
	// flight: unauthenticated: show a sealed token
	// flight: unauthenticated: that is not the watchword
	// ada <nil>
}

// BasicAuth takes names and passwords in all the ways that Flight clients have.
func ExampleBasicAuth() {
	basic := flightruntime.NewBasicAuth(func(_ context.Context, name, password string) (identity string, err error) {
		if name != "ada" || password != "love:lace" {
			return "", errors.New("wrong name or password")
		}
		return "Ada Lovelace", nil
	}, nil)
	location, stop := serve(whoService{}, flightruntime.ServerOptions{
		Auth:         basic,
		InsecureAuth: flightruntime.AllowInsecureAuth, // on loopback
	})
	defer stop()
	client, err := flightruntime.Connect(location, flightruntime.ClientOptions{InsecureAuth: flightruntime.AllowInsecureAuth})
	must(err)
	defer client.Close()

	// By headers, as pyarrow's authenticate_basic_token.
	ctx := context.Background()
	_, err = client.AuthenticateBasicToken(ctx, "ada", "guess")
	fmt.Println(err)
	bearer, err := client.AuthenticateBasicToken(ctx, "ada", "love:lace")
	must(err)
	fmt.Println(who(client, bearer))

	// By a handshake, as pyarrow's authenticate.
	must(client.Authenticate(ctx, flightruntime.BasicHandshake("ada", "love:lace")))
	fmt.Println(who(client))
	// Output:
	// flight: unauthenticated: the name, the password or the token is wrong or has expired: authenticate again
	// Ada Lovelace <nil>
	// Ada Lovelace <nil>
}
