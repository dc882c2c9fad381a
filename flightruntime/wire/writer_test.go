package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// kinds are what messages carry: s for a schema, d for a dictionary, + for an addition to one, r for rows, m for metadata alone.
func kinds(t testing.TB, messages [][]byte) string {
	t.Helper()
	var b strings.Builder
	for _, raw := range messages {
		m := parsed(t, raw)
		if len(m.DataHeader) == 0 {
			b.WriteByte('m')
			continue
		}
		metadata, err := ipcguard.Parse(m.DataHeader)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case metadata.Kind == ipcguard.KindSchema:
			b.WriteByte('s')
		case metadata.Kind == ipcguard.KindRecordBatch:
			b.WriteByte('r')
		case metadata.Delta:
			b.WriteByte('+')
		default:
			b.WriteByte('d')
		}
	}
	return b.String()
}

func TestMetadataGoWithTheFirstRowsOfABatch(t *testing.T) {
	schema := column(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String})
	batch := fromJSON(t, schema, "["+strings.Repeat(`{"c":"red"},`, 9999)+`{"c":"red"}]`)
	var sent encoded
	w, err := NewWriter(&sent, schema, 8<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := errors.Join(
		w.WriteMetadata([]byte("first")),
		w.WriteWithMetadata(batch, []byte("rows")),
		w.WriteMetadata([]byte("alone")),
		w.Write(batch.NewSlice(0, 1)),
		w.WriteWithMetadata(batch.NewSlice(0, 0), []byte("no rows")),
	); err != nil {
		t.Fatal(err)
	}
	if got := kinds(t, sent.messages); got != "smdrrrmrr" {
		t.Errorf("sent %s, want a schema, metadata, a dictionary, three pieces of rows, metadata, two batches", got)
	}
	chunks, err := all(NewReader(&received{messages: sent.messages}, ReaderOptions{}))
	if got := metadataOf(chunks); err != nil || got != "first [rows] [-] [-] alone [-] [no rows]" {
		t.Errorf("arrived %s, %v", got, err)
	}
}

