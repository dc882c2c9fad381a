package scan_test

import (
	"math"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/scalar"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

// A row group is read if it may have a row that matches, and only then.
func TestMayMatch(t *testing.T) {
	day := func(s string) int64 {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d.Unix()
	}
	fields := []arrow.Field{
		nullable("i", arrow.PrimitiveTypes.Int32),   // 10 to 20, no nulls
		nullable("f", arrow.PrimitiveTypes.Float64), // 1 to 5, no nulls, and NaN perhaps
		nullable("s", arrow.BinaryTypes.String),     // "bb" to "bd", 3 nulls
		nullable("d", &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}), // "x", nulls unknown
		nullable("at", arrow.FixedWidthTypes.Timestamp_ms),                                                              // the year 2023, no nulls
		nullable("day", arrow.FixedWidthTypes.Date32),                                                                   // March of 2024, no nulls
		nullable("yes", arrow.FixedWidthTypes.Boolean),                                                                  // true, no nulls
		nullable("gone", arrow.PrimitiveTypes.Int64),                                                                    // all null
		nullable("u", arrow.PrimitiveTypes.Uint64),                                                                      // nothing known
		nullable("low", arrow.PrimitiveTypes.Int64),                                                                     // 100 and more, nulls unknown
		nullable("mad", arrow.PrimitiveTypes.Int64),                                                                     // least above greatest
		nullable("nan", arrow.PrimitiveTypes.Float64),                                                                   // bounds are NaN
		nullable("price", &arrow.Decimal128Type{Precision: 9, Scale: 2}),                                                // 1.00 to 2.50, no nulls
		nullable("st", arrow.StructOf(nullable("a", arrow.PrimitiveTypes.Int64))),
		nullable("odd", arrow.PrimitiveTypes.Int64),   // bounds of another type
		nullable("one", arrow.PrimitiveTypes.Float64), // 3, no nulls, and NaN perhaps
	}
	price := func(text string) scalar.Scalar {
		s, err := scalar.GetScalar(arrayOf(t, fields[12].Type, `["`+text+`"]`), 0)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	at := func(s string) scalar.Scalar {
		return scalar.NewTimestampScalar(arrow.Timestamp(day(s)*1000), arrow.FixedWidthTypes.Timestamp_ms)
	}
	group := rowGroup{rows: 100, columns: map[int]scan.ColumnStatistics{
		0:  {Min: scalar.NewInt32Scalar(10), Max: scalar.NewInt32Scalar(20)},
		1:  {Min: scalar.NewFloat64Scalar(1), Max: scalar.NewFloat64Scalar(5)},
		2:  {Min: scalar.NewStringScalar("bb"), Max: scalar.NewStringScalar("bd"), Nulls: 3},
		3:  {Min: scalar.NewStringScalar("x"), Max: scalar.NewStringScalar("x"), Nulls: -1},
		4:  {Min: at("2023-01-01"), Max: at("2023-12-31")},
		5:  {Min: scalar.NewDate32Scalar(arrow.Date32(day("2024-03-01") / 86400)), Max: scalar.NewDate32Scalar(arrow.Date32(day("2024-03-31") / 86400))},
		6:  {Min: scalar.NewBooleanScalar(true), Max: scalar.NewBooleanScalar(true)},
		7:  {Nulls: 100},
		9:  {Min: scalar.NewInt64Scalar(100), Nulls: -1},
		10: {Min: scalar.NewInt64Scalar(9), Max: scalar.NewInt64Scalar(1)},
		11: {Min: scalar.NewFloat64Scalar(math.NaN()), Max: scalar.NewFloat64Scalar(math.NaN())},
		12: {Min: price("1.00"), Max: price("2.50")},
		13: {Nulls: 0},
		14: {Min: scalar.NewStringScalar("a"), Max: scalar.NewStringScalar("b")},
		15: {Min: scalar.NewFloat64Scalar(3), Max: scalar.NewFloat64Scalar(3)},
	}}
	schema := arrow.NewSchema(fields, nil)
	for _, c := range []struct {
		filter string
		want   bool
	}{
		{"i == 10", true},
		{"i == 9", false},
		{"i == 21", false},
		{"i != 9", true},
		{"i < 10", false},
		{"i <= 10", true},
		{"i > 20", false},
		{"i >= 20", true},
		{"9 > i", false},
		{"i < 9.5", false},
		{"i > 20.5", false},
		{"i == 10.5", false},
		{"i == 99999999999", false},
		{"i < 99999999999", true},
		{"i in [1, 2, 30]", false},
		{"i in [1, 2, 15]", true},
		{"i in [1, null]", false},
		{"!(i >= 10)", false},
		{"!(i < 15)", true},
		{"i < 15 && i > 30", false},
		{"i < 5 || i > 30", false},
		{"i < 5 || i == 12", true},
		{"i == null", false},
		{"i != null", true},
		{"i + 1 > 21", false},
		{"i + 1 > 20", true},
		{"i - 5 < 5", false},
		{"-i > -10", false},
		{"i * 2 > 100", true}, // products are not followed
		{"int(double(i)) > 20", false},
		{"double(i) > 20.0", false},
		{"string(i) == 'x'", true},
		{"i > u", true},
		{"low > i", true},
		{"low < i", false}, // 100 and more is not less than 20
		{"low <= 99", false},
		{"low > 1000000", true},
		{"f < 1.0", false},
		{"f > 5.0", false},
		{"f >= 5", true},
		{"!(f <= 5.0)", true}, // NaN is not
		{"!(f >= 1.0)", true},
		{"f != 3.0", true},
		{"f == f", true},
		{"!(f == f)", true},
		{"one == 3", true},
		{"one != 3.0", true},
		{"one != one", true},
		{"one > one", false},
		{"int(one) == null", true}, // of NaN
		{"int(f) > 20", true},
		{"int(i) == null", false},
		{"!(one >= one)", true},
		{"!(one in [3.0])", true},
		{"f > i", true}, // types differ, so it is not known
		{"!(f < i)", true},
		{"s == 'a'", false},
		{"s == 'bc'", true},
		{"s > 'be'", false},
		{"s < 'bb'", false},
		{"s in ['a', 'e']", false},
		{"s.startsWith('a')", false},
		{"s.startsWith('b')", true},
		{"s.startsWith('bb')", true},
		{"s.startsWith('bc')", true},
		{"s.startsWith('bd')", true},
		{"s.startsWith('be')", false},
		{"s.startsWith('c')", false},
		{"s.startsWith('')", true},
		{"!s.startsWith('b')", false}, // all begin so
		{"!s.startsWith('bb')", true},
		{"s.endsWith('z')", true},
		{"s == null", true},
		{"d == 'x'", true},
		{"d == 'y'", false},
		{"d != 'x'", false},
		{"d.startsWith('y')", false},
		{"d == null", true},
		{"at < timestamp('2023-01-01T00:00:00Z')", false},
		{"at >= timestamp('2023-06-01T00:00:00Z')", true},
		{"at.getFullYear() == 2023", true},
		{"at.getFullYear() == 2024", false},
		{"at.getMonth() == 0", true},
		{"at.getFullYear('Asia/Tokyo') == 2024", true},
		{"at + duration('24h') < timestamp('2023-01-02T00:00:00Z')", false},
		{"at - duration('48h') > timestamp('2023-12-29T00:00:00Z')", false},
		{"at > date('2023-12-31')", false},
		{"date(at) == date('2024-01-01')", false},
		{"at < day", true},
		{"at > day", true}, // units differ
		{"day == date('2024-03-15')", true},
		{"day > date('2024-03-31')", false},
		{"day > timestamp('2024-03-30T12:00:00Z')", true},
		{"yes", true},
		{"!yes", false},
		{"yes == false", false},
		{"yes && i > 5", true},
		{"yes ? i > 20 : i < 20", false},
		{"(yes ? i : 100) > 20", false},
		{"(i > 20 ? 1 : 2) == 1", false},
		{"(s == 'bb' ? i : 30) > 30", false},
		{"gone == 1", false},
		{"gone != 1", false},
		{"!(gone == 1)", false},
		{"gone == null", true},
		{"gone + 1 == null", true},
		{"gone != null", false},
		{"gone > i", false},
		{"gone == 1 || i == 10", true},
		{"(gone > 1 ? i : i) == 10", false},
		{"u > 1", true},
		{"mad == 5", true},
		{"mad > 9", true},
		{"nan > 1.0", true},
		{"price > 2.5", false},
		{"price == 1.001", false},
		{"price < 1", false},
		{"price == i", false},
		{"double(price) > 3.0", false},
		{"st.a == 1", true},
		{"st == null", false},
		{"st.a == null", true},
		{"odd == 1", true},
		{"true", true},
		{"false", false},
		{"1 == 2", false},
		{"i == 1 / 0", false},
		{"", true},
	} {
		plan := compile(t, scan.Query{Filter: c.filter}, schema)
		if got := plan.MayMatch(group); got != c.want {
			t.Errorf("%s: %v", c.filter, got)
		}
		if plan.MayMatch(rowGroup{}) {
			t.Errorf("%s: an empty row group may match", c.filter)
		}
	}
}

// Dictionaries are judged once, and again when another one comes.
func TestDictionariesThatChange(t *testing.T) {
	typ := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	column := func(dictionary string) arrow.Array {
		return array.NewDictionaryArray(typ, arrayOf(t, arrow.PrimitiveTypes.Int8, "[0, 1, null, 2]"), arrayOf(t, arrow.BinaryTypes.String, dictionary))
	}
	first, second := column(`["a", "b", null]`), column(`["b", "a", "b"]`)
	longer := array.NewDictionaryArray(typ, arrayOf(t, arrow.PrimitiveTypes.Int8, "[0, 1, null, 2]"), longDictionary(100_000))
	plan := compile(t, scan.Query{Columns: []string{"row_number"}, Filter: "x == 'a' || x in ['q', 'r', 's', 't', 'u'] || x.startsWith('z')"}, oneColumn(first).Schema())
	run := plan.Start(nil)
	for i, c := range []struct {
		column arrow.Array
		want   string
	}{{first, "[0]"}, {first, "[0]"}, {second, "[1]"}, {first, "[0]"}, {longer, "[1]"}} {
		out, err := run.Apply(t.Context(), oneColumn(c.column))
		if err != nil {
			t.Fatal(err)
		}
		if got := out.Column(0).String(); got != c.want {
			t.Errorf("batch %d: %s, expected %s", i, got, c.want)
		}
	}
}

// What does not follow the column's nulls is not judged for each value.
func TestDictionariesWithNulls(t *testing.T) {
	typ := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	batch := oneColumn(array.NewDictionaryArray(typ, arrayOf(t, arrow.PrimitiveTypes.Int8, "[0, 1, null, 2]"), arrayOf(t, arrow.BinaryTypes.String, `["a", "b", null]`)))
	for filter, want := range map[string]string{
		"x == 'a'":                            "TFNN",
		"x == null":                           "FFTT",
		"(x == null ? 'a' : x) == 'a'":        "TFTT",
		"(x == null ? 'a' : x) in ['a', 'b']": "TTTT",
		"x in ['a', null]":                    "TNNN",
		"!(x in ['a', 'q'])":                  "FTNN",
		"size(x) == 1":                        "TTNN",
		"x < x + 'z'":                         "TTNN",
		"x == 'a' || true":                    "TTTT",
		"x.matches('[a]') && x.contains('')":  "TFNN",
	} {
		if got := verdicts(t, filter, batch); got != want {
			t.Errorf("%s: %s, expected %s", filter, got, want)
		}
	}
}

// longDictionary has "-", "a", and then numbers.
func longDictionary(n int) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues([]string{"-", "a"}, nil)
	for range n {
		b.Append("0")
	}
	return b.NewArray()
}
