package flightruntime

import (
	"errors"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// DataWriter sends record batches and metadata: a server's half of DoExchange, and a client's of DoPut and DoExchange. It is not safe for
// use by several goroutines; another may read meanwhile. On a server, nobody may write when the method has returned.
type DataWriter struct {
	stream          wire.MessageSender
	maxMessageBytes int
	descriptor      *FlightDescriptor // goes with a client's first message
	options         WriteOptions      // of Begin, where it is given none
	schema          *arrow.Schema     // of Begin
	early           *wire.Writer      // of what is sent before Begin
	wire            *wire.Writer      // from Begin on
	closed          bool
	ended           error // what writing to a call that has ended gives, once it is known to have
	// Of clients: the size that a batch may not exceed, what closes their half, what waits for the end of the call once it is known to have
	// come, what waits until it comes, and what makes the error of a call of what sending gave.
	sizeLimit int
	closeSend func() error
	end       func() error
	finish    func() error
	failed    func(error) error
}

// Errors of using a DataWriter out of turn. They leave the call as it is.
var (
	// ErrNotBegun is the error of writing a batch before Begin.
	ErrNotBegun = errors.New("call Begin with the schema before writing record batches")
	// ErrBegun is the error of a second Begin.
	ErrBegun = errors.New("Begin was called before: a stream has one schema")
	// ErrClosed is the error of writing after CloseSend or Close.
	ErrClosed = errors.New("the writer is closed: CloseSend or Close was called before")
)

// Begin says the schema of the batches that follow, and sends it. It may be called once. Options without any say what WithWriteOptions
// said.
func (w *DataWriter) Begin(schema *arrow.Schema, options WriteOptions) error {
	if err := w.takesNoMore(); err != nil {
		return err
	}
	if w.wire != nil {
		return ErrBegun
	}
	if options.IPC == nil {
		options.IPC = w.options.IPC
	}
	if options.MetadataVersion == 0 {
		options.MetadataVersion = w.options.MetadataVersion
	}
	opts := options.wire()
	if w.descriptor != nil {
		opts = append(opts, wire.WithDescriptor(w.descriptor))
		w.descriptor = nil
	}
	begun, err := wire.NewWriter(w.stream, schema, w.maxMessageBytes, opts...)
	if err != nil {
		return w.err(err)
	}
	w.wire, w.schema, w.options = begun, schema, options
	return nil
}

// Write sends a chunk: a batch, its metadata, or both.
func (w *DataWriter) Write(c Chunk) error {
	if c.Batch == nil && c.Encoded == nil {
		return w.WriteMetadata(c.AppMetadata)
	}
	if err := w.takesNoMore(); err != nil {
		return err
	}
	if w.wire == nil {
		return ErrNotBegun
	}
	if err := w.checkSize(c); err != nil {
		return err
	}
	return w.err(w.wire.WriteChunk(c))
}

// checkSize refuses a chunk that is larger than the limit. It encodes it once more, which copies nothing unless it is compressed.
func (w *DataWriter) checkSize(c Chunk) error {
	if w.sizeLimit <= 0 {
		return nil
	}
	var counted countedMessages
	scale, err := wire.NewWriter(&counted, w.schema, w.maxMessageBytes, w.options.wire()...)
	if err != nil {
		return err
	}
	defer func() { _ = scale.Close() }() // it sends nothing
	counted.bytes = 0                    // the schema's
	if err := scale.WriteChunk(c); err != nil {
		return err
	}
	if counted.bytes > w.sizeLimit {
		return Errorf(KindWriteSize, "%w", &WriteSizeError{Limit: w.sizeLimit, Actual: counted.bytes})
	}
	return nil
}

// countedMessages is a stream that sends nothing.
type countedMessages struct{ bytes int }

func (c *countedMessages) SendMsg(m any) error {
	encoded, err := wire.Codec().Marshal(m)
	if err != nil {
		return err
	}
	c.bytes += encoded.Len()
	encoded.Free()
	return nil
}

// Pieces yields what Write sends a batch as, each in one message: the batch itself, or, of a large one, slices, which are valid until the next. Write
// gives a chunk's metadata to the first of them only; whoever writes them one by one can give each its own. It yields nothing before Begin.
func (w *DataWriter) Pieces(batch arrow.RecordBatch) iter.Seq[arrow.RecordBatch] {
	if w.wire == nil {
		return func(func(arrow.RecordBatch) bool) {}
	}
	return w.wire.Pieces(batch)
}

// WriteBatch sends a batch without metadata.
func (w *DataWriter) WriteBatch(batch arrow.RecordBatch) error { return w.Write(Chunk{Batch: batch}) }

// WriteMetadata sends metadata alone, if there are any. It may be called before Begin.
func (w *DataWriter) WriteMetadata(appMetadata []byte) error {
	if err := w.takesNoMore(); err != nil {
		return err
	}
	writer := w.wire
	if writer == nil {
		if err := w.beginEarly(); err != nil {
			return w.err(err)
		}
		writer = w.early
	}
	if isEmpty(Chunk{AppMetadata: appMetadata}) {
		return nil
	}
	return w.err(writer.WriteMetadata(appMetadata))
}

// beginEarly makes what comes before Begin possible. A client's descriptor is sent by it.
func (w *DataWriter) beginEarly() (err error) {
	if w.early != nil {
		return nil
	}
	var opts []wire.WriterOption
	if w.descriptor != nil {
		opts = append(opts, wire.WithDescriptor(w.descriptor))
		w.descriptor = nil
	}
	w.early, err = wire.NewExchangeWriter(w.stream, w.maxMessageBytes, opts...)
	return err
}

// CloseSend tells the other side that no more will be written, also where that has ended the call. On a server it does nothing: returning
// ends the call.
func (w *DataWriter) CloseSend() error {
	if w.closeSend == nil || w.closed {
		return nil
	}
	if w.descriptor != nil && w.ended == nil { // nothing was written, but the server may want to know
		if err := w.WriteMetadata(nil); err != nil && w.ended == nil {
			return err
		}
	}
	w.closed = true
	return w.err(w.closeSend())
}

// Close tells the other side that no more will be written, waits for the end of the call, and tells how it ended. What the server still
// answers to a DoPut stays to be read, up to 1 MiB; what it still sends in a DoExchange is passed over, so where another goroutine reads
// it, or is to, call CloseSend.
func (w *DataWriter) Close() error {
	if w.closeSend == nil {
		return nil
	}
	defer w.release()
	err := w.CloseSend()
	w.closed = true
	if err != nil {
		return err
	}
	return w.finish()
}

func (w *DataWriter) release() {
	if w.wire != nil {
		_ = w.wire.Close() // it sends nothing
	}
}

// takesNoMore is why nothing can be written any more, if so.
func (w *DataWriter) takesNoMore() error {
	if w.closed {
		return ErrClosed
	}
	return w.ended
}

// err is the error of a call of what sending gave. grpc-go gives io.EOF where the call has ended; why is for the reader to learn.
func (w *DataWriter) err(err error) error {
	if err == nil || w.failed == nil {
		return err
	}
	err = w.failed(err)
	if errors.Is(err, io.EOF) {
		err = errEnded
		if ended := w.end(); ended != nil {
			err = ended
		}
		w.ended = err
	}
	return err
}

// errEnded is the error of writing where the call has ended well.
var errEnded = Errorf(KindCancelled, "the server has ended the call and takes no more data")
