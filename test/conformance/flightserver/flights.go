package flightserver

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// unknown is how many records or bytes a flight has where the server cannot tell (Flight.proto, FlightInfo).
const unknown = -1

// Flights tells of flights, and sends back whatever message of Flight.proto it is sent.
type Flights struct{ flightruntime.BaseService }

// Expires is when the second endpoint of every flight expires.
var Expires = time.Date(2031, 2, 3, 4, 5, 6, 789012345, time.UTC)

// Criteria is what ListFlights lists something for.
const Criteria = "flights that are there"

// ListFlights lists nothing but for Criteria.
func (f Flights) ListFlights(_ context.Context, criteria []byte) iter.Seq2[*flightruntime.FlightInfo, error] {
	return func(yield func(*flightruntime.FlightInfo, error) bool) {
		if string(criteria) != Criteria {
			return
		}
		for _, d := range []*flightruntime.FlightDescriptor{
			flightruntime.DescriptorForPath("north sea", "depths"),
			flightruntime.DescriptorForCommand([]byte("SELECT \x00 depth")),
		} {
			if !yield(flightOf(d), nil) {
				return
			}
		}
	}
}

// GetFlightInfo tells of a flight with everything that there is to tell; of the path "unknown", of one with nothing.
func (Flights) GetFlightInfo(_ context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	if len(d.GetPath()) == 1 && d.GetPath()[0] == "unknown" {
		return &flightruntime.FlightInfo{
			Schema: schemaBytes(arrow.NewSchema(nil, nil)), FlightDescriptor: d, TotalRecords: unknown, TotalBytes: unknown,
		}, nil
	}
	return flightOf(d), nil
}

// GetSchema tells the schema of a flight.
func (Flights) GetSchema(context.Context, *flightruntime.FlightDescriptor) (*arrow.Schema, error) {
	return Tides().Schema(), nil
}

// DoGet sends the tides by the tickets of the endpoints.
func (Flights) DoGet(context.Context, *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	return batchStream(Tides()), nil
}

// DoAction parses the body as the message of Flight.proto that the action is named after, and answers with it, encoded again.
func (Flights) DoAction(_ context.Context, action *flightruntime.Action) iter.Seq2[[]byte, error] {
	m, ok := map[string]proto.Message{
		"Action": &flightruntime.Action{}, "Ticket": &flightruntime.Ticket{}, "Result": &flight.Result{}, "BasicAuth": &flight.BasicAuth{},
		"SchemaResult": &flight.SchemaResult{}, "FlightDescriptor": &flightruntime.FlightDescriptor{}, "FlightInfo": &flightruntime.FlightInfo{},
		"FlightEndpoint": &flightruntime.FlightEndpoint{},
	}[action.GetType()]
	if !ok {
		return failing(flightruntime.Errorf(flightruntime.KindNotFound, "there is no message %q", action.GetType()))
	}
	if err := proto.Unmarshal(action.GetBody(), m); err != nil {
		return failing(fmt.Errorf("parse %s: %w", action.GetType(), err))
	}
	encoded, err := proto.Marshal(m)
	if err != nil {
		return failing(err)
	}
	return results(string(encoded))
}

func flightOf(d *flightruntime.FlightDescriptor) *flightruntime.FlightInfo {
	at := func(l flightruntime.Location) *flight.Location { return &flight.Location{Uri: l.String()} }
	return &flightruntime.FlightInfo{
		Schema:           schemaBytes(Tides().Schema()),
		FlightDescriptor: d,
		Endpoint: []*flightruntime.FlightEndpoint{
			{Ticket: &flightruntime.Ticket{Ticket: []byte("anywhere")}},
			{
				Ticket:         &flightruntime.Ticket{Ticket: []byte("there")},
				Location:       []*flight.Location{at(flightruntime.ReuseConnection), at(flightruntime.ForGRPCTCP("localhost", 5005)), {Uri: "s3://bucket/tides.parquet"}, {Uri: "https://example.com/tides.parquet"}},
				ExpirationTime: timestamppb.New(Expires),
				AppMetadata:    []byte("the endpoint's \x00 own"),
			},
		},
		TotalRecords: 3,
		TotalBytes:   1 << 40,
		Ordered:      true,
		AppMetadata:  []byte("the flight's \x00 own"),
	}
}

func schemaBytes(s *arrow.Schema) []byte { return flight.SerializeSchema(s, memory.DefaultAllocator) }
