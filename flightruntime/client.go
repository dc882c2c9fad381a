package flightruntime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Client calls a Flight server. It is safe for use by several goroutines.
type Client struct {
	conn *grpc.ClientConn
	rpc  flight.FlightServiceClient
}

// Connect makes a client of the server at a location such as "grpc://host:8815". It does not wait for the connection: the first call
// does. Close releases it.
func Connect(location string, opts ...grpc.DialOption) (*Client, error) {
	l, err := ParseLocation(location)
	if err != nil {
		return nil, err
	}
	opts = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)
	conn, err := grpc.NewClient(l.target(), opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", l, err)
	}
	return &Client{conn: conn, rpc: flight.NewFlightServiceClient(conn)}, nil
}

// Close ends all calls and releases the connection.
func (c *Client) Close() error { return c.conn.Close() }

// DoAction runs an action and yields the bodies of its results. An error ends the sequence; it carries a gRPC status.
func (c *Client) DoAction(ctx context.Context, action string, body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.rpc.DoAction(ctx, &flight.Action{Type: action, Body: body})
		if err != nil {
			yield(nil, err)
			return
		}
		for {
			result, err := stream.Recv()
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(nil, err)
				return
			case !yield(result.GetBody(), nil):
				return
			}
		}
	}
}

// InvalidAnswerError is what a server says that answers, but not as our runtime does.
type InvalidAnswerError struct{ Reason string }

func (e *InvalidAnswerError) Error() string { return "invalid answer to HealthCheck: " + e.Reason }

// HealthCheck asks a server how it fares. An error of the call carries a gRPC status; an answer that is not a Health is an *InvalidAnswerError.
func (c *Client) HealthCheck(ctx context.Context) (*Health, error) {
	for body, err := range c.DoAction(ctx, ActionHealthCheck, nil) {
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
