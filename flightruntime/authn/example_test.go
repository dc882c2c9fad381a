package authn_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authn"
)

// whoService tells callers who they are.
type whoService struct{ flightruntime.BaseService }

func (whoService) GetFlightInfo(ctx context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	who := "nobody that was asked"
	if id, ok := authn.IdentityOf(ctx); ok {
		who = fmt.Sprintf("%s of %q by %s", id.User, id.Groups, id.Method)
	}
	return &flightruntime.FlightInfo{FlightDescriptor: d, AppMetadata: []byte(who)}, nil
}

// apiKeys is a method of one's own: callers send the header authorization: ApiKey KEY.
type apiKeys map[string]string

// Name is what Identity.Method then is.
func (apiKeys) Name() string { return "apiKey" }

// Authenticate looks the key up.
func (k apiKeys) Authenticate(_ context.Context, c authn.Credentials) (*authn.Identity, error) {
	if c.Scheme != "apikey" { // schemes come in lower case
		return nil, authn.ErrOtherMethod
	}
	user, ok := k[c.Token]
	if !ok {
		return nil, errors.New("the API key is not known: ask for one")
	}
	return &authn.Identity{User: user, Groups: []string{"machines"}, Method: k.Name()}, nil
}

// A server that takes bearer tokens of a file, API keys, and callers without either.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "authn-")
	must(err)
	defer os.RemoveAll(dir)
	tokens := filepath.Join(dir, "tokens")
	must(os.WriteFile(tokens, []byte("made-once,ada,analysts|admins\n"), 0o600))

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // the file is followed until then
	who, err := authn.New(ctx, authn.Settings{
		Bearer:    &authn.Bearer{TokensFile: tokens},
		Own:       []authn.Method{apiKeys{"k1": "loader"}},
		Anonymous: true,
	}, authn.Options{})
	must(err)
	server, err := flightruntime.NewServer("grpc://127.0.0.1:0", whoService{}, flightruntime.ServerOptions{
		Middleware:   []flightruntime.NamedServerMiddleware{{Name: "authn", Factory: who}},
		InsecureAuth: flightruntime.AllowInsecureAuth, // on loopback
	})
	must(err)
	server.Start()
	defer server.Shutdown(ctx)

	client, err := flightruntime.Connect(server.Location().String(), flightruntime.ClientOptions{InsecureAuth: flightruntime.AllowInsecureAuth})
	must(err)
	defer client.Close()
	for _, header := range []string{"Bearer made-once", "ApiKey k1", "ApiKey k2", ""} {
		var options []flightruntime.CallOption
		if header != "" {
			options = append(options, flightruntime.WithHeader("authorization", header))
		}
		info, err := client.GetFlightInfo(ctx, flightruntime.DescriptorForPath("me"), options...)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(string(info.GetAppMetadata()))
	}
	// Output:
	// ada of ["analysts" "admins" "system:authenticated"] by bearer
	// loader of ["machines" "system:authenticated"] by apiKey
	// flight: unauthenticated: the API key is not known: ask for one
	// system:anonymous of ["system:unauthenticated"] by anonymous
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
