package flightruntime

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/flight"
)

// empties are a number of chunks that say nothing, then one that says something.
func empties(n int) func(context.Context) iter.Seq2[Chunk, error] {
	return func(context.Context) iter.Seq2[Chunk, error] {
		return func(yield func(Chunk, error) bool) {
			for range n {
				if !yield(Chunk{}, nil) {
					return
				}
			}
			yield(Chunk{AppMetadata: []byte("at last")}, nil)
		}
	}
}

func TestEmptyChunksAreNotSent(t *testing.T) {
	_, client := connectTo(t, start(t, &testService{doGet: empties(maxEmptyChunks)}, ServerOptions{}))
	stream, err := client.DoGet(t.Context(), &flight.Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	if messages, err := drainStream(stream); messages != 2 || err != nil {
		t.Errorf("got %d messages and %v, want the schema and the last chunk", messages, err)
	}
}

func TestTooManyEmptyChunksEndTheCall(t *testing.T) {
	server := start(t, &testService{doGet: empties(maxEmptyChunks + 1)}, ServerOptions{})
	client, err := Connect(server.Location().String(), ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	reader, err := client.DoGet(t.Context(), &Ticket{})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := reader.Read(); !errors.Is(err, ErrInternal) {
		t.Errorf("got %v and %v, want an internal error", c, err)
	}
}
