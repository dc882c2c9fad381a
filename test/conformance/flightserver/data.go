package flightserver

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// The tables that the services serve; checks/tables.py has the same.

// Depths is a batch of one column of 64-bit integers.
func Depths() arrow.RecordBatch { return integers("depth", 3, 1, -4, 1, -5) }

// Tides is a batch of two columns.
func Tides() arrow.RecordBatch {
	harbours := array.NewStringBuilder(memory.DefaultAllocator)
	harbours.AppendValues([]string{"Delfzijl", "Hoek van Holland", "Vlissingen"}, nil)
	levels := array.NewInt64Builder(memory.DefaultAllocator)
	levels.AppendValues([]int64{142, 88, 201}, nil)
	return array.NewRecordBatch(arrow.NewSchema([]arrow.Field{
		{Name: "harbour", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "level", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	}, nil), []arrow.Array{harbours.NewArray(), levels.NewArray()}, 3)
}

// Winds are batches of one dictionary column. The second shares the first one's dictionary, the third's is longer.
func Winds() []arrow.RecordBatch {
	const null = -1
	short, long := []string{"calm", "breeze", "gale"}, []string{"calm", "breeze", "gale", "storm"}
	return []arrow.RecordBatch{winds(short, 2, 0, null), winds(short, 1, 1), winds(long, 3, 0)}
}

func winds(dictionary []string, indices ...int32) arrow.RecordBatch {
	words := array.NewStringBuilder(memory.DefaultAllocator)
	words.AppendValues(dictionary, nil)
	at := array.NewInt32Builder(memory.DefaultAllocator)
	for _, i := range indices {
		if i < 0 {
			at.AppendNull()
		} else {
			at.Append(i)
		}
	}
	typ := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	column := array.NewDictionaryArray(typ, at.NewArray(), words.NewArray())
	schema := arrow.NewSchema([]arrow.Field{{Name: "wind", Type: typ, Nullable: true}}, nil)
	return array.NewRecordBatch(schema, []arrow.Array{column}, int64(len(indices)))
}

// integers is a batch of one column of 64-bit integers.
func integers(name string, values ...int64) arrow.RecordBatch {
	column := array.NewInt64Builder(memory.DefaultAllocator)
	column.AppendValues(values, nil)
	schema := arrow.NewSchema([]arrow.Field{{Name: name, Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)
	return array.NewRecordBatch(schema, []arrow.Array{column.NewArray()}, int64(len(values)))
}

// counted is a batch of the numbers from from up to, and without, to.
func counted(name string, from, to int64) arrow.RecordBatch {
	values := make([]int64, 0, to-from)
	for i := from; i < to; i++ {
		values = append(values, i)
	}
	return integers(name, values...)
}
