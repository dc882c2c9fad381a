package ipcguard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// codec uncompresses one buffer into exactly dst.
type codec func(dst, src []byte) error

// Values of CompressionType in Message.fbs.
const (
	codecLZ4  = 0
	codecZstd = 1
)

func codecOf(compression flatbuffers.Table) (codec, error) {
	switch c := compression.GetInt8Slot(compressionCodec, 0); c {
	case codecLZ4:
		return uncompressLZ4, nil
	case codecZstd:
		return uncompressZstd, nil
	default:
		return nil, fmt.Errorf("it is compressed by codec %d: expected LZ4 or Zstandard", c)
	}
}

const (
	// padding is what allocations are rounded up to.
	padding = 64
	// lengthSize is that of the uncompressed length before a compressed buffer.
	lengthSize = 8
	// stored is the length before a buffer that is not compressed after all.
	stored = -1
)

// uncompressed is what a part of the body uncompresses to. Its length is a claim, on which the quota is asked before anything is allocated.
func (l *loader) uncompressed(from, length int) (*memory.Buffer, error) {
	if length < lengthSize {
		return nil, fmt.Errorf("it has %d bytes, too few for the length that a compressed buffer begins with", length)
	}
	src := l.body.Bytes()[from : from+length]
	claimed := int64(binary.LittleEndian.Uint64(src))
	src = src[lengthSize:]
	switch {
	case claimed == stored:
		return memory.SliceBuffer(l.body, from+lengthSize, len(src)), nil
	case claimed < 0:
		return nil, fmt.Errorf("it claims %d uncompressed bytes", claimed)
	case claimed > l.quota.Left()-padding:
		return nil, &QuotaError{Claimed: claimed, Limit: l.quota.Limit()}
	}
	b := memory.NewResizableBuffer(l.quota)
	b.Resize(int(claimed))
	if err := l.codec(b.Bytes(), src); err != nil {
		b.Release()
		return nil, fmt.Errorf("it does not uncompress to the %d bytes that it claims: %w", claimed, err)
	}
	l.bytes += claimed
	return b, nil
}

// zstdDecoder decodes into memory that it is given and makes none of its own that a frame's header could ask for, which the decoder for
// streams does: up to 512 MiB for a few bytes.
var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderConcurrency(0))
})

func uncompressZstd(dst, src []byte) error {
	d, err := zstdDecoder()
	if err != nil {
		return err
	}
	out, err := d.DecodeAll(src, dst[:0:len(dst)])
	switch {
	case err != nil: // of several kinds where there is more than fits
		return errors.New("it is no Zstandard, or has more")
	case len(out) < len(dst):
		return fmt.Errorf("it has %d", len(out))
	}
	return nil
}

// lz4Readers are used again, for each has a block of up to 4 MiB.
var lz4Readers = sync.Pool{New: func() any { return lz4.NewReader(nil) }}

func uncompressLZ4(dst, src []byte) error {
	r, ok := lz4Readers.Get().(*lz4.Reader)
	if !ok {
		return errors.New("there is no decoder of LZ4")
	}
	defer lz4Readers.Put(r)
	defer r.Reset(nil) // it must not keep the body alive
	r.Reset(bytes.NewReader(src))
	n, err := io.ReadFull(r, dst)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("it has %d", n)
	case err != nil:
		return errors.New("it is no LZ4 frame")
	}
	var more [1]byte
	if n, _ := r.Read(more[:]); n > 0 {
		return errors.New("it has more")
	}
	return nil
}
