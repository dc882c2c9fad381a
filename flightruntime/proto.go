package flightruntime

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
)

// The messages of Flight.proto, by the names that they have there.
type (
	// FlightDescriptor names a flight: by a path, or by a command that the server understands.
	FlightDescriptor = flight.FlightDescriptor
	// FlightInfo tells of a flight: its schema, and the endpoints to read it from.
	FlightInfo = flight.FlightInfo
	// FlightEndpoint is a ticket, and the locations that it is good at.
	FlightEndpoint = flight.FlightEndpoint
	// PollInfo tells how far a long-running query is.
	PollInfo = flight.PollInfo
	// Ticket is what DoGet reads by. It means something to the server alone.
	Ticket = flight.Ticket
	// Action is a command of the server's own.
	Action = flight.Action
	// ActionType tells of an action: its name, and what it does.
	ActionType = flight.ActionType
)

// DescriptorForPath is the descriptor of a flight that has a path.
func DescriptorForPath(path ...string) *FlightDescriptor {
	return &FlightDescriptor{Type: flight.DescriptorPATH, Path: path}
}

// DescriptorForCommand is the descriptor of a flight that a command names.
func DescriptorForCommand(command []byte) *FlightDescriptor {
	return &FlightDescriptor{Type: flight.DescriptorCMD, Cmd: command}
}

// NewFlightInfo tells of a flight with a schema. How many records and bytes it has is not known: set TotalRecords and TotalBytes where it
// is.
func NewFlightInfo(schema *arrow.Schema, d *FlightDescriptor, endpoints ...*FlightEndpoint) *FlightInfo {
	return &FlightInfo{Schema: EncodeSchema(schema), FlightDescriptor: d, Endpoint: endpoints, TotalRecords: -1, TotalBytes: -1}
}

// NewEndpoint is a ticket and the locations that it is good at; without any, it is good where it was got.
func NewEndpoint(ticket []byte, locations ...Location) *FlightEndpoint {
	e := &FlightEndpoint{Ticket: &Ticket{Ticket: ticket}}
	for _, l := range locations {
		e.Location = append(e.Location, &flight.Location{Uri: l.String()})
	}
	return e
}

// Method is an RPC of Flight.proto.
type Method string

// Values of Method.
const (
	MethodHandshake      Method = "Handshake"
	MethodListFlights    Method = "ListFlights"
	MethodGetFlightInfo  Method = "GetFlightInfo"
	MethodPollFlightInfo Method = "PollFlightInfo"
	MethodGetSchema      Method = "GetSchema"
	MethodDoGet          Method = "DoGet"
	MethodDoPut          Method = "DoPut"
	MethodDoExchange     Method = "DoExchange"
	MethodDoAction       Method = "DoAction"
	MethodListActions    Method = "ListActions"
)
