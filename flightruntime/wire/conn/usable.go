package conn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// EnvBuffered is an environment variable that, set to anything, has Usable fail: to find out whether a fault is this package's.
const EnvBuffered = "FLIGHT_BUFFERED_WRITES"

// Usable tells why a server should not use this package's credentials, but ordinary ones with a write buffer: because EnvBuffered is set, or because a
// call to a server within this process has shown that grpc-go does not write as is expected here. It makes that call once a process.
var Usable = sync.OnceValue(func() error {
	if os.Getenv(EnvBuffered) != "" {
		return fmt.Errorf("the environment variable %s is set", EnvBuffered)
	}
	if err := check(); err != nil {
		return fmt.Errorf("this version of grpc-go (%s) writes in another way than is known: %w", grpc.Version, err)
	}
	return nil
})

const (
	checkTimeout = 5 * time.Second
	checkBytes   = 2*minMaxFrame - 5 // two frames, with the message's head; a client takes more before it answers
)

// check answers one call with an announced message, and looks at how it was written and what has arrived.
func check() error {
	message := make([]byte, checkBytes)
	for i := range message {
		message[i] = byte(i ^ i>>8)
	}
	var served *Conn
	freed := make(recorder, 1)
	server := grpc.NewServer(grpc.Creds(Plain()), grpc.WriteBufferSize(0), grpc.ForceServerCodecV2(bytesCodec{}),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			if served = Of(stream.Context()); served == nil {
				return status.Error(codes.Internal, "a call does not tell its connection by its peer's address")
			}
			return stream.SendMsg(served.Announce(mem.BufferSlice{mem.NewBuffer(&message, freed)}))
		}))
	ours, theirs := net.Pipe()
	listener := &oneConn{conn: ours, done: make(chan struct{})}
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	client, err := grpc.NewClient("passthrough:///", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(bytesCodec{})),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return theirs, nil }))
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	var got []byte
	if err := client.Invoke(ctx, "/check/check", []byte(nil), &got); err != nil {
		return err
	}
	select {
	case <-freed:
	case <-ctx.Done():
		return errors.New("a buffer is not freed when it was written")
	}
	switch stats := served.Stats(); {
	case !bytes.Equal(got, message):
		return errors.New("another message arrives than was sent")
	case stats.Referenced != checkBytes:
		return fmt.Errorf("of %d announced bytes, %d were written as such", checkBytes, stats.Referenced)
	case stats.Frames != 2:
		return errors.New("the heads of its frames are not recognised")
	}
	return nil
}

// recorder tells that a buffer was freed.
type recorder chan struct{}

func (recorder) Get(int) *[]byte { panic("nothing is got from here") }
func (r recorder) Put(*[]byte)   { r <- struct{}{} }

// bytesCodec has messages of bytes.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "bytes" }

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	switch v := v.(type) {
	case mem.BufferSlice:
		return v, nil
	case []byte:
		return mem.BufferSlice{mem.SliceBuffer(v)}, nil
	}
	return nil, fmt.Errorf("expected bytes, got a %T", v)
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if b, ok := v.(*[]byte); ok {
		*b = data.Materialize()
	}
	return nil
}

// oneConn is a listener with a single connection.
type oneConn struct {
	conn net.Conn
	done chan struct{}
	once sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{} }
