package cache

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Names in the folder: the key in hexadecimal, and one of these.
const (
	partSuffix = ".part"
	// stagedSuffix comes behind something that makes the name unique. Such a file is locked for as long as a process writes it.
	stagedSuffix = ".tmp"
)

const (
	// recentUse protects a part from going to make room. A reader that goes through more than the cache can hold, again and again, would
	// otherwise find nothing that it wants; so it finds what fits.
	recentUse = time.Minute
	// abandonedAfter is when a file that nobody has locked is nobody's: the time between making and locking it is far shorter.
	abandonedAfter = 5 * time.Second
	// unlockedAfter is the same where locks do not work.
	unlockedAfter = time.Hour
	// grantShare of the limit, as a divisor, is written before the folder is looked at again, in which others write meanwhile.
	grantShare = 16
)

// folder is the store of a cache on a disk. The folder itself is the list of what there is, for other processes may share it.
type folder struct {
	cache  *Cache
	dir    string
	root   atomic.Pointer[os.Root] // another one once somebody has removed the folder
	recent time.Duration

	mu   sync.Mutex // of those who make room
	left int64      // bytes that may be written before the folder has to be looked at again
}

func openFolder(c *Cache, dir string) (*folder, error) {
	s := &folder{cache: c, dir: dir, recent: recentUse}
	if err := s.open(); err != nil {
		return nil, err
	}
	if _, err := s.list(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open makes the folder if need be, and opens it. Who uses one that was open before goes on to do so.
func (s *folder) open() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	s.root.Store(root)
	return nil
}

// Close closes the folder.
func (s *folder) Close() error { return s.root.Load().Close() }

func partName(k Key) string { return k.String() + partSuffix }

// staged is a file that has its name only once it is complete.
type staged struct {
	*os.File

	folder    *folder
	root      *os.Root
	name, to  string
	committed bool
}

func (s *folder) begin(k Key) (stagedFile, error) {
	s.mu.Lock()
	s.left = 0 // others may have written meanwhile
	s.mu.Unlock()
	name := fmt.Sprintf("%s.%d-%d%s", k, os.Getpid(), time.Now().UnixNano(), stagedSuffix)
	root := s.root.Load()
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.open(); err != nil {
			return nil, err
		}
		root = s.root.Load()
		f, err = root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close(), root.Remove(name))
	}
	return &staged{File: f, folder: s, root: root, name: name, to: partName(k)}, nil
}

func (f *staged) commit() error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.root.Rename(f.name, f.to); err != nil {
		return err
	}
	f.committed = true
	return nil
}

func (f *staged) file() *os.File { return f.File }

// Close unlocks the file, too.
func (f *staged) Close() error {
	if f.committed {
		return f.File.Close()
	}
	f.folder.mu.Lock()
	f.folder.left = 0
	f.folder.mu.Unlock()
	return errors.Join(f.root.Remove(f.name), f.File.Close())
}

// lock takes a file for this process. A file system without locks is one where files that were left behind stay until they are old.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOLCK) || errors.Is(err, syscall.ENOSYS) {
		return nil
	}
	return err
}

func (s *folder) take(k Key, units []int64) (*file, error) {
	f, err := s.root.Load().OpenFile(partName(k), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) { // another user's: ours takes its place
		return nil, errAbsent
	}
	if err != nil {
		return nil, err
	}
	taken, err := s.read(f, k, units)
	if err == nil {
		return taken, nil
	}
	err = errors.Join(err, f.Close())
	if s.cache.ctx.Err() != nil {
		return nil, err
	}
	s.cache.failures.Add(1)
	s.cache.log.Warn("a file of the cache is not used, and removed", "file", partName(k), "error", err)
	if err := s.root.Load().RemoveAll(partName(k)); err != nil {
		return nil, err
	}
	return nil, errAbsent
}

// read makes sure that a file of an earlier process is what it says.
func (s *folder) read(f *os.File, k Key, units []int64) (*file, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, damaged("it is no file")
	}
	x, err := readIndex(f, info.Size(), k, units)
	if err != nil {
		return nil, err
	}
	if err := x.verify(f, s.cache.ctx.Err); err != nil {
		return nil, err
	}
	return &file{File: f, size: info.Size(), index: x}, nil
}

