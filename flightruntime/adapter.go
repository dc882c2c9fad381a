package flightruntime

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// adapter answers the RPCs that gRPC generates for Flight.proto by a Service.
type adapter struct {
	flight.BaseFlightServer

	service         Service
	auth            ServerAuthHandler
	maxMessageBytes int
}

var _ flight.FlightServer = (*adapter)(nil)

func (a *adapter) ListFlights(criteria *flight.Criteria, stream flight.FlightService_ListFlightsServer) error {
	for info, err := range a.service.ListFlights(stream.Context(), criteria.GetExpression()) {
		if err != nil {
			return err
		}
		if err := stream.Send(info); err != nil {
			return err
		}
	}
	return nil
}

func (a *adapter) GetFlightInfo(ctx context.Context, d *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return a.service.GetFlightInfo(ctx, d)
}

func (a *adapter) PollFlightInfo(ctx context.Context, d *flight.FlightDescriptor) (*flight.PollInfo, error) {
	return a.service.PollFlightInfo(ctx, d)
}

func (a *adapter) GetSchema(ctx context.Context, d *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	schema, err := a.service.GetSchema(ctx, d)
	if err != nil {
		return nil, err
	}
	return &flight.SchemaResult{Schema: flight.SerializeSchema(schema, memory.DefaultAllocator)}, nil
}

func (a *adapter) DoGet(ticket *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	data, err := a.service.DoGet(stream.Context(), ticket)
	if err != nil {
		return err
	}
	if data == nil || data.Schema == nil || data.Chunks == nil {
		return Errorf(KindInternal, "the service answered DoGet without a stream")
	}
	limit := a.maxMessageBytes
	if data.MaxMessageBytes > 0 {
		limit = min(limit, data.MaxMessageBytes)
	}
	w, err := wire.NewWriter(stream, data.Schema, limit, data.Options)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }() // it sends nothing
	for c, err := range data.Chunks {
		if err != nil {
			return err
		}
		if err := w.WriteChunk(c); err != nil {
			return err
		}
	}
	return nil
}

func (a *adapter) DoPut(stream flight.FlightService_DoPutServer) error {
	r := a.reader(stream)
	defer r.release()
	return a.service.DoPut(stream.Context(), r, &MetadataWriter{stream})
}

func (a *adapter) DoExchange(stream flight.FlightService_DoExchangeServer) error {
	r := a.reader(stream)
	defer r.release()
	w := &DataWriter{stream: stream, maxMessageBytes: a.maxMessageBytes}
	defer w.release()
	return a.service.DoExchange(stream.Context(), r, w)
}

func (a *adapter) reader(stream wire.MessageReceiver) *DataReader {
	return &DataReader{wire: wire.NewReader(stream, wire.ReadOptions{MaxMessageBytes: a.maxMessageBytes, Validate: true})}
}

func (a *adapter) DoAction(action *flight.Action, stream flight.FlightService_DoActionServer) error {
	results := a.service.DoAction(stream.Context(), action)
	// C++ clients wait for the headers before they hand the call to their caller.
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	for body, err := range results {
		if err != nil {
			return err
		}
		if err := stream.Send(&flight.Result{Body: body}); err != nil {
			return err
		}
	}
	return nil
}

func (a *adapter) ListActions(_ *flight.Empty, stream flight.FlightService_ListActionsServer) error {
	actions, err := a.service.ListActions(stream.Context())
	if err != nil {
		return err
	}
	for _, action := range actions {
		if err := stream.Send(action); err != nil {
			return err
		}
	}
	return nil
}
