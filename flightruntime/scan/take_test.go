package scan_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

// everyType has an array of each of Arrow's layouts, with some nulls and with elements of different sizes.
func everyType(t testing.TB) map[string]arrow.Array {
	const (
		numbers = `[1, null, 3, 4, -5, null, 7, 0, 9, 10]`
		texts   = `["a", null, "", "größe", "longer than twelve bytes", "b", null, "x", "y", "another one that is long"]`
		bins    = `["YQ==", null, "", "/w==", "bG9uZ2VyIHRoYW4gdHdlbHZlIGJ5dGVz", "Yg==", null, "eA==", "eQ==", "eg=="]`
		lists   = `[[1, 2], null, [], [3, null, 5], [6], [7, 8, 9], null, [], [0], [10]]`
		pairs   = `[[1, 2], null, [3, null], [5, 6], [7, 8], [9, 10], null, [0, 0], [null, null], [1, 1]]`
		structs = `[{"n": 1, "s": "a"}, null, {"n": null, "s": "b"}, {"n": 3, "s": null}, {"n": 4, "s": "c"}, {}, null, {"n": 7, "s": ""}, {"n": 8, "s": "x"}, {"n": 9, "s": "y"}]`
		maps    = `[[{"key": "a", "value": 1}], null, [], [{"key": "b", "value": null}, {"key": "c", "value": 3}], [], [], null, [{"key": "d", "value": 4}], [], []]`
		spans   = `[{"months": 1, "days": 2, "nanoseconds": 3}, null, {"months": 0, "days": 0, "nanoseconds": -1}, null, null, {"months": 4, "days": 5, "nanoseconds": 6}, null, null, null, {"months": 7, "days": 8, "nanoseconds": 9}]`
		days    = `[{"days": 2, "milliseconds": 3}, null, {"days": 0, "milliseconds": -1}, null, null, {"days": 5, "milliseconds": 6}, null, null, null, {"days": 8, "milliseconds": 9}]`
		prices  = `["1.10", null, "-3.00", "0.00", "5.25", null, "7.00", "8.01", "9.99", "10.00"]`
	)
	numeric := arrow.PrimitiveTypes
	text := arrow.BinaryTypes
	fixed := arrow.FixedWidthTypes
	record := arrow.StructOf(nullable("n", numeric.Int16), nullable("s", text.String))
	positive := strings.ReplaceAll(numbers, "-5", "5")
	out := map[string]arrow.Array{
		"null":               arrayOf(t, arrow.Null, `[null, null, null, null, null, null, null, null, null, null]`),
		"bool":               arrayOf(t, fixed.Boolean, `[true, null, false, true, true, null, false, false, true, false]`),
		"int8":               arrayOf(t, numeric.Int8, numbers),
		"int16":              arrayOf(t, numeric.Int16, numbers),
		"int32":              arrayOf(t, numeric.Int32, numbers),
		"int64":              arrayOf(t, numeric.Int64, numbers),
		"uint8":              arrayOf(t, numeric.Uint8, positive),
		"uint16":             arrayOf(t, numeric.Uint16, positive),
		"uint32":             arrayOf(t, numeric.Uint32, positive),
		"uint64":             arrayOf(t, numeric.Uint64, positive),
		"float16":            arrayOf(t, fixed.Float16, numbers),
		"float32":            arrayOf(t, numeric.Float32, numbers),
		"float64":            arrayOf(t, numeric.Float64, numbers),
		"decimal32":          arrayOf(t, &arrow.Decimal32Type{Precision: 5, Scale: 2}, prices),
		"decimal64":          arrayOf(t, &arrow.Decimal64Type{Precision: 12, Scale: 2}, prices),
		"decimal128":         arrayOf(t, &arrow.Decimal128Type{Precision: 30, Scale: 2}, prices),
		"decimal256":         arrayOf(t, &arrow.Decimal256Type{Precision: 50, Scale: 2}, prices),
		"date32":             arrayOf(t, fixed.Date32, numbers),
		"date64":             arrayOf(t, fixed.Date64, numbers),
		"time32":             arrayOf(t, fixed.Time32ms, positive),
		"time64":             arrayOf(t, fixed.Time64ns, positive),
		"timestamp":          arrayOf(t, &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "Europe/Berlin"}, numbers),
		"duration":           arrayOf(t, fixed.Duration_us, numbers),
		"months":             arrayOf(t, fixed.MonthInterval, `[{"months": 1}, null, {"months": 3}, null, null, null, {"months": 7}, null, {"months": 9}, null]`),
		"days and time":      arrayOf(t, fixed.DayTimeInterval, days),
		"months and days":    arrayOf(t, fixed.MonthDayNanoInterval, spans),
		"string":             arrayOf(t, text.String, texts),
		"large string":       arrayOf(t, text.LargeString, texts),
		"string view":        arrayOf(t, text.StringView, texts),
		"binary":             arrayOf(t, text.Binary, bins),
		"large binary":       arrayOf(t, text.LargeBinary, bins),
		"binary view":        arrayOf(t, text.BinaryView, bins),
		"fixed size binary":  arrayOf(t, &arrow.FixedSizeBinaryType{ByteWidth: 3}, `["YWJj", null, "AAAA", "AQID", "YWJj", "AQID", null, "AAAA", "YWJj", "AQID"]`),
		"list":               arrayOf(t, arrow.ListOf(numeric.Int32), lists),
		"large list":         arrayOf(t, arrow.LargeListOf(numeric.Int32), lists),
		"list view":          arrayOf(t, arrow.ListViewOf(numeric.Int32), lists),
		"large list view":    arrayOf(t, arrow.LargeListViewOf(numeric.Int32), lists),
		"fixed size list":    arrayOf(t, arrow.FixedSizeListOf(2, numeric.Int32), pairs),
		"list of lists":      arrayOf(t, arrow.ListOf(arrow.ListOf(numeric.Int8)), `[[[1], []], null, [], [null, [2, 3]], [[4]], [], null, [[5]], [[]], [[6], [7]]]`),
		"struct":             arrayOf(t, record, structs),
		"list of structs":    arrayOf(t, arrow.ListOf(record), `[[{"n": 1}], null, [], [null, {"s": "a"}], [{"n": 2}], [], null, [{"n": 3}], [{}], [{"n": 4, "s": "b"}]]`),
		"map":                arrayOf(t, arrow.MapOf(text.String, numeric.Int32), maps),
		"dictionary":         arrayOf(t, &arrow.DictionaryType{IndexType: numeric.Int8, ValueType: text.String}, texts),
		"ordered dictionary": arrayOf(t, &arrow.DictionaryType{IndexType: numeric.Uint16, ValueType: numeric.Int64, Ordered: true}, numbers),
		"list of dictionary": arrayOf(t, arrow.ListOf(&arrow.DictionaryType{IndexType: numeric.Int32, ValueType: numeric.Int32}), lists),
		"runs":               arrayOf(t, arrow.RunEndEncodedOf(numeric.Int16, text.String), `["a", "a", "a", null, null, "b", "a", "a", "c", "c"]`),
		"long runs":          arrayOf(t, arrow.RunEndEncodedOf(numeric.Int64, numeric.Int32), `[1, 1, 1, 1, 1, 1, null, 2, 2, 2]`),
		"runs of structs":    arrayOf(t, arrow.RunEndEncodedOf(numeric.Int32, record), structs),
		"empty lists":        arrayOf(t, arrow.ListOf(text.String), `[[], null, [], [], [], [], null, [], [], []]`),
		"sparse union":       unionOf(arrow.SparseMode),
		"dense union":        unionOf(arrow.DenseMode),
	}
	uuids := arrayOf(t, extensions.NewUUIDType(), `["00000000-0000-0000-0000-000000000001", null, "00000000-0000-0000-0000-000000000003", null, null,
		"00000000-0000-0000-0000-000000000006", null, null, null, "00000000-0000-0000-0000-00000000000a"]`)
	out["extension"] = uuids
	out["extension of bool"] = array.NewExtensionArrayWithStorage(extensions.NewBool8Type(), out["int8"])
	return out
}

