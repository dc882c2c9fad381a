package config

import (
	"fmt"
	"path"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// Cache bounds what a server keeps of datasets as they are sent. Each member is nil if no dataset is kept there.
type Cache struct {
	Memory *MemoryCache `json:"memory,omitempty"`
	Disk   *DiskCache   `json:"disk,omitempty"`
}

// MemoryCache is of datasets whose Cache is Memory.
type MemoryCache struct {
	// SizeLimit in bytes, in addition to what a server needs otherwise.
	SizeLimit int64 `json:"sizeLimit"`
}

// DiskCache is of datasets whose Cache is Disk. Exactly one of Dir and Missing is set.
type DiskCache struct {
	// Dir is a folder, which servers make if need be, and may share.
	Dir string `json:"dir,omitempty"`
	// Missing says why there is no such folder, and the mend: the claim does not exist.
	Missing string `json:"missing,omitempty"`
	// SizeLimit in bytes.
	SizeLimit int64 `json:"sizeLimit"`
}

const (
	// DefaultMemoryCacheBytes leaves room on any node that one would serve from memory on.
	DefaultMemoryCacheBytes = 1 << 30
	// DefaultDiskCacheBytes is about the space that nodes have to spare for a pod.
	DefaultDiskCacheBytes = 10 << 30

	minCacheBytes = 1 << 20

	// PodCacheDir is the mount path of the emptyDir in a pod.
	PodCacheDir = "/var/lib/flight/cache"
	// claimCacheDir is the folder in a claim. Datasets do not see it, for globs pass over names that begin with "..".
	claimCacheDir = "..flight-cache"
)

// Environment variables of a pod: the bytes that it has room for. A new configuration reaches pods which are about to be replaced by larger ones,
// and would have them killed if they went by it at once.
const (
	// EnvMemoryCache is set where the container has a memory limit.
	EnvMemoryCache = "FLIGHT_CACHE_MEMORY"
	// EnvDiskCache is set where the cache is on an emptyDir.
	EnvDiskCache = "FLIGHT_CACHE_DISK"
)

var cacheModes = []v1alpha1.CacheMode{v1alpha1.CacheNone, v1alpha1.CacheMemory, v1alpha1.CacheDisk}

// cacheMode is where a dataset is kept; empty if nowhere.
func cacheMode(d v1alpha1.Dataset) v1alpha1.CacheMode {
	if d.Cache == nil || d.Cache.Mode == v1alpha1.CacheNone {
		return ""
	}
	return d.Cache.Mode
}

func caches(fs *v1alpha1.FlightServer, mode v1alpha1.CacheMode) bool {
	return slices.ContainsFunc(fs.Spec.Datasets, func(d v1alpha1.Dataset) bool { return cacheMode(d) == mode })
}

// MemoryCacheBytes is what a FlightServer's servers may keep in memory; 0 if no dataset is kept there.
func MemoryCacheBytes(fs *v1alpha1.FlightServer) int64 {
	switch {
	case !caches(fs, v1alpha1.CacheMemory):
		return 0
	case fs.Spec.Cache != nil && fs.Spec.Cache.Memory != nil && fs.Spec.Cache.Memory.SizeLimit != nil:
		return fs.Spec.Cache.Memory.SizeLimit.Value()
	}
	if limit := memoryLimit(fs); limit > 0 {
		return max(min(DefaultMemoryCacheBytes, limit/2), minCacheBytes)
	}
	return DefaultMemoryCacheBytes
}

// DiskCacheBytes is what a FlightServer's servers may keep on a disk; 0 if no dataset is kept there.
func DiskCacheBytes(fs *v1alpha1.FlightServer) int64 {
	switch {
	case !caches(fs, v1alpha1.CacheDisk):
		return 0
	case fs.Spec.Cache != nil && fs.Spec.Cache.Disk != nil && fs.Spec.Cache.Disk.SizeLimit != nil:
		return fs.Spec.Cache.Disk.SizeLimit.Value()
	default:
		return DefaultDiskCacheBytes
	}
}

// CacheClaim is the claim that the disk cache is on; empty if that is an emptyDir, and if there is none.
func CacheClaim(fs *v1alpha1.FlightServer) string {
	if c := fs.Spec.Cache; c != nil && c.Disk != nil && caches(fs, v1alpha1.CacheDisk) {
		return c.Disk.ClaimName
	}
	return ""
}

// memoryLimit of the container; 0 if there is none.
func memoryLimit(fs *v1alpha1.FlightServer) int64 {
	if fs.Spec.Resources == nil {
		return 0
	}
	q := fs.Spec.Resources.Limits[corev1.ResourceMemory]
	return q.Value()
}

// Fit makes the bounds no larger than the pod has room for, by variables that getenv tells of; one that is empty or no number is no bound.
func (c *Cache) Fit(getenv func(string) string) {
	if c == nil {
		return
	}
	fit := func(size *int64, variable string) {
		if n, err := strconv.ParseInt(getenv(variable), 10, 64); err == nil {
			*size = min(*size, n)
		}
	}
	if c.Memory != nil {
		fit(&c.Memory.SizeLimit, EnvMemoryCache)
	}
	if c.Disk != nil {
		fit(&c.Disk.SizeLimit, EnvDiskCache)
	}
}

// besideCache is what a server needs at least of its container's memory for itself, if it is not to collect garbage all the time.
func besideCache(limit int64) int64 { return min(64<<20, limit/4) }

func renderCache(fs *v1alpha1.FlightServer, refs References) (c *Cache, errs field.ErrorList) {
	at := field.NewPath("spec", "cache")
	memory, disk := MemoryCacheBytes(fs), DiskCacheBytes(fs)
	if memory == 0 && disk == 0 {
		return nil, nil
	}
	c = &Cache{}
	if memory > 0 {
		c.Memory = &MemoryCache{SizeLimit: memory}
		if limit := memoryLimit(fs); limit > 0 && limit-memory < besideCache(limit) {
			errs = append(errs, field.Invalid(at.Child("memory", "sizeLimit"), memory, fmt.Sprintf(
				"what is kept in memory counts against the container's limit of %d bytes, of which the server itself needs %d: raise spec.resources.limits.memory, or lower this",
				limit, besideCache(limit))))
		}
	}
	if disk > 0 {
		c.Disk = &DiskCache{SizeLimit: disk}
		switch claim := CacheClaim(fs); {
		case claim == "":
			c.Disk.Dir = refs.Dirs.Cache
		case refs.Claims[claim]:
			c.Disk.Dir = path.Join(refs.Dirs.Claim(claim), claimCacheDir)
		default:
			c.Disk.Missing = missingClaim(fs.Namespace, claim)
		}
	}
	return c, append(errs, c.validate(at)...)
}

func (c *Cache) validate(at *field.Path) (errs field.ErrorList) {
	if c == nil {
		return nil
	}
	size := func(at *field.Path, n int64) {
		if n < minCacheBytes {
			errs = append(errs, field.Invalid(at, n, "expected at least 1 MiB"))
		}
	}
	if c.Memory != nil {
		size(at.Child("memory", "sizeLimit"), c.Memory.SizeLimit)
	}
	if d := c.Disk; d != nil {
		size(at.Child("disk", "sizeLimit"), d.SizeLimit)
		if (d.Dir == "") == (d.Missing == "") {
			errs = append(errs, field.Invalid(at.Child("disk"), d.Dir, "expected exactly one of dir and missing"))
		}
		if d.Dir != "" && !path.IsAbs(d.Dir) {
			errs = append(errs, field.Invalid(at.Child("disk", "dir"), d.Dir, "expected an absolute path"))
		}
	}
	return errs
}

// validateCache tells whether a dataset's cache is one that there is.
func (c *Config) validateCache(at *field.Path, d Dataset) field.ErrorList {
	switch {
	case d.Cache == "", d.Cache == v1alpha1.CacheNone:
		return nil
	case !slices.Contains(cacheModes, d.Cache):
		return field.ErrorList{field.NotSupported(at.Child("cache"), d.Cache, cacheModes)}
	case d.Cache == v1alpha1.CacheMemory && (c.Cache == nil || c.Cache.Memory == nil):
		return field.ErrorList{field.Required(field.NewPath("cache", "memory"), fmt.Sprintf("dataset %s is to be kept in memory", d.Name))}
	case d.Cache == v1alpha1.CacheDisk && (c.Cache == nil || c.Cache.Disk == nil):
		return field.ErrorList{field.Required(field.NewPath("cache", "disk"), fmt.Sprintf("dataset %s is to be kept on a disk", d.Name))}
	}
	return nil
}
