package conn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/mem"
)

// socketOf is the socket below a connection, if it is a plain one, and what counts its bytes.
func socketOf(c net.Conn) (syscall.RawConn, *meter) {
	c, bytes := under(c)
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nil, nil
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, nil
	}
	return raw, bytes
}

const (
	// sendBuffer is how much the kernel holds of what was written. By itself it lets that grow to 4 MiB, of which much has left the processor's cache when it
	// is read: 512 KiB take a third less processor time a byte than that, 256 KiB the same, 128 KiB and 1 MiB more.
	sendBuffer = 512 << 10
	// sendBufferRTT is the round-trip time up to which sendBuffer, or the 208 KiB that many systems allow, do not bound a connection to less than
	// 1 GB/s. On longer ways the kernel sees to it.
	sendBufferRTT = 200 * time.Microsecond
)

// tune bounds what the kernel holds of a connection's bytes, if the client is near.
func tune(c net.Conn) {
	c, _ = under(c)
	t, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return
	}
	near := false
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		near = err == nil && time.Duration(info.Rtt)*time.Microsecond <= sendBufferRTT
	})
	if near {
		_ = t.SetWriteBuffer(sendBuffer)
	}
}

// newVector is what writes to a connection.
func newVector(c net.Conn) sink {
	if raw, bytes := socketOf(c); raw != nil {
		return vector{raw, bytes}
	}
	return newBuffers(c)
}

// vector writes to a socket with writev(2).
type vector struct {
	socket syscall.RawConn
	bytes  *meter
}

func (v vector) write(pieces [][]byte, faults bool) error {
	w := vectorWrites.Get().(*vectorWrite)
	defer vectorWrites.Put(w)
	defer clear(w.iov[:])
	w.faults = faults
	for first := 0; len(pieces) > 0; {
		n, err := w.once(v.socket, pieces, first)
		if err != nil {
			return err
		}
		v.bytes.send(n)
		for n += first; len(pieces) > 0 && n >= len(pieces[0]); pieces = pieces[1:] {
			n -= len(pieces[0])
		}
		first = n
	}
	return nil
}

// vectorWrite is one call of writev.
type vectorWrite struct {
	iov    [256]syscall.Iovec
	count  int
	faults bool
	n      int
	errno  syscall.Errno
	call   func(fd uintptr) bool // for RawConn.Write
}

var vectorWrites = sync.Pool{New: func() any {
	w := &vectorWrite{}
	w.call = w.writev
	return w
}}

// once writes some of the pieces, from a byte of the first on, and tells how many bytes.
func (w *vectorWrite) once(socket syscall.RawConn, pieces [][]byte, first int) (int, error) {
	w.count = min(len(pieces), len(w.iov))
	for i, p := range pieces[:w.count] {
		if i == 0 {
			p = p[first:]
		}
		w.iov[i].Base = &p[0]
		w.iov[i].SetLen(len(p))
	}
	if err := socket.Write(w.call); err != nil {
		return 0, err
	}
	switch w.errno {
	case 0:
		return w.n, nil
	case syscall.EINTR:
		return 0, nil
	default:
		return 0, os.NewSyscallError("writev", w.errno)
	}
}

// writev is false where the socket has no room. The socket does not block and takes no more than its buffer has room for, so that Go's scheduler
// need not know of the call, unless the memory has to come from a disk.
func (w *vectorWrite) writev(fd uintptr) bool {
	ordered(fd)
	var n uintptr
	if w.faults {
		n, _, w.errno = syscall.Syscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&w.iov[0])), uintptr(w.count))
	} else {
		n, _, w.errno = syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&w.iov[0])), uintptr(w.count))
	}
	w.n = int(n)
	return w.errno != syscall.EAGAIN
}

// socketReader reads from a socket without waiting, or waits without reading.
type socketReader struct {
	socket    syscall.RawConn
	bytes     *meter
	impatient bool // what try is for; of the goroutine that reads

	// Of one call; they are here because functions given to RawConn.Read escape.
	into []byte
	size int
	pool mem.BufferPool
	got  *[]byte
	n    int
	err  error
	once func(fd uintptr) bool
	peek func(fd uintptr) bool
	fill func(fd uintptr) bool
}

