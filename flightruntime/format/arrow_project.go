package format

import (
	"errors"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// projectedMessages are the messages of an object with no other columns than those that are wanted.
type projectedMessages struct {
	*ipcMessages
	projection projection
}

// Message returns the next message, which is valid until the next call.
func (p *projectedMessages) Message() (*ipc.Message, error) {
	for {
		m, err := p.following()
		if err != nil {
			return nil, err
		}
		var body placement
		switch m.header {
		case headerSchema:
			err = p.projection.schema(m.metadata)
		case headerDictionaryBatch:
			if !p.projection.dictionaries[m.dictionary] {
				continue
			}
			err = body.add(0, m.bodyLength)
		case headerRecordBatch:
			body, err = p.projection.batch(m.metadata, m.bodyLength)
		default: // arrow-go refuses it
		}
		if errors.Is(err, errOtherColumns) {
			err = changed(p.object, err)
		}
		if err != nil {
			return nil, err
		}
		return p.deliver(m, body)
	}
}

// deliver reads those pieces of a message's body that are wanted.
func (p *projectedMessages) deliver(m message, pieces placement) (*ipc.Message, error) {
	body := memory.NewResizableBuffer(p.mem)
	defer body.Release()
	body.Resize(int(pieces.length))
	for _, piece := range pieces.pieces {
		if n, err := p.r.ReadAt(body.Bytes()[piece.at:piece.at+piece.length], m.body+piece.from); int64(n) < piece.length {
			return nil, readError(p.object, err)
		}
	}
	p.Release()
	p.last = ipc.NewMessage(memory.NewBufferBytes(m.metadata), body)
	return p.last, nil
}
