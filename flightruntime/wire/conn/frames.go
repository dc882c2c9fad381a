package conn

import (
	"encoding/binary"
	"sync/atomic"
)

// HTTP/2 (RFC 9113), as far as it is followed.
const (
	preface       = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" // section 3.4
	headBytes     = 9                                  // section 4.1
	typeData      = 0
	typeHeaders   = 1
	typeSettings  = 4
	flagEndStream = 1 // of DATA and HEADERS
	flagAck       = 1 // of SETTINGS

	settingBytes    = 6 // section 6.5.1
	settingMaxFrame = 5
	minMaxFrame     = 1 << 14 // which is also what holds before a peer says more
	maxMaxFrame     = 1<<24 - 1
)

// head is a frame's head.
type head [headBytes]byte

func (h *head) length() int { return int(h[0])<<16 | int(h[1])<<8 | int(h[2]) }

func (h *head) setLength(n int) { h[0], h[1], h[2] = byte(n>>16), byte(n>>8), byte(n) }

func (h *head) stream() uint32 { return binary.BigEndian.Uint32(h[5:]) }

// endsStream is true of a frame that is the last of its stream.
func (h *head) endsStream() bool {
	return (h[3] == typeData || h[3] == typeHeaders) && h[4]&flagEndStream != 0
}

// dataHead reads the head of a DATA frame, if p is one and nothing else, of a frame that can be merged: its flags say nothing of paddings.
func dataHead(p []byte) (stream uint32, length int, ok bool) {
	if len(p) != headBytes || p[3] != typeData || p[4]&^flagEndStream != 0 {
		return 0, 0, false
	}
	h := (*head)(p)
	return h.stream(), h.length(), true
}

// outgoing follows the frames that grpc-go writes.
type outgoing struct {
	head head
	got  int // bytes of the head
	left int // bytes of the frame that are to come
}

// atBoundary is true where a frame begins.
func (o *outgoing) atBoundary() bool { return o.got == 0 && o.left == 0 }

// within is how many of the next n bytes are of the frame that has begun; all of them where none has.
func (o *outgoing) within(n int) int {
	if o.left > 0 {
		return min(o.left, n)
	}
	return n
}

// inData is true where the next n bytes are payload of one DATA frame.
func (o *outgoing) inData(n int) bool { return o.left >= n && o.head[3] == typeData }

// follow takes the next bytes, and tells whether a frame that ends its stream ends in them.
func (o *outgoing) follow(p []byte) (ended bool) {
	for len(p) > 0 {
		if o.left > 0 {
			n := min(o.left, len(p))
			o.left -= n
			p = p[n:]
		} else {
			n := copy(o.head[o.got:], p)
			o.got += n
			p = p[n:]
			if o.got < headBytes {
				return ended
			}
			o.got, o.left = 0, o.head.length()
		}
		ended = ended || o.left == 0 && o.head.endsStream()
	}
	return ended
}

// incoming follows the frames of a client, for the one setting that says how large the frames may be that it gets. What a client sends
// against the rules is grpc-go's to refuse.
type incoming struct {
	spoken   bool // whether there was anything
	skip     int  // bytes that do not matter
	head     head
	got      int // bytes of the head
	settings int // bytes of settings that are to come
	setting  [settingBytes]byte
	gotten   int // bytes of the setting
	maxFrame atomic.Int32
}

func newIncoming() *incoming {
	i := &incoming{skip: len(preface)}
	i.maxFrame.Store(minMaxFrame)
	return i
}

func (i *incoming) follow(p []byte) {
	for len(p) > 0 {
		switch {
		case i.skip > 0:
			n := min(i.skip, len(p))
			i.skip -= n
			p = p[n:]
		case i.settings > 0:
			n := copy(i.setting[i.gotten:], p)
			i.gotten += n
			i.settings -= n
			p = p[n:]
			if i.gotten == settingBytes {
				i.gotten = 0
				i.take()
			}
		default:
			n := copy(i.head[i.got:], p)
			i.got += n
			p = p[n:]
			if i.got == headBytes {
				i.got = 0
				i.begin()
			}
		}
	}
}

// begin looks at the head of a frame.
func (i *incoming) begin() {
	n := i.head.length()
	if i.head[3] == typeSettings && i.head[4]&flagAck == 0 && n%settingBytes == 0 {
		i.settings = n
		return
	}
	i.skip = n
}

// take looks at a setting.
func (i *incoming) take() {
	if binary.BigEndian.Uint16(i.setting[:]) != settingMaxFrame {
		return
	}
	if n := binary.BigEndian.Uint32(i.setting[2:]); n >= minMaxFrame && n <= maxMaxFrame {
		i.maxFrame.Store(int32(n))
	}
}
