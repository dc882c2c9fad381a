package scan_test

import (
	"fmt"
	"math"
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/float16"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/scalar"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

// leaf is a type with the kind that it has, and the unit.
type leaf struct {
	typ  arrow.DataType
	kind exprKind
	tick int64
}

func (g *generator) leaf() leaf {
	units := []arrow.TimeUnit{arrow.Second, arrow.Millisecond, arrow.Microsecond, arrow.Nanosecond}
	unit := units[g.IntN(4)]
	tick := int64(unit.Multiplier())
	zone := []string{"", "UTC", "Europe/Berlin"}[g.IntN(3)]
	scale := int32(g.IntN(4))
	simple := []leaf{
		{typ: arrow.FixedWidthTypes.Boolean, kind: aBool},
		{typ: arrow.PrimitiveTypes.Int8, kind: anInt},
		{typ: arrow.PrimitiveTypes.Int16, kind: anInt},
		{typ: arrow.PrimitiveTypes.Int32, kind: anInt},
		{typ: arrow.PrimitiveTypes.Int64, kind: anInt},
		{typ: arrow.PrimitiveTypes.Int64, kind: anInt},
		{typ: arrow.PrimitiveTypes.Uint8, kind: aUint},
		{typ: arrow.PrimitiveTypes.Uint16, kind: aUint},
		{typ: arrow.PrimitiveTypes.Uint32, kind: aUint},
		{typ: arrow.PrimitiveTypes.Uint64, kind: aUint},
		{typ: arrow.FixedWidthTypes.Float16, kind: aDouble},
		{typ: arrow.PrimitiveTypes.Float32, kind: aDouble},
		{typ: arrow.PrimitiveTypes.Float64, kind: aDouble},
		{typ: arrow.PrimitiveTypes.Float64, kind: aDouble},
		{typ: &arrow.Decimal32Type{Precision: 6, Scale: scale}, kind: aDecimal},
		{typ: &arrow.Decimal64Type{Precision: 10, Scale: scale}, kind: aDecimal},
		{typ: &arrow.Decimal128Type{Precision: 20, Scale: scale}, kind: aDecimal},
		{typ: &arrow.Decimal256Type{Precision: 40, Scale: scale}, kind: aDecimal},
		{typ: arrow.BinaryTypes.String, kind: aString},
		{typ: arrow.BinaryTypes.String, kind: aString},
		{typ: arrow.BinaryTypes.LargeString, kind: aString},
		{typ: arrow.BinaryTypes.StringView, kind: aString},
		{typ: arrow.BinaryTypes.Binary, kind: bytes_},
		{typ: arrow.BinaryTypes.LargeBinary, kind: bytes_},
		{typ: arrow.BinaryTypes.BinaryView, kind: bytes_},
		{typ: &arrow.FixedSizeBinaryType{ByteWidth: 2}, kind: bytes_},
		{typ: &arrow.TimestampType{Unit: unit, TimeZone: zone}, kind: aTime, tick: tick},
		{typ: &arrow.TimestampType{Unit: unit, TimeZone: zone}, kind: aTime, tick: tick},
		{typ: arrow.FixedWidthTypes.Date32, kind: aTime, tick: int64(24 * time.Hour)},
		{typ: arrow.FixedWidthTypes.Date64, kind: aTime, tick: int64(time.Millisecond)},
		{typ: &arrow.DurationType{Unit: unit}, kind: aSpan, tick: tick},
		{typ: arrow.FixedWidthTypes.Time32s, kind: aSpan, tick: int64(time.Second)},
		{typ: arrow.FixedWidthTypes.Time64ns, kind: aSpan, tick: 1},
	}
	for {
		if l := pick(g, simple); !g.plain || l.kind != aDecimal {
			return l
		}
	}
}

// The pools that values are taken from: few, so that different columns and literals meet, and with the extremes.
var (
	intPool    = []int64{0, 1, -1, 2, 3, 7, 100, 127, -128, 255, 300, 1 << 31, -1 << 31, 1<<53 + 1, math.MaxInt64, math.MinInt64}
	doublePool = []float64{0, 1, -1, 2.5, 0.1, 7, -7.25, 100, 65504, 1e10, 1 << 53, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, 1 << 63, math.Copysign(0, -1)}
	textPool   = []string{"", "a", "ab", "abc", "b", "ba", "größe", "more than twelve bytes", "more than twelve bits", "42", "-7", "\n\"'"}
	blobPool   = []string{"", "a", "ab", "\x00", "\xff\xfe", "b", "more than twelve bytes"}
	secondPool = []int64{0, 1, -1, 59, 3600, 86400, -86400, 951782400, 1709210096, 1711846800, 4102444800, 253402300799, -62135596800, 253402300800}
)

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

// value is a random value of a leaf's.
func (g *generator) value(l leaf) any {
	for {
		if v := g.anyValue(l); !g.plain || forCELToo(v) {
			return v
		}
	}
}

func (g *generator) anyValue(l leaf) any {
	bounded := func(least, most int64) int64 {
		for {
			if v := pick(g, intPool); v >= least && v <= most {
				return v
			}
		}
	}
	switch typ := l.typ.(type) {
	case *arrow.BooleanType:
		return g.IntN(2) == 0
	case *arrow.Int8Type:
		return bounded(math.MinInt8, math.MaxInt8)
	case *arrow.Int16Type:
		return bounded(math.MinInt16, math.MaxInt16)
	case *arrow.Int32Type:
		return bounded(math.MinInt32, math.MaxInt32)
	case *arrow.Int64Type:
		return bounded(math.MinInt64, math.MaxInt64)
	case *arrow.Uint8Type:
		return uint64(bounded(0, math.MaxUint8))
	case *arrow.Uint16Type:
		return uint64(bounded(0, math.MaxUint16))
	case *arrow.Uint32Type:
		return uint64(bounded(0, math.MaxUint32))
	case *arrow.Uint64Type:
		if g.IntN(10) == 0 {
			return uint64(math.MaxUint64)
		}
		return uint64(bounded(0, math.MaxInt64))
	case *arrow.Float16Type:
		return float64(float16.New(float32(pick(g, doublePool))).Float32())
	case *arrow.Float32Type:
		return float64(float32(pick(g, doublePool)))
	case *arrow.Float64Type:
		return pick(g, doublePool)
	case arrow.DecimalType:
		unscaled := pick(g, []int64{0, 1, -1, 100, 250, -725, 7000, 10, 255000, 999999})
		return new(big.Rat).SetFrac(big.NewInt(unscaled), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(typ.GetScale())), nil))
	case *arrow.StringType, *arrow.LargeStringType, *arrow.StringViewType:
		return pick(g, textPool)
	case *arrow.FixedSizeBinaryType:
		return blob(pick(g, []string{"ab", "\x00\xff", "ba"}))
	case *arrow.BinaryType, *arrow.LargeBinaryType, *arrow.BinaryViewType:
		return blob(pick(g, blobPool))
	case *arrow.Time32Type, *arrow.Time64Type:
		return span{nanos(pick(g, []int64{0, 1, 59, 3600, 43200, 86399}), int64(time.Second))}
	}
	// Timestamps and durations: mostly ordinary ones, sometimes as far away as the type goes.
	var ticks int64
	switch {
	case l.typ.ID() == arrow.DATE32:
		ticks = pick(g, secondPool) / 86400
	case g.IntN(20) == 0:
		ticks = pick(g, []int64{math.MaxInt64, math.MinInt64, math.MaxInt64 / 1000, math.MinInt64 / 1000})
	default:
		n := nanos(pick(g, secondPool), int64(time.Second))
		n.Add(n, big.NewInt(pick(g, []int64{0, 0, 0, 1, 999, 1e6, 5e8})))
		n.Div(n, big.NewInt(l.tick))
		if !n.IsInt64() {
			n.SetInt64(7)
		}
		ticks = n.Int64()
	}
	if l.kind == aTime {
		return instant{nanos(ticks, l.tick)}
	}
	return span{nanos(ticks, l.tick)}
}

