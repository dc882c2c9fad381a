// Package flightruntime is Apache Arrow Flight for Go: a server to build one's own on, and a client. The server that the operator runs
// (package datasets) is built on it too.
package flightruntime

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	flightpb "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress calls; MaxMessageBytes holds for what comes out
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
	"github.com/flight-operator/flight-operator/flightruntime/wire/conn"
)

// ServerOptions say how a server treats its callers. The zero value serves with the defaults.
type ServerOptions struct {
	// TLS is how a server at a grpc+tls location proves who it is, and whom it asks to. ServerTLS makes one of PEM files.
	TLS *tls.Config
	// TLSSource, in place of TLS, is the same by files that are followed as they change; certs.Follow makes one. It also says of each call, by
	// what is in force then, who the peer is and whether it is still to be let in.
	TLSSource *certs.Source
	// OperatorTokens are what the operator shows a server without TLS; nil: none is taken. They need neither Auth nor InsecureAuth.
	OperatorTokens *OperatorTokens
	// Auth, if set, authenticates callers by handshake and token.
	Auth ServerAuthHandler
	// Middleware follows each call, the first outermost.
	Middleware []NamedServerMiddleware
	// InsecureAuth says whether credentials may come in plain text. By default a server that would take them so is refused.
	InsecureAuth InsecureAuth
	// MaxMessageBytes bounds one message in either direction. 0 means 64 MiB.
	MaxMessageBytes int
	// MaxStreams bounds the calls at a time on one connection. 0 means 512.
	MaxStreams uint32
	// MaxConnections bounds the connections at a time; one that comes beyond is closed at once. 0 means 10,000, or half of the descriptors that the
	// process may have (RLIMIT_NOFILE) if these are fewer, so that the other half is left for files. Less than 0 means no bound.
	MaxConnections int
	// MaxCallDuration ends calls that take longer, also where a client does not read. 0 means no bound.
	MaxCallDuration time.Duration
	// MaxConnectionAge is how long a connection takes new calls; those that are running go on to their end. Then clients connect anew, and see
	// the certificate of that time. 0 means no bound. gRPC varies it by a tenth, so that not all clients come at once.
	MaxConnectionAge time.Duration
	// StallTimeout ends calls whose client reads nothing for so long while there is something to read. 0 means 2 minutes, less than 0 no
	// bound.
	StallTimeout time.Duration
	// Logger gets panics, and the calls that failed: at the level Error those that end with INTERNAL or UNKNOWN, at Debug those that are the
	// client's own affair. Records of calls that are part of a trace have its traceId. nil means slog.Default().
	Logger *slog.Logger
	// Observer, if set, sees the end of each call.
	Observer func(method string, err error, took time.Duration)
}

// InsecureAuth says what to do where authentication would happen without TLS, by which whoever listens on the way learns passwords and
// tokens.
type InsecureAuth string

// Values of InsecureAuth.
const (
	// RefuseInsecureAuth: do not. A UNIX socket is not insecure.
	RefuseInsecureAuth InsecureAuth = ""
	// AllowInsecureAuth: do it all the same, for instance behind a proxy that ends TLS.
	AllowInsecureAuth InsecureAuth = "Allow"
)

// Defaults of ServerOptions, and settings of every server.
const (
	defaultMaxMessageBytes = 64 << 20
	defaultMaxStreams      = 512
	// defaultMaxConnections: each takes some tens of KiB while it is idle.
	defaultMaxConnections = 10_000
	// defaultStallTimeout is many times what a network's hiccup takes, and short enough for what a stalled client holds to be freed.
	defaultStallTimeout = 2 * time.Minute
	// maxHeaderBytes of a call: several tokens' worth. grpc-go takes 16 MiB.
	maxHeaderBytes = 64 << 10
	// handshakeTimeout is how long a client may take from its connecting to its first frame of HTTP/2, TLS included: three round trips, of which some packets
	// may have to be sent again after 1, 2 and 4 s. grpc-go's own is 2 minutes, in which whoever connects and says nothing has a connection.
	handshakeTimeout = 15 * time.Second
	// minClientPing: Arrow's documentation tells clients to ping every 60 s; grpc-go's own floor of 5 min would cut them off.
	minClientPing = 10 * time.Second
	// serverPing finds clients that are gone without a word, within serverPing + serverPingTimeout.
	serverPing        = time.Minute
	serverPingTimeout = 20 * time.Second
	// writeBuffer gathers what grpc-go writes to one system call, where package conn does not; 512 KiB took 20 % less CPU a byte than 32 KiB.
	writeBuffer = 512 << 10
	readBuffer  = 64 << 10
	// streamWindow and connectionWindow are how much a client may send that has not been read: what 10 ms of way there and back take at 400 MB/s, and as
	// much as grpc-go goes up to by itself. To find that out it sends a ping with nearly every message that it receives, which the client has to answer:
	// of a small call, that is half of what is read and written.
	streamWindow     = 4 << 20
	connectionWindow = 16 << 20
	// streamWorkers are goroutines that answer one call after another, and whose stacks are large enough from the second on: to grow that of a goroutine
	// for each call takes a twelfth of the time of a small one. Calls beyond them get goroutines of their own, so it takes no more than there are
	// small calls at a moment.
	streamWorkers = 16
	// unwind is how long a cancelled call gets to return: one that does not look at its context is not waited for.
	unwind = time.Second
)

