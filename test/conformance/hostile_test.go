package conformance

import (
	"bytes"
	"context"
	le "encoding/binary" // binary is the command that the tests start
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// What hostile clients send. After each kind, the same process serves everybody else, and has not grown beyond maxHostileMemory.

// maxHostileMemory is resident memory: what a server that is to keep to 768 MiB may be made to hold by a hundred streams that nobody reads.
const maxHostileMemory = 1280 << 20

// victim is a server with a dataset of some megabytes, a folder that puts land in, and a client of its own that it must go on serving.
type victim struct {
	*server
	t    *testing.T
	conn *grpc.ClientConn
	rpc  flight.FlightServiceClient
}

func startVictim(t *testing.T) *victim {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "big.csv"), "n,text\n"+strings.Repeat("1234567,some words that take a little room\n", 200_000))
	manifest := filepath.Join(dir, "server.yaml")
	write(t, manifest, serverYAML("victim", `  - {name: notes, format: CSV, source: {inline: {data: "a\n1\n2\n"}}}
  - {name: big, source: {volume: {claimName: v, path: big.csv}}}
`))
	s := startPlain(t, []string{"GOMEMLIMIT=768MiB"}, "-f", manifest, "--volume", "v="+dir)
	s.dataset(t, "big", flightruntime.DatasetReady)
	conn, err := grpc.NewClient(strings.TrimPrefix(s.location, "grpc://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	v := &victim{server: s, t: t, conn: conn, rpc: flight.NewFlightServiceClient(conn)}
	t.Cleanup(func() { t.Logf("FIGURE resident memory under %s: %d MiB", t.Name(), v.memory()>>20) })
	return v
}

// memory is what the server has resident, in bytes.
func (v *victim) memory() int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// survives holds that the server serves others and has stayed within bounds.
func (v *victim) survives() {
	v.t.Helper()
	select {
	case err := <-v.exited:
		v.t.Fatalf("the server has ended: %v\n%s", err, v.log)
	default:
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), 20*time.Second)
	defer cancel()
	r, err := v.client(v.t).DoGet(ctx, &flightruntime.Ticket{Ticket: []byte("notes")})
	if err != nil {
		v.t.Fatal(err)
	}
	table, err := r.ReadAll()
	if err != nil || table.NumRows() != 2 {
		v.t.Fatalf("another client is not served: %v", err)
	}
	if n := v.memory(); n == 0 || n > maxHostileMemory {
		v.t.Errorf("the server has %d MiB resident, want at most %d", n>>20, maxHostileMemory>>20)
	}
	if log := v.log.String(); strings.Contains(log, "panic in a call") {
		v.t.Errorf("a call panicked:\n%s", log)
	}
}

// rawCodec sends bytes as they are, as a message of any kind.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(m any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(m.([]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, m any) error {
	*m.(*[]byte) = data.Materialize()
	return nil
}

// methods of Flight.proto.
var methods = []string{
	"Handshake", "ListFlights", "GetFlightInfo", "PollFlightInfo", "GetSchema", "DoGet", "DoPut", "DoExchange", "DoAction", "ListActions",
}

