package ipcguard

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"

	"github.com/flight-operator/flight-operator/internal/arrowmem"
	"github.com/flight-operator/flight-operator/internal/text"
)

// Validation is how much of a batch is looked at before it is handed out.
type Validation int

const (
	// ValidateFull looks at every value: text is UTF-8, too. Nothing that a batch holds then makes whoever uses it read out of bounds.
	ValidateFull Validation = iota
	// ValidateValues is ValidateFull but for UTF-8.
	ValidateValues
	// ValidateLayout compares lengths alone, without a look at values. It is for senders that one trusts.
	ValidateLayout
)

// checkArray makes sure that an array holds together, for offsets and indices that point outside would otherwise be found by whoever uses
// it, in whatever way; children included, dictionaries not: they are arrays of their own, that many share.
// It takes array data as they were decoded, for to make an arrow.Array of those that do not hold together is enough for a panic. It checks
// what array.ValidateFull does, and run ends, the order of list views, the prefixes of views and the keys of maps besides; text below a
// null is not looked at.
func checkArray(d arrow.ArrayData, validation Validation) error {
	return (&check{ArrayData: d, dt: storageOf(d.DataType()), validation: validation}).run()
}

// check is one array under validation.
type check struct {
	arrow.ArrayData
	dt         arrow.DataType // not an extension type
	validation Validation
	nulls      bool // whether any row is null
}

func storageOf(dt arrow.DataType) arrow.DataType {
	for {
		extension, ok := dt.(arrow.ExtensionType)
		if !ok {
			return dt
		}
		dt = extension.StorageType()
	}
}

// end is the number of rows that buffers have to have.
func (c *check) end() int64 { return int64(c.Offset()) + int64(c.Len()) }

// full is whether values are looked at.
func (c *check) full() bool { return c.validation != ValidateLayout }

// buffer is the bytes of a buffer, nil if there is none.
func (c *check) buffer(i int) []byte {
	if buffers := c.Buffers(); i < len(buffers) && buffers[i] != nil {
		return buffers[i].Bytes()
	}
	return nil
}

func (c *check) run() error {
	if c.Len() < 0 || c.Offset() < 0 || c.end() < 0 {
		return fmt.Errorf("it has %d rows from %d on", c.Len(), c.Offset())
	}
	if nested, ok := c.dt.(arrow.NestedType); ok && len(c.Children()) != nested.NumFields() {
		return fmt.Errorf("it has %d children and its type %d", len(c.Children()), nested.NumFields())
	}
	if err := c.validity(); err != nil {
		return err
	}
	if err := c.own(); err != nil {
		return err
	}
	for i, child := range c.Children() {
		if err := checkArray(child, c.validation); err != nil {
			return fmt.Errorf("%s: %w", childLabel(c.dt, i), err)
		}
	}
	return nil
}

// childLabel is what a child of a type is called in errors.
func childLabel(dt arrow.DataType, i int) string {
	switch dt := dt.(type) {
	case *arrow.StructType, arrow.UnionType:
		return "field " + quoted(dt.(arrow.NestedType).Fields()[i].Name)
	case *arrow.MapType:
		return "entries"
	case *arrow.RunEndEncodedType:
		return [...]string{"run ends", "values"}[i]
	default:
		return "values"
	}
}

// validity checks the bitmap, and that the nulls are as many as they are said to be.
func (c *check) validity() error {
	switch c.dt.ID() {
	case arrow.NULL, arrow.SPARSE_UNION, arrow.DENSE_UNION, arrow.RUN_END_ENCODED:
		return nil // they have none
	default:
		return c.bitmap()
	}
}

func (c *check) bitmap() error {
	bits := c.buffer(0)
	if len(bits) == 0 {
		if c.NullN() > 0 {
			return fmt.Errorf("%d of its rows are null, and no bitmap says which", c.NullN())
		}
		return nil
	}
	if err := c.holds("validity bitmap", bits, 1); err != nil {
		return err
	}
	c.nulls = c.NullN() != 0
	if !c.full() {
		return nil
	}
	nulls := c.Len() - bitutil.CountSetBits(bits, c.Offset(), c.Len())
	if c.NullN() != array.UnknownNullCount && nulls != c.NullN() {
		return fmt.Errorf("%d of its rows are null, and it says %d", nulls, c.NullN())
	}
	c.nulls = nulls > 0
	return nil
}

// null tells whether a row is null.
func (c *check) null(row int) bool {
	return c.nulls && !bitutil.BitIsSet(c.buffer(0), c.Offset()+row)
}

// holds makes sure that a buffer has the bytes that the rows need, at a number of bits each.
func (c *check) holds(what string, buffer []byte, bits int64) error {
	have := int64(len(buffer))
	if c.Len() > 0 && have*8/bits < c.end() {
		return fmt.Errorf("its %s has %d bytes, too few for %d rows of %d bits", what, have, c.end(), bits)
	}
	return nil
}

