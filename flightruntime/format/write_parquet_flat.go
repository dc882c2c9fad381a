package format

import (
	"fmt"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"github.com/klauspost/compress/s2"
)

// flatEncoder encodes a field whose values stand in a file nearly as they do in memory, the counterpart of flatColumn. Pages of values that
// repeat have indices of a dictionary, those of others have the values. Which it is, the first values of each row group tell.
type flatEncoder struct {
	column   *schema.Column
	nullable bool
	values   pageValues

	mode    dictionaryMode
	indices []uint32 // of the page's values in the dictionary, unless the mode is withoutDictionary
	looked  int      // bytes that the page's values would take themselves, while the mode is undecided

	rows, nulls int    // of the page
	valid       []byte // of these: a bit for each row

	chunk chunk
}

// dictionaryMode is whether a column chunk's values are looked up in a dictionary.
type dictionaryMode int

const (
	// undecided: they are, and it is not yet known what that is worth.
	undecided dictionaryMode = iota
	withDictionary
	withoutDictionary
)

const (
	// pageBytes is where a page ends, pyarrow's default.
	pageBytes = 1 << 20
	// pageRows is where a page ends, though it be small.
	pageRows = 1 << 17
	// pieceRows are encoded at a time: few enough for what is made of them to stay in a processor's cache.
	pieceRows = 1 << 12
	// decidingValues are looked at before it is decided on a dictionary.
	decidingValues = 1 << 14
	// longestBound is the longest text that statistics have. It is left out otherwise, as arrow-go does.
	longestBound = 4096
)

// pageValues are the values of a page that are not null, and the dictionary of those of its column chunk.
type pageValues interface {
	// take takes rows of an array: those from a row on, at most so many. It tells how many it took, and how many bytes their values are in
	// plain encoding, or a little more: a page's at most, unless it is one row. The values are current until it is called again. Where valid
	// is not nil, rows are null whose bit, from the row's own position on, is not set.
	take(data arrow.ArrayData, from, most int, valid []byte) (rows, size int)
	// index appends the indices of the current values to some, in a dictionary that grows by those which it does not have.
	index(indices []uint32) []uint32
	// plain adds the current values to the page, in plain encoding.
	plain()
	// restore makes the page of values from the dictionary, which is dropped.
	restore(indices []uint32)
	// page is the page in plain encoding.
	page() []byte
	// endPage begins another page.
	endPage()
	// dictionary is how many values it has, and these in plain encoding.
	dictionary() (n int, page []byte)
	// repeat is whether the values of so many indices are few enough to go on with a dictionary.
	repeat(indices int) bool
	// full is whether the dictionary should not grow any more.
	full() bool
	// bounds are the least and the largest value of the column chunk in plain encoding, without the length of text; nil if there are none.
	bounds() (least, most []byte)
	// endChunk begins another column chunk.
	endChunk()
}

// fewDistinct is whether values repeat. Where three of four are distinct, there are hardly more values in all than a dictionary should have, and
// to look them up takes less time than to compress them.
func fewDistinct(distinct, all int) bool { return distinct*4 <= all*3 }

func newFlatEncoder(column *schema.Column, values pageValues) *flatEncoder {
	return &flatEncoder{column: column, nullable: column.MaxDefinitionLevel() > 0, values: values}
}

func (e *flatEncoder) write(array arrow.Array) error {
	data := array.Data()
	var valid []byte // by the position in buffers
	if b := data.Buffers()[0]; e.nullable && b != nil && b.Len() > 0 && array.NullN() > 0 {
		valid = b.Bytes()
	}
	for from := 0; from < data.Len(); {
		if e.mode == withDictionary && e.values.full() {
			if err := e.endPage(); err != nil {
				return err
			}
			e.mode = withoutDictionary
		}
		n, size := e.values.take(data, from, min(pieceRows, pageRows-e.rows), valid)
		if e.mode == withoutDictionary {
			e.values.plain()
		} else {
			e.indices = e.values.index(grow(e.indices, n))
			e.looked += size
		}
		if e.nullable {
			e.addLevels(valid, data.Offset()+from, n)
		}
		e.rows, from = e.rows+n, from+n
		if e.mode == undecided && (len(e.indices) >= decidingValues || e.looked >= pageBytes) {
			e.decide()
		}
		if e.rows >= pageRows || e.mode == withoutDictionary && len(e.values.page()) >= pageBytes {
			if err := e.endPage(); err != nil {
				return err
			}
		}
	}
	return nil
}

// grow makes room for n items more; twice as much as there is, where there is none: append adds a quarter at a time.
func grow[T any](items []T, n int) []T {
	if cap(items)-len(items) < n {
		items = slices.Grow(items, max(n, len(items)))
	}
	return items
}

func (e *flatEncoder) addLevels(valid []byte, from, rows int) {
	if size := int(bitutil.BytesForBits(int64(e.rows + rows))); size > len(e.valid) {
		e.valid = append(e.valid, make([]byte, size-len(e.valid))...)
	}
	if valid == nil {
		bitutil.SetBitsTo(e.valid, int64(e.rows), int64(rows), true)
		return
	}
	bitutil.CopyBitmap(valid, from, rows, e.valid, e.rows)
	e.nulls += rows - bitutil.CountSetBits(e.valid, e.rows, rows)
}

// decide goes on with the dictionary or without.
func (e *flatEncoder) decide() {
	if e.values.repeat(len(e.indices)) {
		e.mode = withDictionary
		return
	}
	e.values.restore(e.indices)
	e.indices, e.mode = e.indices[:0], withoutDictionary
}

