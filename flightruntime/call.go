package flightruntime

import (
	"context"
	"crypto/x509"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// Call is what a service knows of a running call: pyarrow's ServerCallContext. It is safe for use by several goroutines.
type Call struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc // of ctx
	method   Method
	headers  metadata.MD
	operator bool
	leaf     *x509.Certificate
	basic    basicIdentity // of before the service sees the call, by one goroutine

	mu         sync.Mutex
	identity   string
	middleware []namedMiddleware
	ends       []func() // of OnEnd
	ended      bool
}

// namedMiddleware is the middleware of a call, which has few, by its factory's name.
type namedMiddleware struct {
	name string
	ServerMiddleware
}

type callKey struct{}

// CallOf is the call that a context belongs to; nil for a context that is not of a call.
func CallOf(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// newCall is the call of a gRPC stream's context, which the returned context knows. The caller ends it.
func newCall(ctx context.Context, method Method, who caller, headers metadata.MD) (*Call, context.Context) {
	c := &Call{method: method, headers: headers, identity: who.identity, operator: who.operator, leaf: who.leaf}
	ctx, c.cancel = context.WithCancelCause(context.WithValue(ctx, callKey{}, c))
	c.ctx = ctx
	return c, ctx
}

// Method is the RPC.
func (c *Call) Method() Method { return c.method }

// Peer is the client's address, as the network tells it: "10.0.0.7:40312".
func (c *Call) Peer() string {
	if p, ok := peer.FromContext(c.ctx); ok {
		return p.Addr.String()
	}
	return ""
}

// PeerIdentity is who calls, as the auth handler or a middleware found, or else as the client's TLS certificate says; empty if nobody
// asked.
func (c *Call) PeerIdentity() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.identity
}

// IsOperator is true where the operator calls, which its certificate proves (ServerOptions.TLSSource), or its token (ServerOptions.OperatorTokens). It may ask by DoAction how the server
// fares, no more. The auth handler does not see it, but middleware does: one that authenticates is to let it pass. False on a nil Call.
func (c *Call) IsOperator() bool { return c != nil && c.operator }

// PeerCertificate is the client's TLS certificate, verified by the CAs of this server's clients; nil if there is none, or if the operator
// calls. It is not to be changed.
func (c *Call) PeerCertificate() *x509.Certificate { return c.leaf }

// SetPeerIdentity says who calls: for middleware that authenticates.
func (c *Call) SetPeerIdentity(identity string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.identity = identity
}

// Headers are what the client sent, with keys in lower case. Values of keys that end in "-bin" are binary. They are not to be changed.
func (c *Call) Headers() metadata.MD { return c.headers }

// Middleware is the middleware of that name that takes part in the call; nil if there is none.
func (c *Call) Middleware(name string) ServerMiddleware {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range slices.Backward(c.middleware) { // of several of a name, the last
		if m.name == name {
			return m.ServerMiddleware
		}
	}
	return nil
}

// expectMiddleware makes room for so many.
func (c *Call) expectMiddleware(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.middleware = slices.Grow(c.middleware, n)
}

func (c *Call) addMiddleware(name string, m ServerMiddleware) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.middleware = append(c.middleware, namedMiddleware{name, m})
}

// OnEnd has a function called when the call has ended: when the service has answered and the middleware knows, or at once if that was before. It is called
// on every path, after the call's context is done, by the goroutine of the call. It must not block.
func (c *Call) OnEnd(f func()) {
	c.mu.Lock()
	ended := c.ended
	if !ended {
		c.ends = append(c.ends, f)
	}
	c.mu.Unlock()
	if ended {
		f()
	}
}

// end ends the call, once.
func (c *Call) end() {
	c.cancel(nil)
	c.mu.Lock()
	ends := c.ends
	c.ends, c.ended = nil, true
	c.mu.Unlock()
	for _, f := range ends {
		f()
	}
}

// IsCancelled is true as soon as the client has cancelled the call, has gone away, or its deadline has passed. Nobody has to poll it: the
// context of the call is done at the same moment.
func (c *Call) IsCancelled() bool { return c.ctx.Err() != nil }

// End ends the call with an error, which the client gets whatever the service returns. The call's context is done at once. What waits for a
// client, to read or to send, ends a second later: by then grpc-go has told it no more than CANCELLED. It does nothing where the call has
// ended.
func (c *Call) End(err *Error) {
	c.cancel(err)
	if cancel := cancelOf(c.ctx); cancel != nil {
		time.AfterFunc(unwind, func() { cancel(err) })
	}
}

// AddHeader adds a header to the answer, of one value or several. Values of keys that end in "-bin" are binary. It is an error once the
// headers have been sent: with the first message, and in DoAction as soon as the method has returned its sequence.
func (c *Call) AddHeader(key string, values ...string) error {
	md, err := sendable(metadata.MD{key: values})
	if err != nil {
		return err
	}
	return grpc.SetHeader(c.ctx, md)
}

// AddTrailer adds a trailer to the answer: a header that follows the last message, also where the call fails.
func (c *Call) AddTrailer(key string, values ...string) error {
	md, err := sendable(metadata.MD{key: values})
	if err != nil {
		return err
	}
	return grpc.SetTrailer(c.ctx, md)
}
