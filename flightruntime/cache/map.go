package cache

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// mapping is a file's bytes in memory. They cannot be written to.
type mapping struct{ bytes []byte }

// newMapping maps all of a file, which may be closed then. The file must never be truncated.
func newMapping(f *os.File, size int64, present bool) (*mapping, error) {
	if size != int64(int(size)) {
		return nil, fmt.Errorf("a file of %d bytes cannot be mapped on this machine", size)
	}
	b, err := mapPages(f, int(size), present)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &mapping{b}, nil
}

// unmap makes any further access a fault.
func (m *mapping) unmap() error { return os.NewSyscallError("munmap", unix.Munmap(m.bytes)) }

// touch reads a byte of each page.
func touch(b []byte) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			err = errFault
		}
	}()
	const page = 4 << 10 // or larger
	read := byte(0)
	for at := 0; at < len(b); at += page {
		read |= b[at]
	}
	runtime.KeepAlive(read) // else the compiler could leave the reads out
	return nil
}
