package catalog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// made is a sequence of batches of some rows of 8 bytes, numbered from 0 on, which ends in one way or another.
type made struct {
	mem     memory.Allocator
	batches int
	rows    int
	err     error // after the last batch
	panics  any   // after the last batch

	count int  // batches that were made
	ended bool // whether the sequence has cleaned up
}

func (m *made) read(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	return func(yield func(arrow.RecordBatch, error) bool) {
		defer func() { m.ended = true }()
		for i := range m.batches {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			b := array.NewInt64Builder(m.mem)
			values := make([]int64, m.rows)
			values[0] = int64(i)
			b.AppendValues(values, nil)
			column := b.NewArray()
			batch := array.NewRecordBatch(schema, []arrow.Array{column}, -1)
			m.count++
			column.Release()
			b.Release()
			more := yield(batch, nil)
			batch.Release()
			if !more {
				return
			}
		}
		if m.panics != nil {
			panic(m.panics)
		}
		if m.err != nil {
			yield(nil, m.err)
		}
	}
}

// number is that of a batch.
func number(b arrow.RecordBatch) int64 { return b.Column(0).(*array.Int64).Value(0) }

// What is decoded ahead comes in order, and ends as the sequence does.
func TestAheadYieldsWhatIsRead(t *testing.T) {
	failed := errors.New("trips.parquet: it is damaged")
	for what, m := range map[string]made{
		"nothing":                   {},
		"one small batch":           {batches: 1, rows: 10},
		"small batches":             {batches: 300, rows: 10},
		"large ones":                {batches: 20, rows: 100_000},
		"larger than is held":       {batches: 5, rows: 1_000_000},
		"an error at once":          {err: failed},
		"an error of a small read":  {batches: 2, rows: 10, err: failed},
		"an error after many bytes": {batches: 30, rows: 20_000, err: failed},
	} {
		t.Run(what, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
			m.mem = mem
			var batches int
			var last error
			for b, err := range ahead(t.Context(), m.read) {
				if last != nil {
					t.Fatalf("%v was not the end", last)
				}
				if last = err; err == nil {
					if number(b) != int64(batches) || b.NumRows() != int64(m.rows) {
						t.Fatalf("batch %d has the rows of %d", batches, number(b))
					}
					batches++
				}
			}
			if batches != m.batches || !errors.Is(last, m.err) || !m.ended {
				t.Errorf("%d batches and %v, ended: %t; want %d and %v", batches, last, m.ended, m.batches, m.err)
			}
			mem.AssertSize(t, 0)
		})
	}
}

// Whoever reads slowly has some batches decoded meanwhile, and no more than are held; a small answer has none.
func TestAheadIsBounded(t *testing.T) {
	for what, c := range map[string]struct {
		rows, from, most int // rows of a batch; the batch from which on they are decoded ahead, and how many then are
	}{
		"of one message each":    {rows: 120_000, from: 0, most: 3 + 1}, // those that have room, and one that waits for it
		"larger than is held":    {rows: 1 << 20, from: 0, most: 1 + 1},
		"small ones":             {rows: 1 << 10, from: 31, most: aheadBatches + 1},
		"too small to be begun":  {rows: 8, from: 100, most: 0},
		"of a message, and some": {rows: 160_000, from: 0, most: 2 + 1},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := made{mem: memory.DefaultAllocator, batches: 45, rows: c.rows}
				read, most := 0, 0
				for _, err := range ahead(t.Context(), m.read) {
					if err != nil {
						t.Fatal(err)
					}
					synctest.Wait() // until the decoder waits, too
					read++
					if read <= c.from+1 && m.count != read {
						t.Errorf("%d batches were made when %d were asked for", m.count, read)
					}
					most = max(most, m.count-read+1) // this one is held
				}
				if c.most > 0 && most != c.most || c.most == 0 && most != 1 {
					t.Errorf("%d batches were held, want %d", most, c.most)
				}
			})
		})
	}
}

// Where many streams decode ahead, others do not, until one of those has ended.
func TestAheadOfFewStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := aheads.Load()
		var others int64
		for beginAhead() {
			others++
		}
		m := made{mem: memory.DefaultAllocator, batches: 20, rows: 100_000}
		read := 0
		for _, err := range ahead(t.Context(), m.read) {
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			switch read++; {
			case read <= 10 && m.count != read:
				t.Errorf("%d batches were made when %d were asked for", m.count, read)
			case read == 10:
				aheads.Add(-1)
				others--
			case read == 12 && m.count == read:
				t.Error("nothing is decoded ahead though there is room for a stream more")
			}
		}
		if aheads.Add(-others) != before {
			t.Errorf("%d streams decode ahead, want %d", aheads.Load(), before)
		}
	})
}

