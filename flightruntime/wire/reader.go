package wire

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/internal/arrowmem"
	"github.com/flight-operator/flight-operator/internal/text"
)

// MessageReceiver is the receiving half of a gRPC stream whose server or client uses Codec.
type MessageReceiver interface{ RecvMsg(m any) error }

// ReaderOptions say what a Reader takes. The zero value trusts nobody.
type ReaderOptions struct {
	// MaxMessageBytes bounds one message; 0 leaves that to gRPC's own limit, which bounds what is in memory before a Reader sees it.
	MaxMessageBytes int
	// MaxBatchBytes bounds what a batch takes besides its message when it is uncompressed, what all dictionaries of the stream take
	// together, and the rows of a batch. 0 is ipcguard.DefaultMaxBatchBytes.
	MaxBatchBytes int64
	// Allocator is where bodies and uncompressed buffers live. Nil is the garbage collector's memory, so that batches may be sent on
	// by a Writer. A Pool is faster, for batches that are not.
	Allocator memory.Allocator
	// Validation is how much of a batch is looked at before it is handed out. The zero value is ipcguard.ValidateFull.
	Validation ipcguard.Validation
}

// Chunk is what one message of a stream brings: a record batch, app_metadata, or both. A Reader leaves Encoded and Owner empty.
type Chunk struct {
	// Batch is nil if the message had metadata alone. It belongs to the Reader and is valid until the next call of Next or Release: retain
	// it to keep it. Nobody may change what is in it.
	Batch arrow.RecordBatch
	// AppMetadata is nil if there is none. It belongs to the caller.
	AppMetadata []byte
	// Encoded, if set, is sent as it is, in place of a batch and whatever the Writer's options are.
	Encoded *Encoded
	// Owner has the memory that Batch or Encoded lie in; nil if that is the garbage collector's. See Owner.
	Owner Owner
}

// Reader reads the FlightData messages of one stream: what a client of DoGet gets, what a server of DoPut gets, or either side of
// DoExchange. It takes what C++ sends and what that takes: a first message with a descriptor alone; metadata-only messages before and after
// the schema; dictionaries that are replaced or added to; compressed bodies. The app_metadata of a schema or a dictionary are passed
// over, as C++ does: arrow-go repeats those of a batch there. A message that has nothing in it is passed over, too.
//
// Errors are gRPC status errors: INVALID_ARGUMENT for messages that contradict themselves or each other, RESOURCE_EXHAUSTED where a limit
// is hit, both with the number of the message, counted from 1, and the column; and what RecvMsg returns, as it is. After an error there is
// nothing more to read, and the error is returned again. A Reader decodes in the goroutine that calls it and is not safe for use by several
// at a time.
type Reader struct {
	stream  MessageReceiver
	options ReaderOptions

	message  message // the one received last
	received int     // messages
	waiting  bool    // whether message has not been looked at yet

	descriptor *flight.FlightDescriptor
	decoder    *ipcguard.Decoder // nil before the schema
	early      []Chunk           // that came before the schema, while someone waited for it
	earlyBytes int
	batch      arrow.RecordBatch // of the chunk that was handed out last
	err        error
}

// NewReader is a reader of a stream. It does not wait for any message. The caller releases it.
func NewReader(stream MessageReceiver, options ReaderOptions) *Reader {
	bodies := options.Allocator
	if bodies == nil {
		bodies, options.Allocator = arrowmem.Uncleared{}, memory.DefaultAllocator // a body is received in full, or nobody sees it
	}
	return &Reader{stream: stream, options: options, message: message{allocator: bodies, limit: options.MaxMessageBytes}}
}

// UsePool has bodies live in memory of a pool from the next message on. What is uncompressed from them stays where it was.
func (r *Reader) UsePool(pool *Pool) { r.message.allocator = pool }

// Descriptor waits for the first message and returns its descriptor. A stream that is put or exchanged has to begin with one: INVALID_ARGUMENT
// if it does not.
func (r *Reader) Descriptor() (*flight.FlightDescriptor, error) {
	if r.received == 0 {
		err := r.receive()
		if errors.Is(err, io.EOF) {
			return nil, status.Error(codes.InvalidArgument, "the stream ended before its first message: expected one with a flight_descriptor")
		}
		if err != nil {
			return nil, err
		}
	}
	if r.descriptor == nil && r.err != nil && !errors.Is(r.err, io.EOF) {
		return nil, r.err
	}
	if r.descriptor == nil {
		return nil, status.Error(codes.InvalidArgument, "message 1 of the stream has no flight_descriptor: the first message of a stream has to name what it is for")
	}
	return r.descriptor, nil
}

// maxEarlyBytes of metadata-only messages are kept for Next while Schema waits; more than any protocol on top of Flight is known to need.
const maxEarlyBytes = 4 << 20

