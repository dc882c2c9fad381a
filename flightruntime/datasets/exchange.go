package datasets

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow/flight"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// echoCommand is the descriptor's command that makes DoExchange send back what it gets: for diagnosis.
const echoCommand = "echo"

// DoExchange subscribes to a dataset or to the answer to a query, or echoes.
func (s *Service) DoExchange(ctx context.Context, r *flightruntime.DataReader, w *flightruntime.DataWriter) error {
	d, err := r.Descriptor()
	if err != nil {
		return err
	}
	if d.GetType() == flight.DescriptorCMD && string(d.GetCmd()) == echoCommand {
		return echo(r, w)
	}
	asked, err := s.described(d)
	if err != nil {
		return err
	}
	return s.subscribe(ctx, asked, r, w)
}

// echo sends back each chunk as it came, and the schema even if no batch follows it.
func echo(r *flightruntime.DataReader, w *flightruntime.DataWriter) error {
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
	if begun {
		return nil
	}
	schema, err := r.Schema()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.Begin(schema, flightruntime.WriteOptions{})
}
