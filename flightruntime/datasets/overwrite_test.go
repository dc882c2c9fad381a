package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

func overwritable(name, format, dir, path string) config.Dataset {
	d := files(name, format, dir, path)
	d.Access = v1alpha1.AccessReadWrite
	return d
}

func command(format string, a ...any) *flightruntime.FlightDescriptor {
	return flightruntime.DescriptorForCommand(fmt.Appendf(nil, format, a...))
}

// overwrite puts batches as the command says and gives the one answer.
func (s *served) overwrite(ctx context.Context, d *flightruntime.FlightDescriptor, schema *arrow.Schema, batches ...arrow.RecordBatch) (done overwritten, err error) {
	w, results, err := s.client.DoPut(ctx, d, schema)
	if err != nil {
		return done, err
	}
	for _, b := range batches {
		if err := w.WriteBatch(b); err != nil {
			return done, err
		}
	}
	if err := w.CloseSend(); err != nil {
		return done, err
	}
	answer, err := results.Read()
	if err != nil {
		return done, err
	}
	if err := json.Unmarshal(answer, &done); err != nil {
		return done, err
	}
	if more, err := results.Read(); !errors.Is(err, io.EOF) {
		return done, fmt.Errorf("after the answer comes %q, %w", more, err)
	}
	return done, nil
}

// wantRows compares what a reader gets, in one line.
func (s *served) wantRows(t *testing.T, want string) {
	t.Helper()
	got, err := s.text(t, []byte("trips"))
	if got = strings.ReplaceAll(got, " \n", " "); err != nil || got != want {
		t.Errorf("a reader gets %q, %v, want %q", got, err, want)
	}
}

func TestOverwritingReplacesAllFilesAtOneStroke(t *testing.T) {
	for _, format := range []string{"Parquet", "ArrowFile", "ArrowStream"} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			s := serve(t)
			s.load(t, "one", overwritable("trips", format, dir, "in/**/*.x"))
			overwrite := command(`{"dataset": "trips", "mode": "overwrite"}`)
			if done, err := s.overwrite(t.Context(), overwrite, numbers().Schema(), numbers(1, 2)); err != nil || done.Removed != 0 || done.Rows != 2 {
				t.Errorf("overwriting nothing is answered by %+v, %v", done, err)
			}
			if receipts, err := s.put(t, command(`{"dataset": "trips", "mode": "append"}`), numbers(3)); err != nil || len(receipts) != 1 {
				t.Errorf("appending is answered by %+v, %v", receipts, err)
			}
			s.wantRows(t, "a 1 2 3 ")
			done, err := s.overwrite(t.Context(), overwrite, numbers().Schema(), numbers(7), numbers(), numbers(8, 9))
			if err != nil {
				t.Fatal(err)
			}
			want := overwritten{Batches: 3, Rows: 3, Files: done.Files, Removed: 2}
			if diff := cmp.Diff(want, done); diff != "" || len(done.Files) != 1 {
				t.Errorf("want one file; -want +got:\n%s", diff)
			}
			s.wantRows(t, "a 7 8 9 ")
			if _, err := os.Stat(filepath.Join(dir, done.Files[0])); err != nil {
				t.Error(err)
			}
			// Nothing but the columns is left by a put without rows.
			if done, err := s.overwrite(t.Context(), overwrite, numbers().Schema()); err != nil || done.Removed != 1 || len(done.Files) != 1 {
				t.Errorf("overwriting by nothing is answered by %+v, %v", done, err)
			}
			s.wantRows(t, "a ")
		})
	}
}

