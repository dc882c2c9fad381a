package conn

import (
	"context"
	"net"
	"sync"
	"time"
)

// partPause is how often is looked whether the client has got all.
const partPause = 20 * time.Millisecond

// part says that nothing comes any more, and closes the connection when the client has got all and closes it, too. To close it before would be a
// reset, which takes from the client what it has not got: it goes on to say how much it has read, and nobody reads that.
func (c *Conn) part() {
	defer lingering.add(-1)
	defer c.Conn.Close()
	socket, _ := under(c.socket)
	for _, layer := range []net.Conn{c.Conn, socket} {
		if half, ok := layer.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // it is closed in any case
		}
	}
	for end := time.Now().Add(c.linger); time.Now().Before(end) && discard(c.socket); {
		time.Sleep(partPause)
	}
}

// lingering are the connections that were closed and have yet to write what is queued.
var lingering = lingerers{}

type lingerers struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when there are none any more; nil if nobody waits
}

func (l *lingerers) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n += n; l.n == 0 && l.none != nil {
		close(l.none)
		l.none = nil
	}
}

// Settled returns when every connection of this process that was closed has written what was queued, or never will, and no later than ctx ends. A server
// that has stopped gracefully waits for it: grpc-go takes for written what is queued, and the end of the process would take it away.
func Settled(ctx context.Context) {
	lingering.mu.Lock()
	if lingering.n == 0 {
		lingering.mu.Unlock()
		return
	}
	if lingering.none == nil {
		lingering.none = make(chan struct{})
	}
	none := lingering.none
	lingering.mu.Unlock()
	select {
	case <-none:
	case <-ctx.Done():
	}
}
