package format

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// jsonKind is what JSON itself tells apart. A column keeps to one, besides null.
type jsonKind string

const (
	jsonNull   jsonKind = "null"
	jsonBool   jsonKind = "boolean"
	jsonNumber jsonKind = "number"
	jsonString jsonKind = "string"
	jsonArray  jsonKind = "array"
	jsonObject jsonKind = "object"
)

func kindOf(k jsontext.Kind) jsonKind {
	switch k {
	case 't', 'f':
		return jsonBool
	case '0':
		return jsonNumber
	case '"':
		return jsonString
	case '[':
		return jsonArray
	case '{':
		return jsonObject
	default:
		return jsonNull
	}
}

// article puts "a" or "an" before a kind, where it needs one.
func article(k jsonKind) string {
	switch k {
	case jsonNull:
		return "null"
	case jsonArray, jsonObject:
		return "an " + string(k)
	default:
		return "a " + string(k)
	}
}

// jsonNode is what is known of all values at one place of the records.
type jsonNode struct {
	kind jsonKind
	// Where the kind was first seen.
	object string
	row    int64

	double  bool         // some number is no integer of 64 bits
	words   bool         // some string is no timestamp
	element *jsonNode    // of arrays
	members *jsonMembers // of objects
	total   *jsonNodeCount
}

// jsonNodeCount bounds the number of nodes of one tree.
type jsonNodeCount int

// jsonMembers are the members of objects at one place, in the order of their first appearance.
type jsonMembers struct {
	nodes  []*jsonNode
	lookup memberLookup
}

// memberLookup finds members by name, and those that an object has twice.
type memberLookup struct {
	names  []string
	byName map[string]int
	seen   []int64 // the last object that had the member
	object int64   // objects begun
	hint   int     // where the next member is if this object is like the last
}

func newMemberLookup(names []string) memberLookup {
	l := memberLookup{byName: make(map[string]int, len(names))}
	for _, name := range names {
		l.add(name)
	}
	return l
}

func (l *memberLookup) add(name string) int {
	i := len(l.names)
	l.names = append(l.names, name)
	l.seen = append(l.seen, 0)
	l.byName[name] = i
	return i
}

// begin begins an object.
func (l *memberLookup) begin() {
	l.object++
	l.hint = 0
}

// find is a member's index, or -1.
func (l *memberLookup) find(name []byte) int {
	i := l.hint
	if i >= len(l.names) || l.names[i] != string(name) {
		var ok bool
		if i, ok = l.byName[string(name)]; !ok {
			return -1
		}
	}
	l.hint = i + 1
	return i
}

// mark notes that the object has the member, and is false if it had it already.
func (l *memberLookup) mark(i int) bool {
	if l.seen[i] == l.object {
		return false
	}
	l.seen[i] = l.object
	return true
}

// newJSONNode is the root of what is known of records.
func newJSONNode() *jsonNode {
	return new(jsonNodeCount).node(jsonObject)
}

func (c *jsonNodeCount) node(kind jsonKind) *jsonNode {
	*c++
	n := &jsonNode{kind: kind, total: c}
	if kind == jsonObject {
		n.members = &jsonMembers{lookup: newMemberLookup(nil)}
	}
	return n
}

// learn takes in the next value of the scanner.
func (n *jsonNode) learn(s *jsonScanner) error {
	kind := kindOf(s.decoder.PeekKind())
	if kind != jsonNull && kind != n.kind {
		if err := n.become(s, kind); err != nil {
			return err
		}
	}
	switch kind {
	case jsonObject:
		if err := s.begin(); err != nil {
			return err
		}
		return n.learnMembers(s)
	case jsonArray:
		if err := s.begin(); err != nil {
			return err
		}
		return s.elements(func() error { return n.element.learn(s) })
	default:
		return n.learnLiteral(s, kind)
	}
}

// become gives a node its kind, of which it has but one.
func (n *jsonNode) become(s *jsonScanner, kind jsonKind) error {
	if n.kind != jsonNull {
		expected := fmt.Sprintf("%s as in record %d", article(n.kind), n.row)
		if n.object != s.object.Name() {
			expected += " of " + n.object
		}
		return s.unexpected(kind, expected)
	}
	n.kind, n.object, n.row = kind, s.object.Name(), s.row
	switch kind {
	case jsonArray:
		n.element = n.total.node(jsonNull)
	case jsonObject:
		n.members = &jsonMembers{lookup: newMemberLookup(nil)}
	default: // a literal has nothing within
	}
	return nil
}

