package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/internal/arrowtest"
)

// joined are messages as the fuzzer has them: each behind its length.
func joined(messages [][]byte) []byte {
	var b []byte
	for _, m := range messages {
		b = binary.AppendUvarint(b, uint64(len(m)))
		b = append(b, m...)
	}
	return b
}

// split is what joined has joined; a length beyond the end is the end.
func split(b []byte) [][]byte {
	var messages [][]byte
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			n, size = 0, 1
		}
		b = b[size:]
		n = min(n, uint64(len(b)))
		messages = append(messages, b[:n])
		b = b[n:]
	}
	return messages
}

// FuzzReader makes sure that whatever arrives, a Reader hands out batches that hold together, or says in words for users what is wrong, and
// takes no more memory than its limits allow.
func FuzzReader(f *testing.F) {
	for _, name := range []string{"put", "put-zstd", "put-lz4-deltas", "put-v4", "exchange", "exchange-without-schema"} {
		f.Add(joined(recorded(f, name)))
	}
	for _, sample := range arrowtest.Samples() {
		for _, opts := range encodings {
			f.Add(joined(written(f, column(sample.Type), opts, writeAll(sample.Records(f)...))))
		}
	}
	const limit = 1 << 20
	f.Fuzz(func(t *testing.T, stream []byte) {
		messages := split(stream)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := NewReader(&received{messages, 100}, ReaderOptions{MaxBatchBytes: limit})
		defer r.Release()
		_, _ = r.Descriptor()
		for {
			chunk, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				checkRefusal(t, err)
				break
			}
			if chunk.Batch == nil {
				continue
			}
			for _, column := range chunk.Batch.Columns() {
				// Bytes below a null, which arrow-go looks at and pyarrow does not, need not be text.
				if err := array.ValidateFull(column); err != nil && !strings.Contains(err.Error(), "utf8") {
					t.Errorf("a column does not hold together: %v", err)
				}
			}
		}
		runtime.ReadMemStats(&after)
		// For each message the limit once or, to join dictionaries, twice; 24 MB for decoders of LZ4 and Zstandard; what schemas unfold to.
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > uint64(2*limit*len(messages)+64<<20+100*len(stream)) {
			t.Errorf("%d bytes were allocated for %d", allocated, len(stream))
		}
	})
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	if code := status.Code(err); code != codes.InvalidArgument && code != codes.ResourceExhausted {
		t.Errorf("an error of another code: %v", err)
	}
	for _, internal := range []string{"runtime error", "goroutine", "nil pointer", "interface conversion", "arrow/"} {
		if strings.Contains(err.Error(), internal) {
			t.Errorf("an error that users cannot read: %v", err)
		}
	}
}
