package session

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// CookieName is that of the session cookie, by which Arrow's implementations call it too.
const CookieName = "arrow_flight_session_id"

// Headers of RFC 6265, as gRPC spells them.
const (
	headerCookie    = "cookie"
	headerSetCookie = "set-cookie"
)

// state is what a cookie holds. Its options are never changed, but replaced.
type state struct {
	options map[string]*flight.SessionOptionValue
	expires time.Time
	owner   owner
}

// owner tells callers apart: a hash of the identity, which may be long and is nobody else's business. Zero is everybody.
type owner [16]byte

func ownerOf(identity string) (o owner) {
	if identity == "" {
		return o
	}
	sum := sha256.Sum256([]byte(identity))
	copy(o[:], sum[:])
	return o
}

// What is signed is a version, the time when it expires in Unix seconds, the owner, and a GetSessionOptionsResult of Flight.proto.
const (
	version     = 1
	expiresAt   = 1
	ownerAt     = expiresAt + 8
	optionsAt   = ownerAt + len(owner{})
	maxAge      = "; Max-Age="
	maxAgeBytes = 10 // digits: 300 years
	// maxOptionBytes is what options may take in a GetSessionOptionsResult: what MaxCookieBytes leaves, of which base64 makes three
	// bytes four.
	maxOptionBytes = (MaxCookieBytes-len(CookieName+"="+maxAge)-maxAgeBytes)/4*3 - signing.Overhead - optionsAt
)

// encoding has no byte that a cookie's value may not have.
var encoding = base64.RawURLEncoding

func (m *Manager) seal(s *state) (*http.Cookie, error) {
	payload := make([]byte, optionsAt, optionsAt+maxOptionBytes)
	payload[0] = version
	binary.BigEndian.PutUint64(payload[expiresAt:], uint64(s.expires.Unix()))
	copy(payload[ownerAt:], s.owner[:])
	payload, err := proto.MarshalOptions{}.MarshalAppend(payload, &flight.GetSessionOptionsResult{SessionOptions: s.options})
	if err != nil {
		return nil, err
	}
	return &http.Cookie{
		Name: CookieName, Value: encoding.EncodeToString(m.keys().Sign(signing.Session, payload)),
		MaxAge: max(int(m.lifetime/time.Second), 1),
	}, nil
}

// open is the session that the Cookie headers of a call hold; nil if there is none.
func (m *Manager) open(headers []string) *state {
	if len(headers) == 0 {
		return nil
	}
	cookies := (&http.Request{Header: http.Header{"Cookie": headers}}).CookiesNamed(CookieName)
	if len(cookies) == 0 || len(cookies[0].Value) > MaxCookieBytes {
		return nil
	}
	signed, err := encoding.DecodeString(cookies[0].Value)
	if err != nil {
		return nil
	}
	payload, err := m.keys().Open(signing.Session, signed)
	if err != nil {
		return nil
	}
	s, err := decode(payload)
	if err != nil || !m.now().Before(s.expires) {
		return nil
	}
	return s
}

// errPayload is that of what another version of this package has signed.
var errPayload = errors.New("not a session of this version")

func decode(payload []byte) (*state, error) {
	if len(payload) < optionsAt || payload[0] != version {
		return nil, errPayload
	}
	s := &state{expires: time.Unix(int64(binary.BigEndian.Uint64(payload[expiresAt:])), 0)}
	copy(s.owner[:], payload[ownerAt:])
	var options flight.GetSessionOptionsResult
	if err := proto.Unmarshal(payload[optionsAt:], &options); err != nil {
		return nil, errPayload
	}
	s.options = options.GetSessionOptions()
	return s, nil
}
