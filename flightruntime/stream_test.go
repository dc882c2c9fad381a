package flightruntime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// streaming is a service whose DoGet answers with what a test gives it.
type streaming struct {
	BaseService
	doGet func(ctx context.Context) (*DataStream, error)
}

func (s streaming) DoGet(ctx context.Context, _ *Ticket) (*DataStream, error) { return s.doGet(ctx) }

// serves is a service of one stream.
func serves(stream func() *DataStream) streaming {
	return streaming{doGet: func(context.Context) (*DataStream, error) { return stream(), nil }}
}

// get reads from a server until the test ends.
func get(t *testing.T, service Service) *DataReader {
	t.Helper()
	r, err := connect(t, start(t, service, ServerOptions{}), ClientOptions{}).DoGet(t.Context(), &Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Cancel)
	return r
}

// described are chunks in words.
func described(seq iter.Seq2[Chunk, error]) (words []string, err error) {
	for c, err := range seq {
		if err != nil {
			return words, err
		}
		word := fmt.Sprintf("%q", c.AppMetadata)
		if c.Batch != nil {
			word = fmt.Sprintf("%s with %s", word, c.Batch.Column(0))
		}
		words = append(words, word)
	}
	return words, nil
}

// releasedReader counts its releases.
type releasedReader struct {
	array.RecordReader
	releases atomic.Int32
	err      error // in place of the end
}

func (r *releasedReader) Release()   { r.releases.Add(1) }
func (r *releasedReader) Err() error { return r.err }

func readerOf(t *testing.T, schema *arrow.Schema, batches ...arrow.RecordBatch) *releasedReader {
	t.Helper()
	r, err := array.NewRecordReader(schema, batches)
	if err != nil {
		t.Fatal(err)
	}
	return &releasedReader{RecordReader: r}
}

func TestRecordBatchStreamSendsAReaderAndReleasesIt(t *testing.T) {
	large := batchOf(make([]int64, 1<<18)...)
	for name, test := range map[string]struct {
		reader *releasedReader
		read   func(t *testing.T, r *DataReader)
	}{
		"to its end": {readerOf(t, numbers, batchOf(1), batchOf(2, 3)), func(t *testing.T, r *DataReader) {
			if words, err := described(r.Chunks()); err != nil || !slices.Equal(words, []string{`"" with [1]`, `"" with [2 3]`}) {
				t.Errorf("got %q, %v", words, err)
			}
		}},
		"without a batch": {readerOf(t, numbers), func(t *testing.T, r *DataReader) {
			if schema, err := r.Schema(); err != nil || !schema.Equal(numbers) {
				t.Errorf("got the schema %v, %v", schema, err)
			}
			if n, err := drain(r); n != 0 || err != nil {
				t.Errorf("got %d chunks, %v", n, err)
			}
		}},
		"until it fails": {&releasedReader{RecordReader: readerOf(t, numbers, batchOf(1)).RecordReader, err: errors.New("disk on fire")}, func(t *testing.T, r *DataReader) {
			if n, err := drain(r); n != 1 || !errors.Is(err, ErrInternal) || !strings.Contains(err.Error(), "disk on fire") {
				t.Errorf("got %d chunks, %v", n, err)
			}
		}},
		"until it ends as readers of files do": {&releasedReader{RecordReader: readerOf(t, numbers, batchOf(1)).RecordReader, err: io.EOF}, func(t *testing.T, r *DataReader) {
			if n, err := drain(r); n != 1 || err != nil {
				t.Errorf("got %d chunks, %v", n, err)
			}
		}},
		"until the client has enough": {readerOf(t, numbers, large, large, large), func(t *testing.T, r *DataReader) {
			if _, err := r.Read(); err != nil {
				t.Error(err)
			}
			r.Cancel()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := get(t, serves(func() *DataStream { return RecordBatchStream(test.reader) }))
			test.read(t, r)
			eventually(t, "the reader is released", func() bool { return test.reader.releases.Load() > 0 })
			if n := test.reader.releases.Load(); n != 1 {
				t.Errorf("it is released %d times", n)
			}
		})
	}
	t.Run("before anything could be sent", func(t *testing.T) {
		reader := readerOf(t, numbers, batchOf(1))
		r := get(t, serves(func() *DataStream {
			s := RecordBatchStream(reader)
			s.MaxMessageBytes = 1 // not even the schema
			return s
		}))
		if _, err := r.Schema(); !errors.Is(err, ErrOverLimit) {
			t.Errorf("ended with %v", err)
		}
		eventually(t, "the reader is released", func() bool { return reader.releases.Load() == 1 })
	})
}

