package conformance

import (
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/flight-operator/flight-operator/flightruntime"
)

var (
	writeV4     = flightruntime.WriteOptions{MetadataVersion: ipc.MetadataV4}
	writeLZ4    = flightruntime.WriteOptions{IPC: []ipc.Option{ipc.WithLZ4()}}
	writeZstd   = flightruntime.WriteOptions{IPC: []ipc.Option{ipc.WithZstd()}}
	writeDeltas = flightruntime.WriteOptions{IPC: []ipc.Option{ipc.WithDictionaryDeltas(true)}}
)
