package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flight-operator/flight-operator/internal/text"
)

// Query is what a command descriptor asks of a dataset. As JSON, which is what ParseQuery reads and encoding/json writes:
//
//	{"dataset": "trips", "columns": ["fare"], "filter": "fare > 10.0 && city in ['ams', 'ber']", "limit": 100}
type Query struct {
	// Dataset is the name of the dataset.
	Dataset string `json:"dataset"`
	// Columns are the names of the columns asked for, in the order asked for. nil means all columns; empty, but not nil, means none: rows
	// are then counted and not shown.
	Columns []string `json:"columns,omitzero"`
	// Filter is a condition in CEL that rows have to meet. Empty means every row.
	Filter string `json:"filter,omitempty"`
	// Limit is the largest number of rows asked for, from all parts of the dataset together. nil means no limit.
	Limit *int64 `json:"limit,omitempty"`
}

// maxQueryBytes leaves room for a filter of maxFilterBytes and as many bytes of names again.
const maxQueryBytes = 64 << 10

// queryMembers are the members of a query, as messages list them.
var queryMembers = []string{"dataset", "columns", "filter", "limit"}

const exampleQuery = `{"dataset": "trips", "columns": ["fare"], "filter": "fare > 10.0", "limit": 100}`

// ParseQuery reads a query as a command descriptor carries it. Every departure from the form is an error that names the member and what is
// expected: members that there are not, members given twice, values of other types, text after the object. null stands for a member left
// out. Whether the dataset and its columns exist is none of ParseQuery's business.
func ParseQuery(command []byte) (Query, error) {
	if len(command) > maxQueryBytes {
		return Query{}, fmt.Errorf("the query has %d bytes, at most %d are read", len(command), maxQueryBytes)
	}
	p := queryParser{command: command, decoder: jsontext.NewDecoder(bytes.NewBuffer(command), jsontext.AllowDuplicateNames(true))}
	return p.parse()
}

type queryParser struct {
	command []byte
	decoder *jsontext.Decoder
	query   Query
}

func (p *queryParser) parse() (Query, error) {
	if kind := p.decoder.PeekKind(); kind != '{' {
		if kind == 0 && len(bytes.TrimSpace(p.command)) == 0 {
			return Query{}, errors.New("the query is empty: expected a JSON object such as " + exampleQuery)
		}
		return Query{}, fmt.Errorf("the query begins with %s: expected a JSON object such as %s", quoted(string(p.command)), exampleQuery)
	}
	if _, err := p.decoder.ReadToken(); err != nil {
		return Query{}, p.malformed(err)
	}
	seen := make(map[string]bool, len(queryMembers))
	for p.decoder.PeekKind() != '}' {
		name, err := p.decoder.ReadToken()
		if err != nil {
			return Query{}, p.malformed(err)
		}
		member := name.String()
		if seen[member] {
			return Query{}, fmt.Errorf("the query has the member %s twice", quoted(member))
		}
		seen[member] = true
		if err := p.member(member); err != nil {
			return Query{}, err
		}
	}
	if _, err := p.decoder.ReadToken(); err != nil {
		return Query{}, p.malformed(err)
	}
	end := p.decoder.InputOffset()
	if _, err := p.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		after := bytes.TrimSpace(p.command[end:])
		return Query{}, fmt.Errorf("the query goes on after its closing brace, with %s: expected one JSON object and nothing else", quoted(string(after)))
	}
	if p.query.Dataset == "" {
		return Query{}, errors.New(`the query names no dataset: expected a member "dataset", as in ` + exampleQuery)
	}
	return p.query, nil
}

// member reads the value of a member.
func (p *queryParser) member(name string) (err error) {
	q := &p.query
	switch name {
	case "dataset":
		q.Dataset, err = p.text(name, "the name of a dataset")
	case "filter":
		q.Filter, err = p.text(name, "a string with a condition, such as \"fare > 10.0\"")
	case "columns":
		q.Columns, err = p.names()
	case "limit":
		q.Limit, err = p.limit()
	default:
		if similar := text.Similar(name, queryMembers); similar != "" {
			return fmt.Errorf("the query has a member %s: did you mean %q?", quoted(name), similar)
		}
		return fmt.Errorf("the query has a member %s: expected only %s", quoted(name), strings.Join(queryMembers, ", "))
	}
	return err
}

