// Package wire is the data path between record batches and gRPC, in both directions. It encodes a batch once, hands Arrow's buffers to
// grpc-go by reference, and cuts what is sent into messages of a size that every client takes. What is received it copies once, into a
// buffer that Arrow's arrays refer to, and hands out only what holds together. It knows no datasets.
//
// Memory: a frame aliases the buffers of the batch that it was made from, and grpc-go writes it after SendMsg has returned. Batches that
// are written here have to live in memory that the garbage collector owns, as that of memory.DefaultAllocator does; releasing such a
// batch after Write is fine. Batches that a Reader with the default allocator has read are of that kind. Other memory needs an Owner.
package wire

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that codec falls back to
	"google.golang.org/grpc/mem"
)

// Codec is the codec of a gRPC server or client that uses Writer or Reader: pass it to grpc.ForceServerCodecV2 or grpc.ForceCodecV2. It
// passes frames through by reference, parses the messages of a Reader by hand, and leaves every other message to grpc-go's own codec.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2("proto")} }

type codec struct{ encoding.CodecV2 }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(*frame); ok {
		f.taken = true
		return f.buffers, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal leaves data to grpc-go, which frees them. What is wrong with the message of a Reader is the Reader's to tell: grpc-go would
// make an INTERNAL error of it.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(*message); ok {
		m.err = m.unmarshal(data)
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}
