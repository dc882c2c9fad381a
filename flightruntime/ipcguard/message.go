// Package ipcguard stands between Arrow IPC messages that nobody vouches for, from files or from the network, and whoever uses what they
// carry: it checks their metadata, bounds what is allocated for them, decodes them, and makes sure that arrays hold together. It fetches
// no bytes itself and knows neither files nor Flight.
package ipcguard

import (
	"errors"
	"fmt"
	"math"

	flatbuffers "github.com/google/flatbuffers/go"
)

// Kind is what an IPC message carries: MessageHeader in Arrow's Message.fbs.
type Kind byte

// The kinds of messages that make up a table.
const (
	KindSchema          Kind = 1
	KindDictionaryBatch Kind = 2
	KindRecordBatch     Kind = 3
)

func (k Kind) String() string {
	switch k {
	case KindSchema:
		return "schema"
	case KindDictionaryBatch:
		return "dictionary"
	case KindRecordBatch:
		return "record batch"
	default:
		return fmt.Sprintf("kind %d", byte(k))
	}
}

// Message is what the metadata of one IPC message say.
type Message struct {
	Metadata   []byte // a Message in FlatBuffers
	Kind       Kind
	BodyLength int64
	Rows       int64 // of a record batch
	// Of a dictionary batch.
	Dictionary int64
	Delta      bool
}

// Footer is where an Arrow file's footer says that its messages are: the offsets of all dictionaries and of all record batches.
type Footer struct{ Dictionaries, Batches []int64 }

// Slots of the tables in Message.fbs, Schema.fbs and File.fbs: 4, plus 2 for each field before.
const (
	messageVersion    = 4
	messageHeaderType = 6
	messageHeader     = 8
	messageBodyLength = 10
	messageMetadata   = 12

	schemaEndianness = 4
	schemaFields     = 6
	schemaMetadata   = 8

	fieldName       = 4
	fieldTypeType   = 8
	fieldType       = 10
	fieldDictionary = 12
	fieldChildren   = 14
	fieldMetadata   = 16

	timestampZone = 6
	unionTypeIDs  = 6

	encodingID = 4

	keyValueKey   = 4
	keyValueValue = 6

	batchLength         = 4
	batchNodes          = 6
	batchBuffers        = 8
	batchCompression    = 10
	batchVariadicCounts = 12

	compressionCodec = 4

	dictionaryID    = 4
	dictionaryData  = 6
	dictionaryDelta = 8

	footerDictionaries = 8
	footerBatches      = 10
)

// Values of Type in Schema.fbs: those whose tables hold something of any length.
const (
	typeTimestamp = 10
	typeUnion     = 14
)

// Sizes of what vectors are made of, in bytes.
const (
	offsetSize = 4
	countSize  = 8
	idSize     = 4
	nodeSize   = 16
	bufferSize = 16
	blockSize  = 24
)

// ErrMetadata is for metadata that no writer writes: they claim more than their bytes can hold.
var ErrMetadata = errors.New("its metadata contradict themselves: it is damaged")

const (
	// MaxDepth of types in each other. Other readers of Arrow stop at 64.
	MaxDepth = 64
	// maxFields of a schema, all depths together: fifty times what wide tables have. arrow-go makes about 500 bytes of each, so 50 MB.
	maxFields = 100_000
	// maxBatchRows is what 32-bit offsets allow, and far more than is sensible. Columns of nulls, or none, can claim any number.
	maxBatchRows = math.MaxInt32
)

// Parse reads a message's metadata, and makes sure that arrow-go can. FlatBuffers for Go have no verifier, and arrow-go allocates and
// recurses as metadata say: by some bytes it can be made to ask for all memory, which ends the process. Metadata that refer to bytes that
// there are not are ErrMetadata where Parse comes by them; where it does not, arrow-go panics, which its readers turn into an error.
func Parse(metadata []byte) (m Message, err error) {
	defer recoverAs(&err)
	t := rootTable(metadata)
	m = Message{
		Metadata:   metadata,
		Kind:       Kind(t.GetByteSlot(messageHeaderType, 0)),
		BodyLength: t.GetInt64Slot(messageBodyLength, 0),
	}
	u := unfolding{left: allowance(metadata), fields: maxFields}
	u.keyValues(t, messageMetadata)
	header, ok := child(t, messageHeader)
	if !ok {
		return m, ErrMetadata
	}
	switch m.Kind {
	case KindSchema:
		u.keyValues(header, schemaMetadata)
		return m, u.fieldsIn(header, schemaFields, MaxDepth)
	case KindDictionaryBatch:
		m.Dictionary = header.GetInt64Slot(dictionaryID, 0)
		m.Delta = header.GetBoolSlot(dictionaryDelta, false)
		data, ok := child(header, dictionaryData)
		if !ok {
			return m, ErrMetadata
		}
		m.Rows = data.GetInt64Slot(batchLength, 0)
		return m, checkBatch(data)
	case KindRecordBatch:
		m.Rows = header.GetInt64Slot(batchLength, 0)
		return m, checkBatch(header)
	default:
		return m, nil
	}
}

