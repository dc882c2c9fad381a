package cache

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/wire"
	"github.com/flight-operator/flight-operator/internal/arrowmem"
)

// joiner puts small batches that follow one another together, up to the size of a message: what a message costs a server and its client is paid
// at each read, and the copy once.
type joiner struct {
	writer  *wire.Writer
	target  int64 // bytes of a message
	large   int64 // bytes of the one that is to be large: see wire.Writer
	early   bool  // whether that is still to come
	since   int64 // bytes that came since one was to come
	able    bool  // whether batches of this schema can be put together
	waiting []arrow.RecordBatch
	bytes   int64 // of those that wait
}

func newJoiner(schema *arrow.Schema, writer *wire.Writer) *joiner {
	able := !slices.ContainsFunc(schema.Fields(), func(f arrow.Field) bool {
		if d, ok := f.Type.(*arrow.DictionaryType); ok {
			return !joinable(d.ValueType)
		}
		return !joinable(f.Type)
	})
	target, large := writer.MessageBytes()
	return &joiner{writer: writer, target: target, large: large, early: true, able: able && schema.NumFields() > 0}
}

// joinable is true of types of which arrow-go puts arrays together that are one behind the other.
func joinable(dt arrow.DataType) bool {
	switch dt := dt.(type) {
	case *arrow.StructType:
		return !slices.ContainsFunc(dt.Fields(), func(f arrow.Field) bool { return !joinable(f.Type) })
	case *arrow.ListType:
		return joinable(dt.Elem())
	case *arrow.LargeListType:
		return joinable(dt.Elem())
	}
	return arrow.IsPrimitive(dt.ID()) || arrow.IsDecimal(dt.ID()) || arrow.IsBaseBinary(dt.ID()) || dt.ID() == arrow.FIXED_SIZE_BINARY
}

// largeEvery bytes, a unit begins with a large message, for those who read only from there on. It is somewhat smaller than the first, so that those who have read that
// have room for it.
const largeEvery = 64 << 20

// begin begins a unit, whose rows stand in messages of their own.
func (j *joiner) begin() error {
	err := j.flush()
	if j.since >= largeEvery {
		target, large := j.writer.MessageBytes()
		j.large, j.early, j.since = max(target, large*3/4), true, 0
		j.writer.Early()
	}
	return err
}

// add writes a batch, or keeps it for the next.
func (j *joiner) add(batch arrow.RecordBatch) error {
	size := wire.BatchBytes(batch)
	if !j.able {
		return j.pass(batch, size)
	}
	if len(j.waiting) > 0 && !sameDictionaries(j.waiting[0], batch) {
		if err := j.flush(); err != nil {
			return err
		}
	}
	switch {
	case j.early && j.bytes+size <= j.large:
		j.wait(batch, size)
		return nil
	case j.early:
		return j.fill(batch, size)
	case j.bytes+size <= j.target && (len(j.waiting) > 0 || size <= j.target/2): // else it would wait in vain
		j.wait(batch, size)
		return nil
	}
	if err := j.flush(); err != nil {
		return err
	}
	if size <= j.target/2 {
		j.wait(batch, size)
		return nil
	}
	return j.pass(batch, size)
}

// pass writes a batch as it is.
func (j *joiner) pass(batch arrow.RecordBatch, size int64) error {
	j.since += size
	return j.writer.Write(batch)
}

func (j *joiner) wait(batch arrow.RecordBatch, size int64) {
	batch.Retain()
	j.waiting = append(j.waiting, batch)
	j.bytes += size
	j.since += size
}

// fill makes the large message full with as many rows of a batch as go into it, which are not all, and goes on with the others.
func (j *joiner) fill(batch arrow.RecordBatch, size int64) error {
	rows, room := batch.NumRows(), j.large-j.bytes
	if size/rows >= room {
		if len(j.waiting) == 0 {
			return j.pass(batch, size)
		}
		if err := j.flush(); err != nil {
			return err
		}
		return j.add(batch)
	}
	n := wire.RowsFor(rows, size, room)
	head := batch.NewSlice(0, n)
	defer head.Release()
	j.wait(head, room)
	if err := j.flush(); err != nil {
		return err
	}
	rest := batch.NewSlice(n, rows)
	defer rest.Release()
	return j.add(rest)
}

// flush writes what waits.
func (j *joiner) flush() error {
	if len(j.waiting) == 0 {
		return nil
	}
	defer j.drop()
	j.early = j.early && j.bytes <= j.target
	if len(j.waiting) == 1 {
		return j.writer.Write(j.waiting[0])
	}
	columns := make([]arrow.Array, j.waiting[0].NumCols())
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.Release()
			}
		}
	}()
	rows := int64(0)
	for _, b := range j.waiting {
		rows += b.NumRows()
	}
	pieces := make([]arrow.Array, len(j.waiting))
	for i := range columns {
		for k, b := range j.waiting {
			pieces[k] = b.Column(i)
		}
		var err error
		if columns[i], err = concatenate(pieces); err != nil {
			return err
		}
	}
	joined := array.NewRecordBatch(j.waiting[0].Schema(), columns, rows)
	defer joined.Release()
	return j.writer.Write(joined)
}

// drop lets go of what waits.
func (j *joiner) drop() {
	for _, b := range j.waiting {
		b.Release()
	}
	clear(j.waiting)
	j.waiting, j.bytes = j.waiting[:0], 0
}

// concatenate puts arrays one behind the other. Of those with dictionaries, these are the same.
func concatenate(pieces []arrow.Array) (arrow.Array, error) {
	first, ok := pieces[0].(*array.Dictionary)
	if !ok {
		return array.Concatenate(pieces, memory.DefaultAllocator)
	}
	indices := make([]arrow.Array, len(pieces))
	for i, p := range pieces {
		indices[i] = p.(*array.Dictionary).Indices()
	}
	all, err := array.Concatenate(indices, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	defer all.Release()
	return array.NewDictionaryArray(first.DataType(), all, first.Dictionary()), nil
}

// sameDictionaries is true where two batches of a schema have the same dictionaries, by the memory that these lie in: to compare values would take longer
// than to join saves. Batches of an Arrow file have, as long as it does not replace them.
func sameDictionaries(a, b arrow.RecordBatch) bool {
	for i, column := range a.Columns() {
		if _, ok := column.(*array.Dictionary); ok && !arrowmem.Same(arrowmem.DictionaryOf(column.Data()), arrowmem.DictionaryOf(b.Column(i).Data())) {
			return false
		}
	}
	return true
}
