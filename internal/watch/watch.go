// Package watch tells when files may have changed. It reads none.
package watch

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long folders have to be left alone before they are looked at: an editor's or kubelet's change is several events.
	settle = 20 * time.Millisecond
	// longestSettle bounds that wait: in a busy folder there may never be a moment without an event.
	longestSettle = 500 * time.Millisecond
	// pollInterval is when folders are looked at whether or not an event came: not every file system tells.
	pollInterval = 5 * time.Second
)

// Folders calls look now, soon after anything happens in the folders, and from time to time, until ctx is done. What look returns is in how
// long it wants to be called again at the latest; 0 leaves that open. Folders are watched rather than files, for the kubelet replaces what it
// mounts through a symbolic link. They may be made later.
func Folders(ctx context.Context, folders []string, look func() (again time.Duration)) {
	var events chan fsnotify.Event
	var lost chan error // events that were; unread, no more would come
	follow := func() {}
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		defer watcher.Close()
		events, lost = watcher.Events, watcher.Errors
		follow = func() {
			for _, folder := range folders {
				_ = watcher.Add(folder) // one that is not there is polled
			}
		}
	}
	wait := func() time.Duration {
		follow() // a folder that was made again is another
		if again := look(); again > 0 {
			return min(again, pollInterval)
		}
		return pollInterval
	}
	timer := time.NewTimer(wait())
	defer timer.Stop()
	var since time.Time // of the first event after the last look
	event := func() {
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < longestSettle {
			timer.Reset(settle)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			event()
		case err := <-lost:
			_ = err // whatever was lost, a look finds it
			event()
		case <-timer.C:
			since = time.Time{}
			timer.Reset(wait())
		}
	}
}
