package conn

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// transports are what connections go by.
var transports = []string{"tcp", "unix", "tls"}

// served is a server with our credentials that answers every call with a handler, and how to reach it.
type served struct {
	address  string
	creds    credentials.TransportCredentials // of clients
	server   *grpc.Server
	listener *Listener
}

func serve(t testing.TB, transport string, handler func(grpc.ServerStream) error) *served {
	t.Helper()
	s := &served{creds: insecure.NewCredentials()}
	creds := Plain()
	network, address := "tcp", "127.0.0.1:0"
	switch transport {
	case "unix":
		network, address = "unix", filepath.Join(t.TempDir(), "s")
	case "tls":
		server, client := tlsConfigs(t)
		creds, s.creds = TLS(server), credentials.NewTLS(client)
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if s.address = listener.Addr().String(); network == "unix" {
		s.address = "unix:" + s.address
	}
	s.server = grpc.NewServer(grpc.Creds(creds), grpc.WriteBufferSize(0), grpc.ForceServerCodecV2(bytesCodec{}),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { return handler(stream) }))
	s.listener = Listen(listener, 0, slog.New(slog.DiscardHandler))
	go func() { _ = s.server.Serve(s.listener) }()
	t.Cleanup(s.server.Stop)
	return s
}

// dial is a client whose connections dial makes, if it is not nil.
func (s *served) dial(t testing.TB, dial func(context.Context, string) (net.Conn, error), more ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options := append([]grpc.DialOption{grpc.WithTransportCredentials(s.creds), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(bytesCodec{}))}, more...)
	target := s.address
	if dial != nil {
		options, target = append(options, grpc.WithContextDialer(dial)), "passthrough:///"+s.address
	}
	c, err := grpc.NewClient(target, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func tlsConfigs(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		URIs: []*url.URL{{Scheme: "spiffe", Host: "example.org", Path: "/client"}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	pair := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	return &tls.Config{Certificates: pair, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert},
		&tls.Config{Certificates: pair, RootCAs: pool}
}

// mapped is memory that is taken out of the process when it is freed: to read it then ends the test.
type mapped struct{ left *atomic.Int64 }

func (mapped) Get(int) *[]byte { panic("nothing is got from here") }

func (m mapped) Put(p *[]byte) {
	if err := syscall.Munmap(*p); err != nil {
		panic(err)
	}
	m.left.Add(-1)
}

// buffer is mapped memory of n bytes: more than 1 KiB, for below mem.NewBuffer makes a buffer that nobody frees.
func (m mapped) buffer(n int, fill byte) mem.Buffer {
	p, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	for i := range p {
		p[i] = fill ^ byte(i) ^ byte(i>>8) ^ byte(i>>16)
	}
	m.left.Add(1)
	return mem.NewBuffer(&p, m)
}

// sealed is a message that says how long it is and what its checksum is.
func sealed(parts ...mem.Buffer) mem.BufferSlice {
	sum, n := crc32.NewIEEE(), 0
	for _, p := range parts {
		_, _ = sum.Write(p.ReadOnlyData())
		n += p.Len()
	}
	seal := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, sum.Sum32()), uint32(n))
	return append(mem.BufferSlice{mem.SliceBuffer(seal)}, parts...)
}

func broken(message []byte) error {
	if len(message) < 8 || int(binary.BigEndian.Uint32(message[4:])) != len(message)-8 || crc32.ChecksumIEEE(message[8:]) != binary.BigEndian.Uint32(message) {
		return fmt.Errorf("a message of %d bytes is not what was sent", len(message))
	}
	return nil
}

// send sends a message the way a writer does.
func send(stream grpc.ServerStream, message mem.BufferSlice) error {
	c := Of(stream.Context())
	if c == nil {
		message.Free() // the connection has ended
		return status.Error(codes.Unavailable, "the call has no connection")
	}
	message.Ref()
	defer message.Free()
	return stream.SendMsg(c.Announce(message))
}

