package format

import (
	"io"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
)

// chunkPages are the pages of a column of a row group, one after the other. They can be let go of, and read on from any place that was passed.
type chunkPages struct {
	open  func() (file.PageReader, error)
	bytes *io.SectionReader // the column chunk
	props *parquet.ReaderProperties
	codec compress.Compression
	rows  int64
	held  *atomic.Int64 // bytes, to which those that are read ahead are added

	reader   file.PageReader // nil if pages were let go of, or before the first
	stream   *countedStream
	buffered int64 // bytes that there is room for to be read ahead
	at       place // of the next page
}

// place is where a page begins in a column chunk: after so many bytes, and after so many rows by what the pages before say of themselves.
type place struct{ bytes, rows int64 }

// pagesOf are those of a column of a row group, given its chunk. Nothing is read before seek.
func (p *parquetReader) pagesOf(leaf int, chunk *metadata.ColumnChunkMetaData) *chunkPages {
	group, size := p.group, p.part.Object.Size()
	start, length := chunkSpan(chunk)
	if p.footer.meta.WriterVersion().LessThan(metadata.Parquet816FixedVersion) {
		length += min(uncountedHeader, size-start-length)
	}
	return &chunkPages{
		open:  func() (file.PageReader, error) { return p.file.RowGroup(group).GetColumnPageReader(leaf) },
		bytes: io.NewSectionReader(p.bytes, start, length), props: p.props, codec: chunk.Compression(), rows: chunk.NumValues(), held: &p.pages.lent,
	}
}

// uncountedHeader bytes, the header of a dictionary, old writers have left out of the length of a column chunk (PARQUET-816).
const uncountedHeader = 100

// chunkSpan is where a column chunk begins in its file, and how many bytes it says it has.
func chunkSpan(chunk *metadata.ColumnChunkMetaData) (start, length int64) {
	start, length = chunk.DataPageOffset(), chunk.TotalCompressedSize()
	if chunk.HasDictionaryPage() && chunk.DictionaryPageOffset() > 0 {
		start = min(start, chunk.DictionaryPageOffset())
	}
	return start, length
}

// largestPageHeader is the most that arrow-go takes for a page's header.
const largestPageHeader = 4 << 20

// mostPageHeader bounds what arrow-go reads ahead of a column to find the end of a page's header. It tries with twice as much each time, into a new
// buffer; where the header is damaged that would be 8 MiB in all, however small the column. A header that is whole is found within twice its own bytes.
func mostPageHeader(chunk int64) int { return int(min(largestPageHeader, 2*chunk)) }

// seek has the page come next that begins at a place.
func (c *chunkPages) seek(to place) (err error) {
	if c.reader == nil {
		if c.reader, err = c.open(); err != nil {
			return err
		}
		c.reader.SetMaxPageHeaderSize(mostPageHeader(c.bytes.Size()))
	}
	rest := c.bytes.Size() - to.bytes
	if c.stream == nil {
		stream, err := c.props.GetStream(c.bytes, to.bytes, rest)
		if err != nil {
			return err
		}
		c.stream = &countedStream{BufferedReader: stream}
	} else {
		c.stream.Reset(io.NewSectionReader(c.bytes, to.bytes, rest))
	}
	c.stream.read, c.at = to.bytes, to
	c.noteBuffered(int64(c.stream.BufferSize()))
	c.reader.Reset(c.stream, c.rows-to.rows, c.codec, nil)
	return c.reader.Err()
}

// next reads the next page, which is valid until the one after it is read; nil after the last.
func (c *chunkPages) next() (file.Page, error) {
	if !c.reader.Next() {
		return nil, c.reader.Err()
	}
	page := c.reader.Page()
	c.at.bytes = c.stream.read
	switch page := page.(type) { // arrow-go counts values of the one and rows of the other, which are alike in columns that are not nested
	case *file.DataPageV1:
		c.at.rows += int64(page.NumValues())
	case *file.DataPageV2:
		c.at.rows += int64(page.NumRows())
	}
	c.noteBuffered(int64(c.stream.BufferSize())) // it grows for a long header
	return page, nil
}

// letGo frees the current page and all else that is held. What comes next has to be sought.
func (c *chunkPages) letGo() {
	if c.reader != nil {
		_ = c.reader.Close() // it holds nothing but memory
	}
	c.reader, c.stream = nil, nil
	c.noteBuffered(0)
}

func (c *chunkPages) noteBuffered(bytes int64) {
	if bytes != c.buffered {
		c.held.Add(bytes - c.buffered)
		c.buffered = bytes
	}
}

// countedStream counts the bytes of a column chunk that were read.
type countedStream struct {
	parquet.BufferedReader

	read int64
}

func (s *countedStream) Read(p []byte) (int, error) {
	n, err := s.BufferedReader.Read(p)
	s.read += int64(n)
	return n, err
}

// Discard passes over n bytes.
func (s *countedStream) Discard(n int) (int, error) {
	n, err := s.BufferedReader.Discard(n)
	s.read += int64(n)
	return n, err
}
