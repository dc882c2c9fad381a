package landing

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// clean removes what processes that ended left in the folder, and finds the latest of the files there. It is called under the exclusive
// lock, so that nobody is about to lock what it finds.
func (l *Landing) clean() error {
	ours, err := l.names(l.glob.folder, func(name string) bool {
		l.follow(name)
		return strings.HasPrefix(name, tempPrefix) || strings.HasPrefix(name, replacePrefix)
	})
	if err != nil {
		return err
	}
	for _, name := range ours {
		at := l.glob.in(name)
		switch {
		case strings.HasPrefix(name, tempPrefix) && l.isAbandoned(at):
			err = l.removeFile(at)
		case strings.HasPrefix(name, replacePrefix) && l.isAbandoned(path.Join(at, lockName)):
			err = l.removeFolder(at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isAbandoned is true if nobody has the file open who made it.
func (l *Landing) isAbandoned(name string) bool {
	f, err := l.root.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		return false // another user's, perhaps: that user's server removes it
	}
	defer f.Close()
	locked, err := tryLock(f, exclusive)
	return err == nil && locked
}

func (l *Landing) removeFile(name string) error {
	if err := l.disk.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l.explain("remove "+name, err)
	}
	return nil
}

// removeFolder removes a folder of files.
func (l *Landing) removeFolder(name string) error {
	files, err := l.names(name, func(string) bool { return true })
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := l.removeFile(path.Join(name, file)); err != nil {
			return err
		}
	}
	return l.removeFile(name)
}

// namesAtATime of a folder are read, which may hold any number.
const namesAtATime = 1024

// names in a folder that are wanted. All are read before anything is done with them: what is removed meanwhile could hide others.
func (l *Landing) names(folder string, wanted func(name string) bool) (all []string, err error) {
	opened, err := l.root.Open(folder)
	if err != nil {
		return nil, l.explain("read the folder "+folder, err)
	}
	defer opened.Close()
	for {
		names, err := opened.Readdirnames(namesAtATime)
		for _, name := range names {
			if wanted(name) {
				all = append(all, name)
			}
		}
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, l.explain("read the folder "+folder, err)
		}
	}
}
