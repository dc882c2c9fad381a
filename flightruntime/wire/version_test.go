package wire

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func TestCheckVersion(t *testing.T) {
	union := arrow.SparseUnionOf([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, []arrow.UnionTypeCode{0})
	for name, tt := range map[string]struct {
		typ     arrow.DataType
		version ipc.MetadataVersion
		want    string // of the error
	}{
		"default":                {union, 0, ""},
		"V5":                     {union, ipc.MetadataV5, ""},
		"V4":                     {arrow.ListOf(arrow.PrimitiveTypes.Int64), ipc.MetadataV4, ""},
		"V4 with a union":        {union, ipc.MetadataV4, `column "c": unions`},
		"V4 with a union inside": {arrow.StructOf(arrow.Field{Name: "l", Type: arrow.ListOf(union)}), ipc.MetadataV4, `column "c": unions`},
		"V3":                     {arrow.PrimitiveTypes.Int64, ipc.MetadataV3, "expected V4 or V5"},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkVersion(arrow.NewSchema([]arrow.Field{{Name: "c", Type: tt.typ}}, nil), tt.version)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("expected an error with %q, got %v", tt.want, err)
			}
		})
	}
}

func TestSetVersion(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: arrow.PrimitiveTypes.Int64}}, nil)
	payload := ipc.GetSchemaPayload(schema, memory.DefaultAllocator)
	defer payload.Release()
	meta := payload.Meta()
	defer meta.Release()
	setVersion(meta.Bytes(), ipc.MetadataV4)
	m := ipc.NewMessage(meta, meta)
	defer m.Release()
	if m.Version() != ipc.MetadataV4 || m.Type() != ipc.MessageSchema {
		t.Errorf("expected a schema of V4, got %v of %v", m.Type(), m.Version())
	}
}
