package format

import (
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
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

// fileMessages are those of a file: the schema, all dictionaries, all record batches.
func fileMessages(o source.Object, r io.ReaderAt, mem memory.Allocator) (*ipcMessages, error) {
	footer, err := readFooter(o, r)
	if err != nil {
		return nil, err
	}
	schemaRead := false
	known := make(map[int64]bool)
	return &ipcMessages{object: o, r: r, mem: mem, following: func() (message, error) {
		switch {
		case !schemaRead:
			schemaRead = true
			return blockAt(o, r, firstMessage, ipcguard.KindSchema)
		case len(footer.Dictionaries) > 0:
			m, err := blockAt(o, r, footer.Dictionaries[0], ipcguard.KindDictionaryBatch)
			footer.Dictionaries = footer.Dictionaries[1:]
			if err == nil && known[m.Dictionary] && !m.Delta {
				return m, fmt.Errorf("it has two dictionaries %d, of which an Arrow file can have one and its additions: write an Arrow stream", m.Dictionary)
			}
			known[m.Dictionary] = true
			return m, err
		case len(footer.Batches) > 0:
			m, err := blockAt(o, r, footer.Batches[0], ipcguard.KindRecordBatch)
			footer.Batches = footer.Batches[1:]
			return m, err
		default:
			return message{}, io.EOF
		}
	}}, nil
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
