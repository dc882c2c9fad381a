package session

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// SetOptions sets options of the session of a client, which needs a middleware that keeps cookies. Values are strings, bools, int64s,
// float64s and []strings; nil removes an option. Each option that is refused has an error: ErrInvalidName, ErrInvalidValue or ErrNotSet.
// The others are set.
func SetOptions(ctx context.Context, c *flightruntime.Client, options map[string]any, opts ...flightruntime.CallOption) (refused map[string]error, err error) {
	values := make(map[string]*flight.SessionOptionValue, len(options))
	for name, value := range options {
		v, ok := valueFrom(value)
		if !ok {
			return nil, flightruntime.Errorf(flightruntime.KindInvalid, "session option %q: expected a string, bool, int64, float64, []string or nil, got a value of type %T", name, value)
		}
		values[name] = v
	}
	var result flight.SetSessionOptionsResult
	if err := act(ctx, c, flight.SetSessionOptionsActionType, &flight.SetSessionOptionsRequest{SessionOptions: values}, &result, opts); err != nil {
		return nil, err
	}
	refused = map[string]error{}
	for name, e := range result.GetErrors() {
		refused[name] = errorOf(e.GetValue())
	}
	return refused, nil
}

// GetOptions are the options of a client's session: strings, bools, int64s, float64s and []strings.
func GetOptions(ctx context.Context, c *flightruntime.Client, opts ...flightruntime.CallOption) (map[string]any, error) {
	var result flight.GetSessionOptionsResult
	if err := act(ctx, c, flight.GetSessionOptionsActionType, &flight.GetSessionOptionsRequest{}, &result, opts); err != nil {
		return nil, err
	}
	options := map[string]any{}
	for name, v := range result.GetSessionOptions() {
		options[name] = valueOf(v)
	}
	return options, nil
}

// Close ends a client's session. The error is of KindNotFound if it has none, and of KindPrecondition if the server does not let it end.
func Close(ctx context.Context, c *flightruntime.Client, opts ...flightruntime.CallOption) error {
	var result flight.CloseSessionResult
	if err := act(ctx, c, flight.CloseSessionActionType, &flight.CloseSessionRequest{}, &result, opts); err != nil {
		return err
	}
	if status := result.GetStatus(); status != flight.CloseSessionResultClosed && status != flight.CloseSessionResultClosing {
		return flightruntime.Errorf(flightruntime.KindPrecondition, "the server does not close the session: %s", status)
	}
	return nil
}

// act runs an action that has one result.
func act(ctx context.Context, c *flightruntime.Client, name string, request, result proto.Message, opts []flightruntime.CallOption) error {
	body, err := proto.Marshal(request)
	if err != nil {
		return flightruntime.Errorf(flightruntime.KindInvalid, "%s: %w", name, err)
	}
	answers := 0
	for answer, err := range c.DoAction(ctx, name, body, opts...) {
		if err != nil {
			return err
		}
		if answers++; answers > 1 {
			break
		}
		if err := proto.Unmarshal(answer, result); err != nil {
			return flightruntime.Errorf(flightruntime.KindInternal, "%s: expected a message %sResult of Flight.proto, got %d bytes that are none", name, name, len(answer))
		}
	}
	if answers != 1 {
		return flightruntime.Errorf(flightruntime.KindInternal, "%s: expected one result, got %d or more", name, answers)
	}
	return nil
}
