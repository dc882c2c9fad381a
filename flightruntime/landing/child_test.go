package landing_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/landing"
)

// The tests here look at what is left of a process that is killed. The process is the test program itself, told by its environment to be one.
const childEnv = "LANDING_TEST_CHILD"

func TestMain(m *testing.M) {
	task := os.Getenv(childEnv)
	if task == "" {
		os.Exit(m.Run())
	}
	if err := runChild(task); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// childTask is what a child does until it is killed.
type childTask struct {
	Do     string // one of children
	Dir    string
	Format string
	// Life counts the children of a folder.
	Life int64
	// Next is the first N that each writer with keys has no acknowledgement for.
	Next []uint64
}

var children = map[string]func(childTask) error{"append": appendUntilKilled, "replace": replaceUntilKilled, "fill": fillToTheLimit}

func runChild(task string) error {
	var c childTask
	if err := json.Unmarshal([]byte(task), &c); err != nil {
		return err
	}
	do, ok := children[c.Do]
	if !ok {
		return fmt.Errorf("nothing known of %q", c.Do)
	}
	return do(c)
}

// command is a child that is not started yet.
func command(t *testing.T, c childTask) *exec.Cmd {
	t.Helper()
	task, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(task))
	cmd.Stderr = os.Stderr
	return cmd
}

// ack is what a child tells once something is durable.
type ack struct {
	Writer  int // with keys; -1 without
	N       uint64
	Number  int64 // in the rows
	Already bool
}

var telling sync.Mutex

func tell(a ack) {
	line, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	telling.Lock()
	defer telling.Unlock()
	_, _ = os.Stdout.Write(append(line, '\n')) // in one piece: the parent reads whole lines
}

// Writers of a child, and rows of each of their batches.
const (
	writersWithKeys    = 4
	writersWithoutKeys = 4
	rowsOfABatch       = 20
)

// numberOf is unlike all others, but for the same key.
func numberOf(writer int, n uint64) int64 { return int64(writer)<<32 | int64(n) }

func appendUntilKilled(c childTask) error {
	l, err := landing.Open(context.Background(), c.Dir, extension[c.Format])
	if err != nil {
		return err
	}
	a := landing.NewAppender(l, c.Format, landing.AppenderOptions{})
	failed := make(chan error)
	put := func(writer int, n uint64, number int64, key landing.Key) bool {
		landed, err := a.Append(context.Background(), numbered(memory.DefaultAllocator, number, rowsOfABatch), key)
		if err != nil {
			failed <- err
			return false
		}
		tell(ack{Writer: writer, N: n, Number: number, Already: landed.Already})
		return true
	}
	for w := range writersWithKeys {
		go func() {
			// The last that was acknowledged once more, as a client does that does not know whether it was.
			n := max(c.Next[w], 1) - 1
			for put(w, n, numberOf(w, n), landing.Key{ID: fmt.Sprint("writer ", w), N: n}) {
				n++
			}
		}()
	}
	for w := range writersWithoutKeys {
		go func() {
			for n := uint64(0); put(-1, n, numberOf(writersWithKeys+w, n)|c.Life<<40, landing.Key{}); n++ {
			}
		}()
	}
	return <-failed
}

func replaceUntilKilled(c childTask) error {
	l, err := landing.Open(context.Background(), c.Dir, extension[c.Format])
	if err != nil {
		return err
	}
	for generation := c.Life << 32; ; generation++ {
		r, err := l.Replace(context.Background(), "")
		if err != nil {
			return err
		}
		for range filesOfAGeneration {
			err := r.Write(context.Background(), func(w io.Writer) error {
				writer, err := format.NewWriter(c.Format, w, numbers)
				if err != nil {
					return err
				}
				return errors.Join(writer.Write(numbered(memory.DefaultAllocator, generation, rowsOfABatch)), writer.Close())
			})
			if err != nil {
				return err
			}
		}
		if _, err := r.Commit(context.Background()); err != nil {
			return err
		}
		tell(ack{Number: generation})
	}
}

const filesOfAGeneration = 3

// fillToTheLimit puts more than a file may hold by the process's limit, which stands for a disk that is full in the middle of a file.
func fillToTheLimit(c childTask) error {
	l, err := landing.Open(context.Background(), c.Dir, extension[c.Format])
	if err != nil {
		return err
	}
	limit := syscall.Rlimit{Cur: 64 << 10, Max: 64 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	a := landing.NewAppender(l, c.Format, landing.AppenderOptions{})
	for rows, tooMany := range map[int]bool{100: false, 1 << 20: true} {
		_, err := a.Append(context.Background(), numbered(memory.DefaultAllocator, int64(rows), rows), landing.Key{})
		if tooMany != errors.Is(err, syscall.EFBIG) || tooMany != errors.Is(err, landing.ErrVolume) {
			return fmt.Errorf("%d rows: %w", rows, err)
		}
	}
	return a.Close(context.Background())
}

// acks reads what a child tells until it ends.
func acks(t *testing.T, r io.Reader) <-chan ack {
	told := make(chan ack, 1024)
	go func() {
		defer close(told)
		lines := bufio.NewReader(r)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return // what is not a whole line was not told
			}
			var a ack
			if err := json.Unmarshal(line, &a); err != nil {
				t.Errorf("%q: %v", line, err)
				return
			}
			told <- a
		}
	}()
	return told
}
