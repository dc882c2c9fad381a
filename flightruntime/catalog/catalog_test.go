package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

func newCatalog(t *testing.T, datasets ...config.Dataset) *Catalog {
	t.Helper()
	c := New(slog.New(slog.DiscardHandler))
	t.Cleanup(c.Close)
	c.Apply(datasets)
	if err := c.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func inlineCSV(name, data string) config.Dataset {
	return config.Dataset{Name: name, Format: format.CSV, Inline: &config.Inline{Data: data}}
}

// csvFile is a dataset of one CSV file, with the data given, that nobody looks at again unless asked.
func csvFile(t *testing.T, name, data string) (spec config.Dataset, path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, name+".csv")
	replace(t, path, data)
	return config.Dataset{Name: name, Format: format.CSV, Files: &config.Files{Root: dir, Path: name + ".csv"}}, path
}

// replace puts a new file in the place of another, as those do who write data for a server.
func replace(t *testing.T, path, data string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path+".new", []byte(data), 0o600), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}

func statusOf(t *testing.T, c *Catalog, name string) Status {
	t.Helper()
	for _, s := range c.Statuses() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("the catalog has no status of %q", name)
	return Status{}
}

func refresh(t *testing.T, c *Catalog, name string) Status {
	t.Helper()
	statuses, err := c.Refresh(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if len(statuses) != 1 || statuses[0].Name != name {
		t.Fatalf("Refresh of %q told of %+v", name, statuses)
	}
	return statuses[0]
}

// eventually waits until a condition holds; the test's own deadline ends it where it never does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for !holds() {
		select {
		case <-t.Context().Done():
			t.Fatalf("never came true: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

func rowsOf(ctx context.Context, s *Snapshot) (rows int64, err error) {
	for batch, err := range s.Read(ctx, format.ReadOptions{}) {
		if err != nil {
			return rows, err
		}
		rows += batch.NumRows()
	}
	return rows, nil
}

func wantRows(t *testing.T, s *Snapshot, want int64) {
	t.Helper()
	if s == nil {
		t.Fatalf("nothing is served, want %d rows", want)
	}
	if rows, err := rowsOf(t.Context(), s); err != nil || rows != want || s.Layout.Rows() != want {
		t.Errorf("read %d rows of %d, error %v, want %d", rows, s.Layout.Rows(), err, want)
	}
}

func wantState(t *testing.T, s Status, want State, message string) {
	t.Helper()
	if s.State != want || !strings.Contains(s.Message, message) || (message == "") != (s.Message == "") {
		t.Errorf("%s is %s: %q, want %s: %q", s.Name, s.State, s.Message, want, message)
	}
}

func TestADatasetIsServedOnceRead(t *testing.T) {
	spec := inlineCSV("notes", "day,note\n1,a\n2,b\n")
	spec.Description = "Notes of the day"
	c := newCatalog(t, spec)
	s, err := c.Snapshot("notes")
	if err != nil {
		t.Fatal(err)
	}
	wantState(t, statusOf(t, c, "notes"), Ready, "")
	wantRows(t, s, 2)
	if s.Description != "Notes of the day" || s.FormatName != "CSV" || s.SchemaFingerprint == "" || len(s.SchemaIPC) == 0 || s.ReadAt.IsZero() {
		t.Errorf("the snapshot is %+v", s)
	}
}

func TestTheFingerprintIsThatOfTheSchema(t *testing.T) {
	c := newCatalog(t, inlineCSV("a", "day,note\n1,a\n"), inlineCSV("b", "day,note\n2,b\n3,c\n"), inlineCSV("c", "day,remark\n1,a\n"))
	a, b, other := statusOf(t, c, "a").Snapshot, statusOf(t, c, "b").Snapshot, statusOf(t, c, "c").Snapshot
	if a.SchemaFingerprint != b.SchemaFingerprint || a.SchemaFingerprint == other.SchemaFingerprint {
		t.Errorf("equal schemas: %s and %s; another: %s", a.SchemaFingerprint, b.SchemaFingerprint, other.SchemaFingerprint)
	}
}

func TestABrokenDatasetRecoversByItself(t *testing.T) {
	spec, path := csvFile(t, "trips", "a,b\n1\n")
	c := newCatalog(t, spec)
	wantState(t, statusOf(t, c, "trips"), Failed, "trips.csv")
	var unavailable *UnavailableError
	if _, err := c.Snapshot("trips"); !errors.As(err, &unavailable) || unavailable.Name != "trips" || !strings.Contains(err.Error(), "trips.csv") {
		t.Errorf("Snapshot gave %v, want an *UnavailableError that says why", err)
	}
	replace(t, path, "a,b\n1,2\n")
	eventually(t, "it is ready", func() bool { return statusOf(t, c, "trips").State == Ready })
	wantRows(t, statusOf(t, c, "trips").Snapshot, 1)
}

func TestAMissingFileRecoversByItself(t *testing.T) {
	spec, path := csvFile(t, "trips", "a\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	c := newCatalog(t, spec)
	wantState(t, statusOf(t, c, "trips"), Failed, "trips.csv")
	replace(t, path, "a\n1\n")
	eventually(t, "it is ready", func() bool { return statusOf(t, c, "trips").State == Ready })
}

func TestTheLastGoodVersionGoesOnBeingServed(t *testing.T) {
	spec, path := csvFile(t, "trips", "a,b\n1,2\n")
	c := newCatalog(t, spec)
	replace(t, path, "a,b\n1,2\n3\n")
	s := refresh(t, c, "trips")
	wantState(t, s, Degraded, "trips.csv")
	if s.Snapshot == nil || s.Snapshot.Layout.Rows() != 1 {
		t.Errorf("what is served is %+v, want the version before", s.Snapshot)
	}
	replace(t, path, "a,b\n1,2\n3,4\n")
	s = refresh(t, c, "trips")
	wantState(t, s, Ready, "")
	wantRows(t, s.Snapshot, 2)
}

func TestAnEditThatBreaksADatasetKeepsWhatWasServed(t *testing.T) {
	good := inlineCSV("notes", "a\n1\n")
	broken := config.Dataset{Name: "notes", Format: format.CSV, Missing: "ConfigMap data/notes does not exist: create it"}
	c := newCatalog(t, good)
	c.Apply([]config.Dataset{broken})
	s := refresh(t, c, "notes")
	wantState(t, s, Degraded, broken.Missing)
	wantRows(t, s.Snapshot, 1)
	c.Apply([]config.Dataset{inlineCSV("notes", "a\n1\n2\n")})
	wantRows(t, refresh(t, c, "notes").Snapshot, 2)
}

func TestAMissingSourceSaysWhatTheOperatorFound(t *testing.T) {
	missing := config.Dataset{Name: "notes", Format: format.CSV, Missing: "ConfigMap data/notes does not exist: create it"}
	c := newCatalog(t, missing, inlineCSV("other", "a\n1\n"))
	wantState(t, statusOf(t, c, "notes"), Failed, missing.Missing)
	wantState(t, statusOf(t, c, "other"), Ready, "")
}

func TestADescriptionChangesWithoutReadingAgain(t *testing.T) {
	spec, _ := csvFile(t, "trips", "a\n1\n")
	c := newCatalog(t, spec)
	before := statusOf(t, c, "trips").Snapshot
	spec.Description = "Trips"
	c.Apply([]config.Dataset{spec})
	after := refresh(t, c, "trips").Snapshot
	if after.Description != "Trips" || before.Description != "" {
		t.Errorf("descriptions before and after: %q and %q", before.Description, after.Description)
	}
	if !after.ReadAt.Equal(before.ReadAt) {
		t.Error("the file was read again")
	}
}

func TestWhatHasNotChangedIsNotReadAgain(t *testing.T) {
	spec, path := csvFile(t, "trips", "a\n1\n")
	c := newCatalog(t, spec)
	before := statusOf(t, c, "trips").Snapshot
	if after := refresh(t, c, "trips").Snapshot; after != before {
		t.Error("Refresh made another snapshot of the same file")
	}
	c.Apply([]config.Dataset{spec})
	if after := refresh(t, c, "trips").Snapshot; after != before {
		t.Error("Apply of the same datasets made another snapshot")
	}
	replace(t, path, "a\n1\n")
	if after := refresh(t, c, "trips").Snapshot; after == before {
		t.Error("a new file, though of the same bytes, is not a new version")
	}
}

func TestFilesAreLookedAtAtTheirInterval(t *testing.T) {
	spec, path := csvFile(t, "trips", "a\n1\n")
	spec.RefreshInterval.Duration = time.Millisecond
	c := newCatalog(t, spec)
	replace(t, path, "a\n1\n2\n")
	eventually(t, "the new version is served", func() bool { return statusOf(t, c, "trips").Snapshot.Layout.Rows() == 2 })
}

func TestAGlobIsOneDatasetInPathOrder(t *testing.T) {
	dir := t.TempDir()
	replace(t, filepath.Join(dir, "b.csv"), "a\n3\n")
	replace(t, filepath.Join(dir, "a.csv"), "a\n1\n2\n")
	c := newCatalog(t, config.Dataset{Name: "trips", Format: format.CSV, Files: &config.Files{Root: dir, Path: "*.csv"}})
	s := statusOf(t, c, "trips").Snapshot
	wantRows(t, s, 3)
	var names []string
	for _, p := range s.Layout.Parts {
		names = append(names, p.Object.Name())
	}
	if !slices.Equal(names, []string{"a.csv", "b.csv"}) {
		t.Errorf("the parts are %v", names)
	}
	replace(t, filepath.Join(dir, "c.csv"), "a\n4\n")
	wantRows(t, refresh(t, c, "trips").Snapshot, 4)
}

// A file that is added, as every put adds one, costs no more than itself. That the others are not read again is seen by a change of one that
// its name, size, time and inode do not show.
func TestFilesThatHaveNotChangedAreNotReadAgain(t *testing.T) {
	dir := t.TempDir()
	first := filepath.Join(dir, "1.csv")
	replace(t, first, "a\n1\n")
	spec := config.Dataset{Name: "trips", Format: format.CSV, Files: &config.Files{Root: dir, Path: "*.csv"}}
	c := newCatalog(t, spec)
	info, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(first, []byte("b,2\n"), 0o600), os.Chtimes(first, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	replace(t, filepath.Join(dir, "2.csv"), "a\n2\n3\n")
	if s := refresh(t, c, "trips"); s.State != Ready || s.Snapshot.Layout.Rows() != 3 {
		t.Errorf("%s with %d rows, %s: want the 1 row that is known and the 2 that are new", s.State, s.Snapshot.Layout.Rows(), s.Message)
	}
	// Under another format nothing is known.
	spec.Format = format.JSON
	c.Apply([]config.Dataset{spec})
	if s := refresh(t, c, "trips"); s.State != Degraded || !strings.Contains(s.Message, "1.csv") {
		t.Errorf("%s, %s: want that 1.csv is no JSON", s.State, s.Message)
	}
}

func TestPartsAreReadOnTheirOwn(t *testing.T) {
	dir := t.TempDir()
	replace(t, filepath.Join(dir, "1.csv"), "a,b\n1,2\n")
	replace(t, filepath.Join(dir, "2.csv"), "a,b\n3,4\n5,6\n")
	c := newCatalog(t, config.Dataset{Name: "trips", Format: format.CSV, Files: &config.Files{Root: dir, Path: "*.csv"}})
	s := statusOf(t, c, "trips").Snapshot
	var rows int64
	for batch, err := range s.ReadPart(t.Context(), 1, format.ReadOptions{Columns: []int{1}, Units: []int{0}}) {
		if err != nil {
			t.Fatal(err)
		}
		if batch.NumCols() != 1 || batch.ColumnName(0) != "b" {
			t.Errorf("a batch of %s", batch.Schema())
		}
		rows += batch.NumRows()
	}
	if rows != 2 {
		t.Errorf("%d rows of the second file, want 2", rows)
	}
	if err := os.Remove(filepath.Join(dir, "2.csv")); err != nil {
		t.Fatal(err)
	}
	var changed *ChangedError
	for _, err := range s.ReadPart(t.Context(), 1, format.ReadOptions{}) {
		if !errors.As(err, &changed) {
			t.Errorf("the read ended with %v, want a *ChangedError", err)
		}
	}
}

func TestRemovedDatasetsAreGone(t *testing.T) {
	c := newCatalog(t, inlineCSV("trips", "a\n1\n"), inlineCSV("zones", "a\n1\n"))
	s, err := c.Snapshot("zones")
	if err != nil {
		t.Fatal(err)
	}
	c.Apply([]config.Dataset{inlineCSV("trips", "a\n1\n")})
	var notFound *NotFoundError
	if _, err := c.Snapshot("zones"); !errors.As(err, &notFound) || notFound.Name != "zones" {
		t.Errorf("Snapshot gave %v, want a *NotFoundError", err)
	}
	if got := c.Statuses(); len(got) != 1 || got[0].Name != "trips" {
		t.Errorf("the catalog holds %+v, want trips alone", got)
	}
	wantRows(t, s, 1) // a call that began with it ends with it
	c.Apply([]config.Dataset{inlineCSV("trips", "a\n1\n"), inlineCSV("zones", "a\n1\n2\n")})
	wantRows(t, refresh(t, c, "zones").Snapshot, 2)
}

func TestRefresh(t *testing.T) {
	c := newCatalog(t, inlineCSV("zones", "a\n1\n"), inlineCSV("trips", "a\n1\n"))
	all, err := c.Refresh(t.Context(), "")
	if err != nil || len(all) != 2 || all[0].Name != "trips" || all[1].Name != "zones" {
		t.Errorf("Refresh of all told of %+v, %v, want both by name", all, err)
	}
	var notFound *NotFoundError
	if _, err := c.Refresh(t.Context(), "trip"); !errors.As(err, &notFound) || notFound.Similar != "trips" {
		t.Errorf("Refresh of an unknown dataset gave %v, want a *NotFoundError that names trips", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := c.Refresh(ended, "trips"); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Refresh of a caller that is gone gave %v", err)
	}
}

func TestAFileChangedWhileItIsReadEndsTheReadAndIsTakenAnew(t *testing.T) {
	spec, path := csvFile(t, "trips", "a\n1\n")
	c := newCatalog(t, spec)
	s, err := c.Snapshot("trips")
	if err != nil {
		t.Fatal(err)
	}
	replace(t, path, "a\n1\n2\n")
	var changed *ChangedError
	if _, err := rowsOf(t.Context(), s); !errors.As(err, &changed) || changed.Name != "trips" || !errors.Is(err, source.ErrChanged) {
		t.Errorf("the read ended with %v, want a *ChangedError", err)
	}
	// Nobody refreshes, and the dataset has no interval: the read alone tells the catalog.
	eventually(t, "the new version is served", func() bool { return statusOf(t, c, "trips").Snapshot.Layout.Rows() == 2 })
}

func TestAFileThatWentAwayIsChangedToo(t *testing.T) {
	spec, path := csvFile(t, "trips", "a\n1\n")
	c := newCatalog(t, spec)
	s, err := c.Snapshot("trips")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	var changed *ChangedError
	if _, err := rowsOf(t.Context(), s); !errors.As(err, &changed) {
		t.Errorf("the read ended with %v, want a *ChangedError", err)
	}
	eventually(t, "the catalog knows", func() bool { return statusOf(t, c, "trips").State == Degraded })
}

func TestAConfigMapsKeyIsServedOnceItIsTheOneThatTheOperatorSaw(t *testing.T) {
	spec, path := csvFile(t, "zones", "a\n1\n")
	spec.Files.SHA256 = config.Digest([]byte("a\n1\n2\n"))
	c := newCatalog(t, spec)
	wantState(t, statusOf(t, c, "zones"), Loading, "zones.csv")
	if _, err := c.Snapshot("zones"); err == nil {
		t.Error("a version that the configuration does not name is served")
	}
	replace(t, path, "a\n1\n2\n")
	eventually(t, "it is ready", func() bool { return statusOf(t, c, "zones").State == Ready })
	wantRows(t, statusOf(t, c, "zones").Snapshot, 2)

	// The next version: configured, not there yet. The one before is served meanwhile, from memory.
	spec.Files = &config.Files{Root: spec.Files.Root, Path: spec.Files.Path, SHA256: config.Digest([]byte("a\n1\n2\n3\n"))}
	c.Apply([]config.Dataset{spec})
	s := refresh(t, c, "zones")
	wantState(t, s, Loading, "zones.csv")
	wantRows(t, s.Snapshot, 2)
	replace(t, path, "a\n1\n2\n3\n")
	eventually(t, "it is ready", func() bool { return statusOf(t, c, "zones").State == Ready })
	wantRows(t, statusOf(t, c, "zones").Snapshot, 3)
}

func TestEveryFormatIsServed(t *testing.T) {
	c := newCatalog(t,
		config.Dataset{Name: "lines", Format: format.JSON, Inline: &config.Inline{Data: "{\"a\":1}\n{\"a\":2}\n"}},
		config.Dataset{Name: "nonsense", Format: format.Parquet, Inline: &config.Inline{Data: "PAR1 and no more"}},
		config.Dataset{Name: "unknown", Format: "XML", Inline: &config.Inline{Data: "<a/>"}},
	)
	wantRows(t, statusOf(t, c, "lines").Snapshot, 2)
	wantState(t, statusOf(t, c, "nonsense"), Failed, "nonsense")
	wantState(t, statusOf(t, c, "unknown"), Failed, "XML")
}

func TestReadersDuringSwapsSeeWholeVersions(t *testing.T) {
	data := func(rows int) string { return "a\n" + strings.Repeat("1\n", rows) }
	c := newCatalog(t, inlineCSV("trips", data(1)))
	var wg sync.WaitGroup
	var stop atomic.Bool
	reads := make([]int64, 4)
	for reader := range reads {
		wg.Go(func() {
			for !stop.Load() {
				s, err := c.Snapshot("trips")
				if err != nil {
					t.Errorf("Snapshot: %v", err)
					return
				}
				rows, err := rowsOf(t.Context(), s)
				if err != nil || rows != s.Layout.Rows() {
					t.Errorf("read %d rows of %d: %v", rows, s.Layout.Rows(), err)
					return
				}
				_ = c.Statuses()
				atomic.AddInt64(&reads[reader], 1)
			}
		})
	}
	for version := 2; version <= 40; version++ {
		c.Apply([]config.Dataset{inlineCSV("trips", data(version)), inlineCSV(fmt.Sprintf("other-%d", version%3), "a\n")})
		wantRows(t, refresh(t, c, "trips").Snapshot, int64(version))
	}
	eventually(t, "every reader has read", func() bool {
		for i := range reads {
			if atomic.LoadInt64(&reads[i]) == 0 {
				return false
			}
		}
		return true
	})
	stop.Store(true)
	wg.Wait()
}

func TestCloseEndsLoadingAndLeavesSnapshotsReadable(t *testing.T) {
	spec, _ := csvFile(t, "trips", "a\n1\n")
	spec.RefreshInterval.Duration = time.Millisecond
	c := New(slog.New(slog.DiscardHandler))
	c.Apply([]config.Dataset{spec, inlineCSV("notes", "a\n1\n"), {Name: "gone", Format: format.CSV, Missing: "gone"}})
	if err := c.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := c.Snapshot("trips")
	if err != nil {
		t.Fatal(err)
	}
	c.Close() // waits for every goroutine that loads: were one to go on, it would not return
	wantRows(t, s, 1)
	if _, err := c.Refresh(t.Context(), "trips"); err == nil {
		t.Error("a closed catalog refreshes")
	}
}

func TestAttemptedEndsWithItsCaller(t *testing.T) {
	c := New(slog.New(slog.DiscardHandler))
	defer c.Close()
	if err := c.loading.Acquire(t.Context(), int64(runtime.GOMAXPROCS(0))); err != nil { // all places of those that read
		t.Fatal(err)
	}
	c.Apply([]config.Dataset{inlineCSV("trips", "a\n1\n")})
	wantState(t, statusOf(t, c, "trips"), Loading, "first time")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Attempted(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Attempted gave %v", err)
	}
}

func TestChangesOfStateAreLogged(t *testing.T) {
	var logs syncBuffer
	c := New(slog.New(slog.NewTextHandler(&logs, nil)))
	defer c.Close()
	c.Apply([]config.Dataset{inlineCSV("trips", "a\n1\n"), {Name: "gone", Format: format.CSV, Missing: "create it"}})
	if err := c.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"level=INFO msg=dataset dataset=trips state=Ready rows=1", `level=WARN msg=dataset dataset=gone state=Failed message="create it"`} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, logs.String())
		}
	}
}

// syncBuffer is a buffer that a catalog's goroutines log to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestErrorsSayWhatToDo holds the words that users of every client read.
func TestErrorsSayWhatToDo(t *testing.T) {
	for want, err := range map[string]error{
		`there is no dataset "trip": did you mean "trips"?`:                 &NotFoundError{Name: "trip", Similar: "trips"},
		`there is no dataset "x": ListFlights tells which there are`:        &NotFoundError{Name: "x"},
		`dataset "x" cannot be served now: no file`:                         &UnavailableError{Name: "x", Message: "no file"},
		`dataset "x" changed while it was read, ask again: file is deleted`: &ChangedError{Name: "x", Err: fmt.Errorf("file is deleted")},
	} {
		if err.Error() != want {
			t.Errorf("says %q, want %q", err, want)
		}
	}
	if !errors.Is(&ChangedError{Err: fs.ErrNotExist}, fs.ErrNotExist) {
		t.Error("a ChangedError hides its cause")
	}
}

func TestWatchTellsOfEachSnapshotAndOfTheEnd(t *testing.T) {
	spec, path := csvFile(t, "notes", "a\n1\n")
	c := newCatalog(t, spec)
	first, changed, err := c.Watch("notes")
	if err != nil {
		t.Fatal(err)
	}
	refresh(t, c, "notes")
	select {
	case <-changed:
		t.Error("a look that found nothing new is told as a change")
	default:
	}
	replace(t, path, "a\n1\n2\n")
	refresh(t, c, "notes")
	<-changed
	second, changed, err := c.Watch("notes")
	if err != nil || second == first {
		t.Fatalf("there is no other snapshot after the change: %v", err)
	}
	c.Apply(nil)
	<-changed
	var gone *NotFoundError
	if _, _, err := c.Watch("notes"); !errors.As(err, &gone) {
		t.Errorf("Watch of a dataset that was removed gave %v", err)
	}
}

func TestADatasetThatIsPutIntoBeginsEmpty(t *testing.T) {
	dir := t.TempDir()
	spec := config.Dataset{Name: "notes", Format: format.ArrowFile, Access: v1alpha1.AccessAppend, Files: &config.Files{Root: dir, Path: "*.arrow"}}
	c := newCatalog(t, spec)
	wantState(t, statusOf(t, c, "notes"), Ready, empty)
	var unavailable *UnavailableError
	if _, err := c.Snapshot("notes"); !errors.As(err, &unavailable) || !strings.Contains(err.Error(), "the first put") {
		t.Errorf("Snapshot gave %v, want an *UnavailableError that says what to do", err)
	}
	spec.Access = ""
	c.Apply([]config.Dataset{spec})
	eventually(t, "a dataset that is only read fails without a file", func() bool { return statusOf(t, c, "notes").State == Failed })
}
