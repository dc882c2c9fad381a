package landing_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/landing"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

var numbers = arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)

// numbered is a batch of a number so many times.
func numbered(mem memory.Allocator, n int64, rows int) arrow.RecordBatch {
	b := array.NewRecordBuilder(mem, numbers)
	defer b.Release()
	for range rows {
		b.Field(0).(*array.Int64Builder).Append(n)
	}
	return b.NewRecordBatch()
}

// extension of a format's files.
var extension = map[string]string{format.Parquet: "*.parquet", format.ArrowFile: "*.arrow", format.ArrowStream: "*.arrows"}

// table is a file's name and its rows, in order.
type table struct {
	name string
	rows []int64
}

// readAll reads all files that a reader sees, in full.
func readAll(t testing.TB, dir, pattern, formatName string) (files []table) {
	t.Helper()
	objects, err := landing.NewSource(dir, pattern).List(t.Context())
	if errors.Is(err, source.ErrNoMatch) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := format.Lookup(formatName)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := f.Inspect(t.Context(), objects, nil)
	if err != nil {
		t.Fatalf("a file is not whole: %v", err)
	}
	for part, p := range layout.Parts {
		file := table{name: p.Object.Name()}
		for batch, err := range f.Read(t.Context(), layout, part, format.ReadOptions{}) {
			if err != nil {
				t.Fatalf("a file is not whole: %v", err)
			}
			file.rows = append(file.rows, batch.Column(0).(*array.Int64).Int64Values()...)
		}
		files = append(files, file)
	}
	return files
}

func rowsOf(files []table) (rows []int64) {
	for _, f := range files {
		rows = append(rows, f.rows...)
	}
	return rows
}

// appending is an appender on a new folder, that is closed when the test ends.
func appending(t testing.TB, formatName string, opts landing.AppenderOptions) (a *landing.Appender, dir string) {
	t.Helper()
	dir = t.TempDir()
	l, err := landing.Open(t.Context(), dir, extension[formatName])
	if err != nil {
		t.Fatal(err)
	}
	a = landing.NewAppender(l, formatName, opts)
	t.Cleanup(func() {
		if err := errors.Join(a.Close(context.Background()), l.Close()); err != nil {
			t.Error(err)
		}
	})
	return a, dir
}

func TestAppendedBatchesAreThereInOrder(t *testing.T) {
	for _, name := range format.WritableNames() {
		a, dir := appending(t, name, landing.AppenderOptions{})
		var want []int64
		for n := range int64(5) {
			landed, err := a.Append(t.Context(), numbered(memory.DefaultAllocator, n, 2), landing.Key{})
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, n, n)
			files := readAll(t, dir, extension[name], name)
			if d := cmp.Diff(want, rowsOf(files)); d != "" {
				t.Fatalf("%s: rows after batch %d (-want +got):\n%s", name, n, d)
			}
			if last := files[len(files)-1].name; last != landed.Name || landed.Already {
				t.Errorf("%s: landed as %+v, in %s", name, landed, last)
			}
		}
	}
}

// One that does not wait for acknowledgements gets few files, in its order.
func TestBatchesThatWaitBecomeOneFile(t *testing.T) {
	for _, name := range format.WritableNames() {
		a, dir := appending(t, name, landing.AppenderOptions{})
		const batches = 1000
		var want []int64
		var last *landing.Pending
		for n := range int64(batches) {
			var err error
			if last, err = a.Enqueue(t.Context(), numbered(memory.DefaultAllocator, n, 1), landing.Key{}); err != nil {
				t.Fatal(err)
			}
			want = append(want, n)
		}
		if _, err := last.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		files := readAll(t, dir, extension[name], name)
		if d := cmp.Diff(want, rowsOf(files)); d != "" {
			t.Errorf("%s: rows (-want +got):\n%s", name, d)
		}
		if len(files) > batches/4 {
			t.Errorf("%s: %d files of %d batches", name, len(files), batches)
		}
	}
}

