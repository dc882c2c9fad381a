package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/bmatcuk/doublestar/v4"
)

// NewFiles is a source of files below the directory root. The pattern is a path relative to root, with forward slashes, that may hold
// `*`, `?`, `[...]` and `{a,b}` within one segment and `**` for any number of directories; without any of these it names exactly one file.
//
// No path leaves root, whatever symbolic links say. A link to a file inside root stands for that file; `*` and `**` do not descend into
// linked directories (which may be circles), nor into what Kubernetes and file systems keep for themselves: names that begin with `..`,
// and `lost+found`.
func NewFiles(root, pattern string) Source {
	return &files{root: root, pattern: pattern}
}

type files struct {
	root    string
	pattern string
}

func (s *files) List(ctx context.Context) ([]Object, error) {
	if !fs.ValidPath(s.pattern) || !doublestar.ValidatePattern(s.pattern) {
		return nil, fmt.Errorf("path %q is malformed: expected a relative path without empty, \".\" or \"..\" segments, with its brackets and braces closed", s.pattern)
	}
	root, err := openRoot(s.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if !hasMeta(s.pattern) {
		o, err := stat(root, s.pattern)
		if err != nil {
			return nil, explain(root, s.pattern, err)
		}
		return []Object{o}, nil
	}
	return s.glob(ctx, root)
}

// glob lists the regular files that match, in path order.
func (s *files) glob(ctx context.Context, root *os.Root) ([]Object, error) {
	names, err := doublestar.Glob(visible{ctx, root.FS()}, s.pattern, doublestar.WithNoFollow(), doublestar.WithFailOnIOErrors())
	if err != nil {
		if ctxErr := ctx.Err(); ctxErr != nil {
			return nil, ctxErr
		}
		return nil, explain(root, pathOf(err, s.pattern), err)
	}
	slices.Sort(names)
	var objects []Object
	directory := directory{root: root}
	defer directory.close()
	for _, name := range slices.Compact(names) {
		o, err := directory.stat(name)
		switch {
		case err == nil:
			objects = append(objects, o)
		case errors.Is(err, errNotRegular), errors.Is(err, fs.ErrNotExist):
			// A directory of a matching name, or a file that went away just now.
		default:
			return nil, explain(root, name, err)
		}
	}
	if len(objects) == 0 {
		base, _ := doublestar.SplitPattern(s.pattern)
		return nil, fmt.Errorf("%w %q below %s%s", ErrNoMatch, s.pattern, s.root, nearest(root, base))
	}
	return objects, nil
}

// errNotRegular: a directory, a socket, a device.
var errNotRegular = errors.New("not a regular file")

func stat(root *os.Root, name string) (*file, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	return fileOf(root, name, info)
}

func fileOf(root *os.Root, name string, info fs.FileInfo) (*file, error) {
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	return &file{root: root.Name(), name: name, size: info.Size(), version: versionOf(info)}, nil
}

// directory looks at files of one directory after the other. Each is opened once: a root opens anew, for each file, all directories on the way to it.
type directory struct {
	root *os.Root
	path string
	open *os.Root // of path; nil: none is open
}

func (d *directory) stat(name string) (*file, error) {
	parent, base := path.Split(name)
	if parent == "" {
		return stat(d.root, name)
	}
	if d.open == nil || d.path != parent {
		open, err := d.root.OpenRoot(parent)
		if err != nil {
			return nil, err
		}
		d.close()
		d.path, d.open = parent, open
	}
	info, err := d.open.Lstat(base)
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return stat(d.root, name) // it may lead to another directory of the root
	}
	return fileOf(d.root, name, info)
}

func (d *directory) close() {
	if d.open != nil {
		_ = d.open.Close() // nothing was written
	}
}

// versionOf identifies a file's content without reading it: whoever writes a file changes its modification time, its size, or (a rename
// over it, as ConfigMap volumes do) its inode.
func versionOf(info fs.FileInfo) string {
	var inode uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = st.Ino
	}
	return fmt.Sprintf("%d-%d-%d", info.Size(), info.ModTime().UnixNano(), inode)
}

// file is one version of a file below a root.
type file struct {
	root    string
	name    string
	size    int64
	version string
}

func (f *file) Name() string    { return f.name }
func (f *file) Size() int64     { return f.size }
func (f *file) Version() string { return f.version }

