package cache

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/wire"
	"github.com/flight-operator/flight-operator/internal/arrowtest"
)

// readings are the ways to read some units of a part of all columns.
var readings = map[string]func(t *testing.T, c *Cache, src Source, wanted func(Rows) bool) []arrow.RecordBatch{
	"messages": func(t *testing.T, c *Cache, src Source, wanted func(Rows) bool) []arrow.RecordBatch {
		l, p := lent(t, c, src)
		return received(t, src.Schema, l, messages(l, p, wanted))
	},
	"batches": func(t *testing.T, c *Cache, src Source, wanted func(Rows) bool) []arrow.RecordBatch {
		l, p := lent(t, c, src)
		columns := make([]int, src.Schema.NumFields())
		for i := range columns {
			columns[i] = i
		}
		return received(t, src.Schema, l, batches(l, p, wanted, columns, src.Schema))
	},
}

// wantPart reads a part in every way, whole and each unit alone, and compares it with its batches.
func wantPart(t *testing.T, c *Cache, src Source, want []arrow.RecordBatch) {
	t.Helper()
	for how, read := range readings {
		t.Run(how, func(t *testing.T) {
			wantEqual(t, src.Schema, want, read(t, c, src, everyUnit))
			for i, b := range want {
				wantEqual(t, src.Schema, []arrow.RecordBatch{b}, read(t, c, src, only(i)))
			}
			if len(want) > 2 {
				ends := func(m Rows) bool { return m.Unit == 0 || m.Unit == len(want)-1 }
				wantEqual(t, src.Schema, []arrow.RecordBatch{want[0], want[len(want)-1]}, read(t, c, src, ends))
			}
		})
	}
}

func TestEveryTypeIsReadAsItWas(t *testing.T) {
	modes(t, ample, func(t *testing.T, c *Cache) {
		for _, sample := range arrowtest.Samples() {
			t.Run(sample.Name, func(t *testing.T) {
				src := part(sample.Name, arrowtest.Column(sample.Type), sample.Records(t)...)
				fill(t, c, src)
				wantPart(t, c, src, sample.Records(t))
			})
		}
	})
}

func TestNestedTypesAreReadAsTheyWere(t *testing.T) {
	modes(t, ample, func(t *testing.T, c *Cache) {
		for seed := range uint64(50) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 0))
				schema := arrowtest.RandomSchema(rng)
				batches := []arrow.RecordBatch{arrowtest.RandomBatch(t, rng, schema, 20), arrowtest.RandomBatch(t, rng, schema, 7), arrowtest.RandomBatch(t, rng, schema, 1)}
				src := part(t.Name(), schema, batches...)
				fill(t, c, src)
				wantPart(t, c, src, batches)
			})
		}
	})
}

// joinedPart is a source of batches that are one unit together.
func joinedPart(name string, schema *arrow.Schema, batches ...arrow.RecordBatch) Source {
	src := part(name, schema, batches...)
	rows := int64(0)
	for _, n := range src.Units {
		rows += n
	}
	src.Units = []int64{rows}
	return src
}

func TestSmallBatchesOfAUnitAreOneMessage(t *testing.T) {
	numbered := func(rows int) []arrow.RecordBatch {
		return slices.Collect(func(yield func(arrow.RecordBatch) bool) {
			for b := range numbers("", rows).Read(t.Context()) {
				for from := int64(0); from < b.NumRows(); from += 1000 {
					if !yield(b.NewSlice(from, min(from+1000, b.NumRows()))) {
						return
					}
				}
			}
		})
	}
	schema := numbers("", 1).Schema
	wide := func(rows, batches int) (*arrow.Schema, []arrow.RecordBatch) { // of 128 columns
		one := numbered(rows)[0].Column(0)
		fields, columns := make([]arrow.Field, 128), make([]arrow.Array, 128)
		for i := range fields {
			fields[i], columns[i] = arrow.Field{Name: fmt.Sprint(i), Type: one.DataType()}, one
		}
		s := arrow.NewSchema(fields, nil)
		return s, slices.Repeat([]arrow.RecordBatch{array.NewRecordBatch(s, columns, int64(rows))}, batches)
	}
	wideSchema, wideBatches := wide(100, 45)
	for _, c := range []struct {
		name     string
		src      Source
		rows     int
		messages int
	}{
		{"a hundred kilobytes", joinedPart("100", schema, numbered(12_800)...), 12_800, 1},
		{"as much as goes into a large one", joinedPart("500", schema, numbered(500_000)...), 500_000, 1},
		{"more", joinedPart("700", schema, numbered(700_000)...), 700_000, 2},
		{"8 MB", joinedPart("1000", schema, numbered(1_000_000)...), 1_000_000, 3},
		{"4.6 MB of many columns", joinedPart("wide", wideSchema, wideBatches...), 4_500, 2},
		{"units of their own", part("units", schema, numbered(5_000)...), 5_000, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			modes(t, ample, func(t *testing.T, cache *Cache) {
				fill(t, cache, c.src)
				l, p := lent(t, cache, c.src)
				defer l.Release()
				messages, rows := 0, 0
				for m, err := range p.Messages(everyUnit) {
					if err != nil {
						t.Fatal(err)
					}
					messages, rows = messages+1, rows+int(m.Rows)
				}
				if messages != c.messages || rows != c.rows {
					t.Errorf("%d rows in %d messages: want %d in %d", rows, messages, c.rows, c.messages)
				}
			})
		})
	}
}