// endPage encodes the page, if it has rows.
func (e *flatEncoder) endPage() error {
	if e.rows == 0 {
		return nil
	}
	if e.mode == undecided && len(e.indices) > 0 {
		e.decide()
	}
	scratch := buffers.Get().(*[]byte)
	defer buffers.Put(scratch)
	body, encoding := (*scratch)[:0], parquet.Encodings.Plain
	if e.nullable {
		body = appendLevels(body, e.valid, e.rows, e.nulls)
	}
	if e.mode == withoutDictionary {
		body = append(body, e.values.page()...)
		e.chunk.plain++
	} else {
		n, _ := e.values.dictionary()
		width := indexWidth(n)
		body, encoding = appendIndices(append(body, byte(width)), e.indices, width), parquet.Encodings.RLEDict
		e.chunk.indexed++
	}
	*scratch = body
	if err := e.chunk.add(pageHeader{values: e.rows, encoding: encoding}, body); err != nil {
		return fmt.Errorf("column %s: %w", quoted(e.column.Name()), err)
	}
	e.chunk.values, e.chunk.nulls = e.chunk.values+e.rows, e.chunk.nulls+e.nulls
	e.rows, e.nulls, e.indices, e.looked = 0, 0, e.indices[:0], 0
	e.values.endPage()
	return nil
}

func (e *flatEncoder) flush() error { return e.endPage() }

func (e *flatEncoder) finish(out *countingWriter, next func() *metadata.ColumnChunkMetaDataBuilder) error {
	told, c, start := next(), &e.chunk, out.at
	defer c.reset()
	defer e.values.endChunk()
	e.mode = undecided
	stats := metadata.EncodedStatistics{HasNullCount: true, NullCount: int64(c.nulls), Signed: e.column.SortOrder() == schema.SortSIGNED}
	if least, most := e.values.bounds(); least != nil {
		stats.HasMin, stats.Min, stats.HasMax, stats.Max = true, least, true, most
	}
	stats.ApplyStatSizeLimits(longestBound)
	told.SetStats(stats)
	info := metadata.ChunkMetaInfo{NumValues: int64(c.values), IndexPageOffset: -1}
	pages := metadata.EncodingStats{DataEncodingStats: make(map[parquet.Encoding]int32)}
	if c.plain > 0 {
		pages.DataEncodingStats[parquet.Encodings.Plain] = c.plain
	}
	dictionary := chunk{}
	defer dictionary.reset()
	if c.indexed > 0 {
		n, page := e.values.dictionary()
		if err := dictionary.add(pageHeader{dictionary: true, values: n, encoding: parquet.Encodings.Plain}, page); err != nil {
			return err
		}
		info.DictPageOffset = start
		pages.DictEncodingStats = map[parquet.Encoding]int32{parquet.Encodings.Plain: 1}
		pages.DataEncodingStats[parquet.Encodings.RLEDict] = c.indexed
	}
	info.DataPageOffset = start + int64(dictionary.compressed)
	info.CompressedSize = int64(dictionary.compressed + c.compressed)
	info.UncompressedSize = int64(dictionary.uncompressed + c.uncompressed)
	if err := told.Finish(info, c.indexed > 0, c.indexed > 0 && c.plain > 0, pages); err != nil {
		return err
	}
	if err := dictionary.writeTo(out); err != nil {
		return err
	}
	return c.writeTo(out)
}

func (e *flatEncoder) drop() { e.chunk.reset() }

// chunk is a column chunk, as far as it is encoded.
type chunk struct {
	memory         *[]byte  // that pages lie in; nil if there are none yet
	pages          [][2]int // where each begins, with its header, and where it ends
	compressed     int      // bytes of them
	uncompressed   int      // bytes of the same without compression
	values, nulls  int      // all rows, and those of them that are null
	indexed, plain int32    // pages with indices, and with values
}

// maxPage leaves as much of 31 bits as compression may add.
const maxPage = math.MaxInt32 / 8 * 6

// add compresses a page, and puts its header before it.
func (c *chunk) add(h pageHeader, body []byte) error {
	if len(body) > maxPage {
		return fmt.Errorf("a value takes more than %d bytes, for which there are no pages in Parquet: put shorter ones", maxPage)
	}
	if c.memory == nil {
		c.memory = chunks.Get().(*[]byte)
	}
	m := grow(*c.memory, maxHeader+s2.MaxEncodedLen(len(body)))
	start := len(m) + maxHeader // of the page, which is at least as far behind as its header is long
	packed := s2.EncodeSnappy(m[start:start:cap(m)], body)
	h.uncompressed, h.compressed = len(body), len(packed)
	var header [maxHeader]byte
	encoded := appendPageHeader(header[:0], h)
	m = m[:start+len(packed)]
	copy(m[start-len(encoded):], encoded)
	*c.memory = m
	c.pages = append(c.pages, [2]int{start - len(encoded), len(m)})
	c.compressed += len(encoded) + len(packed)
	c.uncompressed += len(encoded) + len(body)
	return nil
}

func (c *chunk) writeTo(w io.Writer) error {
	for _, p := range c.pages {
		if _, err := w.Write((*c.memory)[p[0]:p[1]]); err != nil {
			return err
		}
	}
	return nil
}

// reset makes it another chunk, without pages.
func (c *chunk) reset() {
	if c.memory != nil {
		*c.memory = (*c.memory)[:0]
		chunks.Put(c.memory)
	}
	*c = chunk{}
}

// What is encoded of a page, and of a column chunk, goes to memory that is used again.
var (
	buffers = sync.Pool{New: func() any { return new([]byte) }}
	chunks  = sync.Pool{New: func() any { return new([]byte) }}
)
