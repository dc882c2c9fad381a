package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// maxVerifiedBytes bounds what NewVerified holds in memory. A ConfigMap holds at most 1 MiB, so this is room to spare.
const maxVerifiedBytes = 8 << 20

// NewVerified is a source of the one file at path below the directory root, provided that its SHA-256 is the one expected, in hexadecimal:
// for files that reach a pod apart from its configuration, as keys of ConfigMaps do. While the file is missing or other, List's error
// wraps ErrNotCurrent. The file is held in memory, so that what was verified is what is read.
func NewVerified(root, path, sha256 string) Source {
	return &verified{files: files{root: root, pattern: path}, sha256: strings.ToLower(sha256)}
}

type verified struct {
	files  files
	sha256 string
}

func (v *verified) List(ctx context.Context) ([]Object, error) {
	data, err := v.read(ctx)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrChanged) {
		return nil, fmt.Errorf("key %s %w", v.files.pattern, ErrNotCurrent)
	}
	if err != nil {
		return nil, err
	}
	if digestOf(data) != v.sha256 {
		return nil, fmt.Errorf("key %s %w", v.files.pattern, ErrNotCurrent)
	}
	return []Object{&inline{name: v.files.pattern, data: data, version: v.sha256}}, nil
}

func (v *verified) read(ctx context.Context) ([]byte, error) {
	if hasMeta(v.files.pattern) {
		return nil, fmt.Errorf("path %q is a glob: expected the path of one file", v.files.pattern)
	}
	objects, err := v.files.List(ctx)
	if err != nil {
		return nil, err
	}
	o := objects[0]
	if o.Size() > maxVerifiedBytes {
		return nil, fmt.Errorf("%s has %d bytes: expected a ConfigMap's key, of at most %d", o.Name(), o.Size(), maxVerifiedBytes)
	}
	r, err := o.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, o.Size())
	if _, err := r.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s cannot be read: %s", o.Name(), reason(err))
	}
	return data, nil
}
