package wire

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime/wire/conn"
)

// MessageSender is the sending half of a gRPC stream whose server or client uses Codec.
type MessageSender interface{ SendMsg(m any) error }

// WriterOption is how a Writer differs from one that sends plain batches in the latest version of Arrow's format.
type WriterOption func(*Writer)

// WithDescriptor puts a descriptor into the first message, as the streams of DoPut and DoExchange have to begin.
func WithDescriptor(d *flight.FlightDescriptor) WriterOption {
	return func(w *Writer) { w.descriptor = d }
}

// WithIPC encodes batches with options of arrow-go: ipc.WithLZ4, ipc.WithZstd, ipc.WithMinSpaceSavings, ipc.WithCompressConcurrency,
// ipc.WithDictionaryDeltas. An allocator has to be one whose memory the garbage collector owns.
func WithIPC(opts ...ipc.Option) WriterOption {
	return func(w *Writer) { w.options = append(w.options, opts...) }
}

// WithMetadataVersion encodes batches in an earlier version of Arrow's format: ipc.MetadataV4, for readers from before Arrow 1.0. These
// cannot be sent unions and run-end encoded columns, which are laid out in another way there.
func WithMetadataVersion(v ipc.MetadataVersion) WriterOption {
	return func(w *Writer) { w.out.version = v }
}

// WithEncodedSchema has a stream of that very schema begin with the message that was encoded before. One of another schema encodes its own.
func WithEncodedSchema(s *EncodedSchema) WriterOption {
	return func(w *Writer) { w.encoded = s }
}

// WithLargeMessage has one message early in the stream be large, as messageSizes tells: for servers whose clients gain by it. What a client sends is up to
// what its server takes.
func WithLargeMessage() WriterOption {
	return func(w *Writer) { w.early = true }
}

// Writer sends record batches of one schema as FlightData, and app_metadata with them or alone. Errors are those of SendMsg, which is
// io.EOF on a client whose call has ended (RecvMsg knows why), or say what cannot be sent. It is not safe for use by several goroutines.
type Writer struct {
	out        *payloadSender
	descriptor *flight.FlightDescriptor
	options    []ipc.Option

	encoded  *EncodedSchema     // nil: Begin encodes the schema
	schema   *arrow.Schema      // nil before Begin
	ipc      *ipc.Writer        // nil before a batch
	target   int64              // bytes of a message
	large    int64              // bytes of a large one
	early    bool               // whether a large one is to come; of messages that are as large in any case, it always is
	compacts bool               // whether a column is of a type that needsCompact
	alike    *alikeDictionaries // nil if there are none
	// Of schemas with dictionaries: the ipc.Writer remembers those that it has sent.
	dictionaries bool
	remembers    bool  // whether it has any to remember
	owner        Owner // of those that it remembers
}

// NewWriter sends the schema at once, so that a client that waits for it is not kept until the first batch, and returns a writer of
// batches. No message will exceed maxMessageBytes.
func NewWriter(stream MessageSender, schema *arrow.Schema, maxMessageBytes int, opts ...WriterOption) (*Writer, error) {
	w := newWriter(stream, maxMessageBytes, opts)
	if err := w.describe(); err != nil {
		return nil, err
	}
	if err := w.Begin(schema); err != nil {
		return nil, err
	}
	return w, nil
}

// NewExchangeWriter is a writer that has no schema yet, as either side of DoExchange: Begin sends one. A descriptor is sent at once, for the
// other side does not act before it has it.
func NewExchangeWriter(stream MessageSender, maxMessageBytes int, opts ...WriterOption) (*Writer, error) {
	w := newWriter(stream, maxMessageBytes, opts)
	if err := w.describe(); err != nil {
		return nil, err
	}
	if w.descriptor == nil {
		return w, nil
	}
	if err := w.out.sendAlone(); err != nil {
		return nil, err
	}
	return w, nil
}

