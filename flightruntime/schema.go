package flightruntime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// EncodeSchema encodes a schema as FlightInfo and SchemaResult carry it: an encapsulated IPC message. SchemaOf reads it.
func EncodeSchema(schema *arrow.Schema) []byte {
	return flight.SerializeSchema(schema, memory.DefaultAllocator)
}

// SchemaOf reads a schema as FlightInfo and SchemaResult carry it. Its errors are of KindInvalid.
func SchemaOf(encoded []byte) (schema *arrow.Schema, err error) {
	none := Errorf(KindInvalid, "expected a schema in an Arrow IPC message, got %d bytes that are none", len(encoded))
	defer func() {
		if recover() != nil { // arrow-go's decoder on bytes that are no message
			schema, err = nil, none
		}
	}()
	metadata, err := encapsulated(encoded)
	if err != nil {
		return nil, Errorf(KindInvalid, "expected a schema in an Arrow IPC message: %w", err)
	}
	r, err := ipc.NewReaderFromMessageReader(&oneMessage{metadata})
	var inRuntime runtime.Error // of a panic that arrow-go recovers from itself
	switch {
	case errors.As(err, &inRuntime):
		return nil, none
	case err != nil:
		return nil, Errorf(KindInvalid, "expected a schema in an Arrow IPC message: %w", err)
	}
	defer r.Release()
	return r.Schema(), nil
}

// continuation stands before the length of a message's metadata since Arrow 0.15 (Columnar.rst, "Encapsulated message format").
const continuation = 0xffffffff

// encapsulated is the metadata of an encapsulated message. arrow-go allocates as much as the length claims, before it looks what is there.
func encapsulated(message []byte) (metadata []byte, err error) {
	rest := message
	if len(rest) >= 4 && binary.LittleEndian.Uint32(rest) == continuation {
		rest = rest[4:]
	}
	if len(rest) < 4 {
		return nil, fmt.Errorf("got %d bytes, which are too few", len(message))
	}
	n := binary.LittleEndian.Uint32(rest)
	if rest = rest[4:]; uint64(n) > uint64(len(rest)) {
		return nil, fmt.Errorf("its length says %d bytes, and %d follow", n, len(rest))
	}
	return rest[:n], nil
}

// oneMessage is an ipc.MessageReader of a message without a body.
type oneMessage struct{ metadata []byte }

func (m *oneMessage) Message() (*ipc.Message, error) {
	if m.metadata == nil {
		return nil, io.EOF
	}
	message := ipc.NewMessage(memory.NewBufferBytes(m.metadata), memory.NewBufferBytes(nil))
	m.metadata = nil
	return message, nil
}

func (*oneMessage) Retain()  {}
func (*oneMessage) Release() {}
