package flightruntime

import (
	"encoding/json"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// OperatorTokens are how the operator shows a server without TLS, to which it cannot show its certificate, who it is: a token with each call, signed
// with that server's own keys. It is good for as little as the certificate (Call.IsOperator), and no user is let in by it. Whoever reads the network
// can use one again while it is good, and learns what the answer to the operator has told them anyway.
type OperatorTokens struct {
	// Keys sign the tokens, and are what they are checked by. They are asked for at each: keys may change.
	Keys func() *signing.Keyring
	// Audience is the server: NAMESPACE/NAME of the FlightServer. A token for another one is refused.
	Audience string
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// HeaderOperatorToken is the header that carries the operator's token, and nothing else.
const HeaderOperatorToken = "flight-operator-token-bin"

const (
	// OperatorTokenLifetime is how long a token is good for: each is made for one call.
	OperatorTokenLifetime = time.Minute
	// operatorClocks is how much the clocks of the operator's node and the server's may differ.
	operatorClocks = 30 * time.Second
	// maxOperatorToken is several times the longest one, in bytes: beyond, no hash is computed.
	maxOperatorToken = 1 << 10
)

// operatorToken is what a token says.
type operatorToken struct {
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"` // Unix seconds
}

// Show makes a call the operator's.
func (t OperatorTokens) Show() (CallOption, error) {
	payload, err := json.Marshal(operatorToken{t.Audience, t.now().Add(OperatorTokenLifetime).Unix()})
	if err != nil {
		return nil, err
	}
	return WithHeader(HeaderOperatorToken, string(t.Keys().Sign(signing.Operator, payload))), nil
}

// Check tells whether the headers of a call show a token of the operator's. An error, of KindUnauthenticated, refuses one that is not good; it is the
// same each time, and shows nothing of the token.
func (t OperatorTokens) Check(headers metadata.MD) (shown bool, err error) {
	tokens := headers.Get(HeaderOperatorToken)
	switch {
	case len(tokens) == 0:
		return false, nil
	case len(tokens) > 1:
		return false, notOperator("expected one, got several")
	case len(tokens[0]) > maxOperatorToken:
		return false, notOperator("it is longer than 1 KiB")
	}
	payload, err := t.Keys().Open(signing.Operator, []byte(tokens[0]))
	if err != nil {
		return false, notOperator("none of this server's signing keys has signed it")
	}
	var said operatorToken
	if err := json.Unmarshal(payload, &said); err != nil {
		return false, notOperator("it cannot be read")
	}
	left := time.Unix(said.Expires, 0).Sub(t.now())
	switch {
	case said.Audience != t.Audience:
		return false, notOperator("it is for another server")
	case left <= -operatorClocks:
		return false, notOperator("it has expired; check the clocks of both nodes")
	case left > OperatorTokenLifetime+operatorClocks:
		return false, notOperator("it is good for longer than tokens are; check the clocks of both nodes")
	}
	return true, nil
}

func (t OperatorTokens) now() time.Time {
	if t.Now != nil {
		return t.Now()
	}
	return time.Now()
}

func notOperator(why string) error {
	return Errorf(KindUnauthenticated, "the operator's token in the header %s is not good: %s", HeaderOperatorToken, why)
}
