package ipcguard

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
)

// bytesOf checks strings and bytes that stand one after the other.
func bytesOf[T int32 | int64](c *check) error {
	data := c.buffer(2)
	w, err := offsets[T](c, len(data))
	if err != nil || len(w) == 0 || c.validation != ValidateFull || !isText(c.dt) {
		return err
	}
	// Most text is valid, so it is looked at in one piece, many bytes at a time. Strings are then valid if none begins inside a character.
	data = data[:w[len(w)-1]]
	if utf8.Valid(data[w[0]:]) {
		split := false
		for _, o := range w {
			split = split || int(o) < len(data) && !utf8.RuneStart(data[o])
		}
		if !split {
			return nil
		}
	}
	for i := range c.Len() {
		if value := data[w[i]:w[i+1]]; !utf8.Valid(value) && !c.null(i) {
			return notText(i, value)
		}
	}
	return nil
}

func isText(dt arrow.DataType) bool {
	switch dt.ID() {
	case arrow.STRING, arrow.LARGE_STRING, arrow.STRING_VIEW:
		return true
	default:
		return false
	}
}

// notText names the first byte that is not UTF-8.
func notText(row int, value []byte) error {
	at := 0
	for at < len(value) {
		r, size := utf8.DecodeRune(value[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return fmt.Errorf("row %d is not UTF-8: byte %d is %#02x", row, at, value[at])
}

// views checks strings and bytes that short values stand in, and that point at long ones.
func (c *check) views() error {
	views, err := window[arrow.ViewHeader](c, 1, 0)
	if err != nil || !c.full() {
		return err
	}
	utf := c.validation == ValidateFull && isText(c.dt)
	raw := arrow.GetBytes(views)
	for i := range views {
		if c.null(i) {
			continue // it may point anywhere
		}
		v := &views[i]
		if v.Len() < 0 {
			return fmt.Errorf("row %d has a length of %d", i, v.Len())
		}
		var value []byte
		if v.IsInline() {
			value = v.InlineBytes()
			// What compares views compares all of their bytes.
			if padding := raw[i*arrow.ViewHeaderSizeBytes:][viewLengthBytes+len(value) : arrow.ViewHeaderSizeBytes]; !zero(padding) {
				return fmt.Errorf("row %d has %d bytes and others behind them that are not 0", i, len(value))
			}
		} else {
			from := int(v.BufferOffset())
			var data []byte
			if v.BufferIndex() >= 0 {
				data = c.buffer(2 + int(v.BufferIndex()))
			}
			if from < 0 || from+v.Len() > len(data) {
				return fmt.Errorf("row %d takes %d bytes from byte %d of buffer %d, which has %d", i, v.Len(), from, v.BufferIndex(), len(data))
			}
			value = data[from : from+v.Len()]
			if prefix := v.Prefix(); !bytes.Equal(prefix[:], value[:len(prefix)]) {
				return fmt.Errorf("row %d says that it begins with %q and begins with %q", i, prefix, value[:len(prefix)])
			}
		}
		if utf && !utf8.Valid(value) {
			return notText(i, value)
		}
	}
	return nil
}

// viewLengthBytes of a view are its length.
const viewLengthBytes = 4

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
