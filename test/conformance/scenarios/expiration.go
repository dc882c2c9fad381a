package scenarios

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// expirationTime is the scenarios expiration_time:*: endpoints that can be read once, or any number of times until they expire, and that
// can be cancelled and renewed.
type expirationTime struct {
	flightruntime.BaseService

	mu        sync.Mutex
	endpoints []expiring // by the number that their tickets begin with
}

type expiring struct {
	expires   time.Time // zero: read once
	read      bool
	cancelled bool
}

func newExpirationTime() *expirationTime { return &expirationTime{} }

var expirationSchema = numberSchema(arrow.PrimitiveTypes.Uint32)

// GetFlightInfo makes three endpoints, and forgets those before.
func (s *expirationTime) GetFlightInfo(_ context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoints = nil
	info := flightInfo(expirationSchema, d)
	for _, lifetime := range []time.Duration{0, 5 * time.Second, 6 * time.Second} {
		e := endpoint(fmt.Sprintf("%d: %s", len(s.endpoints), lifetime))
		made := expiring{}
		if lifetime > 0 {
			made.expires = time.Now().Add(lifetime)
			e.ExpirationTime = timestamppb.New(made.expires)
		}
		s.endpoints = append(s.endpoints, made)
		info.Endpoint = append(info.Endpoint, e)
	}
	return info, nil
}

// find is the number and the endpoint of a ticket; to be called with the lock.
func (s *expirationTime) find(ticket *flightruntime.Ticket) (int, *expiring, error) {
	number, _, _ := strings.Cut(string(ticket.GetTicket()), ":")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= len(s.endpoints) {
		return 0, nil, flightruntime.Errorf(flightruntime.KindInvalid, "ticket %q: expected one of the last FlightInfo", ticket.GetTicket())
	}
	return n, &s.endpoints[n], nil
}

// DoGet answers with the ticket's number.
func (s *expirationTime) DoGet(_ context.Context, ticket *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, e, err := s.find(ticket)
	switch {
	case err != nil:
		return nil, err
	case e.cancelled:
		return nil, flightruntime.Errorf(flightruntime.KindInvalid, "ticket %q: cancelled", ticket.GetTicket())
	case e.expires.IsZero() && e.read:
		return nil, flightruntime.Errorf(flightruntime.KindInvalid, "ticket %q: can't read multiple times", ticket.GetTicket())
	case !e.expires.IsZero() && time.Now().After(e.expires):
		return nil, flightruntime.Errorf(flightruntime.KindInvalid, "ticket %q: expired", ticket.GetTicket())
	}
	e.read = true
	b := array.NewUint32Builder(memory.DefaultAllocator)
	defer b.Release()
	b.Append(uint32(n))
	return oneBatch(expirationSchema, b.NewArray()), nil
}

// ListActions tells of the two actions.
func (s *expirationTime) ListActions(context.Context) ([]*flightruntime.ActionType, error) {
	return []*flightruntime.ActionType{
		{Type: flight.CancelFlightInfoActionType, Description: "Cancel the endpoints of a FlightInfo"},
		{Type: flight.RenewFlightEndpointActionType, Description: "Renew an endpoint for 10 seconds"},
	}, nil
}

// DoAction cancels and renews.
func (s *expirationTime) DoAction(_ context.Context, a *flightruntime.Action) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var request, result proto.Message
		switch a.GetType() {
		case flight.CancelFlightInfoActionType:
			request = &flight.CancelFlightInfoRequest{}
		case flight.RenewFlightEndpointActionType:
			request = &flight.RenewFlightEndpointRequest{}
		default:
			yield(nil, flightruntime.Errorf(flightruntime.KindInvalid, "unknown action %q", a.GetType()))
			return
		}
		if err := proto.Unmarshal(a.GetBody(), request); err != nil {
			yield(nil, flightruntime.Errorf(flightruntime.KindInvalid, "expected a message %T of Flight.proto, got %d bytes that are none", request, len(a.GetBody())))
			return
		}
		var err error
		switch request := request.(type) {
		case *flight.CancelFlightInfoRequest:
			result = s.cancel(request.GetInfo())
		case *flight.RenewFlightEndpointRequest:
			result, err = s.renew(request.GetEndpoint())
		}
		if err != nil {
			yield(nil, err)
			return
		}
		yield(proto.Marshal(result))
	}
}

func (s *expirationTime) cancel(info *flightruntime.FlightInfo) *flight.CancelFlightInfoResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := flight.CancelStatusUnspecified
	for _, asked := range info.GetEndpoint() {
		_, e, err := s.find(asked.GetTicket())
		switch {
		case err != nil, e.cancelled:
			status = flight.CancelStatusNotCancellable
		default:
			e.cancelled = true
			if status == flight.CancelStatusUnspecified {
				status = flight.CancelStatusCancelled
			}
		}
	}
	return &flight.CancelFlightInfoResult{Status: status}
}

func (s *expirationTime) renew(asked *flightruntime.FlightEndpoint) (proto.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, e, err := s.find(asked.GetTicket())
	if err != nil {
		return nil, err
	}
	e.expires = time.Now().Add(10 * time.Second)
	renewed := proto.CloneOf(asked)
	renewed.Ticket.Ticket = append(renewed.Ticket.Ticket, ": renewed (+ 10 seconds)"...)
	renewed.ExpirationTime = timestamppb.New(e.expires)
	return renewed, nil
}