// own checks what is particular to the type: all but the validity bitmap and what is in the children.
func (c *check) own() error {
	switch dt := c.dt.(type) {
	case *arrow.NullType:
		return nil
	case *arrow.DictionaryType:
		return c.dictionary(dt)
	case *arrow.BinaryType, *arrow.StringType:
		return bytesOf[int32](c)
	case *arrow.LargeBinaryType, *arrow.LargeStringType:
		return bytesOf[int64](c)
	case arrow.BinaryViewDataType:
		return c.views()
	case *arrow.ListType:
		return list[int32](c)
	case *arrow.LargeListType:
		return list[int64](c)
	case *arrow.MapType:
		return c.mapEntries()
	case *arrow.ListViewType:
		return listView[int32](c)
	case *arrow.LargeListViewType:
		return listView[int64](c)
	case *arrow.FixedSizeListType:
		return c.itemsHold(int64(dt.Len()))
	case *arrow.StructType:
		return c.childrenHoldRows()
	case arrow.UnionType:
		return c.union(dt)
	case *arrow.RunEndEncodedType:
		return c.runEnds(dt)
	case *arrow.BooleanType:
		return c.holds("values buffer", c.buffer(1), 1)
	case arrow.FixedWidthDataType:
		if dt.Bytes() <= 0 { // pyarrow has a width of 0, which arrow-go does not take for valid
			return fmt.Errorf("values of %d bytes are not supported", dt.Bytes())
		}
		return c.holds("values buffer", c.buffer(1), 8*int64(dt.Bytes()))
	default:
		return fmt.Errorf("type %s is not supported", c.dt)
	}
}

func (c *check) childHolds(i int, rows int64) error {
	if child := c.Children()[i]; int64(child.Len()) < rows {
		return fmt.Errorf("%s: it has %d rows and needs %d", childLabel(c.dt, i), child.Len(), rows)
	}
	return nil
}

// itemsHold makes sure that the values of a fixed-size list are enough for rows of n each.
func (c *check) itemsHold(n int64) error {
	if values := int64(c.Children()[0].Len()); n > 0 && values/n < c.end() {
		return fmt.Errorf("its values have %d rows, too few for %d lists of %d", values, c.end(), n)
	}
	return nil
}

func (c *check) childrenHoldRows() error {
	for i := range c.Children() {
		if err := c.childHolds(i, c.end()); err != nil {
			return err
		}
	}
	return nil
}

// window is the values of a buffer that the rows have, and extra ones.
func window[T arrow.FixedWidthType | arrow.ViewHeader](c *check, buffer, extra int) ([]T, error) {
	if c.Len() == 0 {
		return nil, nil // the buffer may be left out, or hold what it likes
	}
	values := arrow.GetData[T](c.buffer(buffer))
	from, to := c.Offset(), c.Offset()+c.Len()+extra
	if len(values) < to {
		return nil, fmt.Errorf("its buffer %d has room for %d values, and %d rows need %d", buffer, len(values), c.end(), to)
	}
	return values[from:to], nil
}

// offsets are those of the rows and where the last one ends. They never decrease, and end within the limit.
func offsets[T int32 | int64](c *check, limit int) ([]T, error) {
	w, err := window[T](c, 1, 1)
	if err != nil || len(w) == 0 {
		return nil, err
	}
	last := len(w) - 1
	if w[0] < 0 || w[last] < w[0] || int64(w[last]) > int64(limit) {
		return nil, fmt.Errorf("its offsets go from %d to %d, and there are %d values", w[0], w[last], limit)
	}
	if c.full() && decreases(w) {
		for i := range last {
			if w[i+1] < w[i] {
				return nil, fmt.Errorf("row %d goes from offset %d to %d", i, w[i], w[i+1])
			}
		}
	}
	return w, nil
}

// decreases tells whether a value is negative or less than the one before. It has no branch in its loop: offsets are validated at the
// speed of memory.
func decreases[T int32 | int64](w []T) bool {
	before := w[0]
	signs := before // the sign bit is set once it was in any value or difference
	for _, o := range w[1:] {
		signs |= o | (o - before)
		before = o
	}
	return signs < 0
}

func list[T int32 | int64](c *check) error {
	_, err := offsets[T](c, c.Children()[0].Len())
	return err
}

// mapEntries makes sure that there is an entry wherever a map has one, and a key in each.
func (c *check) mapEntries() error {
	if err := list[int32](c); err != nil || !c.full() {
		return err
	}
	entries := c.Children()[0]
	if len(entries.Children()) != 2 {
		return fmt.Errorf("its entries have %d fields", len(entries.Children()))
	}
	if nulls(entries) > 0 || nulls(entries.Children()[0]) > 0 {
		return fmt.Errorf("its entries or keys have nulls")
	}
	return nil
}

// nulls counts the nulls of an array that may not have been checked yet.
func nulls(d arrow.ArrayData) int {
	if n := d.NullN(); n != array.UnknownNullCount {
		return n
	}
	if len(d.Buffers()) == 0 || d.Buffers()[0] == nil || int64(d.Buffers()[0].Len()) < bitutil.BytesForBits(int64(d.Offset()+d.Len())) {
		return 0
	}
	return d.Len() - bitutil.CountSetBits(d.Buffers()[0].Bytes(), d.Offset(), d.Len())
}

