package format

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/source"
	"github.com/flight-operator/flight-operator/internal/arrowmem"
)

// parquetFormat reads Parquet files one row group at a time. Types that Arrow stored beside Parquet's own are restored, as pyarrow does; but
// the entries of maps are called as Arrow's specification recommends.
type parquetFormat struct{}

func (parquetFormat) Inspect(ctx context.Context, objects []source.Object, before *Layout) (*Layout, error) {
	return inspectEach(ctx, objects, before, func(o source.Object, r source.Reader) (Part, *arrow.Schema, error) {
		f, err := readParquetFooter(o, r)
		if err != nil {
			return Part{}, nil, err
		}
		return Part{Object: o, Rows: f.rows, Units: f.units, id: new(fileID)}, f.schema, nil
	})
}

func (parquetFormat) Read(ctx context.Context, layout *Layout, part int, opts ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return batches(ctx, layout, part, opts, func(req *request, r source.Reader) (*parquetReader, error) {
		o := req.part.Object
		f, err := req.part.footerOf(r)
		if err != nil {
			return nil, err
		}
		if err := fits(layout.Schema, o, f.schema); err != nil {
			return nil, err
		}
		groups, err := f.groupsOf(req)
		if err != nil {
			return nil, err
		}
		quota := newQuota(memory.DefaultAllocator, o.Size())
		arrays, flat := quota, quota.SharedWith(arrowmem.Uncleared{})
		if opts.Allocator != nil {
			arrays = quota.SharedWith(opts.Allocator)
			flat = arrays
		}
		p := &parquetReader{
			request: req, footer: f, quota: quota, arrays: arrays, flat: flat, groups: groups,
			leaves: make(map[int]bool), alone: opts.Allocator != nil, bytes: r, pages: &countedMemory{Allocator: &pages},
		}
		p.holder.letGo = p.letGo
		if !p.alone { // another goroutine may not use the caller's allocator
			p.holder.budget = opts.pages()
		}
		for _, c := range req.columns {
			addLeaves(p.leaves, &f.fields[c])
		}
		p.pace = newPace(opts.maxRows(), len(p.leaves))
		open := func(props *parquet.ReaderProperties) (*file.Reader, error) {
			return file.NewParquetReader(section(o, r), file.WithMetadata(f.meta), file.WithReadProps(props))
		}
		p.pqarrow = sync.OnceValues(func() (*pqarrow.FileReader, error) {
			// Its pages are returned to a pool that frees them when the garbage collector runs, which no allocator of a caller should wait for.
			file, err := open(parquetProperties(o, quota, len(p.leaves)))
			if err != nil {
				return nil, undecodable(err)
			}
			return readPqarrow(file, arrays)
		})
		p.props = parquetProperties(o, quota.SharedWith(p.pages), len(p.leaves))
		unbuffered := *p.props // chunkPages reads ahead
		unbuffered.BufferSize = 1
		p.file, err = open(&unbuffered)
		return p, err
	})
}

// pages is memory of pages: each is freed once nothing refers to it.
var pages arrowmem.Pool

const (
	// parquetReadAhead is what is read of each column at a time. What a page has beyond it goes straight to where it is decompressed from.
	parquetReadAhead = 64 << 10
	// parquetBuffers bounds what is read ahead of all columns together: beyond 1,024 columns, each gets less.
	parquetBuffers = 64 << 20
	// leastReadAhead is enough for the header of a page, and for most pages of a table of so many columns.
	leastReadAhead = 16 << 10
)

// parquetProperties are how pages of so many columns are read, into memory of a quota.
func parquetProperties(o source.Object, pages *ipcguard.Quota, columns int) *parquet.ReaderProperties {
	props := parquet.NewReaderProperties(pages)
	props.BufferedStreamEnabled = true // a column is streamed, not read whole
	props.BufferSize = min(parquetReadAhead, max(leastReadAhead, parquetBuffers/max(1, int64(columns))))
	props.MaxCompressedPageSize = o.Size()
	props.MaxUncompressedPageSize = pages.Limit()
	return props
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
func checkChunks(meta *metadata.FileMetaData, size int64) error {
	for g, group := range meta.GetRowGroups() {
		if n := len(group.GetColumns()); n != meta.Schema.NumColumns() {
			return fmt.Errorf("row group %d has %d columns, the schema has %d: the file is damaged", g, n, meta.Schema.NumColumns())
		}
		for c := range group.GetColumns() {
			chunk, err := meta.RowGroup(g).ColumnChunk(c)
			if err != nil {
				return undecodable(err)
			}
			start, length := chunkSpan(chunk)
			if start < 0 || length < 0 || start > size-length {
				return fmt.Errorf("column %s of row group %d is said to be outside the file: the file is damaged or cut",
					quoted(meta.Schema.Column(c).Path()), g)
			}
		}
	}
	return nil
}
