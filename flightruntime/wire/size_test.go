package wire

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/internal/arrowtest"
)

// batchSizes are the encoded sizes of all messages but the first, which is the schema.
func batchSizes(received []*flight.FlightData) []int {
	all := make([]int, 0, len(received))
	for _, m := range received[1:] {
		all = append(all, proto.Size(m))
	}
	return all
}

// repeated is a batch of the one row given as a JSON object, over and over.
func repeated(t testing.TB, dt arrow.DataType, value string, rows int) arrow.RecordBatch {
	t.Helper()
	one := fmt.Sprintf(`{"c":%s}`, value)
	return fromJSON(t, column(dt), "["+strings.Repeat(one+",", rows-1)+one+"]")
}

func TestLargeBatchesAreCutNearTheTarget(t *testing.T) {
	text := `"` + strings.Repeat("x", 1000) + `"`
	union := []arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: "s", Type: arrow.BinaryTypes.String}}
	for _, tt := range []struct {
		name  string
		batch arrow.RecordBatch
	}{
		{"numbers", numbers(column(arrow.PrimitiveTypes.Int64), 1<<20)},
		{"booleans", repeated(t, arrow.FixedWidthTypes.Boolean, "true", 100_000)},
		{"strings", repeated(t, arrow.BinaryTypes.String, text, 3000)},
		{"large strings", repeated(t, arrow.BinaryTypes.LargeString, text, 3000)},
		{"string views", repeated(t, arrow.BinaryTypes.StringView, text, 3000)},
		{"lists", repeated(t, arrow.ListOf(arrow.BinaryTypes.String), "["+text+"]", 3000)},
		{"lists of string views", repeated(t, arrow.ListOf(arrow.BinaryTypes.StringView), "["+text+"]", 3000)},
		{"large lists of string views", repeated(t, arrow.LargeListOf(arrow.BinaryTypes.StringView), "["+text+"]", 3000)},
		{"list views", repeated(t, arrow.ListViewOf(arrow.BinaryTypes.String), "["+text+"]", 3000)},
		{"large list views", repeated(t, arrow.LargeListViewOf(arrow.BinaryTypes.String), "["+text+"]", 3000)},
		{"fixed-size lists of binary views", repeated(t, arrow.FixedSizeListOf(2, arrow.BinaryTypes.BinaryView), `["`+strings.Repeat("AAEC", 100)+`","AAEC"]`, 6000)},
		{"structs of string views", repeated(t, arrow.StructOf(arrow.Field{Name: "s", Type: arrow.BinaryTypes.StringView}), `{"s":`+text+`}`, 3000)},
		{"maps", repeated(t, arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int32), `[{"key":`+text+`,"value":1}]`, 3000)},
		{"dense unions", repeated(t, arrow.DenseUnionOf(union, []arrow.UnionTypeCode{3, 9}), `[9,`+text+`]`, 3000)},
		{"sparse unions", repeated(t, arrow.SparseUnionOf(union, []arrow.UnionTypeCode{3, 9}), `[9,`+text+`]`, 3000)},
		{"one row much larger than the others", withOneLarge(t, 100_000)},
		{"large rows first", largeRowsFirst(t)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			received := mustReceive(t, tt.batch.Schema(), noLimit, tt.batch)
			_, got := decode(t, received)
			wantSameRows(t, tt.batch.Schema(), got, []arrow.RecordBatch{tt.batch})
			sizes := batchSizes(received)
			if largest := slices.Max(sizes); largest > 2*TargetMessageBytes {
				t.Errorf("the largest of %d messages has %d bytes, want at most %d", len(sizes), largest, 2*TargetMessageBytes)
			}
			total := 0
			for _, s := range sizes {
				total += s
			}
			if most := 8 + 6*total/TargetMessageBytes; len(sizes) > most {
				t.Errorf("%d messages for %d bytes, want at most %d", len(sizes), total, most)
			}
		})
	}
}

// withOneLarge has one row of 1.5 MiB in the middle of short ones.
func withOneLarge(t testing.TB, rows int) arrow.RecordBatch {
	return strs(t, rows, func(i int) int {
		if i == rows/2 {
			return 3 << 19
		}
		return 8
	})
}

// largeRowsFirst has 40 rows of 256 KiB before many short ones: rows are cut by what they hold, not by their average.
func largeRowsFirst(t testing.TB) arrow.RecordBatch {
	return strs(t, 200_000, func(i int) int {
		if i < 40 {
			return 256 << 10
		}
		return 8
	})
}

// strs is a batch of strings of the lengths given.
func strs(t testing.TB, rows int, length func(i int) int) arrow.RecordBatch {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, column(arrow.BinaryTypes.String))
	defer b.Release()
	for i := range rows {
		b.Field(0).(*array.StringBuilder).Append(strings.Repeat("x", length(i)))
	}
	return b.NewRecordBatch()
}

