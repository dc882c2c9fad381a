// Package conn is the server's side of a gRPC connection that writes announced memory without a copy. With a write buffer of 0, grpc-go
// gives its net.Conn the head of each frame, and each piece of its payload, in a Write of its own. A piece of memory that was announced is
// queued by reference, anything else is copied, for grpc-go uses its own buffers again; the queue leaves with few, large system calls. It knows
// HTTP/2's frames as far as this takes, and neither Arrow nor Flight.
//
// This leans on how grpc-go writes, which nobody promises: Usable says whether it still does so.
package conn

import (
	"net"
	"runtime"
	"sync"
	"time"

	"google.golang.org/grpc/mem"
)

const (
	// highWater is how much is queued before Write waits. As much again is being written meanwhile.
	highWater = 2 << 20
	// aliasMin: to copy fewer bytes costs less than one more piece in the queue.
	aliasMin = 2 << 10
	// inlineMost is how much a Write that ends a stream writes itself, for which no goroutine has to be woken.
	inlineMost = 64 << 10
	// smallBatch: where there is less to write, whoever fills the queue gets the processor once before it is written. grpc-go does so too.
	smallBatch = 1000
	// linger is how long Close goes on writing what is queued, behind the caller's back: what a client gets in that time that reads 4 Mbit/s.
	linger = 10 * time.Second
)

// Conn is a connection with a queue of what is to be written. Write returns before the bytes have left; an error of the connection comes with a
// later Write, and ends the connection. It holds no buffers while it is idle. It is safe for use by several goroutines, as net.Conn asks, but
// Read by one at a time.
type Conn struct {
	net.Conn // what is read from: the socket, or TLS on it
	socket   net.Conn
	out      sink     // what the queue is written to
	remote   net.Addr // of this connection alone; see Of
	linger   time.Duration
	in       *incoming
	ready    readiness

	mu        sync.Mutex
	room      sync.Cond // Writes wait for room in the queue, or the end
	waiting   bool
	queue     *batch // nil: empty
	frames    outgoing
	announced announcements
	scheduled bool // a goroutine is about to write
	writing   bool // someone writes, and looks at the queue again before it stops
	closed    bool // Close was called
	lingers   bool // and there was something to write
	ended     bool // nothing will be written any more
	err       error
	stats     Stats
}

// Stats count what a connection has written.
type Stats struct {
	// Referenced and Copied are the bytes that were queued by reference, and those that were copied into the queue.
	Referenced, Copied int64
	// Frames are the DATA frames that grpc-go wrote, and Merged those of them that were made part of the one before.
	Frames, Merged int64
	// Batches are how often the queue was written.
	Batches int64
	// Outstanding are the announced buffers that have not been written, nor been freed by gRPC.
	Outstanding int
}

// sink is where batches go.
type sink interface {
	// write writes all pieces. faults says that reading them may wait for a disk.
	write(pieces [][]byte, faults bool) error
}

func newConn(c, socket net.Conn, out sink, ready readiness) *Conn {
	w := &Conn{Conn: c, socket: socket, out: out, remote: uniqueAddr(c.RemoteAddr()), linger: linger, in: newIncoming(), ready: ready}
	w.room.L = &w.mu
	return w
}

// RemoteAddr is the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// Stats says what was written until now.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Outstanding = c.announced.count()
	return s
}

// Read is the connection's, and follows what the client says of itself.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.received(p[:n], err)
}

// ReadOnReady has grpc-go take a buffer from its pool only once there is something to read into it.
func (c *Conn) ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error) {
	buffer, n, err := c.ready.read(c.Conn, size, pool)
	var p []byte
	if buffer != nil {
		p = (*buffer)[:n]
	}
	return buffer, n, c.received(p, err)
}

func (c *Conn) received(p []byte, err error) error {
	if len(p) > 0 {
		if !c.in.spoken {
			c.in.spoken = true
			c.register()
		}
		c.in.follow(p)
	}
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.closed { // the deadline that Close sets
			return net.ErrClosed
		}
	}
	return err
}

// Write queues what grpc-go writes. It waits while the queue is full.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Not within a frame, of which the rest may have to come before the queue can be written.
	for c.frames.atBoundary() && c.queue != nil && c.queue.bytes >= highWater && c.failed() == nil {
		c.waiting = true
		c.room.Wait()
	}
	if err := c.failed(); err != nil {
		return 0, err
	}
	if c.queue == nil {
		c.queue = batches.Get().(*batch)
	}
	ended := false
	for rest := p; len(rest) > 0; {
		part := rest[:c.frames.within(len(rest))]
		if err := c.enqueue(part); err != nil {
			c.err = err
			c.schedule() // the end
			return 0, err
		}
		ended = c.frames.follow(part) || ended
		rest = rest[len(part):]
	}
	switch {
	case ended && !c.writing && c.queue.bytes < inlineMost:
		c.flush()
		return len(p), c.err
	case c.frames.atBoundary():
		c.schedule()
	}
	return len(p), nil
}

