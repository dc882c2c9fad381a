package format_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// oneText is a file of one text, in a page whose header holds it as its bounds.
func oneText(t *testing.T, text string) []byte {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "s", Type: arrow.BinaryTypes.String}}, nil))
	defer b.Release()
	b.Field(0).(*array.StringBuilder).Append(text)
	batch := b.NewRecordBatch()
	defer batch.Release()
	return []byte(parquetAs(t, batch, parquet.NewWriterProperties(
		parquet.WithMaxStatsSize(8<<20), parquet.WithDictionaryDefault(false), parquet.WithCompression(compress.Codecs.Zstd)), pqarrow.DefaultWriterProps()))
}

// The header of a page may be nearly all that a column has.
func TestParquetPagesWithLargeHeaders(t *testing.T) {
	for _, size := range []int{1, 1 << 10, 8<<10 - 40, 8 << 10, 9 << 10, 20 << 10, 100 << 10, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			text := strings.Repeat("x", size)
			table, err := read(t.Context(), lookup(t, format.Parquet), objects("x", string(oneText(t, text))), 3)
			if err != nil {
				t.Fatal(err)
			}
			defer table.Release()
			if got := table.Column(0).Data().Chunk(0).(*array.String).Value(0); got != text {
				t.Errorf("read %d bytes, want %d", len(got), len(text))
			}
		})
	}
}

// A header without an end is not looked for in more than there is.
func TestParquetPageWithADamagedHeader(t *testing.T) {
	data := oneText(t, "a text")
	for i := range 16 {
		data[len("PAR1")+i] = 0xff
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := read(t.Context(), lookup(t, format.Parquet), objects("x", string(data)), 3)
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Fatal("a page without a header was read")
	}
	checkError(t, format.Parquet, err)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("it took %d bytes to find that a file of %d is damaged: %v", n, len(data), err)
	}
}