func nanos(ticks, tick int64) *big.Int { return new(big.Int).Mul(big.NewInt(ticks), big.NewInt(tick)) }

// build makes an array of values.
func build(l leaf, values []any) arrow.Array {
	b := array.NewBuilder(memory.DefaultAllocator, l.typ)
	defer b.Release()
	for _, v := range values {
		if v == nil {
			b.AppendNull()
			continue
		}
		ticks := int64(0)
		switch v := v.(type) {
		case instant:
			ticks = new(big.Int).Quo(v.Int, big.NewInt(l.tick)).Int64()
		case span:
			ticks = new(big.Int).Quo(v.Int, big.NewInt(l.tick)).Int64()
		case int64:
			ticks = v
		case uint64:
			ticks = int64(v)
		}
		switch b := b.(type) {
		case *array.BooleanBuilder:
			b.Append(v.(bool))
		case *array.Int8Builder:
			b.Append(int8(ticks))
		case *array.Int16Builder:
			b.Append(int16(ticks))
		case *array.Int32Builder:
			b.Append(int32(ticks))
		case *array.Int64Builder:
			b.Append(ticks)
		case *array.Uint8Builder:
			b.Append(uint8(ticks))
		case *array.Uint16Builder:
			b.Append(uint16(ticks))
		case *array.Uint32Builder:
			b.Append(uint32(ticks))
		case *array.Uint64Builder:
			b.Append(uint64(ticks))
		case *array.Float16Builder:
			b.Append(float16.New(float32(v.(float64))))
		case *array.Float32Builder:
			b.Append(float32(v.(float64)))
		case *array.Float64Builder:
			b.Append(v.(float64))
		case *array.Decimal32Builder:
			b.Append(decimal.Decimal32(unscaled(l, v).Int64()))
		case *array.Decimal64Builder:
			b.Append(decimal.Decimal64(unscaled(l, v).Int64()))
		case *array.Decimal128Builder:
			b.Append(decimal128.FromBigInt(unscaled(l, v)))
		case *array.Decimal256Builder:
			b.Append(decimal256.FromBigInt(unscaled(l, v)))
		case array.StringLikeBuilder:
			b.Append(v.(string))
		case *array.FixedSizeBinaryBuilder:
			b.Append([]byte(v.(blob)))
		case array.BinaryLikeBuilder:
			b.Append([]byte(v.(blob)))
		case *array.TimestampBuilder:
			b.Append(arrow.Timestamp(ticks))
		case *array.Date32Builder:
			b.Append(arrow.Date32(ticks))
		case *array.Date64Builder:
			b.Append(arrow.Date64(ticks))
		case *array.DurationBuilder:
			b.Append(arrow.Duration(ticks))
		case *array.Time32Builder:
			b.Append(arrow.Time32(ticks))
		case *array.Time64Builder:
			b.Append(arrow.Time64(ticks))
		default:
			panic(fmt.Sprintf("no way to build %s", l.typ))
		}
	}
	return b.NewArray()
}

