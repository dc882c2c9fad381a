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
// that whoever waits for the disk is the stream that needs it, and not the connection. The first time that is done, the pages are mapped, too.
func populate(b []byte, first bool) error {
	if len(b) == 0 || !first && resident(b) {
		return nil
	}
	err := unix.Madvise(pagesOf(b), unix.MADV_POPULATE_READ)
	if errors.Is(err, unix.EINVAL) { // before Linux 5.14
		return touch(b)
	}
	return os.NewSyscallError("madvise", err)
}

// pagesOf is b from the beginning of its first page on.
func pagesOf(b []byte) []byte {
	skipped := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % uintptr(os.Getpagesize()))
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), -skipped)), len(b)+skipped)
}

// resident is true if all pages of b are in memory. It costs a fraction of what it takes to populate pages that are there already.
func resident(b []byte) bool {
	var present [512]byte
	page := os.Getpagesize()
	for rest := pagesOf(b); len(rest) > 0; {
		n := min(len(rest), len(present)*page)
		if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(n), uintptr(unsafe.Pointer(&present))); errno != 0 {
			return false
		}
		for _, p := range present[:(n+page-1)/page] {
			if p&1 == 0 {
				return false
			}
		}
		rest = rest[n:]
	}
	return true
}
