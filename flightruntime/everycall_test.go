package flightruntime

import (
	"context"
	"errors"
	"io"
	"iter"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// timeoutOfTests is one that is meant to pass.
const timeoutOfTests = 20 * time.Millisecond

// numbers is the schema of the batches in these tests.
var numbers = arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)

// batchOf is a batch of numbers. The garbage collector frees it.
func batchOf(values ...int64) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, numbers)
	defer b.Release()
	b.Field(0).(*array.Int64Builder).AppendValues(values, nil)
	return b.NewRecordBatch()
}

// chunks is a sequence without an error.
func chunks(cs ...Chunk) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		for _, c := range cs {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// everyService answers each RPC with the error of do, or with one little thing.
type everyService struct {
	do func(context.Context) error
}

var _ Service = everyService{}

// allWell is a service whose calls go well.
var allWell = everyService{do: func(context.Context) error { return nil }}

// one is a sequence of one thing or one error.
func one[T any](ctx context.Context, s everyService, thing T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) { yield(thing, s.do(ctx)) }
}

func (s everyService) ListFlights(ctx context.Context, _ []byte) iter.Seq2[*FlightInfo, error] {
	return one(ctx, s, &FlightInfo{})
}

func (s everyService) GetFlightInfo(ctx context.Context, _ *FlightDescriptor) (*FlightInfo, error) {
	return &FlightInfo{}, s.do(ctx)
}

func (s everyService) PollFlightInfo(ctx context.Context, _ *FlightDescriptor) (*PollInfo, error) {
	return &PollInfo{}, s.do(ctx)
}

func (s everyService) GetSchema(ctx context.Context, _ *FlightDescriptor) (*arrow.Schema, error) {
	return numbers, s.do(ctx)
}

func (s everyService) DoGet(ctx context.Context, _ *Ticket) (*DataStream, error) {
	return GeneratorStream(numbers, chunks(Chunk{Batch: batchOf(1)})), s.do(ctx)
}

func (s everyService) DoPut(ctx context.Context, _ *DataReader, _ *MetadataWriter) error {
	return s.do(ctx)
}

func (s everyService) DoExchange(ctx context.Context, _ *DataReader, _ *DataWriter) error {
	return s.do(ctx)
}

func (s everyService) DoAction(ctx context.Context, _ *Action) iter.Seq2[[]byte, error] {
	return one(ctx, s, []byte("done"))
}

func (s everyService) ListActions(ctx context.Context) ([]*ActionType, error) {
	return []*ActionType{{Type: "one"}}, s.do(ctx)
}

// everyCall makes each RPC, but for the handshake, to its end.
var everyCall = []struct {
	method Method
	make   func(ctx context.Context, c *Client, opts ...CallOption) error
}{
	{MethodListFlights, func(ctx context.Context, c *Client, opts ...CallOption) error {
		return lastError(c.ListFlights(ctx, nil, opts...))
	}},
	{MethodGetFlightInfo, func(ctx context.Context, c *Client, opts ...CallOption) error {
		_, err := c.GetFlightInfo(ctx, DescriptorForPath("a"), opts...)
		return err
	}},
	{MethodPollFlightInfo, func(ctx context.Context, c *Client, opts ...CallOption) error {
		_, err := c.PollFlightInfo(ctx, DescriptorForPath("a"), opts...)
		return err
	}},
	{MethodGetSchema, func(ctx context.Context, c *Client, opts ...CallOption) error {
		_, err := c.GetSchema(ctx, DescriptorForPath("a"), opts...)
		return err
	}},
	{MethodDoGet, func(ctx context.Context, c *Client, opts ...CallOption) error {
		r, err := c.DoGet(ctx, &Ticket{}, opts...)
		if err != nil {
			return err
		}
		return lastError(r.Chunks())
	}},
	{MethodDoPut, func(ctx context.Context, c *Client, opts ...CallOption) error {
		w, _, err := c.DoPut(ctx, DescriptorForPath("a"), numbers, opts...)
		if err != nil {
			return err
		}
		return w.Close()
	}},
	{MethodDoExchange, func(ctx context.Context, c *Client, opts ...CallOption) error {
		w, r, err := c.DoExchange(ctx, DescriptorForPath("a"), opts...)
		if err != nil {
			return err
		}
		if err := w.CloseSend(); err != nil {
			return err
		}
		return lastError(r.Chunks())
	}},
	{MethodDoAction, func(ctx context.Context, c *Client, opts ...CallOption) error {
		return lastError(c.DoAction(ctx, "one", nil, opts...))
	}},
	{MethodListActions, func(ctx context.Context, c *Client, opts ...CallOption) error {
		_, err := c.ListActions(ctx, opts...)
		return err
	}},
}

// lastError is what a sequence ended with.
func lastError[T any](seq iter.Seq2[T, error]) (last error) {
	for _, err := range seq {
		last = err
	}
	return last
}

// onEachCall makes each RPC in a test of its own.
func onEachCall(t *testing.T, test func(t *testing.T, method Method, call func(ctx context.Context, c *Client, opts ...CallOption) error)) {
	t.Helper()
	for _, c := range everyCall {
		t.Run(string(c.method), func(t *testing.T) { test(t, c.method, c.make) })
	}
}

// connect is a client of a server, until the test ends.
func connect(t *testing.T, server *Server, options ClientOptions) *Client {
	t.Helper()
	c, err := Connect(server.Location().String(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// drain reads to the end: how many chunks came, and the error if it is not io.EOF.
func drain(r *DataReader) (n int, err error) {
	for {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
		n++
	}
}