func unscaled(l leaf, v any) *big.Int {
	scale := l.typ.(arrow.DecimalType).GetScale()
	r := new(big.Rat).Mul(v.(*big.Rat), new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
	return r.Num()
}

// encoded makes an array of n random values, in any of the ways that there are to store them.
func (g *generator) encoded(l leaf, n int) (arrow.Array, []any) {
	nulls := pick(g, []int{0, 0, 3, 10})
	if g.plain {
		nulls = 0
	}
	draw := func() any {
		if nulls > 0 && g.IntN(nulls) == 0 {
			return nil
		}
		return g.value(l)
	}
	values := make([]any, n)
	switch g.IntN(5) {
	case 0: // a dictionary, which may have nulls, values twice, and values that no row has
		pool := make([]any, 1+g.IntN(20))
		for i := range pool {
			pool[i] = draw()
		}
		indexTypes := []arrow.DataType{arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Uint16, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Uint64}
		indexType := pick(g, indexTypes)
		codes := make([]any, n)
		for i := range values {
			if nulls == 0 || g.IntN(nulls) > 0 {
				at := g.IntN(len(pool))
				codes[i], values[i] = int64(at), pool[at]
			}
		}
		return array.NewDictionaryArray(&arrow.DictionaryType{IndexType: indexType, ValueType: l.typ}, build(leaf{typ: indexType}, codes), build(l, pool)), values
	case 1: // runs
		if n == 0 {
			break
		}
		var ends, runs []any
		for at := 0; at < n; {
			end := min(n, at+1+g.IntN(5))
			v := draw()
			for ; at < end; at++ {
				values[at] = v
			}
			ends, runs = append(ends, int64(end)), append(runs, v)
		}
		return array.NewRunEndEncodedArray(build(leaf{typ: arrow.PrimitiveTypes.Int32}, ends), build(l, runs), n, 0), values
	}
	// Some columns are of one value, besides NaNs: those are worth pruning.
	switch base := draw(); g.IntN(4) {
	case 0:
		for i := range values {
			if values[i] = base; l.kind == aDouble && base != nil && g.IntN(5) == 0 {
				values[i] = math.NaN()
			}
		}
	default:
		for i := range values {
			values[i] = draw()
		}
	}
	return build(l, values), values
}

// table makes a new table.
func (g *generator) table() {
	g.rows = pick(g, []int{0, 1, 7, 20, 64, 100, 100, 200, 200, 300, 1024, 1500})
	g.roots = map[string]func(int) any{}
	numbers := make([]any, g.rows)
	for i := range numbers {
		numbers[i] = int64(i)
	}
	g.add("row_number", build(leaf{typ: arrow.PrimitiveTypes.Int64}, numbers), numbers, func(row int) any { return numbers[row] })
	for i := range 4 + g.IntN(5) {
		name := fmt.Sprintf("c%d", i)
		text := name
		if g.IntN(4) == 0 {
			name = "näme " + name
			text = fmt.Sprintf("row[%q]", name)
		}
		l := g.leaf()
		column, values := g.sliced(l)
		c := expression{text: text, kind: l.kind, tick: l.tick, eval: func(row int) any { return values[row] }}
		g.add(name, column, values, c.eval)
		g.cells = append(g.cells, c)
		g.nullable = append(g.nullable, c)
	}
	g.structs()
	g.listColumn("tags")
	g.mapColumn("attrs")
}

// add adds a column. Its values are given for those that are not nested.
func (g *generator) add(name string, column arrow.Array, values []any, root func(row int) any) {
	g.fields = append(g.fields, nullable(name, column.DataType()))
	g.columns = append(g.columns, column)
	g.values = append(g.values, values)
	g.roots[name] = root
}

// sliced is an array of as many rows as the table has, which may be a slice of a longer one.
func (g *generator) sliced(l leaf) (arrow.Array, []any) {
	before, after := pick(g, []int{0, 0, 1, 13, 64}), pick(g, []int{0, 5})
	whole, values := g.encoded(l, before+g.rows+after)
	return array.NewSlice(whole, int64(before), int64(before+g.rows)), values[before : before+g.rows]
}

// structs adds a column of structs with a struct within.
func (g *generator) structs() {
	outer, inner := g.leaf(), g.leaf()
	n := g.rows + 3
	a, aValues := g.encoded(outer, n)
	b, bValues := g.encoded(inner, n)
	within := g.structOf([]arrow.Array{b}, []string{"deep er"}, n)
	whole := g.structOf([]arrow.Array{a, within}, []string{"a", "s"}, n)
	outerNull := func(row int) bool { return whole.IsNull(row + 2) }
	innerNull := func(row int) bool { return outerNull(row) || within.IsNull(row+2) }
	cellA := expression{text: "st.a", kind: outer.kind, tick: outer.tick, eval: func(row int) any {
		if outerNull(row) {
			return nil
		}
		return aValues[row+2]
	}}
	cellB := expression{text: pick(g, []string{"st.s.`deep er`", "st['s']['deep er']"}), kind: inner.kind, tick: inner.tick, eval: func(row int) any {
		if innerNull(row) {
			return nil
		}
		return bValues[row+2]
	}}
	g.add("st", array.NewSlice(whole, 2, int64(2+g.rows)), nil, func(row int) any {
		return map[string]any{"a": aValues[row+2], "s": map[string]any{"deep er": bValues[row+2]}}
	})
	isStruct := func(null func(int) bool) func(int) any {
		return func(row int) any {
			if null(row) {
				return nil
			}
			return "a struct"
		}
	}
	g.cells = append(g.cells, cellA, cellB)
	g.nullable = append(g.nullable, cellA, cellB, expression{text: "st", eval: isStruct(outerNull)}, expression{text: "st.s", eval: isStruct(innerNull)})
}

// structOf is an array of structs, some of which are null whatever their fields are.
func (g *generator) structOf(children []arrow.Array, names []string, n int) arrow.Array {
	fields := make([]arrow.Field, len(children))
	for i, child := range children {
		fields[i] = nullable(names[i], child.DataType())
	}
	bits := memory.NewResizableBuffer(memory.DefaultAllocator)
	bits.Resize((n + 7) / 8)
	nullCount := 0
	for i := range n {
		if !g.plain && g.IntN(5) == 0 {
			bits.Bytes()[i/8] &^= 1 << (i % 8)
			nullCount++
		} else {
			bits.Bytes()[i/8] |= 1 << (i % 8)
		}
	}
	a, err := array.NewStructArrayWithFieldsAndNulls(children, fields, bits, nullCount, 0)
	if err != nil {
		panic(err)
	}
	return a
}

// offsets are those of random lists, of which some are null.
func (g *generator) offsets(n int) (offsets []int32, bits *memory.Buffer, nullCount int) {
	bits = memory.NewResizableBuffer(memory.DefaultAllocator)
	bits.Resize((n + 7) / 8)
	clear(bits.Bytes())
	offsets = []int32{0}
	for i := range n {
		size := int32(g.IntN(4))
		if !g.plain && g.IntN(6) == 0 {
			nullCount++ // it may have elements all the same
		} else {
			bits.Bytes()[i/8] |= 1 << (i % 8)
		}
		offsets = append(offsets, offsets[i]+size)
	}
	return offsets, bits, nullCount
}

// listColumn adds a column of lists.
func (g *generator) listColumn(name string) {
	l := g.leaf()
	n := g.rows + 5
	offsets, bits, nullCount := g.offsets(n)
	elements, values := g.encoded(l, int(offsets[n]))
	buffers := []*memory.Buffer{bits, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets))}
	whole := array.MakeFromData(array.NewData(arrow.ListOf(elements.DataType()), n, buffers, []arrow.ArrayData{elements.Data()}, nullCount, 0))
	list := func(row int) any {
		if whole.IsNull(row + 3) {
			return nil
		}
		return append([]any{}, values[offsets[row+3]:offsets[row+4]]...)
	}
	g.add(name, array.NewSlice(whole, 3, int64(3+g.rows)), nil, list)
	g.lists = append(g.lists, expression{text: name, kind: l.kind, tick: l.tick, eval: list})
	g.nullable = append(g.nullable, expression{text: name, eval: list})
	at := g.IntN(3)
	g.cells = append(g.cells, expression{text: fmt.Sprintf("%s[%d]", name, at), kind: l.kind, tick: l.tick, eval: func(row int) any {
		elements, ok := list(row).([]any)
		if !ok || at >= len(elements) {
			return nil
		}
		return elements[at]
	}})
}

