package wire

import "github.com/flight-operator/flight-operator/internal/arrowmem"

// Pool is an allocator for the bodies of a Reader that gives out again what was freed, which saves the garbage collector some megabytes a
// message, and the kernel their pages. It is for readers whose batches are released when they are done with and go nowhere else: a Writer refers to
// what it has sent for longer than any batch lives, so that what a Reader with a Pool has read must not be written. Memory is not zeroed. The zero
// value is ready for use by any number of readers at a time.
type Pool struct{ arrowmem.Pool }
