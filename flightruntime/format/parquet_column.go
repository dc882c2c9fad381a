package format

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// parquetColumn decodes a column of a row group: by itself where that is simple, or else by pqarrow.
type parquetColumn struct {
	reader *parquetReader
	field  int // of the file's schema
	as     arrow.DataType

	flat    *flatColumn           // nil if pqarrow reads the column
	pqarrow *pqarrow.ColumnReader // nil if it does not
	done    int64                 // rows that were given out
}

// open begins to read a field of the current row group, given its place in the request.
func (p *parquetReader) open(ctx context.Context, place int) (*parquetColumn, error) {
	c := &parquetColumn{reader: p, field: p.request.columns[place], as: p.schema.Field(place).Type}
	field := &p.footer.fields[c.field]
	if field.IsLeaf() {
		column := p.footer.meta.Schema.Column(field.ColIndex)
		values := flatValuesOf(column, field.Field.Type, p.flat)
		if values != nil {
			pages, err := p.file.RowGroup(p.group).GetColumnPageReader(field.ColIndex)
			if err != nil {
				return nil, err
			}
			c.flat = &flatColumn{pages: pages, mem: p.flat, nullable: column.MaxDefinitionLevel() > 0, values: values}
			return c, nil
		}
	}
	if err := c.openPqarrow(ctx); err != nil {
		return nil, err
	}
	return c, nil
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
	if c.flat != nil {
		data, err := c.flat.read(int(rows))
		if !errors.Is(err, errEncoding) {
			return data, err
		}
		if err := c.change(ctx); err != nil {
			return nil, err
		}
	}
	return c.readPqarrow(rows)
}

// change has pqarrow go on with the column. It decodes what was given out once more, for what it would skip it has to decode as well.
func (c *parquetColumn) change(ctx context.Context) error {
	c.flat.close()
	c.flat = nil
	if err := c.openPqarrow(ctx); err != nil {
		return err
	}
	for left := c.done; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(left, DefaultMaxRows)
		data, err := c.readPqarrow(n)
		if err != nil {
			return err
		}
		data.Release()
		left -= n
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
