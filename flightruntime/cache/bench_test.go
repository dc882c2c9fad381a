package cache

import (
	"log/slog"
	"testing"

	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// discarded is a stream that is done with a message as soon as it has it.
type discarded struct {
	messages     int
	bytes, lying int64 // of all messages, and those of them that lie in the mapping of part, if that is set
	part         *Part
}

func (d *discarded) SendMsg(m any) error {
	buffers, err := wire.Codec().Marshal(m)
	if err != nil {
		return err
	}
	for _, b := range buffers {
		d.bytes += int64(b.Len())
		if d.part != nil && d.part.has(b.ReadOnlyData()) {
			d.lying += int64(b.Len())
		}
	}
	buffers.Free()
	d.messages++
	return nil
}

// scan sends a part of one column, of which there are rows numbers, as messages or as batches.
func scan(tb testing.TB, c *Cache, src Source, encoded bool) discarded {
	l, p := lent(tb, c, src)
	defer l.Release()
	d := discarded{part: p}
	w, err := wire.NewWriter(&d, src.Schema, 64<<20)
	if err != nil {
		tb.Fatal(err)
	}
	chunks := messages(l, p, everyUnit)
	if !encoded {
		chunks = batches(l, p, everyUnit, []int{0}, src.Schema)
	}
	for chunk, err := range chunks {
		if err == nil {
			err = w.WriteChunk(chunk)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	_ = w.Close()
	d.messages-- // the schema
	return d
}

// What is cached goes out from where it lies, but for what says how a batch is laid out.
func TestWhatIsCachedIsSentWithoutACopy(t *testing.T) {
	modes(t, ample, func(t *testing.T, c *Cache) {
		src := numbers("numbers", 2<<20)
		fill(t, c, src)
		for _, encoded := range []bool{true, false} {
			d := scan(t, c, src, encoded)
			if d.messages < 8 || d.lying < d.bytes/1000*999 {
				t.Errorf("encoded %t: of %d bytes in %d messages, %d lie in the cache", encoded, d.bytes, d.messages, d.lying)
			}
		}
	})
}

// BenchmarkRead sends 64 MB from the cache to where nothing is written. It does not touch the bytes, so what it measures is what a message
// costs here, in time and in allocations.
func BenchmarkRead(b *testing.B) {
	src := numbers("numbers", 8<<20)
	for _, c := range []*Cache{NewMemory(ample, slog.New(slog.DiscardHandler)), onDisk(b, b.TempDir(), ample)} {
		fill(b, c, src)
		for name, encoded := range map[string]bool{"messages": true, "batches": false} {
			b.Run(string(c.Mode())+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				sent := 0
				for b.Loop() {
					sent += scan(b, c, src, encoded).messages
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sent), "ns/message")
			})
		}
		c.Close()
	}
}

// A message of the cache costs a few small allocations, whatever its size, and no copy.
func TestAllocationsOfAMessage(t *testing.T) {
	const most = 8 // 6, and what sync.Pool forgets under the race detector
	modes(t, ample, func(t *testing.T, c *Cache) {
		small, large := numbers("small", 1<<17), numbers("large", 33<<17)
		fill(t, c, small)
		fill(t, c, large)
		var n [2]int
		var allocated [2]float64
		for i, src := range []Source{small, large} {
			n[i] = scan(t, c, src, true).messages
			allocated[i] = testing.AllocsPerRun(20, func() { scan(t, c, src, true) })
		}
		if each := (allocated[1] - allocated[0]) / float64(n[1]-n[0]); each > most {
			t.Errorf("a message costs %.1f allocations, want %d at most", each, most)
		}
	})
}