func TestSlicesOfALargeParentAreNotCutFurther(t *testing.T) {
	for _, tt := range []struct {
		name   string
		parent arrow.RecordBatch
	}{
		{"numbers", numbers(column(arrow.PrimitiveTypes.Int64), 1<<20)},
		{"strings", repeated(t, arrow.BinaryTypes.String, `"`+strings.Repeat("x", 1000)+`"`, 3000)},
		{"string views", repeated(t, arrow.BinaryTypes.StringView, `"`+strings.Repeat("x", 1000)+`"`, 3000)},
		{"run-end encoded", repeated(t, arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, arrow.BinaryTypes.String), `"`+strings.Repeat("x", 100)+`"`, 3000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slice := tt.parent.NewSlice(1000, 1100)
			if sizes := batchSizes(mustReceive(t, slice.Schema(), noLimit, slice)); len(sizes) != 1 || sizes[0] > 256<<10 {
				t.Errorf("100 rows went as messages of %v bytes, want one of no more than these rows", sizes)
			}
		})
	}
}

func TestMessagesKeepWithinASmallLimit(t *testing.T) {
	const limit = 16 << 10
	batch := numbers(column(arrow.PrimitiveTypes.Int64), 1<<16)
	received := mustReceive(t, batch.Schema(), limit, batch)
	if largest := slices.Max(batchSizes(received)); largest > limit {
		t.Errorf("a message has %d bytes, want at most %d", largest, limit)
	}
	_, got := decode(t, received)
	wantSameRows(t, batch.Schema(), got, []arrow.RecordBatch{batch})
}

func TestWhatCannotBeCutIsRefusedWithTheMend(t *testing.T) {
	const limit = 64 << 10
	large := strings.Repeat("x", 2*limit)
	wide := make([]arrow.Field, 2000)
	for i := range wide {
		wide[i] = arrow.Field{Name: fmt.Sprintf("column %d", i), Type: arrow.PrimitiveTypes.Int64}
	}
	for _, tt := range []struct {
		name    string
		schema  *arrow.Schema
		batches []arrow.RecordBatch
	}{
		{"a row", column(arrow.BinaryTypes.String), []arrow.RecordBatch{repeated(t, arrow.BinaryTypes.String, `"`+large+`"`, 1)}},
		{
			"a dictionary", column(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}),
			[]arrow.RecordBatch{repeated(t, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, `"`+large+`"`, 1)},
		},
		{"a schema", arrow.NewSchema(wide, nil), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := messages(do(t, send(tt.schema, limit, tt.batches...)))
			if status.Code(err) != codes.ResourceExhausted {
				t.Fatalf("ended with %v, want RESOURCE_EXHAUSTED", err)
			}
			if !strings.Contains(err.Error(), "limits.maxMessageBytes") || !strings.Contains(err.Error(), "65536") {
				t.Errorf("%q names neither the limit nor what to raise", err)
			}
		})
	}
}

// TestAnyTableArrives sends random tables of random types under a limit that makes the writer cut them, and compares.
func TestAnyTableArrives(t *testing.T) {
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 1))
		schema := arrowtest.RandomSchema(rng)
		var batches []arrow.RecordBatch
		for range 1 + rng.IntN(3) {
			batches = append(batches, arrowtest.RandomBatch(t, rng, schema, rng.IntN(60)))
		}
		if whole := batches[0]; whole.NumRows() > 2 {
			batches[0] = whole.NewSlice(1, whole.NumRows()-1)
		}
		var estimate int64
		for _, b := range batches {
			estimate += BatchBytes(b)
		}
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			received := mustReceive(t, schema, 64<<10, batches...)
			_, got := decode(t, received)
			wantSameRows(t, schema, got, batches)
			if t.Failed() {
				t.Logf("schema: %v", schema)
			}

			var sent int64
			for _, m := range received {
				sent += int64(len(m.DataBody))
			}
			// Paddings to 8 bytes make small buffers larger; dictionaries are sent besides.
			if slack := int64(8 * 64 * len(received) * schema.NumFields()); estimate > 2*sent+slack {
				t.Errorf("estimated %d bytes for bodies of %d: messages would be cut too small", estimate, sent)
			}
		})
	}
}

