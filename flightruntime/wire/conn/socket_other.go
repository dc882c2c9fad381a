//go:build !linux

package conn

import "net"

func tune(net.Conn) {}

func discard(net.Conn) (more bool) { return false }

func newVector(c net.Conn) sink { return newBuffers(c) }

func newReadiness(net.Conn) readiness { return blocking{} }

func newTLSReadiness(*gather) readiness { return blocking{} }

// socketReader is for systems where a socket can be read without waiting.
type socketReader struct{ impatient bool }

func newSocketReader(net.Conn) *socketReader { return nil }

func (*socketReader) try([]byte) (int, error) {
	panic("there is no reader without waiting on this system")
}
