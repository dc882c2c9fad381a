package format_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// writtenTypes are those that are encoded by code of ours, and some that are not.
func writtenTypes() []arrow.DataType {
	types := append(flatTypes(),
		arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Uint8, arrow.PrimitiveTypes.Uint16, arrow.FixedWidthTypes.Time64ns, arrow.FixedWidthTypes.Duration_us,
		arrow.FixedWidthTypes.Timestamp_ms, arrow.FixedWidthTypes.Timestamp_ns, &arrow.TimestampType{Unit: arrow.Microsecond},
		&arrow.Decimal128Type{Precision: 5, Scale: 2}, &arrow.Decimal256Type{Precision: 50, Scale: 3}, arrow.FixedWidthTypes.Float16)
	for _, index := range []arrow.DataType{arrow.PrimitiveTypes.Uint8, arrow.PrimitiveTypes.Uint32, arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Uint64} {
		types = append(types, dictionaryOf(index, arrow.BinaryTypes.String))
	}
	return append(types, dictionaryOf(arrow.PrimitiveTypes.Int32, arrow.BinaryTypes.Binary))
}

// columnOf is a batch of one column.
func columnOf(column arrow.Array, isNullable bool) arrow.RecordBatch {
	schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: column.DataType(), Nullable: isNullable}}, nil)
	return array.NewRecordBatch(schema, []arrow.Array{column}, int64(column.Len()))
}

// columnIn are the only column's values in batches.
func columnIn(batches ...arrow.RecordBatch) []string {
	return valuesOf(array.NewTableFromRecords(batches[0].Schema(), batches))
}

// byUs are the values of a file of one column, as this package reads them.
func byUs(t testing.TB, data string) []string {
	t.Helper()
	table, err := read(t.Context(), lookup(t, format.Parquet), objects("parquet", data), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	return valuesOf(table)
}

func sameValues(t *testing.T, what string, want, got []string) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("%s: value %d is %s, want %s", what, i, got[i], want[i])
		}
	}
}

// What is written is read as it was, by pqarrow and by us, wherever batches begin and end, and its statistics are those of arrow-go's writer.
func TestParquetColumnsAreReadAsTheyWereWritten(t *testing.T) {
	for _, dt := range writtenTypes() {
		t.Run(dt.String(), func(t *testing.T) {
			for seed := range uint64(6) {
				r := rand.New(rand.NewPCG(seed, 13))
				isNullable := r.IntN(2) == 0
				whole := columnOf(randomColumn(t, r, dt, []int{1, 100, 5_000, 20_000}[r.IntN(4)], isNullable && r.IntN(4) > 0), isNullable)
				var batches []arrow.RecordBatch
				at := r.Int64N(whole.NumRows())
				for range 1 + r.IntN(4) { // some of them without rows
					n := r.Int64N(whole.NumRows() - at + 1)
					batches = append(batches, whole.NewSlice(at, at+n))
					at += n
				}
				data := written(t, format.Parquet, whole.Schema(), batches...)
				what := fmt.Sprintf("seed %d", seed)
				want := columnIn(batches...)
				sameValues(t, what+", by us", want, byUs(t, data))
				if dt.ID() != arrow.DICTIONARY && dt.ID() != arrow.DURATION { // they come by another type, without the schema that is stored
					sameValues(t, what+", by pqarrow", want, byPqarrow(t, data))
				}
				if len(want) > 0 && dt.ID() != arrow.DICTIONARY && dt.ID() != arrow.DURATION {
					sameStatistics(t, what, batches, data)
				}
			}
		})
	}
}

