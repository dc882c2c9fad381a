package cache

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/internal/arrowtest"
)

// names of the files in a folder.
func names(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// settle waits until nothing is filled in the background any more.
func settle(t testing.TB, c *Cache) {
	t.Helper()
	for filling := 1; filling > 0; time.Sleep(time.Millisecond) {
		if t.Context().Err() != nil {
			t.Fatal("it is never filled")
		}
		c.mu.Lock()
		filling = len(c.filling)
		c.mu.Unlock()
	}
}

func TestPartsAreFilledInTheBackground(t *testing.T) {
	c := onDisk(t, t.TempDir(), ample)
	src, broken := numbers("numbers", 1000), unreadable(numbers("broken", 1000))
	for range 3 {
		c.FillLater(src)
		c.FillLater(broken)
	}
	settle(t, c)
	c.FillLater(broken) // it has just failed
	settle(t, c)
	wantThere(t, c, true, src)
	wantThere(t, c, false, broken)
	if s := c.Stats(); s.Failures != 1 {
		t.Errorf("%+v", s)
	}
}

func TestTheNextProcessTakesOver(t *testing.T) {
	dir := t.TempDir()
	src, schema := numbers("numbers", 1000), arrowtest.Column(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String})
	colours := part("colours", schema, arrowtest.FromJSON(t, schema, `[{"c":"red"}]`), arrowtest.FromJSON(t, schema, `[{"c":"green"},{"c":"red"}]`))
	first := onDisk(t, dir, ample)
	fill(t, first, src)
	fill(t, first, colours)
	first.Close()

	second := onDisk(t, dir, ample)
	second.TakeLater(unreadable(src))
	second.TakeLater(numbers("another", 10))
	settle(t, second)
	fill(t, second, unreadable(colours))
	wantThere(t, second, true, src, colours)
	wantThere(t, second, false, numbers("another", 10))
	if s := second.Stats(); s.Failures != 0 || s.Bytes == 0 {
		t.Errorf("%+v", s)
	}
	wantPart(t, second, colours, []arrow.RecordBatch{arrowtest.FromJSON(t, schema, `[{"c":"red"}]`), arrowtest.FromJSON(t, schema, `[{"c":"green"},{"c":"red"}]`)})
}

func TestDamagedFilesAreRemoved(t *testing.T) {
	flip := func(at func(b []byte) int) func(b []byte) []byte {
		return func(b []byte) []byte {
			b[at(b)] ^= 1
			return b
		}
	}
	src := numbers("numbers", 100_000)
	path := func(dir string) string { return filepath.Join(dir, partName(src.Key)) }
	made := t.TempDir()
	first := onDisk(t, made, ample)
	fill(t, first, src)
	whole, err := os.ReadFile(path(made))
	if err != nil {
		t.Fatal(err)
	}
	other := numbers("other", 100_000)
	fill(t, first, other)
	others, err := os.ReadFile(filepath.Join(made, partName(other.Key)))
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(b []byte) []byte{
		"nothing in it":             func([]byte) []byte { return nil },
		"half of it":                func(b []byte) []byte { return b[:len(b)/2] },
		"a byte less":               func(b []byte) []byte { return b[:len(b)-1] },
		"a byte more":               func(b []byte) []byte { return append(b, 0) },
		"another beginning":         flip(func([]byte) int { return 3 }),
		"a bit of the schema":       flip(func([]byte) int { return bodyAlignment + 30 }),
		"a bit of the data":         flip(func(b []byte) int { return len(b) / 2 }),
		"a bit of the index":        flip(func(b []byte) int { return len(b) - int(trailerSize) - 10 }),
		"a bit of the trailer":      flip(func(b []byte) int { return len(b) - int(trailerSize) }),
		"another end":               flip(func(b []byte) int { return len(b) - 1 }),
		"zeros":                     func(b []byte) []byte { clear(b); return b },
		"the bytes of another part": func([]byte) []byte { return slices.Clone(others) },
		"some other file":           func([]byte) []byte { return bytes.Repeat([]byte("ARROW1\x00\x00"), 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(path(dir), damage(slices.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			c := onDisk(t, dir, ample)
			c.TakeLater(src)
			settle(t, c)
			wantThere(t, c, false, src)
			if left := names(t, dir); len(left) != 0 || c.Stats().Failures != 1 {
				t.Errorf("there is %v, and %+v", left, c.Stats())
			}
			fill(t, c, src)
			wantThere(t, c, true, src)
		})
	}
	t.Run("a folder", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(path(dir), "in it"), 0o700); err != nil {
			t.Fatal(err)
		}
		c := onDisk(t, dir, ample)
		fill(t, c, src)
		wantThere(t, c, true, src)
	})
	t.Run("a link", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Symlink(path(made), path(dir)); err != nil {
			t.Fatal(err)
		}
		c := onDisk(t, dir, ample)
		_ = c.Fill(t.Context(), unreadable(src), "test")
		wantThere(t, c, false, src) // it leaves the folder
	})
}

