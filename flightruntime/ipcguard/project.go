package ipcguard

import (
	"encoding/binary"
	"errors"
	"math"

	flatbuffers "github.com/google/flatbuffers/go"
)

// A record batch's metadata list the buffers of its columns one after the other, and where in the body each of them is. So columns that are
// not wanted can be taken out of the metadata before arrow-go reads them, and need not be read from storage at all. Vectors only become
// shorter by it, so that this is done in place.

// unionMode is a slot of Union in Schema.fbs.
const unionMode = 4

// metadataV5 is the version of metadata since which unions and run-end encoded arrays have no validity bitmap.
const metadataV5 = 4

// Values of Type in Schema.fbs whose arrays have other buffers than a bitmap and values.
const (
	typeNull          = 1
	typeBinary        = 4
	typeUtf8          = 5
	typeStruct        = 13
	typeFixedSizeList = 16
	typeLargeBinary   = 19
	typeLargeUtf8     = 20
	typeRunEndEncoded = 22
	typeBinaryView    = 23
	typeUtf8View      = 24
	typeListView      = 25
	typeLargeListView = 26
)

// extent is what a column takes in the vectors of a record batch's metadata.
type extent struct {
	nodes, buffers int
	bitmapsV4      int // further buffers before metadataV5
	views          int // places in the vector that tells how many further buffers each array of views has
}

// Projection takes the columns that are not wanted out of the messages of an object: first Schema, then Batch for each record batch.
type Projection struct {
	want []int // ascending indices
	of   int   // as many columns as the object is to have

	columns      []extent
	dictionaries map[int64]bool // those of the columns that are wanted
}

// ErrOtherColumns is the error of Schema for an object that has not as many columns as it is to have.
var ErrOtherColumns = errors.New("it has other columns")

// NewProjection wants the columns of some ascending indices, of as many as the object is to have.
func NewProjection(want []int, of int) *Projection { return &Projection{want: want, of: of} }

// Dictionary is whether a column that is wanted refers to the dictionary of that ID.
func (p *Projection) Dictionary(id int64) bool { return p.dictionaries[id] }

// Schema takes the fields that are not wanted out of a schema's metadata, and notes what all of them take in record batches.
func (p *Projection) Schema(metadata []byte) error {
	schema, ok := child(rootTable(metadata), messageHeader)
	if !ok {
		return ErrMetadata
	}
	start, n := vector(schema, schemaFields, offsetSize)
	if n != p.of {
		return ErrOtherColumns
	}
	fields := make([]flatbuffers.Table, n)
	p.columns = make([]extent, n)
	for i := range fields {
		fields[i] = flatbuffers.Table{Bytes: schema.Bytes, Pos: schema.Indirect(start + flatbuffers.UOffsetT(i*offsetSize))}
		p.columns[i].add(fields[i])
	}
	p.dictionaries = make(map[int64]bool)
	for i, c := range p.want {
		place := start + flatbuffers.UOffsetT(i*offsetSize)
		binary.LittleEndian.PutUint32(metadata[place:], uint32(fields[c].Pos-place))
		addDictionaries(p.dictionaries, fields[c])
	}
	shorten(metadata, start, n, len(p.want))
	_, err := Parse(metadata) // vectors that lie in each other are none any more
	return err
}

// add adds what an array of a field takes.
func (e *extent) add(field flatbuffers.Table) {
	e.nodes++
	if _, encoded := child(field, fieldDictionary); encoded {
		e.buffers += 2 // its indices are what stands in the batch
		return
	}
	switch field.GetByteSlot(fieldTypeType, 0) {
	case typeNull:
	case typeRunEndEncoded:
		e.bitmapsV4++
	case typeUnion:
		e.bitmapsV4++
		e.buffers++
		if t, ok := child(field, fieldType); ok && t.GetInt16Slot(unionMode, 0) != 0 {
			e.buffers++ // a dense one's offsets
		}
	case typeStruct, typeFixedSizeList:
		e.buffers++
	case typeBinary, typeUtf8, typeLargeBinary, typeLargeUtf8, typeListView, typeLargeListView:
		e.buffers += 3
	case typeBinaryView, typeUtf8View:
		e.buffers += 2
		e.views++
	default:
		e.buffers += 2
	}
	eachChild(field, func(c flatbuffers.Table) { e.add(c) })
}

// addDictionaries adds the IDs of the dictionaries that arrays of a field refer to.
func addDictionaries(ids map[int64]bool, field flatbuffers.Table) {
	if encoding, ok := child(field, fieldDictionary); ok {
		ids[encoding.GetInt64Slot(encodingID, 0)] = true
	}
	eachChild(field, func(c flatbuffers.Table) { addDictionaries(ids, c) })
}

// eachChild calls f with each child of a field. That there are not too many, and not too deep, is known of a message that was parsed.
func eachChild(field flatbuffers.Table, f func(flatbuffers.Table)) {
	start, n := vector(field, fieldChildren, offsetSize)
	for i := range n {
		f(flatbuffers.Table{Bytes: field.Bytes, Pos: field.Indirect(start + flatbuffers.UOffsetT(i*offsetSize))})
	}
}

