package wire

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// counting is an Owner that counts who retains it.
type counting struct{ retained int }

func (c *counting) Retain()  { c.retained++ }
func (c *counting) Release() { c.retained-- }

// kept is a stream that keeps what it was sent as gRPC does, until it is told that all of it has been written.
type kept struct {
	buffers []mem.BufferSlice
	refuses error
}

func (k *kept) SendMsg(m any) error {
	if k.refuses != nil {
		return k.refuses
	}
	buffers, err := Codec().Marshal(m)
	k.buffers = append(k.buffers, buffers)
	return err
}

func (k *kept) written() {
	for _, b := range k.buffers {
		b.Free()
	}
	k.buffers = nil
}

// owned are a batch, and the message that it is encoded as, of 80 kB.
func owned(t *testing.T) (*arrow.Schema, arrow.RecordBatch, *Encoded) {
	t.Helper()
	schema := column(arrow.PrimitiveTypes.Int64)
	batch := fromJSON(t, schema, "["+strings.Repeat(`{"c":1},`, 9_999)+`{"c":1}]`)
	sent := written(t, schema, nil, writeAll(batch))
	return schema, batch, &Encoded{Data: sent[1], Rows: batch.NumRows()}
}

// writtenTo is a writer that has written a chunk to a stream.
func writtenTo(t *testing.T, stream MessageSender, schema *arrow.Schema, chunk Chunk) *Writer {
	t.Helper()
	w, err := NewWriter(stream, schema, noLimit)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteChunk(chunk); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWhatIsUnderWayKeepsItsOwner(t *testing.T) {
	schema, batch, encoded := owned(t)
	for name, chunk := range map[string]Chunk{
		"a batch": {Batch: batch}, "a message": {Encoded: encoded}, "a message with metadata": {Encoded: encoded, AppMetadata: []byte("m")},
	} {
		t.Run(name, func(t *testing.T) {
			var stream kept
			var owner counting
			chunk.Owner = &owner
			w := writtenTo(t, &stream, schema, chunk)
			if owner.retained == 0 {
				t.Error("nobody retains the owner of what has yet to be written")
			}
			stream.written()
			if owner.retained != 0 {
				t.Errorf("%d retain the owner of what was written", owner.retained)
			}
			stream.refuses = errors.New("the call has ended")
			if err := w.WriteChunk(chunk); !errors.Is(err, stream.refuses) || owner.retained != 0 {
				t.Errorf("%d retain the owner of what was not sent, for %v", owner.retained, err)
			}
			_ = w.Close() // arrow-go remembers the error
		})
	}
}

// ordinary is gRPC's stream on a connection that takes nothing by reference.
type ordinary struct {
	grpc.ServerStream
	kept
}

func (*ordinary) Context() context.Context { return context.Background() }
func (o *ordinary) SendMsg(m any) error    { return o.kept.SendMsg(m) }

func TestAnOrdinaryConnectionGetsCopiesOfWhatHasAnOwner(t *testing.T) {
	schema, batch, encoded := owned(t)
	for name, chunk := range map[string]Chunk{"a batch": {Batch: batch}, "a message": {Encoded: encoded}} {
		t.Run(name, func(t *testing.T) {
			var stream ordinary
			var owner counting
			chunk.Owner = &owner
			w := writtenTo(t, &stream, schema, chunk)
			if owner.retained != 0 {
				t.Error("gRPC holds memory of the owner's, which it reads at some time")
			}
			if sent := stream.buffers[1].Materialize(); !bytes.Equal(sent, encoded.Data) {
				t.Errorf("%d bytes were sent that are not the message's %d", len(sent), len(encoded.Data))
			}
			_ = w.Close()
		})
	}
}

func TestEncodedMessagesGoOutAsTheyAre(t *testing.T) {
	schema, batch, encoded := owned(t)
	sent := written(t, schema, nil, func(w *Writer) error {
		return errors.Join(w.WriteChunk(Chunk{Encoded: encoded}), w.WriteChunk(Chunk{Encoded: encoded, AppMetadata: []byte("with it")}), w.Write(batch))
	})
	if !bytes.Equal(sent[1], encoded.Data) {
		t.Error("the message is another one")
	}
	if got := kinds(t, sent); got != "srrr" {
		t.Errorf("sent %s", got)
	}
	if m := parsed(t, sent[2]); string(m.AppMetadata) != "with it" || !bytes.Equal(m.DataBody, parsed(t, sent[1]).DataBody) {
		t.Errorf("the message with metadata carries %q", m.AppMetadata)
	}
	var stream kept
	early, err := NewExchangeWriter(&stream, noLimit)
	if err != nil {
		t.Fatal(err)
	}
	if err := early.WriteChunk(Chunk{Encoded: encoded}); err == nil {
		t.Error("a message was sent before the schema")
	}
	small, err := NewWriter(&stream, schema, 4<<10)
	if err != nil {
		t.Fatal(err)
	}
	if err := small.WriteChunk(Chunk{Encoded: encoded}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message above the limit: %v", err)
	}
}

func TestSplitEncoded(t *testing.T) {
	_, _, encoded := owned(t)
	metadata, body, err := SplitEncoded(encoded.Data)
	if m := parsed(t, encoded.Data); err != nil || !bytes.Equal(metadata, m.DataHeader) || !bytes.Equal(encoded.Data[body:], m.DataBody) {
		t.Errorf("split at %d, %v", body, err)
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "half a tag": {0x92}, "another field": {0x1a, 1, 'm'}, "a number": {0x10, 1}, "metadata that are cut": {0x12, 9, 1}, "no body": {0x12, 1, 1},
	} {
		if _, _, err := SplitEncoded(data); err == nil {
			t.Errorf("%s was split", name)
		}
	}
}