func TestTheDiskMakesRoom(t *testing.T) {
	const rows = 100_000 // 800 kB
	dir := t.TempDir()
	c := onDisk(t, dir, 2_600_000)
	a, b, d, e := numbers("a", rows), numbers("b", rows), numbers("d", rows), numbers("e", rows)
	for _, src := range []Source{a, b, d} {
		fill(t, c, src)
	}
	var full *RoomError
	if err := c.Fill(t.Context(), e, "test"); !errors.As(err, &full) {
		t.Fatalf("parts that were just used went, or: %v", err)
	}
	wantThere(t, c, true, a, b, d)
	forget(c)
	use(c, a)
	fill(t, c, e)
	wantThere(t, c, true, a, d, e)
	wantThere(t, c, false, b)
	if s := c.Stats(); s.Evictions != 1 || s.Bytes > s.Limit {
		t.Errorf("%+v", s)
	}

	// What is being read does not go, nor does what it takes count for less when its file is gone.
	forget(c)
	c.store.(*folder).recent = 0
	held := c.Acquire([]Key{a.Key, d.Key, e.Key})
	if err := c.Fill(t.Context(), b, "test"); !errors.As(err, &full) {
		t.Errorf("what is being read went, or: %v", err)
	}
	for _, name := range names(t, dir) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Fill(t.Context(), b, "test"); !errors.As(err, &full) {
		t.Errorf("there is no room as long as the parts are mapped, but: %v", err)
	}
	held.Release()
}

// forget makes all parts of a cache such as were not used for long, in any order.
func forget(c *Cache) {
	s := c.store.(*folder)
	old := time.Now().Add(-time.Hour)
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, p := range c.parts {
		p.used = old
		_ = s.root.Load().Chtimes(partName(k), old, old)
	}
	for k, p := range c.parts {
		if p.index.Key == KeyOf("b").String() {
			older := old.Add(-time.Hour)
			p.used = older
			_ = s.root.Load().Chtimes(partName(k), older, older)
		}
	}
}

func use(c *Cache, src Source) { c.Acquire([]Key{src.Key}).Release() }

func TestWhatAnotherProcessKeepsCounts(t *testing.T) {
	const rows = 100_000
	dir := t.TempDir()
	one, two := onDisk(t, dir, 1_800_000), onDisk(t, dir, 1_800_000)
	a, b, d := numbers("a", rows), numbers("b", rows), numbers("d", rows)
	fill(t, one, a)
	fill(t, two, unreadable(a))
	fill(t, two, b)
	var full *RoomError
	if err := one.Fill(t.Context(), d, "test"); !errors.As(err, &full) {
		t.Errorf("the folder has no room, but: %v", err)
	}
	forget(one)
	forget(two)
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, partName(a.Key)), old, old); err != nil {
		t.Fatal(err)
	}
	l, p := lent(t, two, a)
	fill(t, one, d)
	wantThere(t, one, true, d)
	wantEqual(t, a.Schema, collect(a), received(t, a.Schema, l, messages(l, p, everyUnit)))
}

func collect(src Source) (all []arrow.RecordBatch) {
	for b := range src.Read(context.Background()) {
		all = append(all, b)
	}
	return all
}

// The tests below look at what becomes of a process that is killed, or finds its disk full. It is the test program itself.
const childEnv = "CACHE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch task, dir, _ := strings.Cut(os.Getenv(childEnv), " "); task {
	case "fill":
		fillForEver(dir)
	case "full":
		fillWithoutRoom(dir)
	default:
		os.Exit(m.Run())
	}
}

