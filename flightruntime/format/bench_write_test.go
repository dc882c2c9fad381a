package format_test

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// trips are columns as they stand in data lakes: ids that grow, an amount with few digits, a measure without a pattern, a name out of a
// thousand.
func trips(rows int) arrow.RecordBatch {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "fare", Type: arrow.PrimitiveTypes.Float64},
		{Name: "distance", Type: arrow.PrimitiveTypes.Float64},
		{Name: "city", Type: arrow.BinaryTypes.String},
	}, nil)
	random := rand.New(rand.NewPCG(1, 2))
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i := range rows {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		b.Field(1).(*array.Float64Builder).Append(math.Round(random.ExpFloat64()*1500) / 100)
		b.Field(2).(*array.Float64Builder).Append(random.Float64() * 30)
		b.Field(3).(*array.StringBuilder).Append(fmt.Sprintf("city %03d of the many", random.IntN(1000)))
	}
	return b.NewRecordBatch()
}

// BenchmarkWrite writes 1 Mi rows in 16 batches, as puts that come to one file.
func BenchmarkWrite(b *testing.B) {
	batch := trips(1 << 20)
	var size int64
	for _, column := range batch.Columns() {
		for _, buffer := range column.Data().Buffers() {
			if buffer != nil {
				size += int64(buffer.Len())
			}
		}
	}
	for _, name := range []string{format.Parquet, format.ArrowFile} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				w, err := format.NewWriter(name, io.Discard, batch.Schema())
				if err != nil {
					b.Fatal(err)
				}
				for i := range int64(16) {
					slice := batch.NewSlice(i<<16, (i+1)<<16)
					if err := w.Write(slice); err != nil {
						b.Fatal(err)
					}
					slice.Release()
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWriteParquetColumn writes 1 Mi rows of one column in 16 batches.
func BenchmarkWriteParquetColumn(b *testing.B) {
	const rows = 1 << 20
	random := rand.New(rand.NewPCG(3, 4))
	few := func(int) int { return random.IntN(1000) }
	anyOf := func(int) int { return random.IntN(1 << 40) }
	someNull := array.NewInt64Builder(memory.DefaultAllocator)
	dictionary := array.NewDictionaryBuilder(memory.DefaultAllocator, dictionaryOf(arrow.PrimitiveTypes.Int32, arrow.BinaryTypes.String).(*arrow.DictionaryType))
	for range rows {
		if random.IntN(4) == 0 {
			someNull.AppendNull()
		} else {
			someNull.Append(random.Int64())
		}
		if err := dictionary.AppendValueFromString(fmt.Sprintf("city %03d of the many", few(0))); err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		column arrow.Array
	}{
		{"numbers that repeat", series(rows, few)},
		{"numbers that do not", series(rows, anyOf)},
		{"numbers that grow", series(rows, func(i int) int { return i })},
		{"numbers and nulls", someNull.NewArray()},
		{"text that repeats", seriesOfText(rows, 20, few)},
		{"text that does not", seriesOfText(rows, 20, anyOf)},
		{"dictionary", dictionary.NewArray()},
	} {
		batch := columnOf(c.column, true)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(c.column.Data().SizeInBytes()))
			b.ReportAllocs()
			for b.Loop() {
				w, err := format.NewWriter(format.Parquet, io.Discard, batch.Schema())
				if err != nil {
					b.Fatal(err)
				}
				for i := range int64(16) {
					if err := w.Write(batch.NewSlice(i<<16, (i+1)<<16)); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
