package conn

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// frame is an encoded frame.
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	var h head
	h.setLength(len(payload))
	h[3], h[4] = kind, flags
	binary.BigEndian.PutUint32(h[5:], stream)
	return append(h[:], payload...)
}

func setting(id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, id), value)
}

func TestFramesThatEndAStreamAreSeen(t *testing.T) {
	const padded, endHeaders = 0x8, 0x4
	for _, tt := range []struct {
		name   string
		frames [][]byte
		ended  bool
	}{
		{"data", [][]byte{frame(typeData, 0, 1, make([]byte, 100))}, false},
		{"the last data", [][]byte{frame(typeData, flagEndStream, 1, make([]byte, 100))}, true},
		{"an end without data", [][]byte{frame(typeData, flagEndStream, 1, nil)}, true},
		{"an end with padding", [][]byte{frame(typeData, flagEndStream|padded, 1, []byte{1, 7, 0})}, true},
		{"headers", [][]byte{frame(typeHeaders, endHeaders, 1, make([]byte, 30))}, false},
		{"trailers", [][]byte{frame(typeHeaders, endHeaders|flagEndStream, 1, make([]byte, 30))}, true},
		{"an acknowledgement, which has the same flag", [][]byte{frame(typeSettings, flagAck, 0, nil)}, false},
		{"trailers, then settings", [][]byte{frame(typeHeaders, flagEndStream, 1, nil), frame(typeSettings, 0, 0, setting(5, 1<<14))}, true},
		{"a payload that looks like an end", [][]byte{frame(typeData, 0, 1, frame(typeHeaders, flagEndStream, 1, nil))}, false},
	} {
		all := slices.Concat(tt.frames...)
		for size := 1; size <= len(all); size++ {
			var o outgoing
			ended := false
			for piece := range slices.Chunk(all, size) {
				ended = o.follow(piece) || ended
			}
			if ended != tt.ended || !o.atBoundary() {
				t.Errorf("%s, in pieces of %d: ended %v, at a boundary %v; expected %v, true", tt.name, size, ended, o.atBoundary(), tt.ended)
			}
		}
	}
}

func TestTheClientsLargestFrameIsFollowed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		frames [][]byte
		want   int32
	}{
		{"nothing said", nil, 1 << 14},
		{"other settings", [][]byte{frame(typeSettings, 0, 0, setting(4, 1<<20))}, 1 << 14},
		{"the setting", [][]byte{frame(typeSettings, 0, 0, setting(5, 1<<20))}, 1 << 20},
		{"among others", [][]byte{frame(typeSettings, 0, 0, slices.Concat(setting(3, 100), setting(5, 1<<22), setting(4, 7)))}, 1 << 22},
		{"said again", [][]byte{frame(typeSettings, 0, 0, setting(5, 1<<22)), frame(typeData, 0, 1, make([]byte, 50)), frame(typeSettings, 0, 0, setting(5, 1<<15))}, 1 << 15},
		{"an acknowledgement", [][]byte{frame(typeSettings, flagAck, 0, nil)}, 1 << 14},
		{"less than is allowed", [][]byte{frame(typeSettings, 0, 0, setting(5, 1000))}, 1 << 14},
		{"more than is allowed", [][]byte{frame(typeSettings, 0, 0, setting(5, 1<<24))}, 1 << 14},
		{"of a length that is none", [][]byte{frame(typeSettings, 0, 0, append(setting(5, 1<<20), 0))}, 1 << 14},
		{"within data", [][]byte{frame(typeData, 0, 1, frame(typeSettings, 0, 0, setting(5, 1<<20)))}, 1 << 14},
	} {
		all := append([]byte(preface), slices.Concat(tt.frames...)...)
		for size := 1; size <= len(all); size++ {
			i := newIncoming()
			for piece := range slices.Chunk(all, size) {
				i.follow(piece)
			}
			if got := i.maxFrame.Load(); got != tt.want {
				t.Errorf("%s, in pieces of %d: %d, expected %d", tt.name, size, got, tt.want)
			}
		}
	}
}

// What a client sends must not matter but for the setting, and how it is cut into pieces not at all.
func FuzzIncoming(f *testing.F) {
	f.Add([]byte(preface), uint8(3))
	f.Add(append([]byte(preface), frame(typeSettings, 0, 0, setting(5, 1<<20))...), uint8(7))
	f.Add(append([]byte(preface), bytes.Repeat(frame(typeData, 1, 3, []byte("data")), 9)...), uint8(1))
	f.Fuzz(func(t *testing.T, sent []byte, size uint8) {
		whole, pieces := newIncoming(), newIncoming()
		whole.follow(sent)
		for piece := range slices.Chunk(sent, int(size)+1) {
			pieces.follow(piece)
		}
		got, same := whole.maxFrame.Load(), pieces.maxFrame.Load()
		if got != same || got < minMaxFrame || got > maxMaxFrame {
			t.Errorf("the largest frame is %d at once and %d in pieces, expected one number between %d and %d", got, same, minMaxFrame, maxMaxFrame)
		}
		if whole.head != pieces.head || whole.skip != pieces.skip || whole.got != pieces.got || whole.settings != pieces.settings {
			t.Errorf("at once the follower is elsewhere (%+v) than in pieces (%+v)", &whole.head, &pieces.head)
		}
	})
}

// What is written in whatever pieces is followed to the same place.
func FuzzOutgoing(f *testing.F) {
	f.Add(frame(typeData, flagEndStream, 1, []byte("data")), uint8(2))
	f.Add(append(frame(typeHeaders, 0, 1, []byte("headers")), 0, 0, 1), uint8(4))
	f.Fuzz(func(t *testing.T, written []byte, size uint8) {
		var whole, pieces outgoing
		atOnce, inPieces := whole.follow(written), false
		for piece := range slices.Chunk(written, int(size)+1) {
			inPieces = pieces.follow(piece) || inPieces
		}
		if atOnce != inPieces || whole != pieces {
			t.Errorf("at once %v, %+v; in pieces %v, %+v", atOnce, whole, inPieces, pieces)
		}
	})
}