// mapColumn adds a column of maps from strings.
func (g *generator) mapColumn(name string) {
	l := g.leaf()
	n := g.rows + 1
	offsets, bits, nullCount := g.offsets(n)
	items, values := g.encoded(l, int(offsets[n]))
	keys := make([]any, offsets[n])
	for i := range keys {
		keys[i] = pick(g, []string{"a", "b", "c"})
	}
	keyArray := build(leaf{typ: arrow.BinaryTypes.String}, keys)
	entries := array.NewData(arrow.StructOf(arrow.Field{Name: "key", Type: arrow.BinaryTypes.String}, nullable("value", items.DataType())), len(keys),
		[]*memory.Buffer{nil}, []arrow.ArrayData{keyArray.Data(), items.Data()}, 0, 0)
	buffers := []*memory.Buffer{bits, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets))}
	whole := array.MakeFromData(array.NewData(arrow.MapOf(arrow.BinaryTypes.String, items.DataType()), n, buffers, []arrow.ArrayData{entries}, nullCount, 0))
	g.add(name, array.NewSlice(whole, 1, int64(1+g.rows)), nil, func(row int) any {
		entries := map[string]any{}
		for i := offsets[row+2] - 1; i >= offsets[row+1]; i-- { // the first of a name counts
			entries[keys[i].(string)] = values[i]
		}
		return entries
	})
	get := func(key string) func(row int) any {
		return func(row int) any {
			if whole.IsNull(row + 1) {
				return nil
			}
			for i := offsets[row+1]; i < offsets[row+2]; i++ {
				if keys[i] == key {
					return values[i]
				}
			}
			return nil
		}
	}
	g.cells = append(g.cells, expression{text: name + ".a", kind: l.kind, tick: l.tick, eval: get("a")},
		expression{text: name + "['b']", kind: l.kind, tick: l.tick, eval: get("b")})
	g.lists = append(g.lists, expression{text: name, kind: aString, eval: func(row int) any {
		if whole.IsNull(row + 1) {
			return nil
		}
		return append([]any{}, keys[offsets[row+1]:offsets[row+2]]...)
	}})
}

