package landing

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// NewSource is source.NewFiles for a glob that files land by: its List sees a replacement wholly or not at all, and finishes one that was
// interrupted. Where the volume cannot be written to, it lists what is there.
func NewSource(root, pattern string) source.Source {
	return &landingSource{root: root, pattern: pattern, files: source.NewFiles(root, pattern)}
}

type landingSource struct {
	root, pattern string
	files         source.Source
}

func (s *landingSource) List(ctx context.Context) ([]source.Object, error) {
	g, err := parseGlob(s.pattern)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(s.root)
	if err != nil {
		return nil, explainRoot(s.root, err)
	}
	defer root.Close()
	l := &Landing{dir: s.root, root: root, disk: osDisk{root}, glob: g}
	unlock, err := l.lockToRead(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.files.List(ctx)
}

// lockToRead is lock for who does not write: without a folder, or the right to write, there is nothing to wait for.
func (l *Landing) lockToRead(ctx context.Context) (unlock func(), err error) {
	none := func() {}
	if there, err := l.exists(l.glob.folder); err != nil || !there {
		return none, nil // listing tells
	}
	unlock, err = l.lock(ctx, shared)
	if err == nil {
		return unlock, nil
	}
	if pending, existsErr := l.exists(l.glob.in(commitName)); existsErr != nil || pending {
		return nil, err
	}
	for _, cannotWrite := range []error{fs.ErrPermission, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, cannotWrite) {
			return none, nil
		}
	}
	return nil, err
}
