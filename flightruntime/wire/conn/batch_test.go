package conn

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// kept is a sink that keeps what is written.
type kept struct {
	mu      sync.Mutex
	batches [][]byte
}

func (k *kept) write(pieces [][]byte, _ bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.batches = append(k.batches, bytes.Join(pieces, nil))

	return nil
}

// told are the frames of a batch, as type, stream, flags and length.
func told(t *testing.T, batch []byte) string {
	var frames []string
	for len(batch) > 0 {
		h := (*head)(batch)
		if len(batch) < headBytes+h.length() {
			t.Fatalf("a frame of %d bytes has only %d", h.length(), len(batch)-headBytes)
		}
		kind := map[byte]string{typeData: "DATA", typeHeaders: "HEADERS", typeSettings: "SETTINGS"}[h[3]]
		frames = append(frames, fmt.Sprintf("%s %d:%d", kind, h.stream(), h.length())+strings.Repeat("!", int(h[4]&1)))
		batch = batch[headBytes+h.length():]
	}
	return strings.Join(frames, ", ")
}

func TestDataFramesOfOneStreamAreMerged(t *testing.T) {
	data := func(stream uint32, n int) []byte { return frame(typeData, 0, stream, make([]byte, n)) }
	last := func(stream uint32, n int) []byte { return frame(typeData, flagEndStream, stream, make([]byte, n)) }
	for _, tt := range []struct {
		name   string
		limit  uint32
		frames [][]byte
		want   string
	}{
		{"as many as the client takes at once", 50_000, [][]byte{data(1, 16384), data(1, 16384), data(1, 16384), data(1, 16384)}, "DATA 1:49152, DATA 1:16384"},
		{"up to the last byte", 30_000, [][]byte{data(1, 16000), data(1, 14000), data(1, 1)}, "DATA 1:30000, DATA 1:1"},
		{"none where the client takes no larger frames", 16384, [][]byte{data(1, 16384), data(1, 16384)}, "DATA 1:16384, DATA 1:16384"},
		{"not those of two streams", 1 << 20, [][]byte{data(1, 10), data(3, 20), data(3, 30), data(1, 40)}, "DATA 1:10, DATA 3:50, DATA 1:40"},
		{"not across other frames", 1 << 20, [][]byte{data(1, 10), frame(typeSettings, flagAck, 0, nil), data(1, 20)}, "DATA 1:10, SETTINGS 0:0!, DATA 1:20"},
		{"with the end of the stream", 1 << 20, [][]byte{data(1, 10), last(1, 20), data(3, 30)}, "DATA 1:30!, DATA 3:30"},
		{"nothing to what ends a stream", 1 << 20, [][]byte{last(1, 20), data(1, 30)}, "DATA 1:20!, DATA 1:30"},
		{"not those with paddings", 1 << 20, [][]byte{data(1, 10), frame(typeData, 8, 1, []byte{1, 7, 0}), data(1, 20)}, "DATA 1:10, DATA 1:3, DATA 1:20"},
		{"empty ones", 1 << 20, [][]byte{data(1, 0), data(1, 5)}, "DATA 1:5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, sent := unwritten(t)
			c.in.maxFrame.Store(int32(tt.limit))
			for _, f := range tt.frames {
				for _, p := range [][]byte{f[:headBytes], f[headBytes:]} { // as grpc-go does
					if _, err := c.Write(p); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := told(t, sent()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// unwritten is a connection that keeps what is written to it in its queue. sent takes what the queue has.
func unwritten(t *testing.T) (c *Conn, sent func() []byte) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	k := &kept{}
	c = newConn(ours, ours, k, blocking{})
	c.scheduled = true // so that nobody else is
	return c, func() []byte {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.flush()
		return bytes.Join(k.batches, nil)
	}
}

func TestWhatLiesTogetherIsOnePiece(t *testing.T) {
	c, sent := unwritten(t)
	c.in.maxFrame.Store(1 << 20)
	memory := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	var want []byte
	write := func(p []byte) {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
		want = append(want, p...)
	}
	announced := c.Announce(slice(memory))
	defer announced.Free()
	write(frame(typeData, 0, 1, make([]byte, len(memory)))[:headBytes])
	for from := 0; from < len(memory); from += 16384 {
		write(memory[from : from+16384])
	}
	write(frame(typeHeaders, 0, 1, []byte("some headers")))
	write(frame(typeHeaders, 0, 3, []byte("more headers")))
	if got := len(c.queue.pieces); got != 3 {
		t.Errorf("%d pieces, expected the frame's head, its payload, and what comes after", got)
	}
	if s := c.Stats(); s.Referenced != int64(len(memory)) || s.Copied != int64(len(want)-len(memory)) || s.Outstanding != 0 {
		t.Errorf("%+v: expected that the payload alone was referred to, and nothing else to come", s)
	}
	if !bytes.Equal(sent(), want) {
		t.Error("what was sent is not what was written")
	}
}

func TestAnIdleConnectionHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := newConn(ours, ours, &kept{}, blocking{})
		for range 100 {
			if _, err := c.Write(frame(typeData, 0, 1, make([]byte, 16384))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if c.queue != nil || c.writing || c.scheduled {
			t.Errorf("there is a queue (%v) or someone who writes (%v, %v)", c.queue, c.writing, c.scheduled)
		}
		_ = c.Close()
		_ = theirs.Close()
	})
}
