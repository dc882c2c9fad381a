package ipcguard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/flight-operator/flight-operator/internal/arrowtest"
)

var encodings = map[string][]ipc.Option{
	"plain":              nil,
	"LZ4":                {ipc.WithLZ4()},
	"Zstandard":          {ipc.WithZstd()},
	"compressed or not":  {ipc.WithZstd(), ipc.WithMinSpaceSavings(0.2)},
	"dictionaries grown": {ipc.WithDictionaryDeltas(true)},
}

func TestAllTypesAreDecoded(t *testing.T) {
	for name, opts := range encodings {
		for _, sample := range arrowtest.Samples() {
			t.Run(name+"/"+sample.Name, func(t *testing.T) {
				schema, want := arrowtest.Column(sample.Type), sample.Records(t)
				for _, validation := range []Validation{ValidateFull, ValidateValues, ValidateLayout} {
					_, got, err := receive(send(t, schema, want, opts...), Options{Allocator: counted(t), Validation: validation})
					if err != nil {
						t.Fatal(err)
					}
					wantSame(t, schema, got, want)
					release(got)
				}
			})
		}
	}
}

func TestRandomTablesAreDecoded(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 1))
		schema := arrowtest.RandomSchema(rng)
		want := []arrow.RecordBatch{arrowtest.RandomBatch(t, rng, schema, rng.IntN(40)), arrowtest.RandomBatch(t, rng, schema, rng.IntN(40))}
		for name, opts := range encodings {
			t.Run(fmt.Sprintf("seed %d, %s", seed, name), func(t *testing.T) {
				_, got, err := receive(send(t, schema, want, opts...), Options{Allocator: counted(t)})
				if err != nil {
					t.Fatal(err)
				}
				wantSame(t, schema, got, want)
				release(got)
			})
		}
	}
}

