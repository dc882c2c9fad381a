package format

import (
	"fmt"
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

// fileMessages are those of a file: the schema, all dictionaries, all record batches.
func fileMessages(o source.Object, r io.ReaderAt, mem memory.Allocator) (*ipcMessages, error) {
	blocks, err := readFooter(o, r)
	if err != nil {
		return nil, err
	}
	schemaRead := false
	known := make(map[int64]bool)
	return &ipcMessages{object: o, r: r, mem: mem, following: func() (message, error) {
		switch {
		case !schemaRead:
			schemaRead = true
			return blockAt(o, r, firstMessage, headerSchema)
		case len(blocks.dictionaries) > 0:
			m, err := blockAt(o, r, blocks.dictionaries[0], headerDictionaryBatch)
			blocks.dictionaries = blocks.dictionaries[1:]
			if err == nil && known[m.dictionary] && !m.delta {
				return m, fmt.Errorf("it has two dictionaries %d, of which an Arrow file can have one and its additions: write an Arrow stream", m.dictionary)
			}
			known[m.dictionary] = true
			return m, err
		case len(blocks.batches) > 0:
			m, err := blockAt(o, r, blocks.batches[0], headerRecordBatch)
			blocks.batches = blocks.batches[1:]
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
	body.Resize(int(m.bodyLength))
	if n, err := s.r.ReadAt(body.Bytes(), m.body); int64(n) < m.bodyLength {
		return nil, readError(s.object, err)
	}
	s.Release()
	s.last = ipc.NewMessage(memory.NewBufferBytes(m.metadata), body)
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
