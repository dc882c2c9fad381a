package catalog

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// What is measured of a batch is what is kept of it in the end, as text: the bounds, and the nulls.
func TestMeasured(t *testing.T) {
	dictionary := func(of arrow.DataType) arrow.DataType {
		return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: of}
	}
	long := strings.Repeat("x", longestBound+1)
	for _, c := range []struct {
		of     arrow.DataType
		values string
		want   string // the least, the greatest, and the nulls
	}{
		{arrow.PrimitiveTypes.Int8, `[3, -2, 7]`, "-2 7 0"},
		{arrow.PrimitiveTypes.Int16, `[null, 3, null]`, "3 3 2"},
		{arrow.PrimitiveTypes.Int32, `[null, null]`, "- - 2"},
		{arrow.PrimitiveTypes.Int64, `[9223372036854775807, -9223372036854775808]`, "-9223372036854775808 9223372036854775807 0"},
		{arrow.PrimitiveTypes.Uint8, `[200, 3]`, "3 200 0"},
		{arrow.PrimitiveTypes.Uint16, `[1]`, "1 1 0"},
		{arrow.PrimitiveTypes.Uint32, `[1, 4294967295]`, "1 4294967295 0"},
		{arrow.PrimitiveTypes.Uint64, `[1, 18446744073709551615]`, "1 18446744073709551615 0"},
		{arrow.PrimitiveTypes.Float32, `[2.5, null, -1]`, "-1 2.5 1"},
		{arrow.PrimitiveTypes.Float64, `["NaN", 2.5, "-Inf", "NaN"]`, "-Inf 2.5 0"},
		{arrow.PrimitiveTypes.Float64, `["NaN", "NaN"]`, "- - 0"},
		{arrow.FixedWidthTypes.Boolean, `[true, true, null]`, "true true 1"},
		{arrow.FixedWidthTypes.Boolean, `[true, false]`, "false true 0"},
		{arrow.FixedWidthTypes.Date32, `["2024-01-02", "2023-01-02"]`, "19359 19724 0"},
		{arrow.FixedWidthTypes.Time32s, `["00:00:07", "00:00:02"]`, "2 7 0"},
		{arrow.FixedWidthTypes.Time64us, `["00:00:07", "00:00:02"]`, "2000000 7000000 0"},
		{arrow.FixedWidthTypes.Timestamp_s, `["1970-01-01T00:00:09Z", null]`, "9 9 1"},
		{arrow.FixedWidthTypes.Duration_ms, `["5ms", "-1ms"]`, "-1 5 0"},
		{&arrow.Decimal128Type{Precision: 9, Scale: 2}, `["1.50", "-2.25"]`, "-2.25 1.5 0"},
		{&arrow.Decimal256Type{Precision: 60, Scale: 2}, `["1.50", "-2.25"]`, "-2.25 1.5 0"},
		{arrow.BinaryTypes.String, `["b", "", "ab", null]`, " b 1"},
		{arrow.BinaryTypes.String, `["abcdefgh2", "abcdefgh", "abcdefgh1", "abcdefgh\u0000"]`, "abcdefgh abcdefgh2 0"},
		{arrow.BinaryTypes.String, `["a", "a\u0000", "", "\u00ff", "z", "a"]`, " \u00ff 0"},
		{arrow.BinaryTypes.LargeString, `["b", "ab"]`, "ab b 0"},
		{arrow.BinaryTypes.StringView, `["b", "ab"]`, "ab b 0"},
		{arrow.BinaryTypes.String, `["b", "` + long + `"]`, "b - 0"},
		{dictionary(arrow.BinaryTypes.String), `["b", null, "a", "b"]`, "a b 1"},
		{dictionary(arrow.PrimitiveTypes.Int64), `[5, 7, 5]`, "5 7 0"},
		{arrow.Null, `[null, null]`, "- - 2"},
		// Nothing is known of these.
		{arrow.BinaryTypes.Binary, `["eA=="]`, "- - -1"},
		{arrow.ListOf(arrow.PrimitiveTypes.Int8), `[[1], null]`, "- - -1"},
		{arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int8}), `[{"x": 1}]`, "- - -1"},
	} {
		t.Run(fmt.Sprint(c.of, " ", len(c.values)), func(t *testing.T) {
			values, _, err := array.FromJSON(memory.DefaultAllocator, c.of, strings.NewReader(c.values))
			if err != nil {
				t.Fatal(err)
			}
			want := kept{Count: int64(values.Len())}
			if got := shown(keptOf(values)); got != c.want {
				t.Errorf("%s: got %s, want %s", c.values, got, c.want)
			}
			if got := keptOf(values).Count; got != want.Count {
				t.Errorf("%d rows", got)
			}
			// A part of an array is measured alone.
			if n := values.Len(); n > 1 {
				last := array.NewSlice(values, int64(n-1), int64(n))
				alone, _, err := array.FromJSON(memory.DefaultAllocator, c.of, strings.NewReader("["+elementOf(t, last)+"]"))
				if err != nil {
					t.Fatal(err)
				}
				if got, want := shown(keptOf(last)), shown(keptOf(alone)); got != want {
					t.Errorf("the last of %s: got %s, want %s", c.values, got, want)
				}
			}
		})
	}
}