// failed is why nothing can be written. mu is held.
func (c *Conn) failed() error {
	switch {
	case c.err != nil:
		return c.err
	case c.closed:
		return net.ErrClosed
	}
	return nil
}

// enqueue puts p, which comes after what frames has followed, into the queue. An error says that it cannot be read. mu is held.
func (c *Conn) enqueue(p []byte) error {
	q := c.queue
	if c.frames.atBoundary() {
		if stream, length, ok := dataHead(p); ok {
			c.stats.Frames++
			q.turn(stream)
			if q.grow(length, p[4], int(c.in.maxFrame.Load())) {
				c.stats.Merged++
				return nil
			}
			q.copy(p)
			q.leaveOpen(length, p[4])
			c.stats.Copied += int64(len(p))
			return nil
		}
		q.shut()
	}
	if c.frames.inData(len(p)) {
		if a, from := c.announced.take(p); a != nil && len(p) >= aliasMin {
			q.alias(a, from, len(p))
			c.stats.Referenced += int64(len(p))
			return nil
		}
	}
	c.stats.Copied += int64(len(p))
	return reading(func() { q.copy(p) })
}

// schedule has the queue written by a goroutine, which ends when it is empty: an idle connection needs none. mu is held.
func (c *Conn) schedule() {
	if c.writing || c.scheduled {
		return
	}
	c.scheduled = true
	go c.flusher()
}

func (c *Conn) flusher() {
	c.mu.Lock()
	if c.queue != nil && c.queue.bytes < smallBatch && !c.closed {
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	c.scheduled = false
	if !c.writing {
		c.flush()
	}
	c.mu.Unlock()
}

// flush writes what is queued until nothing is, or the rest of a frame has to come first: the Write that brings it schedules another. mu is held, but
// not while it writes.
func (c *Conn) flush() {
	c.writing = true
	for c.queue != nil && c.err == nil {
		b := c.queue
		if !c.frames.atBoundary() && !b.atEnd() {
			if !c.closed {
				break
			}
			b.cut()
		}
		c.queue = nil
		c.wake()
		c.stats.Batches++
		c.mu.Unlock()
		err := c.out.write(b.joined(), b.faults)
		c.mu.Lock()
		released := c.written(b)
		if err != nil {
			c.err = err
		}
		c.unlocked(func() { released.Free() })
	}
	c.writing = false
	if (c.closed || c.err != nil) && !c.ended {
		c.end()
	}
}

// written lets go of a batch, and returns the buffers that nobody needs any more. mu is held.
func (c *Conn) written(b *batch) (released mem.BufferSlice) {
	for _, a := range b.held {
		a.holds--
		released = a.appendReleased(released)
	}
	b.recycle()
	return released
}

// unlocked runs what must not run with mu held, for it is not ours. mu is held before and after.
func (c *Conn) unlocked(f func()) {
	c.mu.Unlock()
	f()
	c.mu.Lock()
}

// wake tells those who wait for room. mu is held.
func (c *Conn) wake() {
	if c.waiting {
		c.waiting = false
		c.room.Broadcast()
	}
}

// end closes the connection: all that could be written has been. mu is held, but not while it closes.
func (c *Conn) end() {
	c.ended = true
	registry.Delete(c.remote)
	released := c.announced.drop()
	if c.queue != nil {
		released = append(released, c.written(c.queue)...)
		c.queue = nil
	}
	c.wake()
	broken, lingers := c.err != nil, c.lingers
	c.unlocked(func() {
		released.Free()
		switch {
		case lingers && !broken:
			go c.part()
			return
		case broken:
			c.socket.Close() // TLS would wait to say that it closes
		default:
			c.Conn.Close()
		}
		if lingers {
			lingering.add(-1)
		}
	})
}

// Close ends reading at once, and writing when what is queued has left, for which it does not wait: Settled does. After linger, what has not left never
// will.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.wake()
	switch {
	case c.ended:
	case c.queue == nil && !c.writing:
		c.end()
	default:
		c.lingers = true
		lingering.add(1)
		_ = c.SetReadDeadline(aLongTimeAgo)
		_ = c.SetWriteDeadline(time.Now().Add(c.linger))
		c.schedule()
	}
	return nil
}

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)