// Schema waits for the schema and returns it. Metadata-only messages that come before stay to be read by Next. It is io.EOF if the stream
// ends without a schema.
func (r *Reader) Schema() (*arrow.Schema, error) {
	for r.decoder == nil {
		chunk, err := r.step()
		if err != nil {
			return nil, err
		}
		if chunk == nil {
			continue
		}
		const overhead = 64 // of an entry of the list, about
		if r.earlyBytes += len(chunk.AppMetadata) + overhead; r.earlyBytes > maxEarlyBytes {
			return nil, r.fail(status.Errorf(codes.ResourceExhausted, "%d messages with more than %d bytes of app_metadata came before the schema", len(r.early), maxEarlyBytes))
		}
		r.early = append(r.early, *chunk)
	}
	return r.decoder.Schema(), nil
}

// Next waits for the next batch or metadata-only message. It is io.EOF at the end of the stream.
func (r *Reader) Next() (Chunk, error) {
	r.releaseBatch()
	if len(r.early) > 0 {
		chunk := r.early[0]
		r.early = r.early[1:]
		return chunk, nil
	}
	for {
		chunk, err := r.step()
		if err != nil {
			return Chunk{}, err
		}
		if chunk != nil {
			r.batch = chunk.Batch
			return *chunk, nil
		}
	}
}

// Release lets go of the batch that was handed out last, and of all else that the Reader holds.
func (r *Reader) Release() {
	r.releaseBatch()
	r.message.release()
	r.early = nil
	if r.decoder != nil {
		r.decoder.Release()
	}
	if r.err == nil {
		r.err = errors.New("the reader was released")
	}
}

func (r *Reader) releaseBatch() {
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
}

// receive waits for a message.
func (r *Reader) receive() error {
	if r.err != nil {
		return r.err
	}
	r.message.release()
	if err := r.stream.RecvMsg(&r.message); err != nil {
		return r.fail(err)
	}
	r.received++
	r.waiting = true
	if r.message.err != nil {
		return r.refuse(r.message.err)
	}
	if r.received == 1 {
		r.descriptor = r.message.descriptor
	}
	return nil
}

// fail makes an error the last thing that the Reader tells.
func (r *Reader) fail(err error) error {
	r.message.release()
	r.waiting = false
	r.err = err
	return err
}

// mostTold bytes of an error reach the other side: it has to fit in a trailer, whose limit is 8 KiB for many clients.
const mostTold = 2 << 10

// refuse is fail for what is wrong with the message.
func (r *Reader) refuse(err error) error {
	code := codes.InvalidArgument
	var quota *ipcguard.QuotaError
	var large *tooLargeError
	if errors.As(err, &quota) || errors.As(err, &large) {
		code = codes.ResourceExhausted
	}
	return r.fail(status.Error(code, text.Cut(fmt.Sprintf("message %d of the stream: %v", r.received, err), mostTold)))
}

// step looks at one message. The chunk is nil if it brings none.
func (r *Reader) step() (*Chunk, error) {
	if !r.waiting {
		if err := r.receive(); err != nil {
			return nil, err
		}
	}
	r.waiting = false
	chunk, err := r.decode()
	if err != nil {
		return nil, r.refuse(err)
	}
	r.message.release()
	return chunk, nil
}

func (r *Reader) decode() (*Chunk, error) {
	m := &r.message
	if len(m.header) == 0 {
		if n := m.bodyBytes(); n > 0 {
			return nil, fmt.Errorf("it has a data_body of %d bytes and no data_header that says what they are", n)
		}
		if len(m.appMetadata) == 0 {
			return nil, nil
		}
		return &Chunk{AppMetadata: m.appMetadata}, nil
	}
	metadata, err := ipcguard.Parse(m.header)
	if err != nil {
		return nil, err
	}
	if n := int64(m.bodyBytes()); n != metadata.BodyLength {
		return nil, fmt.Errorf("its data_body has %d bytes, and its data_header says %d", n, metadata.BodyLength)
	}
	switch metadata.Kind {
	case ipcguard.KindSchema:
		if r.decoder != nil {
			return nil, errors.New("it is a second schema: a stream has one")
		}
		r.decoder, err = ipcguard.NewDecoder(metadata, ipcguard.Options{Allocator: r.options.Allocator, MaxBatchBytes: r.options.MaxBatchBytes, Validation: r.options.Validation})
		return nil, err
	case ipcguard.KindDictionaryBatch, ipcguard.KindRecordBatch:
		if r.decoder == nil {
			return nil, fmt.Errorf("it is a %s, and no schema has come before", metadata.Kind)
		}
	default:
		return nil, fmt.Errorf("it is of %s: expected a schema, a dictionary or a record batch", metadata.Kind)
	}
	body := m.body
	if body == nil {
		body = memory.NewBufferBytes(nil)
	}
	if metadata.Kind == ipcguard.KindDictionaryBatch {
		return nil, r.decoder.Dictionary(metadata, body)
	}
	batch, err := r.decoder.Batch(metadata, body)
	if err != nil {
		return nil, err
	}
	chunk := &Chunk{Batch: batch}
	if len(m.appMetadata) > 0 {
		chunk.AppMetadata = m.appMetadata
	}
	return chunk, nil
}
