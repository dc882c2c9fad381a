package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockFolder takes the exclusive advisory lock on a folder, making it if need be, and returns the function that gives
// it back. The kernel gives it back too when the process ends however it ends, so no lock is ever stale; and because
// it is the folder itself that is locked, no lock file is left over. While another process has it, what that one does
// (activity) is reported every few seconds.
func lockFolder(ctx context.Context, dir, activity string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	var told time.Time
	for {
		err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { folder.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			folder.Close()
			return nil, fmt.Errorf("locking %s: %w", dir, err)
		}
		if time.Since(told) >= progressInterval {
			told = time.Now()
			progress("waiting: another process is %s", activity)
		}
		select {
		case <-ctx.Done():
			folder.Close()
			return nil, fmt.Errorf("waiting for another process that is %s: %w", activity, context.Cause(ctx))
		case <-time.After(pollInterval):
		}
	}
}