// Whoever leaves ends the decoding, which has given everything back by then.
func TestAheadEndsWithItsReader(t *testing.T) {
	for _, after := range []int{1, 2, 7} {
		for what, leave := range map[string]func(cancel context.CancelFunc) (goOn bool){
			"stops":      func(context.CancelFunc) bool { return false },
			"is gone":    func(cancel context.CancelFunc) bool { cancel(); return true },
			"was killed": func(context.CancelFunc) bool { panic("killed") },
		} {
			t.Run(fmt.Sprintf("%s after %d", what, after), func(t *testing.T) {
				before := aheads.Load()
				mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
				m := made{mem: mem, batches: 100, rows: 50_000}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var last error
				read := 0
				func() {
					defer func() { _ = recover() }()
					for _, err := range ahead(ctx, m.read) {
						if last = err; err != nil {
							continue
						}
						if read++; read == after && !leave(cancel) {
							break
						}
						if read > after {
							t.Fatal("a batch came after the end")
						}
					}
				}()
				if gone := ctx.Err(); gone != nil && !errors.Is(last, gone) || gone == nil && last != nil {
					t.Errorf("the sequence ended with %v", last)
				}
				if !m.ended || aheads.Load() != before {
					t.Errorf("ended: %t, %d streams decode ahead", m.ended, aheads.Load()-before)
				}
				mem.AssertSize(t, 0)
			})
		}
	}
}

// A panic reaches whoever iterates, and can be recovered there, with the place where it happened.
func TestAheadPassesPanics(t *testing.T) {
	for what, batches := range map[string]int{"before the goroutine": 0, "in it": 20} {
		t.Run(what, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
			m := made{mem: mem, batches: batches, rows: 100_000, panics: "index out of range"}
			read := 0
			func() {
				defer func() {
					p := fmt.Sprint(recover())
					if !strings.Contains(p, "index out of range") || batches > 0 && !strings.Contains(p, "ahead_test.go") {
						t.Errorf("the panic was %s", p)
					}
				}()
				for range ahead(t.Context(), m.read) {
					read++
				}
			}()
			if read != batches {
				t.Errorf("%d batches came before it, want %d", read, batches)
			}
			mem.AssertSize(t, 0)
		})
	}
}

// What streams take does not depend on how much they read.
func TestMemoryOfManyStreams(t *testing.T) {
	const streams, perStream = 16, 16 << 20
	measure := func(groups int) int64 {
		dir := t.TempDir()
		writeRides(t, filepath.Join(dir, "rides.parquet"), groups)
		c := newCatalog(t, config.Dataset{Name: "rides", Format: format.Parquet, Files: &config.Files{Root: dir, Path: "*.parquet"}})
		s := statusOf(t, c, "rides").Snapshot
		before := liveHeap()
		var halfway, measured, done sync.WaitGroup
		halfway.Add(streams)
		measured.Add(1)
		for range streams {
			done.Go(func() {
				var rows int64
				waited := false
				for b, err := range s.ReadSelected(t.Context(), []Selection{{Part: 0}}, 0, format.ReadOptions{}) {
					if err != nil {
						t.Error(err)
						break
					}
					if rows += b.Batch.NumRows(); rows >= s.Layout.Rows()/2 && !waited {
						waited = true
						halfway.Done()
						measured.Wait()
					}
				}
				if rows != s.Layout.Rows() {
					t.Errorf("%d rows, want %d", rows, s.Layout.Rows())
				}
				if !waited {
					halfway.Done()
				}
			})
		}
		halfway.Wait()
		took := liveHeap() - before
		measured.Done()
		done.Wait()
		return took
	}
	small, large := measure(4), measure(12)
	t.Logf("FIGURE heap of %d streams: %d KiB each of 4 row groups, %d KiB each of 12", streams, small/streams>>10, large/streams>>10)
	if most := int64(streams * perStream); small > most || large > most || large > small+most/4 {
		t.Errorf("%d streams take %d bytes of a small file and %d of one three times as large, want %d at most", streams, small, large, most)
	}
}

func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// writeRides writes a Parquet file of row groups of 2 MB of numbers and text in memory each.
func writeRides(t *testing.T, path string, groups int) {
	t.Helper()
	const rows = 50_000
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "fare", Type: arrow.PrimitiveTypes.Float64, Nullable: true}, {Name: "note", Type: arrow.BinaryTypes.String},
	}, nil)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := format.NewWriter(format.Parquet, f, schema)
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for g := range groups {
		for i := range rows {
			b.Field(0).(*array.Int64Builder).Append(int64(g*rows + i))
			b.Field(1).(*array.Float64Builder).Append(float64(i%977) / 8)
			b.Field(2).(*array.StringBuilder).Append(fmt.Sprintf("ride %d", (g*rows+i)*2654435761%1_000_003))
		}
		batch := b.NewRecordBatch()
		if err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
		batch.Release()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
