package format_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

func TestArrowReadsWhatWasWritten(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	defer batch.Release()
	empty := batch.NewSlice(0, 0)
	defer empty.Release()
	for name, c := range map[string]struct {
		opts    []ipc.Option
		batches []arrow.RecordBatch
		want    string
	}{
		"plain":      {nil, []arrow.RecordBatch{batch}, shown3},
		"LZ4":        {[]ipc.Option{ipc.WithLZ4()}, []arrow.RecordBatch{batch}, shown3},
		"Zstandard":  {[]ipc.Option{ipc.WithZstd()}, []arrow.RecordBatch{batch}, shown3},
		"no batches": {nil, nil, "n int64: \ns utf8: \nl list<item: int32, nullable>: \np struct<x: float64>: \n"},
		"no rows":    {nil, []arrow.RecordBatch{empty}, "n int64: \ns utf8: \nl list<item: int32, nullable>: \np struct<x: float64>: \n"},
	} {
		want := strings.ReplaceAll(c.want, "x: float64", "x: float64 nullable")
		if got := readAll(t, format.ArrowStream, objects("arrows", streamOf(t, batch.Schema(), c.batches, c.opts...))); got != want {
			t.Errorf("stream, %s: %s", name, cmp.Diff(want, got))
		}
		if got := readAll(t, format.ArrowFile, objects("arrow", fileOf(t, batch.Schema(), c.batches, c.opts...))); got != want {
			t.Errorf("file, %s: %s", name, cmp.Diff(want, got))
		}
	}
}

// dictionaries are batches whose dictionary grows from one to the next.
func dictionaries(t testing.TB) (*arrow.Schema, []arrow.RecordBatch) {
	t.Helper()
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{{Name: "d", Type: dt, Nullable: true}}, nil)
	var batches []arrow.RecordBatch
	for _, c := range []struct{ indices, values string }{{`[0,1]`, `["a","b"]`}, {`[2,null,0]`, `["a","b","c"]`}} {
		indices, _, err := array.FromJSON(memory.DefaultAllocator, dt.IndexType, strings.NewReader(c.indices))
		if err != nil {
			t.Fatal(err)
		}
		values, _, err := array.FromJSON(memory.DefaultAllocator, dt.ValueType, strings.NewReader(c.values))
		if err != nil {
			t.Fatal(err)
		}
		column := array.NewDictionaryArray(dt, indices, values)
		batches = append(batches, array.NewRecordBatch(schema, []arrow.Array{column}, -1))
	}
	return schema, batches
}

// The files in testdata are of pyarrow 26, whose ipc.new_file and ipc.new_stream wrote the same batches with
// IpcWriteOptions(emit_dictionary_deltas=True).
func TestArrowDictionaries(t *testing.T) {
	schema, batches := dictionaries(t)
	const values = `: a b c (null) a` + "\n"
	for name, c := range map[string]struct{ format, data string }{
		"deltas in a file":         {format.ArrowFile, testdata(t, "dictionary-deltas.arrow")},
		"deltas in a stream":       {format.ArrowStream, testdata(t, "dictionary-deltas.arrows")},
		"replacements in a stream": {format.ArrowStream, streamOf(t, schema, batches)},
	} {
		got := readAll(t, c.format, objects("x", c.data))
		if !strings.HasSuffix(got, values) {
			t.Errorf("%s: got %s, want values%s", name, got, values)
		}
	}
}

func TestArrowRowsAreCountedWithoutReadingBodies(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	data := streamOf(t, batch.Schema(), []arrow.RecordBatch{batch, batch, batch}, ipc.WithZstd())
	layout, err := lookup(t, format.ArrowStream).Inspect(t.Context(), objects("arrows", data, data), nil)
	if err != nil {
		t.Fatal(err)
	}
	if layout.Rows() != 18 || layout.Parts[1].Rows != 9 || layout.Bytes() != int64(2*len(data)) {
		t.Errorf("got %d rows, %d of them in the second file, and %d bytes", layout.Rows(), layout.Parts[1].Rows, layout.Bytes())
	}
}

