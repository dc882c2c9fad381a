package flightserver

import (
	"context"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Constant serves the same tables, fresh at each call, by the tickets "depths", "tides" and "winds".
type Constant struct {
	flightruntime.BaseService
	// Options say how they are encoded.
	Options flightruntime.WriteOptions
}

// DoGet sends a table.
func (c Constant) DoGet(_ context.Context, ticket *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	batches, ok := map[string]func() []arrow.RecordBatch{
		"depths": func() []arrow.RecordBatch { return []arrow.RecordBatch{Depths()} },
		"tides":  func() []arrow.RecordBatch { return []arrow.RecordBatch{Tides()} },
		"winds":  Winds,
	}[string(ticket.GetTicket())]
	if !ok {
		return nil, flightruntime.Errorf(flightruntime.KindNotFound, "there is no table %q", ticket.GetTicket())
	}
	stream := batchStream(batches()...)
	stream.Options = c.Options
	return stream, nil
}

// batchStream is a stream of batches without metadata.
func batchStream(batches ...arrow.RecordBatch) *flightruntime.DataStream {
	return flightruntime.GeneratorStream(batches[0].Schema(), func(yield func(flightruntime.Chunk, error) bool) {
		for _, b := range batches {
			if !yield(flightruntime.Chunk{Batch: b}, nil) {
				return
			}
		}
	})
}

// Broken sends a batch of another schema than it said.
type Broken struct{ flightruntime.BaseService }

// DoGet promises integers and then sends text too.
func (Broken) DoGet(context.Context, *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	stream := batchStream(Depths(), Tides())
	return stream, nil
}

// Empty sends chunks that hold nothing: by the ticket "at last" a few before the data, by any other for ever.
type Empty struct{ flightruntime.BaseService }

// DoGet sends them.
func (Empty) DoGet(_ context.Context, ticket *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	const few = 5
	return flightruntime.GeneratorStream(Depths().Schema(), func(yield func(flightruntime.Chunk, error) bool) {
		for i := 0; ; i++ {
			var c flightruntime.Chunk
			if i == few && string(ticket.GetTicket()) == "at last" {
				c.Batch = Depths()
			}
			if !yield(c, nil) || c.Batch != nil {
				return
			}
		}
	}), nil
}

// Nothing answers with nil.
type Nothing struct{ flightruntime.BaseService }

// ListFlights lists no flight.
func (Nothing) ListFlights(context.Context, []byte) iter.Seq2[*flightruntime.FlightInfo, error] {
	return func(yield func(*flightruntime.FlightInfo, error) bool) { yield(nil, nil) }
}

// GetFlightInfo tells of no flight.
func (Nothing) GetFlightInfo(context.Context, *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	return nil, nil
}

// GetSchema tells no schema.
func (Nothing) GetSchema(context.Context, *flightruntime.FlightDescriptor) (*arrow.Schema, error) {
	return nil, nil
}

// DoGet has no stream.
func (Nothing) DoGet(context.Context, *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	return nil, nil
}

// ListActions lists no action.
func (Nothing) ListActions(context.Context) ([]*flightruntime.ActionType, error) {
	return []*flightruntime.ActionType{{Type: "one"}, nil}, nil
}

// Numbered puts a number on each batch, as its app_metadata, and answers each batch that is put with the number on it.
type Numbered struct {
	flightruntime.BaseService
	// Options say how batches are encoded.
	Options flightruntime.WriteOptions
}

// DoGet sends five batches of a row each.
func (n Numbered) DoGet(context.Context, *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	depths := Depths()
	stream := flightruntime.GeneratorStream(depths.Schema(), numbered(depths))
	stream.Options = n.Options
	return stream, nil
}

// numbered cuts a batch into rows.
func numbered(batch arrow.RecordBatch) iter.Seq2[flightruntime.Chunk, error] {
	return func(yield func(flightruntime.Chunk, error) bool) {
		for i := range batch.NumRows() {
			c := flightruntime.Chunk{Batch: batch.NewSlice(i, i+1), AppMetadata: fmt.Append(nil, i)}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// DoPut takes the rows of Depths, numbered from 0, and answers each.
func (n Numbered) DoPut(_ context.Context, r *flightruntime.DataReader, w *flightruntime.MetadataWriter) error {
	expected := Depths()
	var row int64
	for c, err := range r.Chunks() {
		if err != nil {
			return err
		}
		if c.Batch == nil || row >= expected.NumRows() || !array.RecordEqual(c.Batch, expected.NewSlice(row, row+1)) {
			return flightruntime.Errorf(flightruntime.KindInvalid, "chunk %d is not row %d of the depths: %v", row, row, c.Batch)
		}
		if string(c.AppMetadata) != fmt.Sprint(row) {
			return flightruntime.Errorf(flightruntime.KindInvalid, "chunk %d has the number %q", row, c.AppMetadata)
		}
		if err := w.Write(c.AppMetadata); err != nil {
			return err
		}
		row++
	}
	if row != expected.NumRows() {
		return flightruntime.Errorf(flightruntime.KindInvalid, "expected %d batches, got %d", expected.NumRows(), row)
	}
	return nil
}
