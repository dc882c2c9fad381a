package ipcguard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/internal/arrowtest"
)

func of[T arrow.FixedWidthType](values ...T) *memory.Buffer {
	return memory.NewBufferBytes(arrow.GetBytes(values))
}

func bytesBuffer(s string) *memory.Buffer { return memory.NewBufferBytes([]byte(s)) }

// data is an array without nulls.
func data(dt arrow.DataType, rows int, buffers []*memory.Buffer, children ...arrow.ArrayData) arrow.ArrayData {
	return array.NewData(dt, rows, append([]*memory.Buffer{nil}, buffers...), children, 0, 0)
}

// withNulls is an array with a bitmap.
func withNulls(d arrow.ArrayData, bits byte, nulls int) arrow.ArrayData {
	buffers := append([]*memory.Buffer{of(bits)}, d.Buffers()[1:]...)
	return array.NewData(d.DataType(), d.Len(), buffers, d.Children(), nulls, d.Offset())
}

func ints(values ...int32) arrow.ArrayData {
	return data(arrow.PrimitiveTypes.Int32, len(values), []*memory.Buffer{of(values...)})
}

func encoded(indexType arrow.DataType, indices *memory.Buffer, rows int) arrow.ArrayData {
	dt := &arrow.DictionaryType{IndexType: indexType, ValueType: arrow.PrimitiveTypes.Int32}
	values, _ := ints(7, 8, 9).(*array.Data)
	return array.NewDataWithDictionary(dt, rows, []*memory.Buffer{nil, indices}, 0, 0, values)
}

// viewOf is the view of a value that stands in a buffer.
func viewOf(value string, buffer, offset int32) *memory.Buffer {
	var v arrow.ViewHeader
	v.SetBytes([]byte(value))
	if !v.IsInline() {
		v.SetIndexOffset(buffer, offset)
	}
	return memory.NewBufferBytes(arrow.ViewHeaderTraits.CastToBytes([]arrow.ViewHeader{v}))
}

