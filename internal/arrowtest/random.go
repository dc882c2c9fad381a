package arrowtest

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

// RandomSchema has up to four columns, nested up to three deep.
func RandomSchema(rng *rand.Rand) *arrow.Schema {
	fields := make([]arrow.Field, 1+rng.IntN(4))
	for i := range fields {
		fields[i] = arrow.Field{Name: string(rune('a' + i)), Type: randomType(rng, 3), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

// randomType is a type that is nested no deeper than depth.
func randomType(rng *rand.Rand, depth int) arrow.DataType {
	leaves := []arrow.DataType{
		arrow.FixedWidthTypes.Boolean, arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Float64,
		arrow.BinaryTypes.String, arrow.BinaryTypes.LargeString, arrow.BinaryTypes.StringView, arrow.BinaryTypes.StringView,
		&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int16, ValueType: arrow.BinaryTypes.String},
	}
	if depth == 0 || rng.IntN(3) == 0 {
		return leaves[rng.IntN(len(leaves))]
	}
	child := func() arrow.DataType { return randomType(rng, depth-1) }
	switch rng.IntN(7) {
	case 0:
		return arrow.ListOf(child())
	case 1:
		return arrow.LargeListOf(child())
	case 2:
		return arrow.FixedSizeListOf(int32(1+rng.IntN(3)), child())
	case 3:
		return arrow.ListViewOf(child())
	case 4:
		return arrow.SparseUnionOf([]arrow.Field{{Name: "x", Type: child(), Nullable: true}, {Name: "y", Type: child(), Nullable: true}}, []arrow.UnionTypeCode{2, 7})
	case 5:
		return arrow.DenseUnionOf([]arrow.Field{{Name: "x", Type: child(), Nullable: true}, {Name: "y", Type: child(), Nullable: true}}, []arrow.UnionTypeCode{2, 7})
	default:
		return arrow.StructOf(arrow.Field{Name: "x", Type: child(), Nullable: true}, arrow.Field{Name: "y", Type: child(), Nullable: true})
	}
}

// RandomBatch is n rows of a RandomSchema.
func RandomBatch(t testing.TB, rng *rand.Rand, schema *arrow.Schema, n int) arrow.RecordBatch {
	t.Helper()
	rows := make([]map[string]any, n)
	for i := range rows {
		rows[i] = map[string]any{}
		for _, f := range schema.Fields() {
			rows[i][f.Name] = randomValue(rng, f.Type)
		}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	return FromJSON(t, schema, string(text))
}

// randomValue is what encoding/json takes for a value of the type.
func randomValue(rng *rand.Rand, dt arrow.DataType) any {
	list := func(n int, element arrow.DataType) []any {
		values := make([]any, n)
		for i := range values {
			values[i] = randomValue(rng, element)
		}
		return values
	}
	if union, ok := dt.(arrow.UnionType); ok {
		i := rng.IntN(2)
		return []any{union.TypeCodes()[i], randomValue(rng, union.Fields()[i].Type)}
	}
	if rng.IntN(6) == 0 {
		return nil
	}
	switch dt := dt.(type) {
	case *arrow.BooleanType:
		return rng.IntN(2) == 0
	case *arrow.Int8Type:
		return rng.IntN(100)
	case *arrow.Int64Type:
		return rng.Int64N(1 << 40)
	case *arrow.Float64Type:
		return rng.Float64()
	case *arrow.FixedSizeListType:
		return list(int(dt.Len()), dt.Elem())
	case arrow.ListLikeType:
		return list(rng.IntN(5), dt.Elem())
	case *arrow.StructType:
		return map[string]any{"x": randomValue(rng, dt.Field(0).Type), "y": randomValue(rng, dt.Field(1).Type)}
	default: // strings, some of them too long to stand in a view
		return strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(40))
	}
}
