package ipcguard

import (
	"bytes"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// sent is a message as it arrives.
type sent struct {
	metadata, body []byte
	delta          bool // whatever the metadata say
}

// sender is an ipc.PayloadWriter that keeps the messages.
type sender struct{ messages []sent }

func (*sender) Start() error { return nil }
func (*sender) Close() error { return nil }

func (s *sender) WritePayload(p ipc.Payload) error {
	meta := p.Meta()
	defer meta.Release()
	var body bytes.Buffer
	if err := p.SerializeBody(&body); err != nil {
		return err
	}
	s.messages = append(s.messages, sent{metadata: bytes.Clone(meta.Bytes()), body: body.Bytes()})
	return nil
}

// send is a stream of batches, as arrow-go writes it.
func send(t testing.TB, schema *arrow.Schema, batches []arrow.RecordBatch, opts ...ipc.Option) []sent {
	t.Helper()
	var s sender
	w := ipc.NewWriterWithPayloadWriter(&s, append(opts, ipc.WithSchema(schema))...)
	for _, batch := range batches {
		if err := w.Write(batch); err != nil {
			t.Fatalf("write: %v", err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatalf("write: %v", err)
	}
	return s.messages
}

// receive decodes a stream, and puts bodies where no decoder may write, nor read beyond their ends.
func receive(messages []sent, options Options) (schema *arrow.Schema, batches []arrow.RecordBatch, err error) {
	var d *Decoder
	defer func() {
		if d != nil {
			d.Release()
		}
		if err != nil {
			release(batches)
			batches = nil
		}
	}()
	for _, raw := range messages {
		m, err := Parse(raw.metadata)
		if err != nil {
			return schema, batches, err
		}
		if d == nil {
			if d, err = NewDecoder(m, options); err != nil {
				return schema, batches, err
			}
			schema = d.Schema()
			continue
		}
		m.Delta = m.Delta || raw.delta
		body := memory.NewResizableBuffer(options.Allocator)
		body.Resize(len(raw.body))
		copy(body.Bytes(), raw.body)
		switch m.Kind {
		case KindDictionaryBatch:
			err = d.Dictionary(m, body)
		case KindRecordBatch:
			var batch arrow.RecordBatch
			if batch, err = d.Batch(m, body); err == nil {
				batches = append(batches, batch)
			}
		default:
			err = errors.New("a message of another kind")
		}
		if err == nil && !bytes.Equal(body.Bytes(), raw.body) {
			err = errors.New("the body was changed")
		}
		body.Release()
		if err != nil {
			return schema, batches, err
		}
	}
	return schema, batches, nil
}

func release(batches []arrow.RecordBatch) {
	for _, b := range batches {
		b.Release()
	}
}

// counted is an allocator that must get everything back by the end of the test.
func counted(t testing.TB) memory.Allocator {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	t.Cleanup(func() { mem.AssertSize(t, 0) })
	return mem
}

func wantSame(t testing.TB, schema *arrow.Schema, got, want []arrow.RecordBatch) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d batches arrived, want %d", len(got), len(want))
	}
	for i := range want {
		if !got[i].Schema().Equal(schema) || !array.RecordEqual(got[i], want[i]) {
			t.Errorf("batch %d arrived as\n%v\nwant\n%v", i, got[i], want[i])
		}
		for j, column := range got[i].Columns() {
			if err := array.ValidateFull(column); err != nil {
				t.Errorf("batch %d, column %d does not hold together: %v", i, j, err)
			}
		}
	}
}