// send sends raw messages to a method and gives how the call ended, once all that came back is read.
func (v *victim) send(ctx context.Context, method string, messages ...[]byte) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	stream, err := v.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		"/arrow.flight.protocol.FlightService/"+method, grpc.ForceCodecV2(rawCodec{}), grpc.MaxCallSendMsgSize(1<<30))
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := stream.SendMsg(m); err != nil {
			break // what it ended with comes from RecvMsg
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		var answer []byte
		if err := stream.RecvMsg(&answer); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// refusals are the ways in which a call with nonsense may end: as what it is, but never as a fault of the server.
var refusals = map[codes.Code]bool{
	codes.OK: true, codes.InvalidArgument: true, codes.NotFound: true, codes.Unimplemented: true, codes.ResourceExhausted: true,
	codes.FailedPrecondition: true, codes.PermissionDenied: true,
}

func (v *victim) refuses(what string, err error) {
	v.t.Helper()
	if !refusals[grpcstatus.Code(err)] {
		// grpc-go itself calls a request that is no message of its type INTERNAL, and a second one to a method that takes one.
		if grpcstatus.Code(err) == codes.Internal && (strings.Contains(err.Error(), "unmarshal") || strings.Contains(err.Error(), "cardinality")) {
			return
		}
		v.t.Errorf("%s ended with %v", what, err)
	}
	if err != nil && (strings.Contains(err.Error(), "runtime error") || strings.Contains(err.Error(), "goroutine")) {
		v.t.Errorf("%s shows text of the Go runtime: %v", what, err)
	}
}

func TestGarbageOnEveryMethod(t *testing.T) {
	v := startVictim(t)
	random := rand.New(rand.NewPCG(1, 2))
	for _, method := range methods {
		for n := range 60 {
			garbage := make([]byte, random.IntN(1<<uint(n%12)+1))
			for i := range garbage {
				garbage[i] = byte(random.Uint32())
			}
			v.refuses(fmt.Sprintf("%s with %d bytes of garbage", method, len(garbage)), v.send(t.Context(), method, garbage))
		}
		v.refuses(method+" with nothing", v.send(t.Context(), method))
		v.refuses(method+" with two empty messages", v.send(t.Context(), method, nil, nil))
		deep := bytes.Repeat([]byte{0x0a, 0xff, 0x01}, 1<<16)
		v.refuses(method+" with a deep message", v.send(t.Context(), method, deep))
	}
	v.survives()
}

func TestWrongDescriptorsTicketsAndActions(t *testing.T) {
	v := startVictim(t)
	texts := []string{
		"", "\x00", "\x00ticket1\x00", "\x00ticket1\x00" + strings.Repeat("x", 100), strings.Repeat("{", 1<<20), `{"dataset":` + strings.Repeat("[", 50_000),
		`{"dataset":"notes","filter":"` + strings.Repeat("!", 16_000) + `true"}`, `{"dataset":"notes","filter":"` + strings.Repeat("(", 8_000) + `a` + strings.Repeat(")", 8_000) + `>1"}`,
		`{"dataset":"notes","filter":"a in [` + strings.Repeat("1,", 30_000) + `1]"}`, "ünïcödé \xff\xfe", strings.Repeat("a", 5<<20),
		`{"dataset":"notes","filter":"string(a).matches('(((a{1,100}){1,100}){1,100}){1,100}')"}`,
	}
	for i, s := range texts {
		d := &flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: []byte(s)}
		_, err := v.rpc.GetFlightInfo(t.Context(), d)
		v.refuses(fmt.Sprint("GetFlightInfo ", i), err)
		_, err = v.rpc.GetSchema(t.Context(), &flight.FlightDescriptor{Type: flight.DescriptorPATH, Path: []string{strings.ToValidUTF8(s, ""), "b"}})
		v.refuses(fmt.Sprint("GetSchema ", i), err)
		ticket, err := proto.Marshal(&flight.Ticket{Ticket: []byte(s)})
		if err != nil {
			t.Fatal(err)
		}
		v.refuses(fmt.Sprint("DoGet ", i), v.send(t.Context(), "DoGet", ticket))
		for _, action := range []string{"HealthCheck", "Status", "Refresh", "Delete", "CancelFlightInfo", "RenewFlightEndpoint", strings.ToValidUTF8(s, "")} {
			m, err := proto.Marshal(&flight.Action{Type: action, Body: []byte(s)})
			if err != nil {
				t.Fatal(err)
			}
			v.refuses(fmt.Sprint("DoAction ", i), v.send(t.Context(), "DoAction", m))
		}
	}
	v.survives()
}

// conversation is what a client sends of a table with strings, lists and a dictionary: a schema, a dictionary and a record batch.
func conversation(t *testing.T, command string) []*flight.FlightData {
	t.Helper()
	dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "l", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32), Nullable: true},
		{Name: "d", Type: dictionary, Nullable: true},
		{Name: "v", Type: arrow.BinaryTypes.StringView, Nullable: true},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range 20 {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprint("value ", i))
		l := b.Field(1).(*array.ListBuilder)
		l.Append(true)
		l.ValueBuilder().(*array.Int32Builder).Append(int32(i))
		if err := b.Field(2).(*array.BinaryDictionaryBuilder).AppendString([]string{"x", "y"}[i%2]); err != nil {
			t.Fatal(err)
		}
		b.Field(3).(*array.StringViewBuilder).Append(strings.Repeat("long enough not to be inline ", i%3))
	}
	var sent messages
	w := flight.NewRecordWriter(&sent, ipc.WithSchema(schema))
	w.SetFlightDescriptor(&flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: []byte(command)})
	if err := errors.Join(w.Write(b.NewRecordBatch()), w.Close()); err != nil {
		t.Fatal(err)
	}
	return sent
}

type messages []*flight.FlightData

func (m *messages) Send(d *flight.FlightData) error {
	*m = append(*m, proto.Clone(d).(*flight.FlightData))
	return nil
}

// exchange sends FlightData to an echo.
func (v *victim) exchange(data ...*flight.FlightData) error {
	raw := make([][]byte, len(data))
	for i, d := range data {
		var err error
		if raw[i], err = proto.Marshal(d); err != nil {
			v.t.Fatal(err)
		}
	}
	return v.send(v.t.Context(), "DoExchange", raw...)
}

