package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/cache"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// tableRows take 8 bytes each in a cache.
const tableRows = 100_000

// cachedFolder is a dataset of a file of tableRows, in a folder of its own, that nobody looks at again unless asked.
func cachedFolder(t *testing.T, name string, mode v1alpha1.CacheMode) config.Dataset {
	t.Helper()
	dir := t.TempDir()
	addTable(t, dir, "1.parquet")
	return config.Dataset{Name: name, Format: format.Parquet, Cache: mode, Files: &config.Files{Root: dir, Path: "*.parquet"}}
}

func addTable(t *testing.T, dir, file string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, file), rowGroups(t, [2]int64{0, tableRows}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func cachedBytes(t *testing.T, c *Catalog, name string) int64 {
	t.Helper()
	s, err := c.Snapshot(name)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedBytes()
}

func TestWhatHadNoRoomInMemoryGetsItOnceThereIsSome(t *testing.T) {
	const limit = 20 * tableRows // for two tables, and half of one
	resident, leaving := cachedFolder(t, "resident", v1alpha1.CacheMemory), cachedFolder(t, "leaving", v1alpha1.CacheMemory)
	for _, tt := range []struct {
		name string
		room func(c *Catalog, waiting []config.Dataset)
	}{
		{"another dataset is removed", func(c *Catalog, waiting []config.Dataset) { c.Apply(append(waiting, resident)) }},
		{"another dataset is cached no longer", func(c *Catalog, waiting []config.Dataset) {
			uncached := leaving
			uncached.Cache = v1alpha1.CacheNone
			c.Apply(append(waiting, resident, uncached))
		}},
		{"the limit is raised", func(c *Catalog, _ []config.Dataset) {
			c.Configure(&config.Cache{Memory: &config.MemoryCache{SizeLimit: limit + 8*tableRows}})
		}},
	} {
		for _, waiters := range []int{1, 3} {
			t.Run(fmt.Sprint(tt.name, ", for ", waiters), func(t *testing.T) {
				c := New(slog.New(slog.DiscardHandler))
				t.Cleanup(c.Close)
				c.Configure(&config.Cache{Memory: &config.MemoryCache{SizeLimit: limit}})
				c.Apply([]config.Dataset{resident, leaving})
				if err := c.Attempted(t.Context()); err != nil {
					t.Fatal(err)
				}
				var waiting []config.Dataset
				for i := range waiters {
					waiting = append(waiting, cachedFolder(t, fmt.Sprint("waiting ", i), v1alpha1.CacheMemory))
				}
				c.Apply(append([]config.Dataset{resident, leaving}, waiting...))
				if err := c.Attempted(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, w := range waiting {
					wantState(t, statusOf(t, c, w.Name), Ready, "raise spec.cache.memory.sizeLimit")
					addTable(t, w.Files.Root, "2.parquet")
				}
				tt.room(c, waiting)
				in := func() (n int) {
					for _, w := range waiting {
						s := statusOf(t, c, w.Name)
						if wantRows(t, s.Snapshot, tableRows); s.Snapshot.CachedBytes() > 0 {
							wantState(t, s, Ready, "")
							n++
						}
					}
					return n
				}
				eventually(t, "one of those that waited is in memory", func() bool { return in() == 1 })
				if f := c.CacheStats()[0].Failures; f > int64(3*waiters) {
					t.Errorf("those without room have tried %d times in vain", f)
				}
			})
		}
	}
}

// That there is room now says nothing of a newer version that cannot be read.
func TestWhatIsBrokenStaysSoWhenThereIsRoom(t *testing.T) {
	leaving, waiting := cachedFolder(t, "leaving", v1alpha1.CacheMemory), cachedFolder(t, "waiting", v1alpha1.CacheMemory)
	c := New(slog.New(slog.DiscardHandler))
	t.Cleanup(c.Close)
	c.Configure(&config.Cache{Memory: &config.MemoryCache{SizeLimit: 12 * tableRows}})
	c.Apply([]config.Dataset{leaving})
	if err := c.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Apply([]config.Dataset{leaving, waiting})
	if err := c.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(waiting.Files.Root, "2.parquet"), []byte("no Parquet"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantState(t, refresh(t, c, "waiting"), Degraded, "2.parquet")
	c.Apply([]config.Dataset{waiting})
	eventually(t, "the version before is in memory", func() bool { return cachedBytes(t, c, "waiting") > 0 })
	wantState(t, statusOf(t, c, "waiting"), Degraded, "2.parquet")
}

// stalled opens folders of caches that do not answer before they are told to.
func stalled(c *Catalog, dirs map[string]chan struct{}) {
	open := c.openDisk
	c.openDisk = func(dir string, limit int64, log *slog.Logger) (*cache.Cache, error) {
		if answers := dirs[dir]; answers != nil {
			<-answers
		}
		return open(dir, limit, log)
	}
}

func TestNobodyWaitsForADiskThatDoesNotAnswer(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	answers := make(chan struct{})
	c := New(slog.New(slog.DiscardHandler))
	t.Cleanup(c.Close)
	stalled(c, map[string]chan struct{}{dir: answers})
	spec := cachedFolder(t, "trips", v1alpha1.CacheDisk)
	on := func(dir string) {
		c.Configure(&config.Cache{Disk: &config.DiskCache{Dir: dir, SizeLimit: 1 << 20}})
		c.Apply([]config.Dataset{spec})
	}
	on(dir)
	if stats := c.CacheStats(); len(stats) != 0 {
		t.Errorf("there is %+v", stats)
	}
	if err := c.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := statusOf(t, c, "trips")
	wantState(t, s, Ready, "does not answer")
	wantRows(t, s.Snapshot, tableRows)

	// One that answers takes its place.
	on(other)
	eventually(t, "the other folder is used", func() bool { return statusOf(t, c, "trips").Message == "" })
	eventually(t, "what is read is cached", func() bool { return readsCached(t, c, "trips") })

	// And the first one again, which answers by then.
	on(dir)
	wantState(t, refresh(t, c, "trips"), Ready, "does not answer")
	close(answers)
	eventually(t, "the first folder is used", func() bool { return statusOf(t, c, "trips").Message == "" })
	eventually(t, "what is read is cached", func() bool { return readsCached(t, c, "trips") })
	for _, dir := range []string{dir, other} {
		if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
			t.Errorf("in %s there is %v, %v", dir, files, err)
		}
	}
}

// A folder that cannot be made becomes one that can, and nobody tells the server.
func TestADiskThatBecomesUsableIsUsed(t *testing.T) {
	inTheWay := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c := New(slog.New(slog.NewTextHandler(&log, nil)))
	spec := cachedFolder(t, "trips", v1alpha1.CacheDisk)
	c.Configure(&config.Cache{Disk: &config.DiskCache{Dir: filepath.Join(inTheWay, "cache"), SizeLimit: 1 << 20}})
	c.Apply([]config.Dataset{spec})
	if err := c.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := statusOf(t, c, "trips")
	wantState(t, s, Ready, "cannot be used")
	wantRows(t, s.Snapshot, tableRows)
	if diff := cmp.Diff(map[cache.Mode]bool{cache.Disk: false}, c.Usable()); diff != "" {
		t.Errorf("usable: -want +got:\n%s", diff)
	}

	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the folder is used", func() bool { return statusOf(t, c, "trips").Message == "" })
	eventually(t, "what is read is cached", func() bool { return readsCached(t, c, "trips") })
	if diff := cmp.Diff(map[cache.Mode]bool{cache.Disk: true}, c.Usable()); diff != "" {
		t.Errorf("usable: -want +got:\n%s", diff)
	}
	c.Close()
	for what, want := range map[string]int{"cannot be used: datasets": 1, "can be used now": 1} {
		if n := strings.Count(log.String(), what); n != want {
			t.Errorf("the log says %d times that the cache %s, want %d:\n%s", n, what, want, log.String())
		}
	}
}

func TestADiskThatCannotBeUsedIsTriedAgain(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(c *Catalog) // after a little more than 3 minutes; nil: nothing happens
	}{
		{name: "for as long as it is configured"},
		{name: "until another takes its place", end: func(c *Catalog) {
			c.Configure(&config.Cache{Disk: &config.DiskCache{Missing: "create the claim", SizeLimit: 1 << 20}})
		}},
		{name: "until the catalog is closed", end: func(c *Catalog) { c.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, begin := New(slog.New(slog.DiscardHandler)), time.Now()
				defer c.Close()
				var mu sync.Mutex
				var tried []float64 // seconds after the beginning
				c.openDisk = func(string, int64, *slog.Logger) (*cache.Cache, error) {
					mu.Lock()
					defer mu.Unlock()
					tried = append(tried, time.Since(begin).Seconds())
					return nil, errors.New("it is full")
				}
				c.Configure(&config.Cache{Disk: &config.DiskCache{Dir: "anywhere", SizeLimit: 1 << 20}})
				want := []float64{0, 1, 3, 7, 15, 31, 63, 123, 183}
				time.Sleep(185 * time.Second)
				if tt.end != nil {
					tt.end(c)
				} else {
					want = append(want, 243)
				}
				time.Sleep(time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if diff := cmp.Diff(want, tried); diff != "" {
					t.Errorf("seconds of the attempts: -want +got:\n%s", diff)
				}
			})
		})
	}
}

