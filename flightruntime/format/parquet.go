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
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// parquetFormat reads Parquet files one row group at a time. Types that Arrow stored beside Parquet's own are restored, as pyarrow does; but
// the entries of maps are called as Arrow's specification recommends.
type parquetFormat struct{}

func (parquetFormat) Inspect(ctx context.Context, objects []source.Object, before *Layout) (*Layout, error) {
	return inspectEach(ctx, objects, before, func(o source.Object, r source.Reader) (part Part, _ *arrow.Schema, err error) {
		q := newQuota(nil, o.Size())
		f, err := openParquet(o, r, parquetProperties(o, q), q)
		if err != nil {
			return part, nil, err
		}
		part.Object = o
		if part.Units, err = groupUnits(o, f.ParquetReader()); err != nil {
			return part, nil, err
		}
		if part.Rows, err = rowsOf(part.Units); err != nil {
			return part, nil, err
		}
		schema, err := schemaOf(f)
		return part, schema, err
	})
}

func (parquetFormat) Read(ctx context.Context, layout *Layout, part int, opts ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return batches(ctx, layout, part, opts, func(req *request, r source.Reader) (*parquetReader, error) {
		o := req.part.Object
		// Pages are returned to a pool that frees them when the garbage collector runs, which no allocator of a caller should wait for.
		pages := newQuota(memory.DefaultAllocator, o.Size())
		arrays := pages
		if opts.Allocator != nil {
			arrays = pages.SharedWith(opts.Allocator)
		}
		props := parquetProperties(o, pages)
		f, err := openParquet(o, r, props, arrays)
		if err != nil {
			return nil, err
		}
		schema, err := schemaOf(f)
		if err != nil {
			return nil, err
		}
		if err := fits(layout.Schema, o, schema); err != nil {
			return nil, err
		}
		groups, err := groupsOf(o, f.ParquetReader(), req)
		if err != nil {
			return nil, err
		}
		readDurationsAsIntegers(f.Manifest.Fields)
		p := &parquetReader{
			request: req, file: f, quota: pages, arrays: arrays, groups: groups,
			leaves: make(map[int]bool), alone: opts.Allocator != nil,
		}
		for _, c := range req.columns {
			addLeaves(p.leaves, &f.Manifest.Fields[c])
		}
		p.pace = newPace(opts.maxRows(), len(p.leaves))
		props.BufferSize = min(parquetReadAhead, max(leastReadAhead, parquetBuffers/max(1, int64(len(p.leaves)))))
		return p, nil
	})
}

const (
	// parquetReadAhead is what is read of each column at a time, for few reads.
	parquetReadAhead = 256 << 10
	// parquetBuffers bounds what is read ahead of all columns together: beyond 256 columns, each gets less.
	parquetBuffers = 64 << 20
	// leastReadAhead is enough for the header of a page, and for most pages of a table of so many columns.
	leastReadAhead = 16 << 10
)

// parquetProperties are how pages are read, into memory of a quota.
func parquetProperties(o source.Object, pages *ipcguard.Quota) *parquet.ReaderProperties {
	props := parquet.NewReaderProperties(pages)
	props.BufferedStreamEnabled = true // a column is streamed, not read whole
	props.BufferSize = parquetReadAhead
	props.MaxCompressedPageSize = o.Size()
	props.MaxUncompressedPageSize = pages.Limit()
	return props
}

// openParquet opens a Parquet file after checking all that its footer says of where things are.
func openParquet(o source.Object, r io.ReaderAt, props *parquet.ReaderProperties, arrays *ipcguard.Quota) (*pqarrow.FileReader, error) {
	if err := checkParquetMagic(o, r); err != nil {
		return nil, err
	}
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
