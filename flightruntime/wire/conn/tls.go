package conn

import (
	"net"
	"sync"
)

const (
	// recordBytes is the most plaintext that a TLS record has (RFC 8446, section 5.1).
	recordBytes = 16 << 10
	// gatherBytes is how much ciphertext leaves with one system call.
	gatherBytes = 512 << 10
)

// encrypter writes batches to a TLS connection: in full records, as far as there are bytes, and with few system calls.
type encrypter struct {
	tls   net.Conn
	under *gather
}

var stages = sync.Pool{New: func() any { return new([recordBytes]byte) }}

func (e *encrypter) write(pieces [][]byte, _ bool) error {
	e.under.begin()
	var err error
	if lost := reading(func() { err = e.records(pieces) }); lost != nil {
		err = lost
	}
	if failed := e.under.end(); err == nil {
		err = failed
	}
	return err
}

// records writes the pieces to the TLS connection, and gathers what does not fill a record by itself.
func (e *encrypter) records(pieces [][]byte) error {
	stage := stages.Get().(*[recordBytes]byte)
	defer stages.Put(stage)
	staged := 0
	for _, p := range pieces {
		for len(p) > 0 {
			if staged == 0 && len(p) >= recordBytes {
				whole := len(p) - len(p)%recordBytes
				if _, err := e.tls.Write(p[:whole]); err != nil {
					return err
				}
				p = p[whole:]
				continue
			}
			n := copy(stage[staged:], p)
			staged += n
			p = p[n:]
			if staged == recordBytes {
				if _, err := e.tls.Write(stage[:]); err != nil {
					return err
				}
				staged = 0
			}
		}
	}
	if staged == 0 {
		return nil
	}
	_, err := e.tls.Write(stage[:staged])
	return err
}

// gather is the socket below a TLS connection. Between begin and end it keeps what is written.
type gather struct {
	net.Conn
	out sink

	mu      sync.Mutex // TLS writes on its own, too, when it reads
	buffer  *[]byte    // nil: nothing is kept
	reading *socketReader
}

// gathered are buffers with room for the ciphertext of gatherBytes, and the record that made it so much.
var gathered = sync.Pool{New: func() any {
	b := make([]byte, 0, gatherBytes+2*recordBytes)
	return &b
}}

func newGather(socket net.Conn) *gather {
	return &gather{Conn: socket, out: newVector(socket), reading: newSocketReader(socket)}
}

// begin keeps what is written from now on.
func (g *gather) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.buffer = gathered.Get().(*[]byte)
}

// end writes what is left, and keeps no more.
func (g *gather) end() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	err := g.flush()
	gathered.Put(g.buffer)
	g.buffer = nil
	return err
}

func (g *gather) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.buffer == nil {
		return g.Conn.Write(p)
	}
	*g.buffer = append(*g.buffer, p...)
	if len(*g.buffer) < gatherBytes {
		return len(p), nil
	}
	return len(p), g.flush()
}

// flush writes what is kept. mu is held.
func (g *gather) flush() error {
	b := *g.buffer
	if len(b) == 0 {
		return nil
	}
	*g.buffer = b[:0]
	return g.out.write([][]byte{b}, false)
}

// Read is the socket's, or does not wait, as the reader of a TLS connection wants it.
func (g *gather) Read(p []byte) (int, error) {
	if g.reading == nil || !g.reading.impatient {
		return g.Conn.Read(p)
	}
	return g.reading.try(p)
}
