package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// stringsOf is a batch of strings that need not be UTF-8.
func stringsOf(t testing.TB, texts ...string) arrow.RecordBatch {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, column(arrow.BinaryTypes.String))
	defer b.Release()
	for _, text := range texts {
		b.Field(0).(*array.StringBuilder).Append(text)
	}
	return b.NewRecordBatch()
}

// with is a message, changed.
func with(t testing.TB, message []byte, change func(*flight.FlightData)) []byte {
	t.Helper()
	m := parsed(t, message)
	change(m)
	return flightData(t, m)
}

// replaced has the one place in a message's body where 8 bytes hold a number hold another.
func replaced(t testing.TB, message []byte, number, by uint64) []byte {
	t.Helper()
	return with(t, message, func(m *flight.FlightData) {
		old := binary.LittleEndian.AppendUint64(nil, number)
		if bytes.Count(m.DataBody, old) != 1 {
			t.Fatalf("%d is in the body %d times, want once", number, bytes.Count(m.DataBody, old))
		}
		m.DataBody = bytes.Replace(m.DataBody, old, binary.LittleEndian.AppendUint64(nil, by), 1)
	})
}

func TestHostileStreams(t *testing.T) {
	numberSchema := column(arrow.PrimitiveTypes.Int64)
	number := written(t, numberSchema, nil, writeAll(fromJSON(t, numberSchema, `[{"c":1},{"c":2}]`)))
	colour := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	colours := func(opts []WriterOption, rows ...string) [][]byte {
		var batches []arrow.RecordBatch
		for _, r := range rows {
			batches = append(batches, fromJSON(t, column(colour), r))
		}
		return written(t, column(colour), opts, writeAll(batches...))
	}
	// A schema, a dictionary, rows; a delta, and rows that need it.
	deltas := colours(encodings["dictionaries grown"], `[{"c":"red"}]`, `[{"c":"red"},{"c":"green"}]`)
	text := written(t, column(arrow.BinaryTypes.String), nil, writeAll(stringsOf(t, "abc", "defgh")))
	large := written(t, column(arrow.BinaryTypes.LargeString), nil, writeAll(fromJSON(t, column(arrow.BinaryTypes.LargeString), `[{"c":"abc"},{"c":"defgh"}]`)))
	many := fromJSON(t, numberSchema, "["+strings.Repeat(`{"c":5},`, 4999)+`{"c":5}]`)
	zstd, lz4 := written(t, numberSchema, encodings["Zstandard"], writeAll(many)), written(t, numberSchema, encodings["LZ4"], writeAll(many))
	wide := make([]arrow.Field, 150_000)
	for i := range wide {
		wide[i] = arrow.Field{Type: arrow.Null}
	}
	deep := arrow.PrimitiveTypes.Int8
	for range 100 {
		deep = arrow.ListOf(deep)
	}
	descriptor := appendField(nil, fieldDescriptor, []byte{0x1a, 1, 0xff}) // a path that is not UTF-8
	huge := func(n uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, fieldDataBody, protowire.BytesType), n)
	}
	const contradict = "its metadata contradict themselves: it is damaged"
	for _, c := range []struct {
		name     string
		messages [][]byte
		code     codes.Code
		want     string
	}{
		{"no Protobuf", [][]byte{[]byte("GET / HTTP/1.1")}, codes.InvalidArgument, "message 1 of the stream: it is no FlightData: it is not encoded as Protobuf messages are"},
		{"a field number of 0", [][]byte{{0x02, 0x00}}, codes.InvalidArgument, "message 1 of the stream: it is no FlightData: it is not encoded as Protobuf messages are"},
		{"a length without end", [][]byte{bytes.Repeat([]byte{0xff}, 11)}, codes.InvalidArgument, "message 1 of the stream: it is no FlightData: it is not encoded as Protobuf messages are"},
		{"a group without end", [][]byte{protowire.AppendTag(nil, 50, protowire.StartGroupType)}, codes.InvalidArgument, "message 1 of the stream: it is no FlightData: it ends in the middle of a field"},
		{"the end of no group", [][]byte{protowire.AppendTag(nil, 50, protowire.EndGroupType)}, codes.InvalidArgument, "message 1 of the stream: it is no FlightData: it is not encoded as Protobuf messages are"},
		{"groups in each other without end", [][]byte{bytes.Repeat(protowire.AppendTag(nil, 5, protowire.StartGroupType), 200)}, codes.InvalidArgument, "message 1 of the stream: it is no FlightData: it is not encoded as Protobuf messages are"},
		{"a body of 2^40 bytes", [][]byte{huge(1 << 40)}, codes.InvalidArgument, "message 1 of the stream: it is no FlightData: it ends in the middle of a field"},
		{"a body of 2^63 bytes", [][]byte{huge(1 << 63)}, codes.InvalidArgument, "message 1 of the stream: it is no FlightData: it ends in the middle of a field"},
		{"a descriptor that is none", [][]byte{descriptor}, codes.InvalidArgument, "message 1 of the stream: its flight_descriptor is no FlightDescriptor, or not UTF-8"},
		{"a message above the limit", [][]byte{number[0], make([]byte, 9<<20)}, codes.ResourceExhausted, "message 2 of the stream: it has 9437184 bytes and the limit is 8388608: send smaller batches, or raise limits.maxMessageBytes"},

		{"a header that is none", [][]byte{with(t, number[0], func(m *flight.FlightData) { m.DataHeader = []byte("no flatbuffer at all") })}, codes.InvalidArgument, "message 1 of the stream: " + contradict},
		{"a header of zeros", [][]byte{with(t, number[0], func(m *flight.FlightData) { m.DataHeader = make([]byte, 100) })}, codes.InvalidArgument, "message 1 of the stream: " + contradict},
		{"half a header", [][]byte{number[0], with(t, number[1], func(m *flight.FlightData) { m.DataHeader = m.DataHeader[:len(m.DataHeader)/2] })}, codes.InvalidArgument, "message 2 of the stream: " + contradict},
		{"a header behind a continuation marker", [][]byte{with(t, number[0], func(m *flight.FlightData) { m.DataHeader = append([]byte{0xff, 0xff, 0xff, 0xff}, m.DataHeader...) })}, codes.InvalidArgument, "message 1 of the stream: " + contradict},
		{"a body without a header", [][]byte{with(t, number[1], func(m *flight.FlightData) { m.DataHeader = nil })}, codes.InvalidArgument, "message 1 of the stream: it has a data_body of 16 bytes and no data_header that says what they are"},
		{"half a body", [][]byte{number[0], with(t, number[1], func(m *flight.FlightData) { m.DataBody = m.DataBody[:8] })}, codes.InvalidArgument, "message 2 of the stream: its data_body has 8 bytes, and its data_header says 16"},
		{"no body", [][]byte{number[0], with(t, number[1], func(m *flight.FlightData) { m.DataBody = nil })}, codes.InvalidArgument, "message 2 of the stream: its data_body has 0 bytes, and its data_header says 16"},
		{"a schema with a body", [][]byte{with(t, number[0], func(m *flight.FlightData) { m.DataBody = []byte("body") })}, codes.InvalidArgument, "message 1 of the stream: its data_body has 4 bytes, and its data_header says 0"},

		{"a batch first", number[1:], codes.InvalidArgument, "message 1 of the stream: it is a record batch, and no schema has come before"},
		{"a dictionary first", deltas[1:], codes.InvalidArgument, "message 1 of the stream: it is a dictionary, and no schema has come before"},
		{"a second schema", [][]byte{number[0], number[1], number[0]}, codes.InvalidArgument, "message 3 of the stream: it is a second schema: a stream has one"},
		{"a batch of another schema", [][]byte{number[0], text[1]}, codes.InvalidArgument, `message 2 of the stream: column "c": its values buffer has 12 bytes, too few for 2 rows of 64 bits`},
		{"a batch of another schema, too small", [][]byte{text[0], number[1]}, codes.InvalidArgument, `message 2 of the stream: column "c": its batch has 2 buffers, fewer than its schema`},
		{"a schema that is nested too deeply", written(t, column(deep), nil, writeAll()), codes.InvalidArgument, "message 1 of the stream: its schema is nested more than 64 deep"},
		{"a schema of 150,000 fields", written(t, arrow.NewSchema(wide, nil), nil, writeAll()), codes.InvalidArgument, "message 1 of the stream: its schema has more than 100000 fields"},

		{"no dictionary", [][]byte{deltas[0], deltas[2]}, codes.InvalidArgument, `message 2 of the stream: column "c": dictionary 0 has not been sent`},
		{"a delta without a base", [][]byte{deltas[0], deltas[3]}, codes.InvalidArgument, "message 2 of the stream: it adds to dictionary 0, which has not been sent"},
		{"an index that needs a delta", [][]byte{deltas[0], deltas[1], deltas[4]}, codes.InvalidArgument, `message 3 of the stream: column "c": row 1 is value 1 of a dictionary that has 1`},
		{"a dictionary that the schema does not have", [][]byte{number[0], deltas[1]}, codes.InvalidArgument, "message 2 of the stream: it is for dictionary 0, which the schema does not have"},

		{"text that is not UTF-8", withText(t, "abc\xff"), codes.InvalidArgument, `message 2 of the stream: column "c": row 0 is not UTF-8: byte 3 is 0xff`},
		{"an offset beyond the text", [][]byte{large[0], replaced(t, large[1], 8, 9)}, codes.InvalidArgument, `message 2 of the stream: column "c": its offsets go from 0 to 9, and there are 8 values`},
		{"an offset of 2^40", [][]byte{large[0], replaced(t, large[1], 8, 1<<40)}, codes.InvalidArgument, `message 2 of the stream: column "c": its offsets go from 0 to 1099511627776, and there are 8 values`},
		{"an offset that falls", [][]byte{large[0], replaced(t, large[1], 3, 1<<40)}, codes.InvalidArgument, `message 2 of the stream: column "c": row 1 goes from offset 1099511627776 to 8`},

		{"2^40 uncompressed bytes of Zstandard", [][]byte{zstd[0], replaced(t, zstd[1], 40_000, 1<<40)}, codes.ResourceExhausted, `message 2 of the stream: column "c": buffer 1: it claims 1099511627776 bytes for one batch and the limit is 1048576`},
		{"2^40 uncompressed bytes of LZ4", [][]byte{lz4[0], replaced(t, lz4[1], 40_000, 1<<40)}, codes.ResourceExhausted, `message 2 of the stream: column "c": buffer 1: it claims 1099511627776 bytes for one batch and the limit is 1048576`},
		{"more uncompressed bytes than there are", [][]byte{lz4[0], replaced(t, lz4[1], 40_000, 40_008)}, codes.InvalidArgument, `message 2 of the stream: column "c": buffer 1: it does not uncompress to the 40008 bytes that it claims: it has 40000`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := NewReader(&received{c.messages, 1000}, ReaderOptions{Allocator: counted(t), MaxMessageBytes: 8 << 20, MaxBatchBytes: 1 << 20})
			chunks, err := all(r)
			runtime.ReadMemStats(&after)
			size := 0
			for _, m := range c.messages {
				size += len(m)
			}
			// The test itself copies messages; two decoders have 10 MB of tables and blocks that they keep.
			if allocated := int(after.TotalAlloc - before.TotalAlloc); allocated > 4*size+24<<20 {
				t.Errorf("%d bytes were allocated for %d", allocated, size)
			}
			if status.Code(err) != c.code || status.Convert(err).Message() != c.want {
				t.Errorf("got %v\nwant %v: %s", err, c.code, c.want)
			}
			if _, again := r.Next(); !errors.Is(again, err) {
				t.Errorf("asked again, it says %v", again)
			}
			if _, again := r.Descriptor(); !errors.Is(again, err) {
				t.Errorf("asked for a descriptor, it says %v", again)
			}
			if schema, err := r.Schema(); err == nil && schema == nil {
				t.Error("it has neither a schema nor an error")
			}
			release(chunks)
			r.Release()
		})
	}
}

