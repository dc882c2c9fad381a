package landing_test

import (
	"flag"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/landing"
)

var kills = flag.Int("kills", 20, "processes to kill in the middle of appending, and half as many in the middle of replacing")

// longestLife of a child after its first acknowledgement: at its end some dozens of batches are acknowledged, and each step of a put has
// its chance.
const longestLife = 200 * time.Millisecond

// liveAndDie runs a child and kills it at a random moment after its first acknowledgement. It calls f with each acknowledgement.
func liveAndDie(t *testing.T, c childTask, f func(ack)) {
	t.Helper()
	cmd := command(t, c)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := acks(t, stdout)
	first, ok := <-told
	if !ok {
		t.Fatalf("the child ended by itself: %v", cmd.Wait())
	}
	f(first)
	killed := time.AfterFunc(rand.N(longestLife), func() { _ = cmd.Process.Kill() })
	defer killed.Stop()
	for a := range told {
		f(a)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child was not killed: %v", err)
	}
}

// reopen opens the landing once more, which clears away what was left.
func reopen(t *testing.T, dir, formatName string) {
	t.Helper()
	l, err := landing.Open(t.Context(), dir, extension[formatName])
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if name := filepath.Base(path); strings.HasPrefix(name, "..") && name != "..landing.lock" {
			t.Errorf("left over: %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What was acknowledged is there, once, whenever the process is killed; under a key, so is what was not. Each process of a folder goes on
// where the one before was killed.
func TestKilledWhileAppending(t *testing.T) {
	var sum struct{ kills, acknowledged, lost, twice, unacknowledged int }
	for i, name := range []string{format.Parquet, format.ArrowStream} {
		dir := t.TempDir()
		acknowledged := map[int64]bool{}
		next := make([]uint64, writersWithKeys)
		for life := range int64((*kills + i) / 2) {
			liveAndDie(t, childTask{Do: "append", Dir: dir, Format: name, Life: life + 1, Next: next}, func(a ack) {
				if known := acknowledged[a.Number]; known != a.Already {
					// Of what was not acknowledged before it was killed, nobody knows.
					if known || a.Writer < 0 || a.N != next[a.Writer] {
						t.Errorf("%+v, and it was acknowledged before: %t", a, known)
					}
				}
				acknowledged[a.Number] = true
				if a.Writer >= 0 {
					next[a.Writer] = a.N + 1
				}
			})
			sum.kills++
			reopen(t, dir, name)
			rows := map[int64]int{}
			for _, n := range rowsOf(readAll(t, dir, extension[name], name)) {
				rows[n]++
			}
			lost, twice, unacknowledged := 0, 0, 0
			for n := range acknowledged {
				if rows[n] == 0 {
					lost++
				}
			}
			for n, count := range rows {
				switch {
				case count > rowsOfABatch:
					twice++
				case count < rowsOfABatch:
					t.Errorf("%d rows of batch %x, want %d", count, n, rowsOfABatch)
				}
				if !acknowledged[n] {
					unacknowledged++
				}
			}
			if lost > 0 || twice > 0 {
				t.Errorf("%s, life %d: %d acknowledged batches are lost, %d are there twice", name, life, lost, twice)
			}
			if life == int64((*kills+i)/2)-1 {
				sum.acknowledged += len(acknowledged)
				sum.lost += lost
				sum.twice += twice
				sum.unacknowledged += unacknowledged
			}
		}
	}
	t.Logf("%d kills: %d batches acknowledged, %d of them lost; %d batches twice; %d there that were not acknowledged",
		sum.kills, sum.acknowledged, sum.lost, sum.twice, sum.unacknowledged)
}

// A replacement is there in full or not at all, whenever the process is killed.
func TestKilledWhileReplacing(t *testing.T) {
	dir := t.TempDir()
	last := int64(0)
	generations := 0
	for life := range int64(*kills / 2) {
		liveAndDie(t, childTask{Do: "replace", Dir: dir, Format: format.Parquet, Life: life + 1}, func(a ack) {
			last = a.Number
			generations++
		})
		reopen(t, dir, format.Parquet)
		files := readAll(t, dir, "*.parquet", format.Parquet)
		rows := rowsOf(files)
		if len(files) != filesOfAGeneration || len(rows) != filesOfAGeneration*rowsOfABatch {
			t.Fatalf("%d files with %d rows, want %d with %d each", len(files), len(rows), filesOfAGeneration, rowsOfABatch)
		}
		for _, n := range rows {
			if n != rows[0] {
				t.Fatalf("files of two generations: %x and %x", rows[0], n)
			}
		}
		if rows[0] < last || rows[0] > last+1 {
			t.Errorf("generation %x is there, and %x was acknowledged last", rows[0], last)
		}
	}
	t.Logf("%d kills over %d replacements", *kills/2, generations)
}

func TestFullInTheMiddleOfAFile(t *testing.T) {
	// Parquet makes next to nothing of a number that repeats.
	for _, name := range []string{format.ArrowFile, format.ArrowStream} {
		dir := t.TempDir()
		if err := command(t, childTask{Do: "fill", Dir: dir, Format: name}).Run(); err != nil {
			t.Fatal(err)
		}
		if rows := rowsOf(readAll(t, dir, extension[name], name)); len(rows) != 100 {
			t.Errorf("%s: %d rows, want those of the batch that fits", name, len(rows))
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 2 {
			t.Errorf("%s: there is %v, %v, want one file and the lock", name, entries, err)
		}
	}
}
