package flightruntime

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// CallOption is a setting of one call: pyarrow's FlightCallOptions.
type CallOption func(*callSettings)

// WithTimeout ends the call after a time with an error of KindTimedOut. A deadline of the context does the same.
func WithTimeout(d time.Duration) CallOption { return func(s *callSettings) { s.timeout = d } }

// WithHeader sends a header with the call; several of a key are several values. Values of a key that ends in "-bin" are binary.
func WithHeader(key, value string) CallOption {
	return func(s *callSettings) { s.headers = append(s.headers, key, value) }
}

// WithWriteOptions says how batches that the call sends are encoded.
func WithWriteOptions(o WriteOptions) CallOption { return func(s *callSettings) { s.write = o } }

// ReadOptions say how batches that the call receives are decoded.
type ReadOptions struct {
	// Allocator of what is decoded from compressed bodies. nil means memory.DefaultAllocator.
	Allocator memory.Allocator
	// Validate checks every batch in full before it is handed over: for servers that are not trusted.
	Validate bool
}

// WithReadOptions says how batches that the call receives are decoded.
func WithReadOptions(o ReadOptions) CallOption { return func(s *callSettings) { s.read = o } }

// callSettings are those of one call, and how it ended.
type callSettings struct {
	timeout time.Duration
	headers []string
	write   WriteOptions
	read    ReadOptions

	outcome
}

// outcome is what the interceptors leave of a call: the trailers, which come with the error.
type outcome struct {
	cancel  context.CancelFunc // ends the call, or releases what it holds if it has ended
	mu      sync.Mutex
	trailer metadata.MD
}

func (o *outcome) set(trailer metadata.MD) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trailer = trailer
}

// failed is the Error of what a call ended with.
func (o *outcome) failed(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return callError(err, o.trailer)
}

type settingsKey struct{}

// newCallSettings gives a call's context what its options say. The caller cancels it when the call has ended.
func newCallSettings(ctx context.Context, opts []CallOption) (context.Context, *callSettings) {
	s := &callSettings{}
	for _, o := range opts {
		o(s)
	}
	if s.timeout > 0 {
		ctx, s.cancel = context.WithTimeout(ctx, s.timeout)
	} else {
		ctx, s.cancel = context.WithCancel(ctx)
	}
	if len(s.headers) > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, s.headers...)
	}
	return context.WithValue(ctx, settingsKey{}, &s.outcome), s
}

func (s *callSettings) reader(stream wire.MessageReceiver, o ClientOptions) *DataReader {
	validation := ipcguard.ValidateLayout
	if s.read.Validate {
		validation = ipcguard.ValidateFull
	}
	r := wire.NewReader(stream, wire.ReaderOptions{MaxMessageBytes: o.MaxMessageBytes, Allocator: s.read.Allocator, Validation: validation})
	return &DataReader{wire: r, failed: s.failedReading, cancel: s.cancel}
}

// failedReading is the Error of what reading record batches ended with, and the end of the call.
func (s *callSettings) failedReading(err error) error {
	s.cancel()
	if _, ok := status.FromError(err); ok {
		return s.failed(err)
	}
	return Errorf(KindInvalid, "what the server sent cannot be read: %w", err)
}

// writer is that of a call's stream. end waits for the end of the call, once it is known to have come; finish, until it comes.
func (s *callSettings) writer(stream grpc.ClientStream, d *FlightDescriptor, o ClientOptions, end, finish func() error) *DataWriter {
	return &DataWriter{
		stream: stream, descriptor: d, maxMessageBytes: maxSentBytes, options: s.write, sizeLimit: o.WriteSizeLimit,
		closeSend: stream.CloseSend, end: end, finish: finish, failed: s.failed,
	}
}

// MetadataReader reads what a server answers to a DoPut: pyarrow's FlightMetadataReader. Another goroutine may write meanwhile.
type MetadataReader struct {
	stream   flight.FlightService_DoPutClient
	settings *callSettings

	mu        sync.Mutex
	kept      [][]byte // what finish has read
	keptBytes int
	err       error // once the call has ended
}

func newMetadataReader(stream flight.FlightService_DoPutClient, s *callSettings) *MetadataReader {
	return &MetadataReader{stream: stream, settings: s}
}

// Read waits for the next answer; io.EOF after the last. The end comes when the server ends the call, for which most servers wait until
// the writer calls CloseSend.
func (r *MetadataReader) Read() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kept) > 0 {
		answer := r.kept[0]
		r.kept = r.kept[1:]
		r.keptBytes -= len(answer)
		return answer, nil
	}
	return r.receive()
}

// receive waits for the next answer. mu is held.
func (r *MetadataReader) receive() ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	result, err := r.stream.Recv()
	switch {
	case errors.Is(err, io.EOF):
		r.err = io.EOF
	case err != nil:
		r.err = r.settings.failed(err)
	}
	return result.GetAppMetadata(), r.err
}

// Cancel ends the call at once.
func (r *MetadataReader) Cancel() { r.settings.cancel() }

// maxKeptBytes of answers wait to be read when the writer has waited for the end of the call.
const maxKeptBytes = 1 << 20

// finish waits for the end of the call, and gives the error that it ended with. What the server answers meanwhile is kept for Read.
func (r *MetadataReader) finish() error {
	for {
		if ended, err := r.readAhead(); ended {
			return err
		}
	}
}

func (r *MetadataReader) readAhead() (ended bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer, err := r.receive()
	switch {
	case errors.Is(err, io.EOF):
		return true, nil
	case err != nil:
		return true, err
	case r.keptBytes+len(answer) <= maxKeptBytes:
		r.kept = append(r.kept, answer)
		r.keptBytes += len(answer)
	}
	return false, nil
}

// ClientMiddlewareFactory makes a middleware for each call: pyarrow's ClientMiddlewareFactory.
type ClientMiddlewareFactory interface {
	// StartCall begins a call, with the context that the caller gave. A middleware of nil has no part in it.
	StartCall(ctx context.Context, method Method) ClientMiddleware
}

// ClientMiddleware follows one call.
type ClientMiddleware interface {
	// SendingHeaders are headers to send with the call.
	SendingHeaders() metadata.MD
	// ReceivedHeaders are the headers of the answer, and then its trailers, if any came.
	ReceivedHeaders(metadata.MD)
	// CallCompleted tells how the call ended: nil, or an *Error.
	CallCompleted(err error)
}

// ClientMiddlewareFunc is a factory that is a function.
type ClientMiddlewareFunc func(ctx context.Context, method Method) ClientMiddleware

// StartCall calls the function.
func (f ClientMiddlewareFunc) StartCall(ctx context.Context, method Method) ClientMiddleware {
	return f(ctx, method)
}

// startMiddleware begins a call's middleware and gives the context its headers.
func (c *Client) startMiddleware(ctx context.Context, method Method) (context.Context, clientMiddlewares) {
	var started clientMiddlewares
	for _, f := range c.options.Middleware {
		m := f.StartCall(ctx, method)
		if m == nil {
			continue
		}
		started = append(started, m)
		for key, values := range m.SendingHeaders() {
			for _, v := range values {
				ctx = metadata.AppendToOutgoingContext(ctx, key, v)
			}
		}
	}
	return ctx, started
}

type clientMiddlewares []ClientMiddleware

func (ms clientMiddlewares) received(headers metadata.MD) {
	if len(headers) == 0 {
		return
	}
	for _, m := range ms {
		m.ReceivedHeaders(headers)
	}
}

func (ms clientMiddlewares) completed(err error) {
	for _, m := range slices.Backward(ms) {
		m.CallCompleted(err)
	}
}
