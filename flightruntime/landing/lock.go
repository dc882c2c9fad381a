package landing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// lockMode is how a lock is held: together with others, or alone.
type lockMode int

const (
	shared    lockMode = syscall.LOCK_SH
	exclusive lockMode = syscall.LOCK_EX
)

// The time between two attempts at a lock, from the first to the last. It is held for as long as it takes to name files.
const (
	lockRetryFirst = time.Millisecond
	lockRetryLast  = 50 * time.Millisecond
)

// lock waits for the folder's lock, which processes on other nodes heed as well, and for what a replacement that was interrupted has left to
// do. Who holds it shared sees, and adds to, either all that was replaced or all that replaces it.
func (l *Landing) lock(ctx context.Context, mode lockMode) (unlock func(), err error) {
	for {
		f, err := l.acquire(ctx, mode)
		if err != nil {
			return nil, err
		}
		release := func() { _ = f.Close() }
		pending, err := l.exists(l.glob.in(commitName))
		switch {
		case err == nil && !pending:
			return release, nil
		case err == nil && mode == exclusive:
			if err = l.finish(); err == nil {
				return release, nil
			}
		case err == nil:
			release()
			if release, err = l.lock(ctx, exclusive); err != nil {
				return nil, err
			}
			release()
			continue
		}
		release()
		return nil, err
	}
}

// acquire opens the lock file, making it and its folder if need be, and locks it. Closing it unlocks.
func (l *Landing) acquire(ctx context.Context, mode lockMode) (*os.File, error) {
	name := l.glob.in(lockName)
	madeFolder := false
	for wait := lockRetryFirst; ; wait = min(2*wait, lockRetryLast) {
		f, err := l.root.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
		if errors.Is(err, fs.ErrNotExist) && !madeFolder {
			madeFolder = true
			if err := l.makeFolder(); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, l.explain("write", err)
		}
		locked, err := tryLock(f, mode)
		if err == nil && locked && l.isStill(name, f) {
			return f, nil
		}
		_ = f.Close()
		if err != nil {
			return nil, &diskError{fmt.Sprintf("the file system of %s has no locks (flock: %s), which keep servers from disturbing one another: choose another volume type, or mount it with locks", l.dir, reason(err)), err}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// isStill is true if the file of that name is the one that is open. Somebody may have removed it: its lock would be one of two.
func (l *Landing) isStill(name string, f *os.File) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := l.root.Lstat(name)
	return err == nil && os.SameFile(opened, named)
}

func (l *Landing) exists(name string) (bool, error) {
	_, err := l.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, l.explain("look for "+name, err)
	}
	return true, nil
}

// tryLock locks a file, or tells that somebody else holds a lock. The lock ends when the file is closed, or the process ends.
func tryLock(f *os.File, mode lockMode) (bool, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var lockErr error
	if err := conn.Control(func(fd uintptr) { lockErr = syscall.Flock(int(fd), int(mode)|syscall.LOCK_NB) }); err != nil {
		return false, err
	}
	if errors.Is(lockErr, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return lockErr == nil, lockErr
}
