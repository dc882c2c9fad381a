package scan_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/compute"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/scalar"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

// benchRows is a batch of format.DefaultMaxRows.
const benchRows = 64 << 10

// trips is a batch whose rows are as good as random.
func trips(b *testing.B) arrow.RecordBatch {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	fields := []arrow.Field{
		nullable("fare", arrow.PrimitiveTypes.Float64),
		nullable("id", arrow.PrimitiveTypes.Int64),
		nullable("seats", arrow.PrimitiveTypes.Int32),
		nullable("city", arrow.BinaryTypes.String),
		nullable("kind", &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}),
		nullable("at", arrow.FixedWidthTypes.Timestamp_us),
		nullable("tip", arrow.PrimitiveTypes.Float64), // with nulls
		nullable("price", &arrow.Decimal128Type{Precision: 10, Scale: 2}),
	}
	builder := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer builder.Release()
	for range benchRows {
		builder.Field(0).(*array.Float64Builder).Append(r.Float64() * 100)
		builder.Field(1).(*array.Int64Builder).Append(r.Int64N(1000))
		builder.Field(2).(*array.Int32Builder).Append(r.Int32N(8))
		builder.Field(3).(*array.StringBuilder).Append(fmt.Sprintf("city %d", r.IntN(400)))
		if err := builder.Field(4).(*array.BinaryDictionaryBuilder).AppendString(fmt.Sprintf("kind %d", r.IntN(20))); err != nil {
			b.Fatal(err)
		}
		builder.Field(5).(*array.TimestampBuilder).Append(arrow.Timestamp(1_700_000_000_000_000 + r.Int64N(1e13)))
		if r.IntN(10) == 0 {
			builder.Field(6).AppendNull()
		} else {
			builder.Field(6).(*array.Float64Builder).Append(r.Float64())
		}
		if err := builder.Field(7).AppendValueFromString(fmt.Sprintf("%d.50", r.IntN(100))); err != nil {
			b.Fatal(err)
		}
	}
	return builder.NewRecordBatch()
}

// BenchmarkFilter evaluates filters on 64 Ki rows and counts what matches; "loop" and "compute" are what a plain loop in Go and arrow-go's
// kernel take for the comparison alone.
func BenchmarkFilter(b *testing.B) {
	batch := trips(b)
	for _, filter := range []string{
		"fare > 50.0", "id > 500", "seats > 3", "tip > 0.5", "price > 50.0", "at > timestamp('2023-12-31T00:00:00Z')",
		"fare > 50.0 && id > 500 && seats > 3", "fare * 2.0 + 1.0 > 50.0", "id in [1, 2, 3]", "id in [1, 2, 3, 4, 5, 6, 7, 8]",
		"city == 'city 7'", "city in ['city 1', 'city 2', 'city 3', 'city 4', 'city 5']", "city.startsWith('city 3')", "city.matches('^city [0-9]7$')",
		"kind == 'kind 7'", "at.getHours() == 7",
	} {
		b.Run(filter, func(b *testing.B) { benchmark(b, batch, scan.Query{Columns: []string{}, Filter: filter}) })
	}
	b.Run("loop", func(b *testing.B) {
		values, marks := batch.Column(0).(*array.Float64).Float64Values(), make([]bool, benchRows)
		b.SetBytes(benchRows * 8)
		for b.Loop() {
			for i, v := range values {
				marks[i] = v > 50
			}
		}
	})
	b.Run("compute", func(b *testing.B) {
		b.SetBytes(benchRows * 8)
		b.ReportAllocs()
		for b.Loop() {
			out, err := compute.CallFunction(b.Context(), "greater", nil, compute.NewDatumWithoutOwning(batch.Column(0)), compute.NewDatum(scalar.NewFloat64Scalar(50)))
			if err != nil {
				b.Fatal(err)
			}
			out.Release()
		}
	})
}

// BenchmarkSelect takes half of the rows, every row, and none, of all columns. arrow-go's FilterRecordBatch is given the rows, and takes them with
// as many goroutines as there are processors.
func BenchmarkSelect(b *testing.B) {
	batch := trips(b)
	for name, filter := range map[string]string{"half": "fare > 50.0", "all": "fare >= 0.0", "none": "fare < 0.0"} {
		b.Run(name, func(b *testing.B) { benchmark(b, batch, scan.Query{Filter: filter}) })
	}
	half, err := compute.CallFunction(b.Context(), "greater", nil, compute.NewDatumWithoutOwning(batch.Column(0)), compute.NewDatum(scalar.NewFloat64Scalar(50)))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("half by compute", func(b *testing.B) {
		mask := half.(*compute.ArrayDatum).MakeArray()
		b.SetBytes(benchRows * 8)
		b.ReportAllocs()
		for b.Loop() {
			out, err := compute.FilterRecordBatch(b.Context(), batch, mask, compute.DefaultFilterOptions())
			if err != nil {
				b.Fatal(err)
			}
			out.Release()
		}
	})
}

func benchmark(b *testing.B, batch arrow.RecordBatch, q scan.Query) {
	b.Helper()
	plan := compile(b, q, batch.Schema())
	in := input(plan, batch)
	run := plan.Start(nil)
	b.SetBytes(benchRows * 8) // so that MB/s compare with those of the loop
	b.ReportAllocs()
	for b.Loop() {
		out, err := run.Apply(b.Context(), in)
		if err != nil {
			b.Fatal(err)
		}
		out.Release()
	}
}

// BenchmarkCompile compiles a filter of ordinary size.
func BenchmarkCompile(b *testing.B) {
	schema := trips(b).Schema()
	b.ReportAllocs()
	for b.Loop() {
		compile(b, scan.Query{Filter: "fare > 10.0 && city in ['ams', 'ber'] && at >= timestamp('2024-01-01T00:00:00Z')"}, schema)
	}
}

// BenchmarkView narrows 64 Ki rows of eight columns as rules do: by columns alone, by rows, by cells.
func BenchmarkView(b *testing.B) {
	batch := trips(b)
	first := []int{0, 1, 2, 3}
	for _, c := range []struct {
		name  string
		parts []scan.Part
	}{
		{"columns", []scan.Part{{Columns: first}}},
		{"half of the rows", []scan.Part{{Filter: "fare > 50.0"}}},
		{"runs of rows", []scan.Part{{Filter: "kind != identity.user"}}},
		{"half of the cells of half of the columns", []scan.Part{{Columns: first}, {Filter: "fare > 50.0"}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			plan, err := view(b, batch.Schema(), scan.Caller{User: "kind 7"}, c.parts...).Compile(scan.Query{})
			if err != nil {
				b.Fatal(err)
			}
			in := input(plan, batch)
			run := plan.Start(nil)
			b.SetBytes(benchRows * 8)
			b.ReportAllocs()
			for b.Loop() {
				out, err := run.Apply(b.Context(), in)
				if err != nil {
					b.Fatal(err)
				}
				out.Release()
			}
		})
	}
}

// BenchmarkNewView compiles what a rule grants, as each call does.
func BenchmarkNewView(b *testing.B) {
	schema := trips(b).Schema()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := view(b, schema, scan.Caller{User: "ann"}, scan.Part{Columns: []int{0, 1}, Filter: "city == identity.user"}).Compile(scan.Query{}); err != nil {
			b.Fatal(err)
		}
	}
}
