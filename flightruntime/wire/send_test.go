package wire

import (
	"errors"
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/flight-operator/flight-operator/flightruntime/wire/conn"
)

// byReference has a server write by reference.
var byReference = []grpc.ServerOption{grpc.Creds(conn.Plain()), grpc.WriteBufferSize(0)}

func TestBodiesAreWrittenWithoutACopy(t *testing.T) {
	batch := numbers(column(arrow.PrimitiveTypes.Int64), 4<<20)
	written := make(chan conn.Stats, 1)
	client := connect(t, func(stream flight.FlightService_DoGetServer) error {
		err := send(batch.Schema(), noLimit, batch)(stream)
		written <- conn.Of(stream.Context()).Stats()
		return err
	}, byReference...)
	stream, err := client.DoGet(t.Context(), &flight.Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	stats := <-written // some of the last message is still to be written
	body := BatchBytes(batch) - 2*TargetMessageBytes
	if stats.Referenced < body || stats.Copied > body/100 {
		t.Errorf("%d bytes were referred to and %d copied, expected at least %d and at most a hundredth of that", stats.Referenced, stats.Copied, body)
	}
}

// watched is memory whose release is counted.
type watched struct{ freed int }

func (*watched) Get(int) *[]byte { panic("nothing is got from here") }
func (w *watched) Put(*[]byte)   { w.freed++ }

func (w *watched) frame(n int) *frame {
	p := make([]byte, n)
	return &frame{buffers: mem.BufferSlice{mem.SliceBuffer("head"), mem.NewBuffer(&p, w)}, size: len("head") + n}
}

// sender answers to SendMsg.
type sender func(m any) error

func (s sender) SendMsg(m any) error { return s(m) }

func TestMemoryOfOthersIsFreedHoweverAMessageFares(t *testing.T) {
	failed := errors.New("failed")
	sent := func(m any) error {
		buffers, err := Codec().Marshal(m)
		buffers.Free() // as grpc-go does
		return err
	}
	for _, tt := range []struct {
		name   string
		stream sender
		want   error
	}{
		{"it is sent", sent, nil},
		{"grpc-go fails to send it", func(m any) error { return errors.Join(failed, sent(m)) }, failed},
		{"somebody else fails before", func(any) error { return failed }, failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w watched
			err := (&payloadSender{stream: tt.stream, limit: noLimit}).send(w.frame(8 << 10))
			if !errors.Is(err, tt.want) || w.freed != 1 {
				t.Errorf("it was freed %d times: %v; expected once, and %v", w.freed, err, tt.want)
			}
		})
	}
	var w watched
	if err := (&payloadSender{stream: sender(sent), limit: 100}).send(w.frame(8 << 10)); err == nil || w.freed != 1 {
		t.Errorf("a message that is too large was freed %d times: %v", w.freed, err)
	}
}

// grpc-go forgets what it has queued on a connection that breaks: it gets a copy there, unless the connection is one that knows.
func TestAnOrdinaryConnectionGetsCopies(t *testing.T) {
	var w watched
	f := w.frame(8 << 10)
	body := f.buffers[1].ReadOnlyData()
	stream := sender(func(m any) error {
		buffers, err := Codec().Marshal(m)
		if w.freed != 1 || &buffers[1].ReadOnlyData()[0] == &body[0] || buffers.Len() != f.size {
			t.Errorf("the memory was freed %d times; expected that it was, and that %d bytes of another are sent, not %d", w.freed, f.size, buffers.Len())
		}
		return err
	})
	if err := f.send(stream, nil); err != nil {
		t.Error(err)
	}
}