// Batch takes the columns that are not wanted out of a record batch's metadata. It returns what is left of its body.
func (p *Projection) Batch(metadata []byte, bodyLength int64) (body Placement, err error) {
	root := rootTable(metadata)
	batch, ok := child(root, messageHeader)
	if !ok {
		return body, ErrMetadata
	}
	nodes := newCompaction(batch, batchNodes, nodeSize)
	buffers := newCompaction(batch, batchBuffers, bufferSize)
	counts := newCompaction(batch, batchVariadicCounts, countSize)
	wanted := p.want
	for i, c := range p.columns {
		n := c.buffers
		if root.GetInt16Slot(messageVersion, 0) < metadataV5 {
			n += c.bitmapsV4
		}
		for v := range c.views {
			n += int(counts.int64At(counts.next+v, 0)) // Parse has bounded it
		}
		keep := len(wanted) > 0 && wanted[0] == i
		if keep {
			wanted = wanted[1:]
		}
		nodes.pass(c.nodes, keep)
		buffers.pass(n, keep)
		counts.pass(c.views, keep)
	}
	for i := range buffers.kept {
		off, length := buffers.int64At(i, 0), buffers.int64At(i, 8)
		if off < 0 || length < 0 || off > bodyLength-length {
			return body, ErrMetadata
		}
		if err := body.Add(off, length); err != nil {
			return body, err
		}
		buffers.setInt64At(i, 0, body.last())
	}
	nodes.end()
	buffers.end()
	counts.end()
	_, err = Parse(metadata) // vectors that lie in each other are none any more
	return body, err
}

// compaction moves those elements of a vector together that are wanted. It panics, as FlatBuffers do, if there are not enough.
type compaction struct {
	bytes   []byte
	start   flatbuffers.UOffsetT
	n, size int
	next    int // elements looked at
	kept    int
}

func newCompaction(t flatbuffers.Table, slot flatbuffers.VOffsetT, size int) *compaction {
	start, n := vector(t, slot, size)
	return &compaction{bytes: t.Bytes, start: start, n: n, size: size}
}

// pass looks at the next n elements, which are wanted or not.
func (c *compaction) pass(n int, keep bool) {
	if n < 0 || n > c.n-c.next {
		panic(ErrMetadata)
	}
	if keep {
		elements := c.bytes[c.start:]
		copy(elements[c.kept*c.size:], elements[c.next*c.size:(c.next+n)*c.size])
		c.kept += n
	}
	c.next += n
}

// end leaves the vector with no other elements than those that are wanted.
func (c *compaction) end() { shorten(c.bytes, c.start, c.n, c.kept) }

// shorten gives a vector of n elements, which starts at a place, a smaller number of them.
func shorten(b []byte, start flatbuffers.UOffsetT, n, kept int) {
	if kept < n { // else there may be no vector
		binary.LittleEndian.PutUint32(b[start-offsetSize:], uint32(kept))
	}
}

func (c *compaction) at(i, off int) []byte {
	if i >= c.n {
		panic(ErrMetadata)
	}
	return c.bytes[int(c.start)+i*c.size+off:]
}

func (c *compaction) int64At(i, off int) int64 {
	return int64(binary.LittleEndian.Uint64(c.at(i, off)))
}

func (c *compaction) setInt64At(i, off int, v int64) {
	binary.LittleEndian.PutUint64(c.at(i, off), uint64(v))
}

// Placement is where the wanted pieces of a body are in it, and where in a smaller one they are put.
type Placement struct {
	Pieces []Piece
	// Length of the smaller body.
	Length int64
}

// Piece is a range of a body, and where in the smaller one it is put.
type Piece struct {
	From, Length int64
	At           int64

	tail int64 // where in the smaller body the last buffer of the piece is
}

// bodyAlignment is that of a body, and the largest of the buffers in it.
const bodyAlignment = 64

// Add puts a buffer behind the others. Those that follow each other in the body, with no more between than padding, are one piece; all keep
// their alignment.
func (p *Placement) Add(off, length int64) error {
	if n := len(p.Pieces); n > 0 {
		last := &p.Pieces[n-1]
		if gap := off - last.From - last.Length; gap >= 0 && gap < bodyAlignment {
			last.tail = last.At + last.Length + gap
			last.Length += gap + length
			p.Length = last.At + last.Length
			return nil
		}
	}
	at := (p.Length+bodyAlignment-1)&^(bodyAlignment-1) + off%bodyAlignment
	if at < 0 || length > math.MaxInt64-2*bodyAlignment-at { // buffers that share their bytes
		return ErrMetadata
	}
	p.Pieces = append(p.Pieces, Piece{From: off, Length: length, At: at, tail: at})
	p.Length = at + length
	return nil
}

// last is where the buffer is that was added last.
func (p *Placement) last() int64 { return p.Pieces[len(p.Pieces)-1].tail }
