package flightruntime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// numbersIn are the values of a batch of numbers.
func numbersIn(b arrow.RecordBatch) []int64 {
	return slices.Clone(b.Column(0).(*array.Int64).Int64Values())
}

// counting is a DoPut that answers each batch with how many rows there have been, and each metadata with "seen " and it.
func counting(_ context.Context, r *DataReader, w *MetadataWriter) error {
	var rows int64
	for c, err := range r.Chunks() {
		if err != nil {
			return err
		}
		answer := "seen " + string(c.AppMetadata)
		if c.Batch != nil {
			rows += c.Batch.NumRows()
			answer = fmt.Sprint(rows)
		}
		if err := w.Write([]byte(answer)); err != nil {
			return err
		}
	}
	return w.Write([]byte("all"))
}

// readAnswers are all that are left.
func readAnswers(r *MetadataReader) (answers []string, err error) {
	for {
		answer, err := r.Read()
		if errors.Is(err, io.EOF) {
			return answers, nil
		}
		if err != nil {
			return answers, err
		}
		answers = append(answers, string(answer))
	}
}

func TestDoPutIsAnsweredWhileItIsWritten(t *testing.T) {
	client := connect(t, start(t, &testService{doPut: counting}, ServerOptions{}), ClientOptions{})
	w, results, err := client.DoPut(t.Context(), DescriptorForPath("a"), numbers)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		write func() error
		want  string
	}{
		{func() error { return w.WriteBatch(batchOf(1, 2)) }, "2"},
		{func() error { return w.WriteMetadata([]byte("alone")) }, "seen alone"},
		{func() error { return w.Write(Chunk{Batch: batchOf(3), AppMetadata: []byte("with a batch")}) }, "3"},
	} {
		if err := step.write(); err != nil {
			t.Fatal(err)
		}
		if got, err := results.Read(); err != nil || string(got) != step.want {
			t.Fatalf("answered %q, %v, want %q", got, err, step.want)
		}
	}
	// The client's half is closed, and the server's is not.
	if err := w.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if got, err := readAnswers(results); err != nil || !slices.Equal(got, []string{"all"}) {
		t.Errorf("answered %q, %v after CloseSend", got, err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("Close gave %v", err)
	}
}