func TestAnOverwriteWithAnIDHappensOnce(t *testing.T) {
	s := serve(t)
	s.load(t, "one", overwritable("trips", "ArrowFile", t.TempDir(), "*.arrow"))
	d := command(`{"dataset": "trips", "mode": "overwrite", "id": "load-7"}`)
	first, err := s.overwrite(t.Context(), d, numbers().Schema(), numbers(1))
	if err != nil || first.Already {
		t.Fatalf("%+v, %v", first, err)
	}
	if _, err := s.put(t, command(`{"dataset": "trips", "id": "load-7"}`), numbers(2)); err != nil { // an append by the same id is another put
		t.Fatal(err)
	}
	again, err := s.overwrite(t.Context(), d, numbers().Schema(), numbers(1)) // the client does not know whether it has happened
	if diff := cmp.Diff(overwritten{Batches: 1, Rows: 1, Files: first.Files, Already: true}, again); err != nil || diff != "" {
		t.Errorf("%v; -want +got:\n%s", err, diff)
	}
	if got, err := s.text(t, []byte("trips")); err != nil || strings.Count(got, "\n") != 2 {
		t.Errorf("a reader gets %q, %v, want both rows", got, err)
	}
}

func TestAnOverwriteThatFailsChangesNothing(t *testing.T) {
	dir := t.TempDir()
	s := serve(t)
	s.load(t, "one", overwritable("trips", "ArrowFile", dir, "*.arrow"))
	if _, err := s.put(t, flightruntime.DescriptorForPath("trips"), numbers(1, 2)); err != nil {
		t.Fatal(err)
	}
	text := array.NewStringBuilder(memory.DefaultAllocator)
	text.Append("x")
	other := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.BinaryTypes.String}}, nil), []arrow.Array{text.NewArray()}, 1)
	const overwrite = `{"dataset": "trips", "mode": "overwrite"}`
	for name, tt := range map[string]struct {
		command string
		batch   arrow.RecordBatch
		want    string
	}{
		"by other columns":                {overwrite, other, `"a": string`},
		"by fewer rows than it announced": {`{"dataset": "trips", "mode": "overwrite", "rows": 2}`, numbers(3), "1 rows came, and the command announced 2: nothing was changed"},
		"in a mode that there is not":     {`{"dataset": "trips", "mode": "truncate"}`, numbers(3), `the mode is "truncate": expected "append" or "overwrite"`},
		"appending announced rows":        {`{"dataset": "trips", "rows": 1}`, numbers(3), "leave them out"},
	} {
		t.Run(name, func(t *testing.T) {
			if done, err := s.overwrite(t.Context(), command("%s", tt.command), tt.batch.Schema(), tt.batch); !errors.Is(err, flightruntime.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v, %v, want %q", done, err, tt.want)
			}
			s.wantRows(t, "a 1 2 ")
		})
	}
	t.Run("by a client that leaves in the middle", func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		w, results, err := s.client.DoPut(ctx, command(overwrite), numbers().Schema())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteBatch(numbers(3)); err != nil {
			t.Fatal(err)
		}
		staged := func() int {
			found, err := filepath.Glob(filepath.Join(dir, "..landing-replace-*"))
			if err != nil {
				t.Fatal(err)
			}
			return len(found)
		}
		for staged() == 0 { // until the server is in the middle of it
			time.Sleep(time.Millisecond)
		}
		leave()
		if _, err := results.Read(); err == nil {
			t.Error("a put that was cancelled is answered")
		}
		for staged() > 0 { // until it has let go of it
			time.Sleep(time.Millisecond)
		}
		s.wantRows(t, "a 1 2 ")
	})
	if left, err := filepath.Glob(filepath.Join(dir, "..landing-*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if done, err := s.overwrite(t.Context(), command(`{"dataset": "trips", "mode": "overwrite", "rows": 1}`), numbers().Schema(), numbers(3)); err != nil || done.Removed != 1 {
		t.Errorf("with the rows that it announced: %+v, %v", done, err)
	}
}

