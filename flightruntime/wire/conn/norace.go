//go:build linux && !race

package conn

func ordered(uintptr) {}
