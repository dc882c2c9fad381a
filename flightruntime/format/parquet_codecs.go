package format

import (
	"fmt"
	"sync"

	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// The codecs of Parquet's pages take the place of arrow-go's in the process, for what they do when they uncompress. Arrow-go's believe what a page says of
// its length when uncompressed, whatever memory they were given for it: some bytes of Zstandard are 64 GiB then, some of Snappy are 4. And no more
// than four pages of Zstandard are uncompressed at a time, on machines of however many processors.
func init() {
	for codec, of := range map[compress.Compression]uncompressor{compress.Codecs.Zstd: uncompressZstd, compress.Codecs.Snappy: uncompressSnappy} {
		known, err := compress.GetCodec(codec)
		if err != nil {
			continue // nobody has it, so nobody uses it
		}
		if streaming, ok := known.(compress.StreamingCodec); ok {
			compress.RegisterCodec(codec, boundedCodec{known, streaming, of})
		}
	}
}

// uncompressor uncompresses src into dst, which is long enough, or else it fails.
type uncompressor func(dst, src []byte) ([]byte, error)

// boundedCodec uncompresses into memory that it is given.
type boundedCodec struct {
	compress.Codec
	compress.StreamingCodec

	uncompress uncompressor
}

var _ compress.ErrorCodec = boundedCodec{}

func (c boundedCodec) Decode(dst, src []byte) []byte {
	out, err := c.DecodeWithError(dst, src)
	if err != nil {
		panic(err)
	}
	return out
}

// DecodeWithError is as arrow-go's if dst is nil: then whoever asks does not know how long it is.
func (c boundedCodec) DecodeWithError(dst, src []byte) ([]byte, error) {
	if dst == nil {
		return compress.Decode(c.Codec, nil, src)
	}
	return c.uncompress(dst, src)
}

var zstdPages = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderConcurrency(0))
})

func uncompressZstd(dst, src []byte) ([]byte, error) {
	d, err := zstdPages()
	if err != nil {
		return nil, err
	}
	return d.DecodeAll(src, dst[:0])
}

func uncompressSnappy(dst, src []byte) ([]byte, error) {
	n, err := snappy.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	if n > len(dst) {
		return nil, fmt.Errorf("it uncompresses to %d bytes, expected %d", n, len(dst))
	}
	return snappy.Decode(dst, src)
}