func (f *file) Open(ctx context.Context) (Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	root, err := openRoot(f.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Without O_NONBLOCK, opening a named pipe that took the file's place would wait for its writer.
	opened, err := root.OpenFile(f.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s %w: it is gone", f.name, ErrChanged)
	}
	if err != nil {
		return nil, explain(root, f.name, err)
	}
	info, err := opened.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s %w: it is no longer a regular file", f.name, ErrChanged)
	} else if err == nil && versionOf(info) != f.version {
		err = fmt.Errorf("%s %w", f.name, ErrChanged)
	}
	if err != nil {
		opened.Close()
		return nil, err
	}
	return opened, nil
}

// visible hides what is not users' files from a glob, and ends it when ctx ends.
type visible struct {
	ctx context.Context
	fs.FS
}

func (v visible) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := v.ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(v.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return hidden(e.Name()) }), err
}

func (v visible) Stat(name string) (fs.FileInfo, error) { return fs.Stat(v.FS, name) }

// hidden is true for the directories behind ConfigMap volumes (`..data`, `..2024_05_01_...`) and for ext4's lost+found, which only root
// can read.
func hidden(name string) bool { return strings.HasPrefix(name, "..") || name == "lost+found" }

// hasMeta is true if a pattern is more than a path.
func hasMeta(pattern string) bool { return strings.ContainsAny(pattern, `*?[]{}\`) }

func openRoot(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	switch {
	case err == nil:
		return root, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("directory %s does not exist: is its volume mounted?", dir)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("directory %s cannot be opened: permission denied; the server's user needs to read and enter it", dir)
	default:
		return nil, fmt.Errorf("directory %s cannot be opened: %s", dir, reason(err))
	}
}

// explain says in users' words why a file below the root cannot be had, and what to do.
func explain(root *os.Root, name string, err error) error {
	dir := root.Name()
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return &notFoundError{fmt.Sprintf("there is no file %q below %s%s", name, dir, nearest(root, path.Dir(name)))}
	case errors.Is(err, errNotRegular):
		return fmt.Errorf("%q below %s is not a regular file: to read a directory's files, write a glob such as %q", name, dir, path.Join(name, "*"))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%q below %s cannot be read: permission denied; the server's user needs to read it and to enter its directories", name, dir)
	case errors.Is(err, syscall.ELOOP):
		return fmt.Errorf("%q below %s goes through too many symbolic links", name, dir)
	case reason(err) == escapes:
		return fmt.Errorf("%q is a symbolic link that leaves %s: only files inside it are served", name, dir)
	default:
		return fmt.Errorf("%q below %s cannot be read: %s", name, dir, reason(err))
	}
}

// notFoundError is the explanation of a missing file. It keeps errors.Is(err, fs.ErrNotExist) true.
type notFoundError struct{ message string }

func (e *notFoundError) Error() string { return e.message }
func (e *notFoundError) Unwrap() error { return fs.ErrNotExist }

// escapes is the text of the error with which package os, which exports no value for it, refuses to leave a root.
const escapes = "path escapes from parent"

// reason is what went wrong, without the system call and path that package os writes before it.
func reason(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// pathOf is the path that an error of package os is about.
func pathOf(err error, otherwise string) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) && pathErr.Path != "" {
		return pathErr.Path
	}
	return otherwise
}

// mostShown of a directory's names stand in a message: enough to see a slip of the pen, short enough for a condition.
const mostShown = 8

// nearest says what there is in the directory, or in the closest of its parents that exists: a hint at what was meant.
func nearest(root *os.Root, dir string) string {
	for {
		entries, err := fs.ReadDir(visible{context.Background(), root.FS()}, dir)
		if err == nil {
			return contents(dir, entries)
		}
		if dir == "." {
			return ""
		}
		dir = path.Dir(dir)
	}
}

func contents(dir string, entries []fs.DirEntry) string {
	where := "it"
	if dir != "." {
		where = fmt.Sprintf("its directory %q", dir)
	}
	if len(entries) == 0 {
		return fmt.Sprintf(" (%s is empty)", where)
	}
	var names []string
	for _, e := range entries[:min(len(entries), mostShown)] {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	if more := len(entries) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf(" (%s holds %s)", where, strings.Join(names, ", "))
}