// sameStatistics compares a file's statistics with those that arrow-go writes of the batches.
func sameStatistics(t *testing.T, what string, batches []arrow.RecordBatch, data string) {
	t.Helper()
	all, err := array.Concatenate(chunksOf(batches), memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	shape := parquetShape{codec: compress.Codecs.Snappy, page: 1 << 20, rows: 1 << 20, dictionary: true, limit: 1 << 20}
	theirs, ours := statisticsOf(t, shape.write(t, columnOf(all, batches[0].Schema().Field(0).Nullable))), statisticsOf(t, data)
	if ours.HasBounds && ours.Max == "" {
		theirs.HasBounds = true // arrow-go leaves out the bounds of nothing but empty text
	}
	if d := cmp.Diff(theirs, ours); d != "" {
		t.Fatalf("%s: statistics (-arrow-go +ours):\n%s", what, d)
	}
}

func chunksOf(batches []arrow.RecordBatch) (chunks []arrow.Array) {
	for _, b := range batches {
		chunks = append(chunks, b.Column(0))
	}
	return chunks
}

// columnStatistics are those of the only column of a file's first row group.
type columnStatistics struct {
	Nulls     int64
	HasBounds bool
	Min, Max  string
}

func statisticsOf(t testing.TB, data string) columnStatistics {
	t.Helper()
	chunk := chunkOf(t, data, 0)
	s, err := chunk.Statistics()
	if err != nil || s == nil {
		t.Fatal("no statistics", err)
	}
	out := columnStatistics{Nulls: s.NullCount(), HasBounds: s.HasMinMax()}
	if out.HasBounds {
		out.Min, out.Max = string(s.EncodeMin()), string(s.EncodeMax())
	}
	return out
}

func chunkOf(t testing.TB, data string, group int) *metadata.ColumnChunkMetaData {
	t.Helper()
	f, err := file.NewParquetReader(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	chunk, err := f.MetaData().RowGroup(group).ColumnChunk(0)
	if err != nil {
		t.Fatal(err)
	}
	return chunk
}

// numbersOf are an array of a type that is laid out as T is.
func numbersOf[T int8 | uint8 | int64 | uint64 | float32 | float64](t arrow.DataType, values ...T) arrow.Array {
	buffers := []*memory.Buffer{nil, memory.NewBufferBytes(arrow.GetBytes(values))}
	return array.MakeFromData(array.NewData(t, len(values), buffers, nil, 0, 0))
}

func doubles(values ...float64) arrow.Array {
	return numbersOf(arrow.PrimitiveTypes.Float64, values...)
}

func floats(values ...float32) arrow.Array { return numbersOf(arrow.PrimitiveTypes.Float32, values...) }

func texts(values ...string) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	b.AppendValues(values, nil)
	return b.NewArray()
}

// plainOf is a number in Parquet's plain encoding.
func plainOf(v any) string {
	out, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic(err)
	}
	return string(out)
}

