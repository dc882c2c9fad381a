package ipcguard

import (
	"encoding/binary"
	"fmt"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"
)

// schemaMessage is the metadata of a schema of one field, made by field.
func schemaMessage(field func(b *flatbuffers.Builder) flatbuffers.UOffsetT) []byte {
	b := flatbuffers.NewBuilder(0)
	fields := offsets(b, field(b))
	b.StartObject(4)
	b.PrependUOffsetTSlot(slotIndex(schemaFields), fields, 0)
	schema := b.EndObject()
	b.StartObject(5)
	b.PrependByteSlot(slotIndex(messageHeaderType), byte(KindSchema), 0)
	b.PrependUOffsetTSlot(slotIndex(messageHeader), schema, 0)
	b.Finish(b.EndObject())
	return b.FinishedBytes()
}

// fieldOf is a field with the given children.
func fieldOf(b *flatbuffers.Builder, children ...flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	var vector flatbuffers.UOffsetT
	if len(children) > 0 {
		vector = offsets(b, children...)
	}
	b.StartObject(7)
	b.PrependUOffsetTSlot(slotIndex(fieldChildren), vector, 0)
	return b.EndObject()
}

func offsets(b *flatbuffers.Builder, elements ...flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	b.StartVector(offsetSize, len(elements), offsetSize)
	for _, e := range elements {
		b.PrependUOffsetT(e)
	}
	return b.EndVector(len(elements))
}

func slotIndex(slot int) int { return (slot - 4) / 2 }

// chain is fields in each other, each of which has the next one the given number of times.
func chain(depth, times int) func(*flatbuffers.Builder) flatbuffers.UOffsetT {
	return func(b *flatbuffers.Builder) flatbuffers.UOffsetT {
		field := fieldOf(b)
		for range depth - 1 {
			children := make([]flatbuffers.UOffsetT, times)
			for i := range children {
				children[i] = field
			}
			field = fieldOf(b, children...)
		}
		return field
	}
}

// lying is a schema whose only field says that it has many children.
func lying() []byte {
	metadata := schemaMessage(chain(2, 1))
	schema, _ := child(rootTable(metadata), messageHeader)
	start, _ := vector(schema, schemaFields, offsetSize)
	field := flatbuffers.Table{Bytes: metadata, Pos: schema.Indirect(start)}
	children, _ := vector(field, fieldChildren, offsetSize)
	binary.LittleEndian.PutUint32(metadata[children-offsetSize:], 1<<28)
	return metadata
}

func TestMetadataThatWouldTakeAllMemory(t *testing.T) {
	for _, c := range []struct {
		name     string
		metadata []byte
		fine     bool
	}{
		{"some fields in each other", schemaMessage(chain(MaxDepth, 1)), true},
		{"fields in each other without end", schemaMessage(chain(MaxDepth+1, 1)), false},
		{"fields that share their children", schemaMessage(chain(40, 2)), false},
		{"more children than bytes", lying(), false},
	} {
		err := func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v", p)
				}
			}()
			_, err = Parse(c.metadata)
			return err
		}()
		if c.fine != (err == nil) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
