package conn

import "sync"

// batch is what is written at once: segments, in their order. There is at least one.
type batch struct {
	segments []segment
	open     int // the first of those that go on: since the last frame other than DATA
	current  int // the one of the last frame
	bytes    int
	// held are the announced buffers with memory of others that pieces are of.
	held   []*announcement
	faults bool // whether there are any

	chunks []*[chunkBytes]byte // what was copied
	used   int                 // bytes of the last chunk
}

// segment is a part of a batch that goes on while others do, of another stream: HTTP/2 keeps the order of a stream's DATA frames, and of DATA and other
// frames, but DATA frames of one stream may overtake those of others. So they come together, and can be merged, though grpc-go writes the streams in turn.
type segment struct {
	pieces [][]byte
	// Where the last piece came from: as much as comes next from there makes it longer.
	of    *announcement // nil: a chunk
	chunk int           // how many chunks there were
	from  int

	stream uint32 // whose DATA frames go on here; 0: nobody's
	// The last frame, if it is a DATA frame that may grow: all of it is still here.
	head   *head // nil: it may not
	length int
}

// mostSegments bounds what a batch keeps, and searches for each frame. The streams beyond share the last segment.
const mostSegments = 16

// chunkBytes has room for what is copied with some megabytes: heads of frames and messages.
const chunkBytes = 8 << 10

var (
	batches = sync.Pool{New: func() any { return &batch{segments: make([]segment, 1)} }}
	chunks  = sync.Pool{New: func() any { return new([chunkBytes]byte) }}
)

// turn has what comes next go on where the DATA frames of a stream do.
func (b *batch) turn(stream uint32) {
	for i := b.open; i < len(b.segments); i++ {
		if b.segments[i].stream == stream {
			b.current = i
			return
		}
	}
	if n := len(b.segments); b.segments[n-1].stream != 0 && n < mostSegments {
		if n < cap(b.segments) {
			b.segments = b.segments[:n+1] // with the room that it had for pieces
		} else {
			b.segments = append(b.segments, segment{})
		}
	}
	b.current = len(b.segments) - 1
	last := &b.segments[b.current]
	last.stream, last.head = stream, nil
}

// shut has what comes next stand after all that there is, and whatever comes later as well.
func (b *batch) shut() {
	b.current = len(b.segments) - 1
	b.open = b.current
	last := &b.segments[b.current]
	last.stream, last.head = 0, nil
}

// atEnd is true where the last frame stands after all others, so that the rest of it may come with another batch.
func (b *batch) atEnd() bool { return b.current == len(b.segments)-1 }

// cut drops what stands after the last frame, of which the rest will not come.
func (b *batch) cut() {
	for i := range b.segments[b.current+1:] {
		b.segments[b.current+1+i].empty()
	}
}

// joined are all pieces, in their order. Nothing can be added after.
func (b *batch) joined() [][]byte {
	first := &b.segments[0]
	for i := range b.segments[1:] {
		s := &b.segments[1+i]
		first.pieces = append(first.pieces, s.pieces...)
		s.empty()
	}
	return first.pieces
}

// empty keeps a segment's room for pieces only.
func (s *segment) empty() {
	clear(s.pieces)
	*s = segment{pieces: s.pieces[:0]}
}

// copy adds a copy of p.
func (b *batch) copy(p []byte) {
	b.bytes += len(p)
	s := &b.segments[b.current]
	for len(p) > 0 {
		if len(b.chunks) == 0 || b.used == chunkBytes {
			b.chunks = append(b.chunks, chunks.Get().(*[chunkBytes]byte))
			b.used = 0
		}
		chunk := b.chunks[len(b.chunks)-1]
		if n := len(s.pieces); n == 0 || s.of != nil || s.chunk != len(b.chunks) || s.from+len(s.pieces[n-1]) != b.used {
			s.of, s.chunk, s.from = nil, len(b.chunks), b.used
			s.pieces = append(s.pieces, nil)
		}
		n := copy(chunk[b.used:], p)
		b.used += n
		p = p[n:]
		s.pieces[len(s.pieces)-1] = chunk[s.from:b.used]
	}
}

// alias adds n bytes of an announced buffer.
func (b *batch) alias(a *announcement, from, n int) {
	b.bytes += n
	s := &b.segments[b.current]
	if s.of == a && s.from+len(s.pieces[len(s.pieces)-1]) == from {
		s.pieces[len(s.pieces)-1] = a.data[s.from : from+n]
		return
	}
	s.of, s.from = a, from
	s.pieces = append(s.pieces, a.data[from:from+n])
	if a.buffer != nil {
		a.holds++
		b.held = append(b.held, a)
		b.faults = true
	}
}

// leaveOpen lets the frame grow whose head was copied last. The head has to lie in one chunk.
func (b *batch) leaveOpen(length int, flags byte) {
	s := &b.segments[b.current]
	s.head = nil
	if flags&flagEndStream == 0 && b.used >= headBytes {
		s.head = (*head)(b.chunks[len(b.chunks)-1][b.used-headBytes : b.used])
		s.length = length
	}
}

// grow makes a DATA frame part of the last one of its stream, if that is open and the client takes frames that large.
func (b *batch) grow(length int, flags byte, limit int) bool {
	s := &b.segments[b.current]
	if s.head == nil || s.length+length > limit {
		return false
	}
	s.length += length
	s.head.setLength(s.length)
	s.head[4] |= flags
	if flags&flagEndStream != 0 {
		s.head = nil
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
	room := 0
	for i := range b.segments {
		b.segments[i].empty()
	}
	for _, s := range b.segments[:cap(b.segments)] {
		room += cap(s.pieces)
	}
	if room > keptPieces {
		return
	}
	clear(b.held)
	*b = batch{segments: b.segments[:1], held: b.held[:0], chunks: b.chunks[:0]}
	batches.Put(b)
}
