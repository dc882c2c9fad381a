package wire

import (
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

type MessageReceiver interface{ RecvMsg(m any) error }

type Chunk struct {
	Batch       arrow.RecordBatch
	AppMetadata []byte
}

type ReadOptions struct {
	MaxMessageBytes int
	Allocator       memory.Allocator
	Validate        bool
}

type Reader struct {
	stream     MessageReceiver
	descriptor *flight.FlightDescriptor
	started    bool
	ipc        *ipc.Reader
	pending    []Chunk
	next       *flight.FlightData
	lastMeta   []byte
	err        error
}

func NewReader(stream MessageReceiver, o ReadOptions) *Reader { return &Reader{stream: stream} }

func (r *Reader) recv() (*flight.FlightData, error) {
	if r.next != nil {
		m := r.next
		r.next = nil
		return m, nil
	}
	var m flight.FlightData
	if err := r.stream.RecvMsg(&m); err != nil {
		return nil, err
	}
	if !r.started {
		r.started = true
		r.descriptor = m.FlightDescriptor
	}
	return &m, nil
}

func (r *Reader) Descriptor() (*flight.FlightDescriptor, error) {
	if !r.started {
		m, err := r.recv()
		if err != nil {
			return nil, err
		}
		r.next = m
	}
	return r.descriptor, nil
}

type msgs struct{ r *Reader }

func (m msgs) Message() (*ipc.Message, error) {
	d, err := m.r.recv()
	if err != nil {
		return nil, err
	}
	m.r.lastMeta = d.AppMetadata
	return ipc.NewMessage(memory.NewBufferBytes(d.DataHeader), memory.NewBufferBytes(d.DataBody)), nil
}
func (msgs) Release() {}
func (msgs) Retain()  {}

func (r *Reader) Schema() (*arrow.Schema, error) {
	if r.ipc != nil {
		return r.ipc.Schema(), nil
	}
	for {
		m, err := r.recv()
		if err != nil {
			return nil, err
		}
		if len(m.DataHeader) == 0 {
			r.pending = append(r.pending, Chunk{AppMetadata: m.AppMetadata})
			continue
		}
		r.next = m
		r.ipc, err = ipc.NewReaderFromMessageReader(msgs{r})
		if err != nil {
			return nil, err
		}
		return r.ipc.Schema(), nil
	}
}

func (r *Reader) Next() (Chunk, error) {
	if len(r.pending) > 0 {
		c := r.pending[0]
		r.pending = r.pending[1:]
		return c, nil
	}
	if r.ipc == nil {
		m, err := r.recv()
		if err != nil {
			return Chunk{}, err
		}
		if len(m.DataHeader) == 0 {
			if len(m.AppMetadata) == 0 {
				return r.Next()
			}
			return Chunk{AppMetadata: m.AppMetadata}, nil
		}
		r.next = m
		if _, err := r.Schema(); err != nil {
			return Chunk{}, err
		}
	}
	m, err := r.recv()
	if err != nil {
		return Chunk{}, err
	}
	if len(m.DataHeader) == 0 {
		return Chunk{AppMetadata: m.AppMetadata}, nil
	}
	r.next = m
	b, err := r.ipc.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return Chunk{}, io.EOF
		}
		return Chunk{}, err
	}
	return Chunk{Batch: b, AppMetadata: r.lastMeta}, nil
}

func (r *Reader) Release() {}