func TestSmallBatchesOfEveryTypeAreReadAsTheyWere(t *testing.T) {
	modes(t, ample, func(t *testing.T, c *Cache) {
		check := func(t *testing.T, schema *arrow.Schema, batches []arrow.RecordBatch) {
			src := joinedPart(t.Name(), schema, batches...)
			fill(t, c, src)
			for how, read := range readings {
				t.Run(how, func(t *testing.T) { wantEqual(t, schema, batches, read(t, c, src, everyUnit)) })
			}
		}
		for _, sample := range arrowtest.Samples() {
			t.Run(sample.Name, func(t *testing.T) { check(t, arrowtest.Column(sample.Type), sample.Records(t)) })
		}
		for seed := range uint64(50) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				schema := arrowtest.RandomSchema(rng)
				large := arrowtest.RandomBatch(t, rng, schema, 30)
				check(t, schema, []arrow.RecordBatch{
					arrowtest.RandomBatch(t, rng, schema, 20), large.NewSlice(3, 9), large.NewSlice(9, 10), large.NewSlice(10, 10), arrowtest.RandomBatch(t, rng, schema, 1),
				})
			})
		}
	})
}

func TestColumnsAreReadAlone(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "n", Type: arrow.PrimitiveTypes.Int64},
		{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "d", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}},
	}, nil)
	first := arrowtest.FromJSON(t, schema, `[{"n":1,"s":"a","d":"red"},{"n":2,"s":null,"d":"blue"}]`)
	second := arrowtest.FromJSON(t, schema, `[{"n":3,"s":"c","d":"green"}]`)
	src := part("columns", schema, first, second)
	modes(t, ample, func(t *testing.T, c *Cache) {
		fill(t, c, src)
		for _, columns := range [][]int{{0}, {1}, {2}, {0, 2}, {0, 1, 2}, {}} {
			t.Run(fmt.Sprint(columns), func(t *testing.T) {
				pick := func(b arrow.RecordBatch, s *arrow.Schema) arrow.RecordBatch {
					arrays := make([]arrow.Array, len(columns))
					for i, column := range columns {
						arrays[i] = b.Column(column)
					}
					return array.NewRecordBatch(s, arrays, b.NumRows())
				}
				fields := make([]arrow.Field, len(columns))
				for i, column := range columns {
					fields[i] = schema.Field(column)
				}
				projected := arrow.NewSchema(fields, nil)
				l, p := lent(t, c, src)
				got := received(t, projected, l, batches(l, p, everyUnit, columns, projected))
				wantEqual(t, projected, []arrow.RecordBatch{pick(first, projected), pick(second, projected)}, got)
			})
		}
	})
}

