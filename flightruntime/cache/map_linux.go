package cache

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// anonymousFile is a file without a name that lives in memory.
func anonymousFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("flight-cache", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "flight-cache"), nil
}

// mapPages maps a file. With present, the pages, which lie in memory, are there at once.
func mapPages(f *os.File, size int, present bool) ([]byte, error) {
	flags := unix.MAP_SHARED
	if present {
		flags |= unix.MAP_POPULATE
	}
	return unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, flags)
}

// populate has the pages of b read, so that a disk that fails is an error here, where an access to the page would end the process; and so
// that whoever waits for the disk is the stream that needs it, and not the connection.
func populate(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	skipped := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % uintptr(os.Getpagesize()))
	first := unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), -skipped)
	err := unix.Madvise(unsafe.Slice((*byte)(first), len(b)+skipped), unix.MADV_POPULATE_READ)
	if errors.Is(err, unix.EINVAL) { // before Linux 5.14
		return touch(b)
	}
	return os.NewSyscallError("madvise", err)
}