func listView[T int32 | int64](c *check) error {
	from, err := window[T](c, 1, 0)
	if err != nil {
		return err
	}
	sizes, err := window[T](c, 2, 0)
	if err != nil || !c.full() {
		return err
	}
	limit := T(c.Children()[0].Len())
	for i, size := range sizes {
		if from[i] < 0 || size < 0 || from[i] > limit || size > limit-from[i] {
			return fmt.Errorf("row %d takes %d values from %d on, and there are %d", i, size, from[i], limit)
		}
	}
	return nil
}

func (c *check) union(dt arrow.UnionType) error {
	codes, err := window[arrow.UnionTypeCode](c, 1, 0)
	if err != nil {
		return err
	}
	var at []int32
	if dt.Mode() == arrow.DenseMode {
		if at, err = window[int32](c, 2, 0); err != nil {
			return err
		}
	} else if err := c.childrenHoldRows(); err != nil {
		return err
	}
	if !c.full() {
		return nil
	}
	children := dt.ChildIDs() // one for each code that there can be
	last := make([]int32, len(c.Children()))
	for i, code := range codes {
		if code < 0 || int(code) >= len(children) || children[code] == arrow.InvalidUnionChildID {
			return fmt.Errorf("row %d is of type %d, which the union does not have", i, code)
		}
		if at == nil {
			continue
		}
		child := children[code]
		if at[i] < last[child] || int(at[i]) >= c.Children()[child].Len() {
			return fmt.Errorf("row %d is value %d of %s, which comes after value %d of %d", i, at[i], childLabel(c.dt, child), last[child], c.Children()[child].Len())
		}
		last[child] = at[i]
	}
	return nil
}

func (c *check) runEnds(dt *arrow.RunEndEncodedType) error {
	ends, values := c.Children()[0], c.Children()[1]
	if nulls(ends) > 0 {
		return fmt.Errorf("its run ends have nulls")
	}
	if values.Len() < ends.Len() {
		return fmt.Errorf("it has %d runs and %d values", ends.Len(), values.Len())
	}
	runs := &check{ArrayData: ends, dt: dt.RunEnds(), validation: c.validation}
	switch dt.RunEnds().ID() {
	case arrow.INT16:
		return runEnds[int16](runs, c.end())
	case arrow.INT32:
		return runEnds[int32](runs, c.end())
	case arrow.INT64:
		return runEnds[int64](runs, c.end())
	default:
		return fmt.Errorf("run ends of type %s are not supported", dt.RunEnds())
	}
}

func runEnds[T int16 | int32 | int64](c *check, rows int64) error {
	ends, err := window[T](c, 1, 0)
	if err != nil {
		return fmt.Errorf("run ends: %w", err)
	}
	if rows > 0 && (len(ends) == 0 || int64(ends[len(ends)-1]) < rows) {
		return fmt.Errorf("its %d runs end before its %d rows do", len(ends), rows)
	}
	if !c.full() {
		return nil
	}
	before := T(0)
	for i, end := range ends {
		if end <= before {
			return fmt.Errorf("run %d goes from row %d to %d", i, before, end)
		}
		before = end
	}
	return nil
}

func (c *check) dictionary(dt *arrow.DictionaryType) error {
	values := 0
	dictionary := arrowmem.DictionaryOf(c.ArrayData)
	if dictionary != nil {
		values = dictionary.Len()
	}
	switch dt.IndexType.ID() {
	case arrow.INT8:
		return indices[int8](c, values)
	case arrow.UINT8:
		return indices[uint8](c, values)
	case arrow.INT16:
		return indices[int16](c, values)
	case arrow.UINT16:
		return indices[uint16](c, values)
	case arrow.INT32:
		return indices[int32](c, values)
	case arrow.UINT32:
		return indices[uint32](c, values)
	case arrow.INT64:
		return indices[int64](c, values)
	case arrow.UINT64:
		return indices[uint64](c, values)
	default:
		return fmt.Errorf("dictionary indices of type %s are not supported", dt.IndexType)
	}
}

func indices[T int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64](c *check, values int) error {
	w, err := window[T](c, 1, 0)
	if err != nil || !c.full() {
		return err
	}
	most := uint64(0)
	for _, index := range w {
		most = max(most, uint64(index)) // a negative one is a huge one
	}
	if most < uint64(values) {
		return nil
	}
	for i, index := range w {
		if uint64(index) >= uint64(values) && !c.null(i) {
			return fmt.Errorf("row %d is value %d of a dictionary that has %d", i, index, values)
		}
	}
	return nil
}

// mostShown bytes of a name stand in an error: enough to find the place.
const mostShown = 80

// quoted is a name as it may stand in an error: visible, and cut if long.
func quoted(name string) string { return strconv.Quote(text.Cut(name, mostShown)) }
