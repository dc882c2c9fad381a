package landing

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
)

// faulty is a disk of which one step fails.
type faulty struct {
	disk
	left *int // steps until then
	err  error
}

func (f faulty) fails() bool {
	*f.left--
	return *f.left == 0
}

func (f faulty) mkdir(name string) error {
	if f.fails() {
		return &os.PathError{Op: "mkdirat", Path: name, Err: f.err}
	}
	return f.disk.mkdir(name)
}

func (f faulty) create(name string) (file, error) {
	if f.fails() {
		return nil, &os.PathError{Op: "openat", Path: name, Err: f.err}
	}
	made, err := f.disk.create(name)
	return faultyFile{made, f}, err
}

func (f faulty) link(from, to string) error {
	if f.fails() {
		return &os.LinkError{Op: "linkat", Old: from, New: to, Err: f.err}
	}
	return f.disk.link(from, to)
}

func (f faulty) rename(from, to string) error {
	if f.fails() {
		return &os.LinkError{Op: "renameat", Old: from, New: to, Err: f.err}
	}
	return f.disk.rename(from, to)
}

func (f faulty) remove(name string) error {
	if f.fails() {
		return &os.PathError{Op: "unlinkat", Path: name, Err: f.err}
	}
	return f.disk.remove(name)
}

func (f faulty) syncDir(name string) error {
	if f.fails() {
		return &os.PathError{Op: "sync", Path: name, Err: f.err}
	}
	return f.disk.syncDir(name)
}

type faultyFile struct {
	file
	f faulty
}

func (w faultyFile) Write(b []byte) (int, error) {
	if w.f.fails() {
		n, _ := w.file.Write(b[:len(b)/2])
		return n, &os.PathError{Op: "write", Err: w.f.err}
	}
	return w.file.Write(b)
}

func (w faultyFile) Sync() error {
	if w.f.fails() {
		return &os.PathError{Op: "fsync", Err: w.f.err}
	}
	return w.file.Sync()
}

// Whichever step fails: all is as it was, or as it was to be, never in between; and an error says which, and why.
func TestEachStepMayFail(t *testing.T) {
	for name, c := range map[string]struct {
		do            func(l *Landing) error
		before, after []string
	}{
		"a put": {
			func(l *Landing) error {
				_, err := l.Land(t.Context(), Key{}, text("new"))
				return err
			}, []string{"old 1", "old 2"}, []string{"old 1", "old 2", "new"},
		},
		"a put under a key": {
			func(l *Landing) error {
				_, err := l.Land(t.Context(), Key{ID: "k"}, text("new"))
				return err
			}, []string{"old 1", "old 2"}, []string{"old 1", "old 2", "new"},
		},
		"a replacement": {
			func(l *Landing) error {
				r, err := l.Replace(t.Context(), "")
				if err != nil {
					return err
				}
				defer r.Abort()
				if err := errors.Join(r.Write(t.Context(), text("new 1")), r.Write(t.Context(), text("new 2"))); err != nil {
					return err
				}
				_, err = r.Commit(t.Context())
				return err
			}, []string{"old 1", "old 2"}, []string{"new 1", "new 2"},
		},
		"a deletion": {
			func(l *Landing) error {
				names, err := l.list(t.Context())
				if err != nil {
					return err
				}
				_, err = l.Delete(t.Context(), names[1:]...)
				return err
			}, []string{"old 1", "old 2"}, []string{"old 1"},
		},
	} {
		failures := 0
		for step := 1; ; step++ {
			dir := memoryDir(t)
			l := open(t, dir, "a/*")
			for _, content := range c.before {
				land(t, l, Key{}, content)
			}
			errno := []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EROFS}[step%3]
			left := step
			l.disk = faulty{l.disk, &left, errno}
			err := c.do(l)
			if left > 0 {
				if err != nil {
					t.Errorf("%s: no step failed, and yet: %v", name, err)
				}
				break
			}
			if err != nil {
				failures++
			}
			if err != nil && (!errors.Is(err, errno) || !errors.Is(err, ErrVolume)) {
				t.Errorf("%s, step %d: %v, want %v in it", name, step, err, errno)
			}
			again := open(t, dir, "a/*") // what could not be cleared away is now
			got := contents(t, dir, "a/*")
			want := [][]string{c.before}
			switch {
			case err == nil || errors.Is(err, ErrUnfinished):
				want = [][]string{c.after}
			case name == "a put under a key": // it may have been found by somebody else
				want = append(want, c.after)
			}
			if !slices.ContainsFunc(want, func(w []string) bool { return slices.Equal(w, got) }) {
				t.Errorf("%s, step %d, %v: there is %q, want %q", name, step, err, got, want)
			}
			if left := leftovers(t, dir); len(left) > 0 {
				t.Errorf("%s, step %d: left over: %v", name, step, left)
			}
			land(t, again, Key{}, "later")
		}
		if failures < 4 {
			t.Errorf("%s: only %d steps matter", name, failures)
		}
	}
}

// Where a file system has no links, files are renamed, and never over others.
func TestFileSystemsWithoutLinks(t *testing.T) {
	dir := memoryDir(t)
	l := open(t, dir, "*")
	d := osDisk{l.root}
	for _, name := range []string{"from", "to", "other"} {
		f, err := d.create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprint(f, name); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := d.renameNoReplace("from", "to"); !errors.Is(err, os.ErrExist) {
		t.Errorf("renamed over a file: %v", err)
	}
	if err := d.renameNoReplace("from", "new"); err != nil {
		t.Fatal(err)
	}
	wantContents(t, dir, "*", "from", "other", "to")
}
