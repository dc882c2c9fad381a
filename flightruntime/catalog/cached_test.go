package catalog

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/scalar"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
)

func TestBoundsAreKeptAsTheyAre(t *testing.T) {
	zone := &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "Europe/Vienna"}
	dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	for _, tt := range []struct {
		field arrow.DataType
		bound scalar.Scalar
		kept  bool
	}{
		{arrow.PrimitiveTypes.Int8, scalar.NewInt8Scalar(-128), true},
		{arrow.PrimitiveTypes.Int64, scalar.NewInt64Scalar(math.MinInt64), true},
		{arrow.PrimitiveTypes.Uint64, scalar.NewUint64Scalar(math.MaxUint64), true},
		{arrow.PrimitiveTypes.Float32, scalar.NewFloat32Scalar(0.1), true},
		{arrow.PrimitiveTypes.Float64, scalar.NewFloat64Scalar(math.Pi), true},
		{arrow.PrimitiveTypes.Float64, scalar.NewFloat64Scalar(math.Inf(-1)), true},
		{arrow.FixedWidthTypes.Boolean, scalar.NewBooleanScalar(true), true},
		{arrow.BinaryTypes.String, scalar.NewStringScalar("Zürich \"x\" \x00"), true},
		{arrow.BinaryTypes.String, scalar.NewStringScalar("cut \xc3"), false}, // JSON has no such text
		{arrow.BinaryTypes.LargeString, scalar.NewLargeStringScalar("a"), true},
		{arrow.BinaryTypes.StringView, scalar.NewStringScalar("a"), true},
		{dictionary, scalar.NewStringScalar("red"), true},
		{arrow.FixedWidthTypes.Date32, scalar.NewDate32Scalar(-1), true},
		{arrow.FixedWidthTypes.Time32ms, scalar.NewTime32Scalar(1, arrow.FixedWidthTypes.Time32ms), true},
		{arrow.FixedWidthTypes.Time64ns, scalar.NewTime64Scalar(1, arrow.FixedWidthTypes.Time64ns), true},
		{zone, scalar.NewTimestampScalar(1_700_000_000_123_456, zone), true},
		{arrow.FixedWidthTypes.Duration_s, scalar.NewDurationScalar(-5, arrow.FixedWidthTypes.Duration_s), true},
		{arrow.PrimitiveTypes.Int32, scalar.NewInt64Scalar(1), false},
		{arrow.PrimitiveTypes.Int32, scalar.MakeNullScalar(arrow.PrimitiveTypes.Int32), false},
		{arrow.BinaryTypes.Binary, scalar.NewBinaryScalar(memory.NewBufferBytes([]byte{0, 255}), arrow.BinaryTypes.Binary), false},
		{&arrow.Decimal128Type{Precision: 10, Scale: 2}, scalar.NewDecimal128Scalar(decimal128.FromI64(-1234), &arrow.Decimal128Type{Precision: 10, Scale: 2}), true},
		{arrow.PrimitiveTypes.Int64, nil, false},
	} {
		t.Run(fmt.Sprint(tt.field, tt.bound), func(t *testing.T) {
			schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: tt.field}}, nil)
			note, err := keptStatistics{keepStatistics(schema, one{format.ColumnStatistics{Min: tt.bound, Max: tt.bound, Nulls: 3}})}.encode()
			if err != nil {
				t.Fatal(err)
			}
			c, ok := statisticsOf(note, schema, 10)[0].Column(0)
			if !ok || c.Nulls != 3 {
				t.Fatalf("%+v", c)
			}
			for _, got := range []scalar.Scalar{c.Min, c.Max} {
				if (got != nil) != tt.kept || got != nil && (!scalar.Equals(got, tt.bound) || !arrow.TypeEqual(got.DataType(), tt.bound.DataType())) {
					t.Errorf("kept as %v (%s)", got, note)
				}
			}
		})
	}
}

// one is a unit of 10 rows and one column.
type one struct{ column format.ColumnStatistics }

func (one) Rows() int64 { return 10 }

func (o one) Column(int) (format.ColumnStatistics, bool) { return o.column, true }

