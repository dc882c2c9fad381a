package datasets

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
)

var (
	cancels    = flag.Int("cancels", 3, "calls to cancel of each kind, of which the times until their work is freed are printed")
	cancelRows = flag.Int64("cancelrows", 200_000, "rows of the files that these calls decode")
)

// heapSlack is what may be left on the heap for other reasons than the call: buffers of connections and pools.
const heapSlack = 4 << 20

// largeFile makes a file whose rows cannot be told apart by statistics.
func largeFile(t *testing.T, dir, formatName string) config.Dataset {
	t.Helper()
	path := filepath.Join(dir, formatName)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, text := array.NewInt64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
	var lines strings.Builder
	if formatName == format.CSV {
		lines.WriteString("n,text\n")
	}
	for i := range *cancelRows {
		value, word := i*2654435761%1_000_003, fmt.Sprintf("word %d", i%9973)
		switch formatName {
		case format.CSV:
			fmt.Fprintf(&lines, "%d,%s\n", value, word)
		case format.JSON:
			fmt.Fprintf(&lines, "{\"n\":%d,\"text\":%q}\n", value, word)
		default:
			n.Append(value)
			text.Append(word)
		}
	}
	if lines.Len() > 0 {
		_, err = f.WriteString(lines.String())
	} else {
		schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: "text", Type: arrow.BinaryTypes.String}}, nil)
		var w format.Writer
		if w, err = format.NewWriter(formatName, f, schema); err == nil {
			if err = w.Write(array.NewRecordBatch(schema, []arrow.Array{n.NewArray(), text.NewArray()}, *cancelRows)); err == nil {
				err = w.Close()
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return files(strings.ToLower(formatName), formatName, dir, formatName)
}

// load is what a server has to do: the calls, the goroutines of the process, and the bytes on its heap once the garbage is collected.
type load struct {
	calls, goroutines int
	heap              uint64
}

// idle waits until there is no more to do than there was, and tells how long after begin each kind of it was back.
func (s *served) idle(before load, begin time.Time) (calls, goroutines, heap time.Duration) {
	for s.activeCalls() > before.calls {
		time.Sleep(50 * time.Microsecond)
	}
	calls = time.Since(begin)
	for runtime.NumGoroutine() > before.goroutines {
		time.Sleep(50 * time.Microsecond)
	}
	goroutines = time.Since(begin)
	for heapAfterGC() > before.heap+heapSlack {
		time.Sleep(50 * time.Microsecond)
	}
	return calls, goroutines, time.Since(begin)
}

func heapAfterGC() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestWhoLeavesFreesTheWork cancels calls in the middle of what they do. That their work ends is what the test asserts, for it would not end
// itself; how soon is a figure:
//
//	go test ./flightruntime/datasets -run WhoLeavesFreesTheWork -cancels 50 -cancelrows 2000000 -v
func TestWhoLeavesFreesTheWork(t *testing.T) {
	dir := t.TempDir()
	s := serve(t)
	var datasets []config.Dataset
	for _, name := range config.Formats() {
		datasets = append(datasets, largeFile(t, dir, name))
	}
	s.load(t, "one", datasets...)
	get := func(ticket string) func(context.Context) {
		return func(ctx context.Context) {
			r, err := s.client.DoGet(ctx, &flightruntime.Ticket{Ticket: []byte(ticket)})
			if err != nil {
				return
			}
			for _, err := range r.Chunks() {
				if err != nil {
					return
				}
			}
		}
	}
	type kind struct {
		name string
		call func(ctx context.Context) // to its end, or until ctx ends
		last time.Duration             // after which it is cancelled, if it has no end
	}
	var kinds []kind
	for _, d := range datasets {
		kinds = append(kinds, kind{"decoding " + d.Format, get(fmt.Sprintf(`{"dataset": %q, "filter": "n %% 7 == 9"}`, d.Name)), 0})
	}
	subscribe := func(acknowledge bool) func(context.Context) {
		return func(ctx context.Context) {
			w, r, err := s.client.DoExchange(ctx, flightruntime.DescriptorForPath("parquet"))
			for sequence := 1; err == nil; sequence++ {
				if _, err = r.Read(); err == nil && acknowledge {
					err = w.WriteMetadata(fmt.Appendf(nil, `{"acknowledged": %d}`, sequence))
				}
			}
		}
	}
	kinds = append(kinds,
		kind{"sending", get("arrowstream"), 0},
		kind{"a subscription that is sent", subscribe(true), 50 * time.Millisecond},
		kind{"a subscription whose window is full", subscribe(false), 300 * time.Millisecond},
		kind{"a stream that nobody reads", func(ctx context.Context) {
			if _, err := s.client.DoGet(ctx, &flightruntime.Ticket{Ticket: []byte("csv")}); err == nil {
				<-ctx.Done()
			}
		}, 200 * time.Millisecond},
	)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			if k.last == 0 { // once in full: it fills what is used again, and tells how long it takes
				begin := time.Now()
				k.call(t.Context())
				k.last = time.Since(begin)
			}
			before := load{0, runtime.NumGoroutine(), heapAfterGC()}
			var calls, goroutines, heap []time.Duration
			for len(calls) < *cancels {
				ctx, leave := context.WithCancel(t.Context())
				left := make(chan struct{})
				go func() {
					k.call(ctx)
					close(left)
				}()
				time.Sleep(time.Duration((0.1 + 0.6*rand.Float64()) * float64(k.last)))
				inTheMiddle := s.activeCalls() > 0
				begin := time.Now()
				leave()
				c, g, h := s.idle(before, begin)
				<-left
				if inTheMiddle {
					calls, goroutines, heap = append(calls, c), append(goroutines, g), append(heap, h)
				}
			}
			t.Logf("FIGURE from a cancel to freed work, %s (%s in full), %d times: calls %s, goroutines %s, memory %s",
				k.name, k.last.Round(time.Millisecond), len(calls), medianAndWorst(calls), medianAndWorst(goroutines), medianAndWorst(heap))
		})
	}
}

func medianAndWorst(of []time.Duration) string {
	slices.Sort(of)
	return fmt.Sprintf("median %s, worst %s", of[len(of)/2].Round(10*time.Microsecond), of[len(of)-1].Round(10*time.Microsecond))
}
