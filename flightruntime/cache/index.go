package cache

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// The file of a part, whichever mode it is of:
//
//	header    the magic, and zeros up to bodyAlignment
//	messages  FlightData as it goes over the wire: the schema, then dictionaries and record batches. Each body begins at a multiple of
//	          bodyAlignment; zeros fill the gaps
//	index     JSON: where the messages are, and their checksums
//	trailer   the length of the index in 8 bytes and its CRC-32C in 4, little-endian, 4 zeros, the magic
//
// The magic names the version of all this: files of another one are not read. It is another one, too, where batches were decoded wrongly before.
const (
	magic = "flight.cache/v1\n"
	// bodyAlignment is that which Arrow recommends.
	bodyAlignment = 64
	trailerSize   = 8 + 4 + 4 + int64(len(magic))
	// maxIndex is that of a part of some terabytes.
	maxIndex = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// index is what a part's file says of itself.
type index struct {
	Key string `json:"key"`
	// Units are the numbers of rows of the pieces that can be read each on its own.
	Units []int64 `json:"units"`
	// Note is that of the source.
	Note []byte `json:"note,omitempty"`
	// Messages in their order. The first is the schema.
	Messages []message `json:"messages"`
}

// message is where a message is in the file, and what it brings.
type message struct {
	From int64         `json:"from"`
	Body int64         `json:"body"`
	To   int64         `json:"to"`
	Kind ipcguard.Kind `json:"kind"`
	Sum  uint32        `json:"sum"` // CRC-32C
	// Of record batches: the unit that the rows are of.
	Rows int64 `json:"rows,omitempty"`
	Unit int   `json:"unit,omitempty"`
	// Of dictionaries.
	Dictionary int64 `json:"dictionary,omitempty"`
	Delta      bool  `json:"delta,omitempty"`
}

// encode is the index and the trailer.
func (x *index) encode() ([]byte, error) {
	b, err := json.Marshal(x)
	if err != nil {
		return nil, err
	}
	length, sum := uint64(len(b)), crc32.Checksum(b, castagnoli)
	b = binary.LittleEndian.AppendUint64(b, length)
	b = binary.LittleEndian.AppendUint32(b, sum)
	b = append(b, 0, 0, 0, 0)
	return append(b, magic...), nil
}

// errDamaged is what errors wrap about files that cannot be trusted.
var errDamaged = errors.New("the file of the cache is damaged, or none of this version")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, args...))
}

// readIndex reads the index of a file of so many bytes, and makes sure that it holds together and is of that key and those units.
func readIndex(r io.ReaderAt, size int64, k Key, units []int64) (*index, error) {
	if size < bodyAlignment+trailerSize {
		return nil, damaged("it has %d bytes", size)
	}
	head, trailer := make([]byte, len(magic)), make([]byte, trailerSize)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, err
	}
	if _, err := r.ReadAt(trailer, size-trailerSize); err != nil {
		return nil, err
	}
	if string(head) != magic || string(trailer[16:]) != magic {
		return nil, damaged("it does not begin and end with %q", magic)
	}
	length := binary.LittleEndian.Uint64(trailer)
	if length > maxIndex || int64(length) > size-trailerSize-bodyAlignment {
		return nil, damaged("its index has %d bytes", length)
	}
	end := size - trailerSize - int64(length)
	b := make([]byte, length)
	if _, err := r.ReadAt(b, end); err != nil {
		return nil, err
	}
	if sum := crc32.Checksum(b, castagnoli); sum != binary.LittleEndian.Uint32(trailer[8:]) {
		return nil, damaged("the checksum of its index is %08x", sum)
	}
	x := &index{}
	if err := json.Unmarshal(b, x); err != nil {
		return nil, damaged("its index is no JSON")
	}
	if err := x.check(end, k, units); err != nil {
		return nil, err
	}
	return x, nil
}

// check makes sure that an index, behind end bytes of messages, holds together.
func (x *index) check(end int64, k Key, units []int64) error {
	if x.Key != k.String() {
		return damaged("it is of another part")
	}
	if len(x.Units) != len(units) {
		return damaged("it has %d units: expected %d", len(x.Units), len(units))
	}
	if len(x.Messages) == 0 || x.Messages[0].Kind != ipcguard.KindSchema {
		return damaged("it does not begin with a schema")
	}
	rows := make([]int64, len(units))
	at, unit := int64(bodyAlignment), 0
	for i, m := range x.Messages {
		if m.From < at || m.Body <= m.From || m.To < m.Body || m.To > end || m.Body%bodyAlignment != 0 || (m.Kind == ipcguard.KindSchema) != (i == 0) {
			return damaged("message %d cannot be where its index says", i)
		}
		at = m.To
		switch m.Kind {
		case ipcguard.KindSchema, ipcguard.KindDictionaryBatch:
		case ipcguard.KindRecordBatch:
			if m.Unit < unit || m.Unit >= len(units) || m.Rows < 0 || m.Rows > units[m.Unit]-rows[m.Unit] {
				return damaged("message %d has rows of which its index says nothing right", i)
			}
			unit = m.Unit
			rows[unit] += m.Rows
		default:
			return damaged("message %d is of kind %d", i, m.Kind)
		}
	}
	for i, n := range units {
		if rows[i] != n || x.Units[i] != n {
			return damaged("unit %d has %d rows: expected %d", i, rows[i], n)
		}
	}
	return nil
}

// verify reads all messages and compares them with their checksums.
func (x *index) verify(r io.ReaderAt, alive func() error) error {
	const step = 1 << 20
	buffer := make([]byte, step)
	for i, m := range x.Messages {
		if err := alive(); err != nil {
			return err
		}
		sum := uint32(0)
		for at := m.From; at < m.To; at += step {
			piece := buffer[:min(step, m.To-at)]
			if _, err := r.ReadAt(piece, at); err != nil {
				return err
			}
			sum = crc32.Update(sum, castagnoli, piece)
		}
		if sum != m.Sum {
			return damaged("the checksum of message %d is %08x: expected %08x", i, sum, m.Sum)
		}
	}
	return nil
}
