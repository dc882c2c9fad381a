// Package source says where a dataset's bytes come from: it lists objects and opens them. It knows nothing of formats, nor of who asks.
package source

import (
	"context"
	"errors"
	"io"
)

// ErrChanged is what Open's error wraps when the bytes are no longer those that List saw. Listing again mends it.
var ErrChanged = errors.New("has changed since it was listed")

// ErrNoMatch is what List's error wraps when a glob matches no file, in a directory that can be read. A dataset that is put into begins so.
var ErrNoMatch = errors.New("no file matches")

// ErrNotCurrent is what List's error wraps when the files have yet to become what the configuration expects. Waiting mends it.
var ErrNotCurrent = errors.New("is not up to date in the pod yet")

// A Source lists the objects of one dataset.
type Source interface {
	// List returns the objects as they are now, in path order. An empty list is an error that says what was looked for:
	// a dataset without any object is not a dataset.
	List(ctx context.Context) ([]Object, error)
}

// An Object is one version of a named sequence of bytes: a file, or text in a manifest.
type Object interface {
	// Name is how messages to users call it, for instance "trips/2024/01.parquet".
	Name() string
	// Size is the number of bytes.
	Size() int64
	// Version differs whenever the bytes may differ. Two objects of the same name and version hold the same bytes.
	Version() string
	// Open opens this very version. If the bytes have changed since List, the error wraps ErrChanged. The caller closes the reader.
	Open(ctx context.Context) (Reader, error)
}

// Reader reads an object's bytes in any order, from several goroutines at once.
type Reader interface {
	io.ReaderAt
	io.Closer
}