// fillForEver writes parts and says so, and a last one that never ends.
func fillForEver(dir string) {
	c, err := NewDisk(dir, ample, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	if err := c.Fill(context.Background(), numbers("whole", 1000), "child"); err != nil {
		panic(err)
	}
	endless := numbers("half", 1_000_000)
	read := endless.Read
	endless.Read = func(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
		return func(yield func(arrow.RecordBatch, error) bool) {
			for b := range read(ctx) {
				yield(b, nil)
			}
			fmt.Println("written")
			select {}
		}
	}
	panic(c.Fill(context.Background(), endless, "child"))
}

// fillWithoutRoom finds out what becomes of a part that the disk has no room for.
func fillWithoutRoom(dir string) {
	c, err := NewDisk(dir, ample, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	most := syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &most); err != nil {
		panic(err)
	}
	c.FillLater(numbers("large", 1_000_000))
	for c.Stats().Failures == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := c.Fill(context.Background(), numbers("small", 1000), "child"); err != nil {
		panic(err)
	}
	c.Close()
	fmt.Println("survived")
}

func child(t *testing.T, task, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+task+" "+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestAProcessThatIsKilledLeavesNothingThatIsTrusted(t *testing.T) {
	dir := t.TempDir()
	cmd := child(t, "fill", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	half := func() string {
		for _, name := range names(t, dir) {
			if strings.HasSuffix(name, stagedSuffix) {
				return name
			}
		}
		return ""
	}
	name := half()
	if name == "" {
		t.Fatalf("nothing is being written: %v", names(t, dir))
	}
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
		t.Fatal(err)
	}
	onDisk(t, dir, ample)
	if half() != name {
		t.Error("what another process writes was removed")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	c := onDisk(t, dir, ample)
	if half() != "" {
		t.Error("what the process had begun is still there")
	}
	fill(t, c, unreadable(numbers("whole", 1000)))
	if err := c.Fill(t.Context(), unreadable(numbers("half", 1_000_000)), "test"); !errors.Is(err, errGone) {
		t.Errorf("the half part: %v", err)
	}
}

func TestAFullDiskIsNoHarm(t *testing.T) {
	dir := t.TempDir()
	out, err := child(t, "full", dir).Output()
	if err != nil || string(out) != "survived\n" {
		t.Fatalf("%q, %v", out, err)
	}
	if got := names(t, dir); len(got) != 1 || got[0] != partName(KeyOf("small")) {
		t.Errorf("there is %v, want the small part alone", got)
	}
}

func TestAFolderThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewDisk(filepath.Join(file, "cache"), ample, slog.New(slog.DiscardHandler)); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("below a file: %v", err)
	}
}

func FuzzReadIndex(f *testing.F) {
	dir := f.TempDir()
	c := onDisk(f, dir, ample)
	src := numbers("numbers", 10)
	fill(f, c, src)
	whole, err := os.ReadFile(filepath.Join(dir, partName(src.Key)))
	if err != nil {
		f.Fatal(err)
	}
	end := len(whole) - int(trailerSize)
	length := int(binary.LittleEndian.Uint64(whole[end:]))
	index := whole[end-length : end]
	f.Add(index, 0)
	f.Add([]byte(`{"key":"`+src.Key.String()+`","units":[10],"messages":[{"from":64,"body":128,"to":1,"kind":1}]}`), 3)
	f.Add([]byte(`{"units":[-1],"messages":[{}]}`), 2)
	// The index is any; its checksum is right, so that it is looked at.
	f.Fuzz(func(t *testing.T, index []byte, cut int) {
		b := slices.Clone(whole[:end-length])
		b = append(b, index...)
		b = binary.LittleEndian.AppendUint64(b, uint64(len(index)))
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(index, castagnoli))
		b = append(b, 0, 0, 0, 0)
		b = append(b, magic...)
		if cut > 0 {
			b = b[min(cut, len(b)):]
		}
		x, err := readIndex(bytes.NewReader(b), int64(len(b)), src.Key, src.Units)
		if err != nil {
			return
		}
		if err := x.verify(bytes.NewReader(b), func() error { return nil }); err != nil {
			return
		}
		var rows int64
		for _, m := range x.Messages {
			if _ = b[m.From:m.Body:m.To]; m.Kind == 3 {
				rows += m.Rows
			}
		}
		if rows != 10 {
			told, _ := json.Marshal(x)
			t.Errorf("an index of %d rows is trusted: %s", rows, told)
		}
	})
}

// What another process, or a person, has removed takes its space for as long as it is mapped: it goes when that is needed.
func TestPartsWhoseFilesAreGoneMakeRoom(t *testing.T) {
	const rows = 100_000 // 800 kB
	dir := t.TempDir()
	c := onDisk(t, dir, 1_800_000)
	a, b, d, e := numbers("a", rows), numbers("b", rows), numbers("d", rows), numbers("e", rows)
	fill(t, c, a)
	fill(t, c, b)
	for _, name := range names(t, dir) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	forget(c)
	l, p := lent(t, c, a)
	fill(t, c, d)
	wantThere(t, c, true, a, d)
	wantThere(t, c, false, b)
	var full *RoomError
	if err := c.Fill(t.Context(), e, "test"); !errors.As(err, &full) {
		t.Errorf("what is being read went, or: %v", err)
	}
	wantEqual(t, a.Schema, collect(a), received(t, a.Schema, l, messages(l, p, everyUnit)))
	forget(c)
	fill(t, c, e)
	wantThere(t, c, true, e)
	if s := c.Stats(); s.Bytes > s.Limit {
		t.Errorf("%+v", s)
	}
	checkNothingHeld(t, c)
}