func TestManyWritersAtATime(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	const writers, batches, rows = 16, 20, 3
	a, dir := appending(t, format.ArrowStream, landing.AppenderOptions{MaxFileBytes: 1 << 10})
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for i := range batches {
				key := landing.Key{}
				if w%2 == 0 {
					key = landing.Key{ID: fmt.Sprint(w), N: uint64(i)}
				}
				batch := numbered(mem, int64(w*batches+i), rows)
				times := 1
				if key.ID != "" && i%2 == 0 {
					times = 2
				}
				for range times {
					if _, err := a.Append(t.Context(), batch, key); err != nil {
						t.Error(err)
					}
				}
				batch.Release()
			}
		})
	}
	running.Wait()
	mem.AssertSize(t, 0)
	count := map[int64]int{}
	last := map[int64]int64{}
	for _, n := range rowsOf(readAll(t, dir, "*.arrows", format.ArrowStream)) {
		count[n]++
		w := n / batches
		if at, ok := last[w]; ok && n < at {
			t.Errorf("writer %d: batch %d after batch %d", w, n%batches, at%batches)
		}
		last[w] = n
	}
	for n := range int64(writers * batches) {
		if count[n] != rows {
			t.Errorf("%d rows of batch %d, want %d", count[n], n, rows)
		}
	}
}

func TestAppendUnderAKey(t *testing.T) {
	a, dir := appending(t, format.Parquet, landing.AppenderOptions{})
	batch := numbered(memory.DefaultAllocator, 7, 1)
	key := landing.Key{ID: "load", N: 3}
	var pending []*landing.Pending
	for range 8 { // at once
		p, err := a.Enqueue(t.Context(), batch, key)
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
	}
	fresh := 0
	for _, p := range pending {
		<-p.Done()
		landed, err := p.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !landed.Already {
			fresh++
		}
	}
	if files := readAll(t, dir, "*.parquet", format.Parquet); fresh != 1 || len(files) != 1 {
		t.Errorf("%d landed, in %d files", fresh, len(files))
	}
}