// unionOf is a union of numbers and strings.
func unionOf(mode arrow.UnionMode) arrow.Array {
	mem := memory.DefaultAllocator
	fields := []arrow.Field{nullable("n", arrow.PrimitiveTypes.Int64), nullable("s", arrow.BinaryTypes.String)}
	codes := []arrow.UnionTypeCode{3, 5}
	var b array.UnionBuilder
	if mode == arrow.SparseMode {
		b = array.NewSparseUnionBuilder(mem, arrow.SparseUnionOf(fields, codes))
	} else {
		b = array.NewDenseUnionBuilder(mem, arrow.DenseUnionOf(fields, codes))
	}
	defer b.Release()
	for i := range 10 {
		n, s := b.Child(0).(*array.Int64Builder), b.Child(1).(*array.StringBuilder)
		if i%3 == 0 {
			b.Append(codes[1])
			s.Append(strings.Repeat("s", i))
			if mode == arrow.SparseMode {
				n.AppendNull()
			}
			continue
		}
		b.Append(codes[0])
		n.Append(int64(i))
		if mode == arrow.SparseMode {
			s.AppendNull()
		}
	}
	return b.NewArray()
}

// Every type passes a filter on another column, whichever rows match, out of whichever slice.
func TestEveryTypePassesAFilter(t *testing.T) {
	keeps := map[string][]int64{"none": {}, "all": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, "one": {3}, "side by side": {2, 3, 4, 5}, "scattered": {0, 3, 4, 6, 9}, "ends": {0, 9}, "every other": {1, 3, 5, 7}}
	for name, whole := range everyType(t) {
		if whole.Len() != 10 {
			t.Fatalf("%s has %d rows", name, whole.Len())
		}
		for _, from := range []int64{0, 1, 3} {
			part := array.NewSlice(whole, from, 10)
			for keep, rows := range keeps {
				mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
				batch := oneColumn(part)
				var want []int64
				list := ""
				for _, row := range rows {
					if row < int64(part.Len()) {
						want = append(want, row)
					}
					list += "," + string('0'+rune(row))
				}
				filter := "row_number in [" + strings.TrimPrefix(list, ",") + "]"
				out := apply(t, mem, scan.Query{Filter: filter}, batch)
				if d := cmp.Diff(want, append([]int64(nil), out.Column(0).(*array.Int64).Int64Values()...)); d != "" {
					t.Errorf("%s from %d, %s: %s", name, from, keep, d)
				}
				got := out.Column(1)
				for i, row := range want {
					if !array.SliceEqual(got, int64(i), int64(i+1), part, row, row+1) {
						t.Errorf("%s from %d, %s: row %d is %s instead of %s", name, from, keep, i, got.ValueStr(i), part.ValueStr(int(row)))
					}
				}
				// What is but a slice is as valid as arrow-go's builders made it, which for runs they do not by their own standard.
				copied := len(want) > 0 && want[len(want)-1]-want[0] >= int64(len(want))
				if err := array.ValidateFull(got); err != nil && copied {
					t.Errorf("%s from %d, %s: %v", name, from, keep, err)
				}
				out.Release()
				mem.AssertSize(t, 0)
			}
		}
	}
}

