package flightserver

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Endless never ends a stream by itself. By tickets and commands, it is "waiting" for the client to go, after a batch, or "sending" for as
// long as it is there; "silent" sends nothing.
type Endless struct {
	flightruntime.BaseService
	// Running counts the streams that have not noticed that the client is gone.
	Running atomic.Int64
}

// DoGet waits or sends.
func (e *Endless) DoGet(ctx context.Context, ticket *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	how := string(ticket.GetTicket())
	if how == "silent" {
		e.Running.Add(1)
		defer e.Running.Add(-1)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return flightruntime.GeneratorStream(Depths().Schema(), func(yield func(flightruntime.Chunk, error) bool) {
		e.Running.Add(1)
		defer e.Running.Add(-1)
		for yield(flightruntime.Chunk{Batch: Depths()}, nil) {
			if how == "waiting" {
				<-ctx.Done()
				yield(flightruntime.Chunk{}, context.Cause(ctx))
				return
			}
		}
	}), nil
}

// DoExchange sends batches without columns until the client is gone.
func (e *Endless) DoExchange(ctx context.Context, r *flightruntime.DataReader, w *flightruntime.DataWriter) error {
	if _, err := r.Descriptor(); err != nil {
		return err
	}
	e.Running.Add(1)
	defer e.Running.Add(-1)
	batch := array.NewRecordBatch(arrow.NewSchema(nil, nil), nil, 0)
	if err := w.Begin(batch.Schema(), flightruntime.WriteOptions{}); err != nil {
		return err
	}
	for !flightruntime.CallOf(ctx).IsCancelled() {
		if err := w.WriteBatch(batch); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// afterAll is when DoPut ends, of the command "after all".
const afterAll = time.Second

// DoPut waits for the client to go, whatever it sends; with the command "after all", it fails before that.
func (e *Endless) DoPut(ctx context.Context, r *flightruntime.DataReader, _ *flightruntime.MetadataWriter) error {
	d, err := r.Descriptor()
	if err != nil {
		return err
	}
	e.Running.Add(1)
	defer e.Running.Add(-1)
	var after <-chan time.Time
	if string(d.GetCmd()) == "after all" {
		after = time.After(afterAll)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-after:
		return flightruntime.Errorf(flightruntime.KindCancelled, "after all")
	}
}

// Large answers with metadata of any size.
type Large struct {
	flightruntime.BaseService
	// Metadata is sent.
	Metadata []byte
}

// DoGet sends a batch with the metadata.
func (l Large) DoGet(context.Context, *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	return flightruntime.GeneratorStream(Depths().Schema(), func(yield func(flightruntime.Chunk, error) bool) {
		yield(flightruntime.Chunk{Batch: Depths(), AppMetadata: l.Metadata}, nil)
	}), nil
}

// DoExchange sends the metadata alone, by the command "send", or reads what the client sends.
func (l Large) DoExchange(_ context.Context, r *flightruntime.DataReader, w *flightruntime.DataWriter) error {
	d, err := r.Descriptor()
	if err != nil {
		return err
	}
	if string(d.GetCmd()) == "send" {
		return w.WriteMetadata(l.Metadata)
	}
	return readAll(r)
}

// DoPut reads what the client sends.
func (l Large) DoPut(_ context.Context, r *flightruntime.DataReader, _ *flightruntime.MetadataWriter) error {
	return readAll(r)
}

func readAll(r *flightruntime.DataReader) error {
	for _, err := range r.Chunks() {
		if err != nil {
			return err
		}
	}
	return nil
}