// rowGroup has the statistics of some rows.
type rowGroup struct {
	rows    int64
	columns map[int]scan.ColumnStatistics
}

func (r rowGroup) Rows() int64 { return r.rows }

func (r rowGroup) Column(field int) (scan.ColumnStatistics, bool) {
	c, ok := r.columns[field]
	return c, ok
}

// statistics are what is true of rows, some of it left out.
func (g *generator) statistics(from, to int) scan.Statistics {
	group := rowGroup{rows: int64(to - from), columns: map[int]scan.ColumnStatistics{}}
	for i, values := range g.values {
		if values == nil || g.IntN(8) == 0 {
			continue
		}
		c := scan.ColumnStatistics{Nulls: -1}
		var least, greatest any
		nulls := int64(0)
		for _, v := range values[from:to] {
			if v == nil {
				nulls++
				continue
			}
			if f, ok := v.(float64); ok && math.IsNaN(f) {
				continue
			}
			if least == nil {
				least, greatest = v, v
				continue
			}
			if x, ok := compareValues(v, least); ok && x < 0 {
				least = v
			}
			if x, ok := compareValues(v, greatest); ok && x > 0 {
				greatest = v
			}
		}
		if g.IntN(8) > 0 {
			c.Nulls = nulls
		}
		if least != nil && g.IntN(8) > 0 {
			c.Min = scalarOf(g.fields[i].Type, least, g.IntN(3) == 0, false)
		}
		if least != nil && g.IntN(8) > 0 {
			c.Max = scalarOf(g.fields[i].Type, greatest, g.IntN(3) == 0, true)
		}
		group.columns[i] = c
	}
	return group
}

