package flightserver

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Failing ends each RPC with the error that the client asks for: a flightruntime.ErrorKind, in a ticket, a command, an action's type or a
// criteria. ListActions, which has none of these, takes it from the header "x-error". After the kind may come "+info" for extra info,
// and "+wrapped" for an error that wraps the Flight error.
type Failing struct{ flightruntime.BaseService }

// ExtraInfo goes with the errors: bytes that are neither text nor a protobuf message.
var ExtraInfo = []byte("\x00\xff extra \x80info")

// FailingMessage is what the errors say.
const FailingMessage = "aground off Terschelling"

func asked[T string | []byte](what T) error {
	kind, options, _ := strings.Cut(string(what), "+")
	err := flightruntime.Errorf(flightruntime.ErrorKind(kind), FailingMessage)
	if strings.Contains(options, "info") {
		err = err.WithExtraInfo(ExtraInfo)
	}
	if strings.Contains(options, "wrapped") {
		return fmt.Errorf("on the way to Harlingen: %w", err)
	}
	return err
}

// ListFlights yields a flight before the error.
func (Failing) ListFlights(_ context.Context, criteria []byte) iter.Seq2[*flightruntime.FlightInfo, error] {
	return func(yield func(*flightruntime.FlightInfo, error) bool) {
		if yield(flightOf(flightruntime.DescriptorForPath("one")), nil) {
			yield(nil, asked(criteria))
		}
	}
}

// GetFlightInfo fails.
func (Failing) GetFlightInfo(_ context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	return nil, asked(d.GetCmd())
}

// GetSchema fails.
func (Failing) GetSchema(_ context.Context, d *flightruntime.FlightDescriptor) (*arrow.Schema, error) {
	return nil, asked(d.GetCmd())
}

// DoGet fails at once, or, if the ticket begins with "late ", after a batch.
func (Failing) DoGet(_ context.Context, ticket *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	what, late := strings.CutPrefix(string(ticket.GetTicket()), "late ")
	if !late {
		return nil, asked(what)
	}
	return flightruntime.GeneratorStream(Depths().Schema(), func(yield func(flightruntime.Chunk, error) bool) {
		if yield(flightruntime.Chunk{Batch: Depths()}, nil) {
			yield(flightruntime.Chunk{}, asked(what))
		}
	}), nil
}

// DoPut fails without reading what the client sends.
func (Failing) DoPut(_ context.Context, r *flightruntime.DataReader, _ *flightruntime.MetadataWriter) error {
	return failedExchange(r)
}

// DoExchange fails without reading what the client sends.
func (Failing) DoExchange(_ context.Context, r *flightruntime.DataReader, _ *flightruntime.DataWriter) error {
	return failedExchange(r)
}

func failedExchange(r *flightruntime.DataReader) error {
	d, err := r.Descriptor()
	if err != nil {
		return err
	}
	return asked(d.GetCmd())
}

// DoAction fails.
func (Failing) DoAction(_ context.Context, action *flightruntime.Action) iter.Seq2[[]byte, error] {
	return failing(asked(action.GetType()))
}

// ListActions fails.
func (Failing) ListActions(ctx context.Context) ([]*flightruntime.ActionType, error) {
	return nil, asked(strings.Join(flightruntime.CallOf(ctx).Headers().Get("x-error"), ""))
}
