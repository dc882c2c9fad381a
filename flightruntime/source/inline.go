package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
)

// NewInline is a source of one object whose bytes are data. It keeps data, which nobody may change any more.
func NewInline(name string, data []byte) Source {
	return &inline{name: name, data: data, version: digestOf(data)}
}

// inline is bytes in memory, which are a source of themselves.
type inline struct {
	name    string
	data    []byte
	version string
}

func (o *inline) List(ctx context.Context) ([]Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return []Object{o}, nil
}

func (o *inline) Name() string    { return o.name }
func (o *inline) Size() int64     { return int64(len(o.data)) }
func (o *inline) Version() string { return o.version }

func (o *inline) Open(ctx context.Context) (Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return memoryReader{bytes.NewReader(o.data)}, nil
}

// memoryReader has nothing to close.
type memoryReader struct{ *bytes.Reader }

func (memoryReader) Close() error { return nil }

// digestOf is the SHA-256 of data in hexadecimal: the version of what is held in memory.
func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
