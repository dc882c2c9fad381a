package flightruntime

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// Of HTTP/2 (RFC 9113): the frames that a connection needs which carries no call.
const (
	frameSettings = 0x4
	framePing     = 0x6
	frameGoAway   = 0x7
	flagAck       = 0x1

	settingMaxConcurrentStreams = 0x3

	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

type frame struct {
	kind, flags byte
	payload     []byte
}

func (f frame) acks(kind byte) bool { return f.kind == kind && f.flags&flagAck != 0 }

// pipes is a listener whose connections are the server's ends of pipes.
type pipes struct {
	conns chan net.Conn
	ended chan struct{}
}

func newPipes() pipes { return pipes{conns: make(chan net.Conn, 1), ended: make(chan struct{})} }

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	close(p.ended)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// serve answers those who dial, in the time of the bubble that it is called in, and ends with the test.
func (p pipes) serve(t *testing.T, location string, opts ServerOptions) {
	t.Helper()
	server, err := NewServer(location, &testService{}, opts)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.grpc.Serve(p) }()
	t.Cleanup(func() {
		server.grpc.Stop()
		_ = server.listener.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// dial is the client's end of a connection.
func (p pipes) dial(t *testing.T) net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	t.Cleanup(func() { _ = ours.Close() })
	return ours
}

// connection is a client of a server that speaks HTTP/2 frame by frame, in the time of the bubble that it is made in.
type connection struct {
	t      *testing.T
	conn   net.Conn
	frames chan frame // closed when the server closes the connection
}

// dialRaw connects to a server that ends with the test.
func dialRaw(t *testing.T, opts ServerOptions) *connection {
	t.Helper()
	p := newPipes()
	p.serve(t, "grpc://127.0.0.1:0", opts)
	return greet(t, p.dial(t))
}

// greet begins to speak HTTP/2.
func greet(t *testing.T, conn net.Conn) *connection {
	t.Helper()
	c := &connection{t: t, conn: conn, frames: make(chan frame, 64)}
	go c.read()
	if _, err := io.WriteString(conn, preface); err != nil {
		t.Fatal(err)
	}
	c.write(frame{kind: frameSettings})
	return c
}

func (c *connection) read() {
	defer close(c.frames)
	r := bufio.NewReader(c.conn)
	for {
		var head [9]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		f := frame{kind: head[3], flags: head[4], payload: make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))}
		if _, err := io.ReadFull(r, f.payload); err != nil {
			return
		}
		c.frames <- f
	}
}

func (c *connection) write(f frame) {
	c.t.Helper()
	n := len(f.payload)
	head := []byte{byte(n >> 16), byte(n >> 8), byte(n), f.kind, f.flags, 0, 0, 0, 0}
	if _, err := c.conn.Write(append(head, f.payload...)); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		c.t.Fatal(err)
	}
}

// await takes frames until one is as wanted. Without one, the bubble is stuck and the test ends.
func (c *connection) await(wanted func(frame) bool) (frame, bool) {
	for f := range c.frames {
		if wanted(f) {
			return f, true
		}
	}
	return frame{}, false
}

func TestClientsMayPingEveryTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialRaw(t, ServerOptions{})
		for range 10 { // without a call, for grpc-go puts up with two pings of any kind
			c.write(frame{kind: framePing, payload: make([]byte, 8)})
			answer, ok := c.await(func(f frame) bool { return f.acks(framePing) || f.kind == frameGoAway })
			if !ok || answer.kind == frameGoAway {
				t.Fatalf("the server ends the connection: %q", answer.payload)
			}
			time.Sleep(10*time.Second + time.Millisecond)
		}
	})
}

func TestClientsThatPingWithoutPauseAreSentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialRaw(t, ServerOptions{})
		for range 4 {
			c.write(frame{kind: framePing, payload: make([]byte, 8)})
			time.Sleep(time.Second)
		}
		if end, ok := c.await(func(f frame) bool { return f.kind == frameGoAway }); !ok || !strings.Contains(string(end.payload), "too_many_pings") {
			t.Errorf("expected too_many_pings, got %q", end.payload)
		}
	})
}

func TestClientsThatAreGoneAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, begin := dialRaw(t, ServerOptions{}), time.Now()
		if _, ok := c.await(func(f frame) bool { return f.kind == framePing && !f.acks(framePing) }); !ok {
			t.Fatal("the server ends the connection without having asked for a sign of life")
		}
		if _, ok := c.await(func(frame) bool { return false }); ok { // until the connection ends
			t.Fatal("never here")
		}
		if took := time.Since(begin); took > 90*time.Second {
			t.Errorf("the server took %s to find its client gone, want a minute and a half at most", took)
		}
	})
}

