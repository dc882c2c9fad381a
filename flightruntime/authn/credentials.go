package authn

import (
	"encoding/base64"
	"strings"

	"google.golang.org/grpc/metadata"
)

// Headers that carry credentials. The second is Arrow's own, for the token that a handshake gave. The third is what some make of the first;
// nobody reads it, so it is refused rather than passed over.
const (
	headerAuthorization       = "authorization"
	headerAuthToken           = "auth-token-bin"
	headerAuthorizationBinary = "authorization-bin"
)

// Bounds of what a caller shows, in bytes: beyond, it is refused before anything is made of it.
const (
	// maxToken is many times what issuers make, and half of what HTTP servers take as headers by custom.
	maxToken = 16 << 10
	// maxPassword is beyond what people and password managers make. bcrypt looks at the first 72 bytes.
	maxPassword = 1 << 10
)

// fromHeaders are the credentials in the headers of a call. Its errors show nothing of them.
func fromHeaders(headers metadata.MD) (Credentials, error) {
	authorization, token := headers.Get(headerAuthorization), headers.Get(headerAuthToken)
	switch {
	case len(headers.Get(headerAuthorizationBinary)) > 0:
		return Credentials{}, refused("expected the header authorization, which is text, got authorization-bin")
	case len(authorization) > 1:
		return Credentials{}, refused("expected one header authorization, got %d", len(authorization))
	case len(token) > 1:
		return Credentials{}, refused("expected one header auth-token-bin, got %d", len(token))
	case len(authorization) > 0 && len(token) > 0:
		return Credentials{}, refused("expected one kind of credentials, got the headers authorization and auth-token-bin: send one of them")
	case len(authorization) > 0:
		return fromAuthorization(authorization[0])
	case len(token) > 0:
		return fromToken(headerAuthToken, token[0])
	}
	return Credentials{}, nil
}

func fromAuthorization(value string) (Credentials, error) {
	scheme, rest, found := strings.Cut(strings.TrimSpace(value), " ")
	scheme, rest = strings.ToLower(scheme), strings.TrimSpace(rest)
	switch {
	case !found || rest == "":
		return Credentials{}, refused("expected the header authorization with a scheme and credentials (Bearer TOKEN), got %d bytes without a space", len(value))
	case len(rest) > maxToken:
		return Credentials{}, tooLong(headerAuthorization, rest)
	case scheme == SchemeBearer:
		return fromToken(headerAuthorization, rest)
	case scheme != SchemeBasic:
		return Credentials{Scheme: scheme, Token: rest}, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(rest)
	name, password, found := strings.Cut(string(decoded), ":")
	if err != nil || !found {
		return Credentials{}, refused("expected the header authorization: Basic BASE64(NAME:PASSWORD)")
	}
	return fromPassword(name, password)
}

func fromToken(header, token string) (Credentials, error) {
	switch {
	case token == "":
		return Credentials{}, refused("expected a token in the header %s, got an empty one", header)
	case len(token) > maxToken:
		return Credentials{}, tooLong(header, token)
	}
	return Credentials{Scheme: SchemeBearer, Token: token}, nil
}

func fromPassword(name, password string) (Credentials, error) {
	if len(name) > maxName || len(password) > maxPassword {
		return Credentials{}, refused("expected a name of at most %d bytes and a password of at most %d", maxName, maxPassword)
	}
	return Credentials{Scheme: SchemeBasic, Name: name, Password: password}, nil
}

func tooLong(header, value string) error {
	return refused("expected at most %d bytes of credentials in the header %s, got %d", maxToken, header, len(value))
}