func newWriter(stream MessageSender, maxMessageBytes int, opts []WriterOption) *Writer {
	w := &Writer{out: &payloadSender{stream: stream, conn: connOf(stream), limit: maxMessageBytes, version: ipc.MetadataV5}}
	for _, opt := range opts {
		opt(w)
	}
	return w
}

// describe encodes the descriptor for the next message.
func (w *Writer) describe() error {
	if w.descriptor == nil {
		return nil
	}
	encoded, err := proto.Marshal(w.descriptor)
	if err != nil {
		return status.Error(codes.InvalidArgument, "the descriptor cannot be sent: its path is not UTF-8")
	}
	w.out.next.descriptor = encoded
	return nil
}

// Begin sends the schema of the batches to come. NewWriter has done so.
func (w *Writer) Begin(schema *arrow.Schema) error {
	if w.schema != nil {
		return errors.New("a schema has been sent already, and a stream has one")
	}
	encoded := w.encoded
	if encoded == nil || encoded.schema != schema {
		var err error
		if encoded, err = EncodeSchema(schema); err != nil {
			return err
		}
	}
	if w.out.version < ipc.MetadataV5 && encoded.onlyInV5 {
		return status.Error(codes.InvalidArgument, "unions and run-end encoded columns cannot be sent in version 4 of Arrow's format: use version 5")
	}
	if err := w.out.send(encoded.frame(envelope{descriptor: w.out.next.descriptor}, w.out.version)); err != nil {
		return err
	}
	w.schema, w.compacts, w.dictionaries = schema, encoded.compacts, encoded.dictionaries
	w.target, w.large = messageSizes(encoded.arrays, w.out.limit)
	w.early = w.early || w.target == w.large
	if encoded.alike {
		w.alike = &alikeDictionaries{}
	}
	return nil
}

// MessageBytes is about how many bytes the largest messages have that batches are cut to, and a large one, of which there may be one early in a stream:
// the first that enough rows come for at once. Both are 0 before Begin.
func (w *Writer) MessageBytes() (target, large int64) { return w.target, w.large }

// Early has one more message be large. It is for what is sent from there on alone, too.
func (w *Writer) Early() { w.early = true }

// restart has the dictionaries sent anew with the next batch.
func (w *Writer) restart() {
	w.remembers = false
	if w.ipc != nil {
		_ = w.ipc.Close() // it sends nothing
		w.ipc = nil
	}
}

// encoder is the ipc.Writer of batches. It is made for the first of them, since it encodes the schema once more: what is encoded already needs none.
func (w *Writer) encoder() *ipc.Writer {
	if w.ipc == nil {
		w.out.skipSchema = true
		w.ipc = ipc.NewWriterWithPayloadWriter(w.out, append(slices.Clone(w.options), ipc.WithSchema(w.schema))...)
	}
	return w.ipc
}

// Write sends a batch, in several messages where it is large. The batch may be released as soon as Write returns.
func (w *Writer) Write(batch arrow.RecordBatch) error { return w.WriteWithMetadata(batch, nil) }

// WriteWithMetadata is Write with app_metadata, which go with the first of the messages that bring the batch's rows.
func (w *Writer) WriteWithMetadata(batch arrow.RecordBatch, appMetadata []byte) error {
	if w.schema == nil {
		return errNoSchema
	}
	return w.writeOwned(Chunk{Batch: batch, AppMetadata: appMetadata})
}

// WriteMetadata sends app_metadata without a batch, before the schema or behind it.
func (w *Writer) WriteMetadata(appMetadata []byte) error {
	if len(appMetadata) == 0 {
		return errors.New("there are no app_metadata to send: pyarrow reads an empty message as the end of the stream")
	}
	w.out.next.appMetadata = appMetadata
	defer func() { w.out.next.appMetadata = nil }()
	return w.out.sendAlone()
}