// scalarOf is a bound as a scalar, cut short if it is a string that may be. It is nil for types that arrow-go has no scalars of.
func scalarOf(typ arrow.DataType, v any, cut, upper bool) scalar.Scalar {
	switch t := typ.(type) {
	case *arrow.DictionaryType:
		typ = t.ValueType
	case *arrow.RunEndEncodedType:
		typ = t.Encoded()
	}
	l := leaf{typ: typ, tick: 1}
	switch t := typ.(type) {
	case *arrow.TimestampType:
		l.tick = int64(t.Unit.Multiplier())
	case *arrow.DurationType:
		l.tick = int64(t.Unit.Multiplier())
	case *arrow.Time32Type:
		l.tick = int64(t.Unit.Multiplier())
	case *arrow.Date32Type:
		l.tick = int64(24 * time.Hour)
	case *arrow.Date64Type:
		l.tick = int64(time.Millisecond)
	case *arrow.StringViewType, *arrow.BinaryViewType, *arrow.Decimal32Type, *arrow.Decimal64Type:
		return nil
	case *arrow.StringType, *arrow.LargeStringType:
		if s := v.(string); cut && len(s) > 1 && s[0] < utf8.RuneSelf {
			if v = s[:1]; upper {
				v = string(s[0] + 1)
			}
		}
	}
	s, err := scalar.GetScalar(build(l, []any{v}), 0)
	if err != nil {
		panic(err)
	}
	return s
}
