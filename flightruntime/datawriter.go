package flightruntime

import (
	"errors"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// DataWriter sends record batches and metadata: a server's half of DoExchange, and a client's of DoPut and DoExchange. It is not safe for
// use by several goroutines; another may read meanwhile.
type DataWriter struct {
	stream          wire.MessageSender
	maxMessageBytes int
	descriptor      *FlightDescriptor // goes with a client's first message
	options         WriteOptions      // of Begin, where it is given none
	wire            *wire.Writer
	// Of clients: the size that a message may not exceed, what closes their half, what waits for the end of the call, and what makes the
	// error of a call of what writing ended with.
	sizeLimit int
	closeSend func() error
	finish    func() error
	failed    func(error) error
}

// ErrNotBegun is the error of writing a batch before Begin.
var ErrNotBegun = errors.New("call Begin with the schema before writing record batches")

// Begin says the schema of the batches that follow. It may be called once.
func (w *DataWriter) Begin(schema *arrow.Schema, options WriteOptions) error {
	if w.wire != nil {
		return errors.New("Begin was called before: a stream has one schema")
	}
	if w.descriptor != nil {
		options.Descriptor = w.descriptor
		w.descriptor = nil
	}
	begun, err := wire.NewWriter(w.stream, schema, w.maxMessageBytes, options)
	if err != nil {
		return w.err(err)
	}
	w.wire = begun
	return nil
}

// Write sends a chunk: a batch, its metadata, or both.
func (w *DataWriter) Write(c Chunk) error {
	if c.Batch == nil {
		return w.WriteMetadata(c.AppMetadata)
	}
	if w.wire == nil {
		return ErrNotBegun
	}
	return w.err(w.wire.WriteChunk(c))
}

// WriteBatch sends a batch without metadata.
func (w *DataWriter) WriteBatch(batch arrow.RecordBatch) error { return w.Write(Chunk{Batch: batch}) }

// WriteMetadata sends metadata alone. It may be called before Begin.
func (w *DataWriter) WriteMetadata(appMetadata []byte) error {
	d := w.descriptor
	w.descriptor = nil
	return w.err(wire.SendMetadata(w.stream, d, appMetadata))
}

// CloseSend tells the other side that no more will be written. On a server it does nothing: returning ends the call.
func (w *DataWriter) CloseSend() error {
	if w.closeSend == nil {
		return nil
	}
	if w.descriptor != nil { // nothing was written, but the server may want to know
		if err := w.WriteMetadata(nil); err != nil {
			return err
		}
	}
	return w.err(w.closeSend())
}

// Close tells the other side that no more will be written, waits for the end of the call, and tells how it ended. What the server still
// answers is passed over.
func (w *DataWriter) Close() error {
	if w.closeSend == nil {
		return nil
	}
	defer w.release()
	if err := w.CloseSend(); err != nil {
		return err
	}
	return w.finish()
}

func (w *DataWriter) release() {
	if w.wire != nil {
		_ = w.wire.Close() // it sends nothing
	}
}

func (w *DataWriter) err(err error) error {
	if err == nil || w.failed == nil {
		return err
	}
	return w.failed(err)
}
