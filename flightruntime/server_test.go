package flightruntime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

// testService answers with the functions that a test gives it.
type testService struct {
	BaseService
	getFlightInfo func(context.Context) (*FlightInfo, error)
	doGet         func(context.Context) iter.Seq2[Chunk, error]
	doPut         func(context.Context, *DataReader, *MetadataWriter) error
	doExchange    func(context.Context, *DataReader, *DataWriter) error
	doAction      func(*Action) iter.Seq2[[]byte, error]
}

func (s *testService) GetFlightInfo(ctx context.Context, _ *FlightDescriptor) (*FlightInfo, error) {
	return s.getFlightInfo(ctx)
}

func (s *testService) DoGet(ctx context.Context, _ *Ticket) (*DataStream, error) {
	return GeneratorStream(arrow.NewSchema(nil, nil), s.doGet(ctx)), nil
}

func (s *testService) DoPut(ctx context.Context, r *DataReader, w *MetadataWriter) error {
	return s.doPut(ctx, r, w)
}

func (s *testService) DoExchange(ctx context.Context, r *DataReader, w *DataWriter) error {
	return s.doExchange(ctx, r, w)
}

func (s *testService) DoAction(_ context.Context, a *Action) iter.Seq2[[]byte, error] {
	return s.doAction(a)
}

// start serves on loopback until the test ends.
func start(t *testing.T, service Service, opts ServerOptions) *Server {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	server, err := NewServer("grpc://127.0.0.1:0", service, opts)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = server.Shutdown(ctx) // tests of draining have shut it down themselves
		if err := <-served; err != nil {
			t.Errorf("Serve returned %v, want nil after Shutdown", err)
		}
	})
	return server
}

func connectTo(t *testing.T, server *Server) (*grpc.ClientConn, flight.FlightServiceClient) {
	t.Helper()
	target, err := server.Location().target()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, flight.NewFlightServiceClient(conn)
}

