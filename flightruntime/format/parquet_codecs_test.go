package format

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/flight-operator/flight-operator/internal/arrowmem"
)

// Of what a page claims, or really uncompresses to, no more is made than there is memory for.
func TestPagesThatUncompressToMoreThanTheySay(t *testing.T) {
	const much = 256 << 20
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer // whose frame does not say how long it is
	w, err := zstd.NewWriter(&stream)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, much)
	if _, err := w.Write(zeros); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		codec compress.Compression
		data  []byte
	}{
		"Zstandard that says so":           {compress.Codecs.Zstd, e.EncodeAll(zeros, nil)},
		"Zstandard that does not":          {compress.Codecs.Zstd, stream.Bytes()},
		"Zstandard, more frames than one":  {compress.Codecs.Zstd, bytes.Repeat(e.EncodeAll(make([]byte, 100), nil), 3)},
		"Snappy":                           {compress.Codecs.Snappy, snappy.Encode(nil, zeros)},
		"Snappy that only claims it":       {compress.Codecs.Snappy, binary.AppendUvarint(nil, 1<<32-1)},
		"Snappy, a byte more":              {compress.Codecs.Snappy, snappy.Encode(nil, make([]byte, 101))},
		"Zstandard, a byte more than fits": {compress.Codecs.Zstd, e.EncodeAll(make([]byte, 101+arrowmem.Slack), nil)},
	} {
		codec, err := compress.GetCodec(c.codec)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		out, err := compress.Decode(codec, make([]byte, 100, 100+arrowmem.Slack), c.data)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: %d bytes where there is room for 100", name, len(out))
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 { // what the decoder itself takes
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}

func TestPagesUncompress(t *testing.T) {
	text := bytes.Repeat([]byte("to and fro "), 1000)
	for _, c := range []compress.Compression{compress.Codecs.Zstd, compress.Codecs.Snappy} {
		codec, err := compress.GetCodec(c)
		if err != nil {
			t.Fatal(err)
		}
		data := codec.Encode(nil, text)
		for name, dst := range map[string][]byte{"memory of its own": nil, "just enough": make([]byte, len(text)), "more": make([]byte, len(text)+1)} {
			if got, err := compress.Decode(codec, dst, data); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s into %s: %d bytes, %v", c, name, len(got), err)
			}
			if got := codec.Decode(dst, data); !bytes.Equal(got, text) {
				t.Errorf("%s into %s: %d bytes", c, name, len(got))
			}
		}
		if _, err := compress.Decode(codec, make([]byte, len(text)), data[:len(data)/2]); err == nil {
			t.Errorf("%s: half of it is enough", c)
		}
	}
}
