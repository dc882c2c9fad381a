package conn

import (
	"runtime"
	"sync/atomic"

	"google.golang.org/grpc/mem"
)

// announceMin is the size from which memory of the garbage collector is worth the announcement.
const announceMin = 4 << 10

// announcement is a buffer that is about to be written.
type announcement struct {
	data []byte
	at   int // where the next piece starts; len(data): all were written
	// buffer is the reference that is kept until the bytes have left; nil of memory that the garbage collector owns.
	buffer mem.Buffer
	holds  int  // batches that have pieces of it
	done   bool // gRPC needs it no more, or the connection has ended
	// twin is another announcement that goes on at the same byte: streams may share frames.
	twin *announcement
}

// appendReleased appends the buffer if nobody needs it any more.
func (a *announcement) appendReleased(to mem.BufferSlice) mem.BufferSlice {
	if !a.done || a.holds > 0 || a.buffer == nil {
		return to
	}
	to = append(to, a.buffer)
	a.buffer = nil
	return to
}

// announcements are those of a connection, found by where their next piece starts.
type announcements struct {
	next map[*byte]*announcement
	// current, if any, is the one that the last piece was of, and not in the map: mostly the next piece is of it too.
	current *announcement
}

func (s *announcements) add(a *announcement) {
	if s.next == nil {
		s.next = map[*byte]*announcement{}
	}
	key := &a.data[a.at]
	a.twin = s.next[key]
	s.next[key] = a
}

// take finds an announcement that p is the next piece of, and where it starts; nil if there is none. Which of several that hold the same memory it is does
// not matter: each keeps that memory.
func (s *announcements) take(p []byte) (a *announcement, from int) {
	a = s.current
	if a == nil || &a.data[a.at] != &p[0] || len(p) > len(a.data)-a.at {
		if len(s.next) == 0 {
			return nil, 0
		}
		if a = s.longest(&p[0]); a == nil || len(p) > len(a.data)-a.at {
			return nil, 0
		}
		s.unlink(a)
		if s.current != nil {
			s.add(s.current)
		}
		s.current = a
	}
	from = a.at
	a.at += len(p)
	if a.at == len(a.data) {
		s.current = nil
	}
	return a, from
}

// longest is the announcement of which most is to come, of those that go on at a byte: what another one ends before is of this one.
func (s *announcements) longest(at *byte) *announcement {
	longest := s.next[at]
	for a := longest; a != nil; a = a.twin {
		if len(a.data)-a.at > len(longest.data)-longest.at {
			longest = a
		}
	}
	return longest
}

// remove forgets an announcement.
func (s *announcements) remove(a *announcement) {
	switch {
	case s.current == a:
		s.current = nil
	case a.at < len(a.data):
		s.unlink(a)
	}
}

// unlink takes an announcement out of the map.
func (s *announcements) unlink(a *announcement) {
	key := &a.data[a.at]
	first := s.next[key]
	switch {
	case first == a && a.twin == nil:
		delete(s.next, key)
	case first == a:
		s.next[key] = a.twin
	default:
		for first.twin != a {
			first = first.twin
		}
		first.twin = a.twin
	}
	a.twin = nil
}

// drop forgets all, and returns the buffers that nobody needs any more.
func (s *announcements) drop() (released mem.BufferSlice) {
	end := func(a *announcement) {
		a.done = true
		released = a.appendReleased(released)
	}
	for _, a := range s.next {
		for ; a != nil; a = a.twin {
			end(a)
		}
	}
	if s.current != nil {
		end(s.current)
	}
	s.next, s.current = nil, nil
	return released
}

func (s *announcements) count() int {
	n := 0
	for _, a := range s.next {
		for ; a != nil; a = a.twin {
			n++
		}
	}
	if s.current != nil {
		n++
	}
	return n
}

// Announce says that a message is about to be sent on this connection, and returns the buffers to send in place of those given: grpc-go has to
// get and free them. It takes over the references to those given. The announcement of a buffer ends when grpc-go has freed it, be it written or
// not, or with the connection; the buffer given is freed when, beyond that, the last of its bytes has left. None of the memory may change
// before. To have grpc-go read the memory (it does to compress a message), the caller keeps references of its own until SendMsg has returned.
func (c *Conn) Announce(buffers mem.BufferSlice) mem.BufferSlice {
	n := 0
	for _, b := range buffers {
		if worthwhile(b) {
			n++
		}
	}
	if n == 0 {
		return buffers
	}
	f := &flight{conn: c, announcements: make([]announcement, n)}
	handles := make([]handle, n)
	out := make(mem.BufferSlice, len(buffers))
	n = 0
	for i, b := range buffers {
		if !worthwhile(b) {
			out[i] = b
			continue
		}
		h, a := &handles[n], &f.announcements[n]
		n++
		a.data = b.ReadOnlyData()
		if !collected(b) {
			a.buffer = b
		}
		*h = handle{Buffer: b, data: a.data, flight: f, announcement: a}
		h.refs.Store(1)
		out[i] = h
	}
	// grpc-go forgets some buffers without freeing them: those of a stream that ended just before they came to be written.
	runtime.AddCleanup(&handles[0], (*flight).end, f)
	f.begin()
	return out
}

// worthwhile says which buffers are announced: large ones, and those whose owner waits for them to be freed.
func worthwhile(b mem.Buffer) bool {
	n := b.Len()
	return n >= announceMin || n > 0 && !collected(b)
}

// collected is true of memory that the garbage collector owns.
func collected(b mem.Buffer) bool {
	_, ok := b.(mem.SliceBuffer)
	return ok
}

// flight are the announcements of one message.
type flight struct {
	conn          *Conn
	announcements []announcement
}

func (f *flight) begin() {
	c := f.conn
	c.mu.Lock()
	ended := c.ended
	for i := range f.announcements {
		if !ended {
			c.announced.add(&f.announcements[i])
		}
	}
	c.mu.Unlock()
	if ended {
		f.end()
	}
}

// end withdraws all of them.
func (f *flight) end() {
	for i := range f.announcements {
		f.conn.withdraw(&f.announcements[i])
	}
}

// withdraw ends an announcement: the memory will not be written any more, but for what is queued.
func (c *Conn) withdraw(a *announcement) {
	c.mu.Lock()
	if a.done {
		c.mu.Unlock()
		return
	}
	if !c.ended {
		c.announced.remove(a)
	}
	a.done = true
	a.data, a.at = nil, 0
	released := a.appendReleased(nil)
	c.mu.Unlock()
	released.Free()
}

// handle is what grpc-go has in place of an announced buffer. What it points to does not refer to it, so that the garbage collector tells when
// grpc-go has lost it.
type handle struct {
	mem.Buffer   // for the methods that only package mem can have
	data         []byte
	refs         atomic.Int32
	flight       *flight
	announcement *announcement
}

// ReadOnlyData is the memory, also when the connection has ended and the buffer was freed: nothing is read of it then.
func (h *handle) ReadOnlyData() []byte { return h.data }

// Len is the number of bytes.
func (h *handle) Len() int { return len(h.data) }

// Ref adds a reference.
func (h *handle) Ref() { h.refs.Add(1) }

// Free gives a reference back. With the last one the announcement ends.
func (h *handle) Free() {
	switch n := h.refs.Add(-1); {
	case n == 0:
		h.flight.conn.withdraw(h.announcement)
	case n < 0:
		panic("an announced buffer was freed more often than it was referred to")
	}
}
