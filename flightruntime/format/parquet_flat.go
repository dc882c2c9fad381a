package format

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// flatColumn decodes a column of a row group whose values stand in a file nearly as they do in memory: numbers and text that are not nested, in
// plain encoding or with a dictionary, which is most of what there is. Values go from the page into the array, once; pqarrow, which reads all
// other columns, takes text through a slice for each value, and allocates three times what it gives out.
type flatColumn struct {
	pages    *chunkPages
	mem      *ipcguard.Quota
	nullable bool
	values   flatValues

	left       int    // rows of the current page that are still to come
	levels     runs   // of these: which are not null
	plain      []byte // values of these, if they are in plain encoding
	indexed    bool   // they are not
	indices    runs   // then: of the dictionary's values
	dictionary bool   // whether the dictionary was read

	first, current place // of the dictionary, and of the current page
	rows           int   // of the current page
	gone           bool  // what was read was let go of
	forgotten      bool  // the dictionary, too

	valid   []byte // of the batch: a bit for each row
	scratch [indexBatch]uint32
}

// indexBatch indices are read at a time.
const indexBatch = 1024

// errEncoding: a page is in an encoding that flatColumn does not read.
var errEncoding = errors.New("the page's encoding is another")

// flatEncodings are those of pages that flatColumn reads, and of their levels.
var flatEncodings = []parquet.Encoding{
	parquet.Encodings.Plain, parquet.Encodings.PlainDict, parquet.Encodings.RLEDict, parquet.Encodings.RLE, parquet.Encodings.BitPacked,
}

// flatValues makes arrays of values that are not null. They come in order.
type flatValues interface {
	// learn takes the column's dictionary: n values in plain encoding.
	learn(n int, data []byte) error
	// begin begins an array of that many rows at most.
	begin(rows int)
	// plain decodes n values from the beginning of data, and returns what follows them.
	plain(n int, data []byte) ([]byte, error)
	// pass is what follows n values that data begins with.
	pass(n int, data []byte) ([]byte, error)
	// indexed takes values from the dictionary.
	indexed(indices []uint32) error
	// spread moves the last values to where they belong among rows, those of the bitmap's positions from and on: where it has a bit that is set.
	spread(valid []byte, from, rows, values int)
	// end makes the array of so many rows, some of which are null by a bitmap that is released; nil if none is. The caller releases it.
	end(rows int, valid *memory.Buffer, nulls int) arrow.ArrayData
	// drop releases an array that was begun.
	drop()
	// known is what the dictionary takes in bytes; 0 if arrays refer to it.
	known() int64
	// forget releases the dictionary, unless arrays refer to it.
	forget()
	// close releases the dictionary.
	close()
}

// read makes an array of the column's next rows, which the caller releases. There are fewer of them only where the column ends.
func (c *flatColumn) read(rows int) (data arrow.ArrayData, err error) {
	c.values.begin(rows)
	defer func() {
		if data == nil {
			c.values.drop()
		}
	}()
	return c.fill(rows)
}

func (c *flatColumn) fill(rows int) (arrow.ArrayData, error) {
	if size := int(bitutil.BytesForBits(int64(rows))); c.nullable && cap(c.valid) < size {
		c.valid = make([]byte, size)
	} else if c.nullable {
		c.valid = c.valid[:size]
	}
	done, values := 0, 0
	for done < rows {
		if c.left == 0 {
			more, err := c.nextPage()
			if err != nil {
				return nil, err
			}
			if !more {
				break
			}
			continue
		}
		n := min(rows-done, c.left)
		present, err := c.decode(done, n)
		if err != nil {
			return nil, err
		}
		done, values, c.left = done+n, values+present, c.left-n
	}
	var bitmap *memory.Buffer
	if values < done {
		bitmap = memory.NewResizableBuffer(c.mem)
		bitmap.Resize(int(bitutil.BytesForBits(int64(done))))
		copy(bitmap.Bytes(), c.valid)
		bitutil.SetBitsTo(bitmap.Bytes(), int64(done), int64(bitmap.Len()*8-done), false)
	}
	return c.values.end(done, bitmap, done-values), nil
}

// decode decodes rows of the current page, which are those of the batch from a position on, and tells how many are not null.
func (c *flatColumn) decode(from, rows int) (present int, err error) {
	present = rows
	if c.nullable {
		if present, err = c.levels.readBits(c.valid, from, rows); err != nil {
			return 0, err
		}
	}
	if c.indexed {
		for left := present; left > 0; {
			some := c.scratch[:min(left, indexBatch)]
			if err := c.indices.read(some); err != nil {
				return 0, err
			}
			if err := c.values.indexed(some); err != nil {
				return 0, err
			}
			left -= len(some)
		}
	} else if c.plain, err = c.values.plain(present, c.plain); err != nil {
		return 0, err
	}
	if present < rows {
		c.values.spread(c.valid, from, rows, present)
	}
	return present, nil
}

