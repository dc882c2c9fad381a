package landing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// errnoMessages are what users read. Tests often run as root, to whom little is denied: what the kernel would say is therefore given.
var errnoMessages = map[syscall.Errno]string{
	syscall.ENOSPC: `the volume of folder "trips" below /data is full: make room on it, or enlarge its claim`,
	syscall.EDQUOT: `the volume of folder "trips" below /data is full: make room on it, or enlarge its claim`,
	syscall.EFBIG:  `the file would be larger than the file system or the process's limit allows in folder "trips" below /data: put smaller batches`,
	syscall.EROFS:  `the volume of folder "trips" below /data is read-only: check its mount, its access modes and its events`,
	syscall.EACCES: `user 65532 may not write in folder "trips" below /data: let it write there, for instance by podTemplate.fsGroup`,
	syscall.EPERM:  `user 65532 may not write in folder "trips" below /data: let it write there, for instance by podTemplate.fsGroup`,
	syscall.EIO:    `cannot write in folder "trips" below /data: input/output error`,
}

// What keeps a file from landing is in the error chain, in words for users, and with the mend.
func TestErrorsOfTheVolume(t *testing.T) {
	l := &Landing{dir: "/data", glob: glob{folder: "trips"}}
	for err, want := range errnoMessages {
		wrapped := l.explain("write", &fs.PathError{Op: "write", Path: "trips/..landing-put-1", Err: err})
		if !errors.Is(wrapped, err) || !errors.Is(wrapped, ErrVolume) {
			t.Errorf("%v is lost in %v", err, wrapped)
		}
		if got := strings.ReplaceAll(wrapped.Error(), fmt.Sprint(os.Getuid()), "65532"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if again := l.explain("write", wrapped); !errors.Is(wrapped, again) {
			t.Errorf("explained twice: %v", again)
		}
	}
	for _, err := range []error{context.Canceled, io.ErrUnexpectedEOF} {
		if got := l.explain("write", err); !errors.Is(err, got) {
			t.Errorf("%v became %v", err, got)
		}
	}
}
