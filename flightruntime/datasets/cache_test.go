package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
	"github.com/flight-operator/flight-operator/flightruntime/cache"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/internal/arrowtest"
)

// cacheModes are both modes.
func cacheModes(t *testing.T, test func(t *testing.T, mode v1alpha1.CacheMode)) {
	for _, mode := range []v1alpha1.CacheMode{v1alpha1.CacheMemory, v1alpha1.CacheDisk} {
		t.Run(string(mode), func(t *testing.T) { test(t, mode) })
	}
}

// loadCached is load of datasets that are kept in a cache of one mode. The folder is one that was made before the server: it is then removed after the
// server has ended, which fills its cache until then.
func (s *served) loadCached(t *testing.T, mode v1alpha1.CacheMode, limit int64, dir string, datasets ...config.Dataset) {
	t.Helper()
	for i := range datasets {
		datasets[i].Cache = mode
	}
	s.Load(&config.Config{Limits: config.DefaultLimits(), Datasets: datasets, Cache: &config.Cache{
		Memory: &config.MemoryCache{SizeLimit: limit}, Disk: &config.DiskCache{Dir: dir, SizeLimit: limit},
	}}, []byte(fmt.Sprint(mode, limit)))
	if err := s.catalog.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.catalog.Refresh(t.Context(), ""); err != nil { // where it had been attempted before
		t.Fatal(err)
	}
}

func (s *served) cacheStats(mode v1alpha1.CacheMode) cache.Stats {
	for _, stats := range s.catalog.CacheStats() {
		if string(stats.Mode) == string(mode) {
			return stats
		}
	}
	return cache.Stats{}
}

// warm reads a dataset until all of it comes from the cache.
func (s *served) warm(t *testing.T, mode v1alpha1.CacheMode, name string) {
	t.Helper()
	for {
		before := s.cacheStats(mode)
		if _, err := s.text(t, []byte(name)); err != nil {
			t.Fatal(err)
		}
		if after := s.cacheStats(mode); after.Misses == before.Misses && after.Hits > before.Hits {
			return
		}
		if mode == v1alpha1.CacheMemory || t.Context().Err() != nil {
			t.Fatalf("it is not in the cache: %+v", s.cacheStats(mode))
		}
		time.Sleep(time.Millisecond)
	}
}

func TestCachedDatasetsAnswerAsOthersDo(t *testing.T) {
	questions := map[string]string{
		"all":                  "trips",
		"columns":              `{"dataset": "trips", "columns": ["b"]}`,
		"columns in any order": `{"dataset": "trips", "columns": ["b", "a"]}`,
		"no columns":           `{"dataset": "trips", "columns": []}`,
		"a filter":             `{"dataset": "trips", "filter": "a % 3 == 0 && a > 95"}`,
		"a filter and columns": `{"dataset": "trips", "columns": ["b"], "filter": "a == 7 || a == 250"}`,
		"a filter of no row":   `{"dataset": "trips", "filter": "a < 0"}`,
		"a limit":              `{"dataset": "trips", "limit": 7}`,
		"a limit of nothing":   `{"dataset": "trips", "limit": 0}`,
		"text":                 "notes",
	}
	users := []string{"everything", "some-columns", "some-rows"}
	answers := func(t *testing.T, s *served) map[string]string {
		got := map[string]string{}
		for what, question := range questions {
			for _, user := range users {
				answer, err := s.shown(question, as(user))
				got[what+", "+user] = fmt.Sprint(answer, err)
			}
		}
		for _, name := range []string{"trips", "notes"} {
			info, err := s.client.GetFlightInfo(t.Context(), flightruntime.DescriptorForPath(name), as("everything"))
			if err != nil {
				t.Fatal(err)
			}
			got[name+" in numbers"] = fmt.Sprintf("%d rows, %d bytes, schema %x", info.TotalRecords, info.TotalBytes, info.Schema)
		}
		return got
	}
	prepared := func(t *testing.T) (s *served, dir string, datasets []config.Dataset) {
		dir = t.TempDir()
		rowGroups(t, filepath.Join(dir, "1.parquet"), [2]int64{0, 100}, [2]int64{100, 101}, [2]int64{101, 200})
		rowGroups(t, filepath.Join(dir, "2.parquet"), [2]int64{200, 300})
		s = serve(t, believing)
		s.SetPolicy(policyOf(t, let("everything", "*", authz.Get, authz.List), part("some-columns", []string{"b"}, ""), part("some-rows", nil, "a < 103")))
		return s, dir, []config.Dataset{files("trips", "Parquet", dir, "*.parquet"), inline("notes", "day,note\n1,a\n2,b\n")}
	}
	plain, _, datasets := prepared(t)
	plain.load(t, "plain", datasets...)
	want := answers(t, plain)
	cacheModes(t, func(t *testing.T, mode v1alpha1.CacheMode) {
		cached := t.TempDir()
		s, dir, datasets := prepared(t)
		s.loadCached(t, mode, 1<<30, cached, datasets...)
		first := answers(t, s)
		for _, name := range []string{"trips", "notes"} {
			for before := s.cacheStats(mode); ; before = s.cacheStats(mode) {
				_ = s.drain(name, as("everything"))
				if s.cacheStats(mode).Misses == before.Misses {
					break
				}
			}
		}
		// What is cached is read from nowhere else: the files may be gone.
		for _, name := range []string{"1.parquet", "2.parquet"} {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		for which, got := range map[string]map[string]string{"at first": first, "from the cache": answers(t, s)} {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", which, diff)
			}
		}
		if h := s.Health(); h.Datasets[1].CachedBytes == 0 {
			t.Errorf("HealthCheck tells of %+v", h.Datasets[1])
		}
	})
}

