package conn

import "net"

// buffers writes to any connection, with as few system calls as package net knows for it.
type buffers struct {
	to    net.Conn
	bytes *meter
}

func newBuffers(c net.Conn) buffers {
	to, bytes := under(c)
	return buffers{to, bytes}
}

func (b buffers) write(pieces [][]byte, _ bool) error {
	pending := net.Buffers(pieces)
	n, err := pending.WriteTo(b.to)
	b.bytes.send(int(n))
	return err
}
