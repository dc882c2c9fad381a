package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProfilesAreForThisHostAlone(t *testing.T) {
	for address, allowed := range map[string]bool{
		"127.0.0.1:6060":   true,
		"127.1.2.3:6060":   true,
		"[::1]:6060":       true,
		":6060":            false,
		"0.0.0.0:6060":     false,
		"[::]:6060":        false,
		"192.168.0.1:6060": false,
		"localhost:6060":   false,
		"127.0.0.1":        false,
		"":                 false,
	} {
		if err := checkLoopback(address); (err == nil) != allowed {
			t.Errorf("%q: allowed should be %v, got %v", address, allowed, err)
		}
	}
}

func TestAProfileMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const long = time.Hour
		server := newHTTPServer("", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(long):
				fmt.Fprint(w, "profile")
			case <-r.Context().Done():
			}
		}))
		listener := make(pipes, 1)
		defer close(listener)
		go func() { _ = server.Serve(listener) }()
		ours, theirs := net.Pipe()
		defer ours.Close()
		listener <- theirs
		if _, err := io.WriteString(ours, "GET / HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(ours); err != nil || !strings.HasSuffix(string(answer), "profile") {
			t.Errorf("got %q, %v", answer, err)
		}
	})
}
