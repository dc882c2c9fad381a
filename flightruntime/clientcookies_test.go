package flightruntime

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
)

// exchange is a call: it gives what is sent as Cookie, and answers with Set-Cookie lines.
func exchange(m *CookieMiddleware, setCookies ...string) (sent string) {
	call := m.StartCall(context.Background(), MethodDoAction)
	if headers := call.SendingHeaders().Get(headerCookie); len(headers) > 0 {
		sent = headers[0]
	}
	call.ReceivedHeaders(metadata.MD{headerSetCookie: setCookies})
	call.CallCompleted(nil)
	return sent
}

func TestCookiesAreSentBack(t *testing.T) {
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	tests := map[string]struct {
		set  []string
		wait time.Duration
		want string
	}{
		"none":                           {},
		"one":                            {set: []string{"a=1"}, want: "a=1"},
		"several in one header":          {set: []string{"b=2", "a=1"}, want: "a=1; b=2"},
		"the later of a name":            {set: []string{"a=1", "a=2"}, want: "a=2"},
		"an empty value":                 {set: []string{"a="}, want: "a="},
		"quotes stay":                    {set: []string{`a="1 2"`}, want: `a="1 2"`},
		"attributes stay behind":         {set: []string{"a=1; Path=/x; Domain=example.com; Secure; HttpOnly; SameSite=Lax"}, want: "a=1"},
		"before Max-Age":                 {set: []string{"a=1; Max-Age=60"}, wait: 59 * time.Second, want: "a=1"},
		"after Max-Age":                  {set: []string{"a=1; Max-Age=60"}, wait: time.Minute},
		"Max-Age comes before Expires":   {set: []string{"a=1; Max-Age=60; Expires=Mon, 03 Feb 2025 04:05:06 GMT"}, want: "a=1"},
		"before Expires":                 {set: []string{"a=1; Expires=Tue, 03 Feb 2026 04:06:06 GMT"}, wait: 59 * time.Second, want: "a=1"},
		"after Expires":                  {set: []string{"a=1; Expires=Tue, 03 Feb 2026 04:06:06 GMT"}, wait: time.Minute},
		"Max-Age=0 forgets":              {set: []string{"a=1", "b=2", "a=; Max-Age=0"}, want: "b=2"},
		"a past Expires forgets":         {set: []string{"a=1", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}},
		"an age that overflows":          {set: []string{"a=1; Max-Age=9223372036854775807"}, wait: 399 * 24 * time.Hour, want: "a=1"},
		"what is no cookie":              {set: []string{"", "=", "a", "=1", "a b=1", "a=\x00", ";;;", "b=2"}, want: "b=2"},
		"more than a cookie may have":    {set: []string{"a=" + strings.Repeat("x", maxCookieBytes), "b=2"}, want: "b=2"},
		"as much as a cookie may have":   {set: []string{"a=" + strings.Repeat("x", maxCookieBytes-2)}, want: "a=" + strings.Repeat("x", maxCookieBytes-2)},
		"without an end, for years":      {set: []string{"a=1"}, wait: 10 * 365 * 24 * time.Hour, want: "a=1"},
		"nothing of what has no = in it": {set: []string{"a; Max-Age=60"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := NewCookieMiddleware()
			clock := now
			m.now = func() time.Time { return clock }
			exchange(m, test.set...)
			clock = clock.Add(test.wait)
			if got := exchange(m); got != test.want {
				t.Errorf("expected %q, got %q", test.want, got)
			}
		})
	}
}

func TestAServerCannotFillAClientWithCookies(t *testing.T) {
	m := NewCookieMiddleware()
	for i := range 10 * maxCookies {
		exchange(m, fmt.Sprintf("c%d=1", i))
	}
	exchange(m, "c0=2")
	sent := strings.Split(exchange(m), "; ")
	if len(sent) != maxCookies || sent[0] != "c0=2" {
		t.Errorf("expected %d cookies, the first of them c0=2, got %d: %q", maxCookies, len(sent), sent)
	}
}
