package cache

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

func wantThere(t *testing.T, c *Cache, want bool, sources ...Source) {
	t.Helper()
	for _, src := range sources {
		l := c.Acquire([]Key{src.Key})
		if got := l.Part(src.Key) != nil; got != want {
			t.Errorf("part %s is there: %v, want %v", src.Name, got, want)
		}
		l.Release()
	}
}

func TestFillingTwiceReadsOnce(t *testing.T) {
	modes(t, ample, func(t *testing.T, c *Cache) {
		src := numbers("numbers", 1000)
		fill(t, c, src)
		fill(t, c, unreadable(src))
		wantThere(t, c, true, src)
		var together sync.WaitGroup
		reads := make(chan bool, 100)
		counted := numbers("counted", 1000)
		read := counted.Read
		counted.Read = func(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
			reads <- true
			return read(ctx)
		}
		for range 8 {
			together.Go(func() { fill(t, c, counted) })
		}
		together.Wait()
		if len(reads) != 1 {
			t.Errorf("the source was read %d times", len(reads))
		}
	})
}

func TestWhatCannotBeReadInFullIsNotKept(t *testing.T) {
	whole := numbers("numbers", 1000)
	fewer, more := whole, whole
	fewer.Units, more.Units = []int64{1000, 1}, []int64{600, 399}
	changed, broken := whole, whole
	changed.Unchanged = func(context.Context) error { return errGone }
	broken.Read = func(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
		return func(yield func(arrow.RecordBatch, error) bool) {
			for b := range whole.Read(ctx) {
				if !yield(b, nil) {
					return
				}
			}
			yield(nil, errGone)
		}
	}
	panics := whole
	panics.Read = func(context.Context) iter.Seq2[arrow.RecordBatch, error] { panic("a defect") }
	for name, src := range map[string]Source{
		"its source is gone": unreadable(whole), "it has fewer rows": fewer, "it has more rows": more, "it has changed meanwhile": changed,
		"it breaks off": broken, "reading it panics": panics,
	} {
		t.Run(name, func(t *testing.T) {
			modes(t, ample, func(t *testing.T, c *Cache) {
				if err := c.Fill(t.Context(), src, "test"); err == nil {
					t.Error("it was filled")
				}
				wantThere(t, c, false, src)
				if s := c.Stats(); s.Failures != 1 || s.Bytes != 0 || c.Free() != ample {
					t.Errorf("%+v, %d bytes free", s, c.Free())
				}
				fill(t, c, whole) // the next one may succeed
				wantThere(t, c, true, whole)
			})
		})
	}
}

func TestMemoryTakesNoMoreThanItsLimit(t *testing.T) {
	const limit = 3 << 20
	modes(t, limit, func(t *testing.T, c *Cache) {
		if c.Mode() == Disk {
			t.Skip("see TestTheDiskMakesRoom")
		}
		small, large := numbers("small", 100_000), numbers("large", 1_000_000)
		fill(t, c, small)
		var full *RoomError
		if err := c.Fill(t.Context(), large, "test"); !errors.As(err, &full) {
			t.Fatalf("a part of 8 MB in a cache of 3 MB: %v", err)
		}
		if full.Limit != limit || full.Left <= 0 || full.Left > limit || full.Rows <= 0 || full.Bytes < 8*full.Rows {
			t.Errorf("%+v", full)
		}
		wantThere(t, c, true, small)
		wantThere(t, c, false, large)
		c.SetLimit(4 * limit)
		fill(t, c, large)
		wantThere(t, c, true, small, large)
	})
}

// Whoever tries again once there is as much room as the error says does not find that it was the same room.
func TestWhatDoesNotFitNeedsMoreThanThereIs(t *testing.T) {
	src := numbers("numbers", 300_000)
	for limit := int64(1); ; limit += max(limit/7, 50) {
		c := NewMemory(limit, slog.New(slog.DiscardHandler))
		err := c.Fill(t.Context(), src, "test")
		size := c.Stats().Bytes
		checkNothingHeld(t, c)
		var full *RoomError
		if err == nil {
			if limit < size || limit < 2_400_000 {
				t.Errorf("%d bytes fit in %d", size, limit)
			}
			return
		}
		if !errors.As(err, &full) || full.Bytes <= limit || full.Rows > 300_000 || limit > 100_000 && full.Rows == 0 {
			t.Fatalf("with a limit of %d: %+v", limit, err)
		}
	}
}

// The last bytes of a part are those of its index.
func TestRoomForAllButTheIndex(t *testing.T) {
	src := numbers("numbers", 1000)
	ampleRoom := NewMemory(ample, slog.New(slog.DiscardHandler))
	defer ampleRoom.Close()
	fill(t, ampleRoom, src)
	size := ampleRoom.Stats().Bytes
	c := NewMemory(size-1, slog.New(slog.DiscardHandler))
	defer c.Close()
	var full *RoomError
	if err := c.Fill(t.Context(), src, "test"); !errors.As(err, &full) || full.Bytes != size || full.Rows != 1000 {
		t.Errorf("%+v, want that it needs %d bytes", err, size)
	}
}