// readsCached reads a dataset, and tells whether it is cached by now.
func readsCached(t *testing.T, c *Catalog, name string) bool {
	t.Helper()
	s, err := c.Snapshot(name)
	if err != nil {
		t.Fatal(err)
	}
	var rows int64
	for chunk, err := range s.ReadSelected(t.Context(), []Selection{{Part: 0}}, 0, format.ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		rows += chunk.Batch.NumRows()
	}
	if rows != tableRows {
		t.Errorf("read %d rows", rows)
	}
	return cachedBytes(t, c, name) > 0
}

func TestAClosedCatalogKeepsNoDisk(t *testing.T) {
	dir, answers := t.TempDir(), make(chan struct{})
	c := New(slog.New(slog.DiscardHandler))
	stalled(c, map[string]chan struct{}{dir: answers})
	opened := make(chan *cache.Cache, 1)
	open := c.openDisk
	c.openDisk = func(dir string, limit int64, log *slog.Logger) (*cache.Cache, error) {
		disk, err := open(dir, limit, log)
		opened <- disk
		return disk, err
	}
	c.Configure(&config.Cache{Disk: &config.DiskCache{Dir: dir, SizeLimit: 1 << 20}})
	c.Close() // does not wait for the disk
	close(answers)
	disk := <-opened
	eventually(t, "what comes late is closed", func() bool { return errors.Is(disk.Fill(t.Context(), cache.Source{}, "test"), fs.ErrClosed) })
}