// answering sends messages of all kinds of memory: mapped for this one, mapped and shared by all streams, of the garbage collector and small. The
// trailer and the status say how many there were.
func answering(memory mapped, shared []mem.BufferSlice, messages int) func(grpc.ServerStream) error {
	return func(stream grpc.ServerStream) error {
		for i := range messages {
			var message mem.BufferSlice
			switch i % 3 {
			case 0:
				message = shared[mathrand.IntN(len(shared))]
				message.Ref()
			case 1:
				own := bytes.Repeat([]byte{byte(i)}, mathrand.IntN(100_000))
				message = sealed(mem.SliceBuffer(own), memory.buffer(1025+mathrand.IntN(100_000), byte(i)), mem.SliceBuffer("end"), memory.buffer(2000, byte(i)))
			default:
				message = sealed(mem.SliceBuffer(bytes.Repeat([]byte("small"), mathrand.IntN(20))))
			}
			if err := send(stream, message); err != nil {
				return err
			}
		}
		stream.SetTrailer(metadata.Pairs("messages", fmt.Sprint(messages)))
		return status.Error(codes.DataLoss, "the end of the call")
	}
}

// read reads a call to its end, or stops after some messages.
func read(ctx context.Context, client *grpc.ClientConn, stop, messages int, pause time.Duration, options ...grpc.CallOption) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/test/get", options...)
	if err != nil {
		return err
	}
	if err := errors.Join(stream.SendMsg([]byte(nil)), stream.CloseSend()); err != nil {
		return err
	}
	for n := 0; ; n++ {
		var message []byte
		err := stream.RecvMsg(&message)
		switch {
		case err != nil && (status.Code(err) != codes.DataLoss || n != messages || len(stream.Trailer()["messages"]) != 1):
			return fmt.Errorf("after %d of %d messages and with the trailer %v: %w", n, messages, stream.Trailer(), err)
		case err != nil:
			return nil
		}
		if err := broken(message); err != nil {
			return err
		}
		if n == stop {
			return nil
		}
		time.Sleep(pause)
	}
}

// eventually waits for something that nothing tells of.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come to pass that %s", what)
		}
		runtime.GC() // finds what grpc-go has lost
	}
}

// Many streams on few connections, some of which share frames, are cancelled, or read slowly; connections are cut. Each message that arrives is
// whole, each call that is read to its end has its trailers, and all memory is given back, not too early and not too late.
func TestManyStreams(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			goroutines := runtime.NumGoroutine()
			var left atomic.Int64
			memory := mapped{&left}
			var shared []mem.BufferSlice
			for i := range 4 {
				shared = append(shared, sealed(memory.buffer(40_000, byte(i)), memory.buffer(5000, byte(i)), memory.buffer(300_000, byte(i))))
			}
			const messages = 9
			s := serve(t, transport, answering(memory, shared, messages))
			var clients sync.WaitGroup
			for worker := range 4 {
				clients.Go(func() {
					network, address := "tcp", s.address
					if transport == "unix" {
						network, address = "unix", address[len("unix:"):]
					}
					for range 2 {
						var socket atomic.Value // net.Conn
						client := s.dial(t, func(ctx context.Context, _ string) (net.Conn, error) {
							c, err := (&net.Dialer{}).DialContext(ctx, network, address)
							if err == nil {
								socket.Store(c)
							}
							return c, err
						})
						cut := worker == 3
						var streams sync.WaitGroup
						for stream := range 5 {
							streams.Go(func() {
								stop, pause := -1, time.Duration(0)
								switch {
								case stream%3 == 1:
									stop = mathrand.IntN(messages)
								case stream == 2:
									pause = time.Millisecond
								}
								if err := read(t.Context(), client, stop, messages, pause); err != nil && !cut {
									t.Error(err)
								}
							})
						}
						if cut {
							time.Sleep(time.Duration(mathrand.IntN(20)) * time.Millisecond)
							if c, ok := socket.Load().(net.Conn); ok {
								_ = c.Close()
							}
						}
						streams.Wait()
						_ = client.Close()
					}
				})
			}
			clients.Wait()
			for _, message := range shared {
				message.Free()
			}
			eventually(t, "all memory is given back", func() bool { return left.Load() == 0 })
			s.server.Stop()
			eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
		})
	}
}

