package wire

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	flatbuffers "github.com/google/flatbuffers/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/flight-operator/flight-operator/flightruntime/wire/conn"
)

// frame is one FlightData message in its encoded form. It has a reference to each of its buffers, which send gives away.
type frame struct {
	buffers mem.BufferSlice
	size    int  // of all buffers, in bytes
	taken   bool // whether grpc-go has got the buffers, which it then frees
	lent    bool // the buffers keep an Owner; see lend
}

// referMin is the size from which a message is worth being written by reference. conn decides of its buffers.
const referMin = 4 << 10

// send sends the frame. On a connection that can do so, those of a large message are written as they are, and freed when they have left.
// Otherwise grpc-go copies them, at some time: it forgets those of a call whose connection has broken, and ends the process where mapped memory cannot
// be read any more. So what has to be freed is copied here, by the caller, who can tell. Streams that are not gRPC's keep an Owner instead.
func (f *frame) send(stream MessageSender, c *conn.Conn) error {
	switch {
	case f.size < referMin, c == nil && (!f.lent || ofGRPC(stream)):
		f.own()
	case c != nil:
		kept := f.buffers
		kept.Ref() // grpc-go reads them if it compresses the message, even when the connection has ended
		defer kept.Free()
		f.buffers = c.Announce(f.buffers)
	}
	err := stream.SendMsg(f)
	if !f.taken {
		f.buffers.Free()
	}
	return err
}

func ofGRPC(stream MessageSender) bool {
	_, ok := stream.(grpc.ServerStream)
	return ok
}

// own copies those buffers that somebody waits for to be freed.
func (f *frame) own() {
	owned := f.buffers
	for i, b := range f.buffers {
		if _, ok := b.(mem.SliceBuffer); ok {
			continue
		}
		if &owned[0] == &f.buffers[0] {
			owned = slices.Clone(owned)
		}
		owned[i] = mem.SliceBuffer(slices.Clone(b.ReadOnlyData()))
		b.Free()
	}
	f.buffers = owned
}

// envelope is what a message carries besides an IPC payload.
type envelope struct{ descriptor, appMetadata []byte }

// frameTags is the room that tags and lengths take: four fields of a tag of at most 2 bytes and a length of at most 10.
const frameTags = 4 * (2 + 10)

// open begins a frame's head with room for n bytes more.
func (e envelope) open(n int) []byte {
	head := make([]byte, 0, frameTags+len(e.descriptor)+len(e.appMetadata)+n)
	if e.descriptor != nil { // an empty one is one, too
		head = appendField(head, fieldDescriptor, e.descriptor)
	}
	return head
}

// close ends what stands before the body.
func (e envelope) close(head []byte) []byte {
	if len(e.appMetadata) > 0 {
		head = appendField(head, fieldAppMetadata, e.appMetadata)
	}
	return head
}

func appendField(b []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), value)
}

// frame is a message without a payload. C++ tells it from others by its lack of a header, and wants no body.
func (e envelope) frame() *frame {
	head := e.close(e.open(0))
	return &frame{buffers: mem.BufferSlice{mem.SliceBuffer(head)}, size: len(head)}
}

// encodeFrame encodes an IPC payload as FlightData: a small head (the message's metadata and the body's length) followed by the body's
// buffers, which are not copied.
func encodeFrame(p ipc.Payload, e envelope, version ipc.MetadataVersion) (*frame, error) {
	meta := p.Meta()
	defer meta.Release()
	body := bodyCollector{buffers: make(mem.BufferSlice, 1, 16)} // the first place is the head's
	if err := p.SerializeBody(&body); err != nil {
		return nil, err
	}
	head := headOf(e, meta.Bytes(), version, body.size)
	body.buffers[0] = mem.SliceBuffer(head)
	return &frame{buffers: body.buffers, size: len(head) + body.size}, nil
}

// headOf is what stands before a body of so many bytes.
func headOf(e envelope, metadata []byte, version ipc.MetadataVersion, body int) []byte {
	head := appendField(e.open(len(metadata)), fieldDataHeader, metadata)
	if version != ipc.MetadataV5 {
		setVersion(head[len(head)-len(metadata):], version)
	}
	head = e.close(head)
	// C++ reads a missing body as a message without one, and expects it to be there, if empty, in every message with a header.
	head = protowire.AppendTag(head, fieldDataBody, protowire.BytesType)
	return protowire.AppendVarint(head, uint64(body))
}

// messageVersion is the slot of the version in Message.fbs.
const messageVersion = 4

// setVersion changes the version of the format that metadata say, which arrow-go always sets to the latest.
func setVersion(metadata []byte, version ipc.MetadataVersion) {
	t := flatbuffers.Table{Bytes: metadata, Pos: flatbuffers.GetUOffsetT(metadata)}
	t.MutateInt16Slot(messageVersion, int16(version))
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
