package flightruntime

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"
)

// Headers of RFC 6265, as gRPC spells them.
const (
	headerCookie    = "cookie"
	headerSetCookie = "set-cookie"
)

// Bounds of what a server may make a client keep. RFC 6265, 6.1 asks for at least so much.
const (
	maxCookies     = 50
	maxCookieBytes = 4 << 10
	// maxCookieAge is what the draft that replaces RFC 6265 bounds ages to.
	maxCookieAge = 400 * 24 * time.Hour
)

// CookieMiddleware keeps the cookies that a server sets (RFC 6265) and sends them with each later call: sessions need it, see package
// session. Clients that are given the same one share their cookies, which clients of one server's replicas may want; give clients of
// different servers one each. For as a client has one server, a cookie's Domain, Path and Secure are not looked at. At most 50 cookies of
// 4 KiB are kept; further ones are passed over. Cookies that the server has let expire are forgotten.
type CookieMiddleware struct {
	now func() time.Time

	mu      sync.Mutex
	cookies map[string]keptCookie // by name
}

type keptCookie struct {
	sent    string    // NAME=VALUE
	expires time.Time // zero: when the client ends
}

// NewCookieMiddleware makes a CookieMiddleware without cookies.
func NewCookieMiddleware() *CookieMiddleware {
	return &CookieMiddleware{now: time.Now, cookies: map[string]keptCookie{}}
}

var _ ClientMiddlewareFactory = (*CookieMiddleware)(nil)

// StartCall begins a call, which gets the cookies that are kept.
func (m *CookieMiddleware) StartCall(context.Context, Method) ClientMiddleware {
	return cookieCall{m}
}

// header is the value of the header Cookie; empty if there is none to send.
func (m *CookieMiddleware) header() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	maps.DeleteFunc(m.cookies, func(_ string, c keptCookie) bool { return !c.expires.IsZero() && !now.Before(c.expires) })
	sent := make([]string, 0, len(m.cookies))
	for _, name := range slices.Sorted(maps.Keys(m.cookies)) {
		sent = append(sent, m.cookies[name].sent)
	}
	return strings.Join(sent, "; ")
}

// set does what a header Set-Cookie says. What is no cookie is passed over, as RFC 6265, 5.2 says.
func (m *CookieMiddleware) set(line string) {
	if len(line) > maxCookieBytes {
		return
	}
	c, err := http.ParseSetCookie(line)
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	var expires time.Time
	switch { // Max-Age comes before Expires; net/http makes -1 of "Max-Age=0", and 0 of none
	case c.MaxAge < 0:
		expires = now
	case c.MaxAge > 0:
		expires = now.Add(time.Duration(min(c.MaxAge, int(maxCookieAge/time.Second))) * time.Second)
	default:
		expires = c.Expires
	}
	if !expires.IsZero() && !now.Before(expires) {
		delete(m.cookies, c.Name)
		return
	}
	if _, known := m.cookies[c.Name]; !known && len(m.cookies) >= maxCookies {
		return
	}
	sent := &http.Cookie{Name: c.Name, Value: c.Value, Quoted: c.Quoted}
	m.cookies[c.Name] = keptCookie{sent: sent.String(), expires: expires}
}

type cookieCall struct{ kept *CookieMiddleware }

func (c cookieCall) SendingHeaders() metadata.MD {
	if h := c.kept.header(); h != "" {
		return metadata.Pairs(headerCookie, h)
	}
	return nil
}

func (c cookieCall) ReceivedHeaders(headers metadata.MD) {
	for _, line := range headers.Get(headerSetCookie) {
		c.kept.set(line)
	}
}

func (cookieCall) CallCompleted(error) {}
