package conn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// metered counts what a client reads and writes.
type metered struct {
	net.Conn
	read, written *atomic.Int64
}

func (m metered) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.read.Add(int64(n))
	return n, err
}

func (m metered) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.written.Add(int64(n))
	return n, err
}

// What a server counts is what its clients have: each byte that they sent and got, of TLS as it is on the wire.
func TestTrafficIsWhatClientsSendAndGet(t *testing.T) {
	const messages, bytesEach = 3, 600_000
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			s := serve(t, transport, func(stream grpc.ServerStream) error {
				for range messages {
					if err := send(stream, sealed(mem.SliceBuffer(make([]byte, bytesEach)))); err != nil {
						return err
					}
				}
				stream.SetTrailer(metadata.Pairs("messages", "3"))
				return status.Error(codes.DataLoss, "the end of the call")
			})
			network, address := "tcp", s.address
			if transport == "unix" {
				network, address = "unix", strings.TrimPrefix(address, "unix:")
			}
			var got, sent atomic.Int64
			dial := func(ctx context.Context, _ string) (net.Conn, error) {
				c, err := (&net.Dialer{}).DialContext(ctx, network, address)
				return metered{c, &got, &sent}, err
			}
			clients := []*grpc.ClientConn{s.dial(t, dial), s.dial(t, dial)}
			for _, c := range clients {
				if err := read(t.Context(), c, -1, messages, 0); err != nil {
					t.Fatal(err)
				}
			}
			if transport == "tls" && got.Load() < 2*messages*bytesEach*1001/1000 { // a record of 16 KiB has 22 bytes besides
				t.Errorf("clients got %d bytes, which is too little for TLS", got.Load())
			}
			want := Traffic{Open: 2, Accepted: 2}
			eventually(t, "both sides count the same", func() bool {
				want.Received, want.Sent = sent.Load(), got.Load()
				return s.listener.Traffic() == want
			})
			for _, c := range clients {
				_ = c.Close()
			}
			eventually(t, "no connection is open", func() bool { return s.listener.Traffic().Open == 0 })
			if n := s.listener.Traffic().Accepted; n != 2 {
				t.Errorf("%d connections were accepted, want 2", n)
			}
		})
	}
}

// What comes when as many connections are open as may be is closed, and told once. Whoever leaves makes room.
func TestConnectionsBeyondTheLimit(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	var log bytes.Buffer
	l := Listen(socket, 2, slog.New(slog.NewTextHandler(&log, nil)))
	served := make(chan net.Conn)
	go func() {
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", socket.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	first := dial()
	theirs := <-served
	dial()
	<-served
	for range 3 {
		if n, err := dial().Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("beyond the limit a client reads %d bytes, %v, want the end", n, err)
		}
	}
	if got, want := l.Traffic(), (Traffic{Open: 2, Limit: 2, Accepted: 2, Refused: 3}); got != want {
		t.Errorf("there is %+v, want %+v", got, want)
	}
	_ = first.Close()
	for range 2 { // grpc-go closes some connections twice
		_ = theirs.Close()
	}
	dial()
	<-served
	if _, err := dial().Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("one that left makes room for more than one: %v", err)
	}
	if got, want := l.Traffic(), (Traffic{Open: 2, Limit: 2, Accepted: 3, Refused: 4}); got != want {
		t.Errorf("there is %+v, want %+v", got, want)
	}
	_ = socket.Close()
	<-served
	if n := strings.Count(log.String(), "a connection is refused"); n != 1 || !strings.Contains(log.String(), "limit=2") {
		t.Errorf("%d lines tell of it, want 1 with the limit:\n%s", n, log.String())
	}
}
