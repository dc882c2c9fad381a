package wire

import (
	"errors"
	"slices"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// Owner has memory that is not the garbage collector's, such as a file that is mapped, and frees it when nobody retains it any more.
//
// grpc-go writes a message after SendMsg has returned. So each piece of one that was written with an Owner retains it until gRPC is done with
// the piece. Where a connection breaks, grpc-go forgets the messages that it had queued and never frees them: an Owner should let go
// as well when the garbage collector finds that nobody refers to it. Its methods are called by any number of goroutines.
type Owner interface {
	// Retain is called by those for whom somebody retains the Owner already.
	Retain()
	// Release ends what a Retain began.
	Release()
}

// Encoded is a FlightData message as it goes over the wire, such as a Writer has sent before: a record batch or a dictionary, whose schema is
// that of the stream which it is written to.
type Encoded struct {
	// Data is the message. Nobody changes it any more.
	Data []byte
	// Rows of a record batch; 0 for a dictionary.
	Rows int64
}

// lend makes the frame's references to its pieces such as retain the owner of their memory.
func (f *frame) lend(o Owner) {
	f.lent = true
	for i, b := range f.buffers {
		data := b.ReadOnlyData()
		if mem.IsBelowBufferPoolingThreshold(len(data)) { // grpc-go would not tell when it is done with it
			f.buffers[i] = mem.SliceBuffer(slices.Clone(data))
			continue
		}
		o.Retain()
		data = slices.Clip(data)
		f.buffers[i] = mem.NewBuffer(&data, loan{o})
	}
}

// loan is the mem.BufferPool that one buffer goes back to.
type loan struct{ Owner }

// Get is for the interface: nobody asks a loan for memory.
func (loan) Get(length int) *[]byte {
	b := make([]byte, length)
	return &b
}

// Put ends the loan.
func (l loan) Put(*[]byte) { l.Release() }

var errNotEncoded = errors.New("this is not an encoded message")

// SplitEncoded gives the metadata (a Message in FlatBuffers) of an encoded message with a body and without app_metadata, and where its body
// begins. It needs no more than the bytes before the body.
func SplitEncoded(data []byte) (metadata []byte, body int, err error) {
	for at := 0; at < len(data); {
		number, kind, n := protowire.ConsumeTag(data[at:])
		if n < 0 || kind != protowire.BytesType {
			return nil, 0, errNotEncoded
		}
		at += n
		length, n := protowire.ConsumeVarint(data[at:])
		if n < 0 {
			return nil, 0, errNotEncoded
		}
		at += n
		switch {
		case number == fieldDataBody:
			return metadata, at, nil
		case number != fieldDataHeader || length > uint64(len(data)-at):
			return nil, 0, errNotEncoded
		}
		metadata = data[at : at+int(length)]
		at += int(length)
	}
	return nil, 0, errNotEncoded
}
