package conn

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkKernel is what nobody who writes to a TCP socket can be cheaper than, and what this package pays beside it: 320 MiB in pieces of 1 MiB to
// a client on the same machine that reads and drops them. "CPU-s/GB" is the writing thread's processor time.
func BenchmarkKernel(b *testing.B) {
	const piece, total = 1 << 20, 320 << 20
	memory, err := unix.Mmap(-1, 0, total, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = unix.Munmap(memory) }()
	for i := range memory {
		memory[i] = byte(i)
	}
	for _, each := range []struct {
		name string
		tune func(net.Conn)
		sink func(net.Conn) sink
	}{
		{"net.Buffers", func(net.Conn) {}, func(c net.Conn) sink { return newBuffers(c) }},
		{"vector", tune, newVector},
	} {
		b.Run(fmt.Sprintf("by=%s", each.name), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			drained := make(chan error, 1)
			go func() { drained <- drain(l.Addr().String()) }()
			c, err := l.Accept()
			if err != nil {
				b.Fatal(err)
			}
			each.tune(c)
			to := each.sink(c)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			before, n := threadTime(b), 0
			b.SetBytes(total)
			for b.Loop() {
				for at := 0; at < total; at += piece {
					if err := to.write([][]byte{memory[at : at+piece]}, false); err != nil {
						b.Fatal(err)
					}
				}
				n++
			}
			b.ReportMetric((threadTime(b)-before).Seconds()/(float64(n)*total/1e9), "CPU-s/GB")
			_ = c.Close()
			if err := <-drained; err != nil {
				b.Fatal(err)
			}
		})
	}
}

// drain reads from an address until the end.
func drain(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	// io.Copy would have the kernel splice the bytes, which no client that wants them can.
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 1<<20))
	return err
}

// threadTime is the processor time of the thread that calls.
func threadTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(unix.TimevalToNsec(u.Utime) + unix.TimevalToNsec(u.Stime))
}
