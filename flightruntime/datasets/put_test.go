package datasets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

func appendable(name, format, dir, path string) config.Dataset {
	d := files(name, format, dir, path)
	d.Access = v1alpha1.AccessAppend
	return d
}

// put puts batches and waits for the receipt of each.
func (s *served) put(t testing.TB, d *flightruntime.FlightDescriptor, batches ...arrow.RecordBatch) ([]receipt, error) {
	t.Helper()
	schema := numbers().Schema()
	if len(batches) > 0 {
		schema = batches[0].Schema()
	}
	w, results, err := s.client.DoPut(t.Context(), d, schema)
	if err != nil {
		return nil, err
	}
	var receipts []receipt
	for _, b := range batches {
		if err := w.WriteBatch(b); err != nil {
			return receipts, err
		}
		answer, err := results.Read()
		if err != nil {
			return receipts, err
		}
		var r receipt
		if err := json.Unmarshal(answer, &r); err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
	}
	return receipts, w.Close()
}

func TestWhatIsPutIsServedOnceAcknowledged(t *testing.T) {
	for _, format := range []string{"Parquet", "ArrowFile", "ArrowStream"} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			s := serve(t)
			s.load(t, "one", appendable("trips", format, dir, "in/**/*.x"))
			if h := s.health(t); h.Datasets[0].State != flightruntime.DatasetReady || h.Datasets[0].Rows != 0 {
				t.Errorf("a dataset that nothing was put into is told as %+v", h.Datasets[0])
			}
			for i := range 3 {
				receipts, err := s.put(t, flightruntime.DescriptorForPath("trips"), numbers(int64(10*i), int64(10*i+1)), numbers(int64(10*i+2)))
				if err != nil {
					t.Fatal(err)
				}
				if len(receipts) != 2 || receipts[0].Batch != 1 || receipts[0].Rows != 2 || receipts[1].Batch != 2 || receipts[1].Rows != 1 {
					t.Errorf("the receipts are %+v", receipts)
				}
				if _, err := os.Stat(filepath.Join(dir, receipts[0].File)); err != nil {
					t.Error(err)
				}
				if got, err := s.text(t, []byte("trips")); err != nil || strings.Count(got, "\n") != 3*(i+1) {
					t.Errorf("after put %d, a reader gets %q, %v", i, got, err)
				}
			}
			if got, err := s.text(t, []byte("trips")); err != nil || strings.ReplaceAll(got, " \n", ",") != "a,0,1,2,10,11,12,20,21,22 " {
				t.Errorf("a reader gets %q, %v, want the rows in the order in which they were put", got, err)
			}
		})
	}
}

func TestAPutWithAnIDLandsOnce(t *testing.T) {
	dir := t.TempDir()
	s := serve(t)
	s.load(t, "one", appendable("trips", "ArrowFile", dir, "*.arrow"))
	d := flightruntime.DescriptorForCommand([]byte(`{"dataset": "trips", "id": "load-7"}`))
	if _, err := s.put(t, d, numbers(1)); err != nil {
		t.Fatal(err)
	}
	receipts, err := s.put(t, d, numbers(1), numbers(2)) // the client does not know whether the first arrived
	if err != nil || len(receipts) != 2 || !receipts[0].Already || receipts[1].Already {
		t.Errorf("the receipts are %+v, %v, want the first to say that it was there already", receipts, err)
	}
	if got, err := s.text(t, []byte("trips")); err != nil || got != "a \n1 \n2 " {
		t.Errorf("a reader gets %q, %v", got, err)
	}
}