// Whoever has the memory of messages from glibc gets it to keep by one large message; see messageSizes.
func TestOneMessageEarlyInAStreamIsLarge(t *testing.T) {
	most := func(i, n int) int { return 100 + i*i/n } // the last row is the longest
	for name, batches := range map[string][]arrow.RecordBatch{
		"a batch of 64 MiB":            {numbers(column(arrow.PrimitiveTypes.Int64), 8<<20)},
		"rows that grow":               {strs(t, 50_000, func(i int) int { return most(i, 20_000_000) }), strs(t, 50_000, func(int) int { return 100 })},
		"small batches first":          {numbers(column(arrow.PrimitiveTypes.Int64), 10), numbers(column(arrow.PrimitiveTypes.Int64), 2<<20)},
		"a batch of 3 MiB, and others": slices.Repeat([]arrow.RecordBatch{numbers(column(arrow.PrimitiveTypes.Int64), 3<<17)}, 10),
	} {
		t.Run(name, func(t *testing.T) {
			var large int
			for _, size := range batchSizes(mustReceive(t, batches[0].Schema(), noLimit, batches...)) {
				if size > defaultReceiveLimit {
					t.Errorf("a message has %d bytes, more than clients take", size)
				}
				if size > TargetMessageBytes+messageSlack {
					large++
				}
			}
			if large != 1 {
				t.Errorf("%d messages are large, want 1", large)
			}
		})
	}
}

func TestSizesOfMessages(t *testing.T) {
	const noMatter, most = 1 << 30, 4<<20 - 64<<10
	for _, tt := range []struct {
		name          string
		arrays, limit int
		target, large int64
	}{
		{"no column", 0, noMatter, 2 << 20, most},
		{"few columns", 8, noMatter, 2 << 20, most - 8*256},
		{"as many as 2 MiB has room for", 64, noMatter, 2 << 20, most - 64*256},
		{"more", 80, noMatter, 80 * 32 << 10, most - 80*256},
		{"as many as go into what clients take", 100, noMatter, 100 * 32 << 10, most - 100*256},
		{"a thousand", 1_000, noMatter, most - 1_000*256, most - 1_000*256},
		{"so many that they take the room themselves", 13_000, noMatter, 2 << 20, 2 << 20},
		{"so many that no message holds them", 1_000_000, noMatter, 2 << 20, 2 << 20},
		{"a lower limit", 8, 64 << 10, 32 << 10, 32 << 10},
		{"a lower limit, and many columns", 1_000, 1 << 20, 512 << 10, 512 << 10},
		{"a limit near what clients take", 8, 6 << 20, 2 << 20, 3 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if target, large := messageSizes(tt.arrays, tt.limit); target != tt.target || large != tt.large {
				t.Errorf("messages of %d arrays are to have %d bytes and %d, want %d and %d", tt.arrays, target, large, tt.target, tt.large)
			}
		})
	}
}

func TestArraysOfATypeAreCounted(t *testing.T) {
	point := arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Float64}, arrow.Field{Name: "y", Type: arrow.PrimitiveTypes.Float64})
	for _, tt := range []struct {
		dt   arrow.DataType
		want int
	}{
		{arrow.PrimitiveTypes.Int64, 1},
		{arrow.BinaryTypes.String, 1},
		{arrow.ListOf(arrow.BinaryTypes.String), 2},
		{point, 3},
		{arrow.ListOf(point), 4},
		{arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int8), 4}, // the map, its entries, keys and values
		{&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.ListOf(arrow.BinaryTypes.String)}, 1},
		{extensions.NewBool8Type(), 1},
	} {
		if got := arraysOf(tt.dt); got != tt.want {
			t.Errorf("a column of %s has %d arrays, want %d", tt.dt, got, tt.want)
		}
	}
}

// Clients in Go and Rust take no more than 4 MiB, and what a client of pyarrow's spends is by the buffer.
func TestWideBatchesAreCutToWhatEveryClientTakes(t *testing.T) {
	for _, tt := range []struct {
		name          string
		columns, rows int
		value         string
		dt            arrow.DataType
		most          int // messages
	}{
		{"64 of numbers", 64, 1 << 13, "1.5", arrow.PrimitiveTypes.Float64, 3},
		{"1,024 of numbers", 1024, 1 << 10, "1.5", arrow.PrimitiveTypes.Float64, 4},
		{"1,024 of text, some of it missing", 1024, 1 << 9, `"and text in it"`, arrow.BinaryTypes.String, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			one := fromJSON(t, column(tt.dt), "["+strings.Repeat(`{"c":`+tt.value+`},`, tt.rows-1)+`{"c":null}]`)
			fields, columns := make([]arrow.Field, tt.columns), make([]arrow.Array, tt.columns)
			for i := range fields {
				fields[i], columns[i] = arrow.Field{Name: fmt.Sprint(i), Type: tt.dt, Nullable: true}, one.Column(0)
			}
			schema := arrow.NewSchema(fields, nil)
			messages := written(t, schema, nil, writeAll(array.NewRecordBatch(schema, columns, int64(tt.rows))))[1:]
			if len(messages) > tt.most {
				t.Errorf("%d messages are written, want at most %d", len(messages), tt.most)
			}
			for i, m := range messages {
				if len(m) > 4<<20 {
					t.Errorf("message %d has %d bytes, want at most 4 MiB", i, len(m))
				}
			}
		})
	}
}