func TestAnswersToDoPutStayToBeReadAfterClose(t *testing.T) {
	client := connect(t, start(t, &testService{doPut: counting}, ServerOptions{}), ClientOptions{})
	w, results, err := client.DoPut(t.Context(), DescriptorForPath("a"), numbers)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		if err := w.WriteBatch(batchOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := readAnswers(results); err != nil || !slices.Equal(got, []string{"1", "2", "3", "all"}) {
		t.Errorf("answered %q, %v", got, err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("a second Close gave %v", err)
	}
}

func TestAnswersToDoPutThatNobodyReadsAreBounded(t *testing.T) {
	client := connect(t, start(t, &testService{doPut: func(_ context.Context, _ *DataReader, w *MetadataWriter) error {
		for range 5 {
			if err := w.Write(make([]byte, maxKeptBytes/2)); err != nil {
				return err
			}
		}
		return nil
	}}, ServerOptions{}), ClientOptions{})
	w, results, err := client.DoPut(t.Context(), DescriptorForPath("a"), numbers)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := readAnswers(results); err != nil || len(got) != 2 {
		t.Errorf("%d answers stayed, %v, want the two that fit", len(got), err)
	}
}

// Both may wait for the end of a call at once, and none takes the other's answers.
func TestCloseAndAReaderOfAnswersShareTheCall(t *testing.T) {
	client := connect(t, start(t, &testService{doPut: counting}, ServerOptions{}), ClientOptions{})
	w, results, err := client.DoPut(t.Context(), DescriptorForPath("a"), numbers)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan []string)
	go func() {
		answers, err := readAnswers(results)
		if err != nil {
			t.Error(err)
		}
		got <- answers
	}()
	for i := range int64(100) {
		if err := w.WriteBatch(batchOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if answers := <-got; len(answers) != 101 || answers[100] != "all" {
		t.Errorf("the reader got %d answers, want 101", len(answers))
	}
}

func TestAWriterHearsWhyTheServerHasEndedTheCall(t *testing.T) {
	refusal := Errorf(KindPrecondition, "read only").WithExtraInfo([]byte("why"))
	service := &testService{
		doPut: func(_ context.Context, r *DataReader, w *MetadataWriter) error {
			if _, err := r.Read(); err != nil {
				return err
			}
			return errors.Join(w.Write([]byte("one")), refusal)
		},
		doExchange: func(_ context.Context, r *DataReader, w *DataWriter) error {
			if _, err := r.Read(); err != nil {
				return err
			}
			return errors.Join(w.Begin(numbers, WriteOptions{}), w.WriteBatch(batchOf(7)), w.WriteMetadata([]byte("one")), refusal)
		},
	}
	client := connect(t, start(t, service, ServerOptions{}), ClientOptions{})
	// writeUntilRefused goes on although nobody takes it.
	writeUntilRefused := func(t *testing.T, w *DataWriter) {
		t.Helper()
		for {
			err := w.WriteBatch(batchOf(make([]int64, 1<<10)...))
			if err == nil {
				continue
			}
			var got *Error
			if !errors.As(err, &got) || got.Kind != KindPrecondition || string(got.ExtraInfo) != "why" {
				t.Errorf("the writer got %#v, want the server's refusal", err)
			}
			if again := w.WriteBatch(batchOf(1)); !errors.Is(again, err) {
				t.Errorf("writing on gave %v", again)
			}
			return
		}
	}
	t.Run("DoPut", func(t *testing.T) {
		w, results, err := client.DoPut(t.Context(), DescriptorForPath("a"), numbers)
		if err != nil {
			t.Fatal(err)
		}
		writeUntilRefused(t, w)
		if got, err := readAnswers(results); !errors.Is(err, ErrPrecondition) || !slices.Equal(got, []string{"one"}) {
			t.Errorf("the answers are %q, %v", got, err)
		}
		if err := w.Close(); !errors.Is(err, ErrPrecondition) {
			t.Errorf("Close gave %v", err)
		}
	})
	t.Run("DoExchange", func(t *testing.T) {
		w, r, err := client.DoExchange(t.Context(), DescriptorForPath("a"))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Begin(numbers, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		writeUntilRefused(t, w)
		// What the server had sent before is there all the same.
		if c, err := r.Read(); err != nil || !slices.Equal(numbersIn(c.Batch), []int64{7}) {
			t.Errorf("the first chunk is %v, %v", c, err)
		}
		if c, err := r.Read(); err != nil || string(c.AppMetadata) != "one" {
			t.Errorf("the second chunk is %v, %v", c, err)
		}
		for range 2 {
			if _, err := r.Read(); !errors.Is(err, ErrPrecondition) {
				t.Errorf("reading on gave %v", err)
			}
		}
		if err := w.Close(); !errors.Is(err, ErrPrecondition) {
			t.Errorf("Close gave %v", err)
		}
	})
}

func TestAServerMayEndACallWellBeforeAllIsWritten(t *testing.T) {
	client := connect(t, start(t, allWell, ServerOptions{}), ClientOptions{})
	w, results, err := client.DoPut(t.Context(), DescriptorForPath("a"), numbers)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readAnswers(results); err != nil || got != nil {
		t.Fatalf("answered %q, %v", got, err)
	}
	if err := w.WriteBatch(batchOf(1)); !errors.Is(err, ErrCancelled) || !strings.Contains(err.Error(), "the server has ended the call and takes no more data") {
		t.Errorf("writing gave %v", err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("Close gave %v, want nil: the call went well", err)
	}
}

// echoing is a DoExchange that sends back what it gets.
func echoing(_ context.Context, r *DataReader, w *DataWriter) error {
	schema, err := r.Schema()
	if err != nil {
		return err
	}
	if err := w.Begin(schema, WriteOptions{}); err != nil {
		return err
	}
	for c, err := range r.Chunks() {
		if err != nil {
			return err
		}
		if err := w.Write(c); err != nil {
			return err
		}
	}
	return w.WriteMetadata([]byte("all"))
}

func TestDoExchangeWritesAndReadsAtOnce(t *testing.T) {
	client := connect(t, start(t, &testService{doExchange: echoing}, ServerOptions{}), ClientOptions{})
	w, r, err := client.DoExchange(t.Context(), DescriptorForPath("a"))
	if err != nil {
		t.Fatal(err)
	}
	const batches = 200
	go func() {
		if err := w.Begin(numbers, WriteOptions{}); err != nil {
			t.Error(err)
		}
		for i := range int64(batches) {
			if err := w.Write(Chunk{Batch: batchOf(i), AppMetadata: fmt.Append(nil, i)}); err != nil {
				t.Error(err)
			}
		}
		if err := w.CloseSend(); err != nil {
			t.Error(err)
		}
	}()
	for i := range int64(batches) {
		c, err := r.Read()
		if err != nil || !slices.Equal(numbersIn(c.Batch), []int64{i}) || string(c.AppMetadata) != fmt.Sprint(i) {
			t.Fatalf("chunk %d is %v, %v", i, c, err)
		}
	}
	if c, err := r.Read(); err != nil || c.Batch != nil || string(c.AppMetadata) != "all" {
		t.Errorf("the last chunk is %v, %v", c, err)
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		t.Errorf("reading on gave %v", err)
	}
}

func TestDescriptorsArriveWithWhateverIsWrittenFirst(t *testing.T) {
	arrived := make(chan string, 1)
	service := &testService{
		doPut: func(_ context.Context, r *DataReader, _ *MetadataWriter) error {
			d, err := r.Descriptor()
			arrived <- fmt.Sprint(d.GetPath())
			return err
		},
		doExchange: func(_ context.Context, r *DataReader, _ *DataWriter) error {
			d, err := r.Descriptor()
			arrived <- fmt.Sprint(d.GetPath())
			return err
		},
	}
	client := connect(t, start(t, service, ServerOptions{}), ClientOptions{})
	d := DescriptorForPath("a", "b")
	for name, write := range map[string]func(t *testing.T) error{
		"the schema of a put": func(t *testing.T) error {
			w, _, err := client.DoPut(t.Context(), d, numbers)
			if err != nil {
				return err
			}
			return w.Close()
		},
		"the schema of an exchange": func(t *testing.T) error {
			w, _, err := client.DoExchange(t.Context(), d)
			if err != nil {
				return err
			}
			return errors.Join(w.Begin(numbers, WriteOptions{}), w.Close())
		},
		"metadata": func(t *testing.T) error {
			w, _, err := client.DoExchange(t.Context(), d)
			if err != nil {
				return err
			}
			return errors.Join(w.WriteMetadata([]byte("x")), w.Close())
		},
		"nothing": func(t *testing.T) error {
			w, _, err := client.DoExchange(t.Context(), d)
			if err != nil {
				return err
			}
			return w.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := write(t); err != nil {
				t.Errorf("ended with %v", err)
			}
			if got := <-arrived; got != "[a b]" {
				t.Errorf("the descriptor arrived as %s", got)
			}
		})
	}
}

func TestWritersOutOfTurn(t *testing.T) {
	client := connect(t, start(t, &testService{doExchange: echoing}, ServerOptions{}), ClientOptions{})
	w, r, err := client.DoExchange(t.Context(), DescriptorForPath("a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteBatch(batchOf(1)); !errors.Is(err, ErrNotBegun) {
		t.Errorf("a batch before Begin gave %v", err)
	}
	if err := w.Begin(numbers, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(numbers, WriteOptions{}); !errors.Is(err, ErrBegun) {
		t.Errorf("a second Begin gave %v", err)
	}
	if err := w.WriteBatch(batchOf(1)); err != nil {
		t.Errorf("the writer is of no use any more: %v", err)
	}
	if err := errors.Join(w.CloseSend(), w.CloseSend()); err != nil {
		t.Errorf("CloseSend gave %v", err)
	}
	for what, err := range map[string]error{
		"a batch": w.WriteBatch(batchOf(1)), "metadata": w.WriteMetadata([]byte("x")), "Begin": w.Begin(numbers, WriteOptions{}),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after CloseSend gave %v", what, err)
		}
	}
	// The call has not suffered.
	if n, err := drain(r); n != 2 || err != nil {
		t.Errorf("read %d chunks, %v", n, err)
	}
}

func TestWriteSizeLimitRefusesABatchAndTheWriterGoesOn(t *testing.T) {
	values := make([]int64, 768)
	for name, test := range map[string]struct {
		options WriteOptions
		batch   arrow.RecordBatch
		parts   [][2]int64 // rows of it that are not refused
		refused bool
	}{
		"a large batch":                    {batch: batchOf(values...), parts: [][2]int64{{0, 384}, {384, 768}}, refused: true},
		"a batch that fits":                {batch: batchOf(values[:400]...)},
		"a large one that compresses well": {batch: batchOf(values...), options: WriteOptions{IPC: []ipc.Option{ipc.WithZstd()}}},
	} {
		t.Run(name, func(t *testing.T) {
			client := connect(t, start(t, &testService{doPut: counting}, ServerOptions{}), ClientOptions{WriteSizeLimit: 4096})
			w, results, err := client.DoPut(t.Context(), DescriptorForPath("a"), numbers, WithWriteOptions(test.options))
			if err != nil {
				t.Fatal(err)
			}
			err = w.WriteBatch(test.batch)
			if !test.refused {
				if err != nil {
					t.Errorf("writing gave %v", err)
				}
				return
			}
			var size *WriteSizeError
			if !errors.Is(err, ErrWriteSize) || !errors.As(err, &size) || size.Limit != 4096 || size.Actual < 768*8 || size.Actual > 768*8+512 {
				t.Fatalf("writing gave %v, want an error with the limit of 4096 and 768 x 8 bytes and a little", err)
			}
			for _, part := range test.parts {
				slice := test.batch.NewSlice(part[0], part[1])
				if err := w.WriteBatch(slice); err != nil {
					t.Errorf("writing rows %v gave %v", part, err)
				}
				slice.Release()
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if got, err := readAnswers(results); err != nil || !slices.Equal(got, []string{"384", "768", "all"}) {
				t.Errorf("answered %q, %v, want both parts and nothing of what was refused", got, err)
			}
		})
	}
}

func TestWithoutAWriteSizeLimitLargeBatchesAreCut(t *testing.T) {
	const rows = 1 << 20 // 8 MiB, and the server takes 3
	client := connect(t, start(t, &testService{doPut: counting}, ServerOptions{MaxMessageBytes: 3 << 20}), ClientOptions{})
	w, results, err := client.DoPut(t.Context(), DescriptorForPath("a"), numbers)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.WriteBatch(batchOf(make([]int64, rows)...)), w.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := readAnswers(results)
	if err != nil || len(got) < 3 || got[len(got)-2] != fmt.Sprint(rows) {
		t.Errorf("answered %q, %v, want several batches of %d rows together", got, err, rows)
	}
}

// poison is an allocator that makes what was freed unusable, and counts what was not.
type poison struct {
	memory.Allocator
	given, held atomic.Int64
}

func (p *poison) Allocate(size int) []byte {
	p.given.Add(1)
	p.held.Add(1)
	return p.Allocator.Allocate(size)
}

func (p *poison) Reallocate(size int, b []byte) []byte {
	if cap(b) == 0 {
		return p.Allocate(size)
	}
	return p.Allocator.Reallocate(size, b)
}

func (p *poison) Free(b []byte) {
	if cap(b) == 0 { // of a buffer that never had any
		return
	}
	p.held.Add(-1)
	for i := range b {
		b[i] = 0xa5
	}
	p.Allocator.Free(b)
}

func TestReadersUseTheMemoryTheyAreGivenAndFreeIt(t *testing.T) {
	service := streaming{doGet: func(context.Context) (*DataStream, error) {
		s := GeneratorStream(words, func(yield func(Chunk, error) bool) {
			_ = yield(Chunk{AppMetadata: []byte("first")}, nil) &&
				yield(Chunk{Batch: wordsOf(t, []string{"a", "b"}, 0, 1)}, nil) &&
				yield(Chunk{Batch: wordsOf(t, []string{"a", "b"}, 1)}, nil) &&
				yield(Chunk{}, Errorf(KindUnavailable, "replica is gone"))
		})
		s.Options.IPC = []ipc.Option{ipc.WithZstd()}
		return s, nil
	}}
	client := connect(t, start(t, service, ServerOptions{}), ClientOptions{})
	for name, read := range map[string]func(t *testing.T, r *DataReader){
		"to the end": func(t *testing.T, r *DataReader) {
			if n, err := drain(r); n != 3 || !errors.Is(err, ErrUnavailable) {
				t.Errorf("read %d chunks, then %v", n, err)
			}
			if schema, err := r.Schema(); err != nil || !schema.Equal(words) {
				t.Errorf("the schema is then %v, %v", schema, err)
			}
		},
		"as a table, in vain": func(t *testing.T, r *DataReader) {
			if _, err := r.ReadAll(); !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v", err)
			}
		},
		"until it is cancelled": func(t *testing.T, r *DataReader) {
			if _, err := r.Read(); err != nil {
				t.Error(err)
			}
			c, err := r.Read()
			if err != nil {
				t.Fatal(err)
			}
			r.Cancel()
			if got := c.Batch.Column(0).(*array.Dictionary); got.ValueStr(0) != "a" || got.ValueStr(1) != "b" {
				t.Errorf("the batch is then %v", got)
			}
			for err == nil {
				_, err = r.Read()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			allocator := &poison{Allocator: memory.NewGoAllocator()}
			r, err := client.DoGet(t.Context(), &Ticket{}, WithReadOptions(ReadOptions{Allocator: allocator}))
			if err != nil {
				t.Fatal(err)
			}
			read(t, r)
			if given, held := allocator.given.Load(), allocator.held.Load(); given == 0 || held != 0 {
				t.Errorf("%d pieces of memory were taken, and %d kept", given, held)
			}
		})
	}
}

func TestABatchStaysWhileAWriterLearnsOfTheEnd(t *testing.T) {
	service := &testService{doExchange: func(_ context.Context, _ *DataReader, w *DataWriter) error {
		return errors.Join(w.Begin(numbers, WriteOptions{}), w.WriteBatch(batchOf(1, 2, 3)), w.WriteBatch(batchOf(4)), Errorf(KindUnavailable, "replica is gone"))
	}}
	client := connect(t, start(t, service, ServerOptions{}), ClientOptions{})
	allocator := &poison{Allocator: memory.NewGoAllocator()}
	w, r, err := client.DoExchange(t.Context(), DescriptorForPath("a"), WithReadOptions(ReadOptions{Allocator: allocator}))
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = w.WriteMetadata([]byte("x"))
	}
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("the writer got %v", err)
	}
	if got := numbersIn(c.Batch); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("the batch is then %v", got)
	}
	if c, err := r.Read(); err != nil || !slices.Equal(numbersIn(c.Batch), []int64{4}) {
		t.Errorf("the next is %v, %v", c, err)
	}
	if _, err := r.Read(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("reading on gave %v", err)
	}
	if given, held := allocator.given.Load(), allocator.held.Load(); given == 0 || held != 0 {
		t.Errorf("%d pieces of memory were taken, and %d kept", given, held)
	}
}

func TestCallOptionsSayHowBatchesAreEncodedAndDecoded(t *testing.T) {
	client := connect(t, start(t, &testService{doExchange: echoing}, ServerOptions{}), ClientOptions{WriteSizeLimit: 1000})
	compressed := WriteOptions{IPC: []ipc.Option{ipc.WithZstd()}}
	values := make([]int64, 1<<10) // 8 KiB
	for name, test := range map[string]struct {
		call, begin WriteOptions
		fits        bool
	}{
		"none":                  {},
		"of the call":           {call: compressed, fits: true},
		"of Begin":              {begin: compressed, fits: true},
		"Begin's come before":   {call: compressed, begin: WriteOptions{IPC: []ipc.Option{}}},
		"both, and the same":    {call: compressed, begin: compressed, fits: true},
		"of the call, with LZ4": {call: WriteOptions{IPC: []ipc.Option{ipc.WithLZ4()}}, fits: true},
	} {
		t.Run(name, func(t *testing.T) {
			read := WithReadOptions(ReadOptions{Allocator: memory.NewGoAllocator(), Validate: true})
			w, r, err := client.DoExchange(t.Context(), DescriptorForPath("a"), WithWriteOptions(test.call), read)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Cancel()
			if err := w.Begin(numbers, test.begin); err != nil {
				t.Fatal(err)
			}
			if err := w.WriteBatch(batchOf(values...)); errors.Is(err, ErrWriteSize) == test.fits || (test.fits && err != nil) {
				t.Fatalf("writing gave %v", err)
			}
			if err := w.CloseSend(); err != nil {
				t.Fatal(err)
			}
			table, err := r.ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			defer table.Release()
			if test.fits && table.NumRows() != int64(len(values)) {
				t.Errorf("read %d rows", table.NumRows())
			}
		})
	}
}

// What ends leaves nothing behind, although the caller's context goes on.
func TestCallsThatEndLeaveNothingBehind(t *testing.T) {
	service := everyService{do: func(ctx context.Context) error {
		if len(CallOf(ctx).Headers().Get("fail")) > 0 {
			return Errorf(KindNotFound, "gone")
		}
		return nil
	}}
	var contexts []context.Context // of each call
	client := connect(t, start(t, service, ServerOptions{}), ClientOptions{Middleware: []ClientMiddlewareFactory{
		ClientMiddlewareFunc(func(ctx context.Context, _ Method) ClientMiddleware {
			contexts = append(contexts, ctx)
			return nil
		}),
	}})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	rounds := func(n int) {
		for range n {
			for _, c := range everyCall {
				for _, opts := range [][]CallOption{nil, {WithHeader("fail", "yes")}} {
					if err := c.make(ctx, client, opts...); (err == nil) != (opts == nil) {
						t.Fatalf("%s ended with %v", c.method, err)
					}
				}
			}
			r, err := client.DoGet(ctx, &Ticket{})
			if err != nil {
				t.Fatal(err)
			}
			r.Cancel()
			_, results, err := client.DoPut(ctx, DescriptorForPath("a"), numbers)
			if err != nil {
				t.Fatal(err)
			}
			results.Cancel()
		}
	}
	rounds(1)
	before := runtime.NumGoroutine()
	rounds(20)
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	for i, c := range contexts {
		if c.Err() == nil {
			t.Errorf("the context of call %d of %d is held by the caller's", i, len(contexts))
		}
	}
}

func TestSequencesAskAnewEachTime(t *testing.T) {
	asked := make(chan string, 10)
	client := connect(t, start(t, &testService{doAction: func(a *Action) iter.Seq2[[]byte, error] {
		asked <- a.GetType()
		return func(func([]byte, error) bool) {}
	}}, ServerOptions{}), ClientOptions{})
	results := client.DoAction(t.Context(), "any", nil)
	if len(asked) != 0 {
		t.Error("the action began before anybody wanted its results")
	}
	for range 2 {
		if err := lastError(results); err != nil {
			t.Error(err)
		}
	}
	if len(asked) != 2 {
		t.Errorf("the action began %d times, want twice", len(asked))
	}
}

func TestListsArriveWhole(t *testing.T) {
	client := connect(t, start(t, listing{}, ServerOptions{}), ClientOptions{})
	var paths []string
	for info, err := range client.ListFlights(t.Context(), []byte("3")) {
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, info.GetFlightDescriptor().GetPath()...)
		schema, err := SchemaOf(info.GetSchema())
		if err != nil || !schema.Equal(numbers) || info.GetTotalRecords() != -1 || info.GetTotalBytes() != -1 {
			t.Errorf("got %v with the schema %v, %v", info, schema, err)
		}
		if e := info.GetEndpoint()[0]; string(e.GetTicket().GetTicket()) != "ticket" || e.GetLocation()[0].GetUri() != "grpc://host:1" || e.GetLocation()[1].GetUri() != "arrow-flight-reuse-connection://?" {
			t.Errorf("got the endpoint %v", e)
		}
	}
	if !slices.Equal(paths, []string{"0", "1", "2"}) {
		t.Errorf("got the flights %q", paths)
	}
	actions, err := client.ListActions(t.Context())
	if err != nil || len(actions) != 2 || actions[1].GetType() != "b" || actions[1].GetDescription() != "does b" {
		t.Errorf("got the actions %v, %v", actions, err)
	}
	if schema, err := client.GetSchema(t.Context(), DescriptorForPath("0")); err != nil || !schema.Equal(numbers) {
		t.Errorf("got the schema %v, %v", schema, err)
	}
}

// listing has as many flights as the criteria say.
type listing struct{ BaseService }

func (listing) ListFlights(_ context.Context, criteria []byte) iter.Seq2[*FlightInfo, error] {
	return func(yield func(*FlightInfo, error) bool) {
		for i := range int(criteria[0] - '0') {
			e := NewEndpoint([]byte("ticket"), ForGRPCTCP("host", 1), ReuseConnection)
			if !yield(NewFlightInfo(numbers, DescriptorForPath(fmt.Sprint(i)), e), nil) {
				return
			}
		}
	}
}

func (listing) GetSchema(context.Context, *FlightDescriptor) (*arrow.Schema, error) {
	return numbers, nil
}

func (listing) ListActions(context.Context) ([]*ActionType, error) {
	return []*ActionType{{Type: "a", Description: "does a"}, {Type: "b", Description: "does b"}}, nil
}

func TestConnectRefuses(t *testing.T) {
	tls, err := ClientTLS(nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for location, test := range map[string]struct {
		options ClientOptions
		want    string
	}{
		"grpc://host:1":                     {ClientOptions{TLS: tls}, "use a location of the scheme grpc+tls"},
		"arrow-flight-reuse-connection://?": {ClientOptions{}, "expected a location of the scheme grpc, grpc+tls or grpc+unix"},
	} {
		if _, err := Connect(location, test.options); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", location, err)
		}
	}
}
