package conn

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A server that drains lets go of a connection once grpc-go has written all, which is before a slow client has got it. It gets all the same what was
// queued, if the process waits for Settled.
func TestASlowClientOfAServerThatDrains(t *testing.T) {
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			const messages = 2 // which the queue has room for
			conns, begin := make(chan *Conn), make(chan struct{})
			s := serve(t, transport, func(stream grpc.ServerStream) error {
				conns <- Of(stream.Context())
				<-begin
				for i := range messages {
					if err := send(stream, sealed(mem.SliceBuffer(make([]byte, 1<<20+i)))); err != nil {
						return err
					}
				}
				stream.SetTrailer(metadata.Pairs("messages", "2"))
				return status.Error(codes.DataLoss, "the end of the call")
			})
			client, socket := s.dialStoppable(t)
			answer := make(chan error, 1)
			go func() { answer <- read(t.Context(), client, -1, messages, 0) }()
			c := <-conns
			socket.stop.Store(true)
			close(begin)
			s.server.GracefulStop()
			go func() {
				time.Sleep(1500 * time.Millisecond) // a hiccup of the network
				close(socket.gate)
			}()
			Settled(t.Context())
			if c.mu.Lock(); !c.ended {
				t.Error("there is something to write still")
			}
			c.mu.Unlock()
			if err := <-answer; err != nil {
				t.Error(err)
			}
		})
	}
}
