package format

import (
	"errors"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// projectedMessages are the messages of an object with no other columns than those that are wanted.
type projectedMessages struct {
	*ipcMessages
	projection *ipcguard.Projection
}

func (p *projectedMessages) next() (ipcguard.Message, *memory.Buffer, error) {
	for {
		m, err := p.following()
		if err != nil {
			return ipcguard.Message{}, nil, err
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
		default: // whoever decodes refuses it
		}
		if errors.Is(err, ipcguard.ErrOtherColumns) {
			err = changed(p.object, err)
		}
		if err != nil {
			return ipcguard.Message{}, nil, err
		}
		return p.deliver(m, body)
	}
}
