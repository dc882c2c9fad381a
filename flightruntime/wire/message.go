package wire

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Field numbers of FlightData (Flight.proto).
const (
	fieldDescriptor  = 1
	fieldDataHeader  = 2
	fieldAppMetadata = 3
	fieldDataBody    = 1000
)

// message is one FlightData message that was received. grpc-go hands it over in pieces, of 16 KiB each for most clients; from these the
// body is copied once, to memory that is aligned as Arrow wants it.
type message struct {
	allocator memory.Allocator
	limit     int // of bytes; 0 for none

	descriptor  *flight.FlightDescriptor
	header      []byte
	appMetadata []byte
	body        *memory.Buffer // nil if there is none
	err         error          // what is wrong with the encoding
}

// release lets go of the body; arrays that refer to it keep it.
func (m *message) release() {
	if m.body != nil {
		m.body.Release()
	}
	*m = message{allocator: m.allocator, limit: m.limit}
}

// bodyBytes is the length of the body.
func (m *message) bodyBytes() int {
	if m.body == nil {
		return 0
	}
	return m.body.Len()
}

// tooLargeError is for messages above the limit.
type tooLargeError struct{ size, limit int }

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("it has %d bytes and the limit is %d: send smaller batches, or raise limits.maxMessageBytes", e.size, e.limit)
}

// unmarshal reads fields as Protobuf demands: in any order, the last of several counts, unknown ones are passed over.
func (m *message) unmarshal(data mem.BufferSlice) error {
	m.release()
	if size := data.Len(); m.limit > 0 && size > m.limit {
		return &tooLargeError{size, m.limit}
	}
	r := fieldReader{data.Reader()}
	defer func() { _ = r.Close() }() // it only frees
	for r.Remaining() > 0 {
		number, wireType, err := r.tag()
		if err != nil {
			return err
		}
		known := number == fieldDescriptor || number == fieldDataHeader || number == fieldAppMetadata || number == fieldDataBody
		if !known || wireType != protowire.BytesType {
			err = r.skip(number, wireType)
		} else {
			err = m.field(r, number)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *message) field(r fieldReader, number protowire.Number) error {
	n, err := r.length()
	if err != nil {
		return err
	}
	if number == fieldDataBody {
		if m.body != nil {
			m.body.Release()
		}
		m.body = memory.NewResizableBuffer(m.allocator)
		m.body.Resize(n)
		return r.fill(m.body.Bytes())
	}
	value := make([]byte, n)
	if err := r.fill(value); err != nil {
		return err
	}
	switch number {
	case fieldDescriptor: // several are merged, as messages are
		if m.descriptor == nil {
			m.descriptor = &flight.FlightDescriptor{}
		}
		if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(value, m.descriptor); err != nil {
			return errors.New("its flight_descriptor is no FlightDescriptor, or not UTF-8")
		}
	case fieldDataHeader:
		m.header = value
	default:
		m.appMetadata = value
	}
	return nil
}

// fieldReader reads Protobuf from pieces.
type fieldReader struct{ *mem.Reader }

var (
	errCut       = errors.New("it is no FlightData: it ends in the middle of a field")
	errMalformed = errors.New("it is no FlightData: it is not encoded as Protobuf messages are")
)

func (r fieldReader) varint() (uint64, error) {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, errCut
		}
		if shift == 63 && b > 1 {
			break
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, errMalformed
}

func (r fieldReader) tag() (protowire.Number, protowire.Type, error) {
	v, err := r.varint()
	if err != nil {
		return 0, 0, err
	}
	number, wireType := protowire.DecodeTag(v)
	if !number.IsValid() {
		return 0, 0, errMalformed
	}
	return number, wireType, nil
}

// length is that of a value, all of which is there.
func (r fieldReader) length() (int, error) {
	n, err := r.varint()
	if err != nil {
		return 0, err
	}
	if n > uint64(r.Remaining()) {
		return 0, errCut
	}
	return int(n), nil
}

// fill reads as many bytes as there is room for.
func (r fieldReader) fill(p []byte) error {
	for len(p) > 0 {
		n, err := r.Read(p)
		if err != nil {
			return errCut
		}
		p = p[n:]
	}
	return nil
}

func (r fieldReader) discard(n int) error {
	if _, err := r.Discard(n); err != nil {
		return errCut
	}
	return nil
}

// maxGroups in each other are passed over; no message of Flight has any.
const maxGroups = 100

// skip passes over a field whose tag has been read.
func (r fieldReader) skip(number protowire.Number, wireType protowire.Type) error {
	var open []protowire.Number // groups
	for {
		if err := r.skipValue(number, wireType, &open); err != nil {
			return err
		}
		if len(open) == 0 {
			return nil
		}
		var err error
		if number, wireType, err = r.tag(); err != nil {
			return err
		}
	}
}

func (r fieldReader) skipValue(number protowire.Number, wireType protowire.Type, open *[]protowire.Number) error {
	switch wireType {
	case protowire.VarintType:
		_, err := r.varint()
		return err
	case protowire.Fixed32Type:
		return r.discard(4)
	case protowire.Fixed64Type:
		return r.discard(8)
	case protowire.BytesType:
		n, err := r.length()
		if err != nil {
			return err
		}
		return r.discard(n)
	case protowire.StartGroupType:
		if len(*open) == maxGroups {
			return errMalformed
		}
		*open = append(*open, number)
		return nil
	case protowire.EndGroupType:
		last := len(*open) - 1
		if last < 0 || (*open)[last] != number {
			return errMalformed
		}
		*open = (*open)[:last]
		return nil
	default:
		return errMalformed
	}
}
