// Package scenarios has a server for each scenario of Arrow's integration tests for Flight (archery's), written on flightruntime as a
// user's own would be. The tests run Arrow's clients against them.
package scenarios

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Scenario is a server for one scenario.
type Scenario struct {
	// Name is that of the client's flag -scenario; empty is the data round trip.
	Name    string
	Service flightruntime.Service
	Options flightruntime.ServerOptions
}

// All makes a server for each scenario.
func All() []Scenario {
	return []Scenario{
		{Name: "", Service: newRoundTrip()},
		authBasicProto(),
		middleware(),
		{Name: "ordered", Service: ordered{}},
		{Name: "expiration_time:do_get", Service: newExpirationTime()},
		{Name: "expiration_time:list_actions", Service: newExpirationTime()},
		{Name: "expiration_time:cancel_flight_info", Service: newExpirationTime()},
		{Name: "expiration_time:renew_flight_endpoint", Service: newExpirationTime()},
		{Name: "location:reuse_connection", Service: reuseConnection{}},
		{Name: "poll_flight_info", Service: pollFlightInfo{}},
		{Name: "app_metadata_flight_info_endpoint", Service: appMetadata{}},
		sessionOptions(),
		{Name: "do_exchange:echo", Service: echo{}},
	}
}

// flightInfo tells of a flight whose size nobody knows.
func flightInfo(schema *arrow.Schema, d *flightruntime.FlightDescriptor, endpoints ...*flightruntime.FlightEndpoint) *flightruntime.FlightInfo {
	return &flightruntime.FlightInfo{
		Schema:           flight.SerializeSchema(schema, memory.DefaultAllocator),
		FlightDescriptor: d,
		Endpoint:         endpoints,
		TotalRecords:     -1,
		TotalBytes:       -1,
	}
}

// endpoint is one that is read where its FlightInfo was got.
func endpoint(ticket string) *flightruntime.FlightEndpoint {
	return &flightruntime.FlightEndpoint{Ticket: &flightruntime.Ticket{Ticket: []byte(ticket)}}
}

// isCommand is true for the descriptor of a command.
func isCommand(d *flightruntime.FlightDescriptor, command string) bool {
	return d.GetType() == flight.DescriptorCMD && string(d.GetCmd()) == command
}

// numberSchema is that of one column, "number".
func numberSchema(t arrow.DataType) *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{{Name: "number", Type: t, Nullable: true}}, nil)
}

// oneBatch is a stream of one batch with one column, which it releases.
func oneBatch(schema *arrow.Schema, column arrow.Array) *flightruntime.DataStream {
	return flightruntime.GeneratorStream(schema, func(yield func(flightruntime.Chunk, error) bool) {
		defer column.Release()
		batch := array.NewRecordBatch(schema, []arrow.Array{column}, int64(column.Len()))
		defer batch.Release()
		yield(flightruntime.Chunk{Batch: batch}, nil)
	})
}
