package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// cachedNotes is a FlightServer with a dataset for each mode.
func cachedNotes(modes ...v1alpha1.CacheMode) *v1alpha1.FlightServer {
	fs := flightServer()
	for _, mode := range modes {
		fs.Spec.Datasets = append(fs.Spec.Datasets, v1alpha1.Dataset{
			Name: strings.ToLower(string(mode)), Format: "CSV", Source: inlineSource("a\n"), Cache: &v1alpha1.DatasetCache{Mode: mode},
		})
	}
	return fs
}

func TestRenderCache(t *testing.T) {
	const none, memory, disk = v1alpha1.CacheNone, v1alpha1.CacheMemory, v1alpha1.CacheDisk
	limited := func(limit string) *v1alpha1.ResourceRequirements {
		return &v1alpha1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)}}
	}
	sized := func(memory, disk, claim string) *v1alpha1.Cache {
		return &v1alpha1.Cache{Memory: &v1alpha1.MemoryCache{SizeLimit: new(resource.MustParse(memory))}, Disk: &v1alpha1.DiskCache{SizeLimit: new(resource.MustParse(disk)), ClaimName: claim}}
	}
	for _, tt := range []struct {
		name      string
		modes     []v1alpha1.CacheMode
		cache     *v1alpha1.Cache
		resources *v1alpha1.ResourceRequirements
		want      *Cache
	}{
		{"no dataset is kept", []v1alpha1.CacheMode{none}, sized("1Gi", "1Gi", ""), nil, nil},
		{"memory", []v1alpha1.CacheMode{none, memory}, nil, nil, &Cache{Memory: &MemoryCache{SizeLimit: 1 << 30}}},
		{"memory of a small container", []v1alpha1.CacheMode{memory}, nil, limited("512Mi"), &Cache{Memory: &MemoryCache{SizeLimit: 256 << 20}}},
		{"memory of a large container", []v1alpha1.CacheMode{memory}, nil, limited("64Gi"), &Cache{Memory: &MemoryCache{SizeLimit: 1 << 30}}},
		{"as much memory as is said", []v1alpha1.CacheMode{memory}, sized("3Gi", "1Gi", ""), limited("4Gi"), &Cache{Memory: &MemoryCache{SizeLimit: 3 << 30}}},
		{"a disk", []v1alpha1.CacheMode{disk}, nil, nil, &Cache{Disk: &DiskCache{Dir: "/var/lib/flight/cache", SizeLimit: 10 << 30}}},
		{"both", []v1alpha1.CacheMode{memory, disk}, sized("2Gi", "5Gi", ""), nil, &Cache{Memory: &MemoryCache{SizeLimit: 2 << 30}, Disk: &DiskCache{Dir: "/var/lib/flight/cache", SizeLimit: 5 << 30}}},
		{"a claim", []v1alpha1.CacheMode{disk}, sized("1Gi", "5Gi", "taxi-data"), nil, &Cache{Disk: &DiskCache{Dir: "/var/lib/flight/claims/taxi-data/..flight-cache", SizeLimit: 5 << 30}}},
		{"a claim that does not exist", []v1alpha1.CacheMode{disk}, sized("1Gi", "5Gi", "gone"), nil, &Cache{Disk: &DiskCache{Missing: "PersistentVolumeClaim data/gone does not exist: create it", SizeLimit: 5 << 30}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs := cachedNotes(tt.modes...)
			fs.Spec.Cache, fs.Spec.Resources = tt.cache, tt.resources
			c, errs := Render(fs, present)
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			if diff := cmp.Diff(tt.want, c.Cache); diff != "" {
				t.Errorf("-want +rendered:\n%s", diff)
			}
			for i, mode := range tt.modes {
				if got := c.Datasets[i].Cache; got != mode && (got != "" || mode != none) {
					t.Errorf("dataset %d is kept in %q, want %q", i, got, mode)
				}
			}
			if errs := c.Validate(); len(errs) > 0 {
				t.Errorf("a server would refuse what was rendered: %v", errs.ToAggregate())
			}
		})
	}
	for what, tt := range map[string]struct {
		cache *v1alpha1.Cache
		field string
	}{
		"more memory than the container has": {sized("4Gi", "1Gi", ""), "spec.cache.memory.sizeLimit"},
		"all its memory but for a little":    {sized("4050Mi", "1Gi", ""), "spec.cache.memory.sizeLimit"},
		"too little memory":                  {sized("1Ki", "1Gi", ""), "spec.cache.memory.sizeLimit"},
		"too little disk":                    {sized("1Gi", "1Ki", ""), "spec.cache.disk.sizeLimit"},
	} {
		fs := cachedNotes(memory, disk)
		fs.Spec.Cache, fs.Spec.Resources = tt.cache, limited("4Gi")
		if _, errs := Render(fs, present); len(errs) != 1 || errs[0].Field != tt.field {
			t.Errorf("%s gives %v", what, errs)
		}
	}
}