// A stream that is cut is one with fewer batches if the cut is between messages, and an error with the place elsewhere, as for pyarrow.
func TestArrowStreamThatIsCut(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	whole := streamOf(t, batch.Schema(), []arrow.RecordBatch{batch, batch})
	none := len(streamOf(t, batch.Schema(), nil)) - 8 // without the end marker
	one := (len(whole) - 8 - none) / 2
	between := map[int]int64{none: 0, none + one: 3, none + 2*one: 6, len(whole): 6}
	for n := 1; n <= len(whole); n++ {
		layout, err := lookup(t, format.ArrowStream).Inspect(t.Context(), objects("arrows", whole[:n]), nil)
		rows, ok := between[n]
		switch {
		case ok && err != nil:
			t.Errorf("cut at %d, between messages: %v", n, err)
		case ok && layout.Rows() != rows:
			t.Errorf("cut at %d, between messages: %d rows, want %d", n, layout.Rows(), rows)
		case !ok && err == nil:
			t.Errorf("cut at %d, inside a message: no error", n)
		case !ok && !strings.Contains(err.Error(), "does not fit in the file of"):
			t.Errorf("cut at %d, inside a message: %v", n, err)
		}
	}
}

func TestArrowSaysWhatIsWrong(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	file := fileOf(t, batch.Schema(), []arrow.RecordBatch{batch})
	stream := streamOf(t, batch.Schema(), []arrow.RecordBatch{batch})
	for _, c := range []struct{ name, format, data, want string }{
		{"empty file", format.ArrowFile, "", "the file is empty: expected an Arrow file"},
		{"empty stream", format.ArrowStream, "", "the file is empty: expected an Arrow stream"},
		{"cut file", format.ArrowFile, file[:len(file)-6], "it begins as an Arrow file but has no footer: it is cut, or still being written; write to another name and rename it when done"},
		{"very short file", format.ArrowFile, file[:7], "it begins as an Arrow file but has no footer: it is cut, or still being written; write to another name and rename it when done"},
		{"stream as file", format.ArrowFile, stream, "it is not an Arrow file; it looks like an Arrow stream: set format: ArrowStream"},
		{"file as stream", format.ArrowStream, file, "it is not an Arrow stream; it looks like an Arrow file: set format: ArrowFile"},
		{"Feather version 1", format.ArrowFile, "FEA1....", "it is not an Arrow file; it looks like a Feather version 1 file, which cannot be served: write it as version 2, for instance with pyarrow.feather.write_feather"},
		{"text", format.ArrowFile, "a,b\n1,2\n", `it is not an Arrow file: it begins with "a,b\n1,2\n"`},
		{"footer too long", format.ArrowFile, file[:len(file)-10] + "\xff\xff\xff\x7f" + "ARROW1", fmt.Sprintf("its footer of 2147483647 bytes does not fit in the file of %d: the file is damaged or cut", len(file))},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := lookup(t, c.format).Inspect(t.Context(), objects("x", c.data), nil)
			if err == nil {
				t.Fatal("no error")
			}
			if d := cmp.Diff("1.x: "+c.want, err.Error()); d != "" {
				t.Errorf("message (-want +got):\n%s", d)
			}
		})
	}
}