// ParseFooter reads an Arrow file's footer.
func ParseFooter(footer []byte) (f Footer, err error) {
	defer recoverAs(&err)
	t := rootTable(footer)
	return Footer{Dictionaries: blockOffsets(t, footerDictionaries), Batches: blockOffsets(t, footerBatches)}, nil
}

func blockOffsets(footer flatbuffers.Table, slot flatbuffers.VOffsetT) []int64 {
	start, n := vector(footer, slot, blockSize)
	offsets := make([]int64, n)
	for i := range offsets {
		offsets[i] = footer.GetInt64(start + flatbuffers.UOffsetT(i*blockSize))
	}
	return offsets
}

// unfolding counts what arrow-go makes of a schema. FlatBuffers may refer to the same bytes from many places, and arrow-go copies them for
// each: a name of a megabyte, shared by all fields, or fields that share their children, would unfold without end.
type unfolding struct {
	left   int // bytes
	fields int
}

// allowance is what may unfold from metadata. What writers write unfolds to its own size, or to somewhat more if they share equal names.
func allowance(metadata []byte) int { return 1<<20 + 4*len(metadata) }

// take panics, as vector does, once more unfolds than may.
func (u *unfolding) take(n int) {
	if u.left -= n; u.left < 0 {
		panic(ErrMetadata)
	}
}

// bytesIn takes what the vector in a slot holds.
func (u *unfolding) bytesIn(t flatbuffers.Table, slot flatbuffers.VOffsetT, elementSize int) {
	_, n := vector(t, slot, elementSize)
	u.take(n * elementSize)
}

func (u *unfolding) keyValues(t flatbuffers.Table, slot flatbuffers.VOffsetT) {
	start, n := vector(t, slot, offsetSize)
	for i := range n {
		u.take(offsetSize)
		pair := tableAt(t, start, i)
		u.bytesIn(pair, keyValueKey, 1)
		u.bytesIn(pair, keyValueValue, 1)
	}
}

// fieldsIn takes the fields in a slot, and theirs.
func (u *unfolding) fieldsIn(t flatbuffers.Table, slot flatbuffers.VOffsetT, depth int) error {
	start, n := vector(t, slot, offsetSize)
	if n > 0 && depth == 0 {
		return fmt.Errorf("its schema is nested more than %d deep", MaxDepth)
	}
	if u.fields -= n; u.fields < 0 {
		return fmt.Errorf("its schema has more than %d fields", maxFields)
	}
	for i := range n {
		field := tableAt(t, start, i)
		u.take(offsetSize)
		u.bytesIn(field, fieldName, 1)
		if dt, ok := child(field, fieldType); ok {
			switch field.GetByteSlot(fieldTypeType, 0) {
			case typeTimestamp:
				u.bytesIn(dt, timestampZone, 1)
			case typeUnion:
				u.bytesIn(dt, unionTypeIDs, idSize)
			}
		}
		u.keyValues(field, fieldMetadata)
		if err := u.fieldsIn(field, fieldChildren, depth-1); err != nil {
			return err
		}
	}
	return nil
}

func checkBatch(batch flatbuffers.Table) error {
	if rows := batch.GetInt64Slot(batchLength, 0); rows < 0 || rows > maxBatchRows {
		return ErrMetadata
	}
	vector(batch, batchNodes, nodeSize)
	_, buffers := vector(batch, batchBuffers, bufferSize)
	counts, n := vector(batch, batchVariadicCounts, countSize)
	for i := range n {
		count := batch.GetInt64(counts + flatbuffers.UOffsetT(i*countSize))
		if count < 0 || count > int64(buffers) {
			return ErrMetadata
		}
	}
	return nil
}