// A reader in the middle of a version gets all of that version, although its files are gone; the next one gets the new version.
func TestReadersKeepTheVersionTheyBeganWith(t *testing.T) {
	const parts, rows = 3, 1 << 16
	dir := t.TempDir()
	s := serve(t)
	s.load(t, "one", appendable("trips", "ArrowStream", dir, "*.arrows"))
	many := make([]int64, rows)
	for i := range many {
		many[i] = 1
	}
	for range parts {
		if _, err := s.put(t, flightruntime.DescriptorForPath("trips"), numbers(many...), numbers(many...)); err != nil {
			t.Fatal(err)
		}
	}
	s.load(t, "two", overwritable("trips", "ArrowStream", dir, "*.arrows")) // the files are what they were
	if _, err := s.actOn(t.Context(), "Refresh", "trips"); err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.Service.catalog.Snapshot("trips")
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.request(t.Context(), authz.Get, queryOf("trips"))
	if err != nil {
		t.Fatal(err)
	}
	seen := int64(0)
	for batch, err := range s.read(t.Context(), r, nil) {
		if err != nil {
			t.Fatalf("after %d rows: %v", seen, err)
		}
		if seen == 0 {
			if done, err := s.overwrite(t.Context(), command(`{"dataset": "trips", "mode": "overwrite"}`), numbers().Schema(), numbers(2)); err != nil || done.Removed != len(snapshot.Layout.Parts) {
				t.Fatalf("%+v, %v", done, err)
			}
			s.wantRows(t, "a 2 ")
		}
		seen += batch.Batch.NumRows()
	}
	if seen != 2*parts*rows {
		t.Errorf("the reader got %d rows, want %d", seen, 2*parts*rows)
	}
	// Who has read a descriptor and not begun to read its version gets the newest.
	for batch, err := range s.read(t.Context(), r, nil) {
		if err != nil || batch.Batch.NumRows() != 1 {
			t.Errorf("%v, %v, want the row that is there now", batch, err)
		}
	}
}

// A subscriber is told to forget the version that was overwritten.
func TestASubscriberGetsANewVersion(t *testing.T) {
	s := serve(t)
	s.load(t, "one", overwritable("trips", "ArrowFile", t.TempDir(), "*.arrow"))
	var sub *subscriber
	for i, want := range [][]string{{"[0 1]"}, {"reset", "[2 3]"}, {"reset", "[4 5]"}} {
		n := int64(2 * i)
		if _, err := s.overwrite(t.Context(), command(`{"dataset": "trips", "mode": "overwrite"}`), numbers().Schema(), numbers(n, n+1)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			sub = s.subscriber(t, flightruntime.DescriptorForPath("trips"))
		}
		sub.expect(want...)
	}
}

// Whenever a reader comes, it gets one of the versions that were put, in full.
func TestReadersBesideOverwrites(t *testing.T) {
	s := serve(t)
	s.load(t, "one", overwritable("trips", "ArrowFile", t.TempDir(), "*.arrow"))
	version := func(n int64) error {
		_, err := s.overwrite(t.Context(), command(`{"dataset": "trips", "mode": "overwrite"}`), numbers().Schema(), numbers(n, n), numbers(n, n))
		return err
	}
	if err := version(0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := s.text(t, []byte("trips"))
				if rows := strings.Fields(got); err != nil || len(rows) != 5 || rows[1] != rows[2] || rows[1] != rows[3] || rows[1] != rows[4] {
					t.Errorf("a reader gets %q, %v, want four times the same number", got, err)
					return
				}
			}
		})
	}
	for n := range int64(20) {
		if err := version(n + 1); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	s.wantRows(t, "a 20 20 20 20 ")
}

