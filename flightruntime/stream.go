package flightruntime

import (
	"errors"
	"io"
	"iter"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// Chunk is a record batch with the app_metadata that goes with it. A chunk without a batch is a message of metadata alone.
type Chunk = wire.Chunk

// EncodedSchema is a schema with the message that a stream begins with.
type EncodedSchema = wire.EncodedSchema

// EncodeForStreams encodes a schema for any number of streams; see DataStream.EncodedSchema. It is an error if Arrow's format, or arrow-go, cannot write it.
func EncodeForStreams(schema *arrow.Schema) (*EncodedSchema, error) { return wire.EncodeSchema(schema) }

// DataStream is what DoGet answers with: pyarrow's FlightDataStream.
type DataStream struct {
	// Schema of every batch. The client gets it at once.
	Schema *arrow.Schema
	// EncodedSchema, if set, is the same schema, encoded before. A service that answers many calls with one schema saves time by it.
	EncodedSchema *EncodedSchema
	// Chunks are sent in their order. A batch may be released, or used again, as soon as the sequence goes on, if its memory is the
	// garbage collector's or the chunk has an Owner; see package wire. An error ends the call.
	Chunks iter.Seq2[Chunk, error]
	// Options say how batches are encoded.
	Options WriteOptions
	// MaxMessageBytes, if set, is a lower bound on messages than the server's own.
	MaxMessageBytes int

	release func() // if set, frees what the stream holds when the call has ended
}

// WriteOptions say how batches are encoded: pyarrow's IpcWriteOptions. The zero value is Arrow's latest format, uncompressed.
type WriteOptions struct {
	// IPC are options of arrow-go: ipc.WithLZ4, ipc.WithZstd, ipc.WithDictionaryDeltas and others.
	IPC []ipc.Option
	// MetadataVersion is ipc.MetadataV4, for readers before Arrow 1.0, or ipc.MetadataV5, which is the default.
	MetadataVersion ipc.MetadataVersion
}

func (o WriteOptions) wire() []wire.WriterOption {
	opts := []wire.WriterOption{wire.WithIPC(o.IPC...)}
	if o.MetadataVersion != 0 {
		opts = append(opts, wire.WithMetadataVersion(o.MetadataVersion))
	}
	return opts
}

// RecordBatchStream is a stream of a reader's batches: pyarrow's RecordBatchStream. DoGet may answer with it once; the reader is released
// when the call has ended.
func RecordBatchStream(r array.RecordReader) *DataStream {
	return &DataStream{Schema: r.Schema(), release: r.Release, Chunks: func(yield func(Chunk, error) bool) {
		for r.Next() {
			if !yield(Chunk{Batch: r.RecordBatch()}, nil) {
				return
			}
		}
		if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
			yield(Chunk{}, err)
		}
	}}
}

// GeneratorStream is a stream of what a sequence yields: pyarrow's GeneratorStream. All batches have the schema.
func GeneratorStream(schema *arrow.Schema, chunks iter.Seq2[Chunk, error]) *DataStream {
	return &DataStream{Schema: schema, Chunks: chunks}
}

// MetadataWriter answers a DoPut: pyarrow's FlightMetadataWriter. It is not safe for use by several goroutines; another may read meanwhile.
type MetadataWriter struct {
	stream flight.FlightService_DoPutServer
}

// Write sends metadata, which mean something to the client and the service alone.
func (w *MetadataWriter) Write(appMetadata []byte) error {
	return w.stream.Send(&flight.PutResult{AppMetadata: appMetadata})
}

// DataReader reads what the other side of a call sends. It is not safe for use by several goroutines; another may write meanwhile. On a
// server, a goroutine may go on reading when the call has ended: it then gets an error.
type DataReader struct {
	mu   sync.Mutex // a server's release, and a client's writer that learns of the end, come while a goroutine may be reading
	wire *wire.Reader
	kept []Chunk           // what end has read
	held arrow.RecordBatch // what Read gave last
	err  error             // of Read, once there is no more
	// Of clients: what makes the error of a call of what reading ended with, and what ends the call.
	failed func(error) error
	cancel func()
}

// Descriptor is what the client sent with its first message, for which it waits.
func (r *DataReader) Descriptor() (*FlightDescriptor, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, err := r.wire.Descriptor()
	return d, r.broken(r.asError(err))
}

