package format_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// leaving is an object whose reader goes away when so many bytes have been read. It counts those that are read all the same.
type leaving struct {
	source.Object
	left  int
	leave func()
	after int
}

func (l *leaving) Open(ctx context.Context) (source.Reader, error) {
	r, err := l.Object.Open(ctx)
	return leavingReader{r, l}, err
}

type leavingReader struct {
	source.Reader
	object *leaving
}

func (r leavingReader) ReadAt(p []byte, off int64) (int, error) {
	o := r.object
	gone := o.left < 0
	if o.left -= len(p); o.left < 0 {
		o.after += min(len(p), -o.left)
		if !gone {
			o.leave()
		}
	}
	return r.Reader.ReadAt(p, off)
}

const mib = 1 << 20

// largeObjects each hold one thing of 8 MiB that is decoded as a whole: a record batch, a page, a row, a batch of rows.
func largeObjects(t *testing.T) map[string]struct{ format, data string } {
	t.Helper()
	batch := numbers(1, mib)
	text := strings.Repeat("x", 8*mib)
	return map[string]struct{ format, data string }{
		"record batch of a file":   {format.ArrowFile, fileOf(t, batch.Schema(), []arrow.RecordBatch{batch})},
		"record batch of a stream": {format.ArrowStream, streamOf(t, batch.Schema(), []arrow.RecordBatch{batch})},
		"row group":                {format.Parquet, parquetOf(t, batch.Schema(), batch)},
		"rows of CSV":              {format.CSV, "a,b\n" + strings.Repeat("1,2\n", 2*mib)},
		"field of CSV":             {format.CSV, "a,b\n1,\"" + text + "\"\n"},
		"empty lines of CSV":       {format.CSV, "a\n" + strings.Repeat("\n", 8*mib) + "1\n"},
		"rows of JSON":             {format.JSON, strings.Repeat("{\"a\":1}\n", mib)},
		"string in JSON":           {format.JSON, `{"a":"` + text + `"}`},
		"array in JSON":            {format.JSON, `{"a":[` + strings.Repeat("1,", 4*mib) + `1]}`},
		"member that is skipped":   {format.JSON, `{"b":1,"a":[` + strings.Repeat("1,", 4*mib) + `1]}`},
	}
}

// Whoever asked may have gone while something large is decoded. That ends the work at the next read, which is one of at most 1 MiB.
func TestCancelledInTheMiddle(t *testing.T) {
	for what, c := range largeObjects(t) {
		t.Run(what, func(t *testing.T) {
			f := lookup(t, c.format)
			layout := inspect(t, c.format, objects("x", c.data))
			opts := format.ReadOptions{}
			if what == "member that is skipped" {
				opts.Columns = []int{0}
			}
			ends := func(when string, work func(ctx context.Context, o source.Object) error) {
				t.Helper()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				o := &leaving{Object: objects("x", c.data)[0], left: 3 * mib, leave: cancel}
				if err := work(ctx, o); !errors.Is(err, context.Canceled) || err.Error() != context.Canceled.Error() {
					t.Errorf("%s: got %v, want %v", when, err, context.Canceled)
				}
				if o.after > mib {
					t.Errorf("%s: %d bytes were read after the end", when, o.after)
				}
			}
			ends("Read", func(ctx context.Context, o source.Object) (last error) {
				changing := *layout
				changing.Parts = []format.Part{layout.Parts[0]}
				changing.Parts[0].Object = o
				for _, err := range f.Read(ctx, &changing, 0, opts) {
					last = err
				}
				return last
			})
			if c.format == format.CSV || c.format == format.JSON { // of the others, Inspect reads no such thing
				ends("Inspect", func(ctx context.Context, o source.Object) error {
					_, err := f.Inspect(ctx, []source.Object{o}, nil)
					return err
				})
			}
		})
	}
}

// What is compressed takes long when it has all been read. It ends with the buffer that is being decompressed.
func TestCancelledWhileDecompressing(t *testing.T) {
	const columns, each = 64, 2 * mib
	zeros := array.NewData(arrow.PrimitiveTypes.Uint8, each, []*memory.Buffer{nil, memory.NewBufferBytes(make([]byte, each))}, nil, 0, 0)
	var fields []arrow.Field
	var arrays []arrow.Array
	for i := range columns {
		fields = append(fields, arrow.Field{Name: fmt.Sprint(i), Type: arrow.PrimitiveTypes.Uint8})
		arrays = append(arrays, array.MakeFromData(zeros))
	}
	schema := arrow.NewSchema(fields, nil)
	batch := array.NewRecordBatch(schema, arrays, -1)
	list := objects("arrows", streamOf(t, schema, []arrow.RecordBatch{batch}, ipc.WithZstd()))
	layout := inspect(t, format.ArrowStream, list)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var left, end runtime.MemStats
	layout.Parts[0].Object = &leaving{Object: list[0], left: int(list[0].Size()) / 2, leave: func() { // in the body, which is one piece
		cancel()
		runtime.ReadMemStats(&left)
	}}
	var last error
	for _, err := range lookup(t, format.ArrowStream).Read(ctx, layout, 0, format.ReadOptions{}) {
		last = err
	}
	runtime.ReadMemStats(&end)
	if !errors.Is(last, context.Canceled) || left.TotalAlloc == 0 {
		t.Fatalf("got %v, want %v", last, context.Canceled)
	}
	if worked := end.TotalAlloc - left.TotalAlloc; worked > columns*each/8 {
		t.Errorf("%d bytes of %d were decompressed after the end", worked, columns*each)
	}
}

// leavingAllocator goes away when it is asked for memory for the so-manieth time.
type leavingAllocator struct {
	memory.Allocator
	left  int
	leave func()
}

func (l *leavingAllocator) Allocate(n int) []byte {
	l.count()
	return l.Allocator.Allocate(n)
}

func (l *leavingAllocator) Reallocate(n int, b []byte) []byte {
	l.count()
	return l.Allocator.Reallocate(n, b)
}

func (l *leavingAllocator) count() {
	if l.left--; l.left == 0 {
		l.leave()
	}
}

// A batch of a wide table takes long too. It ends with the column that is being decoded, and frees what it had.
func TestCancelledBetweenColumns(t *testing.T) {
	batch := numbers(200, 128) // of two batches, for the second of which nothing is left to be read
	layout := inspect(t, format.Parquet, objects("parquet", parquetOf(t, batch.Schema(), batch)))
	checked := memory.NewCheckedAllocator(memory.NewGoAllocator())
	mem := &leavingAllocator{Allocator: checked, left: 1 << 30}
	for _, err := range lookup(t, format.Parquet).Read(t.Context(), layout, 0, format.ReadOptions{Allocator: mem, MaxRows: 64}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	all := 1<<30 - mem.left
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	mem.left, mem.leave = all*9/10, cancel
	var last error
	for _, err := range lookup(t, format.Parquet).Read(ctx, layout, 0, format.ReadOptions{Allocator: mem, MaxRows: 64}) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("got %v, want %v", last, context.Canceled)
	}
	if after := -mem.left; after > all/50 {
		t.Errorf("memory was asked for %d times after the end, %d times in all", after, all)
	}
	checked.AssertSize(t, 0)
}
