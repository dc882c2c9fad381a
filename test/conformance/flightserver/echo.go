package flightserver

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Echo gives back what was put last: by the ticket "batches" in batches of 1024 rows, by "whole" in one, by "reader" through a reader.
type Echo struct {
	flightruntime.BaseService

	mu   sync.Mutex
	last arrow.Table
	path []string
}

// DoPut keeps a table.
func (e *Echo) DoPut(_ context.Context, r *flightruntime.DataReader, _ *flightruntime.MetadataWriter) error {
	d, err := r.Descriptor()
	if err != nil {
		return err
	}
	table, err := r.ReadAll()
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last, e.path = table, d.GetPath()
	return nil
}

// DoGet gives it back.
func (e *Echo) DoGet(_ context.Context, ticket *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last == nil {
		return nil, flightruntime.Errorf(flightruntime.KindPrecondition, "nothing has been put")
	}
	const some = 1024
	switch string(ticket.GetTicket()) {
	case "batches":
		var batches []arrow.RecordBatch
		for r := array.NewTableReader(e.last, some); r.Next(); {
			b := r.RecordBatch()
			b.Retain()
			batches = append(batches, b)
		}
		return batchStream(batches...), nil
	case "whole":
		r := array.NewTableReader(e.last, e.last.NumRows())
		r.Next()
		return batchStream(r.RecordBatch()), nil
	case "reader":
		return flightruntime.RecordBatchStream(array.NewTableReader(e.last, some)), nil
	default:
		return nil, flightruntime.Errorf(flightruntime.KindNotFound, "there is no ticket %q", ticket.GetTicket())
	}
}

// DoExchange passes over what comes, and answers nothing.
func (e *Echo) DoExchange(_ context.Context, r *flightruntime.DataReader, _ *flightruntime.DataWriter) error {
	return readAll(r)
}

// GetFlightInfo tells of what was put last.
func (e *Echo) GetFlightInfo(context.Context, *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	told, err := json.Marshal(e.path)
	if err != nil {
		return nil, err
	}
	return &flightruntime.FlightInfo{
		Schema: schemaBytes(e.last.Schema()), FlightDescriptor: flightruntime.DescriptorForPath(e.path...),
		TotalRecords: e.last.NumRows(), TotalBytes: unknown, AppMetadata: told,
	}, nil
}
