package flightruntime

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// ClientAuthHandler authenticates a client by a handshake, then by a token: pyarrow's ClientAuthHandler.
type ClientAuthHandler interface {
	// Authenticate negotiates with the server.
	Authenticate(ctx context.Context, conversation AuthConversation) error
	// Token is what goes with every call after the handshake. It is called for each.
	Token(ctx context.Context) ([]byte, error)
}

// Authenticate makes the handshake; its handler's token goes with every later call.
func (c *Client) Authenticate(ctx context.Context, handler ClientAuthHandler, opts ...CallOption) error {
	if err := c.mayAuthenticate(); err != nil {
		return err
	}
	ctx, s := newCallSettings(ctx, opts)
	defer s.cancel()
	stream, err := c.rpc.Handshake(ctx)
	if err != nil {
		return s.failed(err)
	}
	conversation := &clientHandshake{stream}
	if err := handler.Authenticate(ctx, conversation); err != nil {
		return s.failed(err)
	}
	if err := conversation.finish(); err != nil {
		return s.failed(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.auth = handler
	return nil
}

// AuthenticateBasicToken authenticates by name and password in an Authorization header, and gives the option that sends the bearer token
// got for it with a call.
func (c *Client) AuthenticateBasicToken(ctx context.Context, name, password string, opts ...CallOption) (CallOption, error) {
	if err := c.mayAuthenticate(); err != nil {
		return nil, err
	}
	credentials := base64.StdEncoding.EncodeToString([]byte(name + ":" + password))
	ctx, s := newCallSettings(ctx, append(slices.Clip(opts), WithHeader(headerAuthorization, schemeBasic+" "+credentials)))
	defer s.cancel()
	stream, err := c.rpc.Handshake(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	if err := (&clientHandshake{stream}).finish(); err != nil {
		return nil, s.failed(err)
	}
	header, err := stream.Header()
	if err != nil {
		return nil, s.failed(err)
	}
	for _, md := range []metadata.MD{header, stream.Trailer()} {
		for _, v := range md.Get(headerAuthorization) {
			if scheme, _, _ := strings.Cut(v, " "); strings.EqualFold(scheme, schemeBearer) {
				return WithHeader(headerAuthorization, v), nil
			}
		}
	}
	return nil, Errorf(KindUnauthenticated, "the server answered without a bearer token: expected a header authorization: Bearer TOKEN")
}

// mayAuthenticate refuses to send credentials where others can read them.
func (c *Client) mayAuthenticate() error {
	if c.location.scheme != SchemeTCP || c.options.InsecureAuth == AllowInsecureAuth {
		return nil
	}
	return Errorf(KindUnauthenticated, "authentication at %s without TLS would show the credentials to whoever listens on the way: "+
		"use a location of the scheme grpc+tls, or set ClientOptions.InsecureAuth to AllowInsecureAuth", c.location)
}

// maySend refuses a call that would carry credentials where others can read them, wherever they come from: an option, a middleware, the
// context.
func (c *Client) maySend(ctx context.Context) error {
	headers, _ := metadata.FromOutgoingContext(ctx)
	if len(headers.Get(headerAuthorization)) == 0 && len(headers.Get(headerAuthToken)) == 0 {
		return nil
	}
	return c.mayAuthenticate()
}

// withToken sends the token of the handshake with a call.
func (c *Client) withToken(ctx context.Context, method Method) (context.Context, error) {
	c.mu.RLock()
	handler := c.auth
	c.mu.RUnlock()
	if handler == nil || method == MethodHandshake {
		return ctx, nil
	}
	token, err := handler.Token(ctx)
	if err != nil {
		return ctx, unauthenticated(ctx, err)
	}
	return metadata.AppendToOutgoingContext(ctx, headerAuthToken, string(token)), nil
}

// BasicHandshake is the ClientAuthHandler for a server's BasicAuth: it sends a message BasicAuth of Flight.proto and keeps the token.
// It may authenticate again, for a new token, while calls are running.
func BasicHandshake(name, password string) ClientAuthHandler {
	return &basicHandshake{name: name, password: password}
}

type basicHandshake struct {
	name, password string
	token          atomic.Pointer[[]byte]
}

func (b *basicHandshake) Authenticate(_ context.Context, conversation AuthConversation) error {
	payload, err := proto.Marshal(&flight.BasicAuth{Username: b.name, Password: b.password})
	if err != nil {
		return err
	}
	if err := conversation.Write(payload); err != nil {
		return err
	}
	token, err := conversation.Read()
	if errors.Is(err, io.EOF) {
		return Errorf(KindUnauthenticated, "the server ended the handshake without a token")
	}
	if err != nil {
		return err
	}
	b.token.Store(&token)
	return nil
}

func (b *basicHandshake) Token(context.Context) ([]byte, error) {
	token := b.token.Load()
	if token == nil {
		return nil, errors.New("there is no token before the handshake: call Client.Authenticate")
	}
	return *token, nil
}
