package ipcguard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
)

// fields makes the fields of a schema, or of a field.
type fields func(b *flatbuffers.Builder) []flatbuffers.UOffsetT

// schemaMessage is the metadata of a schema.
func schemaMessage(all fields, bodyLength int64) []byte {
	b := flatbuffers.NewBuilder(0)
	made := offsetsOf(b, all(b)...)
	b.StartObject(4)
	b.PrependUOffsetTSlot(slotIndex(schemaFields), made, 0)
	schema := b.EndObject()
	b.StartObject(5)
	b.PrependByteSlot(slotIndex(messageHeaderType), byte(KindSchema), 0)
	b.PrependUOffsetTSlot(slotIndex(messageHeader), schema, 0)
	b.PrependInt64Slot(slotIndex(messageBodyLength), bodyLength, 0)
	b.Finish(b.EndObject())
	return b.FinishedBytes()
}

// fieldOf is a field with the given children.
func fieldOf(b *flatbuffers.Builder, children ...flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	var vector flatbuffers.UOffsetT
	if len(children) > 0 {
		vector = offsetsOf(b, children...)
	}
	return fieldWith(b, map[int]flatbuffers.UOffsetT{fieldChildren: vector}, 0)
}

// fieldWith is a field of what the slots refer to, and of a type.
func fieldWith(b *flatbuffers.Builder, slots map[int]flatbuffers.UOffsetT, dt byte) flatbuffers.UOffsetT {
	b.StartObject(7)
	b.PrependByteSlot(slotIndex(fieldTypeType), dt, 0)
	for slot, at := range slots {
		b.PrependUOffsetTSlot(slotIndex(slot), at, 0)
	}
	return b.EndObject()
}

// copies is n fields that share what the slots refer to.
func copies(n int, dt byte, slots func(*flatbuffers.Builder) map[int]flatbuffers.UOffsetT) fields {
	return func(b *flatbuffers.Builder) []flatbuffers.UOffsetT {
		shared := slots(b)
		made := make([]flatbuffers.UOffsetT, n)
		for i := range made {
			made[i] = fieldWith(b, shared, dt)
		}
		return made
	}
}

// named is for fields that share a name of so many bytes.
func named(bytes int) func(*flatbuffers.Builder) map[int]flatbuffers.UOffsetT {
	return func(b *flatbuffers.Builder) map[int]flatbuffers.UOffsetT {
		return map[int]flatbuffers.UOffsetT{fieldName: b.CreateString(strings.Repeat("x", bytes))}
	}
}

// commented is for fields that share metadata of so many bytes.
func commented(bytes int) func(*flatbuffers.Builder) map[int]flatbuffers.UOffsetT {
	return func(b *flatbuffers.Builder) map[int]flatbuffers.UOffsetT {
		value := b.CreateString(strings.Repeat("x", bytes))
		b.StartObject(2)
		b.PrependUOffsetTSlot(slotIndex(keyValueValue), value, 0)
		return map[int]flatbuffers.UOffsetT{fieldMetadata: offsetsOf(b, b.EndObject())}
	}
}

// typed is for fields that share a type whose slot holds n elements of a size.
func typed(slot, n, size int) func(*flatbuffers.Builder) map[int]flatbuffers.UOffsetT {
	return func(b *flatbuffers.Builder) map[int]flatbuffers.UOffsetT {
		b.StartVector(size, n, size)
		b.Pad(n * size)
		held := b.EndVector(n)
		b.StartObject(2)
		b.PrependUOffsetTSlot(slotIndex(slot), held, 0)
		return map[int]flatbuffers.UOffsetT{fieldType: b.EndObject()}
	}
}

func offsetsOf(b *flatbuffers.Builder, elements ...flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	b.StartVector(offsetSize, len(elements), offsetSize)
	for _, e := range elements {
		b.PrependUOffsetT(e)
	}
	return b.EndVector(len(elements))
}

func slotIndex(slot int) int { return (slot - 4) / 2 }

// chain is fields in each other, each of which has the next one the given number of times.
func chain(depth, times int) fields {
	return func(b *flatbuffers.Builder) []flatbuffers.UOffsetT {
		field := fieldOf(b)
		for range depth - 1 {
			children := make([]flatbuffers.UOffsetT, times)
			for i := range children {
				children[i] = field
			}
			field = fieldOf(b, children...)
		}
		return []flatbuffers.UOffsetT{field}
	}
}

// lying is a schema whose only field says that it has many children.
func lying() []byte {
	metadata := schemaMessage(chain(2, 1), 0)
	schema, _ := child(rootTable(metadata), messageHeader)
	start, _ := vector(schema, schemaFields, offsetSize)
	children, _ := vector(tableAt(schema, start, 0), fieldChildren, offsetSize)
	binary.LittleEndian.PutUint32(metadata[children-offsetSize:], 1<<28)
	return metadata
}

func TestMetadataThatWouldTakeAllMemory(t *testing.T) {
	const contradict = "its metadata contradict themselves: it is damaged"
	for _, c := range []struct {
		name     string
		metadata []byte
		want     string
	}{
		{"some fields in each other", schemaMessage(chain(MaxDepth, 1), 0), ""},
		{"fields in each other without end", schemaMessage(chain(MaxDepth+1, 1), 0), "its schema is nested more than 64 deep"},
		{"fields that share their children", schemaMessage(chain(40, 2), 0), "its schema has more than 100000 fields"},
		{"many fields", schemaMessage(copies(maxFields, 0, named(1)), 0), ""},
		{"a million fields", schemaMessage(copies(1_000_000, 0, named(1)), 0), "its schema has more than 100000 fields"},
		{"fields that share a short name", schemaMessage(copies(100, 0, named(1000)), 0), ""},
		{"fields that share a long name", schemaMessage(copies(1000, 0, named(1<<20)), 0), contradict},
		{"fields that share their metadata", schemaMessage(copies(1000, 0, commented(1<<20)), 0), contradict},
		{"fields that share a time zone", schemaMessage(copies(1000, typeTimestamp, typed(timestampZone, 1<<20, 1)), 0), contradict},
		{"fields that share the codes of a union", schemaMessage(copies(1000, typeUnion, typed(unionTypeIDs, 1<<18, idSize)), 0), contradict},
		{"more children than bytes", lying(), contradict},
		{"nothing", nil, contradict},
	} {
		_, err := Parse(c.metadata)
		if got := fmt.Sprint(err); got != c.want && (err != nil || c.want != "") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestCutMetadataAreRefusedOrRead(t *testing.T) {
	for _, m := range numbers(t) {
		for n := range m.metadata {
			if _, err := Parse(m.metadata[:n]); err != nil && !errors.Is(err, ErrMetadata) {
				t.Errorf("%d of %d bytes: %v", n, len(m.metadata), err)
			}
			if _, _, err := receive([]sent{{metadata: m.metadata[:n]}}, Options{Allocator: memory.DefaultAllocator}); err == nil && n < 8 {
				t.Errorf("%d of %d bytes were taken for a schema", n, len(m.metadata))
			}
		}
	}
}