func TestGeneratorStreamSendsBatchesAndMetadataInTheirOrder(t *testing.T) {
	sent := chunks(
		Chunk{AppMetadata: []byte("first")},
		Chunk{AppMetadata: []byte("second")},
		Chunk{Batch: batchOf(1)},
		Chunk{Batch: batchOf(2), AppMetadata: []byte("\x00\xff")},
		Chunk{AppMetadata: []byte("between")},
		Chunk{Batch: batchOf()},
		Chunk{Batch: batchOf(3, 4), AppMetadata: []byte("with")},
		Chunk{AppMetadata: []byte("last")},
	)
	want, _ := described(sent)
	for name, service := range map[string]Service{
		"of DoGet": serves(func() *DataStream { return GeneratorStream(numbers, sent) }),
		"of DoExchange": &testService{doExchange: func(_ context.Context, _ *DataReader, w *DataWriter) error {
			if err := w.Begin(numbers, WriteOptions{}); err != nil {
				return err
			}
			for c := range sent {
				if err := w.Write(c); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			client := connect(t, start(t, service, ServerOptions{}), ClientOptions{})
			r, err := client.DoGet(t.Context(), &Ticket{})
			if name == "of DoExchange" {
				_, r, err = client.DoExchange(t.Context(), DescriptorForPath("a"))
			}
			if err != nil {
				t.Fatal(err)
			}
			if schema, err := r.Schema(); err != nil || !schema.Equal(numbers) {
				t.Errorf("got the schema %v, %v", schema, err)
			}
			if got, err := described(r.Chunks()); err != nil || !slices.Equal(got, want) {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
	t.Run("of DoPut, to the server", func(t *testing.T) {
		arrived := make(chan []string, 1)
		client := connect(t, start(t, &testService{doPut: func(_ context.Context, r *DataReader, _ *MetadataWriter) error {
			words, err := described(r.Chunks())
			arrived <- words
			return err
		}}, ServerOptions{}), ClientOptions{})
		w, _, err := client.DoPut(t.Context(), DescriptorForPath("a"), numbers)
		if err != nil {
			t.Fatal(err)
		}
		for c := range sent {
			if err := w.Write(c); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if got := <-arrived; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestAnErrorComesAfterWhatWasSentBeforeIt(t *testing.T) {
	for name, test := range map[string]struct {
		rest func(yield func(Chunk, error) bool)
		want *Error
		text string
	}{
		"an error that is yielded": {
			func(yield func(Chunk, error) bool) { yield(Chunk{}, Errorf(KindUnavailable, "replica is gone")) },
			ErrUnavailable, "replica is gone",
		},
		"a panic": {func(func(Chunk, error) bool) { panic("own fault") }, ErrInternal, "its log says why"},
		"a batch of another schema": {
			func(yield func(Chunk, error) bool) {
				other := arrow.NewSchema([]arrow.Field{{Name: "other", Type: arrow.PrimitiveTypes.Int64}}, nil)
				yield(Chunk{Batch: array.NewRecordBatch(other, batchOf(1).Columns(), 1)}, nil)
			},
			ErrInternal, "schema",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := get(t, serves(func() *DataStream {
				return GeneratorStream(numbers, func(yield func(Chunk, error) bool) {
					if yield(Chunk{Batch: batchOf(1)}, nil) {
						test.rest(yield)
					}
				})
			}))
			n, err := drain(r)
			if n != 1 || !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("read %d chunks, then %v", n, err)
			}
			if _, again := r.Read(); !errors.Is(again, err) {
				t.Errorf("reading on gave %v", again)
			}
		})
	}
}

func TestServicesThatAnswerWithNothing(t *testing.T) {
	onEachNothing := map[Method]func(c *Client) error{
		MethodListFlights: func(c *Client) error { return lastError(c.ListFlights(t.Context(), nil)) },
		MethodGetFlightInfo: func(c *Client) error {
			_, err := c.GetFlightInfo(t.Context(), DescriptorForPath("a"))
			return err
		},
		MethodPollFlightInfo: func(c *Client) error {
			_, err := c.PollFlightInfo(t.Context(), DescriptorForPath("a"))
			return err
		},
		MethodGetSchema: func(c *Client) error {
			_, err := c.GetSchema(t.Context(), DescriptorForPath("a"))
			return err
		},
		MethodDoGet: func(c *Client) error {
			r, err := c.DoGet(t.Context(), &Ticket{})
			if err != nil {
				return err
			}
			_, err = r.Read()
			return err
		},
	}
	client := connect(t, start(t, nothing{}, ServerOptions{}), ClientOptions{})
	for method, call := range onEachNothing {
		if err := call(client); !errors.Is(err, ErrInternal) || !strings.Contains(err.Error(), "the service answered "+string(method)+" without") {
			t.Errorf("%s ended with %v", method, err)
		}
	}
}

// nothing answers with nil.
type nothing struct{ BaseService }

func (nothing) ListFlights(context.Context, []byte) iter.Seq2[*FlightInfo, error] {
	return func(yield func(*FlightInfo, error) bool) { yield(nil, nil) }
}

func (nothing) GetFlightInfo(context.Context, *FlightDescriptor) (*FlightInfo, error) {
	return nil, nil //nolint:nilnil // the mistake
}

func (nothing) PollFlightInfo(context.Context, *FlightDescriptor) (*PollInfo, error) {
	return nil, nil //nolint:nilnil // the mistake
}

func (nothing) GetSchema(context.Context, *FlightDescriptor) (*arrow.Schema, error) {
	return nil, nil //nolint:nilnil // the mistake
}

func (nothing) DoGet(context.Context, *Ticket) (*DataStream, error) {
	return nil, nil //nolint:nilnil // the mistake
}

func TestBaseServiceImplementsNothing(t *testing.T) {
	client := connect(t, start(t, BaseService{}, ServerOptions{}), ClientOptions{})
	onEachCall(t, func(t *testing.T, method Method, call func(context.Context, *Client, ...CallOption) error) {
		if err := call(t.Context(), client); !errors.Is(err, ErrNotImplemented) || !strings.Contains(err.Error(), "this server has no "+string(method)) {
			t.Errorf("ended with %v", err)
		}
	})
}

// words is the schema of a dictionary.
var words = arrow.NewSchema([]arrow.Field{
	{Name: "word", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int16, ValueType: arrow.BinaryTypes.String}, Nullable: true},
}, nil)

// wordsOf is a batch of a dictionary, and of indices into it.
func wordsOf(t *testing.T, dictionary []string, indices ...int16) arrow.RecordBatch {
	t.Helper()
	values := array.NewStringBuilder(memory.DefaultAllocator)
	values.AppendValues(dictionary, nil)
	keys := array.NewInt16Builder(memory.DefaultAllocator)
	keys.AppendValues(indices, nil)
	column := array.NewDictionaryArray(words.Field(0).Type, keys.NewArray(), values.NewArray())
	return array.NewRecordBatch(words, []arrow.Array{column}, int64(len(indices)))
}

func TestDictionariesArriveAsTheyChange(t *testing.T) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("word number %d of many", i)
	}
	more := append(slices.Clone(many), "one more")
	other := []string{"other", "words"}
	for name, test := range map[string]struct {
		options WriteOptions
		batches []arrow.RecordBatch
		values  []string
		most    int // bytes, if bounded
	}{
		"the same": {
			batches: []arrow.RecordBatch{wordsOf(t, many, 0, 999), wordsOf(t, many, 1)},
			values:  []string{many[0], many[999], many[1]}, most: 35_000,
		},
		"replaced": {
			batches: []arrow.RecordBatch{wordsOf(t, many, 999), wordsOf(t, other, 0), wordsOf(t, many, 0)},
			values:  []string{many[999], "other", many[0]},
		},
		"grown, as a new one": {
			batches: []arrow.RecordBatch{wordsOf(t, many, 999), wordsOf(t, more, 1000, 0)},
			values:  []string{many[999], "one more", many[0]},
		},
		"grown, by a delta": {
			options: WriteOptions{IPC: []ipc.Option{ipc.WithDictionaryDeltas(true)}},
			batches: []arrow.RecordBatch{wordsOf(t, many, 999), wordsOf(t, more, 1000, 0)},
			values:  []string{many[999], "one more", many[0]}, most: 35_000,
		},
	} {
		t.Run(name, func(t *testing.T) {
			service := serves(func() *DataStream {
				s := RecordBatchStream(readerOf(t, words, test.batches...))
				s.Options = test.options
				return s
			})
			var got []string
			for c, err := range get(t, service).Chunks() {
				if err != nil {
					t.Fatal(err)
				}
				column := c.Batch.Column(0).(*array.Dictionary)
				for i := range column.Len() {
					got = append(got, column.Dictionary().(*array.String).Value(column.GetValueIndex(i)))
				}
			}
			if !slices.Equal(got, test.values) {
				t.Errorf("got %q, want %q", got, test.values)
			}
			if n := bytesOnTheWire(t, service); test.most > 0 && n > test.most {
				t.Errorf("it took %d bytes, want at most %d: the words take 27,000", n, test.most)
			}
		})
	}
}

// bytesOnTheWire is what the bodies of a stream's messages take.
func bytesOnTheWire(t *testing.T, service Service) (n int) {
	t.Helper()
	_, client := connectTo(t, start(t, service, ServerOptions{}))
	stream, err := client.DoGet(t.Context(), &flight.Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		n += len(m.GetDataBody())
	}
}

func TestStreamsAreCompressedAsTheirOptionsSay(t *testing.T) {
	values := make([]int64, 1<<14) // 128 KiB
	for name, test := range map[string]struct {
		options     []ipc.Option
		least, most int
	}{
		"not":                       {nil, 128 << 10, 129 << 10},
		"LZ4":                       {[]ipc.Option{ipc.WithLZ4()}, 1, 4 << 10},
		"Zstandard":                 {[]ipc.Option{ipc.WithZstd()}, 1, 4 << 10},
		"Zstandard, by several CPU": {[]ipc.Option{ipc.WithZstd(), ipc.WithCompressConcurrency(2)}, 1, 4 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			service := serves(func() *DataStream {
				s := GeneratorStream(numbers, chunks(Chunk{Batch: batchOf(values...), AppMetadata: []byte("x")}))
				s.Options.IPC = test.options
				return s
			})
			if n := bytesOnTheWire(t, service); n < test.least || n > test.most {
				t.Errorf("128 KiB of zeroes took %d bytes, want %d to %d", n, test.least, test.most)
			}
			r := get(t, service)
			c, err := r.Read()
			if err != nil || !slices.Equal(numbersIn(c.Batch), values) || string(c.AppMetadata) != "x" {
				t.Errorf("it arrived changed, %v", err)
			}
		})
	}
}

func TestReadAllIsATable(t *testing.T) {
	r := get(t, serves(func() *DataStream {
		return GeneratorStream(numbers, chunks(Chunk{Batch: batchOf(1, 2)}, Chunk{AppMetadata: []byte("x")}, Chunk{Batch: batchOf(3)}))
	}))
	table, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	if table.NumRows() != 3 || !table.Schema().Equal(numbers) {
		t.Errorf("got %v", table)
	}
	failing := get(t, everyService{do: func(context.Context) error { return Errorf(KindNotFound, "gone") }})
	if table, err := failing.ReadAll(); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, %v", table, err)
	}
}

func TestMetadataComeWithABatchThatHasADictionary(t *testing.T) {
	r := get(t, serves(func() *DataStream {
		return GeneratorStream(words, chunks(Chunk{Batch: wordsOf(t, []string{"a"}, 0), AppMetadata: []byte("x")}))
	}))
	if c, err := r.Read(); err != nil || c.Batch == nil || string(c.AppMetadata) != "x" {
		t.Errorf("got %v, %v", c, err)
	}
	if n, err := drain(r); n != 0 || err != nil {
		t.Errorf("got %d more, %v", n, err)
	}
}

func TestStreamsAreOfTheMetadataVersionThatTheirOptionsSay(t *testing.T) {
	for version, want := range map[ipc.MetadataVersion]ipc.MetadataVersion{0: ipc.MetadataV5, ipc.MetadataV4: ipc.MetadataV4, ipc.MetadataV5: ipc.MetadataV5} {
		t.Run(version.String(), func(t *testing.T) {
			service := serves(func() *DataStream {
				s := GeneratorStream(numbers, chunks(Chunk{Batch: batchOf(1)}))
				s.Options.MetadataVersion = version
				return s
			})
			_, client := connectTo(t, start(t, service, ServerOptions{}))
			stream, err := client.DoGet(t.Context(), &flight.Ticket{})
			if err != nil {
				t.Fatal(err)
			}
			for _, what := range []string{"schema", "batch"} {
				m, err := stream.Recv()
				if err != nil {
					t.Fatal(err)
				}
				if got := ipc.NewMessage(memory.NewBufferBytes(m.GetDataHeader()), memory.NewBufferBytes(m.GetDataBody())).Version(); got != want {
					t.Errorf("the %s is of version %s, want %s", what, got, want)
				}
			}
			if words, err := described(get(t, service).Chunks()); err != nil || !slices.Equal(words, []string{`"" with [1]`}) {
				t.Errorf("got %q, %v", words, err)
			}
		})
	}
}

func TestMetadataComeOnceWithABatchThatIsCut(t *testing.T) {
	const rows = 1 << 19 // 4 MiB
	r := get(t, serves(func() *DataStream {
		return GeneratorStream(numbers, chunks(Chunk{Batch: batchOf(make([]int64, rows)...), AppMetadata: []byte("x")}))
	}))
	var got int64
	for c, err := range r.Chunks() {
		if err != nil {
			t.Fatal(err)
		}
		if first := got == 0; first != (string(c.AppMetadata) == "x") || c.Batch == nil {
			t.Errorf("after %d rows there is %v, want the metadata with the first part", got, c)
		}
		got += c.Batch.NumRows()
	}
	if got != rows {
		t.Errorf("got %d rows", got)
	}
}