func TestMetadataOfSchemasAndBatchesIsDecoded(t *testing.T) {
	about := arrow.NewMetadata([]string{"origin"}, []string{"test"})
	schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: arrow.PrimitiveTypes.Int8, Metadata: about}}, &about)
	batch := array.NewRecordBatchWithMetadata(schema, arrowtest.FromJSON(t, schema, `[{"c":1}]`).Columns(), 1, about)
	got, batches, err := receive(send(t, schema, []arrow.RecordBatch{batch}), Options{Allocator: counted(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer release(batches)
	if !got.Equal(schema) || !got.Metadata().Equal(about) || !got.Field(0).Metadata.Equal(about) {
		t.Errorf("schema arrived as %v, want %v", got, schema)
	}
	if with, ok := batches[0].(arrow.RecordBatchWithMetadata); !ok || !with.Metadata().Equal(about) {
		t.Errorf("the batch arrived without its metadata: %v", batches[0])
	}
}

// numbers is a stream of a batch of one column n of the numbers 1 to 4, the third of which is null.
func numbers(t testing.TB, opts ...ipc.Option) []sent {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)
	return send(t, schema, []arrow.RecordBatch{arrowtest.FromJSON(t, schema, `[{"n":1},{"n":2},{"n":null},{"n":4}]`)}, opts...)
}

// Where metadata keep their numbers, for tests that falsify them.
func batchTable(metadata []byte) flatbuffers.Table {
	header, _ := child(rootTable(metadata), messageHeader)
	if scalar := rootTable(metadata); Kind(scalar.GetByteSlot(messageHeaderType, 0)) == KindDictionaryBatch {
		header, _ = child(header, dictionaryData)
	}
	return header
}

func setSlot(t flatbuffers.Table, slot flatbuffers.VOffsetT, value uint64, size int) {
	at := int(t.Pos) + int(t.Offset(slot))
	for i := range size {
		t.Bytes[at+i] = byte(value >> (8 * i))
	}
}

func setElement(metadata []byte, slot flatbuffers.VOffsetT, size, i, half int, value int64) {
	batch := batchTable(metadata)
	start, _ := vector(batch, slot, size)
	binary.LittleEndian.PutUint64(metadata[int(start)+i*size+8*half:], uint64(value))
}

func setNode(metadata []byte, i, half int, value int64) {
	setElement(metadata, batchNodes, nodeSize, i, half, value)
}

func setBuffer(metadata []byte, i, half int, value int64) {
	setElement(metadata, batchBuffers, bufferSize, i, half, value)
}

func TestMessagesThatContradictThemselves(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []ipc.Option
		lie  func(schema, batch *sent)
		want string
	}{
		{"a batch first", nil, func(s, b *sent) { *s = *b }, "it carries a record batch: expected a schema"},
		{"a schema with a body", nil, func(s, _ *sent) { s.metadata = schemaMessage(chain(1, 1), 8) }, "it is a schema with a body of 8 bytes: expected none"},
		{"a big-endian schema", nil, func(s, _ *sent) {
			header, _ := child(rootTable(s.metadata), messageHeader)
			if header.Offset(schemaEndianness) == 0 { // the default is left out: another slot's place serves
				header.Bytes[int(header.Pos)-int(header.GetSOffsetT(header.Pos))+schemaEndianness] = byte(header.Offset(schemaFields))
			}
		}, "its numbers are big-endian: expected little-endian"},
		{"an old schema", nil, func(s, _ *sent) { setSlot(rootTable(s.metadata), messageVersion, 2, 2) }, "it is in version 3 of Arrow's format: expected 4 or 5"},
		{"a batch from the future", nil, func(_, b *sent) { setSlot(rootTable(b.metadata), messageVersion, 9, 2) }, "it is in version 10 of Arrow's format: expected 4 or 5"},
		{"a short body", nil, func(_, b *sent) { b.body = b.body[:8] }, "its body has 8 bytes, and its metadata say 40"},
		{"a long body", nil, func(_, b *sent) { b.body = append(b.body, 0) }, "its body has 41 bytes, and its metadata say 40"},
		{"a huge body", nil, func(_, b *sent) { setSlot(rootTable(b.metadata), messageBodyLength, 1<<40, 8) }, "its body has 40 bytes, and its metadata say 1099511627776"},
		{"negative rows", nil, func(_, b *sent) { setSlot(batchTable(b.metadata), batchLength, 1<<63, 8) }, ErrMetadata.Error()},
		{"more rows than the column", nil, func(_, b *sent) { setSlot(batchTable(b.metadata), batchLength, 5, 8) }, `column "n": it has 4 rows and its batch 5`},
		{"a column with more rows", nil, func(_, b *sent) { setNode(b.metadata, 0, 0, 5) }, `column "n": it has 5 rows and its batch 4`},
		{"more rows than bytes", nil, func(_, b *sent) {
			setSlot(batchTable(b.metadata), batchLength, 9, 8)
			setNode(b.metadata, 0, 0, 9)
			setNode(b.metadata, 0, 1, -1)
		}, `column "n": its values buffer has 32 bytes, too few for 9 rows of 64 bits`},
		{"a column of negative length", nil, func(_, b *sent) { setNode(b.metadata, 0, 0, -1) }, `column "n": it claims -1 rows, 1 of them null`},
		{"a column of huge length", nil, func(_, b *sent) { setNode(b.metadata, 0, 0, 1<<40) }, `column "n": it claims 1099511627776 rows, 1 of them null`},
		{"more nulls than rows", nil, func(_, b *sent) { setNode(b.metadata, 0, 1, 5) }, `column "n": it claims 4 rows, 5 of them null`},
		{"fewer nulls than there are", nil, func(_, b *sent) { setNode(b.metadata, 0, 1, 2) }, `column "n": 1 of its rows are null, and it says 2`},
		{"nulls without a bitmap", nil, func(_, b *sent) { setBuffer(b.metadata, 0, 1, 0) }, `column "n": 1 of its rows are null, and no bitmap says which`},
		{"a buffer beyond the body", nil, func(_, b *sent) { setBuffer(b.metadata, 1, 0, 72) }, `column "n": buffer 1 claims 32 bytes from byte 72 of a body that has 40`},
		{"a buffer of 2^40 bytes", nil, func(_, b *sent) { setBuffer(b.metadata, 1, 1, 1<<40) }, `column "n": buffer 1 claims 1099511627776 bytes from byte 8 of a body that has 40`},
		{"a buffer before the body", nil, func(_, b *sent) { setBuffer(b.metadata, 1, 0, -8) }, `column "n": buffer 1 claims 32 bytes from byte -8 of a body that has 40`},
		{"a buffer whose end overflows", nil, func(_, b *sent) { setBuffer(b.metadata, 1, 0, 1<<63-8) }, `column "n": buffer 1 claims 32 bytes from byte 9223372036854775800 of a body that has 40`},
		{"a buffer that is not aligned", nil, func(_, b *sent) { setBuffer(b.metadata, 1, 0, 7) }, `column "n": buffer 1 begins at byte 7: expected a multiple of 8`},
		{"a codec that there is not", []ipc.Option{ipc.WithZstd()}, func(_, b *sent) {
			compression, _ := child(batchTable(b.metadata), batchCompression)
			setSlot(compression, compressionCodec, 7, 1)
		}, "it is compressed by codec 7: expected LZ4 or Zstandard"},
		{"the other codec", []ipc.Option{ipc.WithZstd()}, func(_, b *sent) {
			compression, _ := child(batchTable(b.metadata), batchCompression)
			setSlot(compression, compressionCodec, codecLZ4, 1)
		}, `column "n": buffer 0: it does not uncompress to the 4 bytes that it claims: it is no LZ4 frame`},
		{"a compressed buffer without a length", []ipc.Option{ipc.WithZstd()}, func(_, b *sent) { setBuffer(b.metadata, 1, 1, 7) }, `column "n": buffer 1: it has 7 bytes, too few for the length that a compressed buffer begins with`},
	} {
		t.Run(c.name, func(t *testing.T) {
			messages := numbers(t, c.opts...)
			c.lie(&messages[0], &messages[1])
			_, _, err := receive(messages, Options{Allocator: counted(t)})
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestSchemasAndBatchesOfDifferentShapes(t *testing.T) {
	two := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: "m", Type: arrow.PrimitiveTypes.Int64}}, nil)
	wide := send(t, two, []arrow.RecordBatch{arrowtest.FromJSON(t, two, `[{"n":1,"m":2}]`)})
	narrow := numbers(t)
	views := arrowtest.Column(arrow.BinaryTypes.StringView)
	for _, c := range []struct {
		name          string
		schema, batch sent
		want          string
	}{
		{"too many columns", narrow[0], wide[1], "it has 1 arrays more than its schema"},
		{"too few columns", wide[0], narrow[1], `column "m": its batch has 1 arrays, fewer than its schema`},
		{"views without counts", send(t, views, nil)[0], narrow[1], `column "c": its batch does not say how many buffers it has`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := receive([]sent{c.schema, c.batch}, Options{Allocator: counted(t)}); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// Lengths of uncompressed buffers are claims: however large, they must not be believed, and what uncompresses to another length is damaged.
func TestLengthsOfCompressedBuffersAreNotBelieved(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	const rows = 100_000
	batch := arrowtest.FromJSON(t, schema, "["+strings.Repeat(`{"n":7},`, rows-1)+`{"n":7}]`)
	for name, opt := range map[string]ipc.Option{"LZ4": ipc.WithLZ4(), "Zstandard": ipc.WithZstd()} {
		for _, c := range []struct {
			claim uint64
			limit int64
			want  string // begins with
			quota bool
		}{
			{8 * rows, 0, "", false},
			{1 << 40, 0, "it claims 1099511627776 bytes for one batch and the limit is 268435456", true},
			{1<<63 - 1, 0, "it claims 9223372036854775807 bytes for one batch and the limit is 268435456", true},
			{1 << 63, 0, "it claims -9223372036854775808 uncompressed bytes", false},
			{8 * rows, 4 * rows, "it claims 800000 bytes for one batch and the limit is 400000", true},
			{8*rows + 8, 0, "it does not uncompress to the 800008 bytes that it claims: it has 800000", false},
			{8*rows - 8, 0, "it does not uncompress to the 799992 bytes that it claims: it ", false},
			{0, 0, "it does not uncompress to the 0 bytes that it claims: it ", false},
		} {
			t.Run(fmt.Sprintf("%s, %d", name, c.claim), func(t *testing.T) {
				messages := send(t, schema, []arrow.RecordBatch{batch}, opt)
				binary.LittleEndian.PutUint64(messages[1].body, c.claim)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, batches, err := receive(messages, Options{Allocator: counted(t), MaxBatchBytes: c.limit})
				runtime.ReadMemStats(&after)
				if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 32<<20 {
					t.Errorf("%d bytes were allocated for %d", allocated, len(messages[1].body))
				}
				if c.want == "" {
					if err != nil {
						t.Fatal(err)
					}
					wantSame(t, schema, batches, []arrow.RecordBatch{batch})
					release(batches)
					return
				}
				if err == nil || !strings.HasPrefix(err.Error(), `column "n": buffer 1: `+c.want) {
					t.Errorf("got %v, want %s", err, c.want)
				}
				if quota := (*QuotaError)(nil); errors.As(err, &quota) != c.quota {
					t.Errorf("%v is a refusal of the quota: %v, want %v", err, !c.quota, c.quota)
				}
			})
		}
	}
}

// A Zstandard frame says how large a window its decoder needs. It must not get it for nothing.
func TestZstandardWindowsAreNotBelieved(t *testing.T) {
	frame := []byte{
		0x28, 0xb5, 0x2f, 0xfd, // magic
		0x00,             // no content size, no checksum
		19 << 3,          // a window of 2^(10+19) bytes
		0x43, 0x00, 0x00, // the last block: 8 times one byte
		7,
	}
	var before, after runtime.MemStats
	dst := make([]byte, 8)
	if err := uncompressZstd(dst, frame); err != nil { // the first makes the decoder
		t.Fatal(err)
	}
	runtime.ReadMemStats(&before)
	err := uncompressZstd(dst, frame)
	runtime.ReadMemStats(&after)
	if err != nil || dst[7] != 7 {
		t.Errorf("uncompressed to %v, %v", dst, err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
		t.Errorf("%d bytes were allocated for %d", allocated, len(dst))
	}
}

func TestRowsWithoutBytesAreBounded(t *testing.T) {
	null := arrowtest.Column(arrow.Null)
	none := arrow.NewSchema(nil, nil)
	for name, messages := range map[string][]sent{
		"nulls":      send(t, null, []arrow.RecordBatch{arrowtest.FromJSON(t, null, `[{"c":null}]`)}),
		"no columns": send(t, none, []arrow.RecordBatch{array.NewRecordBatch(none, nil, 1)}),
	} {
		setSlot(batchTable(messages[1].metadata), batchLength, 1<<30, 8)
		if name == "nulls" {
			setNode(messages[1].metadata, 0, 0, 1<<30)
		}
		_, _, err := receive(messages, Options{Allocator: memory.DefaultAllocator})
		if quota := (*QuotaError)(nil); !errors.As(err, &quota) {
			t.Errorf("%s: got %v, want a refusal of the quota", name, err)
		}
	}
}

// FuzzDecoder makes sure that whatever metadata and body say, there is a batch that holds together or an error, and no more memory than
// the limit.
func FuzzDecoder(f *testing.F) {
	for _, sample := range arrowtest.Samples() {
		for _, opts := range encodings {
			if messages := send(f, arrowtest.Column(sample.Type), sample.Records(f), opts...); len(messages) > 1 {
				f.Add(messages[0].metadata, messages[1].metadata, messages[1].body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, schema, metadata, body []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, batches, _ := receive([]sent{{metadata: schema}, {metadata: metadata, body: body}, {metadata: metadata, body: body}}, Options{Allocator: memory.DefaultAllocator, MaxBatchBytes: 1 << 20})
		runtime.ReadMemStats(&after)
		// Thrice the limit for the messages that are decoded, 20 MB for decoders of LZ4 and Zstandard, and what schemas unfold to.
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 64<<20 {
			t.Errorf("%d bytes were allocated for %d", allocated, len(schema)+len(metadata)+len(body))
		}
		for _, batch := range batches {
			for _, column := range batch.Columns() {
				// Bytes below a null, which arrow-go looks at and pyarrow does not, need not be text.
				if err := array.ValidateFull(column); err != nil && !strings.Contains(err.Error(), "utf8") {
					t.Errorf("it does not hold together: %v", err)
				}
			}
		}
		release(batches)
	})
}