func TestParquetStatistics(t *testing.T) {
	nan, inf, negative := math.NaN(), math.Inf(1), math.Copysign(0, -1)
	bounds := func(least, most any) columnStatistics {
		return columnStatistics{0, true, plainOf(least), plainOf(most)}
	}
	text := func(least, most string) columnStatistics { return columnStatistics{0, true, least, most} }
	long := strings.Repeat("x", 4097)
	// many has a value twenty thousand times and others now and then, in a dictionary or not.
	many := func(distinct bool, special ...float64) arrow.Array {
		values := make([]float64, 20_000)
		for i := range values {
			if values[i] = 5; distinct {
				values[i] = 5 + float64(i)/20_000
			}
		}
		return doubles(slices.Concat(values, special)...)
	}
	for name, c := range map[string]struct {
		column arrow.Array
		want   columnStatistics
	}{
		"doubles":                             {doubles(2, -1, 3), bounds(-1.0, 3.0)},
		"NaN is in no bound":                  {doubles(nan, 2, nan, 1, nan), bounds(1.0, 2.0)},
		"nothing but NaN":                     {doubles(nan, nan), columnStatistics{}},
		"NaN among many":                      {many(false, nan), bounds(5.0, 5.0)},
		"NaN among many distinct":             {many(true, nan, 4), bounds(4.0, 5+19_999.0/20_000)},
		"infinity":                            {doubles(inf, 1), bounds(1.0, inf)},
		"nothing but infinity":                {doubles(-inf), bounds(-inf, -inf)},
		"zeros widen to both":                 {doubles(0), bounds(negative, 0.0)},
		"negative zeros widen to both":        {doubles(negative), bounds(negative, 0.0)},
		"zero as the most":                    {doubles(-1, negative), bounds(-1.0, 0.0)},
		"zero as the least among many":        {many(true, 0), bounds(negative, 5+19_999.0/20_000)},
		"floats":                              {floats(float32(nan), -2, 0), bounds(float32(-2), float32(0))},
		"zero floats":                         {floats(0), bounds(float32(negative), float32(0))},
		"text by its bytes":                   {texts("b", "ä", "aa", "a"), text("a", "ä")},
		"text that begins alike":              {texts("12345678b", "12345678", "12345678a", "1234567"), text("1234567", "12345678b")},
		"zeros in text":                       {texts("a\x00", "a", "a\x00\x00"), text("a", "a\x00\x00")},
		"empty text":                          {texts("", "a"), text("", "a")},
		"nothing but empty text":              {texts("", ""), text("", "")},
		"text too long for statistics":        {texts(long, long), columnStatistics{}},
		"large unsigned numbers of 64 bits":   {numbersOf[uint64](arrow.PrimitiveTypes.Uint64, 1, math.MaxUint64), bounds(uint64(1), uint64(math.MaxUint64))},
		"small unsigned numbers are unsigned": {numbersOf[uint8](arrow.PrimitiveTypes.Uint8, 1, 200), bounds(int32(1), int32(200))},
		"small numbers are signed":            {numbersOf[int8](arrow.PrimitiveTypes.Int8, -1, 100), bounds(int32(-1), int32(100))},
	} {
		t.Run(name, func(t *testing.T) {
			got := statisticsOf(t, written(t, format.Parquet, columnOf(c.column, false).Schema(), columnOf(c.column, false)))
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// series are n numbers, each of which is told by its place.
func series(n int, number func(i int) int) arrow.Array {
	values := make([]int64, n)
	for i := range values {
		values[i] = int64(number(i))
	}
	return numbersOf(arrow.PrimitiveTypes.Int64, values...)
}

// seriesOfText are the same as text of so many digits.
func seriesOfText(n, width int, number func(i int) int) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	for i := range n {
		digits := fmt.Sprint(number(i))
		b.Append(strings.Repeat("0", width-len(digits)) + digits)
	}
	return b.NewArray()
}

func nulls(t arrow.DataType, n int) arrow.Array {
	return array.MakeArrayOfNull(memory.DefaultAllocator, t, n)
}

// Values that repeat are in a dictionary, as long as it does not grow too large.
func TestParquetDictionaries(t *testing.T) {
	itself := func(i int) int { return i }
	oneOf := func(n int) func(int) int { return func(i int) int { return i % n } }
	few, more := 20_000, 150_000
	fewFirst := func(i int) int { return max(i-few, i%10) } // ten, and then each a new one
	for name, c := range map[string]struct {
		columns []arrow.Array // one after the other
		want    []string      // kinds of pages
	}{
		"one number":                {[]arrow.Array{series(1, itself)}, []string{"values"}},
		"numbers that repeat":       {[]arrow.Array{series(more, oneOf(10))}, []string{"dictionary", "indices"}},
		"few that repeat":           {[]arrow.Array{series(10, oneOf(2))}, []string{"dictionary", "indices"}},
		"always the same":           {[]arrow.Array{series(more, oneOf(1))}, []string{"dictionary", "indices"}},
		"numbers that do not":       {[]arrow.Array{series(more, itself)}, []string{"values"}},
		"numbers that soon do not":  {[]arrow.Array{series(more, fewFirst)}, []string{"dictionary", "indices", "values"}},
		"text that repeats":         {[]arrow.Array{seriesOfText(more, 8, oneOf(1000))}, []string{"dictionary", "indices"}},
		"text that does not":        {[]arrow.Array{seriesOfText(more, 8, itself)}, []string{"values"}},
		"text that soon does not":   {[]arrow.Array{seriesOfText(more, 8, fewFirst)}, []string{"dictionary", "indices", "values"}},
		"long text":                 {[]arrow.Array{seriesOfText(4, 3<<20, itself)}, []string{"values"}},
		"long text, later":          {[]arrow.Array{seriesOfText(few, 8, oneOf(10)), seriesOfText(3, 3<<20, oneOf(2))}, []string{"dictionary", "indices", "values"}},
		"nulls":                     {[]arrow.Array{nulls(arrow.PrimitiveTypes.Int64, more)}, []string{"dictionary", "indices"}},
		"text after nulls":          {[]arrow.Array{nulls(arrow.BinaryTypes.String, more), seriesOfText(few, 8, oneOf(9))}, []string{"dictionary", "indices"}},
		"distinct text after nulls": {[]arrow.Array{nulls(arrow.BinaryTypes.String, more), seriesOfText(few, 8, itself)}, []string{"dictionary", "indices", "values"}},
	} {
		t.Run(name, func(t *testing.T) {
			var batches []arrow.RecordBatch
			nulls := 0
			for _, column := range c.columns {
				batches = append(batches, columnOf(column, true))
				nulls += column.NullN()
			}
			data := written(t, format.Parquet, batches[0].Schema(), batches...)
			if d := cmp.Diff(c.want, kindsOfPages(t, data)); d != "" {
				t.Errorf("pages (-want +got):\n%s", d)
			}
			if got := statisticsOf(t, data).Nulls; got != int64(nulls) {
				t.Errorf("%d nulls, want %d", got, nulls)
			}
			sameValues(t, "by us", columnIn(batches...), byUs(t, data))
			sameValues(t, "by pqarrow", columnIn(batches...), byPqarrow(t, data))
		})
	}
}

// kindsOfPages are those of the only column of a file, each once where some of a kind follow one another. What the metadata says of them is made
// sure of.
func kindsOfPages(t *testing.T, data string) (kinds []string) {
	t.Helper()
	f, err := file.NewParquetReader(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := f.RowGroup(0).GetColumnPageReader(0)
	if err != nil {
		t.Fatal(err)
	}
	values := int64(0)
	for pages.Next() {
		kind := "values"
		switch page := pages.Page().(type) {
		case *file.DictionaryPage:
			kind = "dictionary"
		case *file.DataPageV1:
			values += int64(page.NumValues())
			if parquet.Encoding(page.Encoding()) == parquet.Encodings.RLEDict {
				kind = "indices"
			}
			if len(page.Data()) > 4<<20 {
				t.Errorf("a page of %d bytes", len(page.Data()))
			}
		default:
			t.Errorf("unexpected page %T", page)
		}
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if err := pages.Err(); err != nil {
		t.Fatal(err)
	}
	chunk := chunkOf(t, data, 0)
	if chunk.NumValues() != values || chunk.HasDictionaryPage() != slices.Contains(kinds, "dictionary") {
		t.Errorf("the metadata tell of %d values and of a dictionary: %t; there are %d in pages of %s", chunk.NumValues(), chunk.HasDictionaryPage(), values, kinds)
	}
	return kinds
}

// Each row group has a dictionary of its own, and so have the batches of a column that has one in memory.
func TestParquetDictionariesEndWithTheRowGroup(t *testing.T) {
	dt := dictionaryOf(arrow.PrimitiveTypes.Int8, arrow.BinaryTypes.String)
	batch := func(rows int, known string) arrow.RecordBatch {
		values, _, err := array.FromJSON(memory.DefaultAllocator, arrow.BinaryTypes.String, strings.NewReader(known))
		if err != nil {
			t.Fatal(err)
		}
		indices := make([]int8, rows)
		for i := range indices {
			indices[i] = int8(i % values.Len())
		}
		column := array.NewDictionaryArray(dt, numbersOf(arrow.PrimitiveTypes.Int8, indices...), values)
		return array.NewRecordBatch(arrow.NewSchema([]arrow.Field{nullable("c", dt)}, nil), []arrow.Array{column}, int64(rows))
	}
	batches := []arrow.RecordBatch{batch(10, `["a","b","c"]`), batch(1<<20-8, `["b","d"]`), batch(100, `["a","d",null]`), batch(10, `["d",null]`)}
	data := written(t, format.Parquet, batches[0].Schema(), batches...)
	sameValues(t, "by us", columnIn(batches...), byUs(t, data))
	for group, want := range map[int][2]string{0: {"a", "d"}, 1: {"a", "d"}} {
		s, err := chunkOf(t, data, group).Statistics()
		if err != nil || string(s.EncodeMin()) != want[0] || string(s.EncodeMax()) != want[1] {
			t.Errorf("row group %d: bounds %q and %q, %v, want %q", group, s.EncodeMin(), s.EncodeMax(), err, want)
		}
	}
}

// Whether there is a dictionary is decided for each row group.
func TestParquetDictionariesOfEachRowGroup(t *testing.T) {
	few, many := func(i int) int { return i % 10 }, func(i int) int { return i }
	for _, order := range [][]func(int) int{{few, many}, {many, few}} {
		var batches []arrow.RecordBatch
		for _, f := range order {
			batches = append(batches, columnOf(series(1<<20, f), false)) // as many rows as a row group has
		}
		data := written(t, format.Parquet, batches[0].Schema(), batches...)
		for group, f := range order {
			if got, want := chunkOf(t, data, group).HasDictionaryPage(), f(10) == 0; got != want {
				t.Errorf("row group %d has a dictionary: %t, want %t", group, got, want)
			}
		}
	}
}

// Rows of few long values take as little in a file as in memory, and to write them does not take more.
func TestParquetDictionariesAreNotExpanded(t *testing.T) {
	column := array.NewDictionaryArray(dictionaryOf(arrow.PrimitiveTypes.Int8, arrow.BinaryTypes.String),
		numbersOf(arrow.PrimitiveTypes.Int8, slices.Repeat([]int8{0, 1}, 50_000)...), seriesOfText(2, 1<<20, func(i int) int { return i }))
	batch := columnOf(column, false) // of 2 MiB, or 100 GiB
	data := written(t, format.Parquet, batch.Schema(), batch, batch)
	if d := cmp.Diff([]string{"dictionary", "indices"}, kindsOfPages(t, data)); d != "" || len(data) > 1<<20 {
		t.Errorf("a file of %d bytes, pages (-want +got):\n%s", len(data), d)
	}
}

// What is not used of a dictionary is not in the file.
func TestParquetHasNoValuesThatNoRowHas(t *testing.T) {
	column, _, err := array.FromJSON(memory.DefaultAllocator, dictionaryOf(arrow.PrimitiveTypes.Int8, arrow.BinaryTypes.String), strings.NewReader(`["secret","a","a","a"]`))
	if err != nil {
		t.Fatal(err)
	}
	batch := columnOf(array.NewSlice(column, 1, 4), true)
	data := written(t, format.Parquet, batch.Schema(), batch)
	if strings.Contains(data, "secret") {
		t.Error("a value that no row has is in the file")
	}
	sameValues(t, "by us", []string{"a", "a", "a"}, byUs(t, data))
}

// Columns that pqarrow encodes stand between those that it does not.
func TestParquetOfMixedColumns(t *testing.T) {
	decimals := array.NewDecimal128Builder(memory.DefaultAllocator, &arrow.Decimal128Type{Precision: 20, Scale: 2})
	for i := range 3 {
		decimals.Append(decimal128.FromI64(int64(i)))
	}
	first := table3(memory.DefaultAllocator)
	fields := append(first.Schema().Fields(), nullable("d", decimals.Type()), nullable("last", arrow.PrimitiveTypes.Int64))
	columns := append(first.Columns(), decimals.NewArray(), numbersOf[int64](arrow.PrimitiveTypes.Int64, 7, 8, 9))
	batch := array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, 3)
	data := written(t, format.Parquet, batch.Schema(), batch, batch.NewSlice(1, 2))
	table, err := read(t.Context(), lookup(t, format.Parquet), objects("parquet", data), 0)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(values(array.NewTableFromRecords(batch.Schema(), []arrow.RecordBatch{batch, batch.NewSlice(1, 2)})), values(table)); d != "" {
		t.Errorf("(-written +read):\n%s", d)
	}
}
