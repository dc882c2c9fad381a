package format_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

const benchRows = 200_000

// flights is a table of numbers, times and text: of each what columns usually are.
func flights(b *testing.B) arrow.RecordBatch {
	b.Helper()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "at", Type: &arrow.TimestampType{Unit: arrow.Second}, Nullable: true},
		{Name: "delay", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "origin", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	for i := range benchRows {
		builder.Field(0).(*array.Int64Builder).Append(int64(i) * 37)
		builder.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(1_600_000_000 + i*60))
		builder.Field(2).(*array.Float64Builder).Append(float64(i%977) / 8)
		builder.Field(3).(*array.StringBuilder).Append(fmt.Sprintf("Airport %d", i%400))
	}
	return builder.NewRecordBatch()
}

// text is the same table, a line for each row.
func text(b *testing.B, header, line string) string {
	b.Helper()
	batch := flights(b)
	defer batch.Release()
	var out strings.Builder
	out.WriteString(header)
	for i := range benchRows {
		fmt.Fprintf(&out, line, batch.Column(0).ValueStr(i), batch.Column(1).ValueStr(i), batch.Column(2).ValueStr(i), batch.Column(3).ValueStr(i))
	}
	return out.String()
}

func benchmark(b *testing.B, name, data string) {
	list := objects("x", data)
	f := lookup(b, name)
	layout, err := f.Inspect(b.Context(), list, nil)
	if err != nil {
		b.Fatal(err)
	}
	if layout.Rows() != benchRows {
		b.Fatalf("%d rows", layout.Rows())
	}
	b.Run("Inspect", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Inspect(b.Context(), list, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Read", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range f.Read(b.Context(), layout, 0, format.ReadOptions{}) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkCSV(b *testing.B) {
	benchmark(b, format.CSV, text(b, "id,at,delay,origin\n", "%s,%s,%s,%s\n"))
}

func BenchmarkCSVQuoted(b *testing.B) {
	benchmark(b, format.CSV, text(b, "id,at,delay,origin\n", "\"%s\",\"%s\",\"%s\",\"%s, \"\"x\"\"\"\n"))
}

func BenchmarkJSON(b *testing.B) {
	benchmark(b, format.JSON, text(b, "", `{"id":%s,"at":"%s","delay":%s,"origin":"%s"}`+"\n"))
}

func BenchmarkArrowFile(b *testing.B) {
	batch := flights(b)
	benchmark(b, format.ArrowFile, fileOf(b, batch.Schema(), []arrow.RecordBatch{batch}))
}

func BenchmarkArrowStreamZstandard(b *testing.B) {
	batch := flights(b)
	benchmark(b, format.ArrowStream, streamOf(b, batch.Schema(), []arrow.RecordBatch{batch}, ipc.WithZstd()))
}

func BenchmarkParquet(b *testing.B) {
	batch := flights(b)
	benchmark(b, format.Parquet, parquetOf(b, batch.Schema(), batch))
}

// rides is what is common in large tables.
func rides(b *testing.B, rows int) arrow.RecordBatch {
	b.Helper()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "fare", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "at", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true},
		{Name: "note", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "city", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}, Nullable: true},
		{Name: "seats", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	}, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range rows {
		builder.Field(0).(*array.Int64Builder).Append(int64(i))
		builder.Field(1).(*array.Float64Builder).Append(math.Round(r.ExpFloat64()*1600) / 100)
		builder.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(1_700_000_000_000_000 + i*1_000_000 + r.IntN(900_000)))
		builder.Field(3).(*array.StringBuilder).Append(fmt.Sprintf("ride %d", r.IntN(5_000_000)))
		if err := builder.Field(4).(*array.BinaryDictionaryBuilder).AppendString(fmt.Sprintf("city number %d", r.IntN(200))); err != nil {
			b.Fatal(err)
		}
		builder.Field(5).(*array.Int64Builder).Append(r.Int64N(8))
	}
	return builder.NewRecordBatch()
}

