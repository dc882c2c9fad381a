package flightruntime

import (
	"context"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
)

// Service answers the Flight RPCs: pyarrow's FlightServerBase. Embed BaseService and override what you serve; the rest answers
// UNIMPLEMENTED. CallOf(ctx) tells of the call; ctx is done as soon as the client is gone, has cancelled, or its deadline has passed.
// Return an *Error to say what kind of error it is; any other error is INTERNAL. Methods are called by many goroutines at once.
type Service interface {
	// ListFlights yields the flights that match the criteria, which mean something to the service alone.
	ListFlights(ctx context.Context, criteria []byte) iter.Seq2[*FlightInfo, error]
	// GetFlightInfo tells of one flight.
	GetFlightInfo(ctx context.Context, d *FlightDescriptor) (*FlightInfo, error)
	// PollFlightInfo begins a long-running query, or tells how far it is.
	PollFlightInfo(ctx context.Context, d *FlightDescriptor) (*PollInfo, error)
	// GetSchema tells the schema of one flight.
	GetSchema(ctx context.Context, d *FlightDescriptor) (*arrow.Schema, error)
	// DoGet answers with the data that a ticket stands for.
	DoGet(ctx context.Context, ticket *Ticket) (*DataStream, error)
	// DoPut takes the data that the client sends, and may answer with metadata at any time.
	DoPut(ctx context.Context, r *DataReader, w *MetadataWriter) error
	// DoExchange takes data and answers with data, at the same time if it likes.
	DoExchange(ctx context.Context, r *DataReader, w *DataWriter) error
	// DoAction runs an action and yields the bodies of its results.
	DoAction(ctx context.Context, action *Action) iter.Seq2[[]byte, error]
	// ListActions tells of the actions that there are.
	ListActions(ctx context.Context) ([]*ActionType, error)
}

// BaseService answers every RPC with UNIMPLEMENTED.
type BaseService struct{}

var _ Service = BaseService{}

func unimplemented(m Method) error {
	return Errorf(KindNotImplemented, "this server has no %s", m)
}

// ListFlights is not implemented.
func (BaseService) ListFlights(context.Context, []byte) iter.Seq2[*FlightInfo, error] {
	return failed[*FlightInfo](unimplemented(MethodListFlights))
}

// GetFlightInfo is not implemented.
func (BaseService) GetFlightInfo(context.Context, *FlightDescriptor) (*FlightInfo, error) {
	return nil, unimplemented(MethodGetFlightInfo)
}

// PollFlightInfo is not implemented.
func (BaseService) PollFlightInfo(context.Context, *FlightDescriptor) (*PollInfo, error) {
	return nil, unimplemented(MethodPollFlightInfo)
}

// GetSchema is not implemented.
func (BaseService) GetSchema(context.Context, *FlightDescriptor) (*arrow.Schema, error) {
	return nil, unimplemented(MethodGetSchema)
}

// DoGet is not implemented.
func (BaseService) DoGet(context.Context, *Ticket) (*DataStream, error) {
	return nil, unimplemented(MethodDoGet)
}

// DoPut is not implemented.
func (BaseService) DoPut(context.Context, *DataReader, *MetadataWriter) error {
	return unimplemented(MethodDoPut)
}

// DoExchange is not implemented.
func (BaseService) DoExchange(context.Context, *DataReader, *DataWriter) error {
	return unimplemented(MethodDoExchange)
}

// DoAction is not implemented.
func (BaseService) DoAction(context.Context, *Action) iter.Seq2[[]byte, error] {
	return failed[[]byte](unimplemented(MethodDoAction))
}

// ListActions is not implemented.
func (BaseService) ListActions(context.Context) ([]*ActionType, error) {
	return nil, unimplemented(MethodListActions)
}

// failed is a sequence of nothing but an error.
func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}