// What matches entirely is not copied, and neither are rows that stand side by side.
func TestRowsSideBySideAreNotCopied(t *testing.T) {
	batch := oneColumn(arrayOf(t, arrow.PrimitiveTypes.Int64, "[1, 2, 3, 4, 5]"))
	values := batch.Column(1).(*array.Int64).Int64Values()
	for filter, first := range map[string]int{"x > 0": 0, "x > 1 && x < 4": 1, "": 0} {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		out := apply(t, mem, scan.Query{Filter: filter}, batch)
		if &out.Column(1).(*array.Int64).Int64Values()[0] != &values[first] || mem.CurrentAlloc() != 0 {
			t.Errorf("%s: copied", filter)
		}
		out.Release()
	}
}

func TestColumnsAreProjectedInTheOrderAskedFor(t *testing.T) {
	batch := rides(t)
	fieldMetadata := arrow.NewMetadata([]string{"unit"}, []string{"EUR"})
	metadata := arrow.NewMetadata([]string{"origin"}, []string{"meter"})
	fields := append([]arrow.Field(nil), batch.Schema().Fields()...)
	fields[5].Metadata = fieldMetadata // fare
	schema := arrow.NewSchema(fields, &metadata)
	batch = array.NewRecordBatch(schema, batch.Columns(), batch.NumRows())
	plan := compile(t, scan.Query{Columns: []string{"fare", "id"}, Filter: "paid && address.city == 'Amsterdam'"}, schema)
	if d := cmp.Diff([]int{1, 5, 12, 19}, plan.Columns()); d != "" {
		t.Errorf("columns that are read: %s", d)
	}
	if got := plan.Schema(); got.NumFields() != 2 || got.Field(0).Name != "fare" || !got.Field(0).Metadata.Equal(fieldMetadata) || !got.Metadata().Equal(metadata) {
		t.Errorf("schema: %s", got)
	}
	out := apply(t, nil, scan.Query{Columns: []string{"fare", "id"}, Filter: "paid && address.city == 'Amsterdam'"}, batch)
	if d := cmp.Diff("fare: [10.5]\nid: [1]\n", show(out)); d != "" {
		t.Error(d)
	}
	all := compile(t, scan.Query{}, schema)
	if !all.Schema().Equal(schema) || len(all.Columns()) != len(fields) || all.Filters() {
		t.Errorf("without columns and filter: %s", all.Schema())
	}
}

