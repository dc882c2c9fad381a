package format

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// parquetColumn decodes a column of a row group: by itself where that is simple, or else by pqarrow. It reads nothing of the column before the
// first rows are asked for.
type parquetColumn struct {
	reader *parquetReader
	field  int // of the file's schema
	as     arrow.DataType
	// canWait says that rows can be passed over without being decoded to arrays.
	canWait bool
	chunk   *metadata.ColumnChunkMetaData // nil of a nested column

	values  flatValues            // nil if pqarrow reads the column
	flat    *flatColumn           // nil if pqarrow reads the column, or before it is opened
	pqarrow *pqarrow.ColumnReader // nil if it does not, or before it is opened
	done    int64                 // rows that were given out, or passed over
	behind  int64                 // rows after these that are to be passed over
}

// column is a field of the current row group, given its place in the request.
func (p *parquetReader) column(place int) (*parquetColumn, error) {
	c := &parquetColumn{reader: p, field: p.request.columns[place], as: p.schema.Field(place).Type}
	field := &p.footer.fields[c.field]
	if !field.IsLeaf() {
		return c, nil
	}
	c.values = flatValuesOf(p.footer.meta.Schema.Column(field.ColIndex), field.Field.Type, p.flat)
	var err error
	if c.chunk, err = p.footer.meta.RowGroup(p.group).ColumnChunk(field.ColIndex); err != nil {
		return nil, err
	}
	// pqarrow would have to decode rows in order to pass over them.
	c.canWait = c.values != nil && !slices.ContainsFunc(c.chunk.Encodings(), func(e parquet.Encoding) bool { return !slices.Contains(flatEncodings, e) })
	return c, nil
}

// open begins to read the column.
func (c *parquetColumn) open(ctx context.Context) error {
	if c.values == nil {
		return c.openPqarrow(ctx)
	}
	p, leaf := c.reader, c.reader.footer.fields[c.field].ColIndex
	pages := p.pagesOf(leaf, c.chunk)
	c.flat = &flatColumn{pages: pages, mem: p.flat, nullable: p.footer.meta.Schema.Column(leaf).MaxDefinitionLevel() > 0, values: c.values}
	return pages.seek(place{})
}

func (c *parquetColumn) openPqarrow(ctx context.Context) (err error) {
	reader, err := c.reader.pqarrow()
	if err != nil {
		return err
	}
	c.pqarrow, err = reader.GetFieldReader(ctx, c.field, c.reader.leaves, []int{c.reader.group})
	return err
}

// next makes an array of the column's next rows.
func (c *parquetColumn) next(ctx context.Context, rows int64) (arrow.Array, error) {
	data, err := c.decode(ctx, rows)
	if err != nil {
		return nil, undecodable(err)
	}
	defer data.Release()
	if n := int64(data.Len()); n != rows {
		return nil, fmt.Errorf("expected %d rows more, got %d: the file is damaged", rows, n)
	}
	c.done += rows
	typed, err := retype(c.reader.arrays, data, c.as)
	if err != nil {
		return nil, err
	}
	defer typed.Release()
	return array.MakeFromData(typed), nil
}

func (c *parquetColumn) decode(ctx context.Context, rows int64) (arrow.ArrayData, error) {
	if c.flat == nil && c.pqarrow == nil {
		if err := c.open(ctx); err != nil {
			return nil, err
		}
	}
	if c.flat != nil {
		data, err := c.decodeFlat(ctx, rows)
		if !errors.Is(err, errEncoding) {
			return data, err
		}
		if err := c.change(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.passPqarrow(ctx, c.behind); err != nil {
		return nil, err
	}
	c.done, c.behind = c.done+c.behind, 0
	return c.readPqarrow(rows)
}

func (c *parquetColumn) decodeFlat(ctx context.Context, rows int64) (arrow.ArrayData, error) {
	if err := c.flat.pass(ctx, c.behind); err != nil {
		return nil, err
	}
	c.done, c.behind = c.done+c.behind, 0
	return c.flat.read(int(rows))
}

// change has pqarrow go on with the column.
func (c *parquetColumn) change(ctx context.Context) error {
	c.flat.close()
	c.flat = nil
	if err := c.openPqarrow(ctx); err != nil {
		return err
	}
	return c.passPqarrow(ctx, c.done)
}

// passPqarrow has pqarrow pass over rows, for which it has to decode them.
func (c *parquetColumn) passPqarrow(ctx context.Context, rows int64) error {
	for rows > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(rows, DefaultMaxRows)
		data, err := c.readPqarrow(n)
		if err != nil {
			return err
		}
		data.Release()
		rows -= n
	}
	return nil
}

func (c *parquetColumn) readPqarrow(rows int64) (arrow.ArrayData, error) {
	chunks, err := c.pqarrow.NextBatch(rows)
	if err != nil {
		return nil, err
	}
	defer chunks.Release()
	one, err := single(chunks, c.reader.arrays)
	if err != nil {
		return nil, err
	}
	defer one.Release()
	one.Data().Retain()
	return one.Data(), nil
}

func (c *parquetColumn) close() {
	if c.flat != nil {
		c.flat.close()
	}
	if c.pqarrow != nil {
		c.pqarrow.Release()
	}
}

// single is the one array that the chunks make up.
func single(chunks *arrow.Chunked, mem *ipcguard.Quota) (arrow.Array, error) {
	if len(chunks.Chunks()) == 1 {
		chunks.Chunk(0).Retain()
		return chunks.Chunk(0), nil
	}
	return array.Concatenate(chunks.Chunks(), mem)
}