func TestTheClaimOfACacheIsNamedAndWritten(t *testing.T) {
	fs := cachedNotes(v1alpha1.CacheDisk)
	fs.Spec.Cache = &v1alpha1.Cache{Disk: &v1alpha1.DiskCache{ClaimName: "cache"}}
	if _, claims := Names(fs); len(claims) != 1 || claims[0] != "cache" || !WrittenClaims(fs)["cache"] {
		t.Errorf("claims %v, written %v", claims, WrittenClaims(fs))
	}
	fs.Spec.Datasets = nil
	if _, claims := Names(fs); len(claims) != 0 {
		t.Errorf("nothing is kept, and there are claims %v", claims)
	}
}

func TestValidateCache(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		field  string // of the one error; empty: none
	}{
		{"a dataset that is kept", func(*Config) {}, ""},
		{"a dataset that is kept nowhere", func(c *Config) { c.Datasets[0].Cache = "None" }, ""},
		{"a mode that there is not", func(c *Config) { c.Datasets[0].Cache = "Tape" }, "datasets[0].cache"},
		{"no memory", func(c *Config) { c.Cache.Memory = nil }, "cache.memory"},
		{"no cache", func(c *Config) { c.Cache = nil }, "cache.memory"},
		{"no disk", func(c *Config) { c.Datasets[0].Cache, c.Cache.Disk = "Disk", nil }, "cache.disk"},
		{"a disk that is nowhere", func(c *Config) { c.Cache.Disk.Dir = "" }, "cache.disk"},
		{"a folder that is not absolute", func(c *Config) { c.Cache.Disk.Dir = "cache" }, "cache.disk.dir"},
		{"no room", func(c *Config) { c.Cache.Memory.SizeLimit = 0 }, "cache.memory.sizeLimit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := valid()
			c.Datasets[0].Cache = "Memory"
			c.Cache = &Cache{Memory: &MemoryCache{SizeLimit: 1 << 30}, Disk: &DiskCache{Dir: "/cache", SizeLimit: 1 << 30}}
			tt.change(c)
			errs := c.Validate()
			if tt.field == "" && len(errs) == 0 {
				return
			}
			if len(errs) != 1 || errs[0].Field != tt.field {
				t.Errorf("got %v, want one error about %q", errs, tt.field)
			}
		})
	}
}

func TestACacheFitsIntoItsPod(t *testing.T) {
	for _, tt := range []struct {
		name, memory, disk       string
		wantedMemory, wantedDisk int64
	}{
		{"nobody says how much room there is", "", "", 1000, 2000},
		{"there is more room", "1001", "2001", 1000, 2000},
		{"there is less room", "999", "1999", 999, 1999},
		{"there is none", "0", "", 0, 2000},
		{"no number", "1Gi", "-", 1000, 2000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &Cache{Memory: &MemoryCache{SizeLimit: 1000}, Disk: &DiskCache{SizeLimit: 2000}}
			c.Fit(func(variable string) string {
				return map[string]string{EnvMemoryCache: tt.memory, EnvDiskCache: tt.disk}[variable]
			})
			if c.Memory.SizeLimit != tt.wantedMemory || c.Disk.SizeLimit != tt.wantedDisk {
				t.Errorf("%d bytes of memory and %d of disk, want %d and %d", c.Memory.SizeLimit, c.Disk.SizeLimit, tt.wantedMemory, tt.wantedDisk)
			}
		})
	}
}
