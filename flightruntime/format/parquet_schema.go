package format

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// schemaOf is a Parquet file's Arrow schema, as pyarrow has it.
func schemaOf(meta *metadata.FileMetaData, manifest *pqarrow.SchemaManifest) (*arrow.Schema, error) {
	schema, err := pqarrow.FromParquet(meta.Schema, &pqarrow.ArrowReadProperties{}, meta.KeyValueMetadata())
	if err != nil {
		return nil, undecodable(err)
	}
	fields := withoutUnsetIDs(schema.Fields())
	if stored := manifest.OriginSchema; stored != nil && stored.NumFields() == len(fields) {
		for i := range fields {
			fields[i] = restoredField(fields[i], stored.Field(i))
		}
	}
	metadata := schema.Metadata()
	return arrow.NewSchema(fields, &metadata), nil
}

// checkStoredSchema makes sure that pqarrow can read the schema that Arrow stored in a Parquet file, if it did: see ipcguard.Parse.
func checkStoredSchema(metadata metadata.KeyValueMetadata) error {
	stored := metadata.FindValue("ARROW:schema")
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

// readDurationsAsIntegers makes pqarrow read columns that it knows to be durations, but cannot decode, as the integers they are stored as.
// Function retype makes them durations again.
func readDurationsAsIntegers(fields []pqarrow.SchemaField) {
	for i := range fields {
		f := &fields[i]
		readDurationsAsIntegers(f.Children)
		if f.Field != nil && f.Field.Type.ID() == arrow.DURATION {
			field := *f.Field
			field.Type = arrow.PrimitiveTypes.Int64
			f.Field = &field
		}
	}
}

// withoutUnsetIDs takes off the field IDs that pqarrow gives to fields whose Parquet schema has none.
func withoutUnsetIDs(fields []arrow.Field) []arrow.Field {
	const key, unset = "PARQUET:field_id", "-1"
	out := make([]arrow.Field, len(fields))
	for i, f := range fields {
		out[i] = f
		out[i].Type = withoutUnsetIDsInside(f.Type)
		if id, ok := f.Metadata.GetValue(key); !ok || id != unset {
			continue
		}
		kept := f.Metadata.ToMap()
		delete(kept, key)
		out[i].Metadata = arrow.MetadataFrom(kept)
	}
	return out
}

func withoutUnsetIDsInside(t arrow.DataType) arrow.DataType {
	one := func(f arrow.Field) arrow.Field { return withoutUnsetIDs([]arrow.Field{f})[0] }
	switch t := t.(type) {
	case *arrow.StructType:
		return arrow.StructOf(withoutUnsetIDs(t.Fields())...)
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
