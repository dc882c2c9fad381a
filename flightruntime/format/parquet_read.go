package format

import (
	"context"
	"io"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// parquetReader decodes row groups, a batch of rows of all columns at a time, and column after column.
type parquetReader struct {
	*request
	footer *footer
	file   *file.Reader
	// pqarrow reads the columns that no code of ours does.
	pqarrow func() (*pqarrow.FileReader, error)
	leaves  map[int]bool    // of the columns that are wanted
	quota   *ipcguard.Quota // of pages and arrays together
	arrays  *ipcguard.Quota // allocator of arrays
	flat    *ipcguard.Quota // allocator of arrays of flat columns, every byte of which is written
	pace    *pace
	bytes   io.ReaderAt               // the file
	props   *parquet.ReaderProperties // by which the pages of flat columns are read
	pages   *countedMemory            // what flat columns hold of the file
	holder  pageHolder
	gone    bool // flat columns have let go of that

	groups  []int            // row groups still to come
	group   int              // the current row group
	left    int64            // rows of it that are still to come
	columns []*parquetColumn // of it
	first   []int            // those that are decoded of every batch, by their places in the request
	later   []int            // those that can wait until a batch is wanted
	late    bool             // they do wait, for the last batch was not wanted: as long as batches are, all columns are decoded side by side
	leftOut int64            // rows of batches that were not wanted, since that was asked
	taken   int64            // bytes of the last batch in memory, or of the row group before its first
	alone   bool             // no other goroutine may help: the allocator is the caller's
}

var _ pruner = (*parquetReader)(nil)

// readPqarrow has pqarrow read a file. Columns are decoded one after the other in the goroutine that asks: a panic in another could not be recovered.
func readPqarrow(f *file.Reader, arrays *ipcguard.Quota) (*pqarrow.FileReader, error) {
	reader, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{Parallel: false}, arrays)
	if err != nil {
		return nil, undecodable(err)
	}
	readAsStored(reader.Manifest.Fields, f.MetaData().Schema)
	return reader, nil
}

// addLeaves adds the indices of Parquet's own columns that make up a field.
func addLeaves(leaves map[int]bool, f *pqarrow.SchemaField) {
	if f.IsLeaf() {
		leaves[f.ColIndex] = true
	}
	for i := range f.Children {
		addLeaves(leaves, &f.Children[i])
	}
}

func (p *parquetReader) prune(keep func(Statistics) bool) (rows int64) {
	var kept []int
	for _, g := range p.groups {
		s := &groupStatistics{footer: p.footer, schema: p.layout.Schema, group: g}
		if keep(s) {
			kept = append(kept, g)
		} else {
			rows += s.Rows()
		}
	}
	p.groups = kept
	return rows
}

func (p *parquetReader) unwanted() int64 {
	n := p.leftOut
	p.leftOut = 0
	return n
}

// wants says whether any row of a batch is wanted, of which those columns at least have been decoded by which that is told.
func (p *parquetReader) wants(ctx context.Context, arrays []arrow.Array, rows int64) bool {
	if p.want == nil {
		return true
	}
	asked := make([]arrow.Array, len(p.asked))
	for i, place := range p.asked {
		asked[i] = arrays[place]
	}
	batch := array.NewRecordBatch(p.under, asked, rows)
	defer batch.Release()
	return p.want(ctx, batch)
}

func (p *parquetReader) next(ctx context.Context) (arrow.RecordBatch, error) {
	p.holder.Lock()
	defer p.holder.Unlock()
	batch, err := p.nextBatch(ctx)
	if err == nil {
		p.holder.settle(p.pages.lent.Load())
	}
	return batch, err
}

// letGo frees what flat columns hold of the file, until the next batch is asked for. The holder's lock is held.
func (p *parquetReader) letGo() (rest int64) {
	for _, c := range p.columns {
		if c.flat != nil {
			c.flat.letGo()
		}
	}
	p.gone = true
	return p.pages.lent.Load()
}

// resume reads again what was let go of.
func (p *parquetReader) resume(ctx context.Context) error {
	for i, c := range p.columns {
		if c.flat == nil {
			continue
		}
		if err := c.flat.resume(ctx); err != nil {
			return p.columnError(i, undecodable(err))
		}
		p.quota.Step() // it was within the quota when it was first read, though not together with all other pages
	}
	p.gone = false
	return nil
}

