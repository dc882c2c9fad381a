package format

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

const (
	// csvBlock is what is read at a time: large enough for few reads, small enough to end soon when cancelled.
	csvBlock = 1 << 20
	// maxRecordBytes bounds one row of CSV or one object of JSON, for it is held in memory as a whole. Rows have some hundred bytes; one of
	// 64 MiB is a quote or a bracket that is never closed.
	maxRecordBytes = 64 << 20
)

// csvScanner cuts CSV into records and fields, as pyarrow does:
//   - records end with a line feed, a carriage return or both, and the last one with the file; empty lines are no records;
//   - a field that begins with a double quote goes on to the next one that is not doubled, through commas and line ends; what follows
//     before the next comma is taken as it stands;
//   - elsewhere a double quote is a character like others.
//
// encoding/csv refuses some of this or, with LazyQuotes, means something else by it.
type csvScanner struct {
	ctx    context.Context
	object source.Object
	r      io.Reader

	buf      []byte
	pos, end int // what is not scanned yet: buf[pos:end]
	eof      bool
	read     int64 // bytes scanned

	row    int64    // records scanned; the header is record 1
	fields [][]byte // of the last record; they are slices of buf
	escape []int    // the fields that hold quotes
}

func newCSVScanner(ctx context.Context, o source.Object, r io.ReaderAt) *csvScanner {
	return &csvScanner{ctx: ctx, object: o, r: section(o, r), buf: make([]byte, min(csvBlock, o.Size()+1))}
}

var utf8BOM = []byte("\xef\xbb\xbf")

// header scans the first record.
func (s *csvScanner) header() ([][]byte, error) {
	if s.object.Size() == 0 {
		return nil, errors.New("the file is empty: expected CSV, which begins with a line of column names")
	}
	if err := s.fill(); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(s.buf[s.pos:s.end], utf8BOM) {
		s.pos += len(utf8BOM)
	}
	head := s.buf[s.pos:min(s.end, s.pos+16)]
	if like := looksLike(head); like != "" && head[0] != '{' && head[0] != '[' {
		return nil, notA("CSV", head)
	}
	fields, err := s.next()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("there is no header: the file has empty lines only, expected a line of column names")
	}
	return fields, err
}

// next scans a record. The fields are valid until the next call. io.EOF says that there are no more.
func (s *csvScanner) next() ([][]byte, error) {
	for {
		for s.pos < s.end && (s.buf[s.pos] == '\n' || s.buf[s.pos] == '\r') {
			s.pos++
		}
		if n := s.split(s.buf[s.pos:s.end]); n > 0 {
			s.pos += n
			s.read += int64(n)
			s.row++
			for _, i := range s.escape {
				s.fields[i] = unquote(s.fields[i])
			}
			return s.fields, nil
		}
		if s.eof {
			return nil, io.EOF
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more, behind what is not scanned yet.
func (s *csvScanner) fill() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	copy(s.buf, s.buf[s.pos:s.end])
	s.end -= s.pos
	s.pos = 0
	if s.end == len(s.buf) {
		if len(s.buf) >= maxRecordBytes {
			return fmt.Errorf("row %d has more than %d bytes: a quote may be missing at the end of a field", s.row+1, maxRecordBytes)
		}
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	n, err := s.r.Read(s.buf[s.end:])
	s.end += n
	if errors.Is(err, io.EOF) {
		s.eof = true
		return nil
	}
	if err != nil {
		return readError(s.object, err)
	}
	return nil
}

// split cuts the record at the start of b into fields and returns its length with the line end, or 0 if it is not complete in b. Fields
// in escape are not unquoted yet.
func (s *csvScanner) split(b []byte) int {
	fields, escape := s.fields[:0], s.escape[:0]
	for i := 0; ; i++ {
		start := i
		if i < len(b) && b[i] == '"' {
			end, doubled := closingQuote(b, i+1)
			i = fieldEnd(b, min(end+1, len(b)))
			if end == i-1 && !doubled { // quotes around the field and nowhere else
				fields = append(fields, b[start+1:end])
			} else {
				escape = append(escape, len(fields))
				fields = append(fields, b[start:i])
			}
		} else {
			i = fieldEnd(b, i)
			fields = append(fields, b[start:i])
		}
		if i < len(b) && b[i] == ',' {
			continue
		}
		s.fields, s.escape = fields, escape
		switch {
		case i < len(b):
			return i + 1
		case s.eof:
			return i // 0 if there is nothing
		default:
			return 0
		}
	}
}

// fieldEnd is the index of the comma or line end that ends the field at b[i:], or len(b).
func fieldEnd(b []byte, i int) int {
	for i < len(b) && (b[i] > ',' || b[i] != ',' && b[i] != '\n' && b[i] != '\r') {
		i++
	}
	return i
}

// closingQuote is the index of the quote that ends the quoted text at b[i:], or len(b), and whether there are doubled ones before it.
func closingQuote(b []byte, i int) (end int, doubled bool) {
	for {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b), doubled
		}
		i += n
		if i+1 == len(b) || b[i+1] != '"' {
			return i, doubled
		}
		doubled = true
		i += 2
	}
}

// unquote takes the quotes off a field, in place: the one it begins with, its counterpart, and one of each doubled pair between them.
func unquote(field []byte) []byte {
	end, _ := closingQuote(field, 1)
	out := field[:0]
	for i := 1; i < end; i++ {
		out = append(out, field[i])
		if field[i] == '"' {
			i++
		}
	}
	if end < len(field) {
		out = append(out, field[end+1:]...)
	}
	return out
}
