package authn

import (
	"crypto/sha256"
	"sync"
)

// maxCached tokens are remembered; beyond, all are checked again.
const maxCached = 1024

// cache remembers what was found out about tokens, by their SHA-256. The tokens themselves are not in it.
type cache[T any] struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]T
}

func (c *cache[T]) get(token [sha256.Size]byte) (T, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.all[token]
	return v, ok
}

func (c *cache[T]) put(token [sha256.Size]byte, v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil || len(c.all) >= maxCached {
		c.all = map[[sha256.Size]byte]T{}
	}
	c.all[token] = v
}
