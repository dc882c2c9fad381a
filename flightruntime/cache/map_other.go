//go:build unix && !linux

package cache

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// anonymousFile is a file without a name. Other systems than Linux may write it to a disk when memory is short.
func anonymousFile() (*os.File, error) {
	f, err := os.CreateTemp("", "flight-cache-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func mapPages(f *os.File, size int, _ bool) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
}

func populate(b []byte, _ bool) error { return touch(b) }
