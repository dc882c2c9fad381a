package landing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFilesLandInOrder(t *testing.T) {
	for pattern, folder := range map[string]string{"*.txt": ".", "trips/2024/*.txt": "trips/2024", "trips/**/*.txt": "trips"} {
		dir := t.TempDir()
		l := open(t, dir, pattern)
		var want []string
		for i := range 20 {
			content := fmt.Sprintf("%d", i)
			landed := land(t, l, Key{}, content)
			if landed.Already || filepath.Dir(landed.Name) != folder {
				t.Errorf("%s: landed as %+v", pattern, landed)
			}
			want = append(want, content)
			wantContents(t, dir, pattern, want...)
		}
		again := open(t, dir, pattern)
		land(t, again, Key{}, "last")
		wantContents(t, dir, pattern, append(want, "last")...)
		if left := leftovers(t, dir); len(left) > 0 {
			t.Errorf("%s: left over: %v", pattern, left)
		}
	}
}

func TestFilesAreSeenWhenTheyAreComplete(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, "**/*")
	content := strings.Repeat("x", 3*writeBuffer)
	_, err := l.Land(t.Context(), Key{}, func(w io.Writer) error {
		for part := range 3 {
			if err := text(content[part*writeBuffer : (part+1)*writeBuffer])(w); err != nil {
				return err
			}
			wantContents(t, dir, "**/*")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantContents(t, dir, "**/*", content)
}

func TestKeysLandOnce(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, "*")
	first := land(t, l, Key{ID: "load", N: 1}, "one")
	if first.Already {
		t.Error("the first put landed already")
	}
	for _, l := range []*Landing{l, open(t, dir, "*")} {
		landed, err := l.Land(t.Context(), Key{ID: "load", N: 1}, func(io.Writer) error {
			t.Error("what had landed was written again")
			return nil
		})
		if d := cmp.Diff(Landed{Name: first.Name, Already: true}, landed); d != "" || err != nil {
			t.Errorf("put again: %v\n%s", err, d)
		}
	}
	land(t, l, Key{ID: "load", N: 2}, "two")
	wantContents(t, dir, "*", "one", "two")
	if err := os.Remove(filepath.Join(dir, first.Name)); err != nil {
		t.Fatal(err)
	}
	if landed := land(t, l, Key{ID: "load", N: 1}, "one again"); landed.Already {
		t.Error("a file that was removed is remembered")
	}
}

func TestOneOfManyPutsUnderAKeyLands(t *testing.T) {
	dir := t.TempDir()
	var landings []*Landing
	for range 4 { // as many processes would have
		landings = append(landings, open(t, dir, "a/*"))
	}
	const keys, puts = 10, 16
	var mu sync.Mutex
	fresh := map[uint64]int{}
	var putters sync.WaitGroup
	for i := range puts {
		putters.Go(func() {
			for n := range uint64(keys) {
				landed, err := landings[i%len(landings)].Land(t.Context(), Key{ID: "x", N: n}, text(fmt.Sprint(n)))
				if err != nil {
					t.Error(err)
					return
				}
				if !landed.Already {
					mu.Lock()
					fresh[n]++
					mu.Unlock()
				}
			}
		})
	}
	putters.Wait()
	var want []string
	for n := range uint64(keys) {
		want = append(want, fmt.Sprint(n))
		if fresh[n] != 1 {
			t.Errorf("key %d landed %d times", n, fresh[n])
		}
	}
	wantContents(t, dir, "a/*", want...)
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestWhatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, "*")
	errMine := errors.New("mine")
	ctx, cancel := context.WithCancel(t.Context())
	for name, c := range map[string]struct {
		ctx   context.Context
		write func(io.Writer) error
		want  error
	}{
		"the writer fails": {t.Context(), func(w io.Writer) error { return errors.Join(text("half")(w), errMine) }, errMine},
		"the context ends": {ctx, func(w io.Writer) error {
			cancel()
			return text(strings.Repeat("x", 2*writeBuffer))(w)
		}, context.Canceled},
	} {
		for _, key := range []Key{{}, {ID: name}} {
			if _, err := l.Land(c.ctx, key, c.write); !errors.Is(err, c.want) || errors.Is(err, ErrVolume) {
				t.Errorf("%s: %v", name, err)
			}
			wantContents(t, dir, "*")
			if left := leftovers(t, dir); len(left) > 0 {
				t.Errorf("%s: left over: %v", name, left)
			}
		}
	}
}

func TestLeftoversAreRemovedAndFilesInTheMakingAreNot(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, "a/*")
	dead := []string{tempPrefix + "0123456789abcdef", replacePrefix + "0/" + lockName, replacePrefix + "0/put-1", replacePrefix + "1/put-1"}
	for _, name := range dead {
		write(t, filepath.Join(dir, "a", name), "half")
	}
	r, err := l.Replace(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.Context(), text("new")); err != nil {
		t.Fatal(err)
	}
	_, err = l.Land(t.Context(), Key{}, func(w io.Writer) error {
		open(t, dir, "a/*") // by another process, say
		return text("old")(w)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantContents(t, dir, "a/*", "old")
	if done, err := r.Commit(t.Context()); len(done.Removed) != 1 || err != nil {
		t.Errorf("%+v, %v", done, err)
	}
	wantContents(t, dir, "a/*", "new")
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestFilesLandInsideTheVolume(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "away")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, "away/*"); err == nil {
		t.Error("a folder outside of the volume was opened")
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside there is %v, %v", entries, err)
	}
}

func TestFolderThatIsTakenAwayIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, "a/b/*")
	land(t, l, Key{}, "1")
	if err := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "kept")); err != nil {
		t.Fatal(err)
	}
	land(t, l, Key{}, "2")
	wantContents(t, dir, "a/b/*", "2")
	if err := os.Remove(filepath.Join(dir, "a/b", lockName)); err != nil {
		t.Fatal(err)
	}
	land(t, l, Key{}, "3")
	wantContents(t, dir, "a/b/*", "2", "3")
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "")
	for name, c := range map[string]struct{ root, pattern, want string }{
		"no volume":        {dir + "/none", "*", "directory ROOT/none does not exist: is its volume mounted?"},
		"a file as volume": {dir + "/file", "*", "directory ROOT/file cannot be opened: not a directory"},
		"a file as folder": {dir, "file/*", `cannot write in folder "file" below ROOT: not a directory`},
		"no glob":          {dir, "a.parquet", `nothing can land by path "a.parquet": expected a last segment with one '*' and no other pattern, such as "trips/**/*.parquet"`},
	} {
		_, err := Open(t.Context(), c.root, c.pattern)
		if err == nil || strings.ReplaceAll(err.Error(), dir, "ROOT") != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// Who opens a landing while others land sees their files come, in order and whole.
func TestReadersBesideWriters(t *testing.T) {
	dir := t.TempDir()
	const writers, puts = 4, 25
	l := open(t, dir, "**/*")
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for i := range puts {
				if _, err := l.Land(t.Context(), Key{}, text(fmt.Sprintf("%d-%04d", w, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	seen := 0
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		got := contents(t, dir, "**/*")
		if len(got) < seen {
			t.Errorf("%d files after %d", len(got), seen)
		}
		seen = len(got)
		last := map[string]string{}
		for _, c := range got {
			if w := c[:1]; len(c) != 6 || c <= last[w] {
				t.Errorf("%q after %q", c, last[w])
			} else {
				last[w] = c
			}
		}
	}
	if all := contents(t, dir, "**/*"); len(slices.Compact(all)) != writers*puts {
		t.Errorf("%d files, want %d", len(all), writers*puts)
	}
}
