package format_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// flatTypes are those that columns are decoded to straight from the page, and some that are not.
func flatTypes() []arrow.DataType {
	dictionary := func(index arrow.DataType) arrow.DataType {
		return &arrow.DictionaryType{IndexType: index, ValueType: arrow.BinaryTypes.String}
	}
	return []arrow.DataType{
		arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Uint32, arrow.PrimitiveTypes.Date32, arrow.FixedWidthTypes.Time32ms, arrow.PrimitiveTypes.Float32,
		arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Uint64, arrow.FixedWidthTypes.Time64us, arrow.FixedWidthTypes.Timestamp_us,
		&arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "Europe/Amsterdam"}, arrow.PrimitiveTypes.Float64,
		arrow.BinaryTypes.String, arrow.BinaryTypes.Binary, arrow.BinaryTypes.LargeString, arrow.BinaryTypes.LargeBinary,
		dictionary(arrow.PrimitiveTypes.Int8), dictionary(arrow.PrimitiveTypes.Int16), dictionary(arrow.PrimitiveTypes.Int32), dictionary(arrow.PrimitiveTypes.Uint16),
		arrow.FixedWidthTypes.Boolean, arrow.PrimitiveTypes.Int8, &arrow.FixedSizeBinaryType{ByteWidth: 5}, &arrow.Decimal128Type{Precision: 12, Scale: 2},
		arrow.ListOf(arrow.PrimitiveTypes.Int64),
	}
}

// randomColumn has runs of equal values and of nulls, short and long text, and few or many distinct values.
func randomColumn(t testing.TB, r *rand.Rand, dt arrow.DataType, rows int, nulls bool) arrow.Array {
	t.Helper()
	distinct := min([]int{1, 3, 100, 1 << 20}[r.IntN(4)], mostDistinct(dt))
	b := array.NewBuilder(memory.DefaultAllocator, dt)
	defer b.Release()
	for left := rows; left > 0; {
		n := min(left, 1+r.IntN([]int{1, 4, 40, 400}[r.IntN(4)]))
		left -= n
		if nulls && r.IntN(3) == 0 {
			b.AppendNulls(n)
			continue
		}
		same := r.IntN(2) == 0
		v := r.IntN(distinct)
		for range n {
			if !same {
				v = r.IntN(distinct)
			}
			appendNumber(t, b, v)
		}
	}
	return b.NewArray()
}

// mostDistinct is how many numbers from zero on there can be of a type, as far as that is less than a million.
func mostDistinct(dt arrow.DataType) int {
	switch dt := dt.(type) {
	case *arrow.DictionaryType:
		return mostDistinct(dt.IndexType)
	case *arrow.Decimal128Type:
		return min(1<<20, int(math.Pow10(int(dt.Precision-dt.Scale))))
	}
	switch dt.ID() {
	case arrow.INT8:
		return 1 << 7
	case arrow.UINT8:
		return 1 << 8
	case arrow.INT16:
		return 1 << 15
	case arrow.UINT16:
		return 1 << 16
	case arrow.FLOAT16:
		return 1 << 11 // beyond which not every integer is one
	default:
		return 1 << 20
	}
}

func appendNumber(t testing.TB, b array.Builder, v int) {
	t.Helper()
	text := fmt.Sprint(v)
	switch b := b.(type) {
	case *array.Date32Builder:
		b.Append(arrow.Date32(v))
		return
	case *array.Time32Builder:
		b.Append(arrow.Time32(v))
		return
	case *array.Time64Builder:
		b.Append(arrow.Time64(v))
		return
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v))
		return
	case *array.Int8Builder:
		b.Append(int8(v))
		return
	case *array.BinaryDictionaryBuilder:
		if err := b.AppendString(strings.Repeat(text, v%7)); err != nil {
			t.Fatal(err)
		}
		return
	case *array.BooleanBuilder:
		b.Append(v%2 == 0)
		return
	case *array.FixedSizeBinaryBuilder:
		b.Append(fmt.Appendf(nil, "%05d", v)[:5])
		return
	case *array.ListBuilder:
		b.Append(true)
		for i := range v % 4 {
			b.ValueBuilder().(*array.Int64Builder).Append(int64(i))
		}
		return
	case *array.BinaryBuilder: // of text as well
		b.AppendString(strings.Repeat(text, v%7))
		return
	case *array.StringBuilder, *array.LargeStringBuilder:
		text = strings.Repeat(text, v%7)
	}
	if err := b.AppendValueFromString(text); err != nil {
		t.Fatal(err)
	}
}

// How a file may be written, in all that matters to a reader.
type parquetShape struct {
	codec      compress.Compression
	version    parquet.DataPageVersion
	dictionary bool
	limit      int64 // bytes of a dictionary, beyond which columns go on without
	page       int64 // bytes
	rows       int64 // in a row group
	encoding   parquet.Encoding
}

func randomShape(r *rand.Rand) parquetShape {
	codecs := []compress.Compression{
		compress.Codecs.Uncompressed, compress.Codecs.Snappy, compress.Codecs.Gzip, compress.Codecs.Zstd, compress.Codecs.Lz4Raw,
	}
	return parquetShape{
		codec: codecs[r.IntN(len(codecs))], version: []parquet.DataPageVersion{parquet.DataPageV1, parquet.DataPageV2}[r.IntN(2)],
		dictionary: r.IntN(3) > 0, limit: []int64{200, 1 << 20}[r.IntN(2)], page: []int64{100, 2000, 1 << 20}[r.IntN(3)], rows: []int64{100, 1500, 1 << 20}[r.IntN(3)],
		encoding: parquet.Encodings.Plain,
	}
}

