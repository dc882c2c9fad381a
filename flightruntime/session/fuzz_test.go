package session

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// manager is one whose keys and clock are the same in each run of a fuzzer.
func manager(t testing.TB) *Manager {
	ring, err := signing.New(bytes.Repeat([]byte("k"), signing.MinKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	m := New(Settings{Keys: func() *signing.Keyring { return ring }})
	m.now = func() time.Time { return time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC) }
	return m
}

func sealed(t testing.TB, m *Manager, options map[string]any) string {
	set := optionSet{}
	for name, value := range options {
		v, ok := valueFrom(value)
		if !ok || set.put(name, v) != nil {
			t.Fatalf("%s: %v", name, value)
		}
	}
	cookie, err := m.seal(&state{options: set.values, expires: m.now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return cookie.String()
}

// FuzzCookie: no header makes a session but what the server has signed.
func FuzzCookie(f *testing.F) {
	m := manager(f)
	f.Add(sealed(f, m, map[string]any{"a": "b", "c": []string{"d"}}))
	f.Add(CookieName + "=")
	f.Add("a=1; " + CookieName + `="AAAA"; b`)
	f.Fuzz(func(t *testing.T, header string) {
		s := m.open([]string{header})
		if s == nil {
			return
		}
		if !bytes.Contains([]byte(header), []byte(CookieName+"=")) || !m.now().Before(s.expires) {
			t.Errorf("%q is a session until %s", header, s.expires)
		}
	})
}

// FuzzSigned: what an older or newer version of this package may have signed is a session or none.
func FuzzSigned(f *testing.F) {
	m := manager(f)
	f.Add([]byte{})
	f.Add(append([]byte{version, 0, 0, 0, 255, 0, 0, 0, 0}, make([]byte, len(owner{}))...))
	f.Fuzz(func(_ *testing.T, payload []byte) {
		s := m.open([]string{CookieName + "=" + encoding.EncodeToString(m.keys().Sign(signing.Session, payload))})
		if s == nil {
			return
		}
		for _, v := range s.options {
			_ = valueOf(v)
		}
	})
}

// FuzzSetSessionOptions: whatever is asked for, the cookie stays within its bounds and holds what was not refused.
func FuzzSetSessionOptions(f *testing.F) {
	m := manager(f)
	for _, options := range []map[string]any{{"a": "b"}, {"a": int64(1), "b": 2.0, "c": nil, "d": true}, {"list": []string{"", "x"}}} {
		request := &flight.SetSessionOptionsRequest{SessionOptions: map[string]*flight.SessionOptionValue{}}
		for name, value := range options {
			request.SessionOptions[name], _ = valueFrom(value)
		}
		body, err := proto.Marshal(request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var request flight.SetSessionOptionsRequest
		if proto.Unmarshal(body, &request) != nil {
			return
		}
		set := optionSet{}
		refused := m.apply(context.Background(), &set, request.GetSessionOptions())
		cookie, err := m.seal(&state{options: set.values, expires: m.now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if len(cookie.String()) > MaxCookieBytes || len(set.values) > MaxOptions {
			t.Fatalf("a cookie of %d bytes with %d options", len(cookie.String()), len(set.values))
		}
		back := m.open([]string{CookieName + "=" + cookie.Value})
		if back == nil {
			t.Fatal("what was sealed does not open")
		}
		for name, v := range request.GetSessionOptions() {
			held, isHeld := back.options[name]
			if wanted := refused[name] == nil && v.GetOptionValue() != nil; isHeld != wanted || isHeld && !proto.Equal(held, v) {
				t.Fatalf("option %q: asked for %v, refused: %v, holds %v", name, v, refused[name], held)
			}
		}
	})
}
