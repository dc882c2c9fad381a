package conn

import (
	"net"

	"google.golang.org/grpc/mem"
)

// readiness reads into a buffer that is got only when there is something to read, where the system can tell: an idle connection needs none.
type readiness interface {
	read(from net.Conn, size int, pool mem.BufferPool) (buffer *[]byte, n int, err error)
}

// blocking gets the buffer first.
type blocking struct{}

func (blocking) read(from net.Conn, size int, pool mem.BufferPool) (*[]byte, int, error) {
	buffer := pool.Get(size)
	n, err := from.Read(*buffer)
	if n == 0 {
		pool.Put(buffer)
		return nil, 0, err
	}
	return buffer, n, err
}