// Whoever sets a clock back makes files of the future, which nobody has used within the last minute.
func TestFilesOfTheFutureMakeRoom(t *testing.T) {
	const rows = 100_000
	dir := t.TempDir()
	first := onDisk(t, dir, 900_000)
	a, b := numbers("a", rows), numbers("b", rows)
	fill(t, first, a)
	first.Close()
	future := time.Now().Add(24 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, partName(a.Key)), future, future); err != nil {
		t.Fatal(err)
	}
	c := onDisk(t, dir, 900_000)
	fill(t, c, b)
	wantThere(t, c, true, b)
}

func TestWhatWasBegunBeforeTheClockWasSetBackIsRemoved(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, numbers("a", 1).Key.String()+".1-1"+stagedSuffix)
	future := time.Now().Add(24 * time.Hour)
	if err := errors.Join(os.WriteFile(name, []byte("begun"), 0o600), os.Chtimes(name, future, future)); err != nil {
		t.Fatal(err)
	}
	onDisk(t, dir, ample)
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("there is %v", left)
	}
}

// repeated is a part of some batches of numbers.
func repeated(name string, batches, rows int) Source {
	numbers := collect(numbers(name, rows))
	return part(name, numbers[0].Schema(), slices.Repeat(numbers, batches)...)
}

// Servers of one claim look at the folder again and again while they write, so that together they stay near the limit.
func TestProcessesThatFillAtOnceShareTheLimit(t *testing.T) {
	const limit, rows, batches = 8 << 20, 16 << 10, 48 // 6 MiB
	dir := t.TempDir()
	one, two := onDisk(t, dir, limit), onDisk(t, dir, limit)
	begun, goOn := make(chan struct{}), make(chan struct{})
	slow := repeated("slow", batches, rows)
	read := slow.Read
	slow.Read = func(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
		return func(yield func(arrow.RecordBatch, error) bool) {
			n := 0
			for b, err := range read(ctx) {
				if n++; n == 2 {
					close(begun)
					<-goOn
				}
				if !yield(b, err) {
					return
				}
			}
		}
	}
	filled := make(chan error)
	go func() { filled <- one.Fill(t.Context(), slow, "test") }()
	<-begun
	fill(t, two, repeated("fast", batches, rows))
	close(goOn)
	var full *RoomError
	if err := <-filled; !errors.As(err, &full) {
		t.Errorf("two parts of 6 MiB fit in 8 MiB, or: %v", err)
	}
}

// A part that could never fit is not written again a minute later, for which others would have to go each time.
func TestAPartThatIsLargerThanTheCache(t *testing.T) {
	c := onDisk(t, t.TempDir(), 1<<20)
	large, small, other := repeated("large", 32, 1<<13), numbers("small", 1<<16), repeated("other", 12, 1<<13)
	retried := func(src Source) time.Duration {
		c.FillLater(src)
		settle(t, c)
		c.mu.Lock()
		defer c.mu.Unlock()
		return time.Until(c.failed[src.Key])
	}
	if d := retried(large); d <= failureRetry {
		t.Errorf("what takes 2 MiB of 1 MiB is tried again in %s", d)
	}
	fill(t, c, small)
	if d := retried(other); d <= 0 || d > failureRetry {
		t.Errorf("what had no room beside others is tried again in %s", d)
	}
	c.SetLimit(4 << 20)
	c.FillLater(large)
	settle(t, c)
	wantThere(t, c, true, large, small)
}

// A disk that takes nothing is told of once in a while, and not for each part.
func TestADiskThatTakesNothingIsToldOfOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	var log bytes.Buffer
	c, err := NewDisk(dir, ample, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		c.FillLater(numbers(fmt.Sprint(i), 10))
	}
	settle(t, c)
	c.Close()
	if n := strings.Count(log.String(), "\n"); n != 1 || c.Stats().Failures != 5 {
		t.Errorf("of %d failures, it was told %d times:\n%s", c.Stats().Failures, n, log.String())
	}
}

// A folder that somebody has removed, to make room or to begin anew, is made again.
func TestAFolderThatWasRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	c := onDisk(t, dir, 1_800_000)
	a, b, d := numbers("a", 100_000), numbers("b", 100_000), numbers("d", 100_000)
	fill(t, c, a)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	fill(t, c, b)
	wantThere(t, c, true, a, b)
	forget(c)
	use(c, b)
	fill(t, c, d)
	wantThere(t, c, true, b, d)
	if got := names(t, dir); len(got) != 2 {
		t.Errorf("the folder has %v", got)
	}
}