func TestDelete(t *testing.T) {
	dir := t.TempDir()
	s := serve(t)
	s.load(t, "one", overwritable("trips", "ArrowFile", dir, "in/*.arrow"), appendable("log", "ArrowFile", dir, "log/*.arrow"), inline("notes", "a\n1\n"))
	remove := func(body string) (d deleted, err error) {
		for result, err := range s.client.DoAction(t.Context(), "Delete", []byte(body)) {
			if err != nil {
				return d, err
			}
			if err := json.Unmarshal(result, &d); err != nil {
				t.Fatal(err)
			}
		}
		return d, nil
	}
	var names []string
	for n := range int64(3) {
		receipts, err := s.put(t, flightruntime.DescriptorForPath("trips"), numbers(n))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, receipts[0].File)
	}
	for name, tt := range map[string]struct {
		body string
		kind *flightruntime.Error
		want string
	}{
		"no body":                      {``, flightruntime.ErrInvalid, "expected JSON such as"},
		"no dataset":                   {`{"all": true}`, flightruntime.ErrInvalid, "expected JSON such as"},
		"nothing to delete":            {`{"dataset": "trips"}`, flightruntime.ErrInvalid, "expected JSON such as"},
		"some and all":                 {`{"dataset": "trips", "files": ["in/a.arrow"], "all": true}`, flightruntime.ErrInvalid, "expected JSON such as"},
		"a member that there is not":   {`{"dataset": "trips", "all": true, "force": true}`, flightruntime.ErrInvalid, "expected JSON such as"},
		"a dataset that there is not":  {`{"dataset": "trip", "all": true}`, flightruntime.ErrNotFound, `did you mean "trips"?`},
		"a dataset that is read-only":  {`{"dataset": "notes", "all": true}`, flightruntime.ErrPrecondition, "notes is read-only: whoever runs this server can let clients overwrite and delete it, with access: ReadWrite"},
		"a dataset that grows only":    {`{"dataset": "log", "all": true}`, flightruntime.ErrPrecondition, "log takes more batches and keeps all that it has: whoever runs this server can let clients overwrite and delete it, with access: ReadWrite"},
		"a file of another dataset":    {fmt.Sprintf(`{"dataset": "trips", "files": [%q, "log/a.arrow"]}`, names[0]), flightruntime.ErrInvalid, `"log/a.arrow" is no file of "in/*.arrow": nothing was deleted`},
		"a path that leaves its place": {`{"dataset": "trips", "files": ["in/../../etc/a.arrow"]}`, flightruntime.ErrInvalid, "nothing was deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := remove(tt.body); !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("answered by %+v, %v, want %v with %q", d, err, tt.kind, tt.want)
			}
		})
	}
	s.wantRows(t, "a 0 1 2 ")
	one := fmt.Sprintf(`{"dataset": "trips", "files": [%q, "in/gone.arrow"]}`, names[1])
	for _, want := range [][]string{names[1:2], {}} { // once more, there is nothing to delete
		if d, err := remove(one); err != nil || !cmp.Equal(want, d.Files) || d.Dataset != "trips" {
			t.Errorf("answered by %+v, %v, want %q", d, err, want)
		}
		s.wantRows(t, "a 0 2 ")
	}
	if d, err := remove(`{"dataset": "trips", "all": true}`); err != nil || !cmp.Equal([]string{names[0], names[2]}, d.Files) {
		t.Errorf("answered by %+v, %v", d, err)
	}
	if h := s.health(t); h.Datasets[2].Name != "trips" || h.Datasets[2].State != flightruntime.DatasetReady || h.Datasets[2].Rows != 0 {
		t.Errorf("a dataset without files is told as %+v", h.Datasets)
	}
	// The next put says which columns it has.
	text := array.NewStringBuilder(memory.DefaultAllocator)
	text.Append("x")
	other := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "b", Type: arrow.BinaryTypes.String}}, nil), []arrow.Array{text.NewArray()}, 1)
	if _, err := s.put(t, flightruntime.DescriptorForPath("trips"), other); err != nil {
		t.Error(err)
	}
}

func TestOverwritingIsRefused(t *testing.T) {
	s := serve(t)
	s.load(t, "one", appendable("log", "ArrowFile", t.TempDir(), "*.arrow"), inline("notes", "a\n1\n"))
	for name, want := range map[string]string{
		"notes": "notes is read-only: whoever runs this server can let clients overwrite and delete it, with access: ReadWrite",
		"log":   "log takes more batches and keeps all that it has: whoever runs this server can let clients overwrite and delete it, with access: ReadWrite",
	} {
		if _, err := s.overwrite(t.Context(), command(`{"dataset": %q, "mode": "overwrite"}`, name), numbers().Schema(), numbers(1)); !errors.Is(err, flightruntime.ErrPrecondition) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: ended with %v, want %q", name, err, want)
		}
	}
}