// A stream may have parts that are cached and parts that are not, in any order, and dictionaries that differ from part to part.
func TestCachedAndOtherPartsGoIntoOneStream(t *testing.T) {
	for _, value := range []arrow.DataType{arrow.BinaryTypes.String, arrow.PrimitiveTypes.Float64} {
		schema := arrowtest.Column(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: value})
		texts := []string{`[{"c":"1"},{"c":"2"}]`, `[{"c":"3"}]`, `[{"c":"1"},{"c":"2"}]`, `[{"c":"4"},{"c":"1"}]`}
		if value.ID() == arrow.FLOAT64 { // arrow-go takes floats for equal that nearly are
			texts = []string{`[{"c":1},{"c":2}]`, `[{"c":1.000001}]`, `[{"c":1},{"c":2}]`, `[{"c":4},{"c":1}]`}
		}
		var parts []Source
		var want []arrow.RecordBatch
		for i, text := range texts {
			b := arrowtest.FromJSON(t, schema, text)
			want = append(want, b)
			parts = append(parts, part(fmt.Sprint(value, i), schema, b))
		}
		modes(t, ample, func(t *testing.T, c *Cache) {
			for _, how := range []string{"mbum", "mmmm", "bbbb", "ubmu", "umub", "bmbu", "buub"} { // messages, batches, uncached
				t.Run(how, func(t *testing.T) {
					var s stream
					w, err := wire.NewWriter(&s, schema, 64<<20)
					if err != nil {
						t.Fatal(err)
					}
					fill(t, c, parts[0])
					for i, src := range parts {
						l, p := lent(t, c, src)
						chunks := messages(l, p, everyUnit)
						switch how[i] {
						case 'b':
							chunks = batches(l, p, everyUnit, []int{0}, schema)
						case 'u':
							chunks = func(yield func(wire.Chunk, error) bool) { yield(wire.Chunk{Batch: want[i]}, nil) }
						}
						for chunk, err := range chunks {
							if err != nil {
								t.Fatal(err)
							}
							if err := w.WriteChunk(chunk); err != nil {
								t.Fatal(err)
							}
						}
						s.settle()
						l.Release()
						c.Keep("test", nil) // and what the writer remembers of the part is no longer there
						fill(t, c, parts[(i+1)%len(parts)])
					}
					if err := w.Close(); err != nil {
						t.Fatal(err)
					}
					wantEqual(t, schema, want, read(t, &s))
				})
			}
		})
	}
}

// The first message is large, those after it have the target's size: see wire.Writer. What is too long for either is divided, or comes alone.
func TestMessagesAreOfTheSizeThatIsSent(t *testing.T) {
	for _, c := range []struct {
		name  string
		rows  []int // of batches, 8 bytes each
		units []int64
		want  []int64
	}{
		{"one batch", []int{1 << 20}, []int64{1 << 20}, []int64{499937, 182880, 182880, 182879}},
		{"batches of the target", []int{1 << 18, 1 << 18, 1 << 18, 1 << 18}, []int64{1 << 20}, []int64{508129, 16159, 1 << 18, 1 << 18}},
		{"units", []int{1 << 18, 1 << 18, 1 << 18, 1 << 18}, []int64{1 << 18, 1 << 18, 1 << 19}, []int64{1 << 18, 1 << 18, 508129, 16159}},
	} {
		t.Run(c.name, func(t *testing.T) {
			modes(t, ample, func(t *testing.T, cache *Cache) {
				var batches []arrow.RecordBatch
				for i, n := range c.rows {
					for b := range numbers(fmt.Sprint(i), n).Read(t.Context()) {
						b.Retain()
						batches = append(batches, b)
					}
				}
				src := part(c.name, batches[0].Schema(), batches...)
				src.Units = c.units
				fill(t, cache, src)
				l, p := lent(t, cache, src)
				defer l.Release()
				var rows []int64
				for m, err := range p.Messages(everyUnit) {
					if err != nil {
						t.Fatal(err)
					}
					rows = append(rows, m.Rows)
				}
				if !slices.Equal(rows, c.want) {
					t.Errorf("messages have %v rows, want %v", rows, c.want)
				}
			})
		})
	}
}

// Batches of an Arrow file have the same dictionaries until one is replaced. Those are put together, others stay as they are.
func TestBatchesWithTheSameDictionariesAreOneMessage(t *testing.T) {
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: dt, Nullable: true}}, nil)
	dictionary := func(values ...string) arrow.Array {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		b.AppendStringValues(values, nil)
		return b.NewArray()
	}
	batch := func(values arrow.Array, indices ...int8) arrow.RecordBatch {
		b := array.NewInt8Builder(memory.DefaultAllocator)
		b.AppendValues(indices, nil)
		b.AppendNull()
		return array.NewRecordBatch(schema, []arrow.Array{array.NewDictionaryArray(dt, b.NewArray(), values)}, int64(len(indices)+1))
	}
	colours, shapes := dictionary("red", "green", "blue"), dictionary("round", "square", "blue")
	again := array.MakeFromData(colours.Data()) // as a reader makes one for each batch, of the same memory
	batches := []arrow.RecordBatch{batch(colours, 0, 2), batch(again, 1), batch(shapes, 0, 1, 2), batch(shapes, 1), batch(colours, 1)}
	modes(t, ample, func(t *testing.T, c *Cache) {
		src := joinedPart("dictionaries", schema, batches...)
		fill(t, c, src)
		for how, read := range readings {
			got := read(t, c, src, everyUnit)
			wantEqual(t, schema, batches, got)
			var rows []int64
			for _, b := range got {
				rows = append(rows, b.NumRows())
			}
			if want := []int64{5, 6, 2}; !slices.Equal(rows, want) {
				t.Errorf("%s: messages have %v rows, want %v", how, rows, want)
			}
		}
	})
}