// No columns at all are rows that are counted, as in pyarrow's to_table(columns=[]).
func TestNoColumnsAreRowsThatAreCounted(t *testing.T) {
	batch := rides(t)
	for filter, rows := range map[string]int64{"": 5, "id > 1": 3, "id == 1 || id == 3": 2, "id > 1 && id < 1": 0} {
		out := apply(t, nil, scan.Query{Columns: []string{}, Filter: filter}, batch)
		if out.NumCols() != 0 || out.NumRows() != rows {
			t.Errorf("%s: %d columns, %d rows", filter, out.NumCols(), out.NumRows())
		}
	}
	if got := compile(t, scan.Query{Columns: []string{}}, batch.Schema()).Columns(); len(got) != 0 {
		t.Errorf("%v are read", got)
	}
}

// The limit holds for the whole stream, and what is beyond it is not even evaluated.
func TestLimit(t *testing.T) {
	batch := oneColumn(arrayOf(t, arrow.PrimitiveTypes.Int64, "[1, null, 3, 4, 5]"))
	for _, c := range []struct {
		filter string
		limit  int64
		want   [][]int64 // of each of three batches
	}{
		{"", 0, [][]int64{{}, {}, {}}},
		{"", 3, [][]int64{{0, 1, 2}, {}, {}}},
		{"", 5, [][]int64{{0, 1, 2, 3, 4}, {}, {}}},
		{"", 7, [][]int64{{0, 1, 2, 3, 4}, {0, 1}, {}}},
		{"x > 0", 0, [][]int64{{}, {}, {}}},
		{"x > 0", 1, [][]int64{{0}, {}, {}}},
		{"x > 0", 6, [][]int64{{0, 2, 3, 4}, {0, 2}, {}}},
		{"x > 3", 3, [][]int64{{3, 4}, {3}, {}}},
		{"x > 3", 100, [][]int64{{3, 4}, {3, 4}, {3, 4}}},
	} {
		plan := compile(t, scan.Query{Filter: c.filter, Limit: &c.limit}, batch.Schema())
		run := plan.Start(nil)
		left := c.limit
		for i, want := range c.want {
			if run.Done() != (left == 0) {
				t.Errorf("%q limit %d, batch %d: done is %v", c.filter, c.limit, i, run.Done())
			}
			out, err := run.Apply(t.Context(), batch)
			if err != nil {
				t.Fatal(err)
			}
			got := append([]int64{}, out.Column(0).(*array.Int64).Int64Values()...)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%q limit %d, batch %d: %s", c.filter, c.limit, i, d)
			}
			left -= out.NumRows()
			out.Release()
		}
		if limit, ok := plan.Limit(); limit != c.limit || !ok {
			t.Errorf("limit %d: %d, %v", c.limit, limit, ok)
		}
	}
	if _, ok := compile(t, scan.Query{}, batch.Schema()).Limit(); ok {
		t.Error("a limit where there is none")
	}
}

