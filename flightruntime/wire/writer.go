package wire

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// TargetMessageBytes is the size near which batches are cut: clients in Go and Rust take at most 4 MiB a message by default, and from
// 512 KiB on a larger message is not faster.
const TargetMessageBytes = 1 << 20

// MessageSender is the sending half of a gRPC stream whose server uses Codec.
type MessageSender interface{ SendMsg(m any) error }

// Writer sends record batches of one schema as FlightData. It is not safe for use by several goroutines.
type Writer struct {
	stream   MessageSender
	out      *payloadSender
	ipc      *ipc.Writer
	target   int64 // bytes of a message
	compacts bool  // whether a column is of a type that needsCompact
}

// NewWriter sends the schema at once, so that a client that waits for it is not kept until the first batch, and returns a writer of
// batches. No message will exceed maxMessageBytes.
func NewWriter(stream MessageSender, schema *arrow.Schema, maxMessageBytes int, o WriteOptions) (*Writer, error) {
	if err := checkVersion(schema, o.MetadataVersion); err != nil {
		return nil, err
	}
	out := &payloadSender{stream: stream, limit: maxMessageBytes, descriptor: o.Descriptor, version: o.MetadataVersion}
	payload := ipc.GetSchemaPayload(schema, memory.DefaultAllocator)
	defer payload.Release()
	if err := out.WritePayload(payload); err != nil {
		return nil, err
	}
	out.schemaSent = true
	opts := append([]ipc.Option{ipc.WithSchema(schema)}, o.IPC...)
	return &Writer{
		stream: stream, out: out,
		ipc: ipc.NewWriterWithPayloadWriter(out, opts...),
		// Half the limit leaves room for the message's metadata and for paddings.
		target:   int64(min(TargetMessageBytes, maxMessageBytes/2)),
		compacts: slices.ContainsFunc(schema.Fields(), func(f arrow.Field) bool { return needsCompact(f.Type) }),
	}, nil
}

// Write sends a batch, in several messages where it is large. The batch may be released as soon as Write returns.
func (w *Writer) Write(batch arrow.RecordBatch) error {
	rows := batch.NumRows()
	step := rowsPerMessage(batch, w.target)
	if step >= rows {
		return w.writeWhole(batch)
	}
	for from := int64(0); from < rows; from += step {
		if err := w.writeSlice(batch, from, min(from+step, rows)); err != nil {
			return err
		}
	}
	return nil
}

// writeSlice sends some rows of a batch, in several messages again where these are larger than the batch's rows are on average.
func (w *Writer) writeSlice(batch arrow.RecordBatch, from, to int64) error {
	slice := batch.NewSlice(from, to)
	defer slice.Release()
	return w.Write(slice)
}

func (w *Writer) writeWhole(batch arrow.RecordBatch) error {
	if w.compacts {
		batch = compactBatch(batch)
		defer batch.Release()
	}
	return w.ipc.Write(batch)
}

// Close releases what the writer holds. It sends nothing: the end of the stream is the end of the call.
func (w *Writer) Close() error { return w.ipc.Close() }

// rowsPerMessage is how many rows of a batch make a message near the target, at least one.
func rowsPerMessage(batch arrow.RecordBatch, target int64) int64 {
	rows := batch.NumRows()
	size := batchBytes(batch)
	if rows == 0 || size <= target {
		return max(rows, 1)
	}
	pieces := (size + target - 1) / target
	return max((rows+pieces-1)/pieces, 1)
}

// payloadSender is the ipc.PayloadWriter that sends each payload as one message.
type payloadSender struct {
	stream      MessageSender
	limit       int
	version     ipc.MetadataVersion // if not arrow-go's own
	schemaSent  bool
	started     bool
	descriptor  *flight.FlightDescriptor
	appMetadata []byte
}

func (s *payloadSender) Start() error { return nil }
func (s *payloadSender) Close() error { return nil }

func (s *payloadSender) WritePayload(p ipc.Payload) error {
	if s.schemaSent && !s.started {
		s.started = true // the ipc.Writer's own first payload is the schema, which NewWriter has sent
		return nil
	}
	if s.version != 0 {
		meta := p.Meta()
		setVersion(meta.Bytes(), s.version)
		meta.Release()
	}
	f, err := encodeFrame(p, s.appMetadata)
	s.appMetadata = nil
	if s.descriptor != nil {
		b, _ := proto.Marshal(s.descriptor)
		head := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b)
		f.buffers = append(mem.BufferSlice{mem.SliceBuffer(head)}, f.buffers...)
		f.size += len(head)
		s.descriptor = nil
	}
	if err != nil {
		return err
	}
	if f.size > s.limit {
		return status.Error(codes.ResourceExhausted, fmt.Sprintf(
			"a message of %d bytes exceeds the limit of %d: a single row, dictionary or schema is that large; raise limits.maxMessageBytes", f.size, s.limit))
	}
	return s.stream.SendMsg(f)
}
