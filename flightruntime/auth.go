package flightruntime

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/status"
)

// headerAuthToken carries the token that a handshake gave, on each call after it (Arrow's C++ implementation calls it so).
const headerAuthToken = "auth-token-bin"

// ServerAuthHandler authenticates clients by a handshake, then by the token that it gave: pyarrow's ServerAuthHandler.
type ServerAuthHandler interface {
	// Authenticate negotiates with a client. What it writes last is usually the token. An error refuses the client: of KindUnauthenticated,
	// unless it says otherwise.
	Authenticate(ctx context.Context, conversation AuthConversation) error
	// IsValid tells, on every other RPC, who the bearer of a token is; the token is empty if the client sent none. The identity is what
	// Call.PeerIdentity then is. An error refuses the call: of KindUnauthenticated, unless it says otherwise.
	IsValid(ctx context.Context, token []byte) (identity string, err error)
}

// AuthConversation is a handshake's stream of messages, seen from one side.
type AuthConversation interface {
	// Read waits for the other side's next message; io.EOF when there will be none.
	Read() ([]byte, error)
	// Write sends a message.
	Write(payload []byte) error
}

// authenticated finds out who calls, before any middleware.
func authenticated(ctx context.Context, call *Call, handler ServerAuthHandler) error {
	if handler == nil || call.Method() == MethodHandshake || call.IsOperator() {
		return nil
	}
	var token []byte
	if sent := call.Headers().Get(headerAuthToken); len(sent) > 0 {
		token = []byte(sent[0])
	}
	identity, err := handler.IsValid(ctx, token)
	if err != nil {
		return unauthenticated(ctx, err)
	}
	call.SetPeerIdentity(identity)
	return nil
}

// unauthenticated is what an auth handler's error becomes, unless it is one that says what kind it is, or the call has ended.
func unauthenticated(ctx context.Context, err error) error {
	if _, known := status.FromError(err); err == nil || known || ctx.Err() != nil {
		return err
	}
	return Errorf(KindUnauthenticated, "%w", err)
}

// handshakes is what answers handshakes; nil if nothing does.
func (o ServerOptions) handshakes() func(context.Context, AuthConversation) error {
	if o.Auth != nil {
		return o.Auth.Authenticate
	}
	for _, m := range o.Middleware {
		if h, ok := m.Factory.(HandshakeMiddleware); ok {
			return h.AnswerHandshake
		}
	}
	return nil
}

// Handshake hands a client's handshake to the auth handler, or the middleware that answers it.
func (a *adapter) Handshake(stream flight.FlightService_HandshakeServer) error {
	ctx := stream.Context()
	if a.handshake == nil {
		if CallOf(ctx).PeerIdentity() != "" { // a middleware has found out by the headers, as authenticate_basic_token wants it
			return nil
		}
		return Errorf(KindNotImplemented, "no authentication by handshake is configured on this server: call it without one")
	}
	return unauthenticated(ctx, a.handshake(ctx, &handshake{stream}))
}

type handshake struct {
	stream flight.FlightService_HandshakeServer
}

func (h *handshake) Read() ([]byte, error) {
	m, err := h.stream.Recv()
	return m.GetPayload(), err
}

func (h *handshake) Write(payload []byte) error {
	return h.stream.Send(&flight.HandshakeResponse{Payload: payload})
}

// clientHandshake is a handshake seen from the client.
type clientHandshake struct {
	stream flight.FlightService_HandshakeClient
}

func (h *clientHandshake) Read() ([]byte, error) {
	m, err := h.stream.Recv()
	return m.GetPayload(), err
}

func (h *clientHandshake) Write(payload []byte) error {
	err := h.stream.Send(&flight.HandshakeRequest{Payload: payload})
	if !errors.Is(err, io.EOF) {
		return err
	}
	// The server has ended the handshake; grpc-go tells why to those who read.
	if err := h.drain(); err != nil {
		return err
	}
	return Errorf(KindUnauthenticated, "the server has ended the handshake and takes no more messages")
}

// finish reads the handshake to its end, for the headers and trailers that come with it.
func (h *clientHandshake) finish() error {
	if err := h.stream.CloseSend(); err != nil {
		return err
	}
	return h.drain()
}

func (h *clientHandshake) drain() error {
	for {
		if _, err := h.stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
