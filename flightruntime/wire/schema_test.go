package wire

import (
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

func TestAnEncodedSchemaChangesNothingOfAStream(t *testing.T) {
	dictionary := column(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String})
	views := column(arrow.BinaryTypes.StringView)
	floats := column(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.PrimitiveTypes.Float64})
	for _, c := range []struct {
		name    string
		batch   arrow.RecordBatch
		encoded *arrow.Schema
		options []WriterOption
	}{
		{"numbers", numbers(column(arrow.PrimitiveTypes.Int64), 1000), nil, nil},
		{"dictionaries", fromJSON(t, dictionary, `[{"c":"red"},{"c":"blue"}]`), nil, nil},
		{"dictionaries of numbers", fromJSON(t, floats, `[{"c":1.5},{"c":2.5}]`), nil, nil},
		{"views", fromJSON(t, views, `[{"c":"red"},{"c":"more than stands in a view by itself"}]`), nil, nil},
		{"an earlier version", numbers(column(arrow.PrimitiveTypes.Int64), 3), nil, []WriterOption{WithMetadataVersion(ipc.MetadataV4)}},
		{"a descriptor", numbers(column(arrow.PrimitiveTypes.Int64), 3), nil, []WriterOption{WithDescriptor(&flight.FlightDescriptor{Cmd: []byte("x")})}},
		{"another schema than the stream's", numbers(column(arrow.PrimitiveTypes.Int64), 3), views, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema := c.batch.Schema()
			if c.encoded == nil {
				c.encoded = schema
			}
			e, err := EncodeSchema(c.encoded)
			if err != nil {
				t.Fatal(err)
			}
			want := written(t, schema, c.options, writeAll(c.batch, c.batch))
			for range 2 { // the first use leaves it as it was
				got := written(t, schema, append([]WriterOption{WithEncodedSchema(e)}, c.options...), writeAll(c.batch, c.batch))
				if !slices.EqualFunc(got, want, slices.Equal[[]byte]) {
					t.Errorf("with an encoded schema, %d other messages are written than the %d without one", len(got), len(want))
				}
			}
		})
	}
}

// A stream of what is encoded already costs the same whatever its schema is.
func TestStreamsOfAnEncodedSchemaDoNotEncodeIt(t *testing.T) {
	allocations := func(columns int) float64 {
		fields := make([]arrow.Field, columns)
		for i := range fields {
			fields[i] = arrow.Field{Name: "c", Type: arrow.PrimitiveTypes.Int64}
		}
		schema := arrow.NewSchema(fields, nil)
		e, err := EncodeSchema(schema)
		if err != nil {
			t.Fatal(err)
		}
		message := &Encoded{Data: make([]byte, 100), Rows: 1}
		return testing.AllocsPerRun(10, func() {
			w, err := NewWriter(&nowhere{}, schema, noLimit, WithEncodedSchema(e))
			if err == nil {
				err = w.WriteChunk(Chunk{Encoded: message})
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = w.Close() // it sends nothing
		})
	}
	if one, many := allocations(1), allocations(100); many > one {
		t.Errorf("a stream of 100 columns took %v allocations, one of a single column %v: expected no more", many, one)
	}
}

// nowhere is a stream that forgets what is sent.
type nowhere struct{}

func (*nowhere) SendMsg(m any) error {
	_, err := Codec().Marshal(m)
	return err
}
