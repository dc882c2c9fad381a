package session

import (
	"context"
	"maps"
	"net/http"
	"sync"

	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Session is a call's session. It is safe for use by several goroutines. What calls at the same time set does not come together: the
// client keeps the cookie that reaches it last.
type Session struct {
	manager *Manager
	call    *flightruntime.Call

	mu    sync.Mutex
	state *state // nil: none
}

// Options are the session's options by name: strings, bools, int64s, float64s and []strings.
func (s *Session) Options() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	options := map[string]any{}
	if held := s.held(); held != nil {
		for name, v := range held.options {
			options[name] = valueOf(v)
		}
	}
	return options
}

// Option is the value of an option: a string, a bool, an int64, a float64 or a []string; nil if it is not set.
func (s *Session) Option(name string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.held()
	if held == nil {
		return nil
	}
	return valueOf(held.options[name])
}

// held is the state, if it is the caller's. Who that is may become known after the session was found, by middleware that comes later.
func (s *Session) held() *state {
	if s.state == nil || s.state.owner != (owner{}) && s.state.owner != ownerOf(s.call.PeerIdentity()) {
		return nil
	}
	return s.state
}

// Context makes the service find the session.
func (s *Session) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, sessionKey{}, s)
}

// SendingHeaders renews a session that has less than half of its lifetime left. An action may set the cookie itself, and an answer ought
// to do so once (RFC 6265, 4.1.1): where none has, CallCompleted does.
func (s *Session) SendingHeaders() metadata.MD {
	if s.call.Method() == flightruntime.MethodDoAction {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cookie := s.renewed(); cookie != nil {
		return metadata.Pairs(headerSetCookie, cookie.String())
	}
	return nil
}

// CallCompleted renews the session after an action that has not.
func (s *Session) CallCompleted(error) {
	_ = s.renew() // a client that is gone has no use for it
}

// renew sends the cookie of a session that has to be renewed.
func (s *Session) renew() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cookie := s.renewed(); cookie != nil {
		return s.write(cookie)
	}
	return nil
}

// renewed is the cookie of a session that has to be renewed; nil of others.
func (s *Session) renewed() *http.Cookie {
	now := s.manager.now()
	if s.state == nil || s.state.expires.Sub(now) > s.manager.lifetime/2 {
		return nil
	}
	renewed := *s.state
	renewed.expires = now.Add(s.manager.lifetime)
	cookie, err := s.manager.seal(&renewed)
	if err != nil || len(cookie.String()) > MaxCookieBytes {
		return nil // no session that this version has made
	}
	s.state = &renewed
	return cookie
}

// current is a copy of the options.
func (s *Session) current() optionSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := optionSet{}
	if held := s.held(); held != nil {
		set.values = maps.Clone(held.options)
	}
	for name, v := range set.values {
		set.bytes += entryBytes(name, v)
	}
	return set
}

// store makes options the session's, whose owner the caller is.
func (s *Session) store(options optionSet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := &state{options: options.values, expires: s.manager.now().Add(s.manager.lifetime), owner: ownerOf(s.call.PeerIdentity())}
	cookie, err := s.manager.seal(next)
	if err != nil {
		return err
	}
	s.state = next
	return s.write(cookie)
}

// end makes the client forget its cookie, and tells whether that held a session.
func (s *Session) end() (known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known = s.held() != nil
	s.state = nil
	return known, s.write(&http.Cookie{Name: CookieName, MaxAge: -1})
}

// write sends a cookie: with the headers, which is where Java's client looks, or with the trailers if these have been sent.
func (s *Session) write(cookie *http.Cookie) error {
	if s.call.AddHeader(headerSetCookie, cookie.String()) == nil {
		return nil
	}
	return s.call.AddTrailer(headerSetCookie, cookie.String())
}