func TestHostileFlightData(t *testing.T) {
	v := startVictim(t)
	good := conversation(t, "echo")
	if err := v.exchange(good...); err != nil {
		t.Fatalf("what is well ended with %v", err)
	}
	last := len(good) - 1
	with := func(i int, change func(*flight.FlightData)) []*flight.FlightData {
		changed := make([]*flight.FlightData, len(good))
		for j := range good {
			changed[j] = proto.Clone(good[j]).(*flight.FlightData)
		}
		change(changed[i])
		return changed
	}
	t.Run("every byte of metadata changed", func(*testing.T) {
		for i, m := range good {
			for at := range m.DataHeader {
				for _, value := range []byte{0x00, 0x7f, 0xff} {
					v.refuses(fmt.Sprintf("message %d with byte %d of its metadata changed", i, at), v.exchange(with(i, func(d *flight.FlightData) { d.DataHeader[at] = value })...))
				}
			}
		}
		v.survives()
	})
	t.Run("claims of 2^40 bytes", func(*testing.T) {
		for i, m := range good {
			for at := 0; at+8 <= len(m.DataHeader); at += 4 {
				v.refuses(fmt.Sprintf("message %d with 2^40 at byte %d", i, at), v.exchange(with(i, func(d *flight.FlightData) {
					le.LittleEndian.PutUint64(d.DataHeader[at:], 1<<40)
				})...))
			}
		}
		v.survives()
	})
	t.Run("bodies changed and cut", func(*testing.T) {
		for i, m := range good {
			for at := range m.DataBody {
				v.refuses(fmt.Sprintf("message %d with byte %d of its body changed", i, at), v.exchange(with(i, func(d *flight.FlightData) { d.DataBody[at] = 0xff })...))
			}
			for at := 0; at < len(m.DataBody); at += 16 {
				v.refuses(fmt.Sprintf("message %d cut to %d bytes", i, at), v.exchange(with(i, func(d *flight.FlightData) { d.DataBody = d.DataBody[:at] })...))
			}
		}
		v.survives()
	})
	t.Run("messages missing, twice and in another order", func(*testing.T) {
		for i := range good {
			without := append(append([]*flight.FlightData{}, good[:i]...), good[i+1:]...)
			v.refuses(fmt.Sprintf("without message %d", i), v.exchange(without...))
			twice := append(append([]*flight.FlightData{}, good[:i+1]...), good[i:]...)
			v.refuses(fmt.Sprintf("message %d twice", i), v.exchange(twice...))
		}
		v.refuses("in reverse", v.exchange(good[last], good[1], good[0]))
		v.survives()
	})
	t.Run("text that is no UTF-8", func(t *testing.T) {
		body := good[last].DataBody
		at := bytes.Index(body, []byte("value 3"))
		if at < 0 {
			t.Fatal("the body does not hold the text")
		}
		err := v.exchange(with(last, func(d *flight.FlightData) { d.DataBody[at] = 0xff })...)
		if grpcstatus.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "UTF-8") || !strings.Contains(err.Error(), `"s"`) {
			t.Errorf("ended with %v, want INVALID_ARGUMENT that names UTF-8 and the column", err)
		}
	})
	t.Run("a message above the limit", func(t *testing.T) {
		err := v.exchange(good[0], &flight.FlightData{DataBody: make([]byte, 65<<20)})
		if grpcstatus.Code(err) != codes.ResourceExhausted {
			t.Errorf("ended with %v, want RESOURCE_EXHAUSTED", err)
		}
		v.survives()
	})
}

func TestHeadersTooLarge(t *testing.T) {
	v := startVictim(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", strings.Repeat("x", 1<<20))
	if err := v.send(ctx, "ListActions", nil); err == nil {
		t.Error("a call with a megabyte of headers is answered")
	}
	v.survives()
}

func TestClientsThatStopReading(t *testing.T) {
	v := startVictim(t)
	var conns []*grpc.ClientConn
	for range 4 {
		conn, err := grpc.NewClient(strings.TrimPrefix(v.location, "grpc://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	for i := range 100 { // they begin to read, and then do nothing more
		stream, err := flight.NewFlightServiceClient(conns[i%len(conns)]).DoGet(t.Context(), &flight.Ticket{Ticket: []byte("big")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	v.survives()
	for _, conn := range conns { // and go away without a word
		conn.Close()
	}
	eventually(t, func() error {
		h, err := v.client(t).HealthCheck(t.Context())
		if err == nil && h.ActiveStreams > 0 {
			err = fmt.Errorf("%d streams are still active", h.ActiveStreams)
		}
		return err
	})
}

func TestClientsThatSendAByteAtATime(t *testing.T) {
	v := startVictim(t)
	address := strings.TrimPrefix(v.location, "grpc://")
	preface := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x01"
	var wg sync.WaitGroup
	done := make(chan struct{})
	for i := range 50 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		wg.Go(func() {
			for at := i % len(preface); ; at++ {
				if _, err := conn.Write([]byte{preface[at%len(preface)]}); err != nil {
					return
				}
				select {
				case <-done:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	for range 10 {
		v.survives()
	}
	close(done)
	wg.Wait()
}
