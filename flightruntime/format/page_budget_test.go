package format_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// enough is a budget that nothing exceeds.
func enough() *format.PageBudget { return format.NewPageBudget(math.MaxInt64) }

func TestPageBytes(t *testing.T) {
	for limit, want := range map[int64]int64{math.MaxInt64: 512 << 20, 1 << 30: 256 << 20, 0: 0} {
		if got := format.PageBytes(limit); got != want {
			t.Errorf("of %d bytes of memory, %d are for pages, want %d", limit, got, want)
		}
	}
}

// reading is a read that goes on when it is told to.
type reading struct {
	next    func() (arrow.RecordBatch, error, bool)
	stop    func()
	batches []arrow.RecordBatch
	failed  error
	ended   bool
}

func startReading(t *testing.T, layout *format.Layout, opts format.ReadOptions) *reading {
	t.Helper()
	next, stop := iter.Pull2(lookup(t, format.Parquet).Read(t.Context(), layout, 0, opts))
	t.Cleanup(stop)
	return &reading{next: next, stop: stop}
}

// step reads one batch, and says whether there was one.
func (r *reading) step() bool {
	batch, err, ok := r.next()
	r.ended = !ok || err != nil
	if r.failed = err; r.ended {
		r.stop()
		return false
	}
	batch.Retain()
	r.batches = append(r.batches, batch)
	return true
}

// alone reads all, and tells what was held after each batch.
func alone(t *testing.T, layout *format.Layout, opts format.ReadOptions) (r *reading, held []int64) {
	t.Helper()
	opts.Pages = enough()
	for r = startReading(t, layout, opts); r.step(); {
		held = append(held, opts.Pages.Stats().Held)
	}
	if s := opts.Pages.Stats(); s != (format.PageStats{}) {
		t.Errorf("after the end of one that is alone, %+v", s)
	}
	return r, held
}

// sameReading makes sure that what was read, and how it ended, is what was read without a budget.
func sameReading(t *testing.T, what string, got, want *reading) {
	t.Helper()
	if fmt.Sprint(got.failed) != fmt.Sprint(want.failed) {
		t.Fatalf("%s: it ends with %v, want %v", what, got.failed, want.failed)
	}
	if !slices.EqualFunc(got.batches, want.batches, array.RecordEqual) {
		t.Fatalf("%s: %d batches are others than the %d that are read without a budget", what, len(got.batches), len(want.batches))
	}
}

// Whoever lets go of pages reads what it would have read, whatever the columns' types, however they were written, and wherever batches end. What is
// held is what the reader needs that has read last.
func TestLettingGoOfPagesChangesNothing(t *testing.T) {
	letGo := int64(0)
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 21))
		shape, types := randomShape(r), flatTypes()
		if seed%6 == 0 { // a column may begin with a dictionary, and go on in an encoding that pqarrow reads
			shape.encoding, types = parquet.Encodings.DeltaBinaryPacked, []arrow.DataType{arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64}
		}
		layout := inspect(t, format.Parquet, objects("parquet", shape.write(t, marked(t, r, 300+r.IntN(1000), types))))
		opts := format.ReadOptions{MaxRows: []int{0, 13, 100}[seed%3]}
		if seed%4 == 1 { // columns are passed over, too
			opts.Want, opts.By = anyMarked, []int{0}
		}
		want, most := alone(t, layout, opts)

		opts.Pages = format.NewPageBudget(0)
		readings := []*reading{startReading(t, layout, opts), startReading(t, layout, opts), startReading(t, layout, opts)}
		for left := slices.Clone(readings); len(left) > 0; {
			i := r.IntN(len(left))
			if !left[i].step() {
				left = slices.Delete(left, i, i+1)
				continue
			}
			if held, most := opts.Pages.Stats().Held, most[len(left[i].batches)-1]; held > most {
				t.Fatalf("%+v: %d bytes are held, of which the last reader needs %d", shape, held, most)
			}
		}
		for _, got := range readings {
			sameReading(t, fmt.Sprintf("%+v", shape), got, want)
		}
		s := opts.Pages.Stats()
		if s.Held != 0 {
			t.Errorf("%+v: %d bytes are held after the end", shape, s.Held)
		}
		letGo += s.LetGo
	}
	if letGo < 200 {
		t.Errorf("pages were let go of %d times only", letGo)
	}
}

