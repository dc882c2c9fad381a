package scan

import (
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

// cursor says at which place of an array the value of each row of a block stands.
type cursor struct {
	n int
	// from is where the block's values stand side by side, if they do.
	from int
	// scattered says that they do not: at has the place of each row that is valid.
	scattered bool
	at        [blockRows]int
	valid     bitmap
}

// start puts the cursor on the rows of the block.
func (c *cursor) start(b *block) {
	c.n, c.from, c.scattered = b.n, b.from, false
	c.valid.fill(b.n)
}

// place is where row i has its value.
func (c *cursor) place(i int) int {
	if c.scattered {
		return c.at[i]
	}
	return c.from + i
}

// drop takes from the valid rows those whose value is null.
func (c *cursor) drop(n nulls) {
	if n.bits == nil {
		return
	}
	if c.scattered {
		c.valid.each(func(i int) bool {
			if n.has(c.at[i]) {
				c.valid.clear(i)
			}
			return true
		})
		return
	}
	var valid bitmap
	valid.read(n.bits, n.offset+c.from, c.n)
	c.valid.and(&valid)
}

// move gives each valid row another place.
func (c *cursor) move(place func(int) int) {
	c.valid.each(func(i int) bool {
		c.at[i] = place(c.place(i))
		return true
	})
	c.scattered = true
}

// step leads from an array to one within it.
type step interface {
	follow(b *block, c *cursor)
}

// leaf has the values at the end of a path.
type leaf[T any] interface {
	load(c *cursor, v *vector[T])
}

// binding is what a path leads to in the batch that is being evaluated.
type binding struct {
	steps []step
	// end is a leaf[T], a flags, a lists or an unread.
	end any
	// dictionary is where the path ends in front of, if the last array is dictionary-encoded; end has the values of the dictionary.
	dictionary *dictionaryStep
}

// find puts the cursor on the values for the rows of the block.
func (bd *binding) find(b *block, c *cursor) {
	c.start(b)
	bd.follow(b, c)
}

// follow leads the cursor from the array where the path begins to the values.
func (bd *binding) follow(b *block, c *cursor) {
	for _, s := range bd.steps {
		s.follow(b, c)
	}
	if bd.dictionary != nil {
		bd.dictionary.follow(b, c)
	}
}

// pathStep opens the step from an array to one within it.
type pathStep func(a arrow.Array) (step, arrow.Array)

// bind opens the path that begins at an array. Extensions, dictionaries and runs on the way are gone through.
func bind(a arrow.Array, path []pathStep, open func(arrow.Array) any) binding {
	var bd binding
	follow := func(s step) {
		if bd.dictionary != nil {
			bd.steps = append(bd.steps, bd.dictionary)
			bd.dictionary = nil
		}
		if s != nil {
			bd.steps = append(bd.steps, s)
		}
	}
	for {
		switch wrapped := a.(type) {
		case array.ExtensionArray:
			a = wrapped.Storage()
			continue
		case *array.RunEndEncoded:
			follow(runStep{wrapped})
			a = wrapped.Values()
			continue
		case *array.Dictionary:
			follow(nil)
			bd.dictionary = &dictionaryStep{values: wrapped.Dictionary(), codes: openInts(wrapped.Indices())}
			a = bd.dictionary.values
			continue
		}
		if len(path) == 0 {
			bd.end = open(a)
			return bd
		}
		var s step
		s, a = path[0](a)
		follow(s)
		path = path[1:]
	}
}

// column is a column, or what a path leads to within one.
type column[T any] struct {
	slot int
	stat func(s Statistics) bounds[T]
}

func (x *column[T]) eval(b *block, v *vector[T]) {
	bd := &b.columns[x.slot]
	c := b.cursors.get()
	bd.find(b, c)
	bd.end.(leaf[T]).load(c, v)
	b.cursors.put(c)
}

func (x *column[T]) bounds(s Statistics) bounds[T] { return x.stat(s) }

// flag is a column of booleans.
type flag struct {
	slot int
	stat func(s Statistics) outcomes
}

func (x *flag) eval(b *block, t *truth) {
	bd := &b.columns[x.slot]
	c := b.cursors.get()
	bd.find(b, c)
	bd.end.(flags).load(c, t)
	b.cursors.put(c)
}

func (x *flag) outcomes(s Statistics) outcomes { return x.stat(s) }

// absent is true where a column is null. It reads no values.
type absent struct {
	slot int
	stat func(s Statistics) outcomes
}

func (x *absent) eval(b *block, t *truth) {
	bd := &b.columns[x.slot]
	c := b.cursors.get()
	bd.find(b, c)
	c.drop(nulls(bd.end.(unread)))
	var all bitmap
	all.fill(b.n)
	t.yes, t.no = c.valid, bitmap{}
	t.settle(&all)
	t.not()
	b.cursors.put(c)
}

func (x *absent) outcomes(s Statistics) outcomes { return x.stat(s) }

// fieldStep opens the step from structs to their field i.
func fieldStep(i int) pathStep {
	return func(a arrow.Array) (step, arrow.Array) {
		s := a.(*array.Struct)
		return structStep(nullsOf(s)), s.Field(i)
	}
}

// structStep leads to a field of structs, whose places are those of the structs.
type structStep nulls

func (s structStep) follow(_ *block, c *cursor) { c.drop(nulls(s)) }

// dictionaryStep leads to the values of a dictionary.
type dictionaryStep struct {
	values arrow.Array
	codes  leaf[int64]
}

func (s *dictionaryStep) follow(b *block, c *cursor) {
	v := b.ints.get()
	s.codes.load(c, v)
	c.valid = v.valid
	c.valid.each(func(i int) bool {
		c.at[i] = int(v.values[i])
		return true
	})
	c.scattered = true
	b.ints.put(v)
}

// runStep leads to the values of runs.
type runStep struct{ runs *array.RunEndEncoded }

func (s runStep) follow(_ *block, c *cursor) {
	last, at := -1, 0 // rows side by side are most often of one value
	c.move(func(place int) int {
		if place != last {
			last, at = place, s.runs.GetPhysicalIndex(place)
		}
		return at
	})
}

// numbers are stored as S and read as T.
type numbers[S, T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64] struct {
	values []S
	nulls  nulls
}

func (l numbers[S, T]) load(c *cursor, v *vector[T]) {
	c.drop(l.nulls)
	v.valid = c.valid
	if !c.scattered {
		part := l.values[c.from : c.from+c.n]
		if same, ok := any(part).([]T); ok {
			v.values = same
			return
		}
		out := v.space(c.n)
		for i, x := range part {
			out[i] = T(x)
		}
		return
	}
	out := v.space(c.n)
	c.valid.each(func(i int) bool {
		out[i] = T(l.values[c.at[i]])
		return true
	})
}

// getter reads values one by one.
type getter[T any] struct {
	get   func(i int) T
	nulls nulls
}

func (l getter[T]) load(c *cursor, v *vector[T]) {
	c.drop(l.nulls)
	v.valid = c.valid
	out := v.space(c.n)
	c.valid.each(func(i int) bool {
		out[i] = l.get(c.place(i))
		return true
	})
}

// texts are strings in the layout that is the most frequent by far.
type texts struct {
	text    string
	offsets []int32
	nulls   nulls
}

func (l texts) load(c *cursor, v *vector[string]) {
	if c.scattered {
		getter[string]{func(i int) string { return l.text[l.offsets[i]:l.offsets[i+1]] }, l.nulls}.load(c, v)
		return
	}
	c.drop(l.nulls)
	v.valid = c.valid
	out, offsets := v.space(c.n), l.offsets[c.from:c.from+c.n+1]
	for i := range out {
		out[i] = l.text[offsets[i]:offsets[i+1]]
	}
}

// decimals128 are decimals in the layout that is the most frequent by far.
type decimals128 struct {
	values []decimal128.Num
	nulls  nulls
}

func (l decimals128) load(c *cursor, v *vector[decimal]) {
	if c.scattered {
		getter[decimal]{func(i int) decimal { return decimal256.FromDecimal128(l.values[i]) }, l.nulls}.load(c, v)
		return
	}
	c.drop(l.nulls)
	v.valid = c.valid
	out := v.space(c.n)
	for i, x := range l.values[c.from : c.from+c.n] {
		sign := uint64(x.HighBits() >> 63)
		out[i] = decimal256.New(sign, sign, uint64(x.HighBits()), x.LowBits())
	}
}

// flags are booleans.
type flags struct {
	bits   []byte
	offset int
	nulls  nulls
}

func (l flags) load(c *cursor, t *truth) {
	c.drop(l.nulls)
	t.yes = bitmap{}
	if !c.scattered {
		t.yes.read(l.bits, l.offset+c.from, c.n)
	} else {
		c.valid.each(func(i int) bool {
			if at := l.offset + c.at[i]; l.bits[at>>3]>>(at&7)&1 != 0 {
				t.yes.set(i)
			}
			return true
		})
	}
	t.settle(&c.valid)
}

// unread is a column of which nothing matters but what is null.
type unread nulls

func openUnread(a arrow.Array) any { return unread(nullsOf(a)) }

func openFlags(a arrow.Array) any {
	l := flags{offset: a.Data().Offset(), nulls: nullsOf(a)}
	if b := a.Data().Buffers()[1]; b != nil {
		l.bits = b.Bytes()
	}
	return l
}

// openInts opens whatever is an integer, timestamps and the like among them. It is nil for other arrays.
func openInts(a arrow.Array) leaf[int64] {
	n := nullsOf(a)
	switch a := a.(type) {
	case *array.Int8:
		return numbers[int8, int64]{a.Int8Values(), n}
	case *array.Int16:
		return numbers[int16, int64]{a.Int16Values(), n}
	case *array.Int32:
		return numbers[int32, int64]{a.Int32Values(), n}
	case *array.Int64:
		return numbers[int64, int64]{a.Int64Values(), n}
	case *array.Uint8:
		return numbers[uint8, int64]{a.Uint8Values(), n}
	case *array.Uint16:
		return numbers[uint16, int64]{a.Uint16Values(), n}
	case *array.Uint32:
		return numbers[uint32, int64]{a.Uint32Values(), n}
	case *array.Uint64: // indices of dictionaries, which fit
		return numbers[uint64, int64]{a.Uint64Values(), n}
	case *array.Timestamp:
		return numbers[int64, int64]{as64(a.TimestampValues()), n}
	case *array.Date32:
		return numbers[int32, int64]{as32(a.Date32Values()), n}
	case *array.Date64:
		return numbers[int64, int64]{as64(a.Date64Values()), n}
	case *array.Time32:
		return numbers[int32, int64]{as32(a.Time32Values()), n}
	case *array.Time64:
		return numbers[int64, int64]{as64(a.Time64Values()), n}
	case *array.Duration:
		return numbers[int64, int64]{as64(a.DurationValues()), n}
	default:
		return nil
	}
}

// as64 is the same memory as integers.
func as64[T ~int64](v []T) []int64 {
	return unsafe.Slice((*int64)(unsafe.Pointer(unsafe.SliceData(v))), len(v))
}

// as32 is the same memory as integers.
func as32[T ~int32](v []T) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(v))), len(v))
}

