package conn

import "sync"

// batch is what is written at once: pieces, in their order.
type batch struct {
	pieces [][]byte
	bytes  int
	// held are the announced buffers with memory of others that pieces are of.
	held   []*announcement
	faults bool // whether there are any

	chunks []*[chunkBytes]byte // what was copied
	used   int                 // bytes of the last chunk

	// Where the last piece came from: as much as comes next from there makes it longer.
	of   *announcement // nil: the last chunk, if there is a piece
	from int

	open openFrame
}

// chunkBytes has room for what is copied with some megabytes: heads of frames and messages.
const chunkBytes = 8 << 10

var (
	batches = sync.Pool{New: func() any { return &batch{} }}
	chunks  = sync.Pool{New: func() any { return new([chunkBytes]byte) }}
)

// openFrame is the last frame of the batch, if it is a DATA frame that may grow: all of it is still here.
type openFrame struct {
	head   *head // nil: there is none
	stream uint32
	length int
}

// copy adds a copy of p.
func (b *batch) copy(p []byte) {
	b.bytes += len(p)
	for len(p) > 0 {
		if len(b.chunks) == 0 || b.used == chunkBytes {
			b.chunks = append(b.chunks, chunks.Get().(*[chunkBytes]byte))
			b.used, b.of, b.from = 0, nil, 0
			b.pieces = append(b.pieces, nil)
		} else if b.of != nil {
			b.of, b.from = nil, b.used
			b.pieces = append(b.pieces, nil)
		}
		chunk := b.chunks[len(b.chunks)-1]
		n := copy(chunk[b.used:], p)
		b.used += n
		p = p[n:]
		b.pieces[len(b.pieces)-1] = chunk[b.from:b.used]
	}
}

// alias adds n bytes of an announced buffer.
func (b *batch) alias(a *announcement, from, n int) {
	b.bytes += n
	if b.of == a && b.from+len(b.pieces[len(b.pieces)-1]) == from {
		b.pieces[len(b.pieces)-1] = a.data[b.from : from+n]
		return
	}
	b.of, b.from = a, from
	b.pieces = append(b.pieces, a.data[from:from+n])
	if a.buffer != nil {
		a.holds++
		b.held = append(b.held, a)
		b.faults = true
	}
}

// leaveOpen lets the frame grow whose head was copied last. The head has to lie in one chunk.
func (b *batch) leaveOpen(stream uint32, length int, flags byte) {
	if flags&flagEndStream != 0 || b.used < headBytes {
		b.open = openFrame{}
		return
	}
	h := (*head)(b.chunks[len(b.chunks)-1][b.used-headBytes : b.used])
	b.open = openFrame{head: h, stream: stream, length: length}
}

// grow makes a DATA frame part of the open one, if it is of the same stream and the client takes frames that large.
func (b *batch) grow(stream uint32, length int, flags byte, limit int) bool {
	o := &b.open
	if o.head == nil || o.stream != stream || o.length+length > limit {
		return false
	}
	o.length += length
	o.head.setLength(o.length)
	o.head[4] |= flags
	if flags&flagEndStream != 0 {
		*o = openFrame{}
	}
	return true
}

// keptPieces is how many pieces a batch has room for in the pool; more are rare.
const keptPieces = 4 << 10

// recycle gives back what the batch has. It is not used after.
func (b *batch) recycle() {
	for i, c := range b.chunks {
		chunks.Put(c)
		b.chunks[i] = nil
	}
	if cap(b.pieces) > keptPieces {
		return
	}
	clear(b.pieces)
	clear(b.held)
	*b = batch{pieces: b.pieces[:0], held: b.held[:0], chunks: b.chunks[:0]}
	batches.Put(b)
}
