package conn

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// refusalsTold is how often at most the log tells of connections that were refused.
const refusalsTold = time.Minute

// Listener bounds how many connections are open at a time, and counts them and their bytes. What comes beyond is accepted and closed at once: its client
// knows at once, and comes back later or turns to another replica, where in the kernel's backlog it would wait for an answer without knowing for what.
type Listener struct {
	net.Listener
	log   *slog.Logger
	limit int64

	open, accepted, refused atomic.Int64
	bytes                   meter
	told                    time.Time // when the log last told of refusals; of the goroutine that accepts
}

// Traffic is what has come to a Listener since it was made.
type Traffic struct {
	// Open are the connections that are open now, of at most Limit; 0 is no limit.
	Open, Limit int64
	// Accepted are the connections that were let in, and Refused those that came when Limit were open.
	Accepted, Refused int64
	// Received and Sent are bytes of the connections that were let in, as they go over the wire: with TLS, those of its records and handshakes.
	Received, Sent int64
}

// Listen is a listener with a limit of connections; none if that is not positive. Accept is called by one goroutine at a time. The log gets a warning where
// connections are refused, once a minute at most.
func Listen(l net.Listener, limit int, log *slog.Logger) *Listener {
	return &Listener{Listener: l, limit: int64(max(limit, 0)), log: log}
}

// Traffic tells what has come until now. It takes no lock.
func (l *Listener) Traffic() Traffic {
	return Traffic{
		Open: l.open.Load(), Limit: l.limit, Accepted: l.accepted.Load(), Refused: l.refused.Load(),
		Received: l.bytes.received.Load(), Sent: l.bytes.sent.Load(),
	}
}

// Accept waits for the next connection that there is room for.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.limit > 0 && l.open.Load() >= l.limit {
			l.refuse(c)
			c.Close()
			continue
		}
		l.accepted.Add(1)
		l.open.Add(1)
		return &accepted{Conn: c, listener: l}, nil
	}
}

// refuse notes that a connection was refused.
func (l *Listener) refuse(c net.Conn) {
	refused := l.refused.Add(1)
	if now := time.Now(); now.Sub(l.told) >= refusalsTold {
		l.told = now
		l.log.Warn("a connection is refused, for as many are open as may be: add replicas, or have clients keep their connections or close them",
			"client", c.RemoteAddr().String(), "limit", l.limit, "refusedInAll", refused)
	}
}

// accepted is a connection of a Listener. What reads from its socket or writes to it by itself tells its meter.
type accepted struct {
	net.Conn
	listener *Listener
	closed   sync.Once
}

func (c *accepted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.listener.bytes.receive(n)
	return n, err
}

func (c *accepted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.listener.bytes.send(n)
	return n, err
}

// Close closes the connection, which makes room for another.
func (c *accepted) Close() error {
	err := c.Conn.Close()
	c.closed.Do(func() { c.listener.open.Add(-1) })
	return err
}

// under is the connection below one of a Listener, and its meter; any other connection and nil.
func under(c net.Conn) (net.Conn, *meter) {
	if a, ok := c.(*accepted); ok {
		return a.Conn, &a.listener.bytes
	}
	return c, nil
}

// meter counts bytes; nil counts none.
type meter struct{ received, sent atomic.Int64 }

func (m *meter) receive(n int) {
	if m != nil && n > 0 {
		m.received.Add(int64(n))
	}
}

func (m *meter) send(n int) {
	if m != nil && n > 0 {
		m.sent.Add(int64(n))
	}
}