func TestPartsGoWhenNobodyKeepsThem(t *testing.T) {
	modes(t, ample, func(t *testing.T, c *Cache) {
		a, b := numbers("a", 10), numbers("b", 10)
		fill(t, c, a) // by "test"
		if err := errors.Join(c.Fill(t.Context(), a, "other"), c.Fill(t.Context(), b, "other")); err != nil {
			t.Fatal(err)
		}
		c.Keep("other", []Key{a.Key})
		wantThere(t, c, true, a)
		wantThere(t, c, false, b)
		c.Keep("other", nil)
		wantThere(t, c, true, a)
		c.Keep("test", nil)
		wantThere(t, c, false, a)
	})
}

func TestWhatIsBeingReadStaysReadable(t *testing.T) {
	modes(t, ample, func(t *testing.T, c *Cache) {
		src := numbers("numbers", 1<<18)
		fill(t, c, src)
		l, p := lent(t, c, src)
		c.Keep("test", nil)
		c.Close()
		if c.held == 0 {
			t.Error("it was unmapped")
		}
		got := received(t, src.Schema, l, messages(l, p, everyUnit))
		if n := table(t, src.Schema, got).NumRows(); n != 1<<18 {
			t.Errorf("read %d rows", n)
		}
	})
}

// grpc-go forgets what it had queued when a connection breaks, and frees none of it.
func TestWhatIsForgottenIsGivenBackByTheGarbageCollector(t *testing.T) {
	modes(t, ample, func(t *testing.T, c *Cache) {
		src := numbers("numbers", 1<<18)
		fill(t, c, src)
		func() {
			l, p := lent(t, c, src)
			var s stream
			w, err := wire.NewWriter(&s, src.Schema, 64<<20)
			if err != nil {
				t.Fatal(err)
			}
			for chunk := range messages(l, p, everyUnit) {
				if err := w.WriteChunk(chunk); err != nil {
					t.Fatal(err)
				}
			}
			l.Release()
		}()
		c.Close()
		for held := true; held; {
			if t.Context().Err() != nil {
				t.Fatal("it is held for ever")
			}
			runtime.GC()
			time.Sleep(time.Millisecond)
			c.mu.Lock()
			held = c.held > 0
			c.mu.Unlock()
		}
	})
}

// Many streams read while parts come and go. Every row is looked at, and memory that is used after it was unmapped ends the test program.
func TestReadersAndReplacement(t *testing.T) {
	modes(t, 3<<20, func(t *testing.T, c *Cache) {
		if s, ok := c.store.(*folder); ok {
			s.recent = 0
		}
		const rows, parts, rounds = 20_000, 12, 60
		sources := make([]Source, parts)
		for i := range sources {
			sources[i] = numbers(fmt.Sprint("part ", i), rows)
		}
		var readers sync.WaitGroup
		for reader := range 8 {
			readers.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(reader), 1))
				for range rounds {
					src := sources[rng.IntN(parts)]
					who := fmt.Sprint(reader)
					var full *RoomError
					if err := c.Fill(t.Context(), src, who); err != nil && !errors.As(err, &full) {
						t.Error(err)
						return
					}
					l := c.Acquire([]Key{src.Key})
					p := l.Part(src.Key)
					c.Keep(who, nil)
					if p == nil {
						l.Release()
						continue
					}
					how := messages(l, p, everyUnit)
					if rng.IntN(2) == 0 {
						how = batches(l, p, everyUnit, []int{0}, src.Schema)
					}
					readNumbers(t, src, l, how, rng.IntN(3) == 0)
				}
			})
		}
		readers.Wait()
	})
}

// readNumbers reads numbers, up to the middle if the reader leaves early, and checks them.
func readNumbers(t *testing.T, src Source, l *Lease, chunks iter.Seq2[wire.Chunk, error], leaves bool) {
	var s stream
	w, err := wire.NewWriter(&s, src.Schema, 64<<20)
	if err != nil {
		t.Error(err)
		return
	}
	for chunk, err := range chunks {
		if err == nil {
			err = w.WriteChunk(chunk)
		}
		if err != nil {
			t.Error(err)
		}
		if leaves {
			break
		}
	}
	_ = w.Close()
	l.Release()
	if leaves {
		for _, b := range s.sent {
			b.Free()
		}
		return
	}
	next := int64(0)
	for _, b := range read(t, &s) {
		for _, n := range b.Column(0).(*array.Int64).Int64Values() {
			if n != next {
				t.Errorf("read %d where %d was written", n, next)
				return
			}
			next++
		}
	}
	if next != src.Units[0] {
		t.Errorf("read %d rows of %d", next, src.Units[0])
	}
}