// BenchmarkParquetRides reads a million rows in two row groups, in the usual codecs. What is set as bytes is what the batches take in memory.
func BenchmarkParquetRides(b *testing.B) {
	const rows = 1_000_000
	batch := rides(b, rows)
	defer batch.Release()
	var size int64
	for _, column := range batch.Columns() {
		size += int64(column.Data().SizeInBytes())
	}
	for _, c := range []struct {
		name  string
		codec compress.Compression
	}{{"Zstandard", compress.Codecs.Zstd}, {"Snappy", compress.Codecs.Snappy}} {
		shape := parquetShape{c.codec, parquet.DataPageV1, true, 1 << 20, 1 << 20, rows / 2, parquet.Encodings.Plain}
		layout := inspect(b, format.Parquet, objects("parquet", shape.write(b, batch)))
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range lookup(b, format.Parquet).Read(b.Context(), layout, 0, format.ReadOptions{}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkParquetPages reads a batch of each of two readers in turn, who have room for their pages, or let go of them each time: the difference is
// what it costs to read on. Batches are such as become a message of 1 MiB.
func BenchmarkParquetPages(b *testing.B) {
	batch := rides(b, 1_000_000)
	defer batch.Release()
	shape := parquetShape{compress.Codecs.Zstd, parquet.DataPageV1, true, 1 << 20, 1 << 20, 500_000, parquet.Encodings.Plain}
	layout := inspect(b, format.Parquet, objects("parquet", shape.write(b, batch)))
	for _, c := range []struct {
		name  string
		pages *format.PageBudget
	}{{"Held", format.NewPageBudget(1 << 30)}, {"LetGo", format.NewPageBudget(0)}} {
		b.Run(c.name, func(b *testing.B) {
			var readers [2]func() (arrow.RecordBatch, error, bool)
			start := func(i int) {
				next, stop := iter.Pull2(lookup(b, format.Parquet).Read(b.Context(), layout, 0, format.ReadOptions{Pages: c.pages}))
				b.Cleanup(stop)
				readers[i] = next
			}
			start(0)
			start(1)
			b.ReportAllocs()
			batches := 0
			for b.Loop() {
				for i := range readers {
					_, err, ok := readers[i]()
					if err != nil {
						b.Fatal(err)
					}
					if batches++; !ok {
						start(i)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(batches), "ns/batch")
		})
	}
}

// BenchmarkParquetProjection reads a table of 20 columns in 10 row groups of 1.6 MB, or as much of it as somebody wants. What is set as bytes is
// the whole, so that MB/s tell what leaving something out gains.
func BenchmarkParquetProjection(b *testing.B) {
	batch := numbers(20, 100_000)
	var groups []arrow.RecordBatch
	for i := range int64(10) {
		groups = append(groups, batch.NewSlice(i*10_000, (i+1)*10_000))
	}
	data := parquetOf(b, batch.Schema(), groups...)
	layout := inspect(b, format.Parquet, objects("parquet", data))
	third := 0
	for _, c := range []struct {
		name string
		opts format.ReadOptions
	}{
		{"Everything", format.ReadOptions{}},
		{"OneColumn", format.ReadOptions{Columns: []int{7}}},
		{"OneUnit", format.ReadOptions{Units: []int{3}}},
		{"Pruned", format.ReadOptions{Keep: func(s format.Statistics) bool {
			_, _ = s.Column(7)
			third++
			return third%3 == 0
		}}},
		{"Unwanted", format.ReadOptions{By: []int{7}, Want: func(context.Context, arrow.RecordBatch) bool { return false }}},
		{"NoColumn", format.ReadOptions{Columns: []int{}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range lookup(b, format.Parquet).Read(b.Context(), layout, 0, c.opts) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkInspectAppended adds one file to a dataset of 1,000.
func BenchmarkInspectAppended(b *testing.B) {
	batch := numbers(20, 100)
	texts := make([]string, 1001)
	for i := range texts {
		texts[i] = parquetOf(b, batch.Schema(), batch)
	}
	list := objects("parquet", texts...)
	before := inspect(b, format.Parquet, list[:1000])
	for _, c := range []struct {
		name   string
		before *format.Layout
	}{{"FromNothing", nil}, {"FromBefore", before}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := lookup(b, format.Parquet).Inspect(b.Context(), list, c.before); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
