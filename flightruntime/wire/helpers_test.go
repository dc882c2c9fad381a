package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// received is a stream that brings the messages given in their encoded form, through the codec and in pieces as grpc-go does.
type received struct {
	messages [][]byte
	piece    int // bytes; 0 for messages in one piece
}

func (r *received) RecvMsg(m any) error {
	if len(r.messages) == 0 {
		return io.EOF
	}
	rest := bytes.Clone(r.messages[0]) // what is received is used again by grpc-go
	r.messages = r.messages[1:]
	var data mem.BufferSlice
	for r.piece > 0 && len(rest) > r.piece {
		data = append(data, mem.SliceBuffer(rest[:r.piece]))
		rest = rest[r.piece:]
	}
	data = append(data, mem.SliceBuffer(rest))
	err := Codec().Unmarshal(data, m)
	for _, b := range data {
		clear(b.ReadOnlyData())
	}
	return err
}

// counted is an allocator that must get everything back by the end of the test.
func counted(t testing.TB) memory.Allocator {
	t.Helper()
	checked := memory.NewCheckedAllocator(memory.NewGoAllocator())
	t.Cleanup(func() { checked.AssertSize(t, 0) })
	return checked
}

// all reads a stream to its end, or an error. The batches are the caller's.
func all(r *Reader) (chunks []Chunk, err error) {
	for {
		chunk, err := r.Next()
		if errors.Is(err, io.EOF) {
			return chunks, nil
		}
		if err != nil {
			return chunks, err
		}
		if chunk.Batch != nil {
			chunk.Batch.Retain()
		}
		chunks = append(chunks, chunk)
	}
}

func rows(chunks []Chunk) []arrow.RecordBatch {
	var batches []arrow.RecordBatch
	for _, c := range chunks {
		if c.Batch != nil {
			batches = append(batches, c.Batch)
		}
	}
	return batches
}

func release(chunks []Chunk) {
	for _, b := range rows(chunks) {
		b.Release()
	}
}

// metadataOf is what came with each chunk, one after the other, "-" for none.
func metadataOf(chunks []Chunk) string {
	told := make([]string, 0, len(chunks))
	for _, c := range chunks {
		text := "-"
		if c.AppMetadata != nil {
			text = string(c.AppMetadata)
		}
		if c.Batch != nil {
			text = "[" + text + "]"
		}
		told = append(told, text)
	}
	return strings.Join(told, " ")
}

// written are the messages of a writer that does what write says.
func written(t testing.TB, schema *arrow.Schema, opts []WriterOption, write func(*Writer) error) [][]byte {
	t.Helper()
	var sent encoded
	w, err := NewWriter(&sent, schema, noLimit, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return sent.messages
}

func writeAll(batches ...arrow.RecordBatch) func(*Writer) error {
	return func(w *Writer) error {
		for _, b := range batches {
			if err := w.Write(b); err != nil {
				return err
			}
		}
		return nil
	}
}

// flightData is a message in its encoded form.
func flightData(t testing.TB, m *flight.FlightData) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parsed is the message that was encoded.
func parsed(t testing.TB, b []byte) *flight.FlightData {
	t.Helper()
	m := &flight.FlightData{}
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// recorded is a stream that pyarrow has sent: see testdata/record.py.
func recorded(t testing.TB, name string) [][]byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".flightdata")
	if err != nil {
		t.Fatal(err)
	}
	var messages [][]byte
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		messages = append(messages, b[size:size+int(n)])
		b = b[size+int(n):]
	}
	return messages
}

// encodings are the ways in which a Writer can send the same batches.
var encodings = map[string][]WriterOption{
	"plain":              nil,
	"LZ4":                {WithIPC(ipc.WithLZ4())},
	"Zstandard":          {WithIPC(ipc.WithZstd(), ipc.WithMinSpaceSavings(0.1))},
	"dictionaries grown": {WithIPC(ipc.WithDictionaryDeltas(true))},
}
