package cache

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/mem"

	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

const ample = 1 << 30

// modes are caches of both modes with a limit, each its own.
func modes(t *testing.T, limit int64, test func(t *testing.T, c *Cache)) {
	t.Run("Memory", func(t *testing.T) {
		c := NewMemory(limit, slog.New(slog.DiscardHandler))
		defer checkNothingHeld(t, c)
		defer c.Close()
		test(t, c)
	})
	t.Run("Disk", func(t *testing.T) {
		c := onDisk(t, t.TempDir(), limit)
		defer checkNothingHeld(t, c)
		test(t, c)
	})
}

func onDisk(t testing.TB, dir string, limit int64) *Cache {
	t.Helper()
	c, err := NewDisk(dir, limit, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// checkNothingHeld makes sure that a cache that was closed, and is read by nobody, has unmapped everything.
func checkNothingHeld(t *testing.T, c *Cache) {
	t.Helper()
	c.Close()
	if c.held != 0 || len(c.mapped) != 0 {
		t.Errorf("%d bytes of %d parts are held still", c.held, len(c.mapped))
	}
}

// part is a source of batches, each of them a unit.
func part(name string, schema *arrow.Schema, batches ...arrow.RecordBatch) Source {
	units := make([]int64, len(batches))
	for i, b := range batches {
		units[i] = b.NumRows()
	}
	return Source{
		Key: KeyOf(name), Name: name, Schema: schema, Units: units,
		Read: func(context.Context) iter.Seq2[arrow.RecordBatch, error] {
			return func(yield func(arrow.RecordBatch, error) bool) {
				for _, b := range batches {
					if !yield(b, nil) {
						return
					}
				}
			}
		},
	}
}

// unreadable is a part whose source is gone.
func unreadable(src Source) Source {
	src.Read = func(context.Context) iter.Seq2[arrow.RecordBatch, error] {
		return func(yield func(arrow.RecordBatch, error) bool) { yield(nil, errGone) }
	}
	return src
}

var errGone = errors.New("the source is gone")

// numbers is a part of one column with the numbers from 0 on.
func numbers(name string, rows int) Source {
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	b := array.NewInt64Builder(memory.DefaultAllocator)
	for i := range rows {
		b.Append(int64(i))
	}
	return part(name, schema, array.NewRecordBatch(schema, []arrow.Array{b.NewArray()}, int64(rows)))
}

func fill(t testing.TB, c *Cache, src Source) {
	t.Helper()
	if err := c.Fill(t.Context(), src, "test"); err != nil {
		t.Fatal(err)
	}
}

// lent is a lease of a part that is there; the test's end releases it unless the test does.
func lent(t testing.TB, c *Cache, src Source) (*Lease, *Part) {
	t.Helper()
	l := c.Acquire([]Key{src.Key})
	p := l.Part(src.Key)
	if p == nil {
		l.Release()
		t.Fatalf("part %s is not there", src.Name)
	}
	return l, p
}

func everyUnit(Rows) bool { return true }

func only(wanted int) func(Rows) bool { return func(m Rows) bool { return m.Unit == wanted } }

// stream is a FlightData stream in memory, which takes its time: what is sent is looked at when it is received.
type stream struct{ sent []mem.BufferSlice }

func (s *stream) SendMsg(m any) error {
	buffers, err := wire.Codec().Marshal(m)
	s.sent = append(s.sent, buffers)
	return err
}

// settle is done with all that was sent, as gRPC is at some time.
func (s *stream) settle() {
	for i, b := range s.sent {
		s.sent[i] = mem.BufferSlice{mem.SliceBuffer(b.Materialize())}
		b.Free()
	}
}

func (s *stream) RecvMsg(m any) error {
	if len(s.sent) == 0 {
		return io.EOF
	}
	next := s.sent[0]
	s.sent = s.sent[1:]
	defer next.Free()
	return wire.Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(next.Materialize())}, m)
}

// received are the batches that a client gets of chunks, whose owner is let go of before the client reads.
func received(t testing.TB, schema *arrow.Schema, l *Lease, chunks iter.Seq2[wire.Chunk, error]) []arrow.RecordBatch {
	t.Helper()
	var s stream
	w, err := wire.NewWriter(&s, schema, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	for chunk, err := range chunks {
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteChunk(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l.Release()
	return read(t, &s)
}

func read(t testing.TB, s *stream) (batches []arrow.RecordBatch) {
	t.Helper()
	r := wire.NewReader(s, wire.ReaderOptions{})
	defer r.Release()
	for {
		c, err := r.Next()
		if errors.Is(err, io.EOF) {
			return batches
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Batch.Retain()
		batches = append(batches, c.Batch)
	}
}

// messages and batches are the two ways to read a part.
func messages(l *Lease, p *Part, wanted func(Rows) bool) iter.Seq2[wire.Chunk, error] {
	return func(yield func(wire.Chunk, error) bool) {
		for m, err := range p.Messages(wanted) {
			if !yield(wire.Chunk{Encoded: m, Owner: l}, err) {
				return
			}
		}
	}
}

func batches(l *Lease, p *Part, wanted func(Rows) bool, columns []int, schema *arrow.Schema) iter.Seq2[wire.Chunk, error] {
	return func(yield func(wire.Chunk, error) bool) {
		for b, err := range p.Batches(wanted, columns, schema) {
			if !yield(wire.Chunk{Batch: b, Owner: l}, err) {
				return
			}
		}
	}
}

// table is batches in one, without those that have no rows.
func table(t testing.TB, schema *arrow.Schema, batches []arrow.RecordBatch) arrow.Table {
	t.Helper()
	var some []arrow.RecordBatch
	for _, b := range batches {
		if b.NumRows() > 0 {
			some = append(some, b)
		}
	}
	return array.NewTableFromRecords(schema, some)
}

func wantEqual(t testing.TB, schema *arrow.Schema, want, got []arrow.RecordBatch) {
	t.Helper()
	w, g := table(t, schema, want), table(t, schema, got)
	if w.NumRows() != g.NumRows() {
		t.Fatalf("read %d rows, want %d", g.NumRows(), w.NumRows())
	}
	for i := range int(w.NumCols()) {
		if !array.ChunkedEqual(w.Column(i).Data(), g.Column(i).Data()) {
			t.Errorf("column %s is %v, want %v", schema.Field(i).Name, g.Column(i).Data().Chunks(), w.Column(i).Data().Chunks())
		}
	}
}
