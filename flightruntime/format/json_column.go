package format

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// jsonColumn appends the scanner's next value to a builder. Its errors name the record and the place in it.
type jsonColumn func(s *jsonScanner) error

// newJSONColumn is the column that appends to a builder made for a type of jsonNode.
func newJSONColumn(builder array.Builder) jsonColumn {
	switch b := builder.(type) {
	case *array.StructBuilder:
		members := newJSONObject(b.Type().(*arrow.StructType).Fields(), b.FieldBuilder)
		return nullable(b, jsonObject, func(s *jsonScanner) error {
			if err := s.begin(); err != nil {
				return err
			}
			b.Append(true)
			return members.append(s)
		})
	case *array.ListBuilder:
		element := newJSONColumn(b.ValueBuilder())
		return nullable(b, jsonArray, func(s *jsonScanner) error {
			if err := s.begin(); err != nil {
				return err
			}
			b.Append(true)
			return s.elements(func() error { return element(s) })
		})
	case *array.BooleanBuilder:
		return nullable(b, jsonBool, jsonLiteral(func(raw []byte) bool {
			b.Append(raw[0] == 't')
			return true
		}))
	case *array.Int64Builder:
		return nullable(b, jsonNumber, jsonLiteral(func(raw []byte) bool {
			n, ok := parseInt(raw)
			b.Append(n)
			return ok
		}))
	case *array.Float64Builder:
		return nullable(b, jsonNumber, jsonLiteral(func(raw []byte) bool {
			f, ok := parseJSONFloat(raw)
			b.Append(f)
			return ok
		}))
	case *array.StringBuilder:
		return nullable(b, jsonString, jsonText(func(text []byte) bool {
			b.BinaryBuilder.Append(text)
			return true
		}))
	case *array.TimestampBuilder:
		return nullable(b, jsonString, jsonText(func(text []byte) bool {
			t, ok := parseTimestamp(text)
			b.Append(arrow.Timestamp(t.seconds))
			return ok && !t.fraction
		}))
	default:
		return nullable(builder, jsonNull, nil)
	}
}

// nullable is the column of values of one kind and of nulls.
func nullable(b array.Builder, kind jsonKind, appendValue jsonColumn) jsonColumn {
	return func(s *jsonScanner) error {
		switch got := kindOf(s.decoder.PeekKind()); {
		case got == jsonNull:
			b.AppendNull()
			_, err := s.value()
			return err
		case got != kind:
			return s.unexpected(got, article(kind))
		default:
			return appendValue(s)
		}
	}
}

func jsonLiteral(appendRaw func(raw []byte) bool) jsonColumn {
	return func(s *jsonScanner) error {
		raw, err := s.value()
		if err != nil {
			return err
		}
		if !appendRaw(raw) {
			return s.errorf("%s is not of the column's type", quoted(string(raw)))
		}
		return nil
	}
}

func jsonText(appendText func(text []byte) bool) jsonColumn {
	return func(s *jsonScanner) error {
		raw, err := s.value()
		if err != nil {
			return err
		}
		text, err := s.text(raw)
		if err != nil {
			return err
		}
		if !appendText(text) {
			return s.errorf("%s is not of the column's type", quoted(string(text)))
		}
		return nil
	}
}

// jsonObjectColumns appends the members of objects to a builder each.
type jsonObjectColumns struct {
	lookup   memberLookup
	columns  []jsonColumn
	builders []array.Builder // nil for members that are not wanted
}

// newJSONObject is for objects of these members. There is no builder for what is not wanted.
func newJSONObject(fields []arrow.Field, builder func(i int) array.Builder) *jsonObjectColumns {
	o := &jsonObjectColumns{columns: make([]jsonColumn, len(fields)), builders: make([]array.Builder, len(fields))}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
		if o.builders[i] = builder(i); o.builders[i] == nil {
			o.columns[i] = (*jsonScanner).skip
			continue
		}
		o.columns[i] = newJSONColumn(o.builders[i])
	}
	o.lookup = newMemberLookup(names)
	return o
}

// append appends the members of an object that has begun, and null for those that it does not have.
func (o *jsonObjectColumns) append(s *jsonScanner) error {
	o.lookup.begin()
	had := 0
	err := s.members(func(name []byte) error {
		i := o.lookup.find(name)
		if i < 0 || !o.lookup.mark(i) {
			return s.errorf("the name %s is new, or comes twice", quoted(string(name)))
		}
		had++
		return o.columns[i](s)
	})
	if err != nil || had == len(o.columns) {
		return err
	}
	for i, seen := range o.lookup.seen {
		if seen != o.lookup.object && o.builders[i] != nil {
			o.builders[i].AppendNull()
		}
	}
	return nil
}