// pass passes over rows, or over as many as there are.
func (c *flatColumn) pass(ctx context.Context, rows int64) error {
	for rows > 0 {
		if c.left == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if more, err := c.nextPage(); err != nil || !more {
				return err
			}
			continue
		}
		n := int(min(rows, int64(c.left), passBatch))
		present := n
		if c.nullable {
			if cap(c.valid) < passBatch/8 {
				c.valid = make([]byte, passBatch/8)
			}
			var err error
			if present, err = c.levels.readBits(c.valid[:passBatch/8], 0, n); err != nil {
				return err
			}
		}
		var err error
		if c.indexed {
			err = c.indices.pass(present)
		} else {
			c.plain, err = c.values.pass(present, c.plain)
		}
		if err != nil {
			return err
		}
		rows, c.left = rows-int64(n), c.left-n
	}
	return nil
}

// passBatch rows are passed over at a time.
const passBatch = 32 << 10

// nextPage moves on to the next page; false after the last.
func (c *flatColumn) nextPage() (bool, error) {
	at := c.pages.at
	page, err := c.pages.next()
	if page == nil {
		return false, err
	}
	switch page := page.(type) {
	case *file.DictionaryPage:
		if c.dictionary {
			return false, errDamaged
		}
		if e := parquet.Encoding(page.Encoding()); e != parquet.Encodings.Plain && e != parquet.Encodings.PlainDict {
			return false, errEncoding
		}
		c.dictionary, c.first = true, at
		return true, c.learn(page)
	case *file.DataPageV1:
		data := page.Data()
		var levels []byte
		if c.nullable {
			if page.DefinitionLevelEncoding() != parquet.Encodings.RLE {
				return false, errEncoding
			}
			var ok bool
			if levels, data, ok = prefixed(data); !ok {
				return false, errDamaged
			}
		}
		return true, c.begin(at, page, levels, data)
	case *file.DataPageV2:
		repetition, definition := int64(page.RepetitionLevelByteLen()), int64(page.DefinitionLevelByteLen())
		data := page.Data()
		if repetition < 0 || definition < 0 || repetition+definition > int64(len(data)) {
			return false, errDamaged
		}
		data = data[repetition:]
		return true, c.begin(at, page, data[:definition], data[definition:])
	default:
		return true, nil
	}
}

func (c *flatColumn) learn(page *file.DictionaryPage) error {
	err := c.values.learn(int(page.NumValues()), page.Data())
	c.pages.held.Add(c.values.known())
	return err
}

// begin begins a page of values.
func (c *flatColumn) begin(at place, page file.Page, levels, data []byte) (err error) {
	c.current, c.rows = at, int(page.NumValues())
	c.left = c.rows
	if c.levels, err = newRuns(levels, 1); err != nil {
		return err
	}
	switch parquet.Encoding(page.Encoding()) {
	case parquet.Encodings.Plain:
		c.plain, c.indexed = data, false
		return nil
	case parquet.Encodings.RLEDict, parquet.Encodings.PlainDict:
		c.indexed = true
		if len(data) == 0 { // of nulls alone
			c.indices = runs{}
			return nil
		}
		c.indices, err = newRuns(data[1:], int(data[0]))
		return err
	default:
		return errEncoding
	}
}

// prefixed are the bytes that follow their length, and the rest.
func prefixed(data []byte) (bytes, rest []byte, ok bool) {
	if len(data) < 4 {
		return nil, nil, false
	}
	n, data := int64(binary.LittleEndian.Uint32(data)), data[4:]
	if n > int64(len(data)) {
		return nil, nil, false
	}
	return data[:n], data[n:], true
}

// letGo frees all that the column holds of the file.
func (c *flatColumn) letGo() {
	if c.gone {
		return
	}
	c.pages.letGo()
	known := c.values.known()
	c.values.forget()
	c.pages.held.Add(c.values.known() - known)
	c.forgotten = known > 0
	c.levels, c.plain, c.indices = runs{}, nil, runs{}
	c.gone = true
}

// resume reads again what was let go of: the dictionary, and the current page up to the row that comes next.
func (c *flatColumn) resume(ctx context.Context) error {
	if !c.gone {
		return nil
	}
	c.gone = false
	left, rows, current, next := c.left, c.rows, c.current, c.pages.at
	if c.forgotten {
		c.dictionary = false
		if err := c.again(c.first); err != nil {
			return err
		}
		if !c.dictionary {
			return errDamaged
		}
	}
	if left == 0 {
		c.left = 0
		return c.pages.seek(next)
	}
	if err := c.again(current); err != nil {
		return err
	}
	if c.left != rows {
		return errDamaged
	}
	return c.pass(ctx, int64(rows-left))
}

// again reads a page that was read before. One that is another by now is damaged.
func (c *flatColumn) again(at place) error {
	if err := c.pages.seek(at); err != nil {
		return err
	}
	more, err := c.nextPage()
	if errors.Is(err, errEncoding) || err == nil && !more {
		return errDamaged
	}
	return err
}

func (c *flatColumn) close() {
	c.letGo()
	c.values.close()
}