// eventually waits until a condition holds; the test's own deadline ends it where it never does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for !holds() {
		select {
		case <-t.Context().Done():
			t.Fatalf("never came true: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// syncBuffer is a buffer that a server's goroutines log to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// waiting is a DoGet that tells when it has begun and ends when its release is closed or its call ends. It sends three messages: the
// schema and two of metadata.
func waiting(begun chan<- struct{}, release <-chan struct{}) func(context.Context) iter.Seq2[Chunk, error] {
	return func(ctx context.Context) iter.Seq2[Chunk, error] {
		return func(yield func(Chunk, error) bool) {
			if !yield(Chunk{AppMetadata: []byte("begun")}, nil) {
				return
			}
			begun <- struct{}{}
			select {
			case <-release:
				yield(Chunk{AppMetadata: []byte("the end")}, nil)
			case <-ctx.Done():
				yield(Chunk{}, ctx.Err())
			}
		}
	}
}

// drainStream reads a stream to its end, and returns how many messages came before the error; nil is the proper end.
func drainStream(stream flight.FlightService_DoGetClient) (messages int, err error) {
	for {
		if _, err := stream.Recv(); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return messages, err
		}
		messages++
	}
}

func TestPort0GetsAPortThatLocationTells(t *testing.T) {
	first, second := start(t, &testService{}, ServerOptions{}), start(t, &testService{}, ServerOptions{})
	if first.Location().Port() == 0 || first.Location() == second.Location() {
		t.Errorf("two servers listen at %s and %s", first.Location(), second.Location())
	}
}

func TestNewServerTellsWhatIsWrongWithTheLocation(t *testing.T) {
	if _, err := NewServer("127.0.0.1:0", &testService{}, ServerOptions{}); err == nil || !strings.Contains(err.Error(), "SCHEME://HOST:PORT") {
		t.Errorf("a location without a scheme: %v", err)
	}
	taken := start(t, &testService{}, ServerOptions{}).Location().String()
	if _, err := NewServer(taken, &testService{}, ServerOptions{}); err == nil || !strings.Contains(err.Error(), taken) {
		t.Errorf("a location that is taken: %v", err)
	}
}

func TestAFlightInfoWithoutADescriptorGetsTheOneAskedFor(t *testing.T) {
	_, client := connectTo(t, start(t, &testService{getFlightInfo: func(context.Context) (*FlightInfo, error) { return &FlightInfo{}, nil }}, ServerOptions{}))
	info, err := client.GetFlightInfo(t.Context(), DescriptorForPath("trips"))
	if err != nil || !slices.Equal(info.GetFlightDescriptor().GetPath(), []string{"trips"}) {
		t.Errorf("got %v, %v, want the descriptor that was asked for", info, err)
	}
}

func TestWhatIsNotOverriddenIsUnimplemented(t *testing.T) {
	_, client := connectTo(t, start(t, &testService{}, ServerOptions{}))
	if _, err := client.GetSchema(t.Context(), &flight.FlightDescriptor{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("GetSchema ended with %v, want UNIMPLEMENTED", err)
	}
}

// libraryPanic is what a library makes of a panic of its own that it recovers from.
func libraryPanic() (err error) {
	defer func() { err = recover().(error) }()
	var text any = "no error"
	return text.(error) // a panic of the Go runtime
}

func TestPanicsAreLoggedAndKeptFromTheClient(t *testing.T) {
	const secret = "the text of the panic"
	for _, tt := range []struct {
		name string
		call func(*testService, flight.FlightServiceClient) error
		logs string
	}{
		{"in a unary call", func(s *testService, c flight.FlightServiceClient) error {
			s.getFlightInfo = func(context.Context) (*FlightInfo, error) { panic(secret) }
			_, err := c.GetFlightInfo(t.Context(), &flight.FlightDescriptor{})
			return err
		}, secret},
		{"in a stream that has begun", func(s *testService, c flight.FlightServiceClient) error {
			s.doGet = func(context.Context) iter.Seq2[Chunk, error] {
				return func(yield func(Chunk, error) bool) {
					yield(Chunk{AppMetadata: []byte("begun")}, nil)
					panic(errors.New(secret))
				}
			}
			stream, err := c.DoGet(t.Context(), &flight.Ticket{})
			if err != nil {
				return err
			}
			_, err = drainStream(stream)
			return err
		}, secret},
		{"of the Go runtime, which a library made an error", func(s *testService, c flight.FlightServiceClient) error {
			s.getFlightInfo = func(context.Context) (*FlightInfo, error) { return nil, libraryPanic() }
			_, err := c.GetFlightInfo(t.Context(), &flight.FlightDescriptor{})
			return err
		}, "interface conversion"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			service, logs := &testService{}, &syncBuffer{}
			server := start(t, service, ServerOptions{Logger: slog.New(slog.NewJSONHandler(logs, nil))})
			_, client := connectTo(t, server)
			err := tt.call(service, client)
			if status.Code(err) != codes.Internal || strings.Contains(err.Error(), tt.logs) {
				t.Errorf("ended with %v, want INTERNAL without the panic's text", err)
			}
			if !strings.Contains(logs.String(), tt.logs) {
				t.Errorf("the log has nothing of the panic: %s", logs)
			}
			eventually(t, "the call is counted out", func() bool { return server.ActiveCalls() == 0 })
			service.getFlightInfo = func(context.Context) (*FlightInfo, error) { return &FlightInfo{}, nil }
			if _, err := client.GetFlightInfo(t.Context(), &flight.FlightDescriptor{}); err != nil {
				t.Errorf("the next call ended with %v", err)
			}
		})
	}
}

func TestALongRefusalReachesTheClient(t *testing.T) {
	// Clients take 8 KiB of headers, and a byte that is not ASCII takes three: an uncut message would end the call as something else.
	service := &testService{getFlightInfo: func(context.Context) (*FlightInfo, error) {
		return nil, status.Error(codes.NotFound, "no dataset "+strings.Repeat("ü", 1<<20))
	}}
	_, client := connectTo(t, start(t, service, ServerOptions{}))
	_, err := client.GetFlightInfo(t.Context(), &flight.FlightDescriptor{}, grpc.MaxCallRecvMsgSize(1<<10))
	if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "no dataset üü") {
		t.Errorf("ended with %.200v, want NOT_FOUND and the message's beginning", err)
	}
}

