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
	id      string
	folder  string
	lock    file     // tells that the folder is not a leftover
	files   []string // as paths relative to the root
	ended   bool
}

// Replaced says what a replacement has done. Its names are paths relative to the root.
type Replaced struct {
	// Files that are there now: all that were written or, if Already, those of the earlier replacement that are left.
	Files []string
	// Removed are the files that are gone.
	Removed []string
	// Already is true if an earlier replacement under the same ID was committed. Then this one has changed nothing.
	Already bool
}

// Replace begins a replacement. An ID that is not empty makes it idempotent, as Key.ID does a put: of all replacements under one ID one is
// committed. An ID is forgotten when all of its files are removed, for instance by another replacement. It has to differ from those of puts.
func (l *Landing) Replace(ctx context.Context, id string) (*Replacement, error) {
	r := &Replacement{landing: l, id: id, folder: l.glob.in(replacePrefix + random())}
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
	name := r.landing.next()
	if r.id != "" {
		name = r.landing.glob.keyed(Key{ID: r.id, N: uint64(len(r.files))})
	}
	r.files = append(r.files, name)
	f, err := r.landing.disk.create(path.Join(r.folder, path.Base(name)))
	if err != nil {
		return r.landing.explain("write", err)
	}
	err = fill(ctx, f, write)
	return r.landing.explain("write", errors.Join(err, f.Close()))
}

// Commit puts the files that were written in the place of all that are there. Without files there will be none, and no schema either. It
// returns when all of it outlives a power failure.
//
// An error that wraps ErrUnfinished says that the replacement is decided, and will be finished by whoever next opens the landing, lists its
// files or puts into it. After another error all is as it was.
func (r *Replacement) Commit(ctx context.Context) (Replaced, error) {
	return r.commit(ctx, func(string) bool { return true })
}

// ErrNoFile is what Delete's error wraps if a name is none that the glob matches.
var ErrNoFile = errors.New("is no file of")

// Delete removes files of the glob, which are named by paths relative to the root, all of them or none, and tells which these were. Those that
// are not there do not count; a name that the glob does not match is an error. See Commit.
func (l *Landing) Delete(ctx context.Context, names ...string) (removed []string, err error) {
	asked := map[string]bool{}
	for _, name := range names {
		if !l.glob.matches(name) {
			return nil, fmt.Errorf("%q %w %q: nothing was deleted", name, ErrNoFile, l.glob.pattern)
		}
		asked[name] = true
	}
	return l.delete(ctx, func(name string) bool { return asked[name] })
}

// DeleteAll is Delete of all files that are there.
func (l *Landing) DeleteAll(ctx context.Context) (removed []string, err error) {
	return l.delete(ctx, func(string) bool { return true })
}

func (l *Landing) delete(ctx context.Context, remove func(name string) bool) ([]string, error) {
	r, err := l.Replace(ctx, "")
	if err != nil {
		return nil, err
	}
	defer r.Abort()
	replaced, err := r.commit(ctx, remove)
	return replaced.Removed, err
}

var errEnded = errors.New("the replacement has ended: begin another one")

// ErrUnfinished is what Commit's and Delete's error wraps once there is no way back.
var ErrUnfinished = errors.New("the replacement is decided, but not finished yet; it will be with the next look at the files")

func (r *Replacement) commit(ctx context.Context, remove func(name string) bool) (Replaced, error) {
	if r.ended {
		return Replaced{}, errEnded
	}
	l := r.landing
	unlock, err := l.lock(ctx, exclusive)
	if err != nil {
		return Replaced{}, err
	}
	defer unlock()
	there, err := l.list(ctx)
	if err != nil {
		return Replaced{}, err
	}
	if ours := r.committed(there); len(ours) > 0 {
		return Replaced{Files: ours, Already: true}, nil
	}
	done := Replaced{Files: r.files}
	for _, name := range there {
		if remove(name) {
			done.Removed = append(done.Removed, name)
		}
	}
	if len(done.Removed) == 0 && len(done.Files) == 0 {
		return done, nil
	}
	if err := r.writeRemovals(ctx, done.Removed); err != nil {
		return Replaced{}, l.explain("write", err)
	}
	if err := l.disk.rename(r.folder, l.glob.in(commitName)); err != nil {
		return Replaced{}, l.explain("write", err)
	}
	r.ended = true
	_ = r.lock.Close()
	// From here on, whoever takes the lock finishes it.
	if err := l.disk.syncDir(l.glob.folder); err != nil {
		return Replaced{}, fmt.Errorf("%w: %w", ErrUnfinished, l.explain("write", err))
	}
	if err := l.finish(); err != nil {
		return Replaced{}, fmt.Errorf("%w: %w", ErrUnfinished, err)
	}
	return done, nil
}

// committed are those of the files that stem from a replacement under the same ID.
func (r *Replacement) committed(there []string) (files []string) {
	if r.id == "" {
		return nil
	}
	prefix := r.landing.glob.keyedPrefix(r.id)
	for _, name := range there {
		if strings.HasPrefix(name, prefix) {
			files = append(files, name)
		}
	}
	return files
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
