package datasets

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/wire/conn"
)

// bareClient is a connection that costs its process next to nothing, so that what is measured is the server's. It reads when it is told to.
type bareClient struct {
	net.Conn
	framer *http2.Framer
	next   uint32 // stream
}

// dialBare connects, and lets the server send so many bytes of each stream.
func dialBare(t *testing.T, address string, window uint32) *bareClient {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	b := &bareClient{Conn: c, framer: http2.NewFramer(c, c), next: 1}
	_, err = io.WriteString(c, http2.ClientPreface)
	for _, step := range []error{
		err, b.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}), b.framer.WriteWindowUpdate(0, 1<<30),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	return b
}

// get begins a DoGet.
func (b *bareClient) get(t *testing.T, ticket string) {
	t.Helper()
	var head bytes.Buffer
	encoder := hpack.NewEncoder(&head)
	for _, field := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: "/arrow.flight.protocol.FlightService/DoGet"},
		{Name: ":authority", Value: "localhost"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	} {
		if err := encoder.WriteField(field); err != nil {
			t.Fatal(err)
		}
	}
	message := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), ticket)
	if err := b.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: b.next, BlockFragment: head.Bytes(), EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	if err := b.framer.WriteData(b.next, true, append([]byte{0, 0, 0, 0, byte(len(message))}, message...)); err != nil {
		t.Fatal(err)
	}
	b.next += 2
}

// end reads until a stream has ended.
func (b *bareClient) end(t *testing.T) {
	t.Helper()
	for {
		f, err := b.framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := f.(*http2.HeadersFrame); ok && h.StreamEnded() {
			return
		}
	}
}

// connections keeps those that calls have come by.
type connections struct {
	mu  sync.Mutex
	all map[*conn.Conn]bool
}

func (c *connections) StartCall(ctx context.Context, _ *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[conn.Of(ctx)] = true
	return nil, nil
}

// stats are those of all connections together.
func (c *connections) stats() (sum conn.Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for each := range c.all {
		s := each.Stats()
		sum.Referenced += s.Referenced
		sum.Copied += s.Copied
		sum.Outstanding += s.Outstanding
	}
	return sum
}

// settled waits until all have begun, and nothing is written any more.
func (c *connections) settled(begun func() bool) {
	const looks = 10
	for same, last := 0, int64(0); same < looks; time.Sleep(20 * time.Millisecond) {
		s := c.stats()
		if same++; s.Referenced+s.Copied != last || !begun() {
			same, last = 0, s.Referenced+s.Copied
		}
	}
}

// liveMemory is what the process has in use of Go's memory, stacks among it, when all that can be collected has been.
func liveMemory() int64 {
	var m runtime.MemStats
	for range 3 { // pools let go of what they have at the second collection
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// mappedCaches is how many parts of caches in memory are mapped.
func mappedCaches(t *testing.T) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), "flight-cache")
}

// sum reads a dataset and adds up the numbers of its first column.
func (s *served) sum(t *testing.T, ticket string) (sum int64, err error) {
	t.Helper()
	r, err := s.client.DoGet(t.Context(), &flightruntime.Ticket{Ticket: []byte(ticket)})
	if err != nil {
		return 0, err
	}
	defer r.Cancel()
	for c, err := range r.Chunks() {
		if err != nil {
			return sum, err
		}
		for _, n := range c.Batch.Column(0).(*array.Int64).Int64Values() {
			sum += n
		}
	}
	return sum, nil
}