func (s parquetShape) write(t testing.TB, batch arrow.RecordBatch) string {
	t.Helper()
	return parquetAs(t, batch, parquet.NewWriterProperties(
		parquet.WithCompression(s.codec), parquet.WithDataPageVersion(s.version), parquet.WithDictionaryDefault(s.dictionary), parquet.WithDictionaryPageSizeLimit(s.limit),
		parquet.WithDataPageSize(s.page), parquet.WithMaxRowGroupLength(s.rows), parquet.WithBatchSize(64), parquet.WithEncoding(s.encoding),
	), pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
}

// byPqarrow is a column of a Parquet file as pqarrow reads it, shown value by value.
func byPqarrow(t testing.TB, data string) []string {
	t.Helper()
	f, err := file.NewParquetReader(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := r.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	return valuesOf(table)
}

func valuesOf(table arrow.Table) []string {
	var values []string
	for _, chunk := range table.Column(0).Data().Chunks() {
		for row := range chunk.Len() {
			values = append(values, value(chunk, row))
		}
	}
	return values
}

// Columns read as pqarrow reads them, whatever their type, however they were written, and wherever batches end.
func TestParquetColumnsReadAsByPqarrow(t *testing.T) {
	for _, dt := range flatTypes() {
		t.Run(dt.String(), func(t *testing.T) {
			for seed := range uint64(10) {
				r := rand.New(rand.NewPCG(seed, 7))
				nullable, rows := r.IntN(2) == 0, 1+r.IntN(4000)
				schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: dt, Nullable: nullable}}, nil)
				column := randomColumn(t, r, dt, rows, nullable)
				shape := randomShape(r)
				data := shape.write(t, array.NewRecordBatch(schema, []arrow.Array{column}, int64(rows)))
				mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
				checkValues(t, mem, shape, data, byPqarrow(t, data), r)
				mem.AssertSize(t, 0)
			}
		})
	}
}

// checkValues reads a file of one column in batches of some size.
func checkValues(t *testing.T, mem memory.Allocator, shape parquetShape, data string, want []string, r *rand.Rand) {
	t.Helper()
	layout := inspect(t, format.Parquet, objects("parquet", data))
	var got []string
	for batch, err := range lookup(t, format.Parquet).Read(t.Context(), layout, 0, format.ReadOptions{Allocator: mem, MaxRows: 1 + r.IntN(2000)}) {
		if err != nil {
			t.Fatalf("%+v: %v", shape, err)
		}
		for row := range int(batch.NumRows()) {
			got = append(got, value(batch.Column(0), row))
		}
		checkColumns(t, batch.Columns())
	}
	sameValues(t, fmt.Sprintf("%+v", shape), want, got)
}

// What flat columns are not read in, pqarrow reads.
func TestParquetEncodings(t *testing.T) {
	for _, c := range []struct {
		dt        arrow.DataType
		encodings []parquet.Encoding
	}{
		{arrow.PrimitiveTypes.Int64, []parquet.Encoding{parquet.Encodings.DeltaBinaryPacked, parquet.Encodings.ByteStreamSplit}},
		{arrow.PrimitiveTypes.Int32, []parquet.Encoding{parquet.Encodings.DeltaBinaryPacked, parquet.Encodings.ByteStreamSplit}},
		{arrow.PrimitiveTypes.Float64, []parquet.Encoding{parquet.Encodings.ByteStreamSplit}},
		{arrow.BinaryTypes.String, []parquet.Encoding{parquet.Encodings.DeltaLengthByteArray, parquet.Encodings.DeltaByteArray}},
	} {
		for _, encoding := range c.encodings {
			for _, dictionary := range []bool{false, true} { // with one, it is the encoding after the dictionary has become too large
				r := rand.New(rand.NewPCG(1, 2))
				schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: c.dt, Nullable: true}}, nil)
				batch := array.NewRecordBatch(schema, []arrow.Array{randomColumn(t, r, c.dt, 5000, true)}, -1)
				shape := parquetShape{compress.Codecs.Snappy, parquet.DataPageV2, dictionary, 200, 1000, 2000, encoding}
				data := shape.write(t, batch)
				// pqarrow's decoders of deltas do not give back all that they take.
				checkValues(t, memory.DefaultAllocator, shape, data, byPqarrow(t, data), r)
			}
		}
	}
}

// Pages that lie are errors, whichever byte of them does.
func TestParquetDamagedPages(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "d", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int16, ValueType: arrow.BinaryTypes.String}},
	}, nil)
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 11))
		const rows = 300
		var columns []arrow.Array
		for _, f := range schema.Fields() {
			columns = append(columns, randomColumn(t, r, f.Type, rows, f.Nullable))
		}
		shape := randomShape(r)
		shape.codec = compress.Codecs.Uncompressed // any byte reaches the decoder
		data := []byte(shape.write(t, array.NewRecordBatch(schema, columns, rows)))
		for range 60 {
			damaged := bytes.Clone(data)
			for range 1 + r.IntN(3) {
				damaged[4+r.IntN(len(data)-12)] = byte(r.IntN(256))
			}
			fuzz(t, format.Parquet, damaged)
			fuzzLettingGo(t, damaged)
		}
	}
}