func (s *folder) touched(k Key) {
	now := time.Now()
	_ = s.root.Load().Chtimes(partName(k), now, now) // it may be gone
}

func (s *folder) remove(k Key) {
	_ = s.root.Load().Remove(partName(k)) // it may be gone
}

// entry is a file of the folder, or a part that is mapped and whose file is gone from there.
type entry struct {
	name string
	info fs.FileInfo
	size int64
	used time.Time // the zero value if nobody knows
	gone *Part     // nil of a file
}

// list gives the files of the folder, and removes those that a process has begun and never finished.
func (s *folder) list() ([]entry, error) {
	dir, err := s.root.Load().Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	found, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, e := range found {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue // it is gone meanwhile, or none of ours
		}
		if strings.HasSuffix(e.Name(), stagedSuffix) && s.abandoned(e.Name(), info) {
			_ = s.root.Load().Remove(e.Name()) // another one may have done so
			continue
		}
		used := info.ModTime()
		if time.Until(used) > s.recent { // it was used before the clock was set back
			used = time.Time{}
		}
		entries = append(entries, entry{name: e.Name(), info: info, size: info.Size(), used: used})
	}
	return entries, nil
}

// abandoned is true if no process writes a file any more.
func (s *folder) abandoned(name string, info fs.FileInfo) bool {
	f, err := s.root.Load().Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	age := time.Since(info.ModTime()).Abs() // the clock may have been set back
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return age > unlockedAfter
	}
	return age > abandonedAfter
}

func (s *folder) room(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left >= n {
		s.left -= n
		return nil
	}
	entries, err := s.list()
	if err != nil {
		return err
	}
	limit := s.cache.Limit()
	s.left = limit
	entries = append(entries, s.cache.unlisted(entries)...)
	for _, e := range entries {
		s.left -= e.size
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range entries {
		if s.left >= n {
			break
		}
		if time.Since(e.used) < s.recent {
			continue
		}
		evicted, err := s.evict(e)
		if err != nil {
			return err
		}
		if evicted {
			s.left += e.size
		}
	}
	if s.left < n {
		left := s.left
		s.left = 0
		return &RoomError{Mode: Disk, Limit: limit, Left: left}
	}
	s.left = min(s.left, max(s.cache.Limit()/grantShare, n)) - n
	return nil
}

// evict removes an entry, unless it is none of ours, or somebody reads it.
func (s *folder) evict(e entry) (bool, error) {
	if e.gone != nil {
		return s.cache.evict(e.gone.key, e.gone), nil
	}
	name, ours := strings.CutSuffix(e.name, partSuffix)
	k, err := hex.DecodeString(name)
	if !ours || err != nil || len(k) != len(Key{}) || !s.cache.evict(Key(k), nil) {
		return false, nil
	}
	if err := s.root.Load().Remove(e.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, nil
}

// unlisted are the parts that are mapped and whose files are no longer in the folder: they take their space all the same. Of the others, it tells
// when this process has used them.
func (c *Cache) unlisted(entries []entry) (gone []entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	byName := make(map[string]*entry, len(entries))
	for i := range entries {
		byName[entries[i].name] = &entries[i]
	}
	for p := range c.mapped {
		e := byName[partName(p.key)]
		switch {
		case e == nil || !os.SameFile(e.info, p.info):
			gone = append(gone, entry{size: p.size(), used: p.used, gone: p})
		case p.used.After(e.used):
			e.used = p.used
		}
	}
	return gone
}

// evict lets go of a part, unless somebody reads it. If only is not nil, it has to be that one.
func (c *Cache) evict(k Key, only *Part) bool {
	c.mu.Lock()
	p := c.parts[k]
	if p != nil && p.refs.Load() > 1 || only != nil && p != only {
		c.mu.Unlock()
		return false
	}
	delete(c.parts, k)
	c.mu.Unlock()
	if p != nil {
		p.release()
	}
	c.evictions.Add(1)
	c.log.Debug("a part of the cache goes to make room", "part", k)
	return true
}