func TestIdleConnectionsAndSlowReadersAreBounded(t *testing.T) {
	const (
		idle = 1000
		// perIdle is what a connection costs that has had a call.
		perIdle = 64 << 10
		// Of each dataset, so many streams on so many connections.
		conns, streams = 8, 16
		// perConn is the queue of a connection, and what is being written of it.
		perConn = 4 << 20
		// slack is what the test takes, and what the runtime keeps of goroutines that it once had.
		slack = 16 << 20
	)
	// What a stream costs, by the dataset that it is of.
	perStream := map[string]int64{
		"kept":  64 << 10, // what refers to the cache
		"rides": 10 << 20, // a row group, the file's pages, and for some what is decoded ahead
	}
	seen := &connections{all: map[*conn.Conn]bool{}}
	s := serve(t, flightruntime.NamedServerMiddleware{Name: "connections", Factory: seen})
	address := strings.TrimPrefix(s.location, "grpc://")
	dir := t.TempDir()
	const rows, groupRows = 800_000, 100_000
	var groups [][2]int64
	for from := int64(0); from < rows; from += groupRows {
		groups = append(groups, [2]int64{from, from + groupRows})
	}
	rowGroups(t, filepath.Join(dir, "rides.parquet"), groups...)
	kept := files("kept", "Parquet", dir, "*.parquet")
	kept.Cache = v1alpha1.CacheMemory
	load := func(datasets ...config.Dataset) {
		s.Load(&config.Config{Limits: config.DefaultLimits(), Datasets: datasets, Cache: &config.Cache{Memory: &config.MemoryCache{SizeLimit: 1 << 30}}}, []byte(fmt.Sprint(len(datasets))))
		if err := s.catalog.Attempted(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	load(files("rides", "Parquet", dir, "*.parquet"), kept, inline("notes", "a\n1\n"))
	read := func() {
		for name := range perStream {
			if sum, err := s.sum(t, name); err != nil || sum != rows*(rows-1)/2 {
				t.Fatalf("the numbers of %s add up to %d, %v", name, sum, err)
			}
		}
	}
	read()
	base, goroutines := liveMemory(), runtime.NumGoroutine()

	clients := make([]*bareClient, 0, idle+conns)
	for range idle {
		c := dialBare(t, address, 64<<10)
		c.get(t, "notes")
		c.end(t)
		clients = append(clients, c)
	}
	took := liveMemory() - base
	t.Logf("FIGURE memory of an idle connection: %d KiB", took/idle>>10)
	if most := int64(idle*perIdle + slack); took > most {
		t.Errorf("%d idle connections take %d bytes, want %d at most", idle, took, most)
	}

	// Half of those that stop reading let no more than a window come, the others leave it to the network.
	for name, each := range perStream {
		before := liveMemory()
		for i := range conns {
			window := uint32(1 << 30)
			if i%2 == 0 {
				window = 64 << 10
			}
			c := dialBare(t, address, window)
			if i%2 == 0 {
				go func() { _, _ = io.Copy(io.Discard, c.Conn) }()
			}
			for range streams {
				c.get(t, name)
			}
			clients = append(clients, c)
		}
		seen.settled(func() bool { return s.activeCalls() == (len(clients)-idle)*streams })
		took := liveMemory() - before
		t.Logf("FIGURE memory of a stream of %s whose client does not read: %d KiB", name, took/(conns*streams)>>10)
		if most := conns*streams*each + conns*perConn + slack; took > most {
			t.Errorf("%d streams of %s on %d connections take %d bytes, want %d at most", conns*streams, name, conns, took, most)
		}
	}
	if n := seen.stats().Outstanding; n == 0 {
		t.Error("nothing waits to be written: what is to become of it cannot be seen")
	}
	read() // the others are none of its concern

	for _, c := range clients {
		_ = c.Close()
	}
	load(inline("notes", "a\n1\n"))
	for _, wait := range []struct {
		what string
		left func() int64
	}{
		{"announced buffers", func() int64 { return int64(seen.stats().Outstanding) }},
		{"goroutines", func() int64 { return int64(max(runtime.NumGoroutine()-goroutines, 0)) }},
		{"bytes", func() int64 { return max(liveMemory()-base-slack, 0) }},
		{"parts that somebody has a lease of", func() int64 { return int64(mappedCaches(t)) }},
	} {
		for wait.left() > 0 {
			if t.Context().Err() != nil {
				t.Fatalf("there are %d %s left", wait.left(), wait.what)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}
