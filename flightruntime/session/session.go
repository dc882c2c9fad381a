// Package session keeps the options of Flight sessions (Flight.proto: SetSessionOptions, GetSessionOptions, CloseSession) without keeping
// anything in the server: they are in a signed cookie that the client sends with each call, so that any replica serves it. It is not for
// secrets, which a cookie shows to whoever holds it, nor for rights, which a session has none of: its options are the client's own word.
//
// For sessions, a server has a Manager among its middleware, and its Service answers the actions by DoAction or Actions. A client needs a
// middleware that keeps cookies: flightruntime.NewCookieMiddleware, or those of Arrow's implementations in C++, Go and Java.
package session

import (
	"context"
	"errors"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// DefaultLifetime is how long a session lasts that nobody uses: a working day and the night after it.
const DefaultLifetime = 24 * time.Hour

// Bounds of a session.
const (
	// MaxCookieBytes bounds the header Set-Cookie: what clients have to keep by RFC 6265, 6.1, and half of the headers that gRPC clients
	// take by default.
	MaxCookieBytes = 4 << 10
	// MaxOptions of a session.
	MaxOptions = 64
	// MaxNameBytes of an option.
	MaxNameBytes = 128
	// MaxListItems of an option that is a list of strings.
	MaxListItems = 256
	// MaxRequestBytes of a SetSessionOptionsRequest: many times what a cookie holds.
	MaxRequestBytes = 64 << 10
)

// Settings say what sessions a server has. The zero value takes any option.
type Settings struct {
	// Keys are those that cookies are signed with, asked for each time so that they can rotate. Replicas have to share them. nil means
	// keys that live as long as the process.
	Keys func() *signing.Keyring
	// Lifetime of a session that is not used. 0 means DefaultLifetime.
	Lifetime time.Duration
	// Check, if set, refuses options that mean nothing to the server: with ErrInvalidName or ErrInvalidValue, or with another error for an
	// option that cannot be set now. The value is a string, a bool, an int64, a float64 or a []string.
	Check func(ctx context.Context, name string, value any) error
}

// Errors of an option (Flight.proto, SetSessionOptionsResult.ErrorValue): what Settings.Check returns, and SetOptions gives its caller.
var (
	// ErrInvalidName: there is no option of that name.
	ErrInvalidName = errors.New("the name of the session option is invalid")
	// ErrInvalidValue: the option does not take that value, or that type.
	ErrInvalidValue = errors.New("the value of the session option is invalid")
	// ErrNotSet: the option cannot be set, for instance because the session is full.
	ErrNotSet = errors.New("the session option cannot be set")
)

// Manager gives each call the session that its cookie holds: a ServerMiddlewareFactory. A cookie that is malformed, forged, of another
// caller or has expired is as good as none. A session that is used is renewed.
type Manager struct {
	keys     func() *signing.Keyring
	lifetime time.Duration
	check    func(ctx context.Context, name string, value any) error
	now      func() time.Time
}

var _ flightruntime.ServerMiddlewareFactory = (*Manager)(nil)

// New makes a Manager.
func New(s Settings) *Manager {
	m := &Manager{keys: s.Keys, lifetime: s.Lifetime, check: s.Check, now: time.Now}
	if m.keys == nil {
		keys := signing.Random()
		m.keys = func() *signing.Keyring { return keys }
	}
	if m.lifetime <= 0 {
		m.lifetime = DefaultLifetime
	}
	return m
}

type sessionKey struct{}

// Of is the session of the call that a context belongs to, a new one if the client has none; nil where the server has no Manager.
func Of(ctx context.Context) *Session {
	s, _ := ctx.Value(sessionKey{}).(*Session)
	return s
}

// StartCall finds the call's session.
func (m *Manager) StartCall(_ context.Context, call *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
	return &Session{manager: m, call: call, state: m.open(call.Headers().Get(headerCookie))}, nil
}