// Each message is cut at each byte: what is left is never a batch.
func TestMessagesThatAreCut(t *testing.T) {
	schema := column(arrow.BinaryTypes.String)
	messages := written(t, schema, []WriterOption{WithIPC(ipc.WithLZ4())}, writeAll(stringsOf(t, "a", "b", "c")))
	for i := range messages {
		for n := range messages[i] {
			cut := append(append([][]byte(nil), messages[:i]...), messages[i][:n])
			chunks, err := all(NewReader(&received{messages: cut}, ReaderOptions{Allocator: counted(t)}))
			if err != nil && status.Code(err) != codes.InvalidArgument {
				t.Errorf("message %d cut at %d of %d: %v", i, n, len(messages[i]), err)
			}
			if len(rows(chunks)) != 0 {
				t.Errorf("message %d cut at %d of %d: there is a batch", i, n, len(messages[i]))
			}
		}
	}
}

func TestNamesInErrorsAreCutAndVisible(t *testing.T) {
	name := strings.Repeat("\x00\n", 50_000)
	schema := arrow.NewSchema([]arrow.Field{{Name: name, Type: arrow.BinaryTypes.String}}, nil)
	batch := array.NewRecordBatch(schema, stringsOf(t, "\xff").Columns(), 1)
	_, err := all(NewReader(&received{messages: written(t, schema, nil, writeAll(batch))}, ReaderOptions{}))
	if message := status.Convert(err).Message(); len(message) > mostTold || strings.ContainsAny(message, "\x00\n") || !strings.Contains(message, "not UTF-8") {
		t.Errorf("%d bytes: %q", len(message), message)
	}
}