func TestRangesOfACachedDataset(t *testing.T) {
	schema := arrowtest.Column(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String})
	cacheModes(t, func(t *testing.T, mode v1alpha1.CacheMode) {
		dir, cached := t.TempDir(), t.TempDir()
		s := serve(t)
		s.loadCached(t, mode, 1<<30, cached, appendable("trips", "ArrowStream", dir, "*.arrows"))
		for i := range 5 {
			if _, err := s.put(t, flightruntime.DescriptorForPath("trips"), arrowtest.FromJSON(t, schema, fmt.Sprintf(`[{"c":"colour %d"},{"c":"red"}]`, i))); err != nil {
				t.Fatal(err)
			}
		}
		s.warm(t, mode, "trips")
		whole, err := s.text(t, []byte("trips"))
		if err != nil || strings.Count(whole, "\n") != 10 {
			t.Fatalf("%q, %v", whole, err)
		}
		r, err := s.request(t.Context(), authz.Get, queryOf("trips"))
		if err != nil {
			t.Fatal(err)
		}
		ranges := partition(r.snapshot.Layout, 1, 3)
		if len(ranges) < 2 {
			t.Fatalf("there are %d ranges", len(ranges))
		}
		together := "c "
		for _, rg := range ranges {
			signed, err := ticket{ID: newTicketID(), Query: queryOf("trips"), Expires: time.Now().Add(time.Minute).Unix(), Range: &rg}.sign(s.Keys())
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.text(t, signed)
			if err != nil {
				t.Fatal(err)
			}
			together += strings.TrimPrefix(got, "c ")
		}
		if diff := cmp.Diff(whole, together); diff != "" {
			t.Errorf("-whole +ranges:\n%s", diff)
		}
	})
}

