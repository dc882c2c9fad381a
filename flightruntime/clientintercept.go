package flightruntime

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// unary takes a call with one answer through authentication and middleware.
func (c *Client) unary(ctx context.Context, fullMethod string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	method, isFlight := strings.CutPrefix(fullMethod, flightMethods)
	if !isFlight {
		return invoke(ctx, fullMethod, req, reply, conn, opts...)
	}
	ctx, middleware, err := c.begin(ctx, Method(method))
	if err != nil {
		return err
	}
	var header, trailer metadata.MD
	err = invoke(ctx, fullMethod, req, reply, conn, append(opts, grpc.Header(&header), grpc.Trailer(&trailer))...)
	middleware.received(header)
	middleware.received(trailer)
	if o, ok := ctx.Value(settingsKey{}).(*outcome); ok {
		o.set(trailer)
	}
	middleware.completed(callError(err, trailer))
	return err
}

// stream takes a streaming call through authentication and middleware.
func (c *Client) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, fullMethod string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	method, isFlight := strings.CutPrefix(fullMethod, flightMethods)
	if !isFlight {
		return open(ctx, desc, conn, fullMethod, opts...)
	}
	ctx, middleware, err := c.begin(ctx, Method(method))
	if err != nil {
		return nil, err
	}
	stream, err := open(ctx, desc, conn, fullMethod, opts...)
	if err != nil {
		middleware.completed(callError(err, nil))
		return nil, err
	}
	o, _ := ctx.Value(settingsKey{}).(*outcome)
	followed := &followedStream{ClientStream: stream, middleware: middleware, outcome: o}
	// A call that is cancelled and not read any more has ended too.
	followed.mu.Lock()
	defer followed.mu.Unlock()
	followed.unfollow = context.AfterFunc(ctx, func() { followed.end(ctx.Err(), nil) })
	return followed, nil
}

func (c *Client) begin(ctx context.Context, method Method) (context.Context, clientMiddlewares, error) {
	ctx, middleware := c.startMiddleware(ctx, method)
	ctx, err := c.withToken(ctx, method)
	if err == nil {
		err = c.maySend(ctx)
	}
	if err != nil {
		middleware.completed(callError(err, nil))
	}
	return ctx, middleware, err
}

// followedStream tells the middleware of headers, trailers and the end, and releases what the call holds as soon as it has ended.
type followedStream struct {
	grpc.ClientStream
	middleware clientMiddlewares
	outcome    *outcome
	unfollow   func() bool

	mu              sync.Mutex // the end may come while a message is received
	headersReceived bool
	ended           bool
}

func (s *followedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	s.receiveHeaders()
	if err == nil {
		return nil
	}
	trailer := s.Trailer()
	if s.outcome != nil {
		s.outcome.set(trailer)
	}
	if errors.Is(err, io.EOF) {
		s.end(nil, trailer)
	} else {
		s.end(err, trailer)
	}
	return err
}

// SendMsg sends. Its error io.EOF says that the call has ended, and RecvMsg why; any other ends the call.
func (s *followedStream) SendMsg(m any) error {
	err := s.ClientStream.SendMsg(m)
	if err != nil && !errors.Is(err, io.EOF) {
		s.end(err, nil)
	}
	return err
}

func (s *followedStream) receiveHeaders() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.headersReceived || s.ended {
		return
	}
	s.headersReceived = true
	if header, err := s.Header(); err == nil {
		s.middleware.received(header)
	}
}

func (s *followedStream) end(err error, trailer metadata.MD) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	s.middleware.received(trailer)
	s.middleware.completed(callError(err, trailer))
	s.unfollow()
	if s.outcome != nil {
		s.outcome.cancel()
	}
}