func TestApplyEndsWhenCancelled(t *testing.T) {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	for range 100_000 {
		b.Append("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	}
	batch := oneColumn(b.NewArray())
	plan := compile(t, scan.Query{Filter: "x.matches('(a|b|c|aa)*d')"}, batch.Schema())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		in := input(plan, batch)
		var err error
		for run := plan.Start(nil); err == nil; {
			_, err = run.Apply(ctx, in)
		}
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// expiring is a context that ends after it was asked some times.
type expiring struct {
	context.Context
	left int
}

func (e *expiring) Err() error {
	if e.left--; e.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// Whenever the context ends, the answer is its error or right, and what was judged by halves is judged again.
func TestApplyEndsAtAnyTime(t *testing.T) {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	codes := array.NewInt32Builder(memory.DefaultAllocator)
	for i := range 3000 {
		b.Append(strings.Repeat("x", i%7))
		codes.Append(int32(i))
	}
	typ := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	words := b.NewArray()
	dictionary := array.NewDictionaryArray(typ, codes.NewArray(), words)
	for _, column := range []arrow.Array{words, dictionary} {
		plan := compile(t, scan.Query{Columns: []string{}, Filter: "x.endsWith('xxxx')"}, oneColumn(column).Schema())
		in := input(plan, oneColumn(column))
		right, ended := 0, 0
		run := plan.Start(nil)
		for left := range 200 {
			out, err := run.Apply(&expiring{t.Context(), left}, in)
			switch {
			case errors.Is(err, context.DeadlineExceeded):
				ended++
			case err != nil:
				t.Fatal(err)
			default:
				right++
				if want := int64(3000/7*3 + 3000%7 - 4); out.NumRows() != want {
					t.Fatalf("%s, ends after being asked %d times: %d rows instead of %d", column.DataType(), left, out.NumRows(), want)
				}
			}
		}
		if right == 0 || ended == 0 {
			t.Errorf("%s: %d ended, %d were right", column.DataType(), ended, right)
		}
	}
}

func TestApplyRefusesOtherBatches(t *testing.T) {
	batch := oneColumn(arrayOf(t, arrow.PrimitiveTypes.Int64, "[1, 2]"))
	run := compile(t, scan.Query{Filter: "x > 0"}, batch.Schema()).Start(nil)
	other := oneColumn(arrayOf(t, arrow.PrimitiveTypes.Int32, "[1, 2]"))
	for want, batch := range map[string]arrow.RecordBatch{
		`column "x" of a batch is int32: expected int64`:             other,
		"a batch has 1 columns: expected the 2 that the query needs": array.NewRecordBatch(arrow.NewSchema(other.Schema().Fields()[:1], nil), other.Columns()[:1], 2),
	} {
		if _, err := run.Apply(t.Context(), batch); err == nil || err.Error() != want {
			t.Errorf("got %v, expected %s", err, want)
		}
	}
}

// An allocator that refuses, which it can do by a panic only, ends the query with its own error, and gets all back that it gave.
func TestApplyReportsWhatTheAllocatorRefuses(t *testing.T) {
	batch := oneColumn(everyType(t)["list of structs"])
	checked := memory.NewCheckedAllocator(memory.NewGoAllocator())
	for allocations := range 8 {
		mem := &miser{Allocator: checked, left: allocations}
		out, err := compile(t, scan.Query{Filter: "row_number in [0, 3, 9]"}, batch.Schema()).Start(mem).Apply(t.Context(), batch)
		if !errors.Is(err, errMiser) || out != nil {
			t.Errorf("after %d allocations: %v", allocations, err)
		}
		checked.AssertSize(t, 0)
	}
}

var errMiser = errors.New("no more memory")

// miser refuses memory after some allocations.
type miser struct {
	memory.Allocator
	left int
}

func (m *miser) Allocate(size int) []byte {
	if m.left == 0 {
		panic(errMiser)
	}
	m.left--
	return m.Allocator.Allocate(size)
}

// A column that contradicts itself is an error, in the words of nobody's runtime.
func TestApplyReportsDamage(t *testing.T) {
	offsets := memory.NewBufferBytes(arrow.Int32Traits.CastToBytes([]int32{0, 5, 1 << 30}))
	damaged := array.MakeFromData(array.NewData(arrow.ListOf(arrow.PrimitiveTypes.Int64), 2, []*memory.Buffer{nil, offsets},
		[]arrow.ArrayData{arrayOf(t, arrow.PrimitiveTypes.Int64, "[1, 2]").Data()}, 0, 0))
	batch := oneColumn(damaged)
	for _, filter := range []string{"x[4] == 1", "1 in x"} {
		plan := compile(t, scan.Query{Columns: []string{"row_number"}, Filter: filter}, batch.Schema())
		in := input(plan, batch)
		if _, err := plan.Start(nil).Apply(t.Context(), in); err == nil || strings.Contains(err.Error(), "runtime error") {
			t.Errorf("%s: %v", filter, err)
		}
	}
}

// One plan serves many streams at a time.
func TestPlanIsForManyGoroutines(t *testing.T) {
	batch := rides(t)
	plan := compile(t, scan.Query{Columns: []string{"id"}, Filter: "city in ['ams', 'ber'] || tags[id - 1] == 'x' || city.matches('q')"}, batch.Schema())
	done := make(chan error)
	for range 8 {
		go func() {
			in := input(plan, batch)
			run := plan.Start(nil)
			for range 100 + rand.IntN(100) {
				out, err := run.Apply(context.Background(), in)
				if err == nil && out.NumRows() != 2 {
					err = errors.New("other rows")
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
