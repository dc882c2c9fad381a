//go:build !unix

package flightruntime

// descriptors is how many files and connections the process may have open; 0 where the system does not tell.
func descriptors() uint64 { return 0 }
