package format

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
)

// schemaOf is a Parquet file's Arrow schema, as pyarrow has it.
func schemaOf(meta *metadata.FileMetaData, manifest *pqarrow.SchemaManifest) (*arrow.Schema, error) {
	read, err := pqarrow.FromParquet(meta.Schema, &pqarrow.ArrowReadProperties{}, meta.KeyValueMetadata())
	if err != nil {
		return nil, undecodable(err)
	}
	fields := withoutZonesOfINT96(eachField(read.Fields(), withoutUnsetID), meta.Schema)
	if stored := manifest.OriginSchema; stored != nil && stored.NumFields() == len(fields) {
		for i := range fields {
			fields[i] = restoredField(fields[i], stored.Field(i))
		}
	}
	metadata := read.Metadata()
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

// withoutZonesOfINT96 takes the zone off times that are stored as INT96: pqarrow gives them that of UTC, but the type says nothing of zones, and
// pyarrow gives them none.
func withoutZonesOfINT96(fields []arrow.Field, stored *schema.Schema) []arrow.Field {
	columns := make([]*schema.Column, stored.NumColumns())
	for i := range columns {
		columns[i] = stored.Column(i)
	}
	if !slices.ContainsFunc(columns, isINT96) {
		return fields
	}
	return eachField(fields, func(f arrow.Field) arrow.Field {
		if hasFields(f.Type) {
			return f
		}
		n := leaves(f.Type)
		if t, ok := f.Type.(*arrow.TimestampType); ok && isINT96(columns[0]) {
			f.Type = &arrow.TimestampType{Unit: t.Unit}
		}
		columns = columns[n:]
		return f
	})
}

func isINT96(c *schema.Column) bool { return c.PhysicalType() == parquet.Types.Int96 }

func hasFields(t arrow.DataType) bool {
	_, ok := t.(arrow.NestedType)
	return ok
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
