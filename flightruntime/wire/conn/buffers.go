package conn

import "net"

// buffers writes to any connection, with as few system calls as package net knows for it.
type buffers struct{ net.Conn }

func (b buffers) write(pieces [][]byte, _ bool) error {
	n := net.Buffers(pieces)
	_, err := n.WriteTo(b.Conn)
	return err
}
