package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// seen is one call of Watch's callback.
type seen struct {
	raw string
	err error
}

// follow watches a file until the test ends.
func follow(t *testing.T, path string) <-chan seen {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	calls, done := make(chan seen, 100), make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, path, func(raw []byte, err error) { calls <- seen{string(raw), err} })
	}()
	t.Cleanup(func() {
		cancel()
		<-done // Watch returns when its context ends
	})
	return calls
}

// until is the first call that is of the kind wanted; what comes before it is passed over, for a change may be seen half done.
func until(t *testing.T, calls <-chan seen, what string, wanted func(seen) bool) {
	t.Helper()
	for {
		select {
		case c := <-calls:
			if wanted(c) {
				return
			}
		case <-t.Context().Done():
			t.Fatalf("never saw %s", what)
		}
	}
}

func content(want string) func(seen) bool {
	return func(s seen) bool { return s.err == nil && s.raw == want }
}
func missing(s seen) bool { return errors.Is(s.err, os.ErrNotExist) }

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWatchSeesAFileReplacedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	write(t, path, "one")
	calls := follow(t, path)
	if c := <-calls; c.raw != "one" || c.err != nil {
		t.Fatalf("the first call was %+v, want the content as it is", c)
	}
	write(t, path+".new", "two")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	// The new file came whole: there is nothing between the two.
	if c := <-calls; c.raw != "two" || c.err != nil {
		t.Errorf("the second call was %+v, want the new content", c)
	}
}

func TestWatchSeesAFileWrittenInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	write(t, path, "one")
	calls := follow(t, path)
	until(t, calls, "one", content("one"))
	write(t, path, "two")
	until(t, calls, "two", content("two"))
	write(t, path, "")
	until(t, calls, "an empty file", content(""))
}

func TestWatchFollowsAConfigMapVolume(t *testing.T) {
	// The kubelet writes a folder for each version, and swaps the link ..data that the file's own link goes through.
	dir := t.TempDir()
	project := func(version, data string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, FileName), data)
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	project("..2024_01", "one")
	path := filepath.Join(dir, FileName)
	if err := os.Symlink(filepath.Join("..data", FileName), path); err != nil {
		t.Fatal(err)
	}
	calls := follow(t, path)
	until(t, calls, "one", content("one"))
	project("..2024_02", "two")
	if err := os.RemoveAll(filepath.Join(dir, "..2024_01")); err != nil {
		t.Fatal(err)
	}
	if c := <-calls; c.raw != "two" || c.err != nil {
		t.Errorf("after the swap came %+v, want the new content", c)
	}
}

func TestWatchSeesAFileVanishAndComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	calls := follow(t, path)
	until(t, calls, "that there is none", missing)
	write(t, path, "one")
	until(t, calls, "one", content("one"))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	until(t, calls, "that it is gone", missing)
	write(t, path, "one")
	until(t, calls, "one again, though it is what it was", content("one"))
}

func TestWatchTellsAChangeOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	write(t, path, "one")
	calls := follow(t, path)
	until(t, calls, "one", content("one"))
	write(t, path, "one")
	write(t, filepath.Join(dir, "another"), "two")
	write(t, path+".new", "three")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if c := <-calls; c.raw != "three" {
		// A write in place may be seen half done: as empty, then as it was.
		until(t, calls, "three", content("three"))
	}
	if len(calls) > 0 {
		t.Errorf("then came %+v, want nothing", <-calls)
	}
}

func TestWatchSeesAChangeInABusyFolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	write(t, path, "one")
	calls := follow(t, path)
	until(t, calls, "one", content("one"))
	busy, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for busy.Err() == nil {
			_ = os.WriteFile(filepath.Join(dir, "log"), []byte("another line"), 0o600)
			time.Sleep(time.Millisecond) // many events within settle, and not one moment's rest
		}
	}()
	write(t, path, "two")
	until(t, calls, "two", content("two"))
	stop()
	<-stopped
}