func elementOf(t *testing.T, one arrow.Array) string {
	t.Helper()
	b, err := one.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(b), "["), "]")
}

func keptOf(column arrow.Array) kept {
	schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: column.DataType()}}, nil)
	return keepStatistics(schema, measured{array.NewRecordBatch(schema, []arrow.Array{column}, int64(column.Len()))})
}

func shown(k kept) string {
	text := func(s *string) string {
		if s == nil {
			return "-"
		}
		return *s
	}
	return fmt.Sprintf("%s %s %d", text(k.Columns[0].Min), text(k.Columns[0].Max), k.Columns[0].Nulls)
}

// Which of a dictionary's values are there, and how many rows are null if its values are, is another matter than what the dictionary has.
func TestMeasuredDictionaries(t *testing.T) {
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	for values, want := range map[string]string{`["a", "m", "n", "z"]`: "m n 1", `["a", "m", null, "z"]`: "m m -1"} {
		dictionary, _, err := array.FromJSON(memory.DefaultAllocator, dt.ValueType, strings.NewReader(values))
		if err != nil {
			t.Fatal(err)
		}
		indices, _, err := array.FromJSON(memory.DefaultAllocator, dt.IndexType, strings.NewReader(`[2, null, 1, 2]`))
		if err != nil {
			t.Fatal(err)
		}
		if got := shown(keptOf(array.NewDictionaryArray(dt, indices, dictionary))); got != want {
			t.Errorf("%s: got %s, want %s", values, got, want)
		}
	}
}

// Statistics take little beside what they are of: of batches without end, those of the first are kept.
func TestStatisticsAreKeptOfSoManyColumns(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: arrow.PrimitiveTypes.Float64}}, nil)
	values := array.NewFloat64Builder(memory.DefaultAllocator)
	values.Append(math.Pi)
	batch := array.NewRecordBatch(schema, []arrow.Array{values.NewArray()}, 1)
	k := statisticsKeeper{schema: schema, columns: mostKept - 2}
	for range 4 {
		k.note(batch)
	}
	note, err := k.kept.encode()
	if err != nil {
		t.Fatal(err)
	}
	of := statisticsOf(note, schema, 4)
	if len(of) != 4 {
		t.Fatalf("%s is of %d batches", note, len(of))
	}
	for i, s := range of {
		if _, ok := format.Statistics(s).Column(0); ok != (i < 2) {
			t.Errorf("something is known of batch %d: %t", i, ok)
		}
	}
}

// BenchmarkMeasured measures batches of 64 Ki rows of one column, each of another type.
func BenchmarkMeasured(b *testing.B) {
	const rows = 64 << 10
	for _, dt := range []arrow.DataType{
		arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Float64, arrow.BinaryTypes.String,
		&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String},
	} {
		for _, nulls := range []bool{false, true} {
			builder := array.NewBuilder(memory.DefaultAllocator, dt)
			for i := range rows {
				if nulls && i%10 == 0 {
					builder.AppendNull()
				} else if err := builder.AppendValueFromString(fmt.Sprint(i * 7919 % 1000)); err != nil {
					b.Fatal(err)
				}
			}
			column := builder.NewArray()
			b.Run(fmt.Sprintf("%s/nulls=%t", dt.ID(), nulls), func(b *testing.B) {
				b.SetBytes(int64(column.Data().SizeInBytes()))
				for b.Loop() {
					keptOf(column)
				}
			})
		}
	}
}
