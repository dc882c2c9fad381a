package datasets

import (
	"context"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// cancelFlightInfo ends the calls that read from a FlightInfo's endpoints on this server, and refuses those to come.
func (s *Service) cancelFlightInfo(ctx context.Context, c caller, body []byte) ([][]byte, error) {
	var asked flight.CancelFlightInfoRequest
	if err := proto.Unmarshal(body, &asked); err != nil || asked.GetInfo() == nil {
		return nil, flightruntime.Errorf(flightruntime.KindInvalid, "expected a message CancelFlightInfoRequest of Flight.proto with a FlightInfo, got %d bytes", len(body))
	}
	answer := flight.CancelFlightInfoResult{Status: flight.CancelStatusNotCancellable}
	for _, e := range asked.GetInfo().GetEndpoint() {
		raw := e.GetTicket().GetTicket()
		if !isSigned(raw) {
			continue // a dataset's name is nobody's query
		}
		t, err := s.openTicket(ctx, raw)
		if err != nil {
			return nil, err
		}
		if _, err := c.mayActOn(flight.CancelFlightInfoActionType, t.Query.Dataset); err != nil {
			return nil, err
		}
		s.running.cancel(t.ID, time.Unix(t.Expires, 0))
		answer.Status = flight.CancelStatusCancelled
	}
	return protoResult(&answer)
}

// renewFlightEndpoint gives an endpoint again, good for longer.
func (s *Service) renewFlightEndpoint(ctx context.Context, c caller, body []byte) ([][]byte, error) {
	var asked flight.RenewFlightEndpointRequest
	if err := proto.Unmarshal(body, &asked); err != nil || asked.GetEndpoint() == nil {
		return nil, flightruntime.Errorf(flightruntime.KindInvalid, "expected a message RenewFlightEndpointRequest of Flight.proto with an endpoint, got %d bytes", len(body))
	}
	raw := asked.GetEndpoint().GetTicket().GetTicket()
	if !isSigned(raw) {
		return protoResult(asked.GetEndpoint()) // the name of a dataset never expires
	}
	t, err := s.openTicket(ctx, raw)
	if err != nil {
		return nil, err
	}
	if _, err := c.mayActOn(flight.RenewFlightEndpointActionType, t.Query.Dataset); err != nil {
		return nil, err
	}
	if s.running.isCancelled(t.ID) {
		return nil, errQueryCancelled
	}
	t.Expires = s.now().Add(ticketLifetime).Unix()
	renewed, err := s.endpoint(t)
	if err != nil {
		return nil, err
	}
	renewed.AppMetadata = asked.GetEndpoint().GetAppMetadata()
	return protoResult(renewed)
}

func protoResult(m proto.Message) ([][]byte, error) {
	body, err := proto.Marshal(m)
	return [][]byte{body}, err
}