// What a client asks to be compressed is read by grpc-go, and not written as it was announced.
func TestCompressedCalls(t *testing.T) {
	var left atomic.Int64
	memory := mapped{&left}
	shared := []mem.BufferSlice{sealed(memory.buffer(400_000, 1))}
	s := serve(t, "tcp", answering(memory, shared, 9))
	if err := read(t.Context(), s.dial(t, nil), -1, 9, 0, grpc.UseCompressor(gzip.Name)); err != nil {
		t.Error(err)
	}
	shared[0].Free()
	eventually(t, "all memory is given back", func() bool { return left.Load() == 0 })
}

// A client that takes nothing keeps a bounded queue waiting. When its connection ends, so do the calls, and their memory is given back.
func TestAClientThatDoesNotRead(t *testing.T) {
	for _, transport := range []string{"tcp", "tls"} {
		for _, end := range []string{"the client", "the server"} {
			t.Run(transport+", ended by "+end, func(t *testing.T) {
				var left atomic.Int64
				memory := mapped{&left}
				ended, conns := make(chan error, 1), make(chan *Conn, 1)
				s := serve(t, transport, func(stream grpc.ServerStream) error {
					conns <- Of(stream.Context())
					var err error
					for i := 0; err == nil; i++ {
						err = send(stream, sealed(memory.buffer(1<<20, byte(i))))
					}
					ended <- err
					return err
				})
				client, socket := s.dialStoppable(t)
				go func() { _ = read(t.Context(), client, -1, 0, 0) }()
				c := <-conns
				socket.stop.Store(true)
				eventually(t, "the queue is full", func() bool {
					c.mu.Lock()
					defer c.mu.Unlock()
					return c.waiting
				})
				if c.mu.Lock(); c.queue.bytes > highWater+minMaxFrame {
					t.Errorf("%d bytes are queued, expected %d at most", c.queue.bytes, highWater+minMaxFrame)
				}
				c.mu.Unlock()
				if end == "the client" {
					_ = socket.Close()
				} else {
					s.server.Stop()
				}
				close(socket.gate)
				<-ended
				eventually(t, "all memory is given back", func() bool { return left.Load() == 0 })
			})
		}
	}
}

// stopped is a connection that is not read from while it is stopped.
type stopped struct {
	net.Conn
	stop atomic.Bool
	gate chan struct{}
}

func (s *stopped) Read(p []byte) (int, error) {
	if s.stop.Load() {
		<-s.gate
	}
	return s.Conn.Read(p)
}

// dialStoppable is a client with windows for whatever comes, and its connection.
func (s *served) dialStoppable(t testing.TB) (*grpc.ClientConn, *stopped) {
	t.Helper()
	socket := &stopped{gate: make(chan struct{})}
	client := s.dial(t, func(ctx context.Context, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		socket.Conn = c
		return socket, err
	}, grpc.WithStaticStreamWindowSize(64<<20), grpc.WithStaticConnWindowSize(64<<20))
	return client, socket
}

func TestCallsKnowTheirPeerAsWithoutThisPackage(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			peers := make(chan *peer.Peer, 1)
			s := serve(t, transport, func(stream grpc.ServerStream) error {
				p, _ := peer.FromContext(stream.Context())
				peers <- p
				return stream.SendMsg([]byte("answer"))
			})
			if err := s.dial(t, nil).Invoke(t.Context(), "/test/peer", []byte(nil), new([]byte)); err != nil {
				t.Fatal(err)
			}
			p := <-peers
			if transport == "unix" {
				if _, ok := p.Addr.(*net.UnixAddr); !ok {
					t.Errorf("the address is a %T, expected a *net.UnixAddr", p.Addr)
				}
			} else if a, ok := p.Addr.(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
				t.Errorf("the address is the %T %v, expected a *net.TCPAddr", p.Addr, p.Addr)
			}
			if transport != "tls" {
				if p.AuthInfo != nil {
					t.Errorf("the AuthInfo is a %T, expected none", p.AuthInfo)
				}
				return
			}
			info, ok := p.AuthInfo.(credentials.TLSInfo)
			if !ok {
				t.Fatalf("the AuthInfo is a %T, expected credentials.TLSInfo", p.AuthInfo)
			}
			if info.SPIFFEID == nil || info.SPIFFEID.Host != "example.org" || len(info.State.VerifiedChains) == 0 || info.State.NegotiatedProtocol != "h2" {
				t.Errorf("the client is %v with %d chains, over %q", info.SPIFFEID, len(info.State.VerifiedChains), info.State.NegotiatedProtocol)
			}
			if err := credentials.CheckSecurityLevel(info, credentials.PrivacyAndIntegrity); err != nil {
				t.Error(err)
			}
		})
	}
}

