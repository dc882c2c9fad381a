package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// testCaches: what is cached, in memory or on either kind of disk, answers as what is not, and gives way to what is new.
func testCaches(t *testing.T) {
	ns := namespace(t, "e2e-caches")
	node, claimed := server{ns, "node"}, server{ns, "claimed"}
	apply(t, configMap(ns, "a\n1\n2\n"))
	apply(t, fmt.Sprintf(`
{apiVersion: flightoperator.dev/v1alpha1, kind: FlightServer, metadata: {name: node, namespace: %[1]s}, spec: {
  healthCheck: {interval: 1s},
  resources: {limits: {memory: 256Mi}},
  cache: {memory: {sizeLimit: 56Mi}, disk: {sizeLimit: 100Mi}},
  datasets: [
    {name: plain, source: {configMap: {name: numbers, key: numbers.csv}}},
    {name: memory, source: {configMap: {name: numbers, key: numbers.csv}}, cache: {mode: Memory}},
    {name: disk, source: {configMap: {name: numbers, key: numbers.csv}}, cache: {mode: Disk}}]}}
---
{apiVersion: flightoperator.dev/v1alpha1, kind: FlightServer, metadata: {name: claimed, namespace: %[1]s}, spec: {
  healthCheck: {interval: 1s},
  cache: {disk: {sizeLimit: 1Mi, claimName: cache}},
  datasets: [{name: grows, format: ArrowFile, access: ReadWrite, source: {volume: {claimName: data, path: "*.arrow"}}, cache: {mode: Disk}}]}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: %[1]s}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: cache, namespace: %[1]s}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}
`, ns))
	node.ready(t)
	claimed.ready(t)
	t.Run("on the node", func(t *testing.T) { testCachesOfANode(t, node) })
	t.Run("on a claim", func(t *testing.T) { testCacheOnAClaim(t, claimed) })
}

func testCachesOfANode(t *testing.T, s server) {
	pod := s.pods(t)[0].Spec
	var limit string
	for _, v := range pod.Volumes {
		if v.Name == "flight-cache" && v.EmptyDir != nil {
			limit = v.EmptyDir.SizeLimit.String()
		}
	}
	if limit != "174Mi" { // the cache, a tenth, and 64 MiB
		t.Errorf("the emptyDir of the cache has the limit %q", limit)
	}
	for _, e := range pod.Containers[0].Env {
		if n, _ := strconv.Atoi(e.Value); e.Name == "GOMEMLIMIT" && (n < 150<<20 || n > 200<<20) {
			t.Errorf("Go's memory limit is %d, want most of 256 MiB without the cache", n)
		}
	}
	if s.cached(t, "memory") == 0 {
		t.Error("a dataset that is kept in memory is served before it is there")
	}
	answer := func(want int64) error {
		for _, name := range []string{"plain", "memory", "disk"} {
			if got, err := s.sum(t, name); err != nil || got != want {
				return fmt.Errorf("%s: expected the sum %d, got %d, %w", name, want, got, err)
			}
		}
		return nil
	}
	for _, edit := range []struct {
		csv string
		sum int64
	}{{"a\n1\n2\n", 3}, {"a\n1\n2\n40\n", 43}} {
		apply(t, configMap(s.namespace, edit.csv))
		eventually(t, func() error { return answer(edit.sum) })
		eventually(t, func() error { // the first read has it kept
			if s.cached(t, "memory") == 0 || s.cached(t, "disk") == 0 {
				return errors.New("expected both to be cached")
			}
			return nil
		})
		if err := answer(edit.sum); err != nil {
			t.Error(err)
		}
	}
	eventually(t, func() error {
		for _, d := range s.get(t).Status.Datasets {
			if kept := ptr.Deref(d.CachedBytes, 0) > 0; kept != (d.Name != "plain") {
				return fmt.Errorf("the status of %s tells of %d cached bytes", d.Name, ptr.Deref(d.CachedBytes, 0))
			}
		}
		return nil
	})
}