func (p *parquetReader) nextBatch(ctx context.Context) (arrow.RecordBatch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p.quota.Step()
		for p.left == 0 {
			if err := p.nextGroup(); err != nil {
				return nil, err
			}
		}
		if p.gone {
			if err := p.resume(ctx); err != nil {
				return nil, err
			}
		}
		n := p.pace.rows(p.left, p.pace.due() && p.holder.roomy())
		batch, err := p.batch(ctx, n)
		if err != nil {
			return nil, err
		}
		p.left -= n
		if batch != nil {
			return batch, nil
		}
		p.leftOut += n
	}
}

// batch is the next rows of the current row group; nil if none of them is wanted.
func (p *parquetReader) batch(ctx context.Context, rows int64) (arrow.RecordBatch, error) {
	arrays := make([]arrow.Array, len(p.columns))
	defer func() {
		for _, a := range arrays {
			if a != nil {
				a.Release()
			}
		}
	}()
	late := p.late
	if late {
		if err := p.decodeColumns(ctx, p.first, arrays, rows); err != nil {
			return nil, err
		}
		if !p.wants(ctx, arrays, rows) {
			for _, i := range p.later {
				p.columns[i].behind += rows
			}
			p.pace.passed(rows)
			return nil, nil
		}
		if err := p.decodeColumns(ctx, p.later, arrays, rows); err != nil {
			return nil, err
		}
	} else if err := p.decodeColumns(ctx, upTo(len(arrays)), arrays, rows); err != nil {
		return nil, err
	}
	p.taken = 0
	for _, a := range arrays {
		p.taken += ArrayBytes(a.Data())
	}
	p.pace.took(rows, p.taken)
	if p.late = !late && !p.wants(ctx, arrays, rows); p.late {
		return nil, nil
	}
	return array.NewRecordBatch(p.schema, arrays, rows), nil
}

// nextGroup moves on to the next row group; io.EOF after the last.
func (p *parquetReader) nextGroup() error {
	p.closeColumns()
	if len(p.groups) == 0 {
		return io.EOF
	}
	p.group, p.groups = p.groups[0], p.groups[1:]
	p.left = p.footer.groupRows(p.group)
	if p.left == 0 {
		return nil
	}
	size := p.size(p.group)
	p.pace.enter(p.left, size)
	// The first batch has few rows, but takes the first pages of all columns to be decompressed: that is most of the work in a small row group.
	p.taken = max(p.taken, size)
	if err := tryColumns(p.file, p.group, p.leaves); err != nil {
		return err
	}
	p.first, p.later = p.first[:0], p.later[:0]
	for place := range p.request.columns {
		column, err := p.column(place)
		if err != nil {
			return undecodable(err)
		}
		p.columns = append(p.columns, column)
		if p.want != nil && column.canWait && !slices.Contains(p.asked, place) {
			p.later = append(p.later, place)
		} else {
			p.first = append(p.first, place)
		}
	}
	return nil
}

// size is what the columns that are wanted say they take in a row group, uncompressed.
func (p *parquetReader) size(group int) (size int64) {
	columns := p.footer.meta.GetRowGroups()[group].GetColumns()
	for c := range p.leaves {
		n := max(0, columns[c].GetMetaData().GetTotalUncompressedSize())
		size += min(n, math.MaxInt64-size)
	}
	return size
}

// tryColumns opens the columns of a row group once: arrow-go opens the fields of structs in goroutines of its own, where a damaged
// description's panic would end the process. Here it comes first, and where it can be recovered.
func tryColumns(f *file.Reader, group int, leaves map[int]bool) error {
	rows := f.RowGroup(group)
	for c := range f.MetaData().Schema.NumColumns() {
		column := f.MetaData().Schema.Column(c)
		if !leaves[c] || column.ColumnPath()[0] == column.Path() {
			continue // not wanted, or not nested
		}
		pages, err := rows.GetColumnPageReader(c)
		if err != nil {
			return undecodable(err)
		}
		if err := pages.Close(); err != nil {
			return undecodable(err)
		}
	}
	return nil
}

func (p *parquetReader) closeColumns() {
	for _, c := range p.columns {
		c.close()
	}
	p.columns = nil
}

func (p *parquetReader) close() {
	p.holder.Lock()
	defer p.holder.Unlock()
	p.closeColumns()
	p.holder.end()
}