// learnMembers takes in the members of an object that has begun.
func (n *jsonNode) learnMembers(s *jsonScanner) error {
	m := n.members
	m.lookup.begin()
	return s.members(func(name []byte) error {
		i := m.lookup.find(name)
		if i < 0 {
			if *n.total >= maxColumns {
				return s.errorf("there are more than %d different columns: are names used as data?", maxColumns)
			}
			i = m.lookup.add(string(name))
			m.nodes = append(m.nodes, n.total.node(jsonNull))
		}
		if !m.lookup.mark(i) {
			return s.errorf("the object has the name %s twice", quoted(string(name)))
		}
		return m.nodes[i].learn(s)
	})
}

func (n *jsonNode) learnLiteral(s *jsonScanner, kind jsonKind) error {
	raw, err := s.value()
	if err != nil {
		return err
	}
	switch {
	case kind == jsonNumber:
		return n.learnNumber(s, raw)
	case kind == jsonString && !n.words:
		text, err := s.text(raw)
		if err != nil {
			return err
		}
		t, ok := parseTimestamp(text)
		n.words = !ok || t.fraction
	}
	return nil
}

func (n *jsonNode) learnNumber(s *jsonScanner, raw []byte) error {
	if allDigits(raw) {
		return nil
	}
	if _, ok := parseInt(raw); ok {
		return nil
	}
	n.double = true
	if _, ok := parseJSONFloat(raw); !ok {
		return s.errorf("the number %s is beyond double precision", quoted(string(raw)))
	}
	return nil
}

// parseJSONFloat reads a number of JSON. It is false for what does not fit in a float64.
func parseJSONFloat(raw []byte) (float64, bool) {
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil || !math.IsInf(f, 0)
}

// example appends a value from which a node learns all that this one knows, but where it was seen.
func (n *jsonNode) example(b []byte) []byte {
	switch n.kind {
	case jsonBool:
		return append(b, "true"...)
	case jsonNumber:
		if n.double {
			return append(b, "0.5"...)
		}
		return append(b, '1')
	case jsonString:
		if n.words {
			return append(b, `""`...)
		}
		return append(b, `"2000-01-01"`...)
	case jsonArray:
		return append(n.element.example(append(b, '[')), ']')
	case jsonObject:
		b = append(b, '{')
		for i, member := range n.members.nodes {
			if i > 0 {
				b = append(b, ',')
			}
			b, _ = jsontext.AppendQuote(b, n.members.lookup.names[i]) // it was valid when it was read
			b = member.example(append(b, ':'))
		}
		return append(b, '}')
	default:
		return append(b, "null"...)
	}
}

// learnExample takes in the example of an object's records.
func (n *jsonNode) learnExample(ctx context.Context, o source.Object, example inferred) error {
	s, err := newJSONScanner(ctx, sized{o, int64(len(example))}, strings.NewReader(string(example)))
	if err != nil {
		return err
	}
	if err := s.next(); err != nil {
		return err
	}
	return n.learnMembers(s)
}

// sized is an object of another size.
type sized struct {
	source.Object
	size int64
}

func (s sized) Size() int64 { return s.size }

// dataType is the Arrow type of all values at the node's place, as pyarrow.json has it.
func (n *jsonNode) dataType() arrow.DataType {
	switch n.kind {
	case jsonBool:
		return arrow.FixedWidthTypes.Boolean
	case jsonNumber:
		if n.double {
			return arrow.PrimitiveTypes.Float64
		}
		return arrow.PrimitiveTypes.Int64
	case jsonString:
		if n.words {
			return arrow.BinaryTypes.String
		}
		return &arrow.TimestampType{Unit: arrow.Second}
	case jsonArray:
		return arrow.ListOf(n.element.dataType())
	case jsonObject:
		return arrow.StructOf(n.fields()...)
	default:
		return arrow.Null
	}
}

// fields are the members of objects at the node's place.
func (n *jsonNode) fields() []arrow.Field {
	fields := make([]arrow.Field, len(n.members.nodes))
	for i, member := range n.members.nodes {
		fields[i] = arrow.Field{Name: n.members.lookup.names[i], Type: member.dataType(), Nullable: true}
	}
	return fields
}