// Schema is the schema of the batches, for which it waits. Chunks of metadata alone that come before are kept for Read. Where the other
// side ends without a schema, the error is io.EOF.
func (r *DataReader) Schema() (*arrow.Schema, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.wire.Schema()
	return s, r.broken(r.asError(err))
}

// UsePool has the memory of batches come from a pool from the next message on. It is for handlers that release what they read and send none of it on,
// as wire.Pool says.
func (r *DataReader) UsePool(pool *wire.Pool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wire.UsePool(pool)
}

// Read waits for the next chunk; io.EOF after the last. Its batch is valid until the next Read: retain it to keep it.
func (r *DataReader) Read() (Chunk, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.releaseHeld()
	if len(r.kept) > 0 {
		c := r.kept[0]
		r.kept, r.held = r.kept[1:], c.Batch
		return c, nil
	}
	c, err := r.receive()
	if c.Batch != nil { // end lets the wire's reader go on while the caller is still at this one
		c.Batch.Retain()
		r.held = c.Batch
	}
	return c, err
}

// receive waits for the next chunk. mu is held.
func (r *DataReader) receive() (Chunk, error) {
	if r.err != nil {
		return Chunk{}, r.err
	}
	c, err := r.wire.Next()
	if err = r.asError(err); err != nil {
		r.endWith(err)
	}
	return c, err
}

// broken ends reading with an error. io.EOF does not: chunks of metadata alone may have been kept. mu is held.
func (r *DataReader) broken(err error) error {
	if err != nil && r.err == nil && !errors.Is(err, io.EOF) {
		r.endWith(err)
	}
	return err
}

// endWith remembers how reading ended. A client lets go of what the reader holds, for nobody else does. mu is held.
func (r *DataReader) endWith(err error) {
	r.err = err
	if r.failed != nil {
		r.wire.Release()
	}
}

// end reads up to the end of a call that is known to have come, and gives the error that it ended with. What has come before, which is no
// more than a connection holds, is kept for Read.
func (r *DataReader) end() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		c, err := r.receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if c.Batch != nil {
			c.Batch.Retain()
		}
		r.kept = append(r.kept, c)
	}
}

// discard waits for the end of the call, passes over what comes before, and gives the error that the call ended with.
func (r *DataReader) discard() error {
	for {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Chunks are those that Read gives, up to the last.
func (r *DataReader) Chunks() iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		for {
			c, err := r.Read()
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(Chunk{}, err)
				return
			case !yield(c, nil):
				return
			}
		}
	}
}

// ReadAll is the rest of the stream as a table, without its metadata. The caller releases it.
func (r *DataReader) ReadAll() (arrow.Table, error) {
	schema, err := r.Schema()
	if err != nil {
		return nil, err
	}
	var batches []arrow.RecordBatch
	defer func() {
		for _, b := range batches {
			b.Release()
		}
	}()
	for c, err := range r.Chunks() {
		if err != nil {
			return nil, err
		}
		if c.Batch != nil {
			c.Batch.Retain()
			batches = append(batches, c.Batch)
		}
	}
	return array.NewTableFromRecords(schema, batches), nil
}

// Cancel ends the call at once. The batch that was read last stays valid until the next Read, which tells that the call was cancelled. On a
// server it does nothing: returning ends the call.
func (r *DataReader) Cancel() {
	if r.cancel != nil {
		r.cancel()
	}
}

// release frees what the reader holds, as soon as nobody reads.
func (r *DataReader) release() {
	if r.mu.TryLock() {
		r.releaseAll()
		return
	}
	go func() { // whoever reads gets an error when the handler has returned
		r.mu.Lock()
		r.releaseAll()
	}()
}

// releaseAll frees what the reader holds, and mu.
func (r *DataReader) releaseAll() {
	defer r.mu.Unlock()
	r.releaseHeld()
	r.wire.Release()
}

func (r *DataReader) releaseHeld() {
	if r.held != nil {
		r.held.Release()
		r.held = nil
	}
}

func (r *DataReader) asError(err error) error {
	if err == nil || r.failed == nil || errors.Is(err, io.EOF) {
		return err
	}
	return r.failed(err)
}
