package landing

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// Names that begin with two dots are hidden from globs, by package source. Ours among them:
const (
	// hidden is how all of them begin.
	hidden = "..landing"
	// lockName is a file that is locked, shared, to read and to add, and exclusively to replace. It stays.
	lockName = hidden + ".lock"
	// tempPrefix begins the name of a file that is being written.
	tempPrefix = hidden + "-put-"
	// replacePrefix begins the name of a folder with what is to replace other files, before and after that is done.
	replacePrefix = hidden + "-replace-"
	// commitName is the folder with what replaces other files, from when that is decided until it is done.
	commitName = hidden + "-commit"
)

// timeLayout has a fixed width, so that names sort by time.
const timeLayout = "20060102T150405.000000000Z"

// glob is a pattern that files can be named by.
type glob struct {
	pattern string
	// folder is where files land, "." for the root.
	folder string
	// prefix and suffix of their names, around the `*`.
	prefix, suffix string
}

func parseGlob(pattern string) (glob, error) {
	refuse := func(why string) (glob, error) {
		return glob{}, fmt.Errorf(`nothing can land by path %q: %s, such as "trips/**/*.parquet"`, pattern, why)
	}
	if !fs.ValidPath(pattern) || !doublestar.ValidatePattern(pattern) {
		return refuse(`expected a relative path without empty, "." or ".." segments, with its brackets and braces closed`)
	}
	folder, name := path.Split(pattern)
	g := glob{pattern: pattern}
	folder = path.Clean(folder)
	for path.Base(folder) == "**" {
		folder = path.Dir(folder)
	}
	g.folder = folder
	prefix, suffix, ok := strings.Cut(name, "*")
	g.prefix, g.suffix = prefix, suffix
	switch {
	case !ok || hasMeta(prefix+suffix):
		return refuse("expected a last segment with one '*' and no other pattern")
	case strings.HasPrefix(prefix, ".."):
		return refuse("names that begin with '..' are not listed; expected another last segment")
	case hasMeta(folder):
		return refuse("expected folders with plain names, and then '**' at most")
	}
	for _, example := range []string{g.timed(time.Time{}), g.keyed(Key{ID: "x"})} {
		if ok, err := doublestar.Match(pattern, example); !ok || err != nil {
			return refuse(fmt.Sprintf("it does not match %q; expected a pattern that does", example))
		}
	}
	return g, nil
}

// hasMeta is true if a pattern is more than a path.
func hasMeta(pattern string) bool { return strings.ContainsAny(pattern, `*?[]{}\`) }

// segments of the folder.
func (g glob) segments() []string {
	if g.folder == "." {
		return nil
	}
	return strings.Split(g.folder, "/")
}

// in is a path in the folder.
func (g glob) in(name string) string { return path.Join(g.folder, name) }

// inside is the path of a file of the glob, relative to the folder.
func (g glob) inside(name string) string {
	if g.folder == "." {
		return name
	}
	return strings.TrimPrefix(name, g.folder+"/")
}

// matches is true if a path may be one of the glob's files.
func (g glob) matches(name string) bool {
	ok, err := doublestar.Match(g.pattern, name)
	return ok && err == nil && fs.ValidPath(name)
}

// timed is the path of a file without a key.
func (g glob) timed(at time.Time) string {
	return g.in(g.prefix + "put-" + at.UTC().Format(timeLayout) + "-" + random() + g.suffix)
}

// timeOf is when a file of that name landed, if the name tells.
func (g glob) timeOf(name string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(name, g.prefix+"put-")
	if !ok || len(rest) < len(timeLayout) {
		return time.Time{}, false
	}
	at, err := time.Parse(timeLayout, rest[:len(timeLayout)])
	return at, err == nil
}

// keyed is the path of the file under a key. Files of one ID sort by N; IDs sort by a hash.
func (g glob) keyed(key Key) string {
	return fmt.Sprintf("%s%016x%s", g.keyedPrefix(key.ID), key.N, g.suffix)
}

// keyedPrefix begins the paths of all files under an ID.
func (g glob) keyedPrefix(id string) string {
	sum := sha256.Sum256([]byte(id))
	return g.in(fmt.Sprintf("%sput-id-%s-", g.prefix, hex.EncodeToString(sum[:16])))
}

// random is a name that nobody else chooses.
func random() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// future is how far ahead of our clock a file's name may be for the next to follow it: more than clocks of one cluster differ.
const future = 24 * time.Hour

// next is the path of another file without a key. It sorts after those of this landing, and after those that were there when it was opened.
func (l *Landing) next() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now().UTC()
	if !now.After(l.latest) {
		now = l.latest.Add(time.Nanosecond)
	}
	l.latest = now
	return l.glob.timed(now)
}

// follow makes the next file sort after one of that name.
func (l *Landing) follow(name string) {
	at, ok := l.glob.timeOf(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok && at.After(l.latest) && at.Before(time.Now().Add(future)) {
		l.latest = at
	}
}
