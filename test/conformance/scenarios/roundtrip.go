package scenarios

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// roundTrip is the scenario without a name: it gives back, under a path, what was put there.
type roundTrip struct {
	flightruntime.BaseService

	mu       sync.Mutex
	uploaded map[string]upload
}

type upload struct {
	schema  *arrow.Schema
	batches []arrow.RecordBatch
	rows    int64
}

func newRoundTrip() *roundTrip { return &roundTrip{uploaded: map[string]upload{}} }

func pathOf(d *flightruntime.FlightDescriptor) (string, error) {
	if d.GetType() != flight.DescriptorPATH || len(d.GetPath()) != 1 {
		return "", flightruntime.Errorf(flightruntime.KindInvalid, "expected a descriptor with a path of one part, got %s", d)
	}
	return d.GetPath()[0], nil
}

func (s *roundTrip) find(path string) (upload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.uploaded[path]
	if !ok {
		return upload{}, flightruntime.Errorf(flightruntime.KindNotFound, "nothing was put at %q", path)
	}
	return u, nil
}

// DoPut acknowledges each batch by the metadata that it came with.
func (s *roundTrip) DoPut(_ context.Context, r *flightruntime.DataReader, w *flightruntime.MetadataWriter) error {
	d, err := r.Descriptor()
	if err != nil {
		return err
	}
	path, err := pathOf(d)
	if err != nil {
		return err
	}
	var u upload
	if u.schema, err = r.Schema(); err != nil {
		return err
	}
	for c, err := range r.Chunks() {
		if err != nil {
			return err
		}
		if c.Batch != nil {
			c.Batch.Retain()
			u.batches = append(u.batches, c.Batch)
			u.rows += c.Batch.NumRows()
		}
		if len(c.AppMetadata) > 0 {
			if err := w.Write(bytes.Clone(c.AppMetadata)); err != nil {
				return err
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploaded[path] = u // of one before, a stream may still be running: the garbage collector has it
	return nil
}

// GetFlightInfo gives the location that the client connected to: the client wants one.
func (s *roundTrip) GetFlightInfo(ctx context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	path, err := pathOf(d)
	if err != nil {
		return nil, err
	}
	u, err := s.find(path)
	if err != nil {
		return nil, err
	}
	authority := flightruntime.CallOf(ctx).Headers().Get(":authority")
	if len(authority) != 1 {
		return nil, fmt.Errorf("expected one header :authority, got %q", authority)
	}
	e := endpoint(path)
	e.Location = []*flight.Location{{Uri: "grpc+tcp://" + authority[0]}}
	info := flightInfo(u.schema, d, e)
	info.TotalRecords = u.rows
	return info, nil
}

// GetSchema is the schema that was put.
func (s *roundTrip) GetSchema(_ context.Context, d *flightruntime.FlightDescriptor) (*arrow.Schema, error) {
	path, err := pathOf(d)
	if err != nil {
		return nil, err
	}
	u, err := s.find(path)
	return u.schema, err
}

// DoGet numbers the batches in their metadata.
func (s *roundTrip) DoGet(_ context.Context, ticket *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	u, err := s.find(string(ticket.GetTicket()))
	if err != nil {
		return nil, err
	}
	return flightruntime.GeneratorStream(u.schema, func(yield func(flightruntime.Chunk, error) bool) {
		for i, batch := range u.batches {
			if !yield(flightruntime.Chunk{Batch: batch, AppMetadata: []byte(strconv.Itoa(i))}, nil) {
				return
			}
		}
	}), nil
}

// echo is the scenario do_exchange:echo: it sends back what comes, batches and metadata as they came together.
type echo struct{ flightruntime.BaseService }

// DoExchange takes the command "echo".
func (echo) DoExchange(_ context.Context, r *flightruntime.DataReader, w *flightruntime.DataWriter) error {
	d, err := r.Descriptor()
	if err != nil {
		return err
	}
	if !isCommand(d, "echo") {
		return flightruntime.Errorf(flightruntime.KindInvalid, "expected the command echo, got the descriptor %s", d)
	}
	begun := false
	for c, err := range r.Chunks() {
		if err != nil {
			return err
		}
		if c.Batch != nil && !begun {
			begun = true
			if err := w.Begin(c.Batch.Schema(), flightruntime.WriteOptions{}); err != nil {
				return err
			}
		}
		if err := w.Write(c); err != nil {
			return err
		}
	}
	return nil
}