// Whoever writes the pieces of a batch one by one sends what Write sends, and can give each its metadata.
func TestPiecesOfABatchAreItsMessages(t *testing.T) {
	schema := column(arrow.BinaryTypes.String)
	batch := fromJSON(t, schema, "["+strings.Repeat(`{"c":"red"},`, 5000)+`{"c":"`+strings.Repeat("x", 6<<10)+`"}]`) // rows are not alike
	numbers := array.NewInt64Builder(memory.DefaultAllocator)
	numbers.AppendValues(make([]int64, 2<<20), nil)
	large := array.NewRecordBatch(column(arrow.PrimitiveTypes.Int64), []arrow.Array{numbers.NewArray()}, 2<<20)
	for _, c := range []struct {
		batch arrow.RecordBatch
		limit int
		opts  []WriterOption
	}{{batch, 8 << 10, nil}, {batch.NewSlice(0, 1), 8 << 10, nil}, {batch.NewSlice(0, 0), 8 << 10, nil}, {large, noLimit, nil}, {large, noLimit, []WriterOption{WithLargeMessage()}}} {
		var whole, single encoded
		w, err := NewWriter(&whole, c.batch.Schema(), c.limit, c.opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := w.Write(c.batch); err != nil {
			t.Fatal(err)
		}
		if w, err = NewWriter(&single, c.batch.Schema(), c.limit, c.opts...); err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		n := 1
		for piece := range w.Pieces(c.batch) {
			if err := w.Write(piece); err != nil {
				t.Fatal(err)
			}
			if n++; len(single.messages) != n {
				t.Fatalf("piece %d of %d rows is %d messages", n-1, c.batch.NumRows(), len(single.messages)-n+2)
			}
		}
		if !slices.EqualFunc(whole.messages, single.messages, bytes.Equal) {
			t.Errorf("%d rows: %d messages of the batch, %d of its pieces, or others", c.batch.NumRows(), len(whole.messages), len(single.messages))
		}
		for range w.Pieces(c.batch) {
			break // whoever has enough gets no more
		}
	}
}

// pyarrow sends a map of no rows that is a slice with the offset that it began at, and without the rows before.
func TestListsOfNoRowsMayPointAnywhere(t *testing.T) {
	for _, list := range []arrow.DataType{
		arrow.MapOf(arrow.BinaryTypes.String, arrow.BinaryTypes.StringView), arrow.ListOf(arrow.BinaryTypes.StringView), arrow.LargeListOf(arrow.BinaryTypes.StringView),
	} {
		offset := memory.NewBufferBytes(binary.LittleEndian.AppendUint64(nil, 21)) // the upper half is padding where it has 32 bits
		elements := array.MakeArrayOfNull(memory.DefaultAllocator, list.(arrow.ListLikeType).Elem(), 0)
		none := array.MakeFromData(array.NewData(list, 0, []*memory.Buffer{nil, offset}, []arrow.ArrayData{elements.Data()}, 0, 0))
		schema := column(list)
		sent := written(t, schema, nil, writeAll(array.NewRecordBatch(schema, []arrow.Array{none}, 0)))
		chunks, err := all(NewReader(&received{messages: sent}, ReaderOptions{}))
		if got := rows(chunks); err != nil || len(got) != 1 || got[0].NumRows() != 0 {
			t.Errorf("%s: arrived %v, %v", list, got, err)
		}
	}
}

func TestMetadataAloneHaveNeitherHeaderNorBody(t *testing.T) {
	var sent encoded
	w, err := NewExchangeWriter(&sent, noLimit)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteMetadata([]byte("md")); err != nil {
		t.Fatal(err)
	}
	// C++ takes a message for one of metadata alone only if the fields are not there at all.
	if want := append([]byte{fieldAppMetadata<<3 | 2, 2}, "md"...); len(sent.messages) != 1 || !bytes.Equal(sent.messages[0], want) {
		t.Errorf("sent % x, want % x", sent.messages, want)
	}
	if err := w.WriteMetadata(nil); err == nil {
		t.Error("an empty message was sent")
	}
}

func TestDescriptorsGoWithTheFirstMessage(t *testing.T) {
	descriptor := &flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: []byte("put")}
	schema := column(arrow.PrimitiveTypes.Int64)
	batch := fromJSON(t, schema, `[{"c":1}]`)
	put := written(t, schema, []WriterOption{WithDescriptor(descriptor)}, writeAll(batch))
	var exchange encoded
	w, err := NewExchangeWriter(&exchange, noLimit, WithDescriptor(descriptor))
	if err != nil {
		t.Fatal(err)
	}
	if len(exchange.messages) != 1 {
		t.Error("the descriptor is kept back: a server does not act before it has it")
	}
	if err := w.Write(batch); err == nil {
		t.Error("a batch was written before its schema")
	}
	if err := errors.Join(w.WriteMetadata([]byte("early")), w.Begin(schema), w.Write(batch), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(schema); err == nil {
		t.Error("a second schema was sent")
	}
	for name, c := range map[string]struct {
		messages [][]byte
		kinds    string
	}{"put": {put, "sr"}, "exchange": {exchange.messages, "mmsr"}} {
		if got := kinds(t, c.messages); got != c.kinds {
			t.Errorf("%s: sent %s, want %s", name, got, c.kinds)
		}
		for i, raw := range c.messages {
			if d := parsed(t, raw).FlightDescriptor; (d != nil) != (i == 0) {
				t.Errorf("%s: message %d has descriptor %v", name, i, d)
			}
		}
		r := NewReader(&received{messages: c.messages}, ReaderOptions{})
		if d, err := r.Descriptor(); err != nil || string(d.GetCmd()) != "put" {
			t.Errorf("%s: descriptor %v, %v", name, d, err)
		}
		if chunks, err := all(r); err != nil || len(rows(chunks)) != 1 {
			t.Errorf("%s: %v, %v", name, chunks, err)
		}
	}
	if _, err := NewExchangeWriter(&exchange, noLimit, WithDescriptor(&flight.FlightDescriptor{Path: []string{"\xff"}})); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a path that is not UTF-8: %v, want INVALID_ARGUMENT", err)
	}
}

func TestDictionariesAreSentWhenTheyChange(t *testing.T) {
	schema := column(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String})
	var batches []arrow.RecordBatch
	for _, rows := range []string{`[{"c":"red"}]`, `[{"c":"red"}]`, `[{"c":"red"},{"c":"green"}]`, `[{"c":"blue"}]`} {
		batches = append(batches, fromJSON(t, schema, rows))
	}
	for name, want := range map[string]string{"plain": "sdrrdrdr", "dictionaries grown": "sdrr+rdr"} {
		if got := kinds(t, written(t, schema, encodings[name], writeAll(batches...))); got != want {
			t.Errorf("%s: sent %s, want %s", name, got, want)
		}
	}
}

