package authn

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// maxFile bounds a file that is followed: four times what a Secret may hold.
const maxFile = 4 << 20

// file is a file that is followed, of which the last good version is kept.
type file struct {
	path string
	// optional: a file that is not there is an empty one.
	optional bool
}

// followed is what some files hold together. What cannot be used leaves the last good version in force.
type followed[T any] struct {
	what  string
	files []file
	parse func(contents [][]byte) (T, error) // whose errors show no secrets

	mu      sync.Mutex // for a look at a time
	seen    string
	inForce atomic.Pointer[version[T]]
	problem atomic.Pointer[string]
}

type version[T any] struct {
	value  T
	digest string // of the files, in hexadecimal
}

func follow[T any](what string, parse func([][]byte) (T, error), files ...file) *followed[T] {
	return &followed[T]{what: what, files: files, parse: parse}
}

// get is what is in force; false while nothing is.
func (f *followed[T]) get() (value T, ok bool) {
	if v := f.inForce.Load(); v != nil {
		return v.value, true
	}
	return value, false
}

// digest identifies what is in force; empty while nothing is.
func (f *followed[T]) digest() string {
	if v := f.inForce.Load(); v != nil {
		return v.digest
	}
	return ""
}

// trouble says why the files are not in force as they are; empty if they are.
func (f *followed[T]) trouble() string {
	if p := f.problem.Load(); p != nil {
		return *p
	}
	return ""
}

func (f *followed[T]) folders() (folders []string) {
	for _, file := range f.files {
		folders = append(folders, filepath.Dir(file.path))
	}
	return folders
}

// look reads the files, and puts in force what they hold. It is true if that is something new.
func (f *followed[T]) look(log *slog.Logger) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	contents, err := f.read()
	seen := digest(contents)
	if err != nil {
		seen = err.Error()
	}
	if seen == f.seen {
		return false
	}
	f.seen = seen
	var value T
	if err == nil {
		value, err = f.parse(contents)
	}
	if err != nil {
		kept := "the last good version stays in force"
		if f.inForce.Load() == nil {
			kept = "there is no earlier version, so nobody is let in by it"
		}
		problem := fmt.Sprintf("%s: %v; %s", f.what, err, kept)
		f.problem.Store(&problem)
		log.Error("something is wrong with a file of auth", "error", problem)
		return false
	}
	if f.problem.Swap(nil) != nil {
		log.Info("a file of auth is in order again", "what", f.what)
	}
	before := f.inForce.Swap(&version[T]{value: value, digest: seen})
	return before == nil || before.digest != seen
}

func (f *followed[T]) read() (contents [][]byte, err error) {
	for _, file := range f.files {
		data, err := readFile(file.path)
		if file.optional && errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return nil, err
		}
		contents = append(contents, data)
	}
	return contents, nil
}

// readFile reads a file of at most maxFile bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: expected at most %d bytes, found more", path, maxFile)
	}
	return data, err
}

func digest(contents [][]byte) string {
	h := sha256.New()
	for _, c := range contents {
		sum := sha256.Sum256(c)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