func TestManyPutAtATime(t *testing.T) {
	const writers, batches = 8, 20
	dir := t.TempDir()
	s := serve(t)
	s.load(t, "one", appendable("trips", "ArrowStream", dir, "*.arrows"))
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			w, results, err := s.client.DoPut(t.Context(), flightruntime.DescriptorForPath("trips"), numbers().Schema())
			if err != nil {
				t.Error(err)
				return
			}
			for j := range batches { // without waiting for the receipts
				if err := w.WriteBatch(numbers(int64(batches*i + j))); err != nil {
					t.Error(err)
				}
			}
			if err := w.CloseSend(); err != nil {
				t.Error(err)
			}
			for n := 0; ; n++ {
				if _, err := results.Read(); errors.Is(err, io.EOF) {
					if n != batches {
						t.Errorf("%d receipts came for %d batches", n, batches)
					}
					return
				} else if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	got, err := s.text(t, []byte("trips"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for row := range strings.SplitSeq(got, "\n") {
		rows[row]++
	}
	for i := range writers * batches {
		if n := rows[fmt.Sprint(i, " ")]; n != 1 {
			t.Errorf("row %d is there %d times", i, n)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.arrows")); err != nil || len(left) == 0 || len(left) > writers*batches/2 {
		t.Errorf("%d files hold %d batches: those that wait together should land together", len(left), writers*batches)
	}
}

func TestPutsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	s := serve(t)
	s.load(t, "one", appendable("trips", "ArrowFile", dir, "*.arrow"), appendable("texts", "ArrowFile", t.TempDir(), "*.arrow"), inline("notes", "a\n1\n"))
	if _, err := s.put(t, flightruntime.DescriptorForPath("trips"), numbers(1)); err != nil {
		t.Fatal(err)
	}
	damaged := array.NewStringBuilder(memory.DefaultAllocator)
	damaged.Append("\xff")
	text := array.NewStringBuilder(memory.DefaultAllocator)
	text.Append("x")
	other := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.BinaryTypes.String}}, nil), []arrow.Array{text.NewArray()}, 1)
	notUTF8 := array.NewRecordBatch(other.Schema(), []arrow.Array{damaged.NewArray()}, 1)
	for name, tt := range map[string]struct {
		d     *flightruntime.FlightDescriptor
		batch arrow.RecordBatch
		kind  *flightruntime.Error
		want  string
	}{
		"into a dataset that is read-only": {flightruntime.DescriptorForPath("notes"), numbers(1), flightruntime.ErrPrecondition, "access: Append"},
		"into a dataset that there is not": {flightruntime.DescriptorForPath("trip"), numbers(1), flightruntime.ErrNotFound, `did you mean "trips"?`},
		"of other columns":                 {flightruntime.DescriptorForPath("trips"), other, flightruntime.ErrInvalid, `"a": string`},
		"that is not valid":                {flightruntime.DescriptorForPath("texts"), notUTF8, flightruntime.ErrInvalid, `dataset texts: message 2 of the stream: column "a": row 0 is not UTF-8`},
		"with a command that is none":      {flightruntime.DescriptorForCommand([]byte("trips")), numbers(1), flightruntime.ErrInvalid, "expected JSON"},
		"with a member that there is not":  {flightruntime.DescriptorForCommand([]byte(`{"dataset": "trips", "modes": "x"}`)), numbers(1), flightruntime.ErrInvalid, "expected JSON"},
		"with an id that is too long":      {flightruntime.DescriptorForCommand(fmt.Appendf(nil, `{"dataset": "trips", "id": %q}`, strings.Repeat("x", maxPutID+1))), numbers(1), flightruntime.ErrInvalid, "at most 256"},
		"with a path of two parts":         {flightruntime.DescriptorForPath("trips", "2024"), numbers(1), flightruntime.ErrInvalid, "a path of one part"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.put(t, tt.d, tt.batch); !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ended with %v, want %v with %q", err, tt.kind, tt.want)
			}
		})
	}
	if got, err := s.text(t, []byte("trips")); err != nil || got != "a \n1 " {
		t.Errorf("afterwards a reader gets %q, %v", got, err)
	}
}

// A put of which nothing lands does not say which columns the dataset has.
func TestPutsThatLandNothingLeaveTheColumnsOpen(t *testing.T) {
	damaged := array.NewStringBuilder(memory.DefaultAllocator)
	damaged.Append("\xff")
	text := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.BinaryTypes.String}}, nil)
	notUTF8 := array.NewRecordBatch(text, []arrow.Array{damaged.NewArray()}, 1)
	trips := flightruntime.DescriptorForPath("trips")
	for name, first := range map[string]func(t *testing.T, s *served){
		"without batches": func(t *testing.T, s *served) {
			w, _, err := s.client.DoPut(t.Context(), trips, text)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		},
		"without rows": func(t *testing.T, s *served) {
			if _, err := s.put(t, trips, notUTF8.NewSlice(0, 0)); err != nil {
				t.Fatal(err)
			}
		},
		"of what is not valid": func(t *testing.T, s *served) {
			if _, err := s.put(t, trips, notUTF8); !errors.Is(err, flightruntime.ErrInvalid) {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			s.load(t, "one", appendable("trips", "Parquet", t.TempDir(), "*.parquet"))
			first(t, s)
			if _, err := s.put(t, trips, numbers(1)); err != nil {
				t.Errorf("the put of other columns that followed: %v", err)
			}
		})
	}
}

// TestAPutThatCannotLandEnds holds also for a client that does nothing but wait for its receipt.
func TestAPutThatCannotLandEnds(t *testing.T) {
	dir := t.TempDir()
	s := serve(t)
	s.load(t, "one", appendable("trips", "ArrowFile", filepath.Join(dir, "gone"), "*.arrow"))
	if _, err := s.put(t, flightruntime.DescriptorForPath("trips"), numbers(1)); !errors.Is(err, flightruntime.ErrUnavailable) || !strings.Contains(err.Error(), "gone") {
		t.Errorf("ended with %v, want UNAVAILABLE that names the folder", err)
	}
}
