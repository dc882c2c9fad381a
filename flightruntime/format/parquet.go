package format

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// parquetFormat reads Parquet files one row group at a time. Types that Arrow stored beside Parquet's own are restored, but for views and
// decimals of 32 and 64 bits, which come as string, binary, list and decimal128.
type parquetFormat struct{}

func (parquetFormat) Inspect(ctx context.Context, objects []source.Object) (*Layout, error) {
	schemas := make([]*arrow.Schema, len(objects))
	layout := &Layout{Parts: make([]Part, len(objects))}
	err := examine(ctx, objects, func(i int, r source.Reader) error {
		q := newQuota(nil, objects[i].Size())
		f, err := openParquet(objects[i], r, q, q)
		if err != nil {
			return err
		}
		layout.Parts[i].Object = objects[i]
		if layout.Parts[i].Rows, err = rowsOf(f.ParquetReader()); err != nil {
			return err
		}
		schemas[i], err = schemaOf(f)
		return err
	})
	if err != nil {
		return nil, err
	}
	layout.Schema, err = unify(objects, schemas)
	if err != nil {
		return nil, err
	}
	return layout, nil
}

func (parquetFormat) Read(ctx context.Context, layout *Layout, part int, opts ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	p := layout.Parts[part]
	o := p.Object
	return batches(ctx, p, func(r source.Reader) (batchReader, error) {
		// Pages are returned to a pool that frees them when the garbage collector runs, which no allocator of a caller should wait for.
		pages := newQuota(memory.DefaultAllocator, o.Size())
		arrays := pages
		if opts.Allocator != nil {
			arrays = pages.SharedWith(opts.Allocator)
		}
		f, err := openParquet(o, r, pages, arrays)
		if err != nil {
			return nil, err
		}
		schema, err := schemaOf(f)
		if err != nil {
			return nil, err
		}
		if err := fits(layout, o, schema); err != nil {
			return nil, err
		}
		readDurationsAsIntegers(f.Manifest.Fields)
		return &parquetReader{layout: layout, file: f, quota: pages, maxRows: int64(opts.maxRows())}, nil
	})
}

// parquetReadAhead is what is read of each column at a time: large enough for few reads, small enough for hundreds of columns.
const parquetReadAhead = 256 << 10

// openParquet opens a Parquet file after checking all that its footer says of where things are.
func openParquet(o source.Object, r io.ReaderAt, pages, arrays *ipcguard.Quota) (*pqarrow.FileReader, error) {
	if err := checkParquetMagic(o, r); err != nil {
		return nil, err
	}
	props := parquet.NewReaderProperties(pages)
	props.BufferedStreamEnabled = true // a column is streamed, not read whole
	props.BufferSize = parquetReadAhead
	props.MaxCompressedPageSize = o.Size()
	props.MaxUncompressedPageSize = pages.Limit()
	f, err := file.NewParquetReader(section(o, r), file.WithReadProps(props))
	if err != nil {
		return nil, fmt.Errorf("its Parquet footer cannot be read, the file is damaged: %w", undecodable(err))
	}
	if f.MetaData().IsSetEncryptionAlgorithm() {
		return nil, errEncrypted
	}
	if err := checkChunks(f, o.Size()); err != nil {
		return nil, err
	}
	if err := checkStoredSchema(f.MetaData().KeyValueMetadata()); err != nil {
		return nil, err
	}
	// Columns are decoded one after the other in this goroutine: a panic in another could not be recovered.
	reader, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{Parallel: false}, arrays)
	if err != nil {
		return nil, fmt.Errorf("its schema has no counterpart in Arrow: %w", undecodable(err))
	}
	return reader, nil
}

var errEncrypted = errors.New("it is an encrypted Parquet file, which cannot be served: write it without encryption")

// smallestParquet is a file of two magics and an empty footer.
const smallestParquet = 12

func checkParquetMagic(o source.Object, r io.ReaderAt) error {
	head, err := headOf(o, r, "a Parquet file")
	if err != nil {
		return err
	}
	if bytes.HasPrefix(head, magicParquetEncrypted) {
		return errEncrypted
	}
	if !bytes.HasPrefix(head, magicParquet) {
		return notA("a Parquet file", head)
	}
	if o.Size() < smallestParquet {
		return errTruncatedParquet
	}
	tail, err := readAt(o, r, o.Size()-8, 8)
	if err != nil {
		return err
	}
	if !bytes.Equal(tail[4:], magicParquet) {
		return errTruncatedParquet
	}
	if footer := int64(binary.LittleEndian.Uint32(tail)); footer > o.Size()-smallestParquet {
		return fmt.Errorf("its Parquet footer of %d bytes does not fit in the file of %d: the file is damaged or cut", footer, o.Size())
	}
	return nil
}