func TestArraysThatDoNotHoldTogether(t *testing.T) {
	text, binary := arrow.BinaryTypes.String, arrow.BinaryTypes.Binary
	listType := arrow.ListOf(arrow.PrimitiveTypes.Int32)
	viewList := arrow.ListViewOf(arrow.PrimitiveTypes.Int32)
	mapType := arrow.MapOf(arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int32)
	union := []arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int32}, {Name: "b", Type: arrow.PrimitiveTypes.Int32}}
	dense, sparse := arrow.DenseUnionOf(union, []arrow.UnionTypeCode{3, 5}), arrow.SparseUnionOf(union, []arrow.UnionTypeCode{3, 5})
	runs := func(ends ...int32) arrow.ArrayData {
		return array.NewData(arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int32), 5, []*memory.Buffer{nil},
			[]arrow.ArrayData{ints(ends...), ints(1, 2)}, 0, 0)
	}
	const long = "longer than twelve bytes"
	for _, c := range []struct {
		name string
		data arrow.ArrayData
		want string
	}{
		{"too few values", data(arrow.PrimitiveTypes.Int64, 3, []*memory.Buffer{of[int64](1, 2)}), "its values buffer has 16 bytes, too few for 3 rows of 64 bits"},
		{"no values", data(arrow.PrimitiveTypes.Int64, 3, []*memory.Buffer{nil}), "its values buffer has 0 bytes, too few for 3 rows of 64 bits"},
		{"too few values behind an offset", array.NewData(arrow.PrimitiveTypes.Int64, 1, []*memory.Buffer{nil, of[int64](1, 2)}, nil, 0, 2), "its values buffer has 16 bytes, too few for 3 rows of 64 bits"},
		{"too few booleans", data(arrow.FixedWidthTypes.Boolean, 9, []*memory.Buffer{bytesBuffer("x")}), "its values buffer has 1 bytes, too few for 9 rows of 1 bits"},
		{"a width below zero", data(&arrow.FixedSizeBinaryType{ByteWidth: -1}, 1, []*memory.Buffer{bytesBuffer("x")}), "values of -1 bytes are not supported"},
		{"a width of zero", data(&arrow.FixedSizeBinaryType{}, 1, []*memory.Buffer{bytesBuffer("x")}), "values of 0 bytes are not supported"},
		{"a short bitmap", withNulls(data(arrow.PrimitiveTypes.Int8, 9, []*memory.Buffer{bytesBuffer("123456789")}), 0xff, 1), "its validity bitmap has 1 bytes, too few for 9 rows of 1 bits"},
		{"nulls that are counted wrong", withNulls(ints(1, 2, 3), 0b101, 2), "1 of its rows are null, and it says 2"},
		{"nulls and no bitmap", array.NewData(arrow.PrimitiveTypes.Int32, 1, []*memory.Buffer{nil, of[int32](1)}, nil, 1, 0), "1 of its rows are null, and no bitmap says which"},
		{"an extension type of too few values", data(extensions.NewBool8Type(), 2, []*memory.Buffer{bytesBuffer("x")}), "its values buffer has 1 bytes, too few for 2 rows of 8 bits"},

		{"too few offsets", data(text, 3, []*memory.Buffer{of[int32](0, 1, 2), bytesBuffer("abc")}), "its buffer 1 has room for 3 values, and 3 rows need 4"},
		{"no offsets", data(text, 1, []*memory.Buffer{nil, bytesBuffer("abc")}), "its buffer 1 has room for 0 values, and 1 rows need 2"},
		{"an offset beyond the text", data(text, 2, []*memory.Buffer{of[int32](0, 1, 9), bytesBuffer("abc")}), "its offsets go from 0 to 9, and there are 3 values"},
		{"an offset below zero", data(binary, 2, []*memory.Buffer{of[int32](-1, 1, 2), bytesBuffer("abc")}), "its offsets go from -1 to 2, and there are 3 values"},
		{"an offset that falls", data(binary, 3, []*memory.Buffer{of[int32](0, 3, 1, 3), bytesBuffer("abc")}), "row 1 goes from offset 3 to 1"},
		{"an offset that falls below zero", data(binary, 3, []*memory.Buffer{of[int32](0, -1<<31, 1<<31-1, 3), bytesBuffer("abc")}), "row 0 goes from offset 0 to -2147483648"},
		{"an offset that rises too far", data(binary, 3, []*memory.Buffer{of[int32](0, 1<<31-1, 1, 3), bytesBuffer("abc")}), "row 1 goes from offset 2147483647 to 1"},
		{"large offsets that fall", data(arrow.BinaryTypes.LargeBinary, 3, []*memory.Buffer{of[int64](0, 1<<62, 1, 3), bytesBuffer("abc")}), "row 1 goes from offset 4611686018427387904 to 1"},
		{"a large offset beyond the text", data(arrow.BinaryTypes.LargeString, 1, []*memory.Buffer{of[int64](0, 1<<40), bytesBuffer("abc")}), "its offsets go from 0 to 1099511627776, and there are 3 values"},

		{"text that is not UTF-8", data(text, 2, []*memory.Buffer{of[int32](0, 1, 4), bytesBuffer("abc\xff")}), "row 1 is not UTF-8: byte 2 is 0xff"},
		{"large text that is not UTF-8", data(arrow.BinaryTypes.LargeString, 1, []*memory.Buffer{of[int64](0, 2), bytesBuffer("\xc3(")}), "row 0 is not UTF-8: byte 0 is 0xc3"},
		{"a character that two strings share", data(text, 2, []*memory.Buffer{of[int32](0, 1, 2), bytesBuffer("é")}), "row 0 is not UTF-8: byte 0 is 0xc3"},
		{"a surrogate", data(text, 1, []*memory.Buffer{of[int32](0, 3), bytesBuffer("\xed\xa0\x80")}), "row 0 is not UTF-8: byte 0 is 0xed"},
		{"text in a view that is not UTF-8", data(arrow.BinaryTypes.StringView, 1, []*memory.Buffer{viewOf("\xff", 0, 0)}), "row 0 is not UTF-8: byte 0 is 0xff"},
		{"long text in a view that is not UTF-8", data(arrow.BinaryTypes.StringView, 1, []*memory.Buffer{viewOf(long+"\xff", 0, 0), bytesBuffer(long + "\xff")}), "row 0 is not UTF-8: byte 24 is 0xff"},

		{"too few views", data(arrow.BinaryTypes.BinaryView, 2, []*memory.Buffer{viewOf("a", 0, 0)}), "its buffer 1 has room for 1 values, and 2 rows need 2"},
		{"a view of a buffer that there is not", data(arrow.BinaryTypes.BinaryView, 1, []*memory.Buffer{viewOf(long, 1, 0), bytesBuffer(long)}), "row 0 takes 24 bytes from byte 0 of buffer 1, which has 0"},
		{"a view of a buffer below zero", data(arrow.BinaryTypes.BinaryView, 1, []*memory.Buffer{viewOf(long, -3, 0), bytesBuffer(long)}), "row 0 takes 24 bytes from byte 0 of buffer -3, which has 0"},
		{"a view beyond its buffer", data(arrow.BinaryTypes.BinaryView, 1, []*memory.Buffer{viewOf(long, 0, 1), bytesBuffer(long)}), "row 0 takes 24 bytes from byte 1 of buffer 0, which has 24"},
		{"a view before its buffer", data(arrow.BinaryTypes.BinaryView, 1, []*memory.Buffer{viewOf(long, 0, -1), bytesBuffer(long)}), "row 0 takes 24 bytes from byte -1 of buffer 0, which has 24"},
		{"a view of negative length", data(arrow.BinaryTypes.BinaryView, 1, []*memory.Buffer{of[int32](-5, 0, 0, 0)}), "row 0 has a length of -5"},
		{"a short view with more behind it", data(arrow.BinaryTypes.BinaryView, 1, []*memory.Buffer{of[int32](2, 0x61616161, 0, 0)}), "row 0 has 2 bytes and others behind them that are not 0"},
		{"a view that begins otherwise", data(arrow.BinaryTypes.BinaryView, 1, []*memory.Buffer{viewOf("LONG"+long[4:], 0, 0), bytesBuffer(long)}), `row 0 says that it begins with "LONG" and begins with "long"`},

		{"a list beyond its values", data(listType, 1, []*memory.Buffer{of[int32](0, 3)}, ints(1, 2)), "its offsets go from 0 to 3, and there are 2 values"},
		{"a list of broken values", data(listType, 1, []*memory.Buffer{of[int32](0, 2)}, data(arrow.PrimitiveTypes.Int32, 2, []*memory.Buffer{nil})), "values: its values buffer has 0 bytes, too few for 2 rows of 32 bits"},
		{"a large list that falls", data(arrow.LargeListOf(arrow.PrimitiveTypes.Int32), 2, []*memory.Buffer{of[int64](0, 2, 1)}, ints(1, 2)), "row 1 goes from offset 2 to 1"},
		{"a list view beyond its values", data(viewList, 1, []*memory.Buffer{of[int32](1), of[int32](2)}, ints(1, 2)), "row 0 takes 2 values from 1 on, and there are 2"},
		{"a list view whose end overflows", data(viewList, 1, []*memory.Buffer{of[int32](2), of[int32](1<<31 - 1)}, ints(1, 2)), "row 0 takes 2147483647 values from 2 on, and there are 2"},
		{"a list view of negative size", data(viewList, 1, []*memory.Buffer{of[int32](1), of[int32](-1)}, ints(1, 2)), "row 0 takes -1 values from 1 on, and there are 2"},
		{"a large list view before its values", data(arrow.LargeListViewOf(arrow.PrimitiveTypes.Int32), 1, []*memory.Buffer{of[int64](-1), of[int64](1)}, ints(1, 2)), "row 0 takes 1 values from -1 on, and there are 2"},
		{"a list view without sizes", data(viewList, 1, []*memory.Buffer{of[int32](1), nil}, ints(1, 2)), "its buffer 2 has room for 0 values, and 1 rows need 1"},
		{"fixed-size lists of too few values", data(arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int32), 2, nil, ints(1, 2, 3)), "its values have 3 rows, too few for 2 lists of 2"},
		{"a map without keys", data(mapType, 1, []*memory.Buffer{of[int32](0, 1)}, data(mapType.Elem(), 1, nil, withNulls(ints(1), 0, 1), ints(1))), "its entries or keys have nulls"},
		{"a map without entries", data(mapType, 1, []*memory.Buffer{of[int32](0, 1)}, withNulls(data(mapType.Elem(), 1, nil, ints(1), ints(1)), 0, 1)), "its entries or keys have nulls"},
		{"a map beyond its entries", data(mapType, 1, []*memory.Buffer{of[int32](0, 2)}, data(mapType.Elem(), 1, nil, ints(1), ints(1))), "its offsets go from 0 to 2, and there are 1 values"},

		{"a struct of short fields", data(arrow.StructOf(union...), 2, nil, ints(1, 2), ints(1)), `field "b": it has 1 rows and needs 2`},
		{"a struct that lacks a field", data(arrow.StructOf(union...), 1, nil, ints(1)), "it has 1 children and its type 2"},
		{"a union of a type that there is not", data(sparse, 1, []*memory.Buffer{of[int8](4)}, ints(1), ints(1)), "row 0 is of type 4, which the union does not have"},
		{"a union of a type below zero", data(sparse, 1, []*memory.Buffer{of[int8](-1)}, ints(1), ints(1)), "row 0 is of type -1, which the union does not have"},
		{"a union of a large type", data(sparse, 1, []*memory.Buffer{of[int8](127)}, ints(1), ints(1)), "row 0 is of type 127, which the union does not have"},
		{"a union without types", data(sparse, 1, []*memory.Buffer{nil}, ints(1), ints(1)), "its buffer 1 has room for 0 values, and 1 rows need 1"},
		{"a sparse union of short fields", data(sparse, 2, []*memory.Buffer{of[int8](3, 3)}, ints(1, 2), ints(1)), `field "b": it has 1 rows and needs 2`},
		{"a dense union beyond a field", data(dense, 1, []*memory.Buffer{of[int8](5), of[int32](2)}, ints(1), ints(1, 2)), `row 0 is value 2 of field "b", which comes after value 0 of 2`},
		{"a dense union before a field", data(dense, 1, []*memory.Buffer{of[int8](5), of[int32](-1)}, ints(1), ints(1, 2)), `row 0 is value -1 of field "b", which comes after value 0 of 2`},
		{"a dense union that goes back", data(dense, 2, []*memory.Buffer{of[int8](5, 5), of[int32](1, 0)}, ints(1), ints(1, 2)), `row 1 is value 0 of field "b", which comes after value 1 of 2`},
		{"a dense union without offsets", data(dense, 1, []*memory.Buffer{of[int8](3), nil}, ints(1), ints(1)), "its buffer 2 has room for 0 values, and 1 rows need 1"},

		{"runs that end early", runs(1, 4), "its 2 runs end before its 5 rows do"},
		{"runs without end", runs(), "its 0 runs end before its 5 rows do"},
		{"runs that go back", runs(7, 6), "run 1 goes from row 7 to 6"},
		{"runs of no rows", runs(0, 5), "run 0 goes from row 0 to 0"},
		{"runs without values", runs(1, 2, 5), "it has 3 runs and 2 values"},
		{"runs that are null", array.NewData(runs(1, 5).DataType(), 5, []*memory.Buffer{nil}, []arrow.ArrayData{withNulls(ints(1, 5), 0b10, 1), ints(1, 2)}, 0, 0), "its run ends have nulls"},

		{"an index beyond the dictionary", encoded(arrow.PrimitiveTypes.Int8, of[int8](0, 3), 2), "row 1 is value 3 of a dictionary that has 3"},
		{"an index below zero", encoded(arrow.PrimitiveTypes.Int64, of[int64](-1), 1), "row 0 is value -1 of a dictionary that has 3"},
		{"a huge index", encoded(arrow.PrimitiveTypes.Uint64, of(^uint64(0)), 1), "row 0 is value 18446744073709551615 of a dictionary that has 3"},
		{"too few indices", encoded(arrow.PrimitiveTypes.Uint16, of[uint16](0), 2), "its buffer 1 has room for 1 values, and 2 rows need 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := checkArray(c.data, ValidateFull); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if err := viaArrowGo(c.data); err == nil {
				t.Error("arrow-go finds nothing wrong with it")
			}
			if err := checkArray(c.data, ValidateValues); (err == nil) != strings.Contains(c.want, "UTF-8") {
				t.Errorf("without UTF-8: %v", err)
			}
		})
	}
}