// Server is a Flight server on one listener.
type Server struct {
	location Location
	listener *conn.Listener
	grpc     *grpc.Server
	health   *health.Server
	calls    *callCounter

	start    sync.Once
	ended    chan struct{} // closed when the server has ended
	endOnce  sync.Once
	serveErr error // of before ended was closed
}

// NewServer listens at a location. Port 0 takes a free one, which Location then tells. Clients can connect from now on; their calls are
// answered once Start or Serve is called.
func NewServer(location string, service Service, opts ServerOptions) (*Server, error) {
	l, err := ParseLocation(location)
	if err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	if err := opts.check(l); err != nil {
		return nil, err
	}
	listener, l, err := l.listen()
	if err != nil {
		return nil, err
	}
	s := &Server{location: l, listener: conn.Listen(listener, opts.MaxConnections, opts.Logger), health: health.NewServer(), calls: &callCounter{}, ended: make(chan struct{})}
	s.grpc = grpc.NewServer(opts.grpc(s.calls)...)
	flightpb.RegisterFlightServiceServer(lateReading{s.grpc}, &adapter{service: service, handshake: opts.handshakes(), maxMessageBytes: opts.MaxMessageBytes})
	healthpb.RegisterHealthServer(lateReading{s.grpc}, s.health)
	reflection.Register(s.grpc)
	s.SetServing(true)
	return s, nil
}

func (o ServerOptions) withDefaults() ServerOptions {
	if o.MaxMessageBytes == 0 {
		o.MaxMessageBytes = defaultMaxMessageBytes
	}
	if o.MaxStreams == 0 {
		o.MaxStreams = defaultMaxStreams
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = connectionsFor(descriptors())
	}
	if o.StallTimeout == 0 {
		o.StallTimeout = defaultStallTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// connectionsFor is the default of MaxConnections in a process that may have so many descriptors; 0 is an unknown number.
func connectionsFor(descriptors uint64) int {
	if half := descriptors / 2; half > 0 && half < defaultMaxConnections {
		return int(half)
	}
	return defaultMaxConnections
}

// check refuses options that do not go with the location.
func (o ServerOptions) check(l Location) error {
	switch {
	case o.TLS != nil && o.TLSSource != nil:
		return fmt.Errorf("listen at %s: set one of ServerOptions.TLS and ServerOptions.TLSSource", l)
	case l.scheme == SchemeTLS && o.TLS == nil && o.TLSSource == nil:
		return fmt.Errorf("listen at %s: TLS needs a certificate and its key: set ServerOptions.TLS or ServerOptions.TLSSource", l)
	case l.scheme != SchemeTLS && (o.TLS != nil || o.TLSSource != nil):
		return fmt.Errorf("listen at %s: there is a TLS configuration: use a location of the scheme grpc+tls", l)
	case l.scheme == SchemeTCP && o.InsecureAuth != AllowInsecureAuth && o.takesCredentials():
		return fmt.Errorf("listen at %s: authentication without TLS shows passwords and tokens to whoever listens on the way: "+
			"use a location of the scheme grpc+tls, or set ServerOptions.InsecureAuth to AllowInsecureAuth", l)
	}
	return nil
}

// takesCredentials is true where clients are to send what others must not see.
func (o ServerOptions) takesCredentials() bool {
	for _, m := range o.Middleware {
		if t, ok := m.Factory.(CredentialTaker); ok && t.TakesCredentials() {
			return true
		}
	}
	return o.Auth != nil
}

func (o ServerOptions) grpc(calls *callCounter) []grpc.ServerOption {
	guard := callGuard{
		calls: calls, log: o.Logger, observe: o.Observer, admission: admission{o.TLSSource, o.OperatorTokens}, auth: o.Auth, middleware: o.Middleware,
		stall: o.StallTimeout,
	}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(wire.Codec()),
		grpc.MaxRecvMsgSize(o.MaxMessageBytes),
		grpc.MaxSendMsgSize(o.MaxMessageBytes),
		grpc.MaxConcurrentStreams(o.MaxStreams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.ReadBufferSize(readBuffer),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minClientPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: serverPing, Timeout: serverPingTimeout, MaxConnectionAge: o.MaxConnectionAge, // and no MaxConnectionAgeGrace: calls go on
		}),
		grpc.InTapHandle(boundCalls(o.MaxCallDuration)),
		grpc.ChainStreamInterceptor(guard.stream),
	}
	switch {
	case o.TLS != nil:
		return append(options, transport(o.TLS, o.Logger)...)
	case o.TLSSource != nil:
		return append(options, transport(o.TLSSource.TLSConfig(), o.Logger)...)
	}
	return append(options, transport(nil, o.Logger)...)
}

