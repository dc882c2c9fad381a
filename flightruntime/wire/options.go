package wire

import (
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

const MaxMessageBytes = 1<<31 - 1

type WriteOptions struct {
	IPC []ipc.Option
	// MetadataVersion is ipc.MetadataV4, for readers before Arrow 1.0, or ipc.MetadataV5, which is the default.
	MetadataVersion ipc.MetadataVersion
	Descriptor      *flight.FlightDescriptor
}

func (w *Writer) WriteChunk(c Chunk) error {
	if c.Batch == nil {
		return SendMetadata(w.stream, nil, c.AppMetadata)
	}
	w.out.appMetadata = c.AppMetadata
	return w.Write(c.Batch)
}

func SendMetadata(s MessageSender, d *flight.FlightDescriptor, appMetadata []byte) error {
	return s.SendMsg(&flight.FlightData{FlightDescriptor: d, AppMetadata: appMetadata})
}
