package format

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// messageReader gives the messages of an object with their bodies, which the caller releases; io.EOF after the last.
type messageReader interface {
	next() (m ipcguard.Message, body *memory.Buffer, err error)
}

// ipcMessages are all messages of an object.
type ipcMessages struct {
	object source.Object
	r      io.ReaderAt
	mem    memory.Allocator
	// following is the next message, without its body, or io.EOF.
	following func() (message, error)
}

// streamMessages are those of a stream, one after the other.
func streamMessages(o source.Object, r io.ReaderAt, mem memory.Allocator) *ipcMessages {
	off := int64(0)
	return &ipcMessages{object: o, r: r, mem: mem, following: func() (message, error) {
		m, err := messageAt(o, r, off)
		off = m.end
		return m, err
	}}
}

func (s *ipcMessages) next() (ipcguard.Message, *memory.Buffer, error) {
	m, err := s.following()
	if err != nil {
		return ipcguard.Message{}, nil, err
	}
	var all ipcguard.Placement
	if err := all.Add(0, m.BodyLength); err != nil {
		return ipcguard.Message{}, nil, err
	}
	return s.deliver(m, all)
}

// deliver reads those pieces of a message's body that are wanted.
func (s *ipcMessages) deliver(m message, wanted ipcguard.Placement) (ipcguard.Message, *memory.Buffer, error) {
	body := memory.NewResizableBuffer(s.mem)
	body.Resize(int(wanted.Length))
	for _, piece := range wanted.Pieces {
		if n, err := s.r.ReadAt(body.Bytes()[piece.At:piece.At+piece.Length], m.body+piece.From); int64(n) < piece.Length {
			body.Release()
			return ipcguard.Message{}, nil, readError(s.object, err)
		}
	}
	m.BodyLength = wanted.Length
	return m.Message, body, nil
}