// endless is a DoGet that sends metadata until nobody wants any more, and then says so.
func endless(ended func()) func(context.Context) iter.Seq2[Chunk, error] {
	return func(context.Context) iter.Seq2[Chunk, error] {
		return func(yield func(Chunk, error) bool) {
			defer ended()
			for yield(Chunk{AppMetadata: make([]byte, 1<<20)}, nil) {
			}
		}
	}
}

func TestAClientThatStopsReadingLosesItsCall(t *testing.T) {
	ended, observed := make(chan struct{}), make(chan error, 1)
	server := start(t, &testService{doGet: endless(func() { close(ended) })}, ServerOptions{
		StallTimeout: 50 * time.Millisecond,
		Observer:     func(_ string, err error, _ time.Duration) { observed <- err },
	})
	_, client := connectTo(t, server)
	if _, err := client.DoGet(t.Context(), &flight.Ticket{}); err != nil {
		t.Fatal(err)
	}
	<-ended
	if err := <-observed; !errors.Is(err, ErrTimedOut) || !strings.Contains(err.Error(), "has read nothing for 50ms") {
		t.Errorf("ended with %v, want a time-out that says why", err)
	}
}

func TestMaxCallDurationEndsACallWhoseClientDoesNotRead(t *testing.T) {
	ended := make(chan struct{})
	observed := make(chan error, 1)
	service := &testService{doGet: endless(func() { close(ended) })}
	server := start(t, service, ServerOptions{
		MaxCallDuration: 50 * time.Millisecond,
		Observer:        func(_ string, err error, _ time.Duration) { observed <- err },
	})
	_, client := connectTo(t, server)
	if _, err := client.DoGet(t.Context(), &flight.Ticket{}); err != nil {
		t.Fatal(err)
	}
	<-ended // the client never reads, and never goes away: nothing but the bound ends the call
	if err := <-observed; status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("ended with %v, want DEADLINE_EXCEEDED", err)
	}
}