// WriteChunk sends what a Reader's Next gives: a batch, app_metadata, or both. What has an Owner may be let go of when WriteChunk returns.
func (w *Writer) WriteChunk(c Chunk) error {
	switch {
	case c.Batch == nil && c.Encoded == nil:
		return w.WriteMetadata(c.AppMetadata)
	case w.schema == nil:
		return errNoSchema
	case c.Encoded != nil:
		return w.writeEncoded(c)
	default:
		return w.writeOwned(c)
	}
}

// errNoSchema refuses batches before the schema.
var errNoSchema = errors.New("no schema has been sent: call Begin before the first batch is written")

// writeOwned sends a batch with its app_metadata.
func (w *Writer) writeOwned(c Chunk) error {
	if w.dictionaries && c.Owner != w.owner {
		w.forget() // what is remembered lies in the memory of the owner before, who may be gone
		w.owner = c.Owner
	}
	w.out.owner, w.out.next.appMetadata = c.Owner, c.AppMetadata
	defer func() { w.out.owner, w.out.next.appMetadata = nil, nil }()
	return w.write(c.Batch)
}

// writeEncoded sends a message that is encoded already. If it is a dictionary, the one that was sent before is no longer what clients have.
func (w *Writer) writeEncoded(c Chunk) error {
	if w.remembers {
		w.forget()
	}
	e := envelope{descriptor: w.out.next.descriptor, appMetadata: c.AppMetadata}
	f := &frame{size: len(c.Encoded.Data)}
	if e.descriptor != nil || len(e.appMetadata) > 0 {
		f.buffers = append(f.buffers, e.frame().buffers...)
		f.size += f.buffers.Len()
	}
	f.buffers = append(f.buffers, mem.SliceBuffer(c.Encoded.Data))
	w.out.owner = c.Owner
	defer func() { w.out.owner = nil }()
	return w.out.send(f)
}

// forget lets go of the dictionaries that were sent, so that the next batch sends its own anew.
func (w *Writer) forget() {
	if w.remembers {
		w.restart()
	}
	if w.alike != nil {
		w.alike.release()
	}
	w.owner = nil
}

func (w *Writer) write(batch arrow.RecordBatch) error {
	return w.eachPiece(batch, &w.early, w.writeWhole)
}

// Pieces yields what Write sends a batch as after Begin, each in one message: the batch itself, or slices of it, which are valid until the next. Each
// of them that is written by itself, before the next is asked for, can have app_metadata of its own.
func (w *Writer) Pieces(batch arrow.RecordBatch) iter.Seq[arrow.RecordBatch] {
	return func(yield func(arrow.RecordBatch) bool) {
		early := w.early // what is written changes the writer's own
		_ = w.eachPiece(batch, &early, func(piece arrow.RecordBatch) error {
			if !yield(piece) {
				return errEnoughPieces
			}
			return nil
		})
	}
}

var errEnoughPieces = errors.New("no more pieces are wanted")

// eachPiece calls f with what is sent in one message each.
func (w *Writer) eachPiece(batch arrow.RecordBatch, early *bool, f func(arrow.RecordBatch) error) error {
	rows, size := batch.NumRows(), BatchBytes(batch)
	switch {
	case size <= w.target || rows <= 1:
		return f(batch)
	case !*early:
		return w.divide(batch, rowsPerMessage(rows, size, w.target), early, f)
	case size <= w.large:
		*early = w.target == w.large
		return f(batch)
	default:
		return w.divide(batch, RowsFor(rows, size, w.large), early, f)
	}
}

// divide is eachPiece of pieces of a batch, all but the last of so many rows. Some of these are several messages again, where they are larger than the
// batch's rows are on average. Once the large message has been sent, what is left is divided anew.
func (w *Writer) divide(batch arrow.RecordBatch, step int64, early *bool, f func(arrow.RecordBatch) error) error {
	rows, was := batch.NumRows(), *early
	for from := int64(0); from < rows; {
		to := min(from+step, rows)
		if was && !*early {
			to = rows
		}
		slice := batch.NewSlice(from, to)
		err := w.eachPiece(slice, early, f)
		slice.Release()
		if err != nil {
			return err
		}
		from = to
	}
	return nil
}