func TestACacheThatIsTooSmall(t *testing.T) {
	dir, cacheDir := t.TempDir(), t.TempDir()
	rowGroups(t, filepath.Join(dir, "1.parquet"), [2]int64{0, 100_000})
	const small, large = 1 << 20, 16 << 20
	s := serve(t)
	trips := files("trips", "Parquet", dir, "*.parquet")
	s.loadCached(t, v1alpha1.CacheMemory, small, cacheDir, trips)
	h := s.health(t).Datasets[0]
	if h.State != flightruntime.DatasetReady || h.CachedBytes != 0 || !strings.Contains(h.Message, "about 2.") || !strings.Contains(h.Message, "has 1.0 MiB") {
		t.Errorf("HealthCheck tells of %+v", h)
	}
	if got, err := s.text(t, []byte("trips")); err != nil || strings.Count(got, "\n") != 100_000 {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if stats := s.cacheStats(v1alpha1.CacheMemory); stats.Bytes != 0 || stats.Failures != 1 {
		t.Errorf("%+v", stats)
	}
	s.loadCached(t, v1alpha1.CacheMemory, large, cacheDir, trips)
	if h := s.health(t).Datasets[0]; h.State != flightruntime.DatasetReady || h.CachedBytes < 2_000_000 || h.Message != "" {
		t.Errorf("with more room, HealthCheck tells of %+v", h)
	}
	s.loadCached(t, v1alpha1.CacheDisk, large, cacheDir, trips)
	s.warm(t, v1alpha1.CacheDisk, "trips")
	if stats := s.cacheStats(v1alpha1.CacheMemory); stats.Bytes != 0 {
		t.Errorf("a dataset that is kept on a disk now takes memory: %+v", stats)
	}
	s.loadCached(t, v1alpha1.CacheNone, large, cacheDir, trips)
	if h := s.health(t).Datasets[0]; h.CachedBytes != 0 || h.State != flightruntime.DatasetReady {
		t.Errorf("without a cache, HealthCheck tells of %+v", h)
	}
}

func TestACacheThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t)
	s.loadCached(t, v1alpha1.CacheDisk, 1<<20, filepath.Join(file, "cache"), inline("notes", "a\n1\n"))
	if h := s.health(t).Datasets[0]; h.State != flightruntime.DatasetReady || !strings.Contains(h.Message, "cannot be used") {
		t.Errorf("HealthCheck tells of %+v", h)
	}
	if got, err := s.text(t, []byte("notes")); err != nil || got != "a \n1 " {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestACacheWhoseDiskFails(t *testing.T) {
	const rows = 1_200_000 // 9.6 MB, in a message of 4 MB and others of about 2 MiB
	dir, cacheDir := t.TempDir(), t.TempDir()
	rowGroups(t, filepath.Join(dir, "1.parquet"), [2]int64{0, rows})
	s := serve(t)
	s.loadCached(t, v1alpha1.CacheDisk, 1<<30, cacheDir, files("trips", "Parquet", dir, "*.parquet"))
	fails := func(left int64) {
		s.warm(t, v1alpha1.CacheDisk, "trips")
		parts, err := filepath.Glob(filepath.Join(cacheDir, "*.part"))
		if err != nil || len(parts) != 1 {
			t.Fatalf("there are the parts %v, %v", parts, err)
		}
		if err := os.Truncate(parts[0], left); err != nil {
			t.Fatal(err)
		}
	}
	reads := func(question string, want int) {
		t.Helper()
		if got, err := s.text(t, []byte(question)); err != nil || strings.Count(got, "\n") != want {
			t.Errorf("%s: read %d rows, %v, want %d", question, strings.Count(got, "\n"), err, want)
		}
	}
	for question, want := range map[string]int{"trips": rows, `{"dataset": "trips", "filter": "a < 10"}`: 10} {
		fails(0)
		reads(question, want)
	}
	fails(7 << 20)
	_, err := s.text(t, []byte("trips"))
	if failed := (*flightruntime.Error)(nil); !errors.As(err, &failed) || failed.Kind != flightruntime.KindUnavailable || !strings.Contains(err.Error(), "ask again") {
		t.Errorf("in the middle: %v", err)
	}
	reads("trips", rows)
}

// A subscription outlives versions of which it has sent dictionaries.
func TestASubscriberOfACachedDatasetThatIsReplaced(t *testing.T) {
	schema := arrowtest.Column(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String})
	batch := func(values string) arrow.RecordBatch { return arrowtest.FromJSON(t, schema, values) }
	cacheModes(t, func(t *testing.T, mode v1alpha1.CacheMode) {
		dir, cached := t.TempDir(), t.TempDir()
		s := serve(t)
		s.loadCached(t, mode, 1<<30, cached, overwritable("trips", "ArrowFile", dir, "*.x"))
		if _, err := s.overwrite(t.Context(), command(`{"dataset": "trips", "mode": "overwrite"}`), schema, batch(`[{"c":"red"},{"c":"blue"}]`)); err != nil {
			t.Fatal(err)
		}
		s.warm(t, mode, "trips")
		sub := s.subscriber(t, flightruntime.DescriptorForPath("trips"))
		sub.expectStrings("red blue")
		for i := range 5 {
			if _, err := s.overwrite(t.Context(), command(`{"dataset": "trips", "mode": "overwrite"}`), schema, batch(fmt.Sprintf(`[{"c":"colour %d"},{"c":"red"}]`, i))); err != nil {
				t.Fatal(err)
			}
			sub.expectStrings(fmt.Sprintf("colour %d red", i))
		}
	})
}

