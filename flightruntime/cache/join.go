package cache

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// joiner puts small batches that follow one another together, up to the size of a message: what a message costs a server and its client is paid
// at each read, and the copy once.
type joiner struct {
	write   func(arrow.RecordBatch) error
	target  int64 // bytes of a message
	able    bool  // whether batches of this schema can be put together
	waiting []arrow.RecordBatch
	bytes   int64 // of those that wait
}

func newJoiner(schema *arrow.Schema, target int64, write func(arrow.RecordBatch) error) *joiner {
	able := !slices.ContainsFunc(schema.Fields(), func(f arrow.Field) bool { return !joinable(f.Type) })
	return &joiner{write: write, target: target, able: able && schema.NumFields() > 0}
}

// joinable is true of types of which arrow-go puts arrays together that are one behind the other; dictionaries, of which each array has its own, are none.
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

// add writes a batch, or keeps it for the next.
func (j *joiner) add(batch arrow.RecordBatch) error {
	size := wire.BatchBytes(batch)
	if len(j.waiting) > 0 && j.bytes+size > j.target {
		if err := j.flush(); err != nil {
			return err
		}
	}
	if !j.able || len(j.waiting) == 0 && size > j.target/2 { // it would wait in vain
		return j.write(batch)
	}
	batch.Retain()
	j.waiting = append(j.waiting, batch)
	j.bytes += size
	return nil
}

// flush writes what waits.
func (j *joiner) flush() error {
	if len(j.waiting) == 0 {
		return nil
	}
	defer j.drop()
	if len(j.waiting) == 1 {
		return j.write(j.waiting[0])
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
		if columns[i], err = array.Concatenate(pieces, memory.DefaultAllocator); err != nil {
			return err
		}
	}
	joined := array.NewRecordBatch(j.waiting[0].Schema(), columns, rows)
	defer joined.Release()
	return j.write(joined)
}

// drop lets go of what waits.
func (j *joiner) drop() {
	for _, b := range j.waiting {
		b.Release()
	}
	clear(j.waiting)
	j.waiting, j.bytes = j.waiting[:0], 0
}
