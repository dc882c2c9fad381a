package flightruntime

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

func TestSchemasComeBackAsTheyWere(t *testing.T) {
	metadata := arrow.NewMetadata([]string{"k"}, []string{"v"})
	for name, schema := range map[string]*arrow.Schema{
		"no fields": arrow.NewSchema(nil, nil),
		"numbers":   numbers,
		"nested, with dictionaries and metadata": arrow.NewSchema([]arrow.Field{
			{Name: "d", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, Metadata: metadata},
			{Name: "l", Type: arrow.ListOf(arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Float64, Nullable: true})), Nullable: true},
		}, &metadata),
	} {
		encoded := EncodeSchema(schema)
		if got, err := SchemaOf(encoded); err != nil || !got.Equal(schema) || got.Metadata().String() != schema.Metadata().String() {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		old := encoded[4:] // without the continuation that Arrow has since 0.15
		if got, err := SchemaOf(old); err != nil || !got.Equal(schema) {
			t.Errorf("%s, as Arrow 0.14 writes it: got %v, %v", name, got, err)
		}
	}
}

func TestBytesThatAreNoSchemaAreInvalid(t *testing.T) {
	encoded := EncodeSchema(numbers)
	for name, test := range map[string]struct {
		encoded []byte
		want    string
	}{
		"nothing":                {nil, "got 0 bytes, which are too few"},
		"a continuation alone":   {encoded[:4], "got 4 bytes, which are too few"},
		"a schema that is cut":   {encoded[:40], "its length says"},
		"text":                   {[]byte("no schema at all"), "its length says 1931505518 bytes, and 12 follow"},
		"a length of zero":       {make([]byte, 8), "expected a schema in an Arrow IPC message"},
		"metadata of zeroes":     {append(bytes.Clone(encoded[:8]), make([]byte, len(encoded)-8)...), "expected a schema in an Arrow IPC message"},
		"metadata of other data": {append(bytes.Clone(encoded[:8]), bytes.Repeat([]byte{0xa5}, len(encoded)-8)...), "expected a schema in an Arrow IPC message"},
	} {
		t.Run(name, func(t *testing.T) {
			if schema, err := SchemaOf(test.encoded); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "runtime error") {
				t.Errorf("became %v, %v, want an error with %q", schema, err, test.want)
			}
		})
	}
}
