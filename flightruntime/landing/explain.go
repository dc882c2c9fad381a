package landing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// explain says in users' words why the volume cannot be written to, and what to do. What went wrong stays in the chain.
func (l *Landing) explain(what string, err error) error {
	where := fmt.Sprintf("folder %q below %s", l.glob.folder, l.dir)
	var told *diskError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &told):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &diskError{fmt.Sprintf("the volume of %s is full: make room on it, or enlarge its claim", where), err}
	case errors.Is(err, syscall.EFBIG):
		return &diskError{fmt.Sprintf("the file would be larger than the file system or the process's limit allows in %s: put smaller batches", where), err}
	case errors.Is(err, syscall.EROFS):
		return &diskError{fmt.Sprintf("the volume of %s is read-only: check its mount, its access modes and its events", where), err}
	case errors.Is(err, fs.ErrPermission):
		return &diskError{fmt.Sprintf("user %d may not %s in %s: let it write there, for instance by podTemplate.fsGroup", os.Getuid(), what, where), err}
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err // of whoever writes the content
	}
	return &diskError{fmt.Sprintf("cannot %s in %s: %s", what, where, errno), err}
}

func explainRoot(dir string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("directory %s does not exist: is its volume mounted?", dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("directory %s cannot be opened: permission denied; the server's user needs to read and enter it", dir)
	default:
		return fmt.Errorf("directory %s cannot be opened: %s", dir, reason(err))
	}
}

// ErrVolume is what an error is, by errors.Is, if the volume is at fault and not what was put.
var ErrVolume = errors.New("the volume cannot be written to")

// diskError is what the volume cannot do, in users' words.
type diskError struct {
	message string
	err     error
}

func (e *diskError) Error() string { return e.message }
func (e *diskError) Unwrap() error { return e.err }

func (e *diskError) Is(target error) bool { return target == ErrVolume }

// reason is what went wrong, without the system call and path that package os writes before it.
func reason(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}