func TestMetadataBeforeTheSchemaAreBounded(t *testing.T) {
	message := flightData(t, &flight.FlightData{AppMetadata: make([]byte, 1<<20)})
	endless := &repeating{message}
	r := NewReader(endless, ReaderOptions{})
	defer r.Release()
	if _, err := r.Schema(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v, want RESOURCE_EXHAUSTED", err)
	}
	// Who reads them one by one may have as many as there are.
	r = NewReader(endless, ReaderOptions{})
	defer r.Release()
	for range 10 {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
}

// repeating is a stream of one message, over and over.
type repeating struct{ message []byte }

func (r *repeating) RecvMsg(m any) error {
	return (&received{messages: [][]byte{r.message}}).RecvMsg(m)
}

func TestDictionariesOfAStreamAreBounded(t *testing.T) {
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	messages := written(t, column(dt), nil, writeAll(fromJSON(t, column(dt), fmt.Sprintf(`[{"c":%q}]`, strings.Repeat("x", 1<<20)))))
	for _, limit := range []int64{1 << 19, 1 << 21} {
		r := NewReader(&received{messages: messages}, ReaderOptions{MaxBatchBytes: limit})
		_, err := r.Next()
		if refused := status.Code(err) == codes.ResourceExhausted; refused != (limit < 1<<20) {
			t.Errorf("limit %d: %v", limit, err)
		}
		r.Release()
	}
}

// ended is a stream that fails.
type ended struct{ err error }

func (e ended) RecvMsg(any) error { return e.err }

func TestErrorsOfTheStreamStayAsTheyAre(t *testing.T) {
	for _, want := range []error{status.Error(codes.Canceled, "context canceled"), io.ErrUnexpectedEOF} {
		r := NewReader(ended{want}, ReaderOptions{})
		if _, err := r.Descriptor(); !errors.Is(err, want) {
			t.Errorf("descriptor: %v, want %v", err, want)
		}
		if _, err := r.Schema(); !errors.Is(err, want) {
			t.Errorf("schema: %v, want %v", err, want)
		}
		if _, err := r.Next(); !errors.Is(err, want) {
			t.Errorf("next: %v, want %v", err, want)
		}
	}
}