func TestClientsThatConnectAndSayNothingAreSentAway(t *testing.T) {
	for _, tt := range []struct {
		name, says string
		location   string
		secure     *tls.Config
	}{
		{name: "nothing", location: "grpc://127.0.0.1:0"},
		{name: "half of HTTP/2's preface", says: preface[:12], location: "grpc://127.0.0.1:0"},
		{name: "the preface and no settings", says: preface, location: "grpc://127.0.0.1:0"},
		{name: "nothing, with TLS", location: "grpc+tls://127.0.0.1:0", secure: &tls.Config{Certificates: []tls.Certificate{{}}}},
		{name: "half of a ClientHello", says: "\x16\x03\x01\x02", location: "grpc+tls://127.0.0.1:0", secure: &tls.Config{Certificates: []tls.Certificate{{}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPipes()
				p.serve(t, tt.location, ServerOptions{TLS: tt.secure})
				silent, begin := p.dial(t), time.Now()
				go func() { _, _ = io.WriteString(silent, tt.says) }()
				if tt.secure == nil { // others are served meanwhile, and after
					other := greet(t, p.dial(t))
					defer func() {
						other.write(frame{kind: framePing, payload: make([]byte, 8)})
						if _, ok := other.await(func(f frame) bool { return f.acks(framePing) }); !ok {
							t.Error("the connection of another client has ended, too")
						}
					}()
				}
				_, _ = io.Copy(io.Discard, silent) // until the server ends it
				if took := time.Since(begin); took != handshakeTimeout {
					t.Errorf("the server ended the connection after %s, want %s", took, handshakeTimeout)
				}
			})
		})
	}
}

func TestClientsAreToldTheNumberOfStreams(t *testing.T) {
	for streams, want := range map[uint32]uint32{0: defaultMaxStreams, 7: 7} {
		synctest.Test(t, func(t *testing.T) {
			c := dialRaw(t, ServerOptions{MaxStreams: streams})
			settings, ok := c.await(func(f frame) bool { return f.kind == frameSettings && !f.acks(frameSettings) })
			if !ok {
				t.Fatal("no settings")
			}
			var got uint32
			for s := settings.payload; len(s) >= 6; s = s[6:] {
				if binary.BigEndian.Uint16(s) == settingMaxConcurrentStreams {
					got = binary.BigEndian.Uint32(s[2:])
				}
			}
			if got != want {
				t.Errorf("MaxStreams %d: clients are told %d, want %d", streams, got, want)
			}
		})
	}
}

func TestConnectionsAreLeftForFiles(t *testing.T) {
	for _, tt := range []struct {
		name        string
		descriptors uint64
		want        int
	}{
		{"the system does not tell", 0, 10_000},
		{"a shell's", 1024, 512},
		{"a container's", 1 << 20, 10_000},
		{"no limit", 1<<64 - 1, 10_000},
		{"just enough", 20_000, 10_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := connectionsFor(tt.descriptors); got != tt.want {
				t.Errorf("with %d descriptors there may be %d connections, want %d", tt.descriptors, got, tt.want)
			}
		})
	}
}

func TestAServerWithAsManyConnectionsAsMayBe(t *testing.T) {
	server := start(t, &testService{}, ServerOptions{MaxConnections: 2})
	ask := func(conn *grpc.ClientConn) error {
		_, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		return err
	}
	first, _ := connectTo(t, server)
	second, _ := connectTo(t, server)
	third, _ := connectTo(t, server)
	for _, conn := range []*grpc.ClientConn{first, second} {
		if err := ask(conn); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(third); status.Code(err) != codes.Unavailable {
		t.Errorf("one connection too many: %v, want UNAVAILABLE", err)
	}
	if err := ask(first); err != nil {
		t.Errorf("a connection from before: %v", err)
	}
	if got := server.Traffic(); got.Open != 2 || got.Limit != 2 || got.Accepted != 2 || got.Refused < 1 || got.Sent == 0 || got.Received == 0 {
		t.Errorf("the server tells of %+v", got)
	}
	second.Close()
	eventually(t, "a connection that is closed makes room", func() bool {
		third.ResetConnectBackoff()
		return ask(third) == nil
	})
}