func newSocketReader(c net.Conn) *socketReader {
	raw, bytes := socketOf(c)
	if raw == nil {
		return nil
	}
	r := &socketReader{socket: raw, bytes: bytes}
	r.once, r.peek, r.fill = r.readOnce, r.peekOne, r.readPooled
	return r
}

func (r *socketReader) readOnce(fd uintptr) bool {
	r.n, r.err = ignoringEINTR(func() (int, error) { return syscall.Read(int(fd), r.into) })
	r.bytes.receive(r.n)
	return true
}

func (r *socketReader) peekOne(fd uintptr) bool {
	var one [1]byte
	_, _, r.err = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK)
	return !errors.Is(r.err, syscall.EAGAIN) && !errors.Is(r.err, syscall.EINTR)
}

func (r *socketReader) readPooled(fd uintptr) bool {
	r.got = r.pool.Get(r.size)
	r.n, r.err = ignoringEINTR(func() (int, error) { return syscall.Read(int(fd), *r.got) })
	r.bytes.receive(r.n)
	if r.err == nil && r.n > 0 {
		return true
	}
	r.pool.Put(r.got)
	r.got = nil
	return !errors.Is(r.err, syscall.EAGAIN)
}

func ignoringEINTR(f func() (int, error)) (int, error) {
	for {
		if n, err := f(); !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

// discard reads what there is, and is false when no more will come.
func discard(c net.Conn) (more bool) {
	raw, bytes := socketOf(c)
	if raw == nil {
		return false
	}
	var waste [4 << 10]byte
	_ = raw.Control(func(fd uintptr) { // and not Read, which Close has ended
		for n, err := 1, error(nil); n > 0 && err == nil; {
			n, err = ignoringEINTR(func() (int, error) { return syscall.Read(int(fd), waste[:]) })
			bytes.receive(n)
			more = errors.Is(err, syscall.EAGAIN)
		}
	})
	return more
}

// errNothing says that a read would have to wait. crypto/tls goes on after errors that are temporary.
var errNothing net.Error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "there is nothing to read" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// try reads what is there, or else fails with errNothing.
func (r *socketReader) try(p []byte) (int, error) {
	r.into = p
	err := r.socket.Read(r.once)
	r.into = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(r.err, syscall.EAGAIN):
		return 0, errNothing
	case r.err != nil:
		return 0, os.NewSyscallError("read", r.err)
	case r.n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return r.n, nil
}

// wait returns when there is something to read, or the connection has ended.
func (r *socketReader) wait() error {
	return r.socket.Read(r.peek)
}

// plainReadiness reads from a socket.
type plainReadiness struct{ *socketReader }

func newReadiness(c net.Conn) readiness {
	if r := newSocketReader(c); r != nil {
		return plainReadiness{r}
	}
	return blocking{}
}

func (r plainReadiness) read(_ net.Conn, size int, pool mem.BufferPool) (*[]byte, int, error) {
	r.size, r.pool = size, pool
	err := r.socket.Read(r.fill)
	buffer, n := r.got, r.n
	r.got, r.pool = nil, nil
	switch {
	case err != nil:
		return nil, 0, err
	case r.err != nil:
		return nil, 0, os.NewSyscallError("read", r.err)
	case buffer == nil:
		return nil, 0, io.EOF
	}
	return buffer, n, nil
}

// tlsReadiness reads from TLS on a socket.
type tlsReadiness struct{ *socketReader }

func newTLSReadiness(g *gather) readiness {
	if g.reading == nil {
		return blocking{}
	}
	return tlsReadiness{g.reading}
}

func (r tlsReadiness) read(tls net.Conn, size int, pool mem.BufferPool) (*[]byte, int, error) {
	r.impatient = true
	defer func() { r.impatient = false }()
	for {
		buffer, n, err := blocking{}.read(tls, size, pool)
		if n > 0 || !errors.Is(err, errNothing) {
			return buffer, n, err
		}
		if err := r.wait(); err != nil {
			return nil, 0, err
		}
	}
}
