package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// The kinds of caller, each known by every method: who may do everything, who may see that the datasets are there, who is in no rule, and who shows
// credentials that are not good, or none.
const (
	allowed = iota
	lister
	stranger
	refused
	kinds
)

var kindNames = [kinds]string{"allowed", "lister", "stranger", "refused"}

// everyCall is all that a server can be asked, and what becomes of it by the kind of the caller. Callers who are refused get UNAUTHENTICATED, but where
// a call is open: it tells nothing but that there is a server, and which protocol it speaks.
var everyCall = []struct {
	name string
	open bool
	want [refused]codes.Code
	call func(ctx context.Context, c visitor) error
}{
	{"ListFlights", false, all, func(ctx context.Context, c visitor) error {
		names, err := flights(c.ListFlights(ctx, nil, c.show...))
		if err == nil && strings.Contains(names, "trips") != (c.kind != stranger) {
			err = fmt.Errorf("lists %q", names)
		}
		return err
	}},
	{"GetFlightInfo", false, readers, func(ctx context.Context, c visitor) error {
		_, err := c.GetFlightInfo(ctx, flightruntime.DescriptorForPath("trips"), c.show...)
		return err
	}},
	{"GetFlightInfo of a query", false, readers, func(ctx context.Context, c visitor) error {
		_, err := c.GetFlightInfo(ctx, flightruntime.DescriptorForCommand([]byte(`{"dataset": "trips", "filter": "a > 0"}`)), c.show...)
		return err
	}},
	{"PollFlightInfo", false, readers, func(ctx context.Context, c visitor) error {
		_, err := c.PollFlightInfo(ctx, flightruntime.DescriptorForPath("trips"), c.show...)
		return err
	}},
	{"GetSchema", false, readers, func(ctx context.Context, c visitor) error {
		_, err := c.GetSchema(ctx, flightruntime.DescriptorForPath("trips"), c.show...)
		return err
	}},
	{"DoGet of a name", false, readers, func(ctx context.Context, c visitor) error { return c.read(ctx, []byte("trips")) }},
	{"DoGet of a query", false, readers, func(ctx context.Context, c visitor) error {
		return c.read(ctx, []byte(`{"dataset": "trips", "columns": ["a"]}`))
	}},
	{"DoGet of one's own ticket", false, readers, func(ctx context.Context, c visitor) error {
		info, err := c.GetFlightInfo(ctx, flightruntime.DescriptorForPath("trips"), c.show...)
		if err != nil {
			return err
		}
		return c.read(ctx, info.GetEndpoint()[0].GetTicket().GetTicket())
	}},
	{"DoGet of another's ticket", false, nobody, func(ctx context.Context, c visitor) error {
		return c.read(ctx, c.others.GetEndpoint()[0].GetTicket().GetTicket())
	}},
	{"DoPut that appends", false, readers, func(ctx context.Context, c visitor) error {
		return c.put(ctx, flightruntime.DescriptorForPath("scratch"))
	}},
	{"DoPut that overwrites", false, readers, func(ctx context.Context, c visitor) error {
		return c.put(ctx, flightruntime.DescriptorForCommand([]byte(`{"dataset": "scratch", "mode": "overwrite"}`)))
	}},
	{"DoExchange that subscribes", false, readers, func(ctx context.Context, c visitor) error {
		return c.exchange(ctx, flightruntime.DescriptorForPath("scratch"), `{"acknowledged": 0}`)
	}},
	{"DoExchange that echoes", false, nobodyBut(codes.PermissionDenied), func(ctx context.Context, c visitor) error {
		return c.exchange(ctx, flightruntime.DescriptorForCommand([]byte("echo")), "x")
	}},
	{"DoAction HealthCheck", false, all, act("HealthCheck", "")},
	{"DoAction Status", false, actors, act("Status", "trips")},
	{"DoAction Status of all", false, actors, act("Status", "")},
	{"DoAction Refresh", false, actors, act("Refresh", "trips")},
	{"DoAction Refresh of all", false, actors, act("Refresh", "")},
	{"DoAction Delete", false, actors, act("Delete", `{"dataset": "scratch", "all": true}`)},
	{"DoAction CancelFlightInfo", false, nobodyBut(codes.PermissionDenied), func(ctx context.Context, c visitor) error {
		return c.actOnOwn(ctx, flight.CancelFlightInfoActionType, func(i *flightruntime.FlightInfo) proto.Message { return &flight.CancelFlightInfoRequest{Info: i} })
	}},
	{"DoAction RenewFlightEndpoint", false, nobodyBut(codes.PermissionDenied), func(ctx context.Context, c visitor) error {
		return c.actOnOwn(ctx, flight.RenewFlightEndpointActionType, func(i *flightruntime.FlightInfo) proto.Message {
			return &flight.RenewFlightEndpointRequest{Endpoint: i.GetEndpoint()[0]}
		})
	}},
	{"DoAction SetSessionOptions", false, actors, act(flight.SetSessionOptionsActionType, "")},
	{"DoAction GetSessionOptions", false, actors, act(flight.GetSessionOptionsActionType, "")},
	{"DoAction CloseSession", false, [refused]codes.Code{codes.NotFound, codes.PermissionDenied, codes.PermissionDenied}, act(flight.CloseSessionActionType, "")},
	{"DoAction that there is not", false, [refused]codes.Code{codes.InvalidArgument, codes.InvalidArgument, codes.InvalidArgument}, act("nonsense", "")},
	{"ListActions", false, all, func(ctx context.Context, c visitor) error {
		actions, err := c.ListActions(ctx, c.show...)
		if err == nil && (len(actions) == 1) != (c.kind != allowed) {
			err = fmt.Errorf("lists %d actions", len(actions))
		}
		return err
	}},
	{"Handshake", false, all, func(ctx context.Context, c visitor) error {
		stream, err := flight.NewFlightServiceClient(c.conn).Handshake(c.outgoing(ctx))
		if err != nil {
			return err
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		if _, err = stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}},
	{"gRPC health Check", true, all, func(ctx context.Context, c visitor) error {
		_, err := healthpb.NewHealthClient(c.conn).Check(c.outgoing(ctx), &healthpb.HealthCheckRequest{})
		return err
	}},
	{"gRPC health Watch", true, all, func(ctx context.Context, c visitor) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := healthpb.NewHealthClient(c.conn).Watch(c.outgoing(ctx), &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}},
	{"gRPC reflection", true, all, func(ctx context.Context, c visitor) error {
		stream, err := reflectionpb.NewServerReflectionClient(c.conn).ServerReflectionInfo(c.outgoing(ctx))
		if err != nil {
			return err
		}
		err = stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
		if err == nil {
			_, err = stream.Recv()
		}
		return errors.Join(err, stream.CloseSend())
	}},
}

// What becomes of a call, for those who are allowed, may only list, and are in no rule.
var (
	all     = [refused]codes.Code{codes.OK, codes.OK, codes.OK}
	readers = [refused]codes.Code{codes.OK, codes.PermissionDenied, codes.NotFound}
	actors  = nobodyBut(codes.PermissionDenied)
	nobody  = [refused]codes.Code{codes.PermissionDenied, codes.PermissionDenied, codes.PermissionDenied}
)

func nobodyBut(others codes.Code) [refused]codes.Code {
	return [refused]codes.Code{codes.OK, others, others}
}

// TestEveryCallByEveryMethod holds every call, by every method, of every kind of caller against what is written above, on the whole server.
func TestEveryCallByEveryMethod(t *testing.T) {
	w := newAuthWorld(t)
	w.startAll(t)
	cells := 0
	for _, m := range w.methods(t) {
		t.Run(m.name, func(t *testing.T) {
			for kind := range kinds {
				for _, row := range everyCall {
					cells++
					c := w.visit(t, m, kind)
					err := row.call(t.Context(), c)
					want := codes.Unauthenticated
					switch {
					case kind != refused:
						want = row.want[kind]
					case row.open:
						want = codes.OK
					}
					if row.name == "Handshake" && !m.inHeader {
						want = codes.Unauthenticated // it asks for a name and a password
					}
					if got := status.Code(err); got != want {
						t.Errorf("%s, by one who is %s: %v, want %s", row.name, kindNames[kind], err, want)
					}
				}
			}
		})
	}
	if want := len(everyCall) * 9 * int(kinds); cells != want {
		t.Errorf("%d cells, want %d: each call by each of 9 methods", cells, want)
	}
	t.Logf("%d calls × %d methods × %d kinds of caller = %d", len(everyCall), 9, kinds, cells)
}

// visitor is a client that shows who it is, in a connection of its own.
type visitor struct {
	*flightruntime.Client
	conn    *grpc.ClientConn // to the same server, for what Client has not
	kind    int
	show    []flightruntime.CallOption
	headers []string
	// others is a FlightInfo that somebody else was given.
	others *flightruntime.FlightInfo
	// own gets a FlightInfo of the visitor's own, of somebody else's if they may not have any.
	own func(ctx context.Context) *flightruntime.FlightInfo
}

func (c visitor) outgoing(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, c.headers...)
}

