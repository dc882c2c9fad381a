package conn

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"slices"
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

// told are the frames of a batch, as type, stream, flags and length, and how many bytes there are of the last if it is not whole.
func told(batch []byte) string {
	var frames []string
	for len(batch) > 0 {
		h := (*head)(batch)
		kind := map[byte]string{typeData: "DATA", typeHeaders: "HEADERS", typeSettings: "SETTINGS"}[h[3]]
		frames = append(frames, fmt.Sprintf("%s %d:%d", kind, h.stream(), h.length())+strings.Repeat("!", int(h[4]&1)))
		if n := len(batch) - headBytes; n < h.length() {
			frames = append(frames, fmt.Sprintf("%d of them", n))
			break
		}
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
		{"of streams in turn", 1 << 20, [][]byte{data(1, 10), data(3, 20), data(3, 30), data(1, 40)}, "DATA 1:50, DATA 3:50"},
		{
			"of streams in turn, up to what the client takes", 20_000,
			[][]byte{data(1, 15000), data(3, 15000), data(1, 6000), data(3, 5000), data(1, 7000)},
			"DATA 1:15000, DATA 1:13000, DATA 3:20000",
		},
		{
			"not those of streams in turn across trailers", 1 << 20,
			[][]byte{data(1, 10), data(3, 20), frame(typeHeaders, flagEndStream, 1, nil), data(3, 30), data(5, 40), data(3, 50)},
			"DATA 1:10, DATA 3:20, HEADERS 1:0!, DATA 3:80, DATA 5:40",
		},
		{"of streams in turn, of which one ends", 1 << 20, [][]byte{data(1, 10), data(3, 20), last(1, 30), data(3, 40)}, "DATA 1:40!, DATA 3:60"},
		{"not across other frames", 1 << 20, [][]byte{data(1, 10), frame(typeSettings, flagAck, 0, nil), data(1, 20)}, "DATA 1:10, SETTINGS 0:0!, DATA 1:20"},
		{"with the end of the stream", 1 << 20, [][]byte{data(1, 10), last(1, 20), data(3, 30)}, "DATA 1:30!, DATA 3:30"},
		{"nothing to what ends a stream", 1 << 20, [][]byte{last(1, 20), data(1, 30)}, "DATA 1:20!, DATA 1:30"},
		{"not those with paddings", 1 << 20, [][]byte{data(1, 10), frame(typeData, 8, 1, []byte{1, 7, 0}), data(1, 20)}, "DATA 1:10, DATA 1:3, DATA 1:20"},
		{"empty ones", 1 << 20, [][]byte{data(1, 0), data(1, 5)}, "DATA 1:5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, sent := unwritten(t)
			c.in.maxFrame.Store(int32(tt.limit))
			c.writing = true // so that the end of a stream writes nothing
			for _, f := range tt.frames {
				for _, p := range [][]byte{f[:headBytes], f[headBytes:]} { // as grpc-go does
					if _, err := c.Write(p); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := told(sent()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// However many streams take turns, and however what they write is cut into Writes, each stream's bytes come in their order, before and after the
// same frames other than DATA.
func TestStreamsInTurnKeepTheirOrder(t *testing.T) {
	for _, streams := range []int{1, 2, 4, mostSegments, mostSegments + 1, 3 * mostSegments} {
		var frames [][]byte
		for i := range 400 {
			stream := uint32(1 + 2*(i%streams))
			switch {
			case i%97 == 96:
				frames = append(frames, frame(typeHeaders, 0, stream, fmt.Appendf(nil, "headers %d", i)))
			case i%31 == 30:
				frames = append(frames, frame(typeData, 8, stream, fmt.Appendf(nil, "\x00padded %d", i)))
			default:
				frames = append(frames, frame(typeData, 0, stream, fmt.Appendf(nil, "data %d;", i)))
			}
		}
		whole := slices.Concat(frames...)
		for size := range 40 { // 0: a head, then its payload
			c, sent := unwritten(t)
			c.in.maxFrame.Store(100)
			for _, f := range frames {
				if size == 0 {
					write(t, c, f[:headBytes], f[headBytes:])
				}
			}
			if size > 0 {
				for piece := range slices.Chunk(whole, size) {
					write(t, c, piece)
				}
			}
			if got, want := inOrder(t, sent(), 100), inOrder(t, whole, 100); !slices.Equal(got, want) {
				t.Errorf("%d streams in pieces of %d:\ngot  %q\nwant %q", streams, size, got, want)
			}
		}
	}
}

// What is copied goes on where the segment's last piece ends, if that is the end of the same chunk, not if it only ends at the same byte of an earlier one.
func TestCopiesInAnotherChunk(t *testing.T) {
	c, sent := unwritten(t)
	first, other, second := []byte("first"), bytes.Repeat([]byte("o"), chunkBytes-headBytes), []byte("second")
	write(t, c, frame(typeData, 0, 1, nil), dataOf(1, len(first)), first, dataOf(3, len(other)), other, dataOf(1, len(second)), second)
	want := slices.Concat(frame(typeData, 0, 1, slices.Concat(first, second)), frame(typeData, 0, 3, other))
	if !bytes.Equal(sent(), want) {
		t.Error("what was sent is not what was written")
	}
}

// inOrder is what a client sees of frames of at most limit bytes: what each stream's DATA frames have between two other frames, and those.
func inOrder(t *testing.T, written []byte, limit int) (seen []string) {
	data := map[uint32]string{}
	flush := func() {
		for _, stream := range slices.Sorted(maps.Keys(data)) {
			seen = append(seen, fmt.Sprintf("%d: %s", stream, data[stream]))
		}
		clear(data)
	}
	for len(written) > 0 {
		h := (*head)(written)
		if h.length() > limit || len(written) < headBytes+h.length() {
			t.Fatalf("a frame of %d bytes, expected at most %d and those that are there, %d", h.length(), limit, len(written)-headBytes)
		}
		payload := string(written[headBytes : headBytes+h.length()])
		if h[3] == typeData && h[4] == 0 {
			data[h.stream()] += payload
		} else {
			flush()
			seen = append(seen, fmt.Sprintf("%d (%d, %d): %s", h.stream(), h[3], h[4], payload))
		}
		written = written[headBytes+h.length():]
	}
	flush()
	return seen
}

// The rest of a frame that others follow must come with the same batch; the rest of one at the end may come with the next.
func TestAFrameThatIsNotWhole(t *testing.T) {
	begun := frame(typeData, 0, 1, []byte("the rest"))
	for _, tt := range []struct {
		name   string
		before [][]byte
		early  string // what is written before the rest has come
		want   string
		closed string // what is written if the connection is closed instead
	}{
		{"at the end", [][]byte{frame(typeData, 0, 1, []byte("one"))}, "DATA 1:11, 3 of them", "DATA 1:11", "DATA 1:11, 3 of them"},
		{"at the end, after another stream's", [][]byte{frame(typeData, 0, 3, []byte("three"))}, "DATA 3:5, DATA 1:8, 0 of them", "DATA 3:5, DATA 1:8", "DATA 3:5, DATA 1:8, 0 of them"},
		{
			"before another stream's",
			[][]byte{frame(typeData, 0, 1, []byte("one")), frame(typeData, 0, 3, []byte("three"))},
			"", "DATA 1:11, DATA 3:5", "DATA 1:11, 3 of them",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, closes := range []bool{false, true} {
				c, sent := unwritten(t)
				c.in.maxFrame.Store(1 << 20)
				for _, f := range tt.before {
					write(t, c, f[:headBytes], f[headBytes:])
				}
				write(t, c, begun[:headBytes])
				if closes {
					_ = c.Close()
					if got := told(sent()); got != tt.closed {
						t.Errorf("closed: got %q, expected %q", got, tt.closed)
					}
					continue
				}
				if got := told(sent()); got != tt.early {
					t.Errorf("early: got %q, expected %q", got, tt.early)
				}
				write(t, c, begun[headBytes:])
				if got := told(sent()); got != tt.want {
					t.Errorf("got %q, expected %q", got, tt.want)
				}
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
	if got := len(c.queue.joined()); got != 3 {
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
