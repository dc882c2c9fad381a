package flightserver

import (
	"context"
	"encoding/base64"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/apache/arrow-go/v18/arrow/flight"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// The one user there is, and the bearer token that Bearer gives.
const (
	User     = "skipper"
	Password = "ebb:and flow" //nolint:gosec // of a test; a password may have a colon
	token    = "t0k3n"        //nolint:gosec // of a test
)

// ByProto is a flightruntime.ServerAuthHandler whose handshake takes a message BasicAuth, and whose tokens are the names.
type ByProto struct{}

// Authenticate checks a name and a password.
func (ByProto) Authenticate(_ context.Context, conversation flightruntime.AuthConversation) error {
	payload, err := conversation.Read()
	if err != nil {
		return err
	}
	var sent flight.BasicAuth
	if err := proto.Unmarshal(payload, &sent); err != nil {
		return flightruntime.Errorf(flightruntime.KindInvalid, "expected a message BasicAuth: %w", err)
	}
	switch {
	case sent.GetUsername() != User:
		return flightruntime.Errorf(flightruntime.KindUnauthenticated, "unknown user")
	case sent.GetPassword() != Password:
		return flightruntime.Errorf(flightruntime.KindUnauthenticated, "wrong password")
	default:
		return conversation.Write([]byte(sent.GetUsername()))
	}
}

// IsValid knows the user.
func (ByProto) IsValid(_ context.Context, token []byte) (string, error) {
	if string(token) != User {
		return "", flightruntime.Errorf(flightruntime.KindUnauthenticated, "%d bytes that are no token of ours", len(token))
	}
	return string(token), nil
}

// ByQuestions is a flightruntime.ServerAuthHandler whose handshake asks for the name and the password in messages of their own.
type ByQuestions struct{}

// Authenticate asks.
func (ByQuestions) Authenticate(_ context.Context, conversation flightruntime.AuthConversation) error {
	name, err := conversation.Read()
	if err != nil {
		return err
	}
	if err := conversation.Write([]byte("and the password?")); err != nil {
		return err
	}
	password, err := conversation.Read()
	if err != nil {
		return err
	}
	if string(name) != User || string(password) != Password {
		return flightruntime.Errorf(flightruntime.KindUnauthenticated, "the name or the password is wrong")
	}
	return conversation.Write(append([]byte("pass of "), name...))
}

// IsValid takes the passes.
func (ByQuestions) IsValid(_ context.Context, token []byte) (string, error) {
	name, ok := strings.CutPrefix(string(token), "pass of ")
	if !ok {
		return "", flightruntime.Errorf(flightruntime.KindUnauthenticated, "expected a pass")
	}
	return name, nil
}

// Anybody is a flightruntime.ServerAuthHandler that leaves authentication to middleware.
type Anybody struct{}

// Authenticate has nothing to say.
func (Anybody) Authenticate(context.Context, flightruntime.AuthConversation) error { return nil }

// IsValid takes everybody.
func (Anybody) IsValid(context.Context, []byte) (string, error) { return "", nil }

// Bearer is a factory of middleware that takes a name and a password in an Authorization header, and gives a token that it takes too.
func Bearer() flightruntime.ServerMiddlewareFactory {
	return flightruntime.ServerMiddlewareFunc(func(_ context.Context, call *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(User+":"+Password))
		sent := strings.Join(call.Headers().Get("authorization"), "")
		if sent != basic && sent != "Bearer "+token {
			return nil, flightruntime.Errorf(flightruntime.KindUnauthenticated, "expected the skipper's credentials")
		}
		call.SetPeerIdentity(User)
		return &SendHeaders{MD: metadata.Pairs("authorization", "Bearer "+token), Greeting: token}, nil
	})
}

// Validate is for flightruntime.NewBasicAuth.
func Validate(_ context.Context, name, password string) (string, error) {
	if name != User || password != Password {
		return "", flightruntime.ErrUnauthenticated
	}
	return name, nil
}