// sources counts the addresses that visitors come from: each its own, for failed logins of one address are limited.
var sources atomic.Uint32

// visit connects as a caller of a method.
func (w *authWorld) visit(t *testing.T, m authMethod, kind int) visitor {
	t.Helper()
	shown, s := m.shown[kind], m.server[kind]
	config := w.clientTLS(t, shown.certificate)
	n := sources.Add(1)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n))}}
	dial := grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", address)
	})
	client, err := flightruntime.Connect("grpc+tls://"+s.address, flightruntime.ClientOptions{TLS: config, Dial: []grpc.DialOption{dial}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	conn, err := grpc.NewClient("passthrough:///"+s.address, grpc.WithTransportCredentials(credentials.NewTLS(config)), dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := visitor{Client: client, conn: conn, kind: kind, others: s.others}
	if shown.header != "" {
		c.headers = []string{shown.header, shown.value}
		c.show = []flightruntime.CallOption{flightruntime.WithHeader(shown.header, shown.value)}
	}
	c.own = func(ctx context.Context) *flightruntime.FlightInfo {
		if info, err := c.GetFlightInfo(ctx, flightruntime.DescriptorForPath("trips"), c.show...); err == nil {
			return info
		}
		return s.others
	}
	return c
}

func (c visitor) read(ctx context.Context, ticket []byte) error {
	r, err := c.DoGet(ctx, &flightruntime.Ticket{Ticket: ticket}, c.show...)
	if err != nil {
		return err
	}
	return lastOf(r.Chunks())
}

func (c visitor) put(ctx context.Context, d *flightruntime.FlightDescriptor) error {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	b.Append(1)
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil)
	w, _, err := c.DoPut(ctx, d, schema, c.show...)
	if err != nil {
		return err
	}
	if err := w.WriteBatch(array.NewRecordBatch(schema, []arrow.Array{b.NewArray()}, 1)); err != nil {
		return err
	}
	return w.Close()
}

func (c visitor) exchange(ctx context.Context, d *flightruntime.FlightDescriptor, say string) error {
	w, r, err := c.DoExchange(ctx, d, c.show...)
	if err != nil {
		return err
	}
	defer r.Cancel()
	_ = errors.Join(w.WriteMetadata([]byte(say)), w.CloseSend()) // what ends the call, reading tells
	for {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func act(action, body string) func(context.Context, visitor) error {
	return func(ctx context.Context, c visitor) error {
		return lastOf(c.DoAction(ctx, action, []byte(body), c.show...))
	}
}

func (c visitor) actOnOwn(ctx context.Context, action string, request func(*flightruntime.FlightInfo) proto.Message) error {
	body, err := proto.Marshal(request(c.own(ctx)))
	if err != nil {
		return err
	}
	return act(action, string(body))(ctx, c)
}

func flights(all iter.Seq2[*flightruntime.FlightInfo, error]) (string, error) {
	var names []string
	for info, err := range all {
		if err != nil {
			return "", err
		}
		names = append(names, info.GetFlightDescriptor().GetPath()...)
	}
	return strings.Join(names, " "), nil
}

func lastOf[T any](all iter.Seq2[T, error]) (err error) {
	for _, e := range all {
		err = e
	}
	return err
}

// startServe runs the serve command in this process until the test ends, and gives its address.
func startServe(t testing.TB, configFile string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, serveFlags{configFile: configFile, listen: "grpc://127.0.0.1:0", logFormat: "text"}, write, io.Discard)
		write.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(read).ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, read) }()
	location, found := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !found {
		t.Fatalf("serve wrote %q: %v", line, err)
	}
	_, address, _ := strings.Cut(location, "://")
	return address
}

func basicOf(name, password string) shownBy {
	return shownBy{header: "authorization", value: "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))}
}

func bearerOf(token string) shownBy {
	return shownBy{header: "authorization", value: "Bearer " + token}
}
