package landing

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// open opens a landing that is closed when the test ends. It is as Open does but for synchronisations, which take milliseconds and change
// nothing that a process could see.
func open(t testing.TB, dir, pattern string) *Landing {
	t.Helper()
	l, err := openOn(t.Context(), dir, pattern, func(root *os.Root) disk { return unsynced{osDisk{root}} })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// text writes a file's content.
func text(content string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}
}

func land(t testing.TB, l *Landing, key Key, content string) Landed {
	t.Helper()
	landed, err := l.Land(t.Context(), key, text(content))
	if err != nil {
		t.Fatal(err)
	}
	return landed
}

// contents are what is in the files that a reader sees, in their order.
func contents(t testing.TB, dir, pattern string) []string {
	t.Helper()
	objects, err := NewSource(dir, pattern).List(t.Context())
	if errors.Is(err, source.ErrNoMatch) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, o := range objects {
		all = append(all, contentOf(t, o))
	}
	return all
}

func contentOf(t testing.TB, o source.Object) string {
	t.Helper()
	r, err := o.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := make([]byte, o.Size())
	if _, err := r.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return string(b)
}

// leftovers are the hidden files and folders of ours, but for the lock.
func leftovers(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if name := filepath.Base(path); strings.HasPrefix(name, hidden) && name != lockName {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func wantContents(t testing.TB, dir, pattern string, want ...string) {
	t.Helper()
	if got := contents(t, dir, pattern); !slices.Equal(got, want) {
		t.Errorf("a reader sees %q, want %q", got, want)
	}
}

// memoryDir is a folder in memory where there is such a thing: for tests of thousands of small files, on whose outliving nothing depends.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "landing-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// unsynced is a disk that synchronises nothing.
type unsynced struct{ disk }

func (u unsynced) create(name string) (file, error) {
	f, err := u.disk.create(name)
	return unsyncedFile{f}, err
}

func (unsynced) syncDir(string) error { return nil }

type unsyncedFile struct{ file }

func (unsyncedFile) Sync() error { return nil }

// entry is something that was done to a disk.
type entry struct {
	op       string // mkdir, create, write, sync, link, rename, remove, syncDir; and marks of tests
	name, to string
	data     []byte
}

// recorder is a disk that keeps a log of what is done to another.
type recorder struct {
	disk
	log *[]entry
}

// record makes a landing keep a log. It is not for several goroutines.
func record(l *Landing) *[]entry {
	log := &[]entry{}
	l.disk = recorder{l.disk, log}
	return log
}

// add notes what was done, if it was.
func (r recorder) add(e entry, err error) error {
	if err == nil {
		*r.log = append(*r.log, e)
	}
	return err
}

func (r recorder) mkdir(name string) error {
	return r.add(entry{op: "mkdir", name: name}, r.disk.mkdir(name))
}

func (r recorder) create(name string) (file, error) {
	f, err := r.disk.create(name)
	if r.add(entry{op: "create", name: name}, err) != nil {
		return nil, err
	}
	return recordedFile{f, r, name}, nil
}

func (r recorder) link(from, to string) error {
	return r.add(entry{op: "link", name: from, to: to}, r.disk.link(from, to))
}

func (r recorder) rename(from, to string) error {
	return r.add(entry{op: "rename", name: from, to: to}, r.disk.rename(from, to))
}

func (r recorder) remove(name string) error {
	return r.add(entry{op: "remove", name: name}, r.disk.remove(name))
}

func (r recorder) syncDir(name string) error {
	return r.add(entry{op: "syncDir", name: name}, r.disk.syncDir(name))
}

type recordedFile struct {
	file
	r    recorder
	name string
}

func (f recordedFile) Write(b []byte) (int, error) {
	n, err := f.file.Write(b)
	return n, f.r.add(entry{op: "write", name: f.name, data: bytes.Clone(b)}, err)
}

func (f recordedFile) Sync() error {
	return f.r.add(entry{op: "sync", name: f.name}, f.file.Sync())
}
