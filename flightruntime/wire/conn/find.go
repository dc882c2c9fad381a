package conn

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc/peer"
)

// registry has the connections by the address of their client, as the very value that RemoteAddr returns: gRPC's peer.Peer has that one too, in every
// call, while its AuthInfo has no place for a connection without being another type than callers expect.
var registry sync.Map // net.Addr -> *Conn

// Of is the connection on which a call has come in; nil if it is not one of this package's, or has ended.
func Of(ctx context.Context) *Conn {
	p, ok := peer.FromContext(ctx)
	if !ok || !unique(p.Addr) {
		return nil
	}
	c, ok := registry.Load(p.Addr)
	if !ok {
		return nil
	}
	return c.(*Conn)
}

// register has the connection found. That begins with the first bytes that a client sends: where grpc-go gives up before it reads any, it does
// not close the connection but the socket.
func (c *Conn) register() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended && !c.closed {
		registry.Store(c.remote, c)
	}
}

// uniqueAddr is a copy of an address that is equal to no other: its pointer is what is compared.
func uniqueAddr(a net.Addr) net.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		c := *a
		return &c
	case *net.UnixAddr:
		c := *a
		return &c
	}
	return &otherAddr{a}
}

// unique tells whether uniqueAddr can have made an address.
func unique(a net.Addr) bool {
	switch a.(type) {
	case *net.TCPAddr, *net.UnixAddr, *otherAddr:
		return true
	}
	return false
}

// otherAddr is an address of a type that need not be a pointer.
type otherAddr struct{ net.Addr }
