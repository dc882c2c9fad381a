package wire

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	flatbuffers "github.com/google/flatbuffers/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// versionSlot is where Message.version stands in a Message's table (Arrow's Message.fbs).
const versionSlot = 4

// setVersion makes an encoded Message one of another metadata version. arrow-go writes V5 alone; what V4 differs in, besides the number, is
// the validity bitmap of unions, which checkVersion keeps out.
func setVersion(message []byte, v ipc.MetadataVersion) {
	root := flatbuffers.Table{Bytes: message, Pos: flatbuffers.GetUOffsetT(message)}
	root.MutateInt16Slot(versionSlot, int16(v))
}

// checkVersion refuses versions that the schema cannot be written in. 0 is arrow-go's own.
func checkVersion(schema *arrow.Schema, v ipc.MetadataVersion) error {
	switch v {
	case 0, ipc.MetadataV5:
		return nil
	case ipc.MetadataV4:
		for _, f := range schema.Fields() {
			if hasUnion(f.Type) {
				return status.Error(codes.InvalidArgument, fmt.Sprintf("column %q: unions cannot be written in metadata version V4, use V5", f.Name))
			}
		}
		return nil
	default:
		return status.Error(codes.InvalidArgument, fmt.Sprintf("cannot write metadata version %s: expected V4 or V5", v))
	}
}

func hasUnion(t arrow.DataType) bool {
	switch t := t.(type) {
	case arrow.UnionType:
		return true
	case *arrow.DictionaryType:
		return hasUnion(t.ValueType)
	case arrow.ExtensionType:
		return hasUnion(t.StorageType())
	case arrow.NestedType:
		for _, f := range t.Fields() {
			if hasUnion(f.Type) {
				return true
			}
		}
	}
	return false
}