func dictionaryOf(values arrow.DataType) arrow.DataType {
	return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: values}
}

// arrow-go takes numbers within 1e-5 of each other for the same dictionary, and text that differs by zero bytes at the end.
func TestDictionariesThatDifferByLittleAreSent(t *testing.T) {
	floats := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.PrimitiveTypes.Float64}
	inStruct := arrow.StructOf(arrow.Field{Name: "l", Type: arrow.ListOf(floats), Nullable: true})
	for _, c := range []struct {
		name    string
		dt      arrow.DataType
		batches []string
		kinds   string
	}{
		{"alone", floats, []string{`[{"c":1}]`, `[{"c":1.000001}]`, `[{"c":1.000001}]`, `[{"c":1}]`}, "sdrdrrdr"},
		{"nested", inStruct, []string{`[{"c":{"l":[1,2]}}]`, `[{"c":{"l":[1,2.0000001]}}]`}, "sdrdr"},
		{"zeros", floats, []string{`[{"c":0}]`, `[{"c":-0.0}]`, `[{"c":-0.0}]`}, "sdrdrr"},
		{"text", dictionaryOf(arrow.BinaryTypes.String), []string{`[{"c":"\u0000"}]`, `[{"c":""}]`, `[{"c":""}]`, `[{"c":"a"}]`, `[{"c":"a\u0000"}]`}, "sdrdrrdrdr"},
		{"text grown", dictionaryOf(arrow.BinaryTypes.String), []string{`[{"c":"a\u0000"}]`, `[{"c":"a"},{"c":"b"}]`}, "sdrdr"},
		{"grown", floats, []string{`[{"c":1}]`, `[{"c":1.000001},{"c":7}]`}, "sdrdr"},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema := column(c.dt)
			var want []arrow.RecordBatch
			for _, rows := range c.batches {
				want = append(want, fromJSON(t, schema, rows))
			}
			for _, name := range []string{"plain", "dictionaries grown"} {
				messages := written(t, schema, encodings[name], writeAll(want...))
				if got := kinds(t, messages); got != c.kinds {
					t.Errorf("%s: sent %s, want %s", name, got, c.kinds)
				}
				chunks, err := all(NewReader(&received{messages: messages}, ReaderOptions{}))
				if err != nil {
					t.Fatal(err)
				}
				wantSameRows(t, schema, rows(chunks), want)
			}
		})
	}
}

func TestBodiesAreCompressed(t *testing.T) {
	schema := column(arrow.PrimitiveTypes.Int64)
	batch := fromJSON(t, schema, "["+strings.Repeat(`{"c":7},`, 9999)+`{"c":7}]`)
	size := func(name string) (n int) {
		for _, m := range written(t, schema, encodings[name], writeAll(batch)) {
			n += len(m)
		}
		return n
	}
	for _, name := range []string{"LZ4", "Zstandard"} {
		if plain, compressed := size("plain"), size(name); compressed > plain/10 {
			t.Errorf("%s: %d bytes of %d", name, compressed, plain)
		}
	}
}

func TestEarlierVersionOfTheFormat(t *testing.T) {
	old := WithMetadataVersion(ipc.MetadataV4)
	schema := column(arrow.BinaryTypes.String)
	batch := stringsOf(t, "a", "b")
	messages := written(t, schema, []WriterOption{old}, writeAll(batch))
	for i, raw := range messages {
		m := ipc.NewMessage(memory.NewBufferBytes(parsed(t, raw).DataHeader), memory.NewBufferBytes(nil))
		if m.Version() != ipc.MetadataV4 {
			t.Errorf("message %d is in version %v, want V4", i, m.Version())
		}
	}
	chunks, err := all(NewReader(&received{messages: messages}, ReaderOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	wantSameRows(t, schema, rows(chunks), []arrow.RecordBatch{batch})

	for _, dt := range []arrow.DataType{
		arrow.SparseUnionOf([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Int8}}, []arrow.UnionTypeCode{0}),
		arrow.ListOf(arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Int8)),
	} {
		if _, err := NewWriter(&encoded{}, column(dt), noLimit, old); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v, want INVALID_ARGUMENT", dt, err)
		}
	}
}

// An extension type that is stored as a dictionary is one that arrow-go panics at.
func TestSchemasThatCannotBeSent(t *testing.T) {
	dt := extensions.NewOpaqueType(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, "colour", "tests")
	_, err := NewWriter(&encoded{}, column(dt), noLimit)
	if status.Code(err) != codes.Unimplemented || strings.Contains(err.Error(), "interface conversion") {
		t.Errorf("got %v, want UNIMPLEMENTED without the panic's own words", err)
	}
}

