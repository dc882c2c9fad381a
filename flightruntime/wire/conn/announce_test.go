package conn

import (
	"bytes"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/mem"
)

func slice(p []byte) mem.BufferSlice { return mem.BufferSlice{mem.SliceBuffer(p)} }

// counter counts what is freed.
type counter struct{ freed int }

func (*counter) Get(int) *[]byte { panic("nothing is got from here") }
func (c *counter) Put(*[]byte)   { c.freed++ }

func (c *counter) buffer(p []byte) mem.Buffer { return mem.NewBuffer(&p, c) }

func write(t *testing.T, c *Conn, pieces ...[]byte) {
	t.Helper()
	for _, p := range pieces {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
}

// dataOf is the head of a DATA frame.
func dataOf(stream uint32, n int) []byte {
	return frame(typeData, 0, stream, make([]byte, n))[:headBytes]
}

func TestABufferIsFreedOnceItHasLeft(t *testing.T) {
	var freed counter
	memory := make([]byte, 32<<10)
	for _, tt := range []struct {
		name  string
		steps func(c *Conn, sent mem.BufferSlice, flush func() []byte)
	}{
		{"written, freed, sent", func(c *Conn, sent mem.BufferSlice, flush func() []byte) {
			write(t, c, dataOf(1, len(memory)), memory[:16<<10], memory[16<<10:])
			sent.Free()
			if freed.freed != 0 {
				t.Error("it was freed while it is in the queue")
			}
			flush()
		}},
		{"written, sent, freed", func(c *Conn, sent mem.BufferSlice, flush func() []byte) {
			write(t, c, dataOf(1, len(memory)), memory)
			flush()
			if freed.freed != 0 {
				t.Error("it was freed while gRPC has it")
			}
			sent.Free()
		}},
		{"written in part, then the stream is reset", func(c *Conn, sent mem.BufferSlice, flush func() []byte) {
			write(t, c, dataOf(1, 16<<10), memory[:16<<10])
			sent.Free()
			flush()
		}},
		{"never written", func(_ *Conn, sent mem.BufferSlice, _ func() []byte) { sent.Free() }},
		{"referred to twice", func(_ *Conn, sent mem.BufferSlice, _ func() []byte) {
			sent.Ref()
			sent.Free()
			if freed.freed != 0 {
				t.Error("it was freed while gRPC has a reference")
			}
			sent.Free()
		}},
		{"the connection ends", func(c *Conn, sent mem.BufferSlice, _ func() []byte) {
			_ = c.Close()
			if freed.freed != 1 {
				t.Error("it was not freed with the connection")
			}
			sent.Free()
		}},
		{"the connection ends in the middle", func(c *Conn, sent mem.BufferSlice, flush func() []byte) {
			write(t, c, dataOf(1, len(memory)), memory[:16<<10])
			_ = c.Close()
			flush()
			if freed.freed != 1 {
				t.Error("it was not freed with the connection")
			}
			sent.Free()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			freed.freed = 0
			c, flush := unwritten(t)
			sent := c.Announce(mem.BufferSlice{freed.buffer(memory)})
			tt.steps(c, sent, flush)
			if freed.freed != 1 {
				t.Errorf("it was freed %d times, expected once", freed.freed)
			}
			if n := c.Stats().Outstanding; n != 0 {
				t.Errorf("%d announcements are left", n)
			}
		})
	}
}

func TestStreamsMayShareMemory(t *testing.T) {
	var freed counter
	c, sent := unwritten(t)
	c.in.maxFrame.Store(8 << 10) // nothing is merged
	memory := bytes.Repeat([]byte("shared memory "), 4<<10)
	shared := freed.buffer(memory)
	const streams = 5
	var announced []mem.BufferSlice
	for range streams {
		shared.Ref()
		announced = append(announced, c.Announce(mem.BufferSlice{shared}))
	}
	part := freed.buffer(memory[:8<<10]) // begins with the same byte, and is shorter
	announced = append(announced, c.Announce(mem.BufferSlice{part}))
	shared.Free()
	for from := 0; from < len(memory); from += 8 << 10 {
		p := memory[from:min(from+8<<10, len(memory))]
		for stream := range uint32(streams) { // as grpc-go does, one after the other
			write(t, c, dataOf(1+2*stream, len(p)), p)
		}
	}
	var want []byte
	for stream := range uint32(streams) {
		for p := range slices.Chunk(memory, 8<<10) {
			want = append(append(want, dataOf(1+2*stream, len(p))...), p...)
		}
	}
	write(t, c, dataOf(99, 8<<10), memory[:8<<10])
	want = append(append(want, dataOf(99, 8<<10)...), memory[:8<<10]...)
	if s := c.Stats(); s.Referenced != int64(streams*len(memory)+8<<10) {
		t.Errorf("%d bytes were written by reference, expected all %d", s.Referenced, streams*len(memory)+8<<10)
	}
	for _, a := range announced {
		a.Free()
	}
	if freed.freed != 0 {
		t.Error("memory was freed while it is in the queue")
	}
	if !bytes.Equal(sent(), want) {
		t.Error("what was sent is not what was written")
	}
	if freed.freed != 2 || c.Stats().Outstanding != 0 {
		t.Errorf("%d of 2 buffers were freed, and %d announcements are left", freed.freed, c.Stats().Outstanding)
	}
}

func TestTheSameMemoryAfterAReset(t *testing.T) {
	c, sent := unwritten(t)
	memory := make([]byte, 32<<10)
	first, second := c.Announce(slice(memory)), c.Announce(slice(memory))
	write(t, c, dataOf(1, 16<<10), memory[:16<<10], dataOf(3, 16<<10), memory[:16<<10])
	first.Free() // stream 1 is reset
	write(t, c, dataOf(3, 16<<10), memory[16<<10:])
	second.Free()
	if s := c.Stats(); s.Referenced != 48<<10 || s.Outstanding != 0 {
		t.Errorf("%+v: expected that 48 KiB were referred to, and nothing is left", s)
	}
	sent()
}

func TestMemoryThatWasNotAnnouncedIsCopied(t *testing.T) {
	c, sent := unwritten(t)
	memory := make([]byte, 32<<10)
	announced := c.Announce(mem.BufferSlice{mem.SliceBuffer(memory[:100]), mem.SliceBuffer(memory[100 : 16<<10])})
	defer announced.Free()
	write(t, c, dataOf(1, 32<<10), memory[:100], memory[100:16<<10], memory[16<<10:])
	for i := range memory {
		memory[i] = byte(i) // of what was announced, none may change; here it shows what is a copy
	}
	got := sent()[headBytes:]
	if !bytes.Equal(got[:100], make([]byte, 100)) || !bytes.Equal(got[100:16<<10], memory[100:16<<10]) || !bytes.Equal(got[16<<10:], make([]byte, 16<<10)) {
		t.Error("expected that the second buffer was referred to, and the first, which is small, and what was not announced, copied")
	}
}

// grpc-go loses what is sent on a stream that ends at that moment. The garbage collector finds it.
func TestLostBuffersAreFreed(t *testing.T) {
	freed := make(recorder, 2)
	c, _ := unwritten(t)
	large, small := make([]byte, 32<<10), make([]byte, 2<<10)
	lost := c.Announce(mem.BufferSlice{mem.NewBuffer(&large, freed), mem.NewBuffer(&small, freed)})
	if n := c.Stats().Outstanding; n != 2 {
		t.Fatalf("%d announcements, expected 2", n)
	}
	runtime.KeepAlive(lost)
	for range 2 {
		runtime.GC()
		select {
		case <-freed:
		case <-time.After(10 * time.Second):
			t.Fatal("a buffer that nobody refers to was not freed")
		}
	}
	if n := c.Stats().Outstanding; n != 0 {
		t.Errorf("%d announcements are left", n)
	}
}

func TestNothingIsAnnouncedAfterTheEnd(t *testing.T) {
	var freed counter
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := newConn(ours, ours, newBuffers(ours), blocking{})
	_ = c.Close()
	sent := c.Announce(mem.BufferSlice{freed.buffer(make([]byte, 4<<10))})
	if freed.freed != 1 || c.Stats().Outstanding != 0 || len(sent[0].ReadOnlyData()) != 4<<10 {
		t.Errorf("freed %d times, %d announced: expected 1 and 0", freed.freed, c.Stats().Outstanding)
	}
	sent.Free()
}