// text reads a string, which is empty if the value is null.
func (p *queryParser) text(member, expected string) (string, error) {
	kind := p.decoder.PeekKind()
	if kind == 'n' {
		_, err := p.decoder.ReadToken()
		return "", p.malformed(err)
	}
	if kind != '"' {
		return "", p.unexpected(member, expected)
	}
	token, err := p.decoder.ReadToken()
	if err != nil {
		return "", p.malformed(err)
	}
	return token.String(), nil
}

// names reads an array of strings, or null.
func (p *queryParser) names() ([]string, error) {
	const member, expected = "columns", `an array of names, such as ["fare"]`
	kind := p.decoder.PeekKind()
	if kind != 'n' && kind != '[' {
		return nil, p.unexpected(member, expected)
	}
	if _, err := p.decoder.ReadToken(); err != nil || kind == 'n' {
		return nil, p.malformed(err)
	}
	names := []string{}
	for p.decoder.PeekKind() != ']' {
		if p.decoder.PeekKind() != '"' {
			return nil, p.unexpected(fmt.Sprintf("%s[%d]", member, len(names)), "a name")
		}
		token, err := p.decoder.ReadToken()
		if err != nil {
			return nil, p.malformed(err)
		}
		names = append(names, token.String())
	}
	_, err := p.decoder.ReadToken()
	return names, p.malformed(err)
}

// limit reads a number of rows, or null.
func (p *queryParser) limit() (*int64, error) {
	const member, expected = "limit", "a whole number of rows, 0 or more"
	kind := p.decoder.PeekKind()
	if kind != 'n' && kind != '0' {
		return nil, p.unexpected(member, expected)
	}
	value, err := p.decoder.ReadValue()
	if err != nil || kind == 'n' {
		return nil, p.malformed(err)
	}
	limit, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || limit < 0 {
		return nil, fmt.Errorf("limit is %s: expected %s", cut(string(value)), expected)
	}
	return &limit, nil
}

// unexpected is the error for a member whose next value is of another kind.
func (p *queryParser) unexpected(member, expected string) error {
	kind := p.decoder.PeekKind()
	if kind != '{' && kind != '[' { // it may only look like a value
		if _, err := p.decoder.ReadToken(); err != nil {
			return p.malformed(err)
		}
	}
	var got string
	switch kind {
	case 'n':
		got = "null"
	case 't', 'f':
		got = "a boolean"
	case '"':
		got = "a string"
	case '0':
		got = "a number"
	case '{':
		got = "an object"
	default:
		got = "an array"
	}
	return fmt.Errorf("%s is %s: expected %s", member, got, expected)
}

// malformed is the error for what is no JSON, nil if err is.
func (p *queryParser) malformed(err error) error {
	if err == nil {
		return nil
	}
	at := p.decoder.InputOffset()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		at = syntax.ByteOffset
	}
	if !utf8.Valid(p.command) {
		return errors.New("the query is not UTF-8")
	}
	if at >= int64(len(p.command)) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the query ends in the middle of its JSON, after %d bytes: expected an object such as %s", len(p.command), exampleQuery)
	}
	return fmt.Errorf("the query is no valid JSON at byte %d, where it says %s: expected an object such as %s",
		at+1, quoted(string(p.command[at:])), exampleQuery)
}

// mostShown bytes of what a caller sent stand in a message: enough to find the place.
const mostShown = 80

// quoted is text of a caller's as it may stand in a message: visible, and cut if long.
func quoted(s string) string { return strconv.Quote(cut(s)) }

// cut shortens text of a caller's for a message.
func cut(s string) string { return text.Cut(s, mostShown) }
