package flightruntime

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// adapter answers the RPCs that gRPC generates for Flight.proto by a Service.
type adapter struct {
	flight.BaseFlightServer

	service         Service
	handshake       func(context.Context, AuthConversation) error // nil: there are none
	maxMessageBytes int
}

var _ flight.FlightServer = (*adapter)(nil)

// errNothing is what a client hears where a service answers with nil.
func errNothing(m Method, what string) error {
	return Errorf(KindInternal, "the service answered %s without %s", m, what)
}

func (a *adapter) ListFlights(criteria *flight.Criteria, stream flight.FlightService_ListFlightsServer) error {
	for info, err := range a.service.ListFlights(stream.Context(), criteria.GetExpression()) {
		if err != nil {
			return err
		}
		if info == nil {
			return errNothing(MethodListFlights, "a FlightInfo")
		}
		if err := stream.Send(info); err != nil {
			return err
		}
	}
	return nil
}

func (a *adapter) GetFlightInfo(ctx context.Context, d *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	info, err := a.service.GetFlightInfo(ctx, d)
	if err == nil && info == nil {
		return nil, errNothing(MethodGetFlightInfo, "a FlightInfo")
	}
	if err == nil && info.GetFlightDescriptor() == nil { // C++ clients do not take one without
		info, _ = proto.Clone(info).(*flight.FlightInfo) // the service may give the same one to others
		info.FlightDescriptor = d
	}
	return info, err
}

func (a *adapter) PollFlightInfo(ctx context.Context, d *flight.FlightDescriptor) (*flight.PollInfo, error) {
	info, err := a.service.PollFlightInfo(ctx, d)
	if err == nil && info == nil {
		return nil, errNothing(MethodPollFlightInfo, "a PollInfo")
	}
	return info, err
}

func (a *adapter) GetSchema(ctx context.Context, d *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	schema, err := a.service.GetSchema(ctx, d)
	if err != nil {
		return nil, err
	}
	if schema == nil {
		return nil, errNothing(MethodGetSchema, "a schema")
	}
	return &flight.SchemaResult{Schema: EncodeSchema(schema)}, nil
}

func (a *adapter) DoGet(ticket *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	data, err := a.service.DoGet(stream.Context(), ticket)
	if err != nil {
		return err
	}
	if data == nil || data.Schema == nil || data.Chunks == nil {
		return errNothing(MethodDoGet, "a stream")
	}
	if data.release != nil {
		defer data.release()
	}
	limit := a.maxMessageBytes
	if data.MaxMessageBytes > 0 {
		limit = min(limit, data.MaxMessageBytes)
	}
	w, err := wire.NewWriter(stream, data.Schema, limit, append(data.Options.wire(), wire.WithEncodedSchema(data.EncodedSchema), wire.WithLargeMessage())...)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }() // it sends nothing
	empty := 0
	for c, err := range data.Chunks {
		if err != nil {
			return err
		}
		if isEmpty(c) {
			if empty++; empty > maxEmptyChunks {
				return Errorf(KindInternal, "the service answered DoGet with more than %d empty chunks in a row", maxEmptyChunks)
			}
			continue
		}
		empty = 0
		if err := w.WriteChunk(c); err != nil {
			return err
		}
	}
	return nil
}

// maxEmptyChunks in a row are passed over: a service that yields nothing else would never end. As many as pyarrow's servers take.
const maxEmptyChunks = 128

// isEmpty is true of a chunk that says nothing. It is not sent: C++ clients take such a message for the end of the stream.
func isEmpty(c Chunk) bool { return c.Batch == nil && c.Encoded == nil && len(c.AppMetadata) == 0 }

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
	return &DataReader{wire: wire.NewReader(stream, wire.ReaderOptions{MaxMessageBytes: a.maxMessageBytes})}
}

func (a *adapter) DoAction(action *flight.Action, stream flight.FlightService_DoActionServer) error {
	if err := mayAct(CallOf(stream.Context()), action.GetType()); err != nil {
		return err
	}
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
		if action == nil {
			return errNothing(MethodListActions, "an ActionType")
		}
		if err := stream.Send(action); err != nil {
			return err
		}
	}
	return nil
}