func TestMaxCallDurationTellsTheClient(t *testing.T) {
	service := &testService{getFlightInfo: func(ctx context.Context) (*flight.FlightInfo, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	_, client := connectTo(t, start(t, service, ServerOptions{MaxCallDuration: 50 * time.Millisecond}))
	_, err := client.GetFlightInfo(t.Context(), &flight.FlightDescriptor{})
	if status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "the call has taken longer than 50ms") {
		t.Errorf("ended with %v, want DEADLINE_EXCEEDED and why", err)
	}
}

func TestMaxMessageBytesHoldsInBothDirections(t *testing.T) {
	service := &testService{
		getFlightInfo: func(context.Context) (*FlightInfo, error) {
			return &flight.FlightInfo{AppMetadata: make([]byte, 2<<10)}, nil
		},
	}
	_, client := connectTo(t, start(t, service, ServerOptions{MaxMessageBytes: 1 << 10}))
	if _, err := client.GetFlightInfo(t.Context(), &flight.FlightDescriptor{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("an answer above the limit ended with %v, want RESOURCE_EXHAUSTED", err)
	}
	if _, err := client.GetFlightInfo(t.Context(), &flight.FlightDescriptor{Cmd: make([]byte, 2<<10)}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a request above the limit ended with %v, want RESOURCE_EXHAUSTED", err)
	}
}

func TestActiveCallsCountsFlightCallsAlone(t *testing.T) {
	begun, release := make(chan struct{}, 3), make(chan struct{})
	var mu sync.Mutex
	var observed []string
	server := start(t, &testService{doGet: waiting(begun, release)}, ServerOptions{Observer: func(method string, err error, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil || took <= 0 {
			t.Errorf("%s took %s and ended with %v", method, took, err)
		}
		observed = append(observed, method)
	}})
	conn, client := connectTo(t, server)
	watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	var streams []flight.FlightService_DoGetClient
	for range 3 {
		stream, err := client.DoGet(t.Context(), &flight.Ticket{})
		if err != nil {
			t.Fatal(err)
		}
		<-begun
		streams = append(streams, stream)
	}
	if n := server.ActiveCalls(); n != 3 {
		t.Errorf("%d calls are active, want 3: health's is not one of them", n)
	}
	close(release)
	for _, s := range streams {
		if n, err := drainStream(s); n != 3 || err != nil {
			t.Errorf("a stream ended after %d messages with %v", n, err)
		}
	}
	eventually(t, "no call is active", func() bool { return server.ActiveCalls() == 0 })
	eventually(t, "all three are observed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Equal(observed, []string{"DoGet", "DoGet", "DoGet"})
	})
}

func TestShutdownLetsRunningStreamsEnd(t *testing.T) {
	begun, release := make(chan struct{}, 1), make(chan struct{})
	server := start(t, &testService{doGet: waiting(begun, release)}, ServerOptions{})
	_, client := connectTo(t, server)
	stream, err := client.DoGet(t.Context(), &flight.Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	down := make(chan error, 1)
	go func() { down <- server.Shutdown(t.Context()) }()
	eventually(t, "new connections are refused", func() bool {
		conn, err := net.Dial("tcp", server.Location().address())
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-down:
		t.Fatalf("Shutdown returned %v while a stream was running", err)
	default:
	}
	close(release)
	if n, err := drainStream(stream); n != 3 || err != nil {
		t.Errorf("the running stream ended after %d messages with %v, want all three and no error", n, err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
}

// gated is a connection that is not read from before its gate opens, once it is shut.
type gated struct {
	net.Conn
	shut atomic.Bool
	gate chan struct{}
}

func (g *gated) Read(p []byte) (int, error) {
	if g.shut.Load() {
		<-g.gate
	}
	return g.Conn.Read(p)
}

// The end of the process that comes after Shutdown takes away what a slow client has not got by then.
func TestShutdownWaitsUntilClientsHaveGotAll(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	server := start(t, &testService{doGet: func(context.Context) iter.Seq2[Chunk, error] {
		return func(yield func(Chunk, error) bool) {
			close(begun)
			<-release
			for range 2 {
				if !yield(Chunk{AppMetadata: make([]byte, 1<<20)}, nil) {
					return
				}
			}
		}
	}}, ServerOptions{})
	slow := &gated{gate: make(chan struct{})}
	conn, err := grpc.NewClient("passthrough:///"+server.Location().address(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(8<<20), grpc.WithStaticConnWindowSize(8<<20),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			slow.Conn = c
			return slow, err
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := flight.NewFlightServiceClient(conn).DoGet(t.Context(), &flight.Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	slow.shut.Store(true)
	close(release)
	var reads atomic.Bool
	time.AfterFunc(2*time.Second, func() { // grpc-go gives up after one
		reads.Store(true)
		close(slow.gate)
	})
	if err := server.Shutdown(t.Context()); err != nil || !reads.Load() {
		t.Errorf("Shutdown returned %v; the client had gone on to read: %t", err, reads.Load())
	}
	if n, err := drainStream(stream); n != 3 || err != nil {
		t.Errorf("the stream ended after %d messages with %v, want all three and no error", n, err)
	}
}

func TestShutdownCancelsWhatHasNotEndedInTime(t *testing.T) {
	begun := make(chan struct{}, 2)
	server := start(t, &testService{doGet: waiting(begun, nil)}, ServerOptions{})
	_, client := connectTo(t, server)
	var streams []flight.FlightService_DoGetClient
	for range 2 {
		stream, err := client.DoGet(t.Context(), &flight.Ticket{})
		if err != nil {
			t.Fatal(err)
		}
		<-begun
		streams = append(streams, stream)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := server.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "2 calls") {
		t.Errorf("Shutdown returned %v, want an error that counts 2 calls", err)
	}
	for _, stream := range streams {
		if _, err := drainStream(stream); status.Code(err) != codes.Unavailable {
			t.Errorf("a cancelled stream ended with %v, want UNAVAILABLE", err)
		}
	}
}

func TestShutdownDoesNotWaitForACallThatIgnoresItsEnd(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	server := start(t, &testService{doGet: func(context.Context) iter.Seq2[Chunk, error] {
		begun <- struct{}{}
		<-release
		return func(func(Chunk, error) bool) {}
	}}, ServerOptions{})
	_, client := connectTo(t, server)
	if _, err := client.DoGet(t.Context(), &flight.Ticket{}); err != nil {
		t.Fatal(err)
	}
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "1 calls") {
		t.Errorf("Shutdown returned %v, want an error that counts the call", err)
	}
}

func TestAServerAnswersFromStartToShutdown(t *testing.T) {
	server, err := NewServer("grpc://127.0.0.1:0", allWell, ServerOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	client := connect(t, server, ClientOptions{})
	early := make(chan error, 1)
	go func() {
		_, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a"))
		early <- err
	}()
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	server.Start()
	server.Start() // once more does nothing
	if err := <-early; err != nil {
		t.Errorf("a call from before the start ended with %v", err)
	}
	select {
	case err := <-ended:
		t.Fatalf("Wait returned %v while the server serves", err)
	default:
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Wait returned %v", err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("Wait returned %v the second time", err)
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown returned %v the second time", err)
	}
	if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a call after the end ended with %v", err)
	}
}

func TestAServerThatCannotAcceptSaysSo(t *testing.T) {
	server, err := NewServer("grpc://127.0.0.1:0", allWell, ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server.listener.Close()
	if err := server.Serve(); err == nil || !strings.Contains(err.Error(), server.Location().String()) {
		t.Errorf("Serve returned %v, want an error with the location", err)
	}
}

func TestServeAfterShutdownReturnsAtOnce(t *testing.T) {
	server, err := NewServer("grpc://127.0.0.1:0", &testService{}, ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown before Serve returned %v", err)
	}
	again, err := NewServer(server.Location().String(), &testService{}, ServerOptions{})
	if err != nil {
		t.Errorf("its port is still taken: %v", err)
	} else if err := again.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := server.Serve(); err != nil {
		t.Errorf("Serve after Shutdown returned %v, want nil", err)
	}
}

func TestHealthService(t *testing.T) {
	server := start(t, &testService{}, ServerOptions{})
	conn, _ := connectTo(t, server)
	for _, service := range []string{"", "arrow.flight.protocol.FlightService"} {
		check := func() healthpb.HealthCheckResponse_ServingStatus {
			answer, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
			if err != nil {
				t.Fatalf("service %q: %v", service, err)
			}
			return answer.GetStatus()
		}
		if got := check(); got != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("service %q is %s, want SERVING", service, got)
		}
		server.SetServing(false)
		if got := check(); got != healthpb.HealthCheckResponse_NOT_SERVING {
			t.Errorf("service %q is %s, want NOT_SERVING", service, got)
		}
		server.SetServing(true)
		if got := check(); got != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("service %q is %s, want SERVING again", service, got)
		}
	}
}

func TestReflectionNamesTheServices(t *testing.T) {
	conn, _ := connectTo(t, start(t, &testService{}, ServerOptions{}))
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	for _, want := range []string{"arrow.flight.protocol.FlightService", "grpc.health.v1.Health"} {
		if !slices.Contains(names, want) {
			t.Errorf("reflection names %v, want %s among them", names, want)
		}
	}
}

// answers is a server whose actions answer with the bodies given.
func answers(bodies ...string) *testService {
	return &testService{doAction: func(*Action) iter.Seq2[[]byte, error] {
		return func(yield func([]byte, error) bool) {
			for _, body := range bodies {
				if !yield([]byte(body), nil) {
					return
				}
			}
		}
	}}
}

func TestHealthCheckTakesWhatServersSay(t *testing.T) {
	health := Health{
		Status: Serving, Version: "v1", ConfigHash: "abc", ActiveStreams: 3,
		Datasets: []DatasetHealth{{Name: "trips", State: DatasetReady, Rows: 7, RefreshedAt: time.Unix(1700000000, 0).UTC()}},
	}
	body, err := json.Marshal(health)
	if err != nil {
		t.Fatal(err)
	}
	got, err := healthOf(t, answers(string(body)))
	if err != nil || got.Status != Serving || got.ActiveStreams != 3 || len(got.Datasets) != 1 || got.Datasets[0] != health.Datasets[0] {
		t.Errorf("HealthCheck gave %+v, %v, want %+v", got, err, health)
	}
	// A newer server may say more than this client knows.
	if got, err := healthOf(t, answers(`{"status":"NOT_SERVING","mood":"fine"}`)); err != nil || got.Status != NotServing {
		t.Errorf("HealthCheck gave %+v, %v", got, err)
	}
}

func TestHealthCheckTellsNonsenseFromFailure(t *testing.T) {
	for _, tt := range []struct {
		name    string
		service *testService
		reason  string
	}{
		{"no result", answers(), "got none"},
		{"an empty body", answers(""), "0 bytes"},
		{"text", answers("OK"), "2 bytes"},
		{"an array", answers("[]"), "JSON object"},
		{"null", answers("null"), `got ""`},
		{"an unknown status", answers(`{"status":"GREEN"}`), `got "GREEN"`},
		{"a status of another type", answers(`{"status":1}`), "JSON object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := healthOf(t, tt.service)
			var invalid *InvalidAnswerError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("HealthCheck gave %v, want an *InvalidAnswerError with %q", err, tt.reason)
			}
		})
	}
	t.Run("an error of the call", func(t *testing.T) {
		_, err := healthOf(t, &testService{doAction: func(*Action) iter.Seq2[[]byte, error] {
			return failed[[]byte](Errorf(KindUnauthorized, "not you"))
		}})
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("HealthCheck gave %v, want PERMISSION_DENIED", err)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		gone, err := NewServer("grpc://127.0.0.1:0", &testService{}, ServerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := gone.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		client, err := Connect(gone.Location().String(), ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.HealthCheck(t.Context()); status.Code(err) != codes.Unavailable {
			t.Errorf("HealthCheck gave %v, want UNAVAILABLE", err)
		}
	})
}

func healthOf(t *testing.T, service Service) (*Health, error) {
	t.Helper()
	client, err := Connect(start(t, service, ServerOptions{}).Location().String(), ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	return client.HealthCheck(t.Context())
}

func TestDoActionYieldsResultsUntilTheCallerHasEnough(t *testing.T) {
	var got []string
	client, err := Connect(start(t, answers("a", "b", "c"), ServerOptions{}).Location().String(), ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for body, err := range client.DoAction(t.Context(), "Any", nil) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, string(body)); len(got) == 2 {
			break
		}
	}
	if !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v, want the first two", got)
	}
}

func TestConnectRefusesWhatIsNoLocation(t *testing.T) {
	if _, err := Connect("host:8815", ClientOptions{}); err == nil || !strings.Contains(err.Error(), "SCHEME://HOST:PORT") {
		t.Errorf("Connect gave %v", err)
	}
}