func (w *Writer) writeWhole(batch arrow.RecordBatch) error {
	if w.compacts {
		batch = compactBatch(batch)
		defer batch.Release()
	}
	if w.alike != nil && w.alike.changed(batch) {
		w.restart()
	}
	w.remembers = w.dictionaries
	return w.encoder().Write(batch)
}

// Close releases what the writer holds. It sends nothing: the end of the stream is the end of the call, or of the client's half of it.
func (w *Writer) Close() error {
	w.forget()
	w.restart()
	return nil
}

// rowsPerMessage is how many rows of a batch of so many bytes go into each of a number of messages near the target, at least one.
func rowsPerMessage(rows, size, target int64) int64 {
	pieces := (size + target - 1) / target
	return max((rows+pieces-1)/pieces, 1)
}

// RowsFor is how many of the rows of a batch, at least one, have the bytes that a message has room for, of so many that the batch has: most likely,
// for some rows are longer than others.
func RowsFor(rows, size, room int64) int64 {
	const likely = 31. / 32
	return max(1, int64(likely*float64(rows)*float64(room)/float64(size)))
}

// payloadSender is the ipc.PayloadWriter that sends each payload as one message.
type payloadSender struct {
	stream  MessageSender
	conn    *conn.Conn // what the stream goes by, if that takes buffers by reference; or nil
	limit   int
	version ipc.MetadataVersion
	// next is what goes with the next message: the descriptor with any, app_metadata with one of rows, or alone.
	next envelope
	// owner of what is sent; nil if it is the garbage collector's.
	owner Owner
	// skipSchema drops the next payload: the schema with which each ipc.Writer begins, and which Begin has sent.
	skipSchema bool
}

func (s *payloadSender) Start() error { return nil }
func (s *payloadSender) Close() error { return nil }

func (s *payloadSender) WritePayload(p ipc.Payload) error {
	if s.skipSchema {
		s.skipSchema = false
		return nil
	}
	e := envelope{descriptor: s.next.descriptor}
	if len(s.next.appMetadata) > 0 && isRows(p) {
		e.appMetadata, s.next.appMetadata = s.next.appMetadata, nil
	}
	f, err := encodeFrame(p, e, s.version)
	if err != nil {
		return err
	}
	return s.send(f)
}

// isRows tells whether a payload is a record batch, rather than a schema or a dictionary.
func isRows(p ipc.Payload) bool {
	meta := p.Meta()
	defer meta.Release()
	m := ipc.NewMessage(meta, memory.NewBufferBytes(nil))
	defer m.Release()
	return m.Type() == ipc.MessageRecordBatch
}

// sendAlone sends what goes with the next message without one.
func (s *payloadSender) sendAlone() error { return s.send(s.next.frame()) }

func (s *payloadSender) send(f *frame) error {
	if f.size > s.limit {
		f.buffers.Free()
		return status.Error(codes.ResourceExhausted, fmt.Sprintf(
			"a message of %d bytes exceeds the limit of %d: a single row, dictionary, schema or app_metadata are that large; raise limits.maxMessageBytes", f.size, s.limit))
	}
	s.next.descriptor = nil
	if s.owner != nil {
		f.lend(s.owner)
	}
	return f.send(s.stream, s.conn)
}

// connOf is the connection that a server's stream goes by; nil on a client, and where the connection is an ordinary one. On a client that is used
// within a server's call, the context may tell of the server's connection.
func connOf(stream MessageSender) *conn.Conn {
	if s, ok := stream.(grpc.ServerStream); ok {
		return conn.Of(s.Context())
	}
	return nil
}
