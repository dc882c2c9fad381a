package wire

import (
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of FlightData (Flight.proto).
const (
	fieldDataHeader  = 2
	fieldAppMetadata = 3
	fieldDataBody    = 1000
)

// frame is one FlightData message in its encoded form.
type frame struct {
	buffers mem.BufferSlice
	size    int // of all buffers, in bytes
}

// encodeFrame encodes an IPC payload as FlightData: a small head (the message's metadata and the body's length) followed by the body's
// buffers, which are not copied.
func encodeFrame(p ipc.Payload, appMetadata []byte) (*frame, error) {
	meta := p.Meta()
	defer meta.Release()
	body := bodyCollector{buffers: make(mem.BufferSlice, 1, 16)} // the first place is the head's
	if err := p.SerializeBody(&body); err != nil {
		return nil, err
	}
	const tags = 3 * (2 + 10) // three fields: a tag of at most 2 bytes and a length of at most 10
	head := make([]byte, 0, meta.Len()+len(appMetadata)+tags)
	head = protowire.AppendTag(head, fieldDataHeader, protowire.BytesType)
	head = protowire.AppendBytes(head, meta.Bytes())
	if len(appMetadata) > 0 {
		head = protowire.AppendTag(head, fieldAppMetadata, protowire.BytesType)
		head = protowire.AppendBytes(head, appMetadata)
	}
	// C++ reads a missing body as a message without one, and expects it to be there, if empty, in every message with a header.
	head = protowire.AppendTag(head, fieldDataBody, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(body.size))
	body.buffers[0] = mem.SliceBuffer(head)
	return &frame{buffers: body.buffers, size: len(head) + body.size}, nil
}

// bodyCollector is an io.Writer that keeps what is written by reference.
type bodyCollector struct {
	buffers mem.BufferSlice
	size    int
}

// copyBelow is the length under which a piece is copied: paddings are slices of one array that arrow-go shares, and a small copy costs
// less than one more buffer in the list.
const copyBelow = 64

func (c *bodyCollector) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	piece := p
	if len(p) < copyBelow {
		piece = append([]byte(nil), p...)
	}
	c.buffers = append(c.buffers, mem.SliceBuffer(piece))
	c.size += len(p)
	return len(p), nil
}
