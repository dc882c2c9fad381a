package datasets

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/wire/conn"
)

// sums reads so many streams to their ends, and adds up what each of them brings.
func (b *bareClient) sums(streams int) (map[uint32]string, error) {
	hashes, sums := map[uint32]hash.Hash{}, map[uint32]string{}
	for len(sums) < streams {
		f, err := b.framer.ReadFrame()
		if err != nil {
			return nil, err
		}
		id := f.Header().StreamID
		if hashes[id] == nil {
			hashes[id] = sha256.New()
		}
		switch f := f.(type) {
		case *http2.DataFrame:
			hashes[id].Write(f.Data())
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				sums[id] = string(hashes[id].Sum(nil))
			}
		case *http2.RSTStreamFrame:
			return nil, fmt.Errorf("stream %d is reset: %s", id, f.ErrCode)
		}
	}
	return sums, nil
}

// readOn lets the server send all that there is of each stream.
func (b *bareClient) readOn(t *testing.T) {
	t.Helper()
	for id := uint32(1); id < b.next; id += 2 {
		if err := b.framer.WriteWindowUpdate(id, 1<<30); err != nil {
			t.Fatal(err)
		}
	}
}

// Very many streams of Parquet whose clients stop reading hold as many pages as there is a budget for. When they read on, each gets every row.
func TestStreamsThatAreStuckHoldFewPages(t *testing.T) {
	const (
		conns, streams = 8, 32
		budget         = 16 << 20
		// perStream is what a stream holds besides pages: a batch of nearly 1 MiB, and stacks. What some have decoded ahead is not more in so few rows.
		perStream = 1152 << 10
		slack     = 16 << 20
		rows      = 60_000
	)
	pages := format.NewPageBudget(budget)
	seen := &connections{all: map[*conn.Conn]bool{}}
	s := serveFrom(t, catalog.New(slog.New(slog.DiscardHandler), catalog.WithPages(pages)), flightruntime.NamedServerMiddleware{Name: "connections", Factory: seen})
	address := strings.TrimPrefix(s.location, "grpc://")
	dir := t.TempDir()
	rowGroups(t, filepath.Join(dir, "rides.parquet"), [2]int64{0, rows})
	s.load(t, "one", files("rides", "Parquet", dir, "*.parquet"))
	read := func() {
		t.Helper()
		if sum, err := s.sum(t, "rides"); err != nil || sum != rows*(rows-1)/2 {
			t.Fatalf("the numbers add up to %d, %v", sum, err)
		}
	}
	read()
	reference := dialBare(t, address, 1<<30)
	reference.get(t, "rides")
	whole, err := reference.sums(1)
	if err != nil {
		t.Fatal(err)
	}
	if got := pages.Stats(); got != (format.PageStats{}) {
		t.Errorf("with one stream at a time, and none now, %+v", got)
	}
	before := liveMemory()

	type outcome struct {
		sums map[uint32]string
		err  error
	}
	var clients []*bareClient
	outcomes := make(chan outcome, conns)
	for range conns {
		c := dialBare(t, address, 16<<10)
		for range streams {
			c.get(t, "rides")
		}
		go func() {
			sums, err := c.sums(streams)
			outcomes <- outcome{sums, err}
		}()
		clients = append(clients, c)
	}
	seen.settled(func() bool { return s.activeCalls() == conns*streams })
	held, took := pages.Stats(), liveMemory()-before
	t.Logf("FIGURE %d streams of Parquet that are stuck: %d MiB of pages, %d MiB of memory in all, pages let go of %d times",
		conns*streams, held.Held>>20, took>>20, held.LetGo)
	if held.Held > budget || held.LetGo == 0 {
		t.Errorf("%+v, want %d bytes at most", held, budget)
	}
	if most := int64(budget + conns*streams*perStream + slack); took > most {
		t.Errorf("%d streams take %d bytes, want %d at most", conns*streams, took, most)
	}
	read() // as if there were no others

	for _, c := range clients {
		c.readOn(t)
	}
	for range clients {
		o := <-outcomes
		if o.err != nil {
			t.Fatal(o.err)
		}
		for id, sum := range o.sums {
			if sum != whole[1] {
				t.Errorf("stream %d is another than one that never stopped", id)
			}
		}
	}
	if held := pages.Stats().Held; held != 0 {
		t.Errorf("%d bytes are held after the end of all streams", held)
	}
}
