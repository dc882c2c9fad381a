package wire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/internal/arrowtest"
)

func TestReaderReadsAllTypes(t *testing.T) {
	for name, opts := range encodings {
		for _, sample := range arrowtest.Samples() {
			t.Run(name+"/"+sample.Name, func(t *testing.T) {
				schema, want := column(sample.Type), sample.Records(t)
				messages := written(t, schema, opts, writeAll(want...))
				for _, piece := range []int{0, 1, 7} {
					r := NewReader(&received{messages, piece}, ReaderOptions{Allocator: counted(t)})
					got, err := r.Schema()
					if err != nil || !got.Equal(schema) {
						t.Fatalf("schema arrived as %v, %v, want %v", got, err, schema)
					}
					chunks, err := all(r)
					if err != nil {
						t.Fatal(err)
					}
					wantSameRows(t, schema, rows(chunks), want)
					release(chunks)
					r.Release()
				}
			})
		}
	}
}

func TestReaderReadsRandomTablesThatWereCut(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 2))
		schema := arrowtest.RandomSchema(rng)
		want := []arrow.RecordBatch{arrowtest.RandomBatch(t, rng, schema, rng.IntN(200)), arrowtest.RandomBatch(t, rng, schema, rng.IntN(50))}
		for _, opts := range encodings {
			var sent encoded
			w, err := NewWriter(&sent, schema, 16<<10, opts...)
			if err != nil {
				t.Fatal(err)
			}
			if err := writeAll(want...)(w); err != nil {
				t.Fatal(err)
			}
			r := NewReader(&received{sent.messages, 1 + rng.IntN(1000)}, ReaderOptions{Allocator: counted(t), MaxMessageBytes: 16 << 10})
			chunks, err := all(r)
			if err != nil {
				t.Fatal(err)
			}
			wantSameRows(t, schema, rows(chunks), want)
			release(chunks)
			r.Release()
		}
	}
}

// What pyarrow sends: testdata/record.py says what is in it.
func TestReaderReadsWhatPyarrowSends(t *testing.T) {
	for name, metadata := range map[string]string{
		"put":            "after the schema [-] [with a batch] between [-] [-]",
		"put-zstd":       "after the schema [-] [with a batch] between [-] [-]",
		"put-lz4-deltas": "after the schema [-] [with a batch] between [-] [-]",
		"put-v4":         "after the schema [-] [with a batch] between [-] [-]",
		"exchange":       "before the schema after the schema [-] [with a batch] between [-] [-]",
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(&received{recorded(t, name), 100}, ReaderOptions{Allocator: counted(t)})
			defer r.Release()
			d, err := r.Descriptor()
			if want := (&flight.FlightDescriptor{Type: flight.DescriptorPATH, Path: []string{name}}); err != nil || !proto.Equal(d, want) {
				t.Errorf("descriptor %v, %v, want %v", d, err, want)
			}
			schema, err := r.Schema()
			if err != nil {
				t.Fatal(err)
			}
			if origin, _ := schema.Metadata().GetValue("origin"); origin != "pyarrow" || schema.NumFields() != 8 {
				t.Errorf("schema arrived as %v", schema)
			}
			chunks, err := all(r)
			if err != nil {
				t.Fatal(err)
			}
			defer release(chunks)
			if got := metadataOf(chunks); got != metadata {
				t.Errorf("app_metadata %s, want %s", got, metadata)
			}
			batches := rows(chunks)
			for i, want := range []struct{ n, s, v, d, l, m, w, r string }{
				{
					"[0 (null) 2 3 4]", `["é0" "é1" "é2" "é3" "é4"]`, `[(null) "a string that is longer than a view" (null) "a string that is longer than a view" (null)]`, "red red red red red",
					"[] [{\"label\":\"p\",\"x\":0.5}] [{\"label\":\"p\",\"x\":1},{\"label\":\"p\",\"x\":1}] [] [{\"label\":\"p\",\"x\":2}]", `[{"key":"k","value":4}]`, "[0,1,2,3]", "a a b b b",
				},
				{"[0 (null) 2 3]", `["é0" "é1" "é2" "é3"]`, "", "red green red green", "", `[{"key":"k","value":3}]`, "[0,1,2]", "a a b b"},
				{"[]", "[]", "", "", "", "", "", ""},
				{"[0 (null) 2 3 4 5]", "", "", "red green blue red green blue", "", `[{"key":"k","value":5}]`, "[0,1,2,3,4]", "a a b b b b"},
			} {
				batch := batches[i]
				last := int(batch.NumRows()) - 1
				for column, c := range map[int]struct{ got, want string }{
					0: {batch.Column(0).String(), want.n},
					1: {batch.Column(1).String(), want.s},
					2: {batch.Column(2).String(), want.v},
					3: {values(batch.Column(3)), want.d},
					4: {values(batch.Column(4)), want.l},
					5: {lastValue(batch.Column(5), last), want.m},
					6: {lastValue(batch.Column(6), last), want.w},
					7: {values(batch.Column(7)), want.r},
				} {
					if c.got != c.want && c.want != "" {
						t.Errorf("batch %d, column %d: %s, want %s", i, column, c.got, c.want)
					}
				}
			}
		})
	}
}

