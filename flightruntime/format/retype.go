package format

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/source"
	"github.com/flight-operator/flight-operator/internal/arrowmem"
)

// fits makes sure that an object's own schema is still the one it had when the layout was made.
func fits(want *arrow.Schema, o source.Object, schema *arrow.Schema) error {
	if d := difference("it", schema, "the dataset", want); d != "" {
		return changed(o, fmt.Errorf("%s", d))
	}
	return nil
}

// under is the batch with exactly this schema: its metadata may be another file's, and its types other names for the same bytes. It takes
// the caller's reference to the batch.
func under(schema *arrow.Schema, batch arrow.RecordBatch) (arrow.RecordBatch, error) {
	if batch.Schema() == schema {
		return batch, nil
	}
	defer batch.Release()
	columns := make([]arrow.Array, schema.NumFields())
	for i := range columns {
		data, err := retype(nil, batch.Column(i).Data(), schema.Field(i).Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", quoted(schema.Field(i).Name), err)
		}
		columns[i] = array.MakeFromData(data)
		defer columns[i].Release()
		data.Release()
	}
	return array.NewRecordBatch(schema, columns, batch.NumRows()), nil
}

// retype is the same data under another type that lays it out in the same way or, given an allocator, that it can be converted to. The
// caller releases it.
func retype(mem memory.Allocator, data arrow.ArrayData, t arrow.DataType) (arrow.ArrayData, error) {
	if mem != nil {
		if convert := converter(data.DataType(), t); convert != nil {
			return convert(mem, data, t)
		}
	}
	if !sameLayout(data.DataType(), t) {
		return nil, fmt.Errorf("expected %s, got %s", typeName(t), typeName(data.DataType()))
	}
	if isDictionary(t) && data.Len() == 0 && arrowmem.DictionaryOf(data) == nil {
		none := array.MakeArrayOfNull(memory.DefaultAllocator, t, 0) // pqarrow leaves the dictionary out where lists have no values
		defer none.Release()
		none.Data().Retain()
		return none.Data(), nil
	}
	children := make([]arrow.ArrayData, len(data.Children()))
	defer func() {
		for _, c := range children {
			if c != nil {
				c.Release()
			}
		}
	}()
	same := arrow.TypeEqual(data.DataType(), t)
	for i, c := range data.Children() {
		var err error
		if children[i], err = retype(mem, c, childType(t, i)); err != nil {
			return nil, err
		}
		same = same && children[i] == c
	}
	if same {
		data.Retain()
		return data, nil
	}
	return renamed(data, t, children)
}

// renamed are the same buffers under another type, with these children.
func renamed(data arrow.ArrayData, t arrow.DataType, children []arrow.ArrayData) (arrow.ArrayData, error) {
	out := array.NewData(t, data.Len(), data.Buffers(), children, data.NullN(), data.Offset())
	if isDictionary(data.DataType()) {
		dictionary := arrowmem.DictionaryOf(data)
		if dictionary == nil {
			out.Release()
			return nil, errDamaged
		}
		out.SetDictionary(dictionary)
	}
	return out, nil
}

// sameLayout is true if bytes laid out for one type, children apart, are laid out for the other too.
func sameLayout(from, to arrow.DataType) bool {
	if from.ID() == to.ID() {
		if _, nested := to.(arrow.NestedType); nested {
			return true
		}
		return sameType(from, to) || from.ID() == arrow.TIMESTAMP && sameUnit(from, to)
	}
	return from.ID() == arrow.INT64 && to.ID() == arrow.DURATION
}

func sameUnit(a, b arrow.DataType) bool {
	return a.(*arrow.TimestampType).Unit == b.(*arrow.TimestampType).Unit
}

// childType is the type of a nested type's i-th child, or of an extension's storage's.
func childType(t arrow.DataType, i int) arrow.DataType {
	if e, ok := t.(arrow.ExtensionType); ok {
		t = e.StorageType()
	}
	switch t := t.(type) {
	case *arrow.MapType:
		return t.Elem()
	case arrow.NestedType:
		return t.Fields()[i].Type
	default:
		return t
	}
}

func isDictionary(t arrow.DataType) bool {
	if e, ok := t.(arrow.ExtensionType); ok {
		t = e.StorageType()
	}
	return t.ID() == arrow.DICTIONARY
}
