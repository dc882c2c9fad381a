package format

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// schemaOf is a Parquet file's Arrow schema, as pyarrow has it, given the one that Arrow stored beside it, or nil.
func schemaOf(meta *metadata.FileMetaData, stored *arrow.Schema) (*arrow.Schema, error) {
	read, err := pqarrow.FromParquet(meta.Schema, &pqarrow.ArrowReadProperties{}, meta.KeyValueMetadata())
	if err != nil {
		return nil, undecodable(err)
	}
	fields := eachLeaf(eachField(read.Fields(), withoutUnsetID), meta.Schema, leafOf)
	if stored != nil && stored.NumFields() == len(fields) {
		for i := range fields {
			fields[i] = restoredField(fields[i], stored.Field(i))
		}
	}
	metadata := read.Metadata()
	return arrow.NewSchema(fields, &metadata), nil
}

// storedSchemaKey is where Arrow's writers store a schema in a Parquet file.
const storedSchemaKey = "ARROW:schema"

// hideExtensions takes the extensions out of the schema that Arrow stored in a Parquet file, which it returns as it was; nil if it has none. pqarrow
// fails at those whose fields have metadata, and at JSON. We restore them, of which it reads the storage.
func hideExtensions(meta *metadata.FileMetaData) (*arrow.Schema, error) {
	kept := meta.KeyValueMetadata().FindValue(storedSchemaKey)
	if kept == nil {
		return nil, nil
	}
	data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(*kept, "="))
	if err != nil || !bytes.Contains(data, []byte(ipc.ExtensionTypeKeyName)) {
		return nil, nil //nolint:nilerr // checkStoredSchema tells
	}
	stored, err := flight.DeserializeSchema(data, memory.DefaultAllocator)
	if err != nil {
		return nil, undecodable(err)
	}
	fields := eachField(stored.Fields(), func(f arrow.Field) arrow.Field {
		if e, ok := f.Type.(arrow.ExtensionType); ok {
			f.Type = e.StorageType()
		}
		return f
	})
	metadata := stored.Metadata()
	*kept = base64.StdEncoding.EncodeToString(flight.SerializeSchema(arrow.NewSchema(fields, &metadata), memory.DefaultAllocator))
	return stored, nil
}

// checkStoredSchema makes sure that pqarrow can read the schema that Arrow stored in a Parquet file, if it did: see ipcguard.Parse.
func checkStoredSchema(metadata metadata.KeyValueMetadata) error {
	stored := metadata.FindValue(storedSchemaKey)
	if stored == nil {
		return nil
	}
	data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(*stored, "="))
	if err != nil {
		return errors.New("the Arrow schema stored in it is not Base64: the file is damaged")
	}
	prefix := legacyPrefixSize
	if len(data) >= prefixSize && binary.LittleEndian.Uint32(data) == continuation {
		prefix = prefixSize
	}
	if len(data) < prefix {
		return ipcguard.ErrMetadata
	}
	length := binary.LittleEndian.Uint32(data[prefix-legacyPrefixSize:])
	if int64(length) > int64(len(data)-prefix) {
		return ipcguard.ErrMetadata
	}
	m, err := ipcguard.Parse(data[prefix : prefix+int(length)])
	if err != nil {
		return err
	}
	if m.Kind != ipcguard.KindSchema || m.BodyLength != 0 {
		return ipcguard.ErrMetadata
	}
	return nil
}

// readAsStored makes pqarrow read as what they are stored as those columns that it cannot decode to the types that it has for them: durations, which are
// integers, and JSON, which is text. Function retype makes of them what they are. It tells whether there are any.
func readAsStored(fields []pqarrow.SchemaField, stored *schema.Schema) (changed bool) {
	for i := range fields {
		f := &fields[i]
		inside := readAsStored(f.Children, stored)
		if f.Field == nil {
			continue
		}
		field := *f.Field
		switch {
		case inside:
			field.Type = ofChildren(field.Type, f.Children)
		case field.Type.ID() == arrow.DURATION:
			field.Type = arrow.PrimitiveTypes.Int64
		case f.IsLeaf() && isJSON(stored.Column(f.ColIndex)):
			field.Type = textOfJSON(field.Type)
		default:
			continue
		}
		f.Field, changed = &field, true
	}
	return changed
}

