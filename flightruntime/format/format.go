// Package format turns bytes into record batches: Parquet, CSV, JSON, Arrow files and Arrow streams. It reads objects of package source, writes
// those of the formats that keep every type, and knows neither datasets nor Flight. It runs in the caller's goroutine, and where a Parquet
// file has much to decode, in some of its own that end before the caller goes on; streams in bounded memory, and treats its input as hostile:
// whatever the bytes are, the answer is batches or an error that names the object and the place, never a panic.
package format

import (
	"context"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/scalar"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// A Format reads the objects of one dataset.
type Format interface {
	// Inspect reads what it takes to know the schema and the number of rows of all objects together. Objects whose schemas differ are an
	// error that names both and the difference.
	//
	// before is what an earlier Inspect of the same format found, or nil. Objects that it knows, by name and version, are not read again,
	// with two exceptions: one that has become the first, whose metadata are now the dataset's, and JSON of so many shapes that not all
	// of them are remembered.
	Inspect(ctx context.Context, objects []source.Object, before *Layout) (*Layout, error)

	// Read yields one object's record batches in order, with exactly the layout's schema, or as much of it as opts.Columns names. A
	// yielded batch is valid until the next iteration step; who keeps it longer retains it. After an error, which is yielded with a nil
	// batch, the sequence ends. If the object does not have the rows and columns that Inspect found, the error wraps source.ErrChanged.
	// Cancelling ctx ends the sequence with ctx's error, in the middle of a large file too.
	Read(ctx context.Context, layout *Layout, part int, opts ReadOptions) iter.Seq2[arrow.RecordBatch, error]
}

// Layout is what Inspect found. It never changes, and takes memory in proportion to the number of parts and units alone.
type Layout struct {
	// Schema of every batch of every part, with the metadata that the files carry.
	Schema *arrow.Schema
	// Parts are the objects in their order.
	Parts []Part
}

// Part is one object of a layout.
type Part struct {
	Object source.Object
	// Rows in the object.
	Rows int64
	// Units are the pieces of the object that can be read each on its own, in order: the row groups of a Parquet file, the record batches
	// of an Arrow file (neighbours together if they are small), else the whole object.
	Units []Unit

	inferred inferred
	id       *fileID // of a Parquet file
}

// Unit is a piece of an object. A layout holds one for every row group of every file, so it is kept small: statistics stay in the file,
// which is opened anyway when it is read.
type Unit struct {
	// Rows in the piece.
	Rows int64
	// Bytes of the piece in the object, compressed as they are there, approximately.
	Bytes int64
}

// Rows is the number of rows of all parts.
func (l *Layout) Rows() int64 {
	var n int64
	for _, p := range l.Parts {
		n += p.Rows
	}
	return n
}

// Bytes is the size of all parts' objects.
func (l *Layout) Bytes() int64 {
	var n int64
	for _, p := range l.Parts {
		n += p.Object.Size()
	}
	return n
}

// Project is the layout's schema with just the fields of the given indices, which ascend, and with all of its metadata; nil means all
// fields. Batches that are read with the same ReadOptions.Columns have an equal schema.
func (l *Layout) Project(columns []int) (*arrow.Schema, error) {
	if columns == nil {
		return l.Schema, nil
	}
	if err := ascending("column", columns, l.Schema.NumFields()); err != nil {
		return nil, err
	}
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = l.Schema.Field(c)
	}
	metadata := l.Schema.Metadata()
	return arrow.NewSchemaWithEndian(fields, &metadata, l.Schema.Endianness()), nil
}

// ReadOptions say what is read, and how batches are made of it.
type ReadOptions struct {
	// Allocator of what is decoded. nil means memory.DefaultAllocator, with which a read can be cancelled in the middle of decompressing
	// a record batch; with another one it ends after that, so that nothing that was allocated is lost. Another one is used by one goroutine at a
	// time.
	Allocator memory.Allocator
	// Pages is the budget of what reading Parquet holds while batches are not asked for. nil means the process's own, of PageBytes bytes by Go's
	// memory limit (GOMEMLIMIT) when it is first used. A read with an Allocator has none.
	Pages *PageBudget
	// MaxRows in a batch, where the format leaves the choice to the reader. 0 means DefaultMaxRows.
	MaxRows int
	// Columns that are wanted: ascending indices of the layout's fields. The others are left out of the batches and, but for CSV and JSON,
	// are not read from the object. nil means all of them; none at all leaves batches that have rows but no columns.
	Columns []int
	// Units that are wanted: ascending indices of the part's units. The others are not read, nor checked. nil means all of them.
	Units []int
	// Keep, if set, is asked before anything of a unit is read, and says whether it is wanted. Where a Parquet file has so many row groups
	// that a unit holds several, each of them is asked about. It is called in the goroutine of the reading.
	Keep func(Statistics) bool
	// Want, if set, is asked of batches that have the columns By alone, and says whether any row is wanted. If not, Parquet's whole batch is left
	// out, and as long as that goes on, the other columns are not read before they are wanted again. Other formats do not ask. It is called
	// in the goroutine of the reading.
	Want func(ctx context.Context, batch arrow.RecordBatch) bool
	// By are ascending indices of the layout's fields, all of them among Columns.
	By []int
}

// Statistics are what is known of the rows of a unit without reading them.
type Statistics interface {
	// Rows is their number.
	Rows() int64
	// Column tells of the field of that index in the layout's schema (whatever ReadOptions.Columns is); false if nothing is known.
	Column(field int) (ColumnStatistics, bool)
}

// ColumnStatistics are what is known of the values of one column in some rows.
type ColumnStatistics struct {
	// Min and Max are bounds: no value is less or greater, nulls and, in columns of floats, NaN apart. They need not occur among the values
	// themselves, for writers may cut long text. nil if unknown. They are of the column's type, but for a dictionary, of its values' type,
	// and where there is no such scalar: of type string or binary for views, and decimal128 for narrower decimals.
	Min, Max scalar.Scalar
	// Nulls is the number of nulls, -1 if unknown.
	Nulls int64
}

// DefaultMaxRows keeps a batch of a table of ordinary width (some tens of bytes a row) near 1 to 4 MiB: the size of a Flight message.
const DefaultMaxRows = 64 << 10
