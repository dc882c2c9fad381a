package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// The encapsulated messages of Arrow's IPC format: a continuation marker, the length of the metadata, the metadata (a Message in
// FlatBuffers), and a body. Counting rows takes the metadata alone, so bodies are passed over.
const (
	continuation = 0xFFFFFFFF
	// prefixSize is that of marker and length; before Arrow 0.15 there was no marker.
	prefixSize       = 8
	legacyPrefixSize = 4
)

// message is what one encapsulated message's metadata says, and where its body is.
type message struct {
	ipcguard.Message
	body int64
	end  int64 // where the next message begins
}

// messageAt reads the message that begins at off, without its body. The end of the stream, marked or not, is io.EOF; an end inside a
// message is an error. It panics, as FlatBuffers do, where metadata refer to bytes that there are not: it is called under protect.
func messageAt(o source.Object, r io.ReaderAt, off int64) (message, error) {
	left := o.Size() - off
	if left == 0 {
		return message{}, io.EOF
	}
	if left < legacyPrefixSize {
		return message{}, cutAt(o, off)
	}
	prefix, err := readAt(o, r, off, min(left, prefixSize))
	if err != nil {
		return message{}, err
	}
	start := int64(legacyPrefixSize)
	length := binary.LittleEndian.Uint32(prefix)
	if length == continuation {
		if left < prefixSize {
			return message{}, cutAt(o, off)
		}
		start = prefixSize
		length = binary.LittleEndian.Uint32(prefix[legacyPrefixSize:])
	}
	if length == 0 {
		return message{}, io.EOF
	}
	if int64(length) > left-start {
		return message{}, cutAt(o, off)
	}
	metadata, err := readAt(o, r, off+start, int64(length))
	if err != nil {
		return message{}, err
	}
	parsed, err := ipcguard.Parse(metadata)
	if err != nil {
		return message{}, fmt.Errorf("the message at byte %d: %w", off, err)
	}
	m := message{Message: parsed, body: off + start + int64(length)}
	if m.BodyLength < 0 || m.BodyLength > o.Size()-m.body {
		return message{}, cutAt(o, off)
	}
	m.end = m.body + m.BodyLength
	return m, nil
}

func cutAt(o source.Object, off int64) error {
	return fmt.Errorf("the message at byte %d does not fit in the file of %d bytes: the file is cut, damaged, or still being written", off, o.Size())
}

// firstMessage is where an Arrow file's schema is: behind the magic and its padding.
const firstMessage = 8

// fileTail is the length of the footer, and the magic.
const fileTail = 4 + 6

// readFooter reads an Arrow file's footer, and makes sure that its blocks are inside the file. It panics as messageAt does.
func readFooter(o source.Object, r io.ReaderAt) (footer ipcguard.Footer, err error) {
	tail, err := readAt(o, r, o.Size()-fileTail, fileTail)
	if err != nil {
		return footer, err
	}
	length := int64(int32(binary.LittleEndian.Uint32(tail)))
	if length <= 0 || length > o.Size()-fileTail {
		return footer, fmt.Errorf("its footer of %d bytes does not fit in the file of %d: the file is damaged or cut", length, o.Size())
	}
	metadata, err := readAt(o, r, o.Size()-fileTail-length, length)
	if err != nil {
		return footer, err
	}
	if footer, err = ipcguard.ParseFooter(metadata); err != nil {
		return footer, err
	}
	for _, offsets := range [][]int64{footer.Dictionaries, footer.Batches} {
		for _, off := range offsets {
			if off < firstMessage || off >= o.Size() {
				return footer, fmt.Errorf("its footer says that there is a batch at byte %d of %d: the file is damaged", off, o.Size())
			}
		}
	}
	return footer, nil
}

// streamRows counts the rows of an Arrow stream.
func streamRows(o source.Object, r io.ReaderAt, check func() error) (rows int64, err error) {
	for off := int64(0); ; {
		if err := check(); err != nil {
			return 0, err
		}
		m, err := messageAt(o, r, off)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return 0, err
		}
		switch m.Kind {
		case ipcguard.KindRecordBatch:
			if rows, err = addRows(rows, m.Rows); err != nil {
				return 0, err
			}
		case ipcguard.KindSchema, ipcguard.KindDictionaryBatch:
		default:
			return 0, fmt.Errorf("the message at byte %d is of kind %d, which has no place in a table: the file is damaged", off, m.Kind)
		}
		off = m.end
	}
}

// blockAt reads the message that a file has at a known place, without its body.
func blockAt(o source.Object, r io.ReaderAt, off int64, kind ipcguard.Kind) (message, error) {
	m, err := messageAt(o, r, off)
	if errors.Is(err, io.EOF) || err == nil && m.Kind != kind {
		return message{}, fmt.Errorf("there is no %s at byte %d, where it should be: the file is damaged", kind, off)
	}
	return m, err
}
