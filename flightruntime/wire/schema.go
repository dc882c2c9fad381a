package wire

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// EncodedSchema is a schema with the message that each stream of it begins with, for a server that has many. It never changes, and any number of
// writers may use it at a time.
type EncodedSchema struct {
	schema   *arrow.Schema
	metadata []byte // a Message in FlatBuffers, in the latest version of Arrow's format
	message  []byte // FlightData with that alone

	compacts     bool // whether a column is of a type that needsCompact
	alike        bool // whether there are dictionaries that alikeDictionaries looks after
	dictionaries bool
	onlyInV5     bool // whether a column differsInV4
	arrays       int  // that a batch consists of: columns, and what is within them
}

// EncodeSchema encodes a schema. An error, which is a gRPC status, says that it has a type that cannot be sent.
func EncodeSchema(schema *arrow.Schema) (*EncodedSchema, error) {
	payload, err := schemaPayload(schema)
	if err != nil {
		return nil, err
	}
	defer payload.Release()
	meta := payload.Meta()
	defer meta.Release()
	some := func(f func(arrow.DataType) bool) bool {
		return slices.ContainsFunc(schema.Fields(), func(field arrow.Field) bool { return f(field.Type) })
	}
	within := func(f func(arrow.DataType) bool) func(arrow.DataType) bool {
		return func(dt arrow.DataType) bool { return holds(dt, f) }
	}
	e := &EncodedSchema{
		schema: schema, metadata: slices.Clone(meta.Bytes()),
		compacts: some(needsCompact), alike: some(within(isAlikeDictionary)), dictionaries: some(within(isDictionary)), onlyInV5: some(within(differsInV4)),
	}
	for _, f := range schema.Fields() {
		e.arrays += arraysOf(f.Type)
	}
	e.message = headOf(envelope{}, e.metadata, ipc.MetadataV5, 0)
	return e, nil
}

// schemaPayload is the message of a schema. arrow-go panics at types that it cannot write.
func schemaPayload(schema *arrow.Schema) (p ipc.Payload, err error) {
	defer func() {
		if recover() != nil {
			err = status.Errorf(codes.Unimplemented, "the schema cannot be sent, for it has an extension type that is stored as a dictionary, or one that arrow-go does not know: %v", schema)
		}
	}()
	return ipc.GetSchemaPayload(schema, memory.DefaultAllocator), nil
}

func isDictionary(dt arrow.DataType) bool { return dt.ID() == arrow.DICTIONARY }

// frame is the message with what else goes with it.
func (s *EncodedSchema) frame(e envelope, version ipc.MetadataVersion) *frame {
	message := s.message
	if e.descriptor != nil || version != ipc.MetadataV5 {
		message = headOf(e, s.metadata, version, 0)
	}
	return &frame{buffers: mem.BufferSlice{mem.SliceBuffer(message)}, size: len(message)}
}