// viaArrowGo is what arrow-go says of an array, by an error or a panic.
func viaArrowGo(d arrow.ArrayData) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	a := array.MakeFromData(d)
	defer a.Release()
	return array.ValidateFull(a)
}

func TestWhatIsBelowNullsIsNotLookedAt(t *testing.T) {
	const long = "longer than twelve bytes"
	for name, d := range map[string]arrow.ArrayData{
		"text":    withNulls(data(arrow.BinaryTypes.String, 2, []*memory.Buffer{of[int32](0, 1, 2), bytesBuffer("a\xff")}), 0b01, 1),
		"views":   withNulls(data(arrow.BinaryTypes.StringView, 1, []*memory.Buffer{viewOf(long, 7, 7)}), 0, 1),
		"indices": withNullIndices(),
	} {
		if err := checkArray(d, ValidateFull); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func withNullIndices() arrow.ArrayData {
	d := encoded(arrow.PrimitiveTypes.Int8, of[int8](1, 99), 2)
	dictionary, _ := d.Dictionary().(*array.Data)
	return array.NewDataWithDictionary(d.DataType(), 2, []*memory.Buffer{of[byte](0b01), d.Buffers()[1]}, 1, 0, dictionary)
}

func TestArraysThatHoldTogether(t *testing.T) {
	for name, d := range map[string]arrow.ArrayData{
		"no rows, no buffers":         data(arrow.BinaryTypes.String, 0, []*memory.Buffer{nil, nil}),
		"more bytes than needed":      data(arrow.BinaryTypes.String, 1, []*memory.Buffer{of[int32](0, 1, 9, 9), bytesBuffer("ab\xff")}),
		"text from the middle":        data(arrow.BinaryTypes.String, 1, []*memory.Buffer{of[int32](1, 2), bytesBuffer("\xffb\xff")}),
		"an empty string at the end":  data(arrow.BinaryTypes.String, 2, []*memory.Buffer{of[int32](0, 2, 2), bytesBuffer("é")}),
		"an empty list view anywhere": data(arrow.ListViewOf(arrow.PrimitiveTypes.Int32), 2, []*memory.Buffer{of[int32](0, 2), of[int32](2, 0)}, ints(1, 2)),
		"runs that go on":             array.NewData(arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int32), 2, []*memory.Buffer{nil}, []arrow.ArrayData{ints(1, 9), ints(1, 2)}, 0, 1),
		"a dense union without rows":  data(arrow.DenseUnionOf([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int32}}, []arrow.UnionTypeCode{0}), 0, []*memory.Buffer{nil, nil}, ints()),
	} {
		if err := checkArray(d, ValidateFull); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSlicesOfAllTypesHoldTogether(t *testing.T) {
	for _, sample := range arrowtest.Samples() {
		for i, batch := range sample.Records(t) {
			for from := range batch.NumRows() + 1 {
				for to := from; to <= batch.NumRows(); to++ {
					for _, column := range batch.NewSlice(from, to).Columns() {
						if err := checkArray(column.Data(), ValidateFull); err != nil {
							t.Errorf("%s: rows %d to %d of batch %d: %v", sample.Name, from, to, i, err)
						}
					}
				}
			}
		}
	}
}

// BenchmarkValidate looks at arrays of 8 MiB, by this package and by arrow-go:
//
//	go test -run '^$' -bench Validate ./flightruntime/ipcguard
func BenchmarkValidate(b *testing.B) {
	const rows = 1 << 19
	offsets := make([]int32, rows+1)
	for i := range offsets {
		offsets[i] = int32(16 * i)
	}
	indices := make([]int32, 4*rows)
	for i := range indices {
		indices[i] = int32(i % 3)
	}
	for name, d := range map[string]arrow.ArrayData{
		"ASCII":    data(arrow.BinaryTypes.String, rows, []*memory.Buffer{of(offsets...), bytesBuffer(strings.Repeat("0123456789abcdef", rows))}),
		"accents":  data(arrow.BinaryTypes.String, rows, []*memory.Buffer{of(offsets...), bytesBuffer(strings.Repeat("àéîõü56789x", rows))}),
		"binary":   data(arrow.BinaryTypes.Binary, rows, []*memory.Buffer{of(offsets...), bytesBuffer(strings.Repeat("0123456789abcdef", rows))}),
		"indices":  encoded(arrow.PrimitiveTypes.Int32, of(indices...), 4*rows),
		"integers": data(arrow.PrimitiveTypes.Int64, 2*rows, []*memory.Buffer{of(make([]int64, 2*rows)...)}),
	} {
		b.Run(name+"/ipcguard", func(b *testing.B) {
			b.SetBytes(16 * rows)
			for b.Loop() {
				if err := checkArray(d, ValidateFull); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/arrow-go", func(b *testing.B) {
			b.SetBytes(16 * rows)
			for b.Loop() {
				if err := viaArrowGo(d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