// The first to let go is whoever has been waiting longest, and nobody does before the budget is exceeded.
func TestWhoWaitsLongestLetsGoFirst(t *testing.T) {
	batch := numbers(3, 20_000)
	layout := inspect(t, format.Parquet, objects("parquet", parquetOf(t, batch.Schema(), batch)))
	opts := format.ReadOptions{MaxRows: 100}
	_, held := alone(t, layout, opts)
	each := slices.Max(held)

	opts.Pages = format.NewPageBudget(2*each + each/2)
	a, b, c := startReading(t, layout, opts), startReading(t, layout, opts), startReading(t, layout, opts)
	for i, step := range []struct {
		reads *reading
		letGo int64 // so far
		why   string
	}{
		{a, 0, "it is alone"},
		{b, 0, "there is room for two"},
		{a, 0, "there is room for two"},
		{c, 1, "b has been waiting longest"},
		{a, 1, "it holds what it needs"},
		{c, 1, "it holds what it needs"},
		{b, 2, "it takes what a held"},
		{c, 2, "it holds what it needs"},
		{a, 3, "it takes what b held"},
	} {
		step.reads.step()
		if got := opts.Pages.Stats(); got.LetGo != step.letGo || got.Held > 2*each+each/2 {
			t.Fatalf("step %d, where %s: %+v, want %d times", i, step.why, got, step.letGo)
		}
	}
	c.stop()
	a.step()
	b.step() // c's end made room
	a.step()
	if got := opts.Pages.Stats().LetGo; got != 3 {
		t.Errorf("without c, pages were let go of %d times, want no more than 3", got)
	}
}

// To go on takes the current page of a column, not all that was passed in its row group.
func TestReadingOnTakesOnePage(t *testing.T) {
	batch := numbers(1, 400_000)
	shape := parquetShape{compress.Codecs.Uncompressed, parquet.DataPageV1, false, 1 << 20, 128 << 10, 1 << 20, parquet.Encodings.Plain}
	list, counters := counted(objects("parquet", shape.write(t, batch)))
	layout := inspect(t, format.Parquet, list)
	opts := format.ReadOptions{MaxRows: 8 << 10} // two batches in a page, of 25
	counters[0].bytes.Store(0)
	want, _ := alone(t, layout, opts)
	once := counters[0].bytes.Swap(0)
	opts.Pages = format.NewPageBudget(0)
	a, b := startReading(t, layout, opts), startReading(t, layout, opts)
	for a.step() && b.step() {
	}
	b.step()
	sameReading(t, "a", a, want)
	sameReading(t, "b", b, want)
	if each := counters[0].bytes.Load() / 2; opts.Pages.Stats().LetGo < 50 || each > 6*once {
		t.Errorf("pages were let go of %d times, for which %d bytes were read in place of %d", opts.Pages.Stats().LetGo, each, once)
	}
}

// A caller's allocator is used by its goroutine alone: nobody else frees what was taken from it.
func TestReadsWithAnAllocatorHaveNoBudget(t *testing.T) {
	batch := numbers(3, 20_000)
	layout := inspect(t, format.Parquet, objects("parquet", parquetOf(t, batch.Schema(), batch)))
	opts := format.ReadOptions{MaxRows: 1000, Allocator: memory.NewGoAllocator(), Pages: format.NewPageBudget(0)}
	a, b := startReading(t, layout, opts), startReading(t, layout, opts)
	for a.step() && b.step() {
	}
	if s := opts.Pages.Stats(); s != (format.PageStats{}) || len(a.batches) < 20 {
		t.Errorf("after %d batches, %+v", len(a.batches), s)
	}
}

// Readers in goroutines of their own let one another go while they decode.
func TestReadersLetOneAnotherGo(t *testing.T) {
	layout := inspect(t, format.Parquet, objects("parquet", wideFile(t, 4, 20_000)))
	opts := format.ReadOptions{MaxRows: 500}
	want, held := alone(t, layout, opts)
	opts.Pages = format.NewPageBudget(2 * slices.Max(held))
	readings := make([]*reading, 8)
	var running sync.WaitGroup
	for i := range readings {
		readings[i] = startReading(t, layout, opts)
		running.Go(func() {
			for readings[i].step() {
				runtime.Gosched() // as if it waited for a client
			}
		})
	}
	running.Wait()
	for i, got := range readings {
		sameReading(t, fmt.Sprint("reader ", i), got, want)
	}
	if s := opts.Pages.Stats(); s.Held != 0 || s.LetGo == 0 {
		t.Errorf("%+v", s)
	}
}