func TestEndsOfTheStreamReachTheWriter(t *testing.T) {
	schema := column(arrow.PrimitiveTypes.Int64)
	if _, err := NewWriter(closed{}, schema, noLimit); !errors.Is(err, io.EOF) {
		t.Errorf("schema: %v, want io.EOF", err)
	}
	w, err := NewExchangeWriter(closed{}, noLimit)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteMetadata([]byte("md")); !errors.Is(err, io.EOF) {
		t.Errorf("metadata: %v, want io.EOF", err)
	}
	if _, err := NewWriter(&encoded{}, schema, 100); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a schema above the limit: %v, want RESOURCE_EXHAUSTED", err)
	}
}

// closed is a stream that has ended.
type closed struct{}

func (closed) SendMsg(any) error { return io.EOF }

// Slices of runs of what arrow-go's own writer fails on slices of.
func TestSlicesOfRunsAreSent(t *testing.T) {
	for _, c := range []struct {
		values arrow.DataType
		rows   string
	}{
		{arrow.ListViewOf(arrow.PrimitiveTypes.Int32), `[{"c":[1,2]},{"c":[1,2]},{"c":null},{"c":[]},{"c":[3]},{"c":[3]},{"c":[4,null]}]`},
		{arrow.LargeListViewOf(arrow.BinaryTypes.StringView), `[{"c":["a"]},{"c":["a"]},{"c":null},{"c":[]},{"c":["more than twelve bytes"]},{"c":["b"]},{"c":["b"]}]`},
		{arrow.BinaryTypes.StringView, `[{"c":"a"},{"c":"a"},{"c":null},{"c":""},{"c":"more than twelve bytes"},{"c":"more than twelve bytes"},{"c":"b"}]`},
		{arrow.SparseUnionOf([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, []arrow.UnionTypeCode{3}), `[{"c":[3,1]},{"c":[3,1]},{"c":[3,2]},{"c":[3,3]},{"c":[3,3]}]`},
	} {
		values := fromJSON(t, column(c.values), c.rows).Column(0)
		ends := make([]int32, values.Len()) // runs of 1, 2, 3, ... rows
		for i := range ends {
			ends[i] = int32((i + 1) * (i + 2) / 2)
		}
		last := int64(ends[len(ends)-1])
		b := array.NewInt32Builder(memory.DefaultAllocator)
		b.AppendValues(ends, nil)
		runs := array.NewRunEndEncodedArray(b.NewArray(), values, int(last), 0)
		schema := column(runs.DataType())
		batch := array.NewRecordBatch(schema, []arrow.Array{runs}, last)
		for _, r := range [][2]int64{{0, last}, {0, 2}, {2, 5}, {last - 1, last}, {4, 4}} {
			piece := batch.NewSlice(r[0], r[1])
			chunks, err := all(NewReader(&received{messages: written(t, schema, nil, writeAll(piece))}, ReaderOptions{}))
			if err != nil {
				t.Fatalf("rows %v of runs of %s: %v", r, c.values, err)
			}
			got, want := rows(chunks)[0].Column(0), piece.Column(0)
			if got.Len() != want.Len() {
				t.Fatalf("rows %v of runs of %s: %d rows arrived", r, c.values, got.Len())
			}
			for i := range want.Len() {
				if g, w := got.ValueStr(i), want.ValueStr(i); g != w {
					t.Errorf("rows %v of runs of %s: row %d: expected %s, got %s", r, c.values, i, w, g)
				}
			}
		}
	}
}

// Slices of sparse unions, which arrow-go's own writer panics at.
func TestSlicesOfSparseUnionsAreSent(t *testing.T) {
	dt := arrow.SparseUnionOf([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, []arrow.UnionTypeCode{3})
	b := array.NewSparseUnionBuilder(memory.DefaultAllocator, dt)
	defer b.Release()
	for i := range 300 {
		b.Append(3)
		b.Child(0).(*array.Int64Builder).Append(int64(i))
	}
	batch := array.NewRecordBatch(column(dt), []arrow.Array{b.NewArray()}, 300)
	want := []arrow.RecordBatch{batch.NewSlice(0, 150), batch.NewSlice(150, 300)}
	chunks, err := all(NewReader(&received{messages: written(t, column(dt), nil, writeAll(want...))}, ReaderOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	wantSameRows(t, column(dt), rows(chunks), want)
}
