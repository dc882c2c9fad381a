// Package format turns bytes into record batches: Parquet, CSV, JSON, Arrow files and Arrow streams. It reads objects of package source, writes
// those of the formats that keep every type, and knows neither datasets nor Flight. All of it runs in the caller's goroutine, streams in
// bounded memory, and treats its input as hostile: whatever the bytes are, the answer is batches or an error that names the object and the
// place, never a panic.
package format

import (
	"context"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// A Format reads the objects of one dataset.
type Format interface {
	// Inspect reads what it takes to know the schema and the number of rows of all objects together. Objects whose schemas differ are an
	// error that names both and the difference.
	Inspect(ctx context.Context, objects []source.Object) (*Layout, error)

	// Read yields one object's record batches in order, with exactly the layout's schema. A yielded batch is valid until the next
	// iteration step; who keeps it longer retains it. After an error, which is yielded with a nil batch, the sequence ends.
	// Cancelling ctx ends the sequence with ctx's error, in the middle of a large file too.
	Read(ctx context.Context, layout *Layout, part int, opts ReadOptions) iter.Seq2[arrow.RecordBatch, error]
}

// Layout is what Inspect found.
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

// ReadOptions say how batches are made.
type ReadOptions struct {
	// Allocator of what is decoded. nil means memory.DefaultAllocator.
	Allocator memory.Allocator
	// MaxRows in a batch, where the format leaves the choice to the reader. 0 means DefaultMaxRows.
	MaxRows int
}

// DefaultMaxRows keeps a batch of a table of ordinary width (some tens of bytes a row) near 1 to 4 MiB: the size of a Flight message.
const DefaultMaxRows = 64 << 10
