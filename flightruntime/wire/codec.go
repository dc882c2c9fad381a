// Package wire is the data path from record batches to gRPC: it encodes a batch once, hands Arrow's buffers to grpc-go by reference, and
// cuts what is sent into messages of a size that every client takes. It knows no datasets.
//
// Memory: a frame aliases the buffers of the batch that it was made from, and grpc-go writes it after SendMsg has returned. Batches that
// are written here have to live in memory that the garbage collector owns, as that of memory.DefaultAllocator does; releasing such a
// batch after Write is fine.
package wire

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that codec falls back to
	"google.golang.org/grpc/mem"
)

// Codec is the codec of a gRPC server that sends frames: pass it to grpc.ForceServerCodecV2. It passes frames through by reference and
// leaves every other message to grpc-go's own codec.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2("proto")} }

type codec struct{ encoding.CodecV2 }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(*frame); ok {
		return f.buffers, nil
	}
	return c.CodecV2.Marshal(v)
}