// Whoever leaves does so whether its pages are there or not, in the middle of a row group or while it goes on.
func TestLeavingAfterLettingGo(t *testing.T) {
	batch := numbers(3, 20_000)
	layout := inspect(t, format.Parquet, objects("parquet", parquetOf(t, batch.Schema(), batch)))
	opts := format.ReadOptions{MaxRows: 100, Pages: format.NewPageBudget(0)}
	ctx, cancel := context.WithCancel(t.Context())
	next, stop := iter.Pull2(lookup(t, format.Parquet).Read(ctx, layout, 0, opts))
	defer stop()
	_, _, _ = next()
	other := startReading(t, layout, opts)
	other.step()
	cancel()
	if _, err, _ := next(); !errors.Is(err, context.Canceled) {
		t.Errorf("the one that was cancelled ends with %v", err)
	}
	stop()
	other.step()
	startReading(t, layout, opts).step()
	other.stop()
	if s := opts.Pages.Stats(); s.LetGo != 2 || s.Held == 0 {
		t.Errorf("%+v", s)
	}
}

// What is read again is within the quota by itself: pages that were read for one batch each may be too much for one batch together.
func TestReadingOnIsWithinTheQuota(t *testing.T) {
	const long, rows = 90 << 20, 320 // the quota of a small file is 256 MiB
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.BinaryTypes.String}, {Name: "b", Type: arrow.BinaryTypes.String}}, nil)
	a, b := array.NewStringBuilder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
	text := strings.Repeat("x", long)
	for row := range rows { // pages of a end after each 64 rows, those of b after each 128
		a.Append(text[:map[bool]int{false: 100, true: long}[row == 250]])
		b.Append(text[:map[bool]int{false: 12, true: long}[row == 200]])
	}
	shape := parquetShape{compress.Codecs.Zstd, parquet.DataPageV1, false, 1 << 20, 1500, rows, parquet.Encodings.Plain}
	layout := inspect(t, format.Parquet, objects("parquet", shape.write(t, array.NewRecordBatch(schema, []arrow.Array{a.NewArray(), b.NewArray()}, rows))))
	opts := format.ReadOptions{MaxRows: 2, Pages: format.NewPageBudget(0)}
	one, read := startReading(t, layout, opts), int64(0)
	for one.step() {
		last := one.batches[len(one.batches)-1]
		read += last.NumRows()
		last.Release()
		if read >= 248 && read <= 250 {
			other := startReading(t, layout, opts)
			other.step() // which comes to no long text
			other.stop()
		}
	}
	if one.failed != nil || read != rows || opts.Pages.Stats().LetGo == 0 {
		t.Errorf("%d rows, then %v; pages were let go of %d times", read, one.failed, opts.Pages.Stats().LetGo)
	}
}

// changing is an object whose bytes become others.
type changing struct {
	source.Object
	bytes *[]byte
}

func (c changing) Open(context.Context) (source.Reader, error) { return c, nil }

func (c changing) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(*c.bytes).ReadAt(p, off)
}

func (changing) Close() error { return nil }

// A page that has become another one while it was let go of is an error, unless it says the same in other words.
func TestPagesThatChangeWhileLetGo(t *testing.T) {
	batch := numbers(1, 100)
	for _, version := range []parquet.DataPageVersion{parquet.DataPageV1, parquet.DataPageV2} {
		for _, dictionary := range []bool{false, true} {
			shape := parquetShape{compress.Codecs.Uncompressed, version, dictionary, 1 << 20, 1 << 20, 1 << 20, parquet.Encodings.Plain}
			data := []byte(shape.write(t, batch))
			now := data
			layout := inspect(t, format.Parquet, []source.Object{changing{objects("x", string(data))[0], &now}})
			want, _ := alone(t, layout, format.ReadOptions{MaxRows: 10})
			failed := 0
			for at := 4; at < 4+48; at++ { // the header of the first page, and where there is a dictionary, what is in it
				for _, bit := range []byte{1, 2, 8} {
					now = data
					opts := format.ReadOptions{MaxRows: 10, Pages: format.NewPageBudget(0)}
					a, b := startReading(t, layout, opts), startReading(t, layout, opts)
					a.step()
					b.step()
					now = bytes.Clone(data)
					now[at] ^= bit
					for a.step() {
					}
					b.stop()
					if a.failed == nil && len(a.batches) == len(want.batches) && a.batches[0].NumRows() == 10 {
						continue
					}
					if failed++; a.failed == nil || strings.Contains(a.failed.Error(), "encoding is another") {
						t.Fatalf("byte %d has another bit %d: after %d batches, %v", at, bit, len(a.batches), a.failed)
					}
					checkError(t, format.Parquet, a.failed)
				}
			}
			if failed < 20 {
				t.Errorf("%+v: only %d changes are errors", shape, failed)
			}
		}
	}
}
