package landing

import (
	"errors"
	"io"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"
)

// disk is all that a landing does to a volume. Tests look at the order in which it does it, and make each of it fail.
// Paths are relative to the volume's root, which none of them leaves.
type disk interface {
	mkdir(name string) error
	// create makes a file that is not there yet, and locks it exclusively for as long as it is open.
	create(name string) (file, error)
	// link gives a file a second name, and fails with fs.ErrExist if there is such a name. Where the file system has no links it renames.
	link(from, to string) error
	// rename fails if there is something of the new name, unless that is an empty folder.
	rename(from, to string) error
	remove(name string) error
	// syncDir makes names in a folder durable: those that are new, and that some are gone.
	syncDir(name string) error
}

// file is a file that is being written.
type file interface {
	io.Writer
	// Sync makes its content durable.
	Sync() error
	// Close ends its lock too.
	Close() error
}

type osDisk struct{ root *os.Root }

// Permissions are left to the umask, as by other programs.
const (
	fileMode   = 0o666
	folderMode = 0o777
)

func (d osDisk) mkdir(name string) error { return d.root.Mkdir(name, folderMode) }

func (d osDisk) create(name string) (file, error) {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	locked, err := tryLock(f, exclusive)
	if err == nil && !locked {
		err = errors.New("a new file is locked by somebody else")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), d.root.Remove(name))
	}
	return f, nil
}

func (d osDisk) link(from, to string) error {
	err := d.root.Link(from, to)
	for _, unsupported := range []error{syscall.EPERM, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EMLINK} {
		if errors.Is(err, unsupported) { // SMB, FAT, many a FUSE
			return d.renameNoReplace(from, to)
		}
	}
	return err
}

func (d osDisk) renameNoReplace(from, to string) error {
	source, err := d.root.Open(path.Dir(from))
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := d.root.Open(path.Dir(to))
	if err != nil {
		return err
	}
	defer target.Close()
	err = unix.Renameat2(int(source.Fd()), path.Base(from), int(target.Fd()), path.Base(to), unix.RENAME_NOREPLACE)
	if err != nil {
		return &os.LinkError{Op: "renameat2", Old: from, New: to, Err: err}
	}
	return nil
}

func (d osDisk) rename(from, to string) error { return d.root.Rename(from, to) }

func (d osDisk) remove(name string) error { return d.root.Remove(name) }

func (d osDisk) syncDir(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EOPNOTSUPP) {
		err = nil // a file system that has nothing to do for it
	}
	return errors.Join(err, f.Close())
}
