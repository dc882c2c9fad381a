package flightruntime

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// socketIn is the location of a socket in a folder of the test's own, and its path.
func socketIn(t *testing.T) (location, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	return ForGRPCUnix(path).String(), path
}

func TestAUNIXSocketServesUntilTheServerIsShutDown(t *testing.T) {
	location, path := socketIn(t)
	peers := make(chan string, 1)
	service := everyService{do: func(ctx context.Context) error {
		peers <- CallOf(ctx).Peer()
		return nil
	}}
	for range 2 { // the second finds no trace of the first
		server, err := NewServer(location, service, ServerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		server.Start()
		if got := server.Location(); got.String() != location || got.Port() != 0 {
			t.Errorf("the server listens at %s, port %d", got, got.Port())
		}
		client := connect(t, server, ClientOptions{})
		if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); err != nil {
			t.Errorf("a call ended with %v", err)
		}
		<-peers // clients have no address of their own
		client.Close()
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("the socket is left: %v", err)
		}
	}
}

func TestAUNIXSocketIsNotInsecure(t *testing.T) {
	location, _ := socketIn(t)
	service, who := identities()
	server, err := NewServer(location, service, ServerOptions{Auth: NewBasicAuth(users, nil)})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	client := connect(t, server, ClientOptions{})
	if err := client.Authenticate(t.Context(), BasicHandshake("ada", "love:lace")); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); err != nil || <-who != "Ada Lovelace" {
		t.Errorf("ended with %v", err)
	}
	client.Close()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestASocketIsReplacedOnlyIfNobodyListens(t *testing.T) {
	for name, test := range map[string]struct {
		before func(t *testing.T, path string)
		want   string // an error; empty: none
	}{
		"nothing is there": {before: func(*testing.T, string) {}},
		"a server that was killed has left it": {before: func(t *testing.T, path string) {
			left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err != nil {
				t.Fatal(err)
			}
			left.SetUnlinkOnClose(false)
			left.Close()
		}},
		"a server listens": {before: func(t *testing.T, path string) {
			alive, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { alive.Close() })
		}, want: "address already in use"},
		"a file is there": {before: func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, want: "address already in use"},
		"a link to a socket is there": {before: func(t *testing.T, path string) {
			if err := os.Symlink(filepath.Join(filepath.Dir(path), "elsewhere"), path); err != nil {
				t.Fatal(err)
			}
		}, want: "address already in use"},
		"its folder is not there": {before: func(t *testing.T, path string) {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}, want: "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			location, path := socketIn(t)
			test.before(t, path)
			before, _ := os.Lstat(path)
			server, err := NewServer(location, BaseService{}, ServerOptions{})
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if info, err := os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeSocket {
					t.Errorf("there is %v, %v, want a socket", info, err)
				}
				if err := server.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), location) {
				t.Errorf("NewServer gave %v, want an error with %q and the location", err, test.want)
			}
			if after, _ := os.Lstat(path); before != nil && !os.SameFile(before, after) {
				t.Error("what was there has been replaced")
			}
		})
	}
}