// What a server writes just before it closes arrives.
func TestCloseWritesWhatIsQueued(t *testing.T) {
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			ours, theirs := pair(t, transport)
			want := make([]byte, 8<<20)
			go func() {
				for from := 0; from < len(want); from += 1 << 14 {
					if _, err := ours.Write(want[from : from+1<<14]); err != nil {
						t.Error(err)
					}
				}
				_ = ours.Close()
			}()
			got, err := io.ReadAll(theirs)
			if err != nil || len(got) != len(want) {
				t.Errorf("%d bytes have arrived, expected %d: %v", len(got), len(want), err)
			}
		})
	}
}

// Close does not wait for a client that does not read, and ends those who read or write.
func TestCloseEndsReadersAndWriters(t *testing.T) {
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			goroutines := runtime.NumGoroutine()
			ours, theirs := pair(t, transport)
			ours.linger = time.Second
			read, wrote := make(chan error), make(chan error)
			go func() {
				_, err := ours.Read(make([]byte, 100))
				read <- err
			}()
			go func() {
				for {
					if _, err := ours.Write(make([]byte, 1<<14)); err != nil {
						wrote <- err
						return
					}
				}
			}()
			eventually(t, "the queue is full", func() bool {
				ours.mu.Lock()
				defer ours.mu.Unlock()
				return ours.waiting
			})
			if err := ours.Close(); err != nil {
				t.Error(err)
			}
			for _, err := range []error{<-read, <-wrote} {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("the error is %v, expected that the connection is closed", err)
				}
			}
			eventually(t, "the connection has ended", func() bool { return runtime.NumGoroutine() <= goroutines })
			if _, err := io.Copy(io.Discard, theirs); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
		})
	}
}

func TestDeadlines(t *testing.T) {
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			ours, _ := pair(t, transport)
			if err := ours.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			var late net.Error
			if _, err := ours.Read(make([]byte, 1)); !errors.As(err, &late) || !late.Timeout() {
				t.Errorf("reading ended with %v, expected that it took too long", err)
			}
			if _, _, err := ours.ReadOnReady(100, mem.DefaultBufferPool()); !errors.As(err, &late) || !late.Timeout() {
				t.Errorf("reading into a pooled buffer ended with %v, expected that it took too long", err)
			}
			if err := ours.SetWriteDeadline(time.Now().Add(time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			var err error
			for err == nil {
				_, err = ours.Write(make([]byte, 1<<14))
			}
			if !errors.As(err, &late) || !late.Timeout() {
				t.Errorf("writing ended with %v, expected that it took too long", err)
			}
		})
	}
}

// pair is a connection of ours, and its other end.
func pair(t *testing.T, transport string) (ours *Conn, theirs net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	theirs, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	socket, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	creds := Plain()
	if transport == "tls" {
		server, client := tlsConfigs(t)
		client.ServerName, client.NextProtos = "localhost", []string{"h2"}
		creds = TLS(server)
		theirs = tls.Client(theirs, client)
		go func() { _ = theirs.(*tls.Conn).Handshake() }()
	}
	c, _, err := creds.ServerHandshake(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), theirs.Close() })
	return c.(*Conn), theirs
}
