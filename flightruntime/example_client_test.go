package flightruntime_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// endlessService sends tides for as long as somebody reads them.
type endlessService struct{ flightruntime.BaseService }

func (endlessService) DoGet(context.Context, *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	return flightruntime.GeneratorStream(tides, func(yield func(flightruntime.Chunk, error) bool) {
		for yield(flightruntime.Chunk{Batch: tidesAt("Dover", 0.8)}, nil) {
		}
		fmt.Println("the server has stopped")
	}), nil
}

// Calls have options, and each that streams can be cancelled.
func ExampleConnect() {
	location, stop := serve(endlessService{}, flightruntime.ServerOptions{})
	client, err := flightruntime.Connect(location, flightruntime.ClientOptions{})
	must(err)
	defer client.Close()

	reader, err := client.DoGet(context.Background(), &flightruntime.Ticket{},
		flightruntime.WithTimeout(time.Minute),
		flightruntime.WithHeader("x-word", "ebb"),
		flightruntime.WithHeader("x-bytes-bin", "\x00\xff"),
		flightruntime.WithReadOptions(flightruntime.ReadOptions{Validate: true}))
	must(err)
	chunk, err := reader.Read()
	must(err)
	fmt.Println(chunk.Batch.NumRows(), "row")

	reader.Cancel()
	for err == nil { // what has come before the end
		_, err = reader.Read()
	}
	stop()
	fmt.Println("cancelled:", errors.Is(err, flightruntime.ErrCancelled))
	// Output:
	// 1 row
	// the server has stopped
	// cancelled: true
}

// harbour takes tides, and answers each batch.
type harbour struct{ flightruntime.BaseService }

func (harbour) DoPut(_ context.Context, r *flightruntime.DataReader, w *flightruntime.MetadataWriter) error {
	d, err := r.Descriptor()
	if err != nil {
		return err
	}
	for chunk, err := range r.Chunks() {
		if err != nil {
			return err
		}
		if chunk.Batch == nil { // metadata alone
			continue
		}
		answer := fmt.Sprintf("%d rows of %s under %s", chunk.Batch.NumRows(), chunk.AppMetadata, d.GetPath()[0])
		if err := w.Write([]byte(answer)); err != nil {
			return err
		}
	}
	return nil
}

// DoExchange sends back each batch.
func (harbour) DoExchange(_ context.Context, r *flightruntime.DataReader, w *flightruntime.DataWriter) error {
	schema, err := r.Schema()
	if err != nil {
		return err
	}
	if err := w.Begin(schema, flightruntime.WriteOptions{}); err != nil {
		return err
	}
	for chunk, err := range r.Chunks() {
		if err != nil {
			return err
		}
		if err := w.Write(chunk); err != nil {
			return err
		}
	}
	return nil
}

// A put sends batches, compressed here, and reads what the server answers.
func ExampleClient_DoPut() {
	location, stop := serve(harbour{}, flightruntime.ServerOptions{})
	defer stop()
	client, err := flightruntime.Connect(location, flightruntime.ClientOptions{WriteSizeLimit: 1 << 10})
	must(err)
	defer client.Close()

	writer, results, err := client.DoPut(context.Background(), flightruntime.DescriptorForPath("tides"), tides,
		flightruntime.WithWriteOptions(flightruntime.WriteOptions{IPC: []ipc.Option{ipc.WithZstd()}}))
	must(err)
	must(writer.WriteMetadata([]byte("Dover comes first")))
	must(writer.Write(flightruntime.Chunk{Batch: tidesAt("Dover", 0.8, 3.4), AppMetadata: []byte("Dover")}))
	answer, err := results.Read()
	must(err)
	fmt.Println(string(answer))

	// Larger batches than the client's limit are refused before anything is sent: split them and go on.
	many := make([]float64, 5000)
	for i := range many {
		many[i] = float64(i*i%7919) / 1000
	}
	err = writer.WriteBatch(tidesAt("Bristol", many...))
	fmt.Println("too large:", errors.Is(err, flightruntime.ErrWriteSize))
	must(writer.Write(flightruntime.Chunk{Batch: tidesAt("Bristol", many[:2]...), AppMetadata: []byte("Bristol")}))

	must(writer.Close()) // and hear how the call ended
	answer, err = results.Read()
	must(err)
	fmt.Println(string(answer))
	// Output:
	// 2 rows of Dover under tides
	// too large: true
	// 2 rows of Bristol under tides
}

// An exchange writes and reads at once.
func ExampleClient_DoExchange() {
	location, stop := serve(harbour{}, flightruntime.ServerOptions{})
	defer stop()
	client, err := flightruntime.Connect(location, flightruntime.ClientOptions{})
	must(err)
	defer client.Close()

	writer, reader, err := client.DoExchange(context.Background(), flightruntime.DescriptorForCommand([]byte("echo")))
	must(err)
	go func() {
		must(writer.Begin(tides, flightruntime.WriteOptions{}))
		for _, place := range []string{"Dover", "Bristol"} {
			must(writer.WriteBatch(tidesAt(place, 0.8, 3.4)))
		}
		must(writer.CloseSend()) // the other half stays open
	}()
	for {
		chunk, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		must(err)
		fmt.Println(chunk.Batch.Column(0))
	}
	// Output:
	// ["Dover" "Dover"]
	// ["Bristol" "Bristol"]
}
