// Package landing makes what clients put into files below a root directory, durably: a file is complete and on the disk, under a name that the
// dataset's glob matches, before it is acknowledged, and it is never seen before. After a crash at any moment nothing that was acknowledged
// is missing, and nothing is there in part. Several processes may land files in one directory at a time, on one node or on many.
//
// It knows files and their formats, and neither datasets nor Flight.
package landing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"time"
)

// Landing is where the files of one glob land. Its methods may be called from several goroutines at a time.
type Landing struct {
	dir  string // of the volume
	root *os.Root
	disk disk
	glob glob

	mu     sync.Mutex
	latest time.Time // of the file names so far
}

// Open prepares to land files below the directory root, which has to exist, so that the pattern matches them: a path relative to root whose
// last segment holds one `*`, for which a name is put that sorts after those before it. Folders in front of it have plain names; `**` may
// follow them, and stands for none. Folders that do not exist are made.
//
// What a process that ended in the middle left behind is finished, or removed, whichever makes a whole of it.
func Open(ctx context.Context, root, pattern string) (*Landing, error) {
	return openOn(ctx, root, pattern, func(root *os.Root) disk { return osDisk{root} })
}

func openOn(ctx context.Context, root, pattern string, on func(*os.Root) disk) (*Landing, error) {
	g, err := parseGlob(pattern)
	if err != nil {
		return nil, err
	}
	opened, err := os.OpenRoot(root)
	if err != nil {
		return nil, explainRoot(root, err)
	}
	l := &Landing{dir: root, root: opened, disk: on(opened), glob: g}
	if err := l.prepare(ctx); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return l, nil
}

func (l *Landing) prepare(ctx context.Context) error {
	if err := l.makeFolder(); err != nil {
		return err
	}
	unlock, err := l.lock(ctx, exclusive)
	if err != nil {
		return err
	}
	defer unlock()
	return l.clean()
}

// Close frees what Open took. No method may be called after it, nor be running.
func (l *Landing) Close() error { return l.root.Close() }

// Key makes a put idempotent: of all puts under one key, by whatever process, one lands. The content is not compared; the key says that it
// is the same. A key is forgotten when its file is removed.
type Key struct {
	// ID is the client's name for what it puts, of any length. Empty means that there is no key.
	ID string
	// N counts the batches of that put.
	N uint64
}

// Landed is a file that is on the disk.
type Landed struct {
	// Name of the file, as a path relative to the root.
	Name string
	// Already is true if an earlier put under the same key landed it.
	Already bool
}

// Land makes a file of what write writes. When it returns without an error, file and name outlive a power failure. An error means that
// nothing of it is there; unless the disk failed under a key, when putting again under the same key tells. The cause can be found with
// errors.Is: syscall.ENOSPC, EDQUOT, EROFS, EACCES and so on.
//
// If ctx ends before all is written, its error is returned.
func (l *Landing) Land(ctx context.Context, key Key, write func(w io.Writer) error) (Landed, error) {
	landed, ok, err := l.already(key)
	if ok || err != nil {
		return landed, err
	}
	s, err := l.stage(ctx, key, write)
	if err != nil {
		return Landed{}, err
	}
	if err := l.publish(ctx, s); err != nil {
		return Landed{}, err
	}
	return s.landed, s.err
}

// already tells of a file that landed under the key before.
func (l *Landing) already(key Key) (Landed, bool, error) {
	if key.ID == "" {
		return Landed{}, false, nil
	}
	name := l.glob.keyed(key)
	if _, err := l.root.Lstat(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return Landed{}, false, nil
		}
		return Landed{}, false, l.explain("look for "+name, err)
	}
	// Who landed it may not have come to this yet.
	if err := l.disk.syncDir(l.glob.folder); err != nil {
		return Landed{}, false, l.explain("write", err)
	}
	return Landed{Name: name, Already: true}, true, nil
}

// makeFolder makes the folder and those that it is in, where they are missing, durably.
func (l *Landing) makeFolder() error {
	made := "."
	for _, segment := range l.glob.segments() {
		parent := made
		made = path.Join(made, segment)
		if err := l.disk.mkdir(made); err != nil && !errors.Is(err, fs.ErrExist) {
			return l.explain(fmt.Sprintf("make the folder %q", made), err)
		}
		// Where it is there already, another process may have made it a moment ago.
		if err := l.disk.syncDir(parent); err != nil {
			return l.explain(fmt.Sprintf("make the folder %q", made), err)
		}
	}
	return nil
}
