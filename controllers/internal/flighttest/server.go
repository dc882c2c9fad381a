// Package flighttest is a Flight server on loopback for the operator's tests: real gRPC on a real socket, answering HealthCheck with
// whatever the test says.
package flighttest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Server answers HealthCheck. Its methods may be called at any time.
type Server struct {
	flight.BaseFlightServer
	address string
	grpc    *grpc.Server
	// ended closes when the server stops, so that calls that hang end.
	ended chan struct{}
	once  sync.Once

	mu     sync.Mutex
	answer func() (body []byte, hang bool)
	admit  func(context.Context) error // nil: everybody
	calls  int
}

// Start runs a server until the test ends, or Stop. It serves, with no configuration and no datasets, until it is told otherwise.
func Start(t testing.TB) *Server {
	t.Helper()
	return start(t)
}

// StartTLS is Start for a server that speaks TLS.
func StartTLS(t testing.TB, c *tls.Config) *Server {
	t.Helper()
	return start(t, grpc.Creds(credentials.NewTLS(c)))
}

func start(t testing.TB, options ...grpc.ServerOption) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{address: listener.Addr().String(), grpc: grpc.NewServer(options...), ended: make(chan struct{})}
	s.Answer(flightruntime.Health{Status: flightruntime.Serving})
	flight.RegisterFlightServiceServer(s.grpc, s)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.grpc.Serve(listener) })
	t.Cleanup(func() {
		s.Stop()
		wg.Wait()
	})
	return s
}

// Address is the host and port that the server listens on.
func (s *Server) Address() string { return s.address }

// Stop ends the server and all calls.
func (s *Server) Stop() {
	s.once.Do(func() { close(s.ended) })
	s.grpc.Stop()
}

// Answer makes the server answer with this health.
func (s *Server) Answer(h flightruntime.Health) {
	s.AnswerWith(func() flightruntime.Health { return h })
}

// AnswerWith makes the server answer with what a function says at each call.
func (s *Server) AnswerWith(health func() flightruntime.Health) {
	s.set(func() ([]byte, bool) {
		body, err := json.Marshal(health())
		if err != nil {
			panic(err)
		}
		return body, false
	})
}

// AnswerRaw makes the server answer with these bytes.
func (s *Server) AnswerRaw(body string) { s.set(func() ([]byte, bool) { return []byte(body), false }) }

// Hang makes the server take calls and never answer.
func (s *Server) Hang() { s.set(func() ([]byte, bool) { return nil, true }) }

// Calls is how many HealthChecks have come in.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Admit makes the server refuse the calls that a function has an error for.
func (s *Server) Admit(admit func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admit = admit
}

func (s *Server) set(answer func() ([]byte, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// DoAction answers HealthCheck.
func (s *Server) DoAction(action *flight.Action, stream flight.FlightService_DoActionServer) error {
	if action.Type != flightruntime.ActionHealthCheck {
		return status.Errorf(codes.Unimplemented, "unknown action %q", action.Type)
	}
	s.mu.Lock()
	s.calls++
	answer, admit := s.answer, s.admit
	s.mu.Unlock()
	if admit != nil {
		if err := admit(stream.Context()); err != nil {
			return err
		}
	}
	body, hang := answer()
	if hang {
		select {
		case <-stream.Context().Done():
		case <-s.ended:
		}
		return status.FromContextError(stream.Context().Err()).Err()
	}
	return stream.Send(&flight.Result{Body: body})
}
