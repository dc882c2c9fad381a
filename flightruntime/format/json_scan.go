package format

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

const (
	// jsonBlock is what is read at a time: large enough for few reads, small enough to end soon when cancelled.
	jsonBlock = 256 << 10
	// maxDepth of arrays and objects in each other, which is that of the Arrow type too. Other readers of Arrow stop at 64.
	maxDepth = 64
)

// jsonScanner finds the records of JSON: objects one after the other (on lines of their own, as a rule), or those in one array.
type jsonScanner struct {
	object  source.Object
	input   *jsonInput
	decoder *jsontext.Decoder
	began   bool
	inArray bool
	row     int64 // records begun: the number of the current one, from 1 on
	depth   int
	scratch []byte
}

func newJSONScanner(ctx context.Context, o source.Object, r io.ReaderAt) (*jsonScanner, error) {
	if o.Size() == 0 {
		return nil, errors.New("the file is empty: expected JSON objects, one on each line, or an array of them")
	}
	buffered := bufio.NewReaderSize(section(o, r), int(min(jsonBlock, o.Size())))
	head, err := buffered.Peek(int(min(16, o.Size())))
	if err != nil {
		return nil, readError(o, err)
	}
	if bytes.HasPrefix(head, utf8BOM) {
		_, _ = buffered.Discard(len(utf8BOM)) // they are in the buffer
	} else if like := looksLike(head); like != "" && head[0] != '{' && head[0] != '[' {
		return nil, notA("JSON", head)
	}
	input := &jsonInput{ctx: ctx, object: o, r: buffered}
	// Names that come twice are found where they are looked up anyway.
	return &jsonScanner{object: o, input: input, decoder: jsontext.NewDecoder(input, jsontext.AllowDuplicateNames(true))}, nil
}

// jsonInput ends a decoder's reading when the context ends, or when a record is longer than may be held in memory.
type jsonInput struct {
	ctx    context.Context
	object source.Object
	r      io.Reader
	read   int64
	limit  int64
}

var errRecordTooLong = fmt.Errorf("it has more than %d bytes: a bracket or quote may be missing", maxRecordBytes)

func (in *jsonInput) Read(p []byte) (int, error) {
	if err := in.ctx.Err(); err != nil {
		return 0, err
	}
	if in.read > in.limit {
		return 0, errRecordTooLong
	}
	n, err := in.r.Read(p)
	in.read += int64(n)
	return n, err
}

// next begins the next record: what follows are its names and values. io.EOF says that there are no more.
func (s *jsonScanner) next() error {
	s.input.limit = s.decoder.InputOffset() + maxRecordBytes
	if !s.began {
		s.began = true
		if s.decoder.PeekKind() == '[' {
			s.inArray = true
			if _, err := s.decoder.ReadToken(); err != nil {
				return s.syntax(err)
			}
		}
	}
	if s.inArray && s.decoder.PeekKind() == ']' {
		if _, err := s.decoder.ReadToken(); err != nil {
			return s.syntax(err)
		}
		s.inArray = false
		if _, err := s.decoder.ReadToken(); !errors.Is(err, io.EOF) {
			return errors.New("there is more after the array of records: expected the end of the file")
		}
		return io.EOF
	}
	kind := s.decoder.PeekKind()
	if kind != '{' && kind != 0 {
		return fmt.Errorf("record %d: expected an object, got %s", s.row+1, article(kindOf(kind)))
	}
	_, err := s.decoder.ReadToken()
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	s.row++
	if err != nil {
		return s.syntax(err)
	}
	s.depth = 1
	return nil
}

// members calls f with the name of each member of the object that has begun, with the value still to be read. The name is valid until then.
func (s *jsonScanner) members(f func(name []byte) error) error {
	for s.decoder.PeekKind() != '}' {
		raw, err := s.decoder.ReadValue()
		if err != nil {
			return s.syntax(err)
		}
		name, err := s.text(raw)
		if err != nil {
			return err
		}
		if err := f(name); err != nil {
			return err
		}
	}
	return s.end()
}

// elements calls f for each element of the array that has begun, with the value still to be read.
func (s *jsonScanner) elements(f func() error) error {
	for s.decoder.PeekKind() != ']' {
		if err := f(); err != nil {
			return err
		}
	}
	return s.end()
}

// begin reads the bracket that begins an array or an object.
func (s *jsonScanner) begin() error {
	if _, err := s.decoder.ReadToken(); err != nil {
		return s.syntax(err)
	}
	s.depth++
	if s.depth > maxDepth {
		return s.errorf("arrays and objects are nested more than %d deep", maxDepth)
	}
	return nil
}

func (s *jsonScanner) end() error {
	s.depth--
	if _, err := s.decoder.ReadToken(); err != nil {
		return s.syntax(err)
	}
	return nil
}

// value reads a literal as it stands in the file. It is valid until the next is read.
func (s *jsonScanner) value() ([]byte, error) {
	raw, err := s.decoder.ReadValue()
	if err != nil {
		return nil, s.syntax(err)
	}
	return raw, nil
}

// skip passes over a value of any kind.
func (s *jsonScanner) skip() error {
	if err := s.decoder.SkipValue(); err != nil {
		return s.syntax(err)
	}
	return nil
}

// text is what a string literal means. It is valid until the next is read.
func (s *jsonScanner) text(raw []byte) ([]byte, error) {
	if len(raw) >= 2 && bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	var err error
	s.scratch, err = jsontext.AppendUnquote(s.scratch[:0], raw)
	if err != nil {
		return nil, s.errorf("%s is not a valid string", quoted(string(raw)))
	}
	return s.scratch, nil
}

// syntax is the error for what is not JSON, or for what kept it from being read.
func (s *jsonScanner) syntax(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case s.input.ctx.Err() != nil:
		return s.input.ctx.Err()
	case errors.Is(err, errRecordTooLong):
		return fmt.Errorf("record %d: %w", s.row, errRecordTooLong)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("the file ends in the middle of record %d: it is cut, or still being written", s.row)
	case errors.As(err, &syntax) && syntax.Err != nil:
		what := strings.TrimPrefix(syntax.Err.Error(), "jsontext: ")
		if strings.HasPrefix(what, "invalid character 'N' at start") || strings.HasPrefix(what, "invalid character 'I'") {
			what += ": NaN and Infinity are not JSON, write null"
		}
		return fmt.Errorf("record %d%s, at byte %d: %s", s.row, s.place(syntax.JSONPointer), syntax.ByteOffset, what)
	default:
		return readError(s.object, err)
	}
}

// errorf is an error about the value last read.
func (s *jsonScanner) errorf(format string, args ...any) error {
	return fmt.Errorf("record %d%s: %s", s.row, s.place(s.decoder.StackPointer()), fmt.Sprintf(format, args...))
}

// unexpected is an error about the kind of the next value.
func (s *jsonScanner) unexpected(got jsonKind, expected string) error {
	if _, err := s.decoder.ReadToken(); err != nil { // so that the decoder points to it
		return s.syntax(err)
	}
	return s.errorf("expected %s, got %s", expected, article(got))
}

// place is a JSON pointer within the record, for a message.
func (s *jsonScanner) place(p jsontext.Pointer) string {
	path := string(p)
	if s.inArray { // the first token is the record's own index
		_, rest, found := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		path = ""
		if found {
			path = "/" + rest
		}
	}
	if path == "" {
		return ""
	}
	return ", " + cut(path)
}
