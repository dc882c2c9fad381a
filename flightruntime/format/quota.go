package format

import (
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// Lengths that a file claims are claims: an Arrow buffer says in 8 bytes how long it is when uncompressed, and a Parquet page in a varint.
// What one batch takes to decode is therefore bounded by what can honestly be in the object.
const (
	// minQuota is for small objects: a batch of DefaultMaxRows rows of 4 KiB each.
	minQuota = DefaultMaxRows * 4 << 10
	// maxRatio of memory to bytes in the object. General compression of real tables gives 2 to 20; beyond 64 only small or empty content
	// compresses, for which minQuota is enough.
	maxRatio = 64
)

// newQuota bounds what is allocated from mem (nil: the default allocator) for one batch of an object.
func newQuota(mem memory.Allocator, objectSize int64) *ipcguard.Quota {
	return ipcguard.NewQuota(mem, quotaFor(objectSize))
}

func quotaFor(objectSize int64) int64 {
	if objectSize > (1<<62)/maxRatio {
		return minQuota
	}
	return max(minQuota, objectSize*maxRatio)
}