func openInt(a arrow.Array) any { return openInts(a) }

func openUints(a arrow.Array) any {
	n := nullsOf(a)
	switch a := a.(type) {
	case *array.Uint8:
		return numbers[uint8, uint64]{a.Uint8Values(), n}
	case *array.Uint16:
		return numbers[uint16, uint64]{a.Uint16Values(), n}
	case *array.Uint32:
		return numbers[uint32, uint64]{a.Uint32Values(), n}
	case *array.Uint64:
		return numbers[uint64, uint64]{a.Uint64Values(), n}
	default:
		return nil
	}
}

func openDoubles(a arrow.Array) any {
	n := nullsOf(a)
	switch a := a.(type) {
	case *array.Float16:
		return getter[float64]{func(i int) float64 { return float64(a.Value(i).Float32()) }, n}
	case *array.Float32:
		return numbers[float32, float64]{a.Float32Values(), n}
	case *array.Float64:
		return numbers[float64, float64]{a.Float64Values(), n}
	default:
		return nil
	}
}

func openDecimals(a arrow.Array) any {
	n := nullsOf(a)
	switch a := a.(type) {
	case *array.Decimal32:
		return getter[decimal]{func(i int) decimal { return decimal256.FromI64(int64(a.Value(i))) }, n}
	case *array.Decimal64:
		return getter[decimal]{func(i int) decimal { return decimal256.FromI64(int64(a.Value(i))) }, n}
	case *array.Decimal128:
		return decimals128{a.Values(), n}
	case *array.Decimal256:
		return getter[decimal]{a.Value, n}
	default:
		return nil
	}
}

func openTexts(a arrow.Array) any {
	n := nullsOf(a)
	switch a := a.(type) {
	case *array.String:
		if a.Len() == 0 { // it need not have offsets
			return texts{}
		}
		return texts{asString(bytesOf(a.Data().Buffers()[2])), a.ValueOffsets(), n}
	case *array.LargeString:
		return getter[string]{a.Value, n}
	case *array.StringView:
		return getter[string]{a.Value, n}
	case *array.Binary:
		return getter[string]{a.ValueString, n}
	case *array.LargeBinary:
		return getter[string]{a.ValueString, n}
	case *array.BinaryView:
		return getter[string]{a.ValueString, n}
	case *array.FixedSizeBinary:
		return getter[string]{func(i int) string { return asString(a.Value(i)) }, n}
	default:
		return nil
	}
}

// asString is the same memory as a string.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
