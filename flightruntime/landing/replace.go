package landing

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// removeName is a file in a replacement's folder: a JSON string a line, each the path of a file to remove, relative to the landing's folder.
const removeName = hidden + ".remove"

// Replacement is a set of files that is to take the place of all files of a glob, or of some, at one stroke: whoever lists them under the
// lock, as NewSource does, sees those before or those after. Nobody sees any of it before Commit, nor ever if that is not called.
//
// Its methods are not called concurrently. Commit or Abort ends it.
type Replacement struct {
	landing *Landing
	folder  string
	lock    file // tells that the folder is not a leftover
	files   int
	ended   bool
}

// Replace begins a replacement.
func (l *Landing) Replace(ctx context.Context) (*Replacement, error) {
	r := &Replacement{landing: l, folder: l.glob.in(replacePrefix + random())}
	unlock, err := l.lock(ctx, shared) // see stage
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := l.disk.mkdir(r.folder); err != nil {
		return nil, l.explain("write", err)
	}
	if r.lock, err = l.disk.create(path.Join(r.folder, lockName)); err != nil {
		_ = l.disk.remove(r.folder)
		return nil, l.explain("write", err)
	}
	return r, nil
}

// Write adds a file of what write writes. After an error, only Abort is of use.
func (r *Replacement) Write(ctx context.Context, write func(w io.Writer) error) error {
	if r.ended {
		return errEnded
	}
	r.files++
	f, err := r.landing.disk.create(path.Join(r.folder, path.Base(r.landing.next())))
	if err != nil {
		return r.landing.explain("write", err)
	}
	err = fill(ctx, f, write)
	return r.landing.explain("write", errors.Join(err, f.Close()))
}

// Commit puts the files that were written in the place of all that are there, and tells how many these were. Without files there will be none,
// and no schema either. It returns when all of it outlives a power failure.
//
// An error that wraps ErrUnfinished says that the replacement is decided, and will be finished by whoever next opens the landing, lists its
// files or puts into it. After another error all is as it was.
func (r *Replacement) Commit(ctx context.Context) (removed int, err error) {
	return r.commit(ctx, func(names []string) ([]string, error) { return names, nil })
}

// Delete removes files of the glob, which are named by paths relative to the root, all of them or none. Those that are not there do not count;
// a name that the glob does not match is an error. See Commit.
func (l *Landing) Delete(ctx context.Context, names ...string) (removed int, err error) {
	for _, name := range names {
		if !l.glob.matches(name) {
			return 0, fmt.Errorf("%q is no file of %q: nothing was deleted", name, l.glob.pattern)
		}
	}
	r, err := l.Replace(ctx)
	if err != nil {
		return 0, err
	}
	defer r.Abort()
	return r.commit(ctx, func(there []string) ([]string, error) {
		asked := map[string]bool{}
		for _, name := range names {
			asked[name] = true
		}
		var found []string
		for _, name := range there {
			if asked[name] {
				found = append(found, name)
			}
		}
		return found, nil
	})
}

var errEnded = errors.New("the replacement has ended: begin another one")

// ErrUnfinished is what Commit's and Delete's error wraps once there is no way back.
var ErrUnfinished = errors.New("the replacement is decided, but not finished yet; it will be with the next look at the files")

func (r *Replacement) commit(ctx context.Context, choose func(there []string) (remove []string, err error)) (int, error) {
	if r.ended {
		return 0, errEnded
	}
	l := r.landing
	unlock, err := l.lock(ctx, exclusive)
	if err != nil {
		return 0, err
	}
	defer unlock()
	there, err := l.list(ctx)
	if err != nil {
		return 0, err
	}
	remove, err := choose(there)
	if err != nil {
		return 0, err
	}
	if len(remove) == 0 && r.files == 0 {
		return 0, nil
	}
	if err := r.writeRemovals(ctx, remove); err != nil {
		return 0, l.explain("write", err)
	}
	if err := l.disk.rename(r.folder, l.glob.in(commitName)); err != nil {
		return 0, l.explain("write", err)
	}
	r.ended = true
	_ = r.lock.Close()
	// From here on, whoever takes the lock finishes it.
	if err := l.disk.syncDir(l.glob.folder); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnfinished, l.explain("write", err))
	}
	if err := l.finish(); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnfinished, err)
	}
	return len(remove), nil
}

// Abort forgets the replacement, if it was not committed.
func (r *Replacement) Abort() {
	if r.ended {
		return
	}
	r.ended = true
	_ = r.lock.Close()
	_ = r.landing.removeFolder(r.folder) // or else when the landing is next opened
}

// list is the paths of the glob's files.
func (l *Landing) list(ctx context.Context) ([]string, error) {
	objects, err := source.NewFiles(l.dir, l.glob.pattern).List(ctx)
	if err != nil && !errors.Is(err, source.ErrNoMatch) {
		return nil, err
	}
	names := make([]string, len(objects))
	for i, o := range objects {
		names[i] = o.Name()
	}
	return names, nil
}

// writeRemovals makes the replacement's folder complete and durable.
func (r *Replacement) writeRemovals(ctx context.Context, names []string) error {
	disk := r.landing.disk
	f, err := disk.create(path.Join(r.folder, removeName))
	if err != nil {
		return err
	}
	err = fill(ctx, f, func(w io.Writer) error {
		lines := json.NewEncoder(w)
		for _, name := range names {
			if err := lines.Encode(r.landing.glob.inside(name)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return disk.syncDir(r.folder)
}

// finish does what a committed replacement says. It may be done in part already. It is called under the exclusive lock.
func (l *Landing) finish() error {
	commit := l.glob.in(commitName)
	removals, err := l.readRemovals(path.Join(commit, removeName))
	if err != nil {
		return err
	}
	names, err := l.names(commit, func(string) bool { return true })
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, hidden) {
			continue
		}
		if err := l.disk.link(path.Join(commit, name), l.glob.in(name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return l.explain("write", err)
		}
	}
	if err := l.disk.syncDir(l.glob.folder); err != nil {
		return l.explain("write", err)
	}
	if err := l.removeAll(removals); err != nil {
		return err
	}
	// It is done. A folder of this name is a leftover, which may be removed in several steps.
	leftover := l.glob.in(replacePrefix + random())
	if err := l.disk.rename(commit, leftover); err != nil {
		return l.explain("write", err)
	}
	if err := l.disk.syncDir(l.glob.folder); err != nil {
		return l.explain("write", err)
	}
	return l.removeFolder(leftover)
}

// removeAll removes files, durably.
func (l *Landing) removeAll(names []string) error {
	folders := map[string]bool{}
	for _, name := range names {
		if err := l.removeFile(l.glob.in(name)); err != nil {
			return err
		}
		folders[path.Dir(l.glob.in(name))] = true
	}
	for folder := range folders {
		if err := l.disk.syncDir(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return l.explain("remove", err)
		}
	}
	return nil
}

// readRemovals reads what writeRemovals wrote.
func (l *Landing) readRemovals(name string) (names []string, err error) {
	f, err := l.root.Open(name)
	if err != nil {
		return nil, l.explain("read "+name, err)
	}
	defer f.Close()
	lines := json.NewDecoder(bufio.NewReader(f))
	for {
		var line string
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return names, nil
		} else if err != nil {
			return nil, &diskError{fmt.Sprintf("%q below %s is damaged: expected a path a line, as JSON; remove its folder if the files are as they should be", name, l.dir), err}
		}
		names = append(names, line)
	}
}