var errTruncatedParquet = errors.New("it begins as a Parquet file but has no footer: it is cut, or still being written; write to another name and rename it when done")

// checkChunks makes sure that every column chunk lies inside the file, so that what follows reads no nonsense.
func checkChunks(f *file.Reader, size int64) error {
	meta := f.MetaData()
	for g, group := range meta.GetRowGroups() {
		if n := len(group.GetColumns()); n != meta.Schema.NumColumns() {
			return fmt.Errorf("row group %d has %d columns, the schema has %d: the file is damaged", g, n, meta.Schema.NumColumns())
		}
		for c := range group.GetColumns() {
			chunk, err := meta.RowGroup(g).ColumnChunk(c)
			if err != nil {
				return undecodable(err)
			}
			start, length := chunk.DataPageOffset(), chunk.TotalCompressedSize()
			if chunk.HasDictionaryPage() && chunk.DictionaryPageOffset() > 0 {
				start = min(start, chunk.DictionaryPageOffset())
			}
			if start < 0 || length < 0 || start > size-length {
				return fmt.Errorf("column %s of row group %d is said to be outside the file: the file is damaged or cut",
					quoted(meta.Schema.Column(c).Path()), g)
			}
		}
	}
	return nil
}

// rowsOf counts rows by row groups, for these are what is read.
func rowsOf(f *file.Reader) (rows int64, err error) {
	for _, group := range f.MetaData().GetRowGroups() {
		if rows, err = addRows(rows, group.GetNumRows()); err != nil {
			return 0, err
		}
	}
	return rows, nil
}

type parquetReader struct {
	layout  *Layout
	file    *pqarrow.FileReader
	quota   *ipcguard.Quota
	maxRows int64

	group   int                  // the next row group
	records pqarrow.RecordReader // of the current row group, nil between two
	left    int64                // rows of the current row group that are still to come
}

func (p *parquetReader) next(ctx context.Context) (arrow.RecordBatch, error) {
	for {
		p.quota.Step()
		if p.left == 0 {
			if err := p.nextGroup(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if p.records == nil { // a table without columns has rows all the same
			n := min(p.left, p.maxRows)
			p.left -= n
			return array.NewRecordBatch(p.layout.Schema, nil, n), nil
		}
		batch, err := p.records.Read()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("row group %d ends %d rows early: the file is damaged", p.group-1, p.left)
		}
		if err != nil {
			return nil, fmt.Errorf("row group %d cannot be decoded: %w", p.group-1, undecodable(err))
		}
		if p.left -= batch.NumRows(); p.left < 0 {
			return nil, fmt.Errorf("row group %d has %d rows more than it says: the file is damaged", p.group-1, -p.left)
		}
		batch.Retain()
		return under(p.layout, batch)
	}
}

// nextGroup moves on to the next row group; io.EOF after the last.
func (p *parquetReader) nextGroup(ctx context.Context) error {
	p.close()
	f := p.file.ParquetReader()
	if p.group == f.NumRowGroups() {
		return io.EOF
	}
	group := p.group
	p.group++
	p.left = f.MetaData().GetRowGroups()[group].GetNumRows()
	if p.left == 0 || len(p.file.Manifest.Fields) == 0 {
		return nil
	}
	if err := tryColumns(f, group); err != nil {
		return err
	}
	p.file.Props.BatchSize = p.batchRows(f.MetaData().GetRowGroups()[group].GetTotalByteSize())
	var err error
	p.records, err = p.file.GetRecordReader(ctx, nil, []int{group})
	return undecodable(err)
}

// maxPageBytes of a row group, uncompressed, go into one batch, so that wide rows make no batch of gigabytes.
const maxPageBytes = 16 << 20

// batchRows is the number of rows in a batch of the current row group, which says that it has so many bytes.
func (p *parquetReader) batchRows(groupBytes int64) int64 {
	perRow := groupBytes / p.left
	if perRow <= 0 {
		return p.maxRows
	}
	return max(1, min(p.maxRows, maxPageBytes/perRow))
}

// tryColumns opens the columns of a row group once: arrow-go opens the fields of structs in goroutines of its own, where a damaged
// description's panic would end the process. Here it comes first, and where it can be recovered.
func tryColumns(f *file.Reader, group int) error {
	rows := f.RowGroup(group)
	for c := range f.MetaData().Schema.NumColumns() {
		if f.MetaData().Schema.Column(c).ColumnPath()[0] == f.MetaData().Schema.Column(c).Path() {
			continue // not nested
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

func (p *parquetReader) close() {
	if p.records != nil {
		p.records.Release()
		p.records = nil
	}
}
