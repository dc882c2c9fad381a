package scenarios

import (
	"context"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// ordered is the scenario of that name: three endpoints whose order matters.
type ordered struct{ flightruntime.BaseService }

// GetFlightInfo takes the command "ordered".
func (ordered) GetFlightInfo(_ context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	info := flightInfo(numberSchema(arrow.PrimitiveTypes.Int32), d, endpoint("1"), endpoint("10"), endpoint("100"))
	info.Ordered = isCommand(d, "ordered")
	return info, nil
}

// DoGet answers with once, twice and three times the ticket.
func (ordered) DoGet(_ context.Context, ticket *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	n, err := strconv.ParseInt(string(ticket.GetTicket()), 10, 16)
	if err != nil {
		return nil, flightruntime.Errorf(flightruntime.KindInvalid, "ticket %q: expected 1, 10 or 100", ticket.GetTicket())
	}
	schema := numberSchema(arrow.PrimitiveTypes.Int32)
	return oneBatch(schema, int32s(int32(n), 2*int32(n), 3*int32(n))), nil
}

// reuseConnection is the scenario location:reuse_connection: the data is where the FlightInfo was got, and the endpoint says so.
type reuseConnection struct{ flightruntime.BaseService }

// GetFlightInfo tells of one endpoint.
func (reuseConnection) GetFlightInfo(_ context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	e := endpoint("reuse")
	e.Location = []*flight.Location{{Uri: flightruntime.ReuseConnection.String()}}
	return flightInfo(numberSchema(arrow.PrimitiveTypes.Int32), d, e), nil
}

// DoGet answers with a number.
func (reuseConnection) DoGet(context.Context, *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	return oneBatch(numberSchema(arrow.PrimitiveTypes.Int32), int32s(1)), nil
}

// appMetadata is the scenario app_metadata_flight_info_endpoint: a command comes back as metadata of the FlightInfo and of its endpoint.
type appMetadata struct{ flightruntime.BaseService }

// GetFlightInfo takes any command.
func (appMetadata) GetFlightInfo(_ context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	if d.GetType() != flight.DescriptorCMD {
		return nil, flightruntime.Errorf(flightruntime.KindInvalid, "expected a descriptor with a command, got %s", d)
	}
	e := endpoint("")
	e.AppMetadata = d.GetCmd()
	info := flightInfo(numberSchema(arrow.PrimitiveTypes.Uint32), d, e)
	info.AppMetadata = d.GetCmd()
	return info, nil
}

// pollFlightInfo is the scenario of that name: a query that has ended when it is asked for again.
type pollFlightInfo struct{ flightruntime.BaseService }

// PollFlightInfo takes any descriptor for a query, and the command "poll" for what has become of it.
func (pollFlightInfo) PollFlightInfo(_ context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.PollInfo, error) {
	info := flightInfo(numberSchema(arrow.PrimitiveTypes.Uint32), d, endpoint("long-running query"))
	progress := 1.0
	if isCommand(d, "poll") {
		return &flightruntime.PollInfo{Info: info, Progress: &progress}, nil
	}
	progress = 0.1
	return &flightruntime.PollInfo{
		Info: info, Progress: &progress,
		FlightDescriptor: flightruntime.DescriptorForCommand([]byte("poll")),
		ExpirationTime:   timestamppb.New(time.Now().Add(10 * time.Second)),
	}, nil
}

func int32s(values ...int32) arrow.Array {
	b := array.NewInt32Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(values, nil)
	return b.NewArray()
}
