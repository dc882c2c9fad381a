package conformance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// kills is how often TestPutsOutliveKill9 kills the server; KILLS says otherwise.
const kills = 5

// mostBatches of a round: more than land before the server is killed.
const mostBatches = 200

var numbersSchema = arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)

func number(n int64) arrow.RecordBatch {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	b.Append(n)
	return array.NewRecordBatch(numbersSchema, []arrow.Array{b.NewArray()}, 1)
}

// TestPutsOutliveKill9: what was acknowledged is there when the server is started again, once, and a client that puts again under its id
// makes up for the rest.
func TestPutsOutliveKill9(t *testing.T) {
	rounds := kills
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		rounds = n
	}
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(dir, "server.yaml")
	write(t, manifest, serverYAML("kill", `  - {name: numbers, access: Append, source: {volume: {claimName: v, path: "in/*.arrow"}}}`+"\n"))
	acknowledged := map[int64]bool{}
	sent := make([]int64, rounds)
	for round := range rounds {
		s := startPlain(t, nil, "-f", manifest, "--volume", "v="+data)
		s.dataset(t, "numbers", flightruntime.DatasetReady)
		time.AfterFunc(time.Duration(50+rand.IntN(250))*time.Millisecond, func() { _ = s.cmd.Process.Kill() })
		last := putUntilTheEnd(t, s, round, mostBatches, func(n int64) { acknowledged[value(round, n)] = true })
		sent[round] = last
		<-s.exited
	}
	s := startPlain(t, nil, "-f", manifest, "--volume", "v="+data)
	s.dataset(t, "numbers", flightruntime.DatasetReady)
	for n, times := range countNumbers(t, s) {
		if times != 1 {
			t.Errorf("%d is there %d times", n, times)
		}
		delete(acknowledged, n)
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d batches that were acknowledged are lost, one of them %v", len(acknowledged), first(acknowledged))
	}
	total := int64(0)
	for round, n := range sent { // the clients try again, under the same ids
		if last := putUntilTheEnd(t, s, round, n, func(int64) {}); last != n {
			t.Errorf("round %d: %d of %d batches were put", round, last, n)
		}
		total += n
	}
	got := countNumbers(t, s)
	for n, times := range got {
		if times != 1 {
			t.Errorf("after putting again, %d is there %d times", n, times)
		}
	}
	if int64(len(got)) != total {
		t.Errorf("after putting again, %d batches are there of %d", len(got), total)
	}
	t.Logf("FIGURE %d kill -9, %d batches sent, %d acknowledged batches lost", rounds, total, len(acknowledged))
}

func value(round int, n int64) int64 { return int64(round)<<32 + n }

func first(of map[int64]bool) int64 {
	for n := range of {
		return n
	}
	return 0
}

// putUntilTheEnd puts numbered batches under the round's id, up to the most, or until the server is gone. It returns how many it sent.
func putUntilTheEnd(t *testing.T, s *server, round int, most int64, acknowledged func(n int64)) (sent int64) {
	t.Helper()
	w, results, err := s.client(t).DoPut(t.Context(), flightruntime.DescriptorForCommand(fmt.Appendf(nil, `{"dataset": "numbers", "id": "round-%d"}`, round)), numbersSchema)
	if err != nil {
		return 0
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			answer, err := results.Read()
			if err != nil {
				return
			}
			var receipt struct{ Batch int64 }
			if err := json.Unmarshal(answer, &receipt); err != nil {
				t.Error(err)
				return
			}
			acknowledged(receipt.Batch)
		}
	}()
	for sent < most {
		if err := w.WriteBatch(number(value(round, sent+1))); err != nil {
			break
		}
		sent++
	}
	_ = w.CloseSend() // where the server is gone, that fails too
	<-read
	return sent
}

// countNumbers reads the dataset.
func countNumbers(t *testing.T, s *server) map[int64]int {
	t.Helper()
	counts := map[int64]int{}
	r, err := s.client(t).DoGet(t.Context(), &flightruntime.Ticket{Ticket: []byte("numbers")})
	if err != nil {
		t.Fatal(err)
	}
	for c, err := range r.Chunks() {
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range c.Batch.Column(0).(*array.Int64).Int64Values() {
			counts[n]++
		}
	}
	return counts
}
