package cache

import (
	"errors"
	"fmt"
)

// LostError says that a part cannot be read any more: its disk fails, or its file was changed in place. The cache has let go of it, so that whoever
// reads next finds it in its source.
type LostError struct{ Err error }

func (e *LostError) Error() string { return fmt.Sprintf("read the cache: %v", e.Err) }

// Unwrap is what went wrong.
func (e *LostError) Unwrap() error { return e.Err }

// errFault is what a fault says, of memory that could be read a moment before.
var errFault = errors.New("the page cannot be read")

// lose lets go of a part that cannot be read, and of its file.
func (p *Part) lose(err error) error {
	c := p.cache
	c.mu.Lock()
	served := c.parts[p.key] == p
	if served {
		delete(c.parts, p.key)
	}
	c.mu.Unlock()
	if served {
		c.failures.Add(1)
		c.store.remove(p.key)
		c.log.Warn("a part of the cache cannot be read any more: it is removed, and read from its source", "part", p.name, "error", err)
		p.release()
	}
	return &LostError{err}
}
