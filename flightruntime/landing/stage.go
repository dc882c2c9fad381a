package landing

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
)

// staged is a file that is complete and on the disk under a name that nobody sees, or will be.
type staged struct {
	key  Key
	temp string
	file file // its lock tells that it is not a leftover
	// What publish makes of it.
	landed Landed
	err    error
}

// writeBuffer gathers the small writes of encoders.
const writeBuffer = 256 << 10

// stage writes a file under a hidden name, durably. The caller publishes or discards it.
func (l *Landing) stage(ctx context.Context, key Key, write func(w io.Writer) error) (*staged, error) {
	s, err := l.write(ctx, key, write)
	if err != nil {
		return nil, err
	}
	if err := l.sync(s); err != nil {
		return nil, err
	}
	return s, nil
}

// sync makes a file durable that was written. If it cannot, it discards the file.
func (l *Landing) sync(s *staged) error {
	if err := s.file.Sync(); err != nil {
		l.discard(s)
		return l.explain("write", err)
	}
	return nil
}

// write writes a file under a hidden name. The caller makes it durable, or discards it.
func (l *Landing) write(ctx context.Context, key Key, write func(w io.Writer) error) (*staged, error) {
	s := &staged{key: key, temp: l.glob.in(tempPrefix + random())}
	// Between making a file and locking it, it looks like a leftover: those are removed under the exclusive lock.
	unlock, err := l.lock(ctx, shared)
	if err != nil {
		return nil, err
	}
	s.file, err = l.disk.create(s.temp)
	unlock()
	if err != nil {
		return nil, l.explain("write", err)
	}
	if err := pour(ctx, s.file, write); err != nil {
		l.discard(s)
		return nil, l.explain("write", err)
	}
	return s, nil
}

// fill writes a file's content, durably.
func fill(ctx context.Context, f file, write func(w io.Writer) error) error {
	if err := pour(ctx, f, write); err != nil {
		return err
	}
	return f.Sync()
}

// pour writes a file's content.
func pour(ctx context.Context, f file, write func(w io.Writer) error) error {
	b := bufio.NewWriterSize(&contextWriter{ctx, f}, writeBuffer)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

// contextWriter stops writing when a context ends.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c *contextWriter) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}

// discard removes a staged file. What cannot be removed now is when the landing is next opened.
func (l *Landing) discard(s *staged) {
	_ = s.file.Close()
	_ = l.disk.remove(s.temp)
}

// publish gives staged files their names, in their order, and makes the names durable. Each file's outcome is in it; an error of its own
// means that none of them landed.
func (l *Landing) publish(ctx context.Context, files ...*staged) error {
	unlock, err := l.lock(ctx, shared)
	if err != nil {
		for _, s := range files {
			l.discard(s)
		}
		return err
	}
	for _, s := range files {
		s.landed, s.err = l.name(s)
		l.discard(s)
	}
	unlock()
	if err := l.disk.syncDir(l.glob.folder); err != nil {
		for _, s := range files {
			l.unpublish(s, err)
		}
	}
	return nil
}

// name gives a staged file the name under which it is seen.
func (l *Landing) name(s *staged) (Landed, error) {
	for {
		landed := Landed{Name: l.next()}
		if s.key.ID != "" {
			landed.Name = l.glob.keyed(s.key)
		}
		err := l.disk.link(s.temp, landed.Name)
		switch {
		case err == nil:
			return landed, nil
		case !errors.Is(err, fs.ErrExist):
			return Landed{}, l.explain("write", err)
		case s.key.ID != "":
			landed.Already = true
			return landed, nil
		}
	}
}

// unpublish takes the name of a file back that could not be made durable. Not where there is a key: somebody else may have found the file,
// made it durable, and told that it landed.
func (l *Landing) unpublish(s *staged, cause error) {
	if s.err != nil {
		return
	}
	if s.key.ID == "" {
		_ = l.disk.remove(s.landed.Name)
	}
	s.landed, s.err = Landed{}, l.explain("write", cause)
}
