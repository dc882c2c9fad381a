package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// Magic bytes of the formats that have them.
var (
	magicParquet          = []byte("PAR1")
	magicParquetEncrypted = []byte("PARE")
	magicArrowFile        = []byte("ARROW1")
	magicFeatherV1        = []byte("FEA1")
)

// looksLike names what begins with these bytes, or is empty.
func looksLike(head []byte) string {
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case bytes.HasPrefix(head, magicParquet):
		return "a Parquet file: set format: " + Parquet
	case bytes.HasPrefix(head, magicParquetEncrypted):
		return "an encrypted Parquet file, which cannot be served: write it without encryption"
	case bytes.HasPrefix(head, magicArrowFile):
		return "an Arrow file: set format: " + ArrowFile
	case bytes.HasPrefix(head, magicFeatherV1):
		return "a Feather version 1 file, which cannot be served: write it as version 2, for instance with pyarrow.feather.write_feather"
	case startsStream(head):
		return "an Arrow stream: set format: " + ArrowStream
	case has("\x1f\x8b"), has("\x28\xb5\x2f\xfd"), has("BZh"), has("PK\x03\x04"), has("\xfd7zXZ"):
		return "a compressed file: decompress it, or use Parquet, which compresses by itself"
	case has("{"), has("["):
		return "JSON: set format: " + JSON
	default:
		return ""
	}
}

// startsStream is true for the first bytes of an Arrow stream.
func startsStream(head []byte) bool {
	return len(head) >= prefixSize && binary.LittleEndian.Uint32(head) == continuation
}

// notA is the error for an object of other content than its format says.
func notA(what string, head []byte) error {
	if like := looksLike(head); like != "" {
		return fmt.Errorf("it is not %s; it looks like %s", what, like)
	}
	return fmt.Errorf("it is not %s: it begins with %q", what, cut(string(head)))
}

// headOf is an object's first bytes, up to 16. An empty object is an error.
func headOf(o source.Object, r io.ReaderAt, what string) ([]byte, error) {
	if o.Size() == 0 {
		return nil, fmt.Errorf("the file is empty: expected %s", what)
	}
	return readAt(o, r, 0, min(16, o.Size()))
}

// readAt reads n bytes, which must lie inside the object, from off on.
func readAt(o source.Object, r io.ReaderAt, off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > o.Size()-n {
		return nil, errDamaged
	}
	b := make([]byte, n)
	if m, err := r.ReadAt(b, off); m < len(b) {
		return nil, readError(o, err)
	}
	return b, nil
}

// readError is the error for bytes that were there when the object was listed and cannot be read.
func readError(o source.Object, err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return changed(o, errors.New("it is shorter than it was"))
	}
	return fmt.Errorf("it cannot be read: %w", err)
}