func TestStatisticsOfOtherRowsAreNotUsed(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: arrow.PrimitiveTypes.Int64}}, nil)
	for note, used := range map[string]bool{
		`[{"rows":20}]`: true,
		`[{"rows":10},{"rows":10,"columns":[{"nulls":0}]}]`: true,
		`[{"rows":10}]`:                               false,
		`[{"rows":15},{"rows":6}]`:                    false,
		`[{"rows":20},{"rows":0}]`:                    false,
		`[{"rows":21},{"rows":-1}]`:                   false,
		`[{"rows":9223372036854775807},{"rows":21}]`:  false,
		`[{"rows":10},{"rows":10,"columns":[{},{}]}]`: false,
		`{}`: false,
		``:   false,
	} {
		if got := statisticsOf([]byte(note), schema, 20); (got != nil) != used {
			t.Errorf("%s is used: %v", note, got != nil)
		}
	}
}

// rowGroups is a Parquet file of one column, with a row group for each pair of numbers, from the first to below the second.
func rowGroups(t *testing.T, groups ...[2]int64) []byte {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil)
	var file bytes.Buffer
	w, err := pqarrow.NewFileWriter(schema, &file, parquet.NewWriterProperties(parquet.WithStats(true)), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		for i := g[0]; i < g[1]; i++ {
			b.Append(i)
		}
		if err := w.Write(array.NewRecordBatch(schema, []arrow.Array{b.NewArray()}, g[1]-g[0])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// numbersIn are the numbers from 0 to below n, in a file of each format; that of Parquet has three row groups.
func numbersIn(t *testing.T, n int64) map[string][]byte {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil)
	b, csv, lines := array.NewInt64Builder(memory.DefaultAllocator), bytes.NewBufferString("a\n"), bytes.Buffer{}
	for i := range n {
		b.Append(i)
		fmt.Fprintf(csv, "%d\n", i)
		fmt.Fprintf(&lines, "{\"a\": %d}\n", i)
	}
	var file bytes.Buffer
	w, err := ipc.NewFileWriter(&file, ipc.WithSchema(schema))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(array.NewRecordBatch(schema, []arrow.Array{b.NewArray()}, n)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		format.Parquet: rowGroups(t, [2]int64{0, n / 3}, [2]int64{n / 3, n / 2}, [2]int64{n / 2, n}), format.ArrowFile: file.Bytes(), format.CSV: csv.Bytes(), format.JSON: lines.Bytes(),
	}
}

// What is cached is left out by the statistics of its rows, also where its file has none, and where it is a part of what the file is read by.
func TestRowsOfACachedPartAreLeftOutByStatistics(t *testing.T) {
	const n, most = 2_000_000, 800_000 // rows, and those of a large message and one of 2 MiB, which a value may lie between as far as is known
	dir := t.TempDir()
	for name, data := range numbersIn(t, n) {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
			cat := New(slog.New(slog.DiscardHandler))
			t.Cleanup(cat.Close)
			cat.Configure(&config.Cache{Memory: &config.MemoryCache{SizeLimit: 32 << 20}})
			cat.Apply([]config.Dataset{{Name: "a", Format: name, Cache: v1alpha1.CacheMemory, Files: &config.Files{Root: dir, Path: name}}})
			if err := cat.Attempted(t.Context()); err != nil {
				t.Fatal(err)
			}
			s, err := cat.Snapshot("a")
			if err != nil {
				t.Fatal(err)
			}
			if s.CachedBytes() == 0 {
				t.Fatal("it is not cached")
			}
			for _, value := range []int64{-1, 0, n / 2, n - 1, n} {
				keep := func(st format.Statistics) bool {
					column, ok := st.Column(0)
					return !ok || column.Nulls != 0 || column.Min.(*scalar.Int64).Value <= value && column.Max.(*scalar.Int64).Value >= value
				}
				rows, found := int64(0), false
				for chunk, err := range s.ReadSelected(t.Context(), []Selection{{Part: 0}}, 0, format.ReadOptions{Keep: keep}) {
					if err != nil {
						t.Fatal(err)
					}
					rows += chunk.Batch.NumRows()
					found = found || slices.Contains(chunk.Batch.Column(0).(*array.Int64).Int64Values(), value)
				}
				if there := value >= 0 && value < n; found != there || !there && rows > 0 || rows > most {
					t.Errorf("%d rows were read for %d, want at most %d; it is there: %t", rows, value, most, found)
				}
			}
		})
	}
}
