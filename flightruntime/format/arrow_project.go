package format

import (
	"errors"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// projectedMessages are the messages of an object with no other columns than those that are wanted.
type projectedMessages struct {
	*ipcMessages
	projection *ipcguard.Projection
}

// Message returns the next message, which is valid until the next call.
func (p *projectedMessages) Message() (*ipc.Message, error) {
	for {
		m, err := p.following()
		if err != nil {
			return nil, err
		}
		var body ipcguard.Placement
		switch m.Kind {
		case ipcguard.KindSchema:
			err = p.projection.Schema(m.Metadata)
		case ipcguard.KindDictionaryBatch:
			if !p.projection.Dictionary(m.Dictionary) {
				continue
			}
			err = body.Add(0, m.BodyLength)
		case ipcguard.KindRecordBatch:
			body, err = p.projection.Batch(m.Metadata, m.BodyLength)
		default: // arrow-go refuses it
		}
		if errors.Is(err, ipcguard.ErrOtherColumns) {
			err = changed(p.object, err)
		}
		if err != nil {
			return nil, err
		}
		return p.deliver(m, body)
	}
}

// deliver reads those pieces of a message's body that are wanted.
func (p *projectedMessages) deliver(m message, pieces ipcguard.Placement) (*ipc.Message, error) {
	body := memory.NewResizableBuffer(p.mem)
	defer body.Release()
	body.Resize(int(pieces.Length))
	for _, piece := range pieces.Pieces {
		if n, err := p.r.ReadAt(body.Bytes()[piece.At:piece.At+piece.Length], m.body+piece.From); int64(n) < piece.Length {
			return nil, readError(p.object, err)
		}
	}
	p.Release()
	p.last = ipc.NewMessage(memory.NewBufferBytes(m.Metadata), body)
	return p.last, nil
}
