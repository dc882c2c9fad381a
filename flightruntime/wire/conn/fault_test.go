package conn

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

// lost is mapped memory of a file that was cut, but for some bytes that are left: to read the others is a fault, as where a disk fails.
func (m mapped) lost(t *testing.T, n, left int) mem.Buffer {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(n)); err != nil {
		t.Fatal(err)
	}
	p, err := syscall.Mmap(int(f.Fd()), 0, n, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(int64(left)); err != nil {
		t.Fatal(err)
	}
	m.left.Add(1)
	return mem.NewBuffer(&p, m)
}

// Memory that cannot be read any more ends the connection that was to bring it, and not the process.
func TestMemoryThatIsLost(t *testing.T) {
	for _, transport := range transports {
		for name, size := range map[string]struct{ all, left int }{"large": {1 << 20, 0}, "small": {aliasMin - 1, 0}, "the end": {1 << 20, 1 << 19}} {
			t.Run(transport+", "+name, func(t *testing.T) {
				var left atomic.Int64
				memory := mapped{&left}
				failed := make(chan *Conn, 1)
				s := serve(t, transport, func(stream grpc.ServerStream) error {
					failed <- Of(stream.Context())
					return send(stream, mem.BufferSlice{memory.lost(t, size.all, size.left)})
				})
				var message []byte
				if err := s.dial(t, nil).Invoke(t.Context(), "/test/get", []byte(nil), &message); err == nil {
					t.Errorf("%d bytes have arrived that could not be read", len(message))
				}
				c := <-failed
				eventually(t, "the connection has ended and the memory is given back", func() bool {
					c.mu.Lock()
					defer c.mu.Unlock()
					return c.ended && left.Load() == 0
				})
			})
		}
	}
}
