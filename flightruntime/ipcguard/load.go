package ipcguard

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
)

// loader makes array data of one message: fields take the nodes and the buffers that a RecordBatch (Message.fbs) lists, in their order.
type loader struct {
	body  *memory.Buffer
	quota *Quota
	batch flatbuffers.Table
	rows  int64

	nodes, buffers, counts elements
	codec                  codec
	allHaveValidity        bool  // unions and runs too, as before version 5 of the format
	bytes                  int64 // of the body and of what was allocated
}

// elements is a vector of a RecordBatch, and how much of it has been taken.
type elements struct {
	start flatbuffers.UOffsetT
	n     int
	size  int // of an element
	taken int
}

func (l *elements) next() (flatbuffers.UOffsetT, bool) {
	if l.taken == l.n {
		return 0, false
	}
	l.taken++
	return l.start + flatbuffers.UOffsetT((l.taken-1)*l.size), true
}

// load begins to decode a message.
func (d *Decoder) load(m Message, body *memory.Buffer) (*loader, error) {
	d.quota.Step()
	if int64(body.Len()) != m.BodyLength {
		return nil, fmt.Errorf("its body has %d bytes, and its metadata say %d", body.Len(), m.BodyLength)
	}
	version, err := versionOf(m)
	if err != nil {
		return nil, err
	}
	batch, _ := child(rootTable(m.Metadata), messageHeader)
	if m.Kind == KindDictionaryBatch {
		batch, _ = child(batch, dictionaryData)
	}
	if m.Rows > d.options.MaxBatchBytes {
		return nil, &QuotaError{Claimed: m.Rows, Limit: d.options.MaxBatchBytes, What: "rows for one batch"}
	}
	l := &loader{
		body: body, quota: d.quota, batch: batch, rows: m.Rows,
		nodes:           listIn(batch, batchNodes, nodeSize),
		buffers:         listIn(batch, batchBuffers, bufferSize),
		counts:          listIn(batch, batchVariadicCounts, countSize),
		allHaveValidity: version < versionV5,
		bytes:           int64(body.Len()),
	}
	if compression, ok := child(batch, batchCompression); ok {
		l.codec, err = codecOf(compression)
	}
	return l, err
}

func listIn(t flatbuffers.Table, slot flatbuffers.VOffsetT, size int) elements {
	start, n := vector(t, slot, size)
	return elements{start: start, n: n, size: size}
}

// end makes sure that the message lists no more than its fields have taken.
func (l *loader) end() error {
	if left := l.nodes.n - l.nodes.taken; left > 0 {
		return fmt.Errorf("it has %d arrays more than its schema", left)
	}
	if left := l.buffers.n - l.buffers.taken; left > 0 {
		return fmt.Errorf("it has %d buffers more than its schema", left)
	}
	return nil
}

// array decodes a field, whose dictionaries are attached later.
func (l *loader) array(f *field) (arrow.ArrayData, error) {
	rows, nulls, err := l.node()
	if err != nil {
		return nil, err
	}
	buffers, err := l.buffersOf(f.storage, nulls)
	defer memory.ReleaseBuffers(buffers)
	if err != nil {
		return nil, err
	}
	switch f.storage.ID() {
	case arrow.NULL:
		nulls = rows
	case arrow.SPARSE_UNION, arrow.DENSE_UNION, arrow.RUN_END_ENCODED:
		nulls = 0
	default:
		if nulls == array.UnknownNullCount { // counted here, for arrays do so when they are asked, whichever goroutine asks
			bits := buffers[0].Bytes()
			if int64(len(bits)) < bitutil.BytesForBits(int64(rows)) {
				return nil, fmt.Errorf("its validity bitmap has %d bytes, too few for %d rows", len(bits), rows)
			}
			nulls = rows - bitutil.CountSetBits(bits, 0, rows)
		}
	}
	children := make([]arrow.ArrayData, 0, len(f.children))
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	for _, c := range f.children {
		child, err := l.array(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.label, err)
		}
		children = append(children, child)
	}
	return array.NewData(f.dt, rows, buffers, children, nulls, 0), nil
}

