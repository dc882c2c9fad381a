// Package ipcguard stands between Arrow IPC messages that nobody vouches for, from files or from the network, and arrow-go, which believes
// them: it checks their metadata, bounds what is allocated for them, and makes sure that arrays hold together. It reads nothing itself and
// knows neither files nor Flight.
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
	messageHeaderType = 6
	messageHeader     = 8
	messageBodyLength = 10
	messageMetadata   = 12

	schemaFields   = 6
	schemaMetadata = 8

	fieldChildren = 14
	fieldMetadata = 16

	batchLength         = 4
	batchBuffers        = 8
	batchVariadicCounts = 12

	dictionaryID    = 4
	dictionaryData  = 6
	dictionaryDelta = 8

	footerDictionaries = 8
	footerBatches      = 10
)

// Sizes of what vectors are made of.
const (
	offsetSize = 4
	countSize  = 8
	bufferSize = 16
	blockSize  = 24
)

// MaxDepth of types in each other. Other readers of Arrow stop at 64.
const MaxDepth = 64

// ErrMetadata is for metadata that no writer writes: they claim more than their bytes can hold.
var ErrMetadata = errors.New("its metadata contradict themselves: the file is damaged")

// maxBatchRows is what 32-bit offsets allow, and far more than is sensible. Columns of nulls, or none, can claim any number.
const maxBatchRows = math.MaxInt32

// Parse reads a message's metadata, and makes sure that arrow-go can. FlatBuffers for Go have no verifier, and arrow-go allocates and
// recurses as metadata say: by some bytes it can be made to ask for all memory, which ends the process. What else is wrong makes it panic
// only, and Parse as well where metadata refer to bytes that there are not.
func Parse(metadata []byte) (Message, error) {
	t := rootTable(metadata)
	m := Message{
		Metadata:   metadata,
		Kind:       Kind(t.GetByteSlot(messageHeaderType, 0)),
		BodyLength: t.GetInt64Slot(messageBodyLength, 0),
	}
	vector(t, messageMetadata, offsetSize)
	header, ok := child(t, messageHeader)
	if !ok {
		return m, ErrMetadata
	}
	switch m.Kind {
	case KindSchema:
		return m, checkSchema(header)
	case KindDictionaryBatch:
		m.Dictionary = header.GetInt64Slot(dictionaryID, 0)
		m.Delta = header.GetBoolSlot(dictionaryDelta, false)
		data, ok := child(header, dictionaryData)
		if !ok {
			return m, ErrMetadata
		}
		return m, checkBatch(data)
	case KindRecordBatch:
		m.Rows = header.GetInt64Slot(batchLength, 0)
		return m, checkBatch(header)
	default:
		return m, nil
	}
}

// ParseFooter reads an Arrow file's footer. It panics as Parse does.
func ParseFooter(footer []byte) Footer {
	t := rootTable(footer)
	return Footer{Dictionaries: blockOffsets(t, footerDictionaries), Batches: blockOffsets(t, footerBatches)}
}

func blockOffsets(footer flatbuffers.Table, slot flatbuffers.VOffsetT) []int64 {
	start, n := vector(footer, slot, blockSize)
	offsets := make([]int64, n)
	for i := range offsets {
		offsets[i] = footer.GetInt64(start + flatbuffers.UOffsetT(i*blockSize))
	}
	return offsets
}

func checkSchema(schema flatbuffers.Table) error {
	vector(schema, schemaMetadata, offsetSize)
	// Fields that share their children would unfold without end. In honest metadata each takes a place in a vector and a table of its own.
	left := len(schema.Bytes) / (2 * offsetSize)
	return checkFields(schema, schemaFields, MaxDepth, &left)
}

func checkFields(t flatbuffers.Table, slot flatbuffers.VOffsetT, depth int, left *int) error {
	start, n := vector(t, slot, offsetSize)
	if n > 0 && depth == 0 {
		return errors.New("its schema is nested too deeply")
	}
	for i := range n {
		if *left--; *left < 0 {
			return ErrMetadata
		}
		field := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(start + flatbuffers.UOffsetT(i*offsetSize))}
		vector(field, fieldMetadata, offsetSize)
		if err := checkFields(field, fieldChildren, depth-1, left); err != nil {
			return err
		}
	}
	return nil
}

func checkBatch(batch flatbuffers.Table) error {
	if rows := batch.GetInt64Slot(batchLength, 0); rows < 0 || rows > maxBatchRows {
		return ErrMetadata
	}
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

func rootTable(b []byte) flatbuffers.Table {
	return flatbuffers.Table{Bytes: b, Pos: flatbuffers.GetUOffsetT(b)}
}

// child is the table in a slot.
func child(t flatbuffers.Table, slot flatbuffers.VOffsetT) (flatbuffers.Table, bool) {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return flatbuffers.Table{}, false
	}
	return flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(t.Pos + o)}, true
}

// vector is the start and the length of the vector in a slot, empty if there is none. It panics if its elements do not fit in the bytes.
func vector(t flatbuffers.Table, slot flatbuffers.VOffsetT, elementSize int) (flatbuffers.UOffsetT, int) {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return 0, 0
	}
	start, n := t.Vector(o), t.VectorLen(o)
	if n < 0 || int64(n) > (int64(len(t.Bytes))-int64(start))/int64(elementSize) {
		panic(ErrMetadata)
	}
	return start, n
}
