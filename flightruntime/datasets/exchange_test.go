package datasets

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/scan"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

func queryOf(dataset string) scan.Query { return scan.Query{Dataset: dataset} }

func numbers(values ...int64) arrow.RecordBatch {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	b.AppendValues(values, nil)
	return array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil), []arrow.Array{b.NewArray()}, int64(len(values)))
}

func TestEcho(t *testing.T) {
	s := serve(t)
	w, r, err := s.client.DoExchange(t.Context(), flightruntime.DescriptorForCommand([]byte("echo")))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteMetadata([]byte("before the schema")); err != nil {
		t.Fatal(err)
	}
	if c, err := r.Read(); err != nil || string(c.AppMetadata) != "before the schema" || c.Batch != nil {
		t.Errorf("got %v, %v", c, err)
	}
	batch := numbers(1, 2)
	if err := w.Begin(batch.Schema(), flightruntime.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(flightruntime.Chunk{Batch: batch, AppMetadata: []byte("with a batch")}); err != nil {
		t.Fatal(err)
	}
	if c, err := r.Read(); err != nil || string(c.AppMetadata) != "with a batch" || !array.RecordEqual(c.Batch, batch) {
		t.Errorf("got %v, %v", c, err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("the exchange ended with %v", err)
	}
}

func TestEchoOfASchemaAlone(t *testing.T) {
	s := serve(t)
	w, r, err := s.client.DoExchange(t.Context(), flightruntime.DescriptorForCommand([]byte("echo")))
	if err != nil {
		t.Fatal(err)
	}
	schema := numbers().Schema()
	if err := errors.Join(w.Begin(schema, flightruntime.WriteOptions{}), w.CloseSend()); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Schema(); err != nil || !got.Equal(schema) {
		t.Errorf("got %v, %v", got, err)
	}
}

// subscriber reads a subscription.
type subscriber struct {
	t *testing.T
	w *flightruntime.DataWriter
	r *flightruntime.DataReader
}

func (s *served) subscriber(t *testing.T, d *flightruntime.FlightDescriptor) *subscriber {
	t.Helper()
	w, r, err := s.client.DoExchange(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Cancel)
	if err := w.WriteMetadata([]byte(`{"acknowledged": 0}`)); err != nil {
		t.Fatal(err)
	}
	return &subscriber{t, w, r}
}

// next is the first column of the next message's batch, and its notice.
func (s *subscriber) next() (values string, n notice, err error) {
	s.t.Helper()
	c, err := s.r.Read()
	if err != nil {
		return "", n, err
	}
	if err := json.Unmarshal(c.AppMetadata, &n); err != nil {
		s.t.Fatal(err)
	}
	if c.Batch != nil {
		values = fmt.Sprint(c.Batch.Column(0))
	}
	return values, n, nil
}

// expect reads until the subscriber has caught up, acknowledging all.
func (s *subscriber) expect(want ...string) {
	s.t.Helper()
	var got []string
	for {
		values, n, err := s.next()
		if err != nil {
			s.t.Fatal(err)
		}
		if err := s.w.WriteMetadata(fmt.Appendf(nil, `{"acknowledged": %d}`, n.Sequence)); err != nil {
			s.t.Fatal(err)
		}
		if n.Reset {
			values = "reset"
		}
		if values != "" {
			got = append(got, values)
		}
		if n.CaughtUp {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Errorf("the subscriber got %v, want %v", got, want)
	}
}

func TestASubscriberGetsWhatIsThereAndWhatIsAdded(t *testing.T) {
	dir := t.TempDir()
	rowGroups(t, filepath.Join(dir, "a.parquet"), [2]int64{0, 2})
	s := serve(t)
	s.load(t, "one", files("trips", "Parquet", dir, "*.parquet"))
	refresh := func() {
		t.Helper()
		if _, err := s.actOn(t.Context(), "Refresh", "trips"); err != nil {
			t.Fatal(err)
		}
	}
	all := s.subscriber(t, flightruntime.DescriptorForPath("trips"))
	some := s.subscriber(t, flightruntime.DescriptorForCommand([]byte(`{"dataset": "trips", "columns": ["b"], "filter": "a % 2 == 0"}`)))
	all.expect("[0 1]")
	some.expect(`["row 0"]`)

	rowGroups(t, filepath.Join(dir, "b.parquet"), [2]int64{2, 4})
	refresh()
	all.expect("[2 3]")
	some.expect(`["row 2"]`)

	rowGroups(t, filepath.Join(dir, "a.parquet"), [2]int64{7, 8})
	refresh()
	all.expect("reset", "[7]", "[2 3]")
	some.expect("reset", `["row 2"]`)

	if err := all.w.Close(); err != nil {
		t.Errorf("the subscription ended with %v, want no error once the subscriber has enough", err)
	}
	s.load(t, "two")
	if _, _, err := some.next(); !errors.Is(err, flightruntime.ErrNotFound) {
		t.Errorf("the subscription of a dataset that was removed ended with %v, want NOT_FOUND", err)
	}
}

func TestASubscriberThatDoesNotAcknowledgeGetsNoMoreThanTheWindow(t *testing.T) {
	dir := t.TempDir()
	groups := make([][2]int64, 3*subscriptionWindow)
	for i := range groups {
		groups[i] = [2]int64{int64(i), int64(i) + 1}
	}
	rowGroups(t, filepath.Join(dir, "a.parquet"), groups...)
	s := serve(t)
	s.load(t, "one", files("trips", "Parquet", dir, "*.parquet"))
	sub := s.subscriber(t, flightruntime.DescriptorForPath("trips"))
	for i := range subscriptionWindow {
		if _, n, err := sub.next(); err != nil || n.Sequence != int64(i)+1 {
			t.Fatalf("message %d is %+v, %v", i+1, n, err)
		}
	}
	if err := sub.w.WriteMetadata([]byte(`{"acknowledged": 1}`)); err != nil {
		t.Fatal(err)
	}
	if _, n, err := sub.next(); err != nil || n.Sequence != subscriptionWindow+1 {
		t.Errorf("after one acknowledgement, the next message is %+v, %v", n, err)
	}
	if err := sub.w.WriteMetadata(fmt.Appendf(nil, `{"acknowledged": %d}`, 10*subscriptionWindow)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sub.next(); !errors.Is(err, flightruntime.ErrInvalid) || !strings.Contains(err.Error(), "acknowledged") {
		t.Errorf("an acknowledgement of what was never sent ended with %v", err)
	}
}

// A batch that is too large for one message comes in several, each of which is numbered and counts in the window.
func TestEachMessageOfALargeBatchIsNumbered(t *testing.T) {
	dir := t.TempDir()
	const rows = 3 * wire.TargetMessageBytes / 8
	batch := numbers(make([]int64, rows)...)
	f, err := os.Create(filepath.Join(dir, "a.arrow"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := ipc.NewFileWriter(f, ipc.WithSchema(batch.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(batch), w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	numbered := func(t *testing.T, s *served) {
		sub := s.subscriber(t, flightruntime.DescriptorForPath("large"))
		got := int64(0)
		for i := int64(1); got < rows; i++ {
			c, err := sub.r.Read()
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(`{"sequence":%d}`, i); string(c.AppMetadata) != want {
				t.Fatalf("message %d: expected the metadata %s, got %q", i, want, c.AppMetadata)
			}
			got += c.Batch.NumRows()
		}
	}
	t.Run("None", func(t *testing.T) {
		s := serve(t)
		s.load(t, "one", files("large", "ArrowFile", dir, "*.arrow"))
		numbered(t, s)
	})
	cacheModes(t, func(t *testing.T, mode v1alpha1.CacheMode) {
		s := serve(t)
		s.loadCached(t, mode, 1<<30, t.TempDir(), files("large", "ArrowFile", dir, "*.arrow"))
		numbered(t, s)
	})
}

func TestWrongExchanges(t *testing.T) {
	s := serve(t)
	s.load(t, "one", inline("notes", "a\n1\n"))
	for name, tt := range map[string]struct {
		d    *flightruntime.FlightDescriptor
		send string
		want string
	}{
		"a dataset that there is not": {flightruntime.DescriptorForPath("note"), "{}", `did you mean "notes"?`},
		"a limit":                     {flightruntime.DescriptorForCommand([]byte(`{"dataset": "notes", "limit": 1}`)), "{}", "no limit"},
		"no acknowledgement":          {flightruntime.DescriptorForPath("notes"), "thanks", "acknowledged"},
		"no descriptor":               {nil, "{}", "descriptor"},
	} {
		t.Run(name, func(t *testing.T) {
			w, r, err := s.client.DoExchange(t.Context(), tt.d)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.WriteMetadata([]byte(tt.send)); err != nil {
				t.Fatal(err)
			}
			for _, err = range r.Chunks() {
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ended with %v, want %q", err, tt.want)
			}
		})
	}
}