// ofChildren is a nested type of what its children have become.
func ofChildren(t arrow.DataType, children []pqarrow.SchemaField) arrow.DataType {
	fields := make([]arrow.Field, len(children))
	for i, c := range children {
		fields[i] = *c.Field
	}
	switch t := t.(type) {
	case *arrow.StructType:
		return arrow.StructOf(fields...)
	case *arrow.ListType:
		return arrow.ListOfField(fields[0])
	case *arrow.LargeListType:
		return arrow.LargeListOfField(fields[0])
	case *arrow.FixedSizeListType:
		return arrow.FixedSizeListOfField(t.Len(), fields[0])
	case *arrow.MapType:
		entry := fields[0].Type.(*arrow.StructType)
		m := arrow.MapOfFields(entry.Field(0), entry.Field(1))
		m.KeysSorted = t.KeysSorted
		return m
	default:
		return t
	}
}

// textOfJSON is the text that JSON is read as, given the type that pqarrow has for it.
func textOfJSON(t arrow.DataType) arrow.DataType {
	if t.ID() == arrow.LARGE_STRING {
		return t
	}
	return arrow.BinaryTypes.String
}

// leafOf is a leaf as pyarrow has it, where pqarrow departs from that: INT96 says nothing of zones, and JSON is an extension of text.
func leafOf(f arrow.Field, c *schema.Column) arrow.Field {
	if t, ok := f.Type.(*arrow.TimestampType); ok && c.PhysicalType() == parquet.Types.Int96 {
		f.Type = &arrow.TimestampType{Unit: t.Unit}
	}
	if isJSON(c) {
		if t, err := extensions.NewJSONType(textOfJSON(f.Type)); err == nil {
			f.Type = t
		}
	}
	return f
}

func isJSON(c *schema.Column) bool {
	_, ok := c.LogicalType().(schema.JSONLogicalType)
	return ok
}

// withoutUnsetID takes off the field ID that pqarrow gives to a field whose Parquet schema has none.
func withoutUnsetID(f arrow.Field) arrow.Field {
	const key, unset = "PARQUET:field_id", "-1"
	if id, ok := f.Metadata.GetValue(key); !ok || id != unset {
		return f
	}
	kept := f.Metadata.ToMap()
	delete(kept, key)
	if f.Metadata = (arrow.Metadata{}); len(kept) > 0 { // arrow.TypeEqual tells what is empty from what is not there
		f.Metadata = arrow.MetadataFrom(kept)
	}
	return f
}

// eachLeaf is the fields with their leaves as a function makes them, which gets each with Parquet's column.
func eachLeaf(fields []arrow.Field, stored *schema.Schema, of func(arrow.Field, *schema.Column) arrow.Field) []arrow.Field {
	next := 0
	return eachField(fields, func(f arrow.Field) arrow.Field {
		if hasFields(f.Type) {
			return f
		}
		c := stored.Column(next)
		next += leaves(f.Type)
		return of(f, c)
	})
}

// hasFields is true of types that have others inside. An extension is one type, whatever it is stored as.
func hasFields(t arrow.DataType) bool {
	_, nested := t.(arrow.NestedType)
	return nested && t.ID() != arrow.EXTENSION
}

// eachField is the fields as a function makes them, which gets those inside of a type before the one of that type.
func eachField(fields []arrow.Field, of func(arrow.Field) arrow.Field) []arrow.Field {
	out := make([]arrow.Field, len(fields))
	for i, f := range fields {
		f.Type = eachFieldInside(f.Type, of)
		out[i] = of(f)
	}
	return out
}

func eachFieldInside(t arrow.DataType, of func(arrow.Field) arrow.Field) arrow.DataType {
	one := func(f arrow.Field) arrow.Field { return eachField([]arrow.Field{f}, of)[0] }
	switch t := t.(type) {
	case *arrow.StructType:
		return arrow.StructOf(eachField(t.Fields(), of)...)
	case *arrow.ListType:
		return arrow.ListOfField(one(t.ElemField()))
	case *arrow.LargeListType:
		return arrow.LargeListOfField(one(t.ElemField()))
	case *arrow.FixedSizeListType:
		return arrow.FixedSizeListOfField(t.Len(), one(t.ElemField()))
	case *arrow.MapType:
		m := arrow.MapOfFields(one(t.KeyField()), one(t.ItemField()))
		m.KeysSorted = t.KeysSorted
		return m
	default:
		return t
	}
}