func values(a arrow.Array) string {
	all := make([]string, a.Len())
	for i := range all {
		all[i] = a.ValueStr(i)
	}
	return strings.Join(all, " ")
}

func lastValue(a arrow.Array, i int) string {
	if i < 0 {
		return ""
	}
	return a.ValueStr(i)
}

func TestStreamsWithoutASchema(t *testing.T) {
	descriptor := flightData(t, &flight.FlightData{FlightDescriptor: &flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: []byte("echo")}})
	metadata := flightData(t, &flight.FlightData{AppMetadata: []byte("hello")})
	for _, c := range []struct {
		name       string
		messages   [][]byte
		descriptor bool
		want       string
	}{
		{"pyarrow's, with metadata alone", recorded(t, "exchange-without-schema"), true, "before the schema"},
		{"nothing at all", nil, false, ""},
		{"a descriptor alone", [][]byte{descriptor}, true, ""},
		{"metadata alone", [][]byte{metadata, metadata}, false, "hello hello"},
		{"a descriptor, and metadata in the same message", [][]byte{append(append([]byte(nil), descriptor...), metadata...)}, true, "hello"},
		{"messages without anything", [][]byte{descriptor, {}, metadata, {}}, true, "hello"},
		{"metadata after the schema was waited for", [][]byte{descriptor, metadata, metadata}, true, "hello hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader(&received{messages: c.messages}, ReaderOptions{})
			defer r.Release()
			if _, err := r.Descriptor(); (err == nil) != c.descriptor {
				t.Errorf("descriptor: %v", err)
			} else if err != nil && status.Code(err) != codes.InvalidArgument {
				t.Errorf("no descriptor is %v, want INVALID_ARGUMENT", err)
			}
			if schema, err := r.Schema(); !errors.Is(err, io.EOF) {
				t.Errorf("schema %v, %v, want io.EOF", schema, err)
			}
			chunks, err := all(r)
			if got := metadataOf(chunks); err != nil || got != c.want {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestDescriptorsThatAreMissing(t *testing.T) {
	for _, c := range []struct {
		name     string
		messages [][]byte
		want     string
	}{
		{"no message", nil, "the stream ended before its first message: expected one with a flight_descriptor"},
		{"a message without one", [][]byte{{}}, "message 1 of the stream has no flight_descriptor: the first message of a stream has to name what it is for"},
	} {
		r := NewReader(&received{messages: c.messages}, ReaderOptions{})
		_, err := r.Descriptor()
		if status.Code(err) != codes.InvalidArgument || status.Convert(err).Message() != c.want {
			t.Errorf("%s: %v, want INVALID_ARGUMENT: %s", c.name, err, c.want)
		}
		r.Release()
	}
}

// Batches are read whether or not anybody asks for descriptor and schema first.
func TestNextNeedsNoSchemaFirst(t *testing.T) {
	chunks, err := all(NewReader(&received{messages: recorded(t, "exchange")}, ReaderOptions{}))
	if err != nil || len(rows(chunks)) != 4 {
		t.Errorf("%d batches, %v, want 4", len(rows(chunks)), err)
	}
}

// arrow-go repeats the app_metadata of a batch on the schema and on the dictionaries that go before it.
func TestMetadataOfABatchComeOnce(t *testing.T) {
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	var sent encoded
	w := flight.NewRecordWriter(dataSender{&sent})
	if err := w.WriteWithAppMetadata(fromJSON(t, column(dt), `[{"c":"red"}]`), []byte("about red")); err != nil {
		t.Fatal(err)
	}
	if len(sent.messages) != 3 || string(parsed(t, sent.messages[1]).AppMetadata) != "about red" {
		t.Fatalf("arrow-go sent %d messages: this test is for three, all with the same app_metadata", len(sent.messages))
	}
	chunks, err := all(NewReader(&received{messages: sent.messages}, ReaderOptions{}))
	if got := metadataOf(chunks); err != nil || got != "[about red]" {
		t.Errorf("got %s, %v, want [about red]", got, err)
	}
}

// dataSender is what arrow-go's writer sends to.
type dataSender struct{ *encoded }

func (s dataSender) Send(m *flight.FlightData) error { return s.SendMsg(m) }

func TestABatchIsValidUntilTheNext(t *testing.T) {
	schema := column(arrow.PrimitiveTypes.Int64)
	messages := written(t, schema, nil, writeAll(fromJSON(t, schema, `[{"c":1}]`), fromJSON(t, schema, `[{"c":2}]`)))
	checked := memory.NewCheckedAllocator(memory.NewGoAllocator())
	r := NewReader(&received{messages: messages}, ReaderOptions{Allocator: checked})
	first, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	kept := first.Batch
	kept.Retain()
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if got := kept.Column(0).String(); got != "[1]" {
		t.Errorf("the batch that was retained is %s, want [1]", got)
	}
	kept.Release()
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last batch came %v, want io.EOF", err)
	}
	checked.AssertSize(t, 0)
	r.Release()
	if _, err := r.Next(); err == nil {
		t.Error("a reader that was released reads on")
	}
}

func TestFieldsAreReadAsProtobufDemands(t *testing.T) {
	schema := column(arrow.PrimitiveTypes.Int64)
	messages := written(t, schema, nil, writeAll(fromJSON(t, schema, `[{"c":1}]`)))
	m := parsed(t, messages[1])
	field := func(number protowire.Number, value []byte) []byte { return appendField(nil, number, value) }
	header, body := field(fieldDataHeader, m.DataHeader), field(fieldDataBody, m.DataBody)
	path := func(part string) []byte {
		b, err := proto.Marshal(&flight.FlightDescriptor{Path: []string{part}})
		if err != nil {
			t.Fatal(err)
		}
		return field(fieldDescriptor, b)
	}
	group := protowire.AppendTag(nil, 50, protowire.StartGroupType)
	group = append(group, field(51, []byte("in a group"))...)
	group = protowire.AppendTag(protowire.AppendTag(group, 52, protowire.StartGroupType), 52, protowire.EndGroupType)
	group = protowire.AppendTag(group, 50, protowire.EndGroupType)
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1<<63)
	unknown = protowire.AppendFixed32(protowire.AppendTag(unknown, 98, protowire.Fixed32Type), 7)
	unknown = protowire.AppendFixed64(protowire.AppendTag(unknown, 97, protowire.Fixed64Type), 7)
	unknown = append(unknown, field(96, []byte("unknown"))...)
	otherType := protowire.AppendVarint(protowire.AppendTag(nil, fieldDataHeader, protowire.VarintType), 5)
	join := func(parts ...[]byte) []byte {
		var b []byte
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	for name, message := range map[string][]byte{
		"in any order":               join(body, header),
		"the last of several counts": join(field(fieldDataHeader, []byte("other")), field(fieldDataBody, make([]byte, 100)), header, body),
		"unknown fields":             join(unknown, header, group, body, unknown),
		"a field of another type":    join(otherType, header, body),
		"app_metadata last":          join(header, body, field(fieldAppMetadata, []byte("md"))),
	} {
		for _, piece := range []int{0, 1, 3} {
			chunks, err := all(NewReader(&received{[][]byte{messages[0], message}, piece}, ReaderOptions{}))
			if err != nil || len(chunks) != 1 || chunks[0].Batch.Column(0).String() != "[1]" {
				t.Errorf("%s: %v, %v", name, chunks, err)
			}
		}
		if want := parsed(t, message); !bytes.Equal(want.DataHeader, m.DataHeader) || !bytes.Equal(want.DataBody, m.DataBody) {
			t.Errorf("%s: Protobuf itself reads it otherwise", name)
		}
	}
	r := NewReader(&received{messages: [][]byte{join(path("a"), path("b"))}}, ReaderOptions{})
	if d, err := r.Descriptor(); err != nil || len(d.GetPath()) != 2 {
		t.Errorf("two descriptors in one message are %v, %v, want them merged", d, err)
	}
}

func TestReaderOfATrustedSenderLooksAtLayoutAlone(t *testing.T) {
	messages := withText(t, "\xff\xfe")
	if _, err := all(NewReader(&received{messages: messages}, ReaderOptions{})); status.Code(err) != codes.InvalidArgument {
		t.Errorf("in full: %v, want INVALID_ARGUMENT", err)
	}
	for _, v := range []ipcguard.Validation{ipcguard.ValidateValues, ipcguard.ValidateLayout} {
		if chunks, err := all(NewReader(&received{messages: messages}, ReaderOptions{Validation: v})); err != nil || len(rows(chunks)) != 1 {
			t.Errorf("validation %d: %v, %v", v, chunks, err)
		}
	}
}

// withText is a stream of one string, which need not be UTF-8.
func withText(t testing.TB, text string) [][]byte {
	t.Helper()
	schema := column(arrow.BinaryTypes.String)
	return written(t, schema, nil, writeAll(stringsOf(t, text)))
}
