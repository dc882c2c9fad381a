package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// CacheMode is where servers keep a dataset as it is sent; None if left out.
// +kubebuilder:validation:Enum=None;Memory;Disk
type CacheMode string

// Values of CacheMode.
const (
	// CacheNone: each read decodes the files.
	CacheNone CacheMode = "None"
	// CacheMemory: the dataset is read into memory before it is served. If spec.cache.memory has no room for it, it is read from its files.
	CacheMemory CacheMode = "Memory"
	// CacheDisk: what is read is kept on a disk, for those who read it next. What was not read for longest goes first.
	CacheDisk CacheMode = "Disk"
)

// DatasetCache says whether servers keep a dataset as it is sent.
type DatasetCache struct {
	// None, Memory or Disk.
	Mode CacheMode `json:"mode"`
}

// Cache bounds what each server keeps of datasets with a cache.
type Cache struct {
	// Of datasets with cache mode Memory.
	// +optional
	Memory *MemoryCache `json:"memory,omitempty"`
	// Of datasets with cache mode Disk.
	// +optional
	Disk *DiskCache `json:"disk,omitempty"`
}

// MemoryCache is the memory that cached datasets take.
type MemoryCache struct {
	// Most bytes, in addition to what a server needs otherwise; 1Gi if left out, or half of the container's memory limit if that is less.
	// +optional
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('1Mi')) >= 0",message="expected a quantity of at least 1Mi, for instance 4Gi"
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
}

// DiskCache is the disk space that cached datasets take.
type DiskCache struct {
	// Most bytes, 10Gi if left out.
	// +optional
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('1Mi')) >= 0",message="expected a quantity of at least 1Mi, for instance 100Gi"
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
	// PersistentVolumeClaim in place of an emptyDir. All servers share it, and it outlives them.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="a PersistentVolumeClaim's name is made of lower-case letters, digits, '-' and '.'"
	ClaimName string `json:"claimName,omitempty"`
}
