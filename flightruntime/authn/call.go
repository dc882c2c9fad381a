package authn

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// StartCall finds out who calls, by headers and certificate. A login by header gets its token back in headers and trailers: clients look in either.
func (a *Authenticator) StartCall(ctx context.Context, call *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
	m := a.methods.Load()
	if call.IsOperator() || !m.asked() {
		return nil, nil //nolint:nilnil // no part in the call
	}
	c, err := fromHeaders(call.Headers())
	if err != nil {
		return nil, a.observed(nil, err)
	}
	if call.Method() == flightruntime.MethodHandshake && c.Scheme == "" {
		return nil, nil //nolint:nilnil // AnswerHandshake asks
	}
	c.Certificate, c.Peer = call.PeerCertificate(), call.Peer()
	id, token, err := a.identify(ctx, m, c)
	if a.observed(id, err) != nil {
		return nil, err
	}
	if token != "" {
		bearer := "Bearer " + token
		if err := errors.Join(call.AddHeader(headerAuthorization, bearer), call.AddTrailer(headerAuthorization, bearer)); err != nil {
			return nil, err
		}
	}
	call.SetPeerIdentity(id.User)
	return admitted{id}, nil
}

// admitted is the middleware of a call whose caller is known.
type admitted struct{ id *Identity }

func (a admitted) Context(ctx context.Context) context.Context { return WithIdentity(ctx, a.id) }
func (admitted) SendingHeaders() metadata.MD                   { return nil }
func (admitted) CallCompleted(error)                           {}

// AnswerHandshake takes a message BasicAuth of Flight.proto, and gives a token that is good as auth-token-bin and as Authorization: Bearer. Who has
// logged in by a header has got it already.
func (a *Authenticator) AnswerHandshake(ctx context.Context, conversation flightruntime.AuthConversation) error {
	if _, ok := IdentityOf(ctx); ok {
		return nil
	}
	m := a.methods.Load()
	if !slices.ContainsFunc(m.all, func(c configured) bool { _, ok := c.Method.(Exchanger); return ok }) {
		return flightruntime.Errorf(flightruntime.KindNotImplemented, "this server takes no names and passwords: call it without a handshake")
	}
	payload, err := conversation.Read()
	if errors.Is(err, io.EOF) {
		return refused("expected a message BasicAuth of Flight.proto or the header authorization, got neither")
	}
	if err != nil {
		return err
	}
	c, err := fromHandshake(payload)
	if err != nil {
		return a.observed(nil, err)
	}
	c.Peer = flightruntime.CallOf(ctx).Peer()
	id, token, err := a.identify(ctx, m, c)
	if a.observed(id, err) != nil {
		return err
	}
	if token == "" {
		return refused("this server gives no tokens for the name and the password: call it without a handshake, with the header authorization: Basic")
	}
	return conversation.Write([]byte(token))
}

// fromHandshake are the credentials in the first message of a handshake.
func fromHandshake(payload []byte) (Credentials, error) {
	var sent flight.BasicAuth
	if len(payload) > maxToken || proto.Unmarshal(payload, &sent) != nil {
		return Credentials{}, flightruntime.Errorf(flightruntime.KindInvalid, "expected a message BasicAuth of Flight.proto, got %d bytes that are none", len(payload))
	}
	return fromPassword(sent.GetUsername(), sent.GetPassword())
}

// identify tells whose credentials are, and gives the token that they are to be exchanged for; empty: they are not.
func (a *Authenticator) identify(ctx context.Context, m *methods, c Credentials) (id *Identity, token string, err error) {
	if c.Scheme == SchemeBearer {
		if id, err = a.logins.take(ctx, c.Token, m); err == nil {
			return authenticated(id), "", nil
		} else if !errors.Is(err, ErrOtherMethod) {
			return nil, "", asRefusal(ctx, err)
		}
	}
	why := []error{err}
	var later error // of a method that may know the credentials later
	for _, method := range m.all {
		id, err := method.Authenticate(ctx, c)
		switch {
		case errors.Is(err, ErrOtherMethod):
			why = append(why, err)
			continue
		case errors.Is(err, flightruntime.ErrUnavailable):
			if later == nil {
				later = err
			}
			continue
		case err != nil:
			return nil, "", asRefusal(ctx, err)
		}
		if by, ok := method.Method.(Exchanger); ok {
			token, err = a.logins.give(by, id)
		}
		return authenticated(id), token, err
	}
	switch {
	case later != nil:
		return nil, "", later
	case c.Scheme == "" && m.anonymous:
		return anonymous, "", nil
	case c.Scheme == "":
		return nil, "", refused("expected credentials (%s), got none", m.wanted())
	case c.Scheme == SchemeBasic && !m.takes(MethodBasic), c.Scheme != SchemeBasic && c.Scheme != SchemeBearer:
		return nil, "", refused("expected other credentials (%s): this server knows none of the kind that came", m.wanted())
	}
	a.tools.log.DebugContext(ctx, "credentials are nobody's", "peer", c.Peer, "error", errors.Join(why...))
	return nil, "", errWrong
}

// asRefusal is the error of a method as the caller gets it.
func asRefusal(ctx context.Context, err error) error {
	if _, known := status.FromError(err); known || ctx.Err() != nil {
		return err
	}
	return refused("%w", err)
}

// observed tells the observer what became of a caller.
func (a *Authenticator) observed(id *Identity, err error) error {
	switch {
	case err == nil:
		a.observe(Attempt{id.Method, OutcomeAccepted})
	case errors.Is(err, flightruntime.ErrUnavailable):
		a.observe(Attempt{"", OutcomeUnavailable})
	default:
		a.observe(Attempt{"", OutcomeRefused})
	}
	return err
}
