package config

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long a file has to be left alone before it is read: an editor's or kubelet's change is several events.
	settle = 20 * time.Millisecond
	// longestSettle bounds that wait: in a busy folder there may never be a moment without an event.
	longestSettle = 500 * time.Millisecond
	// pollInterval is when a file is looked at whether or not an event came: not every file system tells.
	pollInterval = 5 * time.Second
)

// Watch calls changed with the content of a file, now and whenever it differs from the last call's, until ctx is done. A file that cannot
// be read is a call with an error. The folder is watched, for the kubelet replaces a ConfigMap's files through a symbolic link.
func Watch(ctx context.Context, path string, changed func(raw []byte, err error)) {
	var events chan fsnotify.Event
	var lost chan error // events that were; unread, no more would come
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		defer watcher.Close()
		if watcher.Add(filepath.Dir(path)) == nil {
			events, lost = watcher.Events, watcher.Errors
		}
	}
	var last []byte
	var lastErr string
	look := func() {
		raw, err := os.ReadFile(path)
		switch {
		case err != nil && err.Error() != lastErr:
			last, lastErr = nil, err.Error()
			changed(nil, err)
		case err == nil && (last == nil || !bytes.Equal(raw, last)):
			last, lastErr = raw, ""
			changed(raw, nil)
		}
	}
	look()
	timer := time.NewTimer(pollInterval)
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
			look()
			timer.Reset(pollInterval)
		}
	}
}
