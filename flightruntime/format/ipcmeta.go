package format

import (
	"errors"
	"math"

	flatbuffers "github.com/google/flatbuffers/go"
)

// Values of MessageHeader in Arrow's Message.fbs.
const (
	headerSchema          = 1
	headerDictionaryBatch = 2
	headerRecordBatch     = 3
)

var headerNames = map[byte]string{headerSchema: "schema", headerDictionaryBatch: "dictionary", headerRecordBatch: "record batch"}

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

// errMetadata is for metadata that no writer writes: they claim more than their bytes can hold.
var errMetadata = errors.New("its metadata contradict themselves: the file is damaged")

// maxBatchRows is what 32-bit offsets allow, and far more than is sensible. Columns of nulls, or none, can claim any number.
const maxBatchRows = math.MaxInt32

// parseMessage reads a Message, and makes sure that arrow-go can. FlatBuffers for Go have no verifier, and arrow-go allocates and recurses
// as metadata say: by some bytes it can be made to ask for all memory, which ends the process. What else is wrong makes it panic only.
func parseMessage(metadata []byte) (message, error) {
	t := rootTable(metadata)
	m := message{
		metadata:   metadata,
		header:     t.GetByteSlot(messageHeaderType, 0),
		bodyLength: t.GetInt64Slot(messageBodyLength, 0),
	}
	vector(t, messageMetadata, offsetSize)
	header, ok := child(t, messageHeader)
	if !ok {
		return m, errMetadata
	}
	switch m.header {
	case headerSchema:
		return m, checkSchema(header)
	case headerDictionaryBatch:
		m.dictionary = header.GetInt64Slot(dictionaryID, 0)
		m.delta = header.GetBoolSlot(dictionaryDelta, false)
		data, ok := child(header, dictionaryData)
		if !ok {
			return m, errMetadata
		}
		return m, checkBatch(data)
	case headerRecordBatch:
		m.rows = header.GetInt64Slot(batchLength, 0)
		return m, checkBatch(header)
	default:
		return m, nil
	}
}

func checkSchema(schema flatbuffers.Table) error {
	vector(schema, schemaMetadata, offsetSize)
	// Fields that share their children would unfold without end. In honest metadata each takes a place in a vector and a table of its own.
	left := len(schema.Bytes) / (2 * offsetSize)
	return checkFields(schema, schemaFields, maxDepth, &left)
}

func checkFields(t flatbuffers.Table, slot flatbuffers.VOffsetT, depth int, left *int) error {
	start, n := vector(t, slot, offsetSize)
	if n > 0 && depth == 0 {
		return errors.New("its schema is nested too deeply")
	}
	for i := range n {
		if *left--; *left < 0 {
			return errMetadata
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
		return errMetadata
	}
	_, buffers := vector(batch, batchBuffers, bufferSize)
	counts, n := vector(batch, batchVariadicCounts, countSize)
	for i := range n {
		count := batch.GetInt64(counts + flatbuffers.UOffsetT(i*countSize))
		if count < 0 || count > int64(buffers) {
			return errMetadata
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
		panic(errMetadata)
	}
	return start, n
}