// testCacheOnAClaim fills a cache that has room for two puts of a megabyte and less.
func testCacheOnAClaim(t *testing.T, s server) {
	const put = 50_000 // rows of 8 bytes
	s.put(t, "overwrite", 1, put)
	s.keeps(t, "grows", put, true)
	s.put(t, "overwrite", 2, put)
	s.keeps(t, "grows", 2*put, true)

	run(t, "", "kubectl", "-n", s.namespace, "delete", "pod", s.pods(t)[0].Name)
	s.ready(t)
	eventually(t, func() error {
		if s.cached(t, "grows") < 8*put {
			return errors.New("expected the new pod to have what the one before has cached")
		}
		return nil
	})
	if missed := s.metric(t, "flight_cache_misses_total"); missed != 0 {
		t.Errorf("the new pod has looked for %g parts in vain", missed)
	}

	// What nobody asked for in the last minute makes room: the version before.
	s.age(t)
	s.put(t, "append", 3, put)
	s.keeps(t, "grows", 5*put, true)
	if evicted := s.metric(t, "flight_cache_evictions_total"); evicted != 1 {
		t.Errorf("%g parts made room, want 1", evicted)
	}
	// What has no room is read from its source.
	s.put(t, "append", 4, put)
	s.keeps(t, "grows", 9*put, false)
	if n := s.cached(t, "grows"); n < 16*put || n > 1<<20 {
		t.Errorf("%d bytes are cached", n)
	}
}

// client is one of the server's only pod.
func (s server) client(t *testing.T) *flightruntime.Client {
	t.Helper()
	c, err := flightruntime.Connect(s.location(t), flightruntime.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cached is how many bytes of a dataset the server has cached.
func (s server) cached(t *testing.T, dataset string) int64 {
	t.Helper()
	c := s.client(t)
	defer c.Close()
	h, err := c.HealthCheck(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range h.Datasets {
		if d.Name == dataset {
			return d.CachedBytes
		}
	}
	t.Fatalf("the server has no dataset %s", dataset)
	return 0
}

// sum reads a dataset and adds its numbers up.
func (s server) sum(t *testing.T, dataset string) (sum int64, err error) {
	t.Helper()
	c := s.client(t)
	defer c.Close()
	r, err := c.DoGet(t.Context(), &flightruntime.Ticket{Ticket: []byte(dataset)})
	if err != nil {
		return 0, err
	}
	for {
		chunk, err := r.Read()
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return 0, err
		}
		for _, n := range chunk.Batch.Column(0).(*array.Int64).Int64Values() {
			sum += n
		}
	}
}

// keeps reads a dataset until it has a sum and, if that is wanted, until all of it comes from the cache.
func (s server) keeps(t *testing.T, dataset string, sum int64, cached bool) {
	t.Helper()
	eventually(t, func() error {
		missed := s.metric(t, "flight_cache_misses_total")
		if got, err := s.sum(t, dataset); err != nil || got != sum {
			return fmt.Errorf("%s: expected the sum %d, got %d, %w", dataset, sum, got, err)
		}
		if missed = s.metric(t, "flight_cache_misses_total") - missed; cached && missed > 0 {
			return fmt.Errorf("%s: expected all of it to be cached, and %g parts are not", dataset, missed)
		}
		return nil
	})
}

// put puts equal numbers into the dataset grows.
func (s server) put(t *testing.T, mode string, number int64, rows int) {
	t.Helper()
	b := array.NewInt64Builder(memory.DefaultAllocator)
	for range rows {
		b.Append(number)
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil)
	c := s.client(t)
	defer c.Close()
	descriptor := flightruntime.DescriptorForCommand(fmt.Appendf(nil, `{"dataset": "grows", "mode": %q}`, mode))
	w, _, err := c.DoPut(t.Context(), descriptor, schema)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.WriteBatch(array.NewRecordBatch(schema, []arrow.Array{b.NewArray()}, int64(rows))), w.Close()); err != nil {
		t.Fatal(err)
	}
}

// metric is the sum of a metric's values on the server's only pod.
func (s server) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	out, err := metrics(t.Context(), s.pods(t)[0].Status.PodIP)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if words := strings.Fields(line); strings.HasPrefix(line, name+"{") {
			n, err := strconv.ParseFloat(words[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

// age makes all files of the cache on the claim such as were used an hour ago.
func (s server) age(t *testing.T) {
	t.Helper()
	var claim corev1.PersistentVolumeClaim
	var volume corev1.PersistentVolume
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "cache"}, &claim); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Get(t.Context(), client.ObjectKey{Name: claim.Spec.VolumeName}, &volume); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(volume.Spec.HostPath.Path, "..flight-cache", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the cache has no files: %v", err)
	}
	old := time.Now().Add(-time.Hour)
	for _, file := range files {
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
}
