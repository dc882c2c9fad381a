package datasets

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow/flight"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
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
		if err := s.caller(ctx).mayEcho(); err != nil {
			return err
		}
		return echo(r, w)
	}
	asked, err := s.described(ctx, authz.Exchange, d)
	if err != nil {
		return err
	}
	if err := s.follow(ctx, asked.permit); err != nil {
		return err
	}
	return s.subscribe(ctx, asked, r, w)
}

// mayEcho lets those echo who may subscribe to anything.
func (c caller) mayEcho() error {
	p := permit{caller: c, verb: authz.Exchange}
	ok := c.unbound()
	if !ok {
		p.grant, ok = c.policy.AllowsSome(c.id, authz.Exchange)
	}
	c.record.decided(p, ok)
	switch {
	case ok:
		return nil
	case c.id == nil:
		return errNobody
	}
	return flightruntime.Errorf(flightruntime.KindUnauthorized, "you may not exchange: whoever runs this server can allow it by a rule with the verb exchange")
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
