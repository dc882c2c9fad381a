package format

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// ipcMessages gives arrow-go's reader of streams the messages of an object, each of which it has looked through before. It does so for
// files as well: the reader of files would read metadata for itself, and believe them.
type ipcMessages struct {
	object source.Object
	r      io.ReaderAt
	mem    memory.Allocator
	// following is the next message, without its body, or io.EOF.
	following func() (message, error)
	last      *ipc.Message
}

var _ ipc.MessageReader = (*ipcMessages)(nil)

// streamMessages are those of a stream, one after the other.
func streamMessages(o source.Object, r io.ReaderAt, mem memory.Allocator) *ipcMessages {
	off := int64(0)
	return &ipcMessages{object: o, r: r, mem: mem, following: func() (message, error) {
		m, err := messageAt(o, r, off)
		off = m.end
		return m, err
	}}
}

// Message returns the next message, which is valid until the next call.
func (s *ipcMessages) Message() (*ipc.Message, error) {
	m, err := s.following()
	if err != nil {
		return nil, err
	}
	body := memory.NewResizableBuffer(s.mem)
	defer body.Release()
	body.Resize(int(m.BodyLength))
	if n, err := s.r.ReadAt(body.Bytes(), m.body); int64(n) < m.BodyLength {
		return nil, readError(s.object, err)
	}
	s.Release()
	s.last = ipc.NewMessage(memory.NewBufferBytes(m.Metadata), body)
	return s.last, nil
}

// Release frees the last message. There is but one owner, arrow-go's reader, which calls it once.
func (s *ipcMessages) Release() {
	if s.last != nil {
		s.last.Release()
		s.last = nil
	}
}

// Retain does nothing: see Release.
func (s *ipcMessages) Retain() {}
