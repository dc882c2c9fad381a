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
	rounds := killRounds()
	begin := mortal(t, "Append")
	acknowledged := map[int64]bool{}
	sent := make([]int64, rounds)
	inTheMiddle := 0 // rounds that were killed before all was acknowledged
	for round := range rounds {
		s := begin()
		time.AfterFunc(time.Duration(50+rand.IntN(250))*time.Millisecond, func() { _ = s.cmd.Process.Kill() })
		before := len(acknowledged)
		sent[round] = putUntilTheEnd(t, s, round, mostBatches, func(n int64) { acknowledged[value(round, n)] = true })
		if len(acknowledged)-before < mostBatches {
			inTheMiddle++
		}
		<-s.exited
	}
	s := begin()
	all, twice := len(acknowledged), 0
	for n, times := range countNumbers(t, s) {
		if times != 1 {
			twice++
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
			twice++
			t.Errorf("after putting again, %d is there %d times", n, times)
		}
	}
	if int64(len(got)) != total {
		t.Errorf("after putting again, %d batches are there of %d", len(got), total)
	}
	t.Logf("FIGURE %d kill -9, %d of them in the middle of a put: %d batches sent, %d acknowledged, %d of these lost, %d there twice",
		rounds, inTheMiddle, total, all, len(acknowledged), twice)
}

// batchesOfAVersion are put at a time by TestOverwritesOutliveKill9.
const batchesOfAVersion = 3

// TestOverwritesOutliveKill9: whenever the server is killed, one version is there when it is started again, in full, and none that is older
// than the last that was acknowledged.
func TestOverwritesOutliveKill9(t *testing.T) {
	rounds := killRounds()
	begin := mortal(t, "ReadWrite")
	s := begin()
	if !overwriteNumbers(t, s, 1) {
		t.Fatal("nobody was killed, and the first version was not acknowledged")
	}
	s.stop()
	sent, acknowledged := int64(1), int64(1) // versions
	for round := range rounds {
		s = begin()
		killed := time.AfterFunc(time.Duration(50+rand.IntN(250))*time.Millisecond, func() { _ = s.cmd.Process.Kill() })
		for overwriteNumbers(t, s, sent+1) {
			sent++
			acknowledged = sent
		}
		sent++ // it may have landed
		<-s.exited
		killed.Stop()
		s = begin()
		counts := countNumbers(t, s)
		s.stop()
		if len(counts) != 1 {
			t.Errorf("round %d: %d versions are there, want one", round, len(counts))
		}
		for version, batches := range counts {
			if batches != batchesOfAVersion || version < acknowledged || version > sent {
				t.Errorf("round %d: version %d has %d of %d batches; %d was acknowledged last and %d sent", round, version, batches, batchesOfAVersion, acknowledged, sent)
			}
		}
	}
	t.Logf("FIGURE %d kill -9 in the middle of %d overwrites", rounds, sent)
}

// overwriteNumbers puts a version in the place of the one before, and tells whether it was acknowledged.
func overwriteNumbers(t *testing.T, s *server, version int64) bool {
	t.Helper()
	w, results, err := s.client(t).DoPut(t.Context(), flightruntime.DescriptorForCommand([]byte(`{"dataset": "numbers", "mode": "overwrite"}`)), numbersSchema)
	if err != nil {
		return false
	}
	for range batchesOfAVersion {
		if err := w.WriteBatch(number(version)); err != nil {
			return false
		}
	}
	if err := w.CloseSend(); err != nil {
		return false
	}
	_, err = results.Read()
	return err == nil
}

func killRounds() int {
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		return n
	}
	return kills
}

// mortal starts servers of one dataset, numbers, one after the other.
func mortal(t *testing.T, access string) (begin func() *server) {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(dir, "server.yaml")
	write(t, manifest, serverYAML("kill", "  - {name: numbers, access: "+access+", source: {volume: {claimName: v, path: \"in/*.arrow\"}}}\n"))
	return func() *server {
		s := startPlain(t, nil, "-f", manifest, "--volume", "v="+data)
		s.dataset(t, "numbers", flightruntime.DatasetReady)
		return s
	}
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