// Each file holds what one schema and one dictionary allow; what cannot be encoded harms nobody else.
func TestBatchesThatDoNotGoTogether(t *testing.T) {
	dt := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	words := arrow.NewSchema([]arrow.Field{{Name: "n", Type: dt}}, nil)
	batch := func(schema *arrow.Schema, json string) arrow.RecordBatch {
		b, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(json))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// Its one value is beyond the dictionary.
	indices, _, err := array.FromJSON(memory.DefaultAllocator, dt.IndexType, strings.NewReader("[9]"))
	if err != nil {
		t.Fatal(err)
	}
	broken := array.NewRecordBatch(words, []arrow.Array{
		array.MakeFromData(array.NewDataWithDictionary(dt, 1, indices.Data().Buffers(), 0, 0, batch(words, `[{"n":"x"}]`).Column(0).Data().Dictionary().(*array.Data))),
	}, 1)
	a, dir := appending(t, format.Parquet, landing.AppenderOptions{})
	var pending []*landing.Pending
	for i, b := range []arrow.RecordBatch{
		batch(words, `[{"n":"a"},{"n":"b"}]`), batch(words, `[{"n":"c"}]`), broken, batch(words, `[{"n":"d"}]`),
	} {
		p, err := a.Enqueue(t.Context(), b, landing.Key{})
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 { // the first may be on its way before the others come
			pending = append(pending, p)
		}
	}
	for i, p := range pending {
		if _, err := p.Wait(t.Context()); (err != nil) != (i == 1) {
			t.Errorf("batch %d: %v", i+1, err)
		}
	}
	if got := strings.Join(wordsIn(t, dir, format.Parquet), " "); got != "a b c d" {
		t.Errorf("there is %s", got)
	}

	a, dir = appending(t, format.ArrowFile, landing.AppenderOptions{})
	var want []string
	pending = nil
	for i := range 40 {
		word := fmt.Sprint("w", i/3)
		p, err := a.Enqueue(t.Context(), batch(words, fmt.Sprintf(`[{"n":%q}]`, word)), landing.Key{})
		if err != nil {
			t.Fatal(err)
		}
		pending, want = append(pending, p), append(want, word)
	}
	for _, p := range pending {
		if _, err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if d := cmp.Diff(want, wordsIn(t, dir, format.ArrowFile)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// wordsIn are the values of all files' first column.
func wordsIn(t *testing.T, dir, formatName string) (words []string) {
	t.Helper()
	objects, err := landing.NewSource(dir, extension[formatName]).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, err := format.Lookup(formatName)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := f.Inspect(t.Context(), objects, nil)
	if err != nil {
		t.Fatal(err)
	}
	for part := range layout.Parts {
		for b, err := range f.Read(t.Context(), layout, part, format.ReadOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			for row := range b.Column(0).Len() {
				words = append(words, b.Column(0).ValueStr(row))
			}
		}
	}
	return words
}

func TestWritersWaitForRoom(t *testing.T) {
	dir := t.TempDir()
	l, err := landing.Open(t.Context(), dir, "*.arrows")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	a := landing.NewAppender(l, format.ArrowStream, landing.AppenderOptions{MaxFileBytes: 4 << 10, MaxPendingBytes: 8 << 10})
	ctx, cancel := context.WithCancel(t.Context())
	batch := numbered(mem, 1, 1<<10) // 8 KiB: as much as may wait
	defer batch.Release()
	var taken, refused sync.WaitGroup
	for range 16 {
		taken.Go(func() {
			if _, err := a.Append(t.Context(), batch, landing.Key{}); err != nil {
				t.Error(err)
			}
		})
	}
	large := numbered(mem, 2, 1<<12)
	defer large.Release()
	if _, err := a.Append(t.Context(), large, landing.Key{}); err != nil {
		t.Errorf("a batch larger than all room: %v", err)
	}
	taken.Wait()
	cancel()
	for range 16 {
		refused.Go(func() {
			if _, err := a.Append(ctx, batch, landing.Key{}); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the context's error", err)
			}
		})
	}
	refused.Wait()
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
	rows := len(rowsOf(readAll(t, dir, "*.arrows", format.ArrowStream)))
	if rows < 16<<10+1<<12 || rows%(1<<10) != 0 {
		t.Errorf("%d rows: a batch is there in part", rows)
	}
}

func TestCloseLandsWhatWasTaken(t *testing.T) {
	dir := t.TempDir()
	l, err := landing.Open(t.Context(), dir, "*.parquet")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := landing.NewAppender(l, format.Parquet, landing.AppenderOptions{})
	var pending []*landing.Pending
	for n := range int64(50) {
		p, err := a.Enqueue(t.Context(), numbered(memory.DefaultAllocator, n, 1), landing.Key{})
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range pending {
		if _, err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := a.Append(t.Context(), numbered(memory.DefaultAllocator, 1, 1), landing.Key{}); !errors.Is(err, landing.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if n := len(rowsOf(readAll(t, dir, "*.parquet", format.Parquet))); n != 50 {
		t.Errorf("%d rows, want 50", n)
	}
}

// An appender that cannot wait any longer fails what is left, and nothing of it lands.
func TestCloseThatDoesNotWait(t *testing.T) {
	dir := t.TempDir()
	l, err := landing.Open(t.Context(), dir, "*.parquet")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := l.Replace(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Abort()
	a := landing.NewAppender(l, format.Parquet, landing.AppenderOptions{})
	var pending []*landing.Pending
	for n := range int64(50) {
		p, err := a.Enqueue(t.Context(), numbered(memory.DefaultAllocator, n, 1), landing.Key{ID: "x", N: uint64(n)})
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Close(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	there := map[int64]bool{}
	for _, n := range rowsOf(readAll(t, dir, "*.parquet", format.Parquet)) {
		there[n] = true
	}
	for n, p := range pending {
		_, err := p.Wait(t.Context())
		if err != nil && !errors.Is(err, landing.ErrClosed) {
			t.Errorf("batch %d: %v", n, err)
		}
		if there[int64(n)] != (err == nil) {
			t.Errorf("batch %d: error %v, and it is there: %t", n, err, there[int64(n)])
		}
	}
}

func TestVolumeThatIsTakenAwayIsAnError(t *testing.T) {
	a, dir := appending(t, format.Parquet, landing.AppenderOptions{})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	_, err := a.Append(t.Context(), numbered(memory.DefaultAllocator, 1, 1), landing.Key{})
	if !errors.Is(err, landing.ErrVolume) {
		t.Errorf("got %v, want an error of the volume", err)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, name := range []string{format.Parquet, format.ArrowStream} {
		for _, writers := range []int{1, 16, 256} {
			for _, keyed := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/writers=%d/keys=%t", name, writers, keyed), func(b *testing.B) {
					a, _ := appending(b, name, landing.AppenderOptions{})
					batch := numbered(memory.DefaultAllocator, 7, 1000)
					var running sync.WaitGroup
					next := make(chan uint64)
					for range writers {
						running.Go(func() {
							for n := range next {
								key := landing.Key{}
								if keyed {
									key = landing.Key{ID: "b", N: n}
								}
								if _, err := a.Append(b.Context(), batch, key); err != nil {
									b.Error(err)
								}
							}
						})
					}
					n := uint64(0)
					for b.Loop() {
						next <- n
						n++
					}
					close(next)
					running.Wait()
				})
			}
		}
	}
}