// node is the length and the number of nulls of the next array.
func (l *loader) node() (rows, nulls int, err error) {
	at, ok := l.nodes.next()
	if !ok {
		return 0, 0, fmt.Errorf("its batch has %d arrays, fewer than its schema", l.nodes.n)
	}
	n, null := l.batch.GetInt64(at), l.batch.GetInt64(at+8)
	if n < 0 || n > maxBatchRows || null > n || null < array.UnknownNullCount {
		return 0, 0, fmt.Errorf("it claims %d rows, %d of them null", n, null)
	}
	if n > l.quota.Limit() {
		return 0, 0, &QuotaError{Claimed: n, Limit: l.quota.Limit(), What: "rows for one batch"}
	}
	return int(n), int(null), nil
}

// buffersOf takes the buffers of an array, as arrow-go wants them. The caller releases them, also where there is an error.
func (l *loader) buffersOf(dt arrow.DataType, nulls int) ([]*memory.Buffer, error) {
	buffers := []*memory.Buffer{nil} // validity, or nothing at all
	layout := dt.Layout()
	own := len(layout.Buffers) - 1 // buffers besides
	switch dt.ID() {
	case arrow.NULL:
		return buffers, nil
	case arrow.SPARSE_UNION, arrow.DENSE_UNION, arrow.RUN_END_ENCODED:
		if l.allHaveValidity {
			if nulls != 0 {
				return buffers, fmt.Errorf("%d of its rows are null, and a %s has had no nulls of its own since version 5 of Arrow's format", nulls, dt.Name())
			}
			l.buffers.next()
		}
		if dt.ID() == arrow.RUN_END_ENCODED {
			return buffers, nil
		}
		own++ // the layout of unions has no place for a bitmap
	default:
		var err error
		if buffers[0], err = l.validity(nulls); err != nil {
			return buffers, err
		}
	}
	if layout.VariadicSpec != nil {
		at, ok := l.counts.next()
		if !ok {
			return buffers, fmt.Errorf("its batch does not say how many buffers it has")
		}
		own += int(l.batch.GetInt64(at)) // Parse has made sure that it is not more than there are
	}
	for range own {
		b, err := l.buffer()
		if err != nil {
			return buffers, err
		}
		buffers = append(buffers, b)
	}
	return buffers, nil
}

// validity is the bitmap of an array, which may be anything where there are no nulls.
func (l *loader) validity(nulls int) (*memory.Buffer, error) {
	if nulls == 0 {
		if _, ok := l.buffers.next(); !ok {
			return nil, l.tooFewBuffers()
		}
		return nil, nil
	}
	return l.buffer()
}

func (l *loader) tooFewBuffers() error {
	return fmt.Errorf("its batch has %d buffers, fewer than its schema", l.buffers.n)
}

// buffer is the next buffer: a slice of the body, or what that uncompresses to.
func (l *loader) buffer() (*memory.Buffer, error) {
	at, ok := l.buffers.next()
	if !ok {
		return nil, l.tooFewBuffers()
	}
	from, length := l.batch.GetInt64(at), l.batch.GetInt64(at+8)
	if from < 0 || length < 0 || length > int64(l.body.Len()) || from > int64(l.body.Len())-length {
		return nil, fmt.Errorf("buffer %d claims %d bytes from byte %d of a body that has %d", l.buffers.taken-1, length, from, l.body.Len())
	}
	switch {
	case length == 0:
		return memory.NewBufferBytes(nil), nil
	case from%8 != 0:
		return nil, fmt.Errorf("buffer %d begins at byte %d: expected a multiple of 8", l.buffers.taken-1, from)
	case l.codec == nil:
		return memory.SliceBuffer(l.body, int(from), int(length)), nil
	}
	b, err := l.uncompressed(int(from), int(length))
	if err != nil {
		return nil, fmt.Errorf("buffer %d: %w", l.buffers.taken-1, err)
	}
	return b, nil
}

// emptyArray is an array of no rows.
func emptyArray(f *field) arrow.ArrayData {
	buffers := []*memory.Buffer{nil}
	switch f.storage.ID() {
	case arrow.NULL, arrow.RUN_END_ENCODED:
	case arrow.SPARSE_UNION, arrow.DENSE_UNION:
		for range f.storage.Layout().Buffers {
			buffers = append(buffers, memory.NewBufferBytes(nil))
		}
	default:
		for range f.storage.Layout().Buffers[1:] {
			buffers = append(buffers, memory.NewBufferBytes(nil))
		}
	}
	children := make([]arrow.ArrayData, len(f.children))
	for i, c := range f.children {
		children[i] = emptyArray(c)
		defer children[i].Release()
	}
	return array.NewData(f.dt, 0, buffers, children, 0, 0)
}