// Lengths of uncompressed buffers are claims: however large, they must not be believed.
func TestArrowLyingLengths(t *testing.T) {
	var b strings.Builder
	b.WriteString("[")
	for i := range 3000 {
		fmt.Fprintf(&b, "%d,", i%7)
	}
	b.WriteString("1]")
	column, _, err := array.FromJSON(memory.DefaultAllocator, arrow.PrimitiveTypes.Int64, strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	batch := array.NewRecordBatch(schema, []arrow.Array{column}, -1)
	for name, option := range map[string]ipc.Option{"LZ4": ipc.WithLZ4(), "Zstandard": ipc.WithZstd()} {
		data := []byte(streamOf(t, schema, []arrow.RecordBatch{batch}, option))
		length := binary.LittleEndian.AppendUint64(nil, 3001*8)
		at := bytes.Index(data, length)
		for _, lie := range []uint64{1 << 40, 1 << 33, 1<<63 - 1, 1 << 63, ^uint64(1)} {
			binary.LittleEndian.PutUint64(data[at:], lie)
			list := objects("arrows", string(data))
			layout, err := lookup(t, format.ArrowStream).Inspect(t.Context(), list, nil)
			if err != nil {
				t.Fatal(err)
			}
			var last error
			for _, err := range lookup(t, format.ArrowStream).Read(t.Context(), layout, 0, format.ReadOptions{}) {
				last = err
			}
			if last == nil || !strings.HasPrefix(last.Error(), "1.arrows: ") || strings.Contains(last.Error(), "runtime") {
				t.Errorf("%s, length %d: %v", name, lie, last)
			}
		}
	}
}

// A Zstandard frame says how large a window its decoder needs, whatever is in it. A file of a few hundred bytes must not get that for nothing.
func TestArrowDoesNotBelieveZstandardWindows(t *testing.T) {
	const values, window = 64, 1 << (10 + 19)
	content := make([]byte, values)
	for i := range content {
		content[i] = byte(i + 1) // which cannot be compressed
	}
	column := array.NewData(arrow.PrimitiveTypes.Uint8, values, []*memory.Buffer{nil, memory.NewBufferBytes(content)}, nil, 0, 0)
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Uint8}}, nil)
	data := []byte(streamOf(t, schema, []arrow.RecordBatch{array.NewRecordBatch(schema, []arrow.Array{array.MakeFromData(column)}, -1)}, ipc.WithZstd()))
	frame := []byte{
		0x28, 0xb5, 0x2f, 0xfd, // the magic
		0x00,                                    // a window, and no length of the content
		19 << 3,                                 // the window's
		3 | values<<3&0xff, values << 3 >> 8, 0, // one block, the last: a byte and how often it is there
		0x2a,
		0x50, 0x2a, 0x4d, 0x18, // a frame that is skipped, of what is left
	}
	const streamEnd = 8
	honest := bytes.TrimRight(data[bytes.Index(data, frame[:4]):len(data)-streamEnd], "\x00") // without padding
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(honest)-len(frame)-4))
	copy(honest, frame)
	list := objects("arrows", string(data))
	read := func() (sum, rows int) {
		layout := inspect(t, format.ArrowStream, list)
		for batch, err := range lookup(t, format.ArrowStream).Read(t.Context(), layout, 0, format.ReadOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range batch.Column(0).(*array.Uint8).Uint8Values() {
				sum += int(n)
				rows++
			}
		}
		return sum, rows
	}
	if sum, rows := read(); sum != values*0x2a || rows != values { // the first makes the decoder
		t.Errorf("%d rows add up to %d, want %d and %d", rows, sum, values, values*0x2a)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > window/64 {
		t.Errorf("%d bytes of data took %d bytes of memory", len(data), took)
	}
}

func TestArrowFreesItsMemory(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	schema, batches := dictionaries(t)
	leakless(t, format.ArrowStream, objects("arrows", streamOf(t, batch.Schema(), []arrow.RecordBatch{batch, batch}, ipc.WithZstd())))
	leakless(t, format.ArrowFile, objects("arrow", fileOf(t, batch.Schema(), []arrow.RecordBatch{batch, batch}, ipc.WithLZ4())))
	leakless(t, format.ArrowStream, objects("arrows", streamOf(t, schema, batches)))
	leakless(t, format.ArrowFile, objects("arrow", testdata(t, "dictionary-deltas.arrow")))
}

func TestArrowEndsWhenCancelled(t *testing.T) {
	batch := table3(memory.DefaultAllocator)
	endsWhenCancelled(t, format.ArrowStream, objects("arrows", streamOf(t, batch.Schema(), []arrow.RecordBatch{batch, batch})))
	endsWhenCancelled(t, format.ArrowFile, objects("arrow", fileOf(t, batch.Schema(), []arrow.RecordBatch{batch, batch})))
}