// transport is how connections are written to, with TLS or without: by reference, or by way of a buffer where that is not to be.
func transport(secure *tls.Config, log *slog.Logger) []grpc.ServerOption {
	if err := conn.Usable(); err != nil {
		log.Warn("what is sent will be copied to a buffer first, which takes more processor time", "reason", err)
		options := []grpc.ServerOption{grpc.WriteBufferSize(writeBuffer)}
		if secure != nil {
			options = append(options, grpc.Creds(credentials.NewTLS(secure)))
		}
		return options
	}
	creds := conn.Plain()
	if secure != nil {
		creds = conn.TLS(secure)
	}
	return []grpc.ServerOption{grpc.WriteBufferSize(0), grpc.Creds(creds)}
}

// Location is where the server listens, with the port that it got.
func (s *Server) Location() Location { return s.location }

// ActiveCalls counts the Flight calls that are running, without the operator's.
func (s *Server) ActiveCalls() int { return s.calls.active() }

// Traffic tells of the server's connections, and of the bytes that went over them.
func (s *Server) Traffic() conn.Traffic { return s.listener.Traffic() }

// SetServing tells gRPC health clients whether the server serves; until the first call it does.
func (s *Server) SetServing(serving bool) {
	state := healthpb.HealthCheckResponse_NOT_SERVING
	if serving {
		state = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", state)
	s.health.SetServingStatus(serviceName, state)
}

// Start begins to answer calls and returns at once.
func (s *Server) Start() {
	s.start.Do(func() {
		go func() {
			// grpc-go's error says that the server was shut down before it began to serve.
			err := s.grpc.Serve(s.listener)
			if err == nil || errors.Is(err, grpc.ErrServerStopped) {
				return // Shutdown tells of the end, once the running calls have ended too
			}
			s.end(fmt.Errorf("serve at %s: %w", s.location, err))
		}()
	})
}

// Wait returns when the server has ended: nil after a Shutdown.
func (s *Server) Wait() error {
	<-s.ended
	return s.serveErr
}

// Serve answers calls until the server is shut down. It then returns nil.
func (s *Server) Serve() error {
	s.Start()
	return s.Wait()
}

func (s *Server) end(err error) {
	s.endOnce.Do(func() {
		s.serveErr = err
		close(s.ended)
	})
}

// Shutdown refuses new calls, lets the running ones end and their clients get what they were sent, and cancels those that have not ended when
// ctx is done. The error then says how many these were.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.end(nil)
	defer s.listener.Close() // grpc-go closes it too, but only once Serve has been called
	s.health.Shutdown()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.grpc.GracefulStop()
	}()
	select {
	case <-drained:
		conn.Settled(ctx)
		return nil
	case <-ctx.Done():
	}
	cut := s.ActiveCalls()
	s.grpc.Stop()
	select {
	case <-drained:
	case <-time.After(unwind):
	}
	if cut == 0 {
		return nil
	}
	return fmt.Errorf("%d calls had not ended in time and were cancelled", cut)
}