// expectStrings reads until the subscriber has caught up, acknowledging all, and compares the values that came.
func (s *subscriber) expectStrings(want string) {
	s.t.Helper()
	var got []string
	for {
		c, err := s.r.Read()
		if err != nil {
			s.t.Fatal(err)
		}
		if c.Batch != nil {
			for i := range c.Batch.Column(0).Len() {
				got = append(got, c.Batch.Column(0).(*array.Dictionary).Dictionary().ValueStr(c.Batch.Column(0).(*array.Dictionary).GetValueIndex(i)))
			}
		}
		var n notice
		if err := json.Unmarshal(c.AppMetadata, &n); err != nil {
			s.t.Fatal(err)
		}
		if err := s.w.WriteMetadata(fmt.Appendf(nil, `{"acknowledged": %d}`, n.Sequence)); err != nil {
			s.t.Fatal(err)
		}
		if n.CaughtUp {
			break
		}
	}
	if text := strings.Join(got, " "); text != want {
		s.t.Errorf("the subscriber got %q, want %q", text, want)
	}
}

// Readers come, stop in the middle and break connections while the dataset is replaced and evicted. Each gets one version, or none.
func TestReadersOfACachedDatasetThatIsReplaced(t *testing.T) {
	const rows, versions = 300_000, 25
	version := func(n int64) arrow.RecordBatch {
		values := make([]int64, rows)
		for i := range values {
			values[i] = n
		}
		return numbers(values...)
	}
	cacheModes(t, func(t *testing.T, mode v1alpha1.CacheMode) {
		dir, cached := t.TempDir(), t.TempDir()
		s := serve(t)
		s.loadCached(t, mode, 8<<20, cached, overwritable("trips", "ArrowFile", dir, "*.x"))
		overwrite := func(n int64) {
			if _, err := s.overwrite(t.Context(), command(`{"dataset": "trips", "mode": "overwrite"}`), numbers().Schema(), version(n)); err != nil {
				t.Error(err)
			}
		}
		overwrite(0)
		ctx, end := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		for reader := range 4 {
			readers.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(reader), 2))
				for ctx.Err() == nil {
					client := s.client
					if rng.IntN(4) == 0 { // one of its own, to break
						own, err := flightruntime.Connect(s.location, flightruntime.ClientOptions{})
						if err != nil {
							t.Error(err)
							return
						}
						client = own
					}
					ticket := []string{"trips", `{"dataset": "trips", "filter": "a >= 0"}`}[rng.IntN(2)]
					if err := readVersion(t.Context(), client, ticket, rng.IntN(3) == 0); err != nil {
						t.Error(err)
						return
					}
					if client != s.client {
						client.Close()
					}
				}
			})
		}
		for n := range int64(versions) {
			overwrite(n + 1)
		}
		end()
		readers.Wait()
	})
}

// readVersion reads a version of which all values are equal, the first batch only if the reader leaves early.
func readVersion(ctx context.Context, client *flightruntime.Client, ticket string, leaves bool) error {
	r, err := client.DoGet(ctx, &flightruntime.Ticket{Ticket: []byte(ticket)})
	if err != nil {
		return err
	}
	defer r.Cancel()
	first := int64(-1)
	for {
		c, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, v := range c.Batch.Column(0).(*array.Int64).Int64Values() {
			if first < 0 {
				first = v
			}
			if v != first {
				return fmt.Errorf("there is %d among %d", v, first)
			}
		}
		if leaves {
			return nil
		}
	}
}
