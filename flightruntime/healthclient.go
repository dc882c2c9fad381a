package flightruntime

import (
	"context"
	"encoding/json"
	"fmt"
)

// InvalidAnswerError is what a server says that answers, but not as our runtime does.
type InvalidAnswerError struct{ Reason string }

func (e *InvalidAnswerError) Error() string { return "invalid answer to HealthCheck: " + e.Reason }

// HealthCheck asks a server how it fares. An error of the call carries a gRPC status; an answer that is not a Health is an *InvalidAnswerError.
func (c *Client) HealthCheck(ctx context.Context, opts ...CallOption) (*Health, error) {
	for body, err := range c.DoAction(ctx, ActionHealthCheck, nil, opts...) {
		if err != nil {
			return nil, err
		}
		var h Health
		if err := json.Unmarshal(body, &h); err != nil {
			return nil, &InvalidAnswerError{Reason: fmt.Sprintf("expected a JSON object with status, version and datasets, got %d bytes that are not", len(body))}
		}
		if h.Status != Serving && h.Status != NotServing {
			return nil, &InvalidAnswerError{Reason: fmt.Sprintf("expected status %s or %s, got %q", Serving, NotServing, h.Status)}
		}
		return &h, nil
	}
	return nil, &InvalidAnswerError{Reason: "expected one result, got none"}
}
