package landing

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

func TestReplacement(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a/2023/x.txt"), "x")
	write(t, filepath.Join(dir, "a/notes.md"), "not of the glob")
	l := open(t, dir, "a/**/*.txt")
	land(t, l, Key{}, "old")
	r, err := l.Replace(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := r.Write(t.Context(), text(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	land(t, l, Key{}, "meanwhile")
	wantContents(t, dir, "a/**/*.txt", "x", "old", "meanwhile")
	if done, err := r.Commit(t.Context()); len(done.Removed) != 3 || err != nil {
		t.Errorf("%d removed, %v", len(done.Removed), err)
	}
	r.Abort() // of no consequence
	if _, err := r.Commit(t.Context()); err == nil {
		t.Error("committed twice")
	}
	if err := r.Write(t.Context(), text("late")); err == nil {
		t.Error("written after the end")
	}
	land(t, l, Key{}, "later")
	wantContents(t, dir, "a/**/*.txt", "0", "1", "2", "later")
	if got, err := os.ReadFile(filepath.Join(dir, "a/notes.md")); err != nil || string(got) != "not of the glob" {
		t.Errorf("another file was touched: %q, %v", got, err)
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestReplacementThatIsAborted(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, "*")
	land(t, l, Key{}, "old")
	r, err := l.Replace(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.Context(), text("new")); err != nil {
		t.Fatal(err)
	}
	r.Abort()
	wantContents(t, dir, "*", "old")
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// Of all replacements under one ID one is committed, for as long as any of its files is there.
func TestReplacementUnderAnID(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, "a/p-*.txt")
	replace := func(id string, contents ...string) Replaced {
		t.Helper()
		r, err := l.Replace(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Abort()
		for _, c := range contents {
			if err := r.Write(t.Context(), text(c)); err != nil {
				t.Fatal(err)
			}
		}
		done, err := r.Commit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	old := land(t, l, Key{}, "old")
	first := replace("x", "1", "2")
	if first.Already || len(first.Files) != 2 || len(first.Removed) != 1 || first.Removed[0] != old.Name {
		t.Errorf("%+v, want two files in the place of %s", first, old.Name)
	}
	land(t, l, Key{}, "later")
	if again := replace("x", "1", "2"); !again.Already || len(again.Removed) > 0 || len(again.Files) != 2 || again.Files[1] != first.Files[1] {
		t.Errorf("%+v, want that it was done already", again)
	}
	wantContents(t, dir, "a/p-*.txt", "later", "1", "2")
	if _, err := l.Delete(t.Context(), first.Files[0]); err != nil {
		t.Fatal(err)
	}
	if again := replace("x", "1", "2"); !again.Already || len(again.Files) != 1 {
		t.Errorf("%+v, want what is left of it", again)
	}
	wantContents(t, dir, "a/p-*.txt", "later", "2")
	if other := replace("y", "3"); other.Already || len(other.Removed) != 2 {
		t.Errorf("%+v, want another ID to replace all", other)
	}
	if again := replace("x", "4"); again.Already || len(again.Removed) != 1 {
		t.Errorf("%+v, want an ID without files to be forgotten", again)
	}
	wantContents(t, dir, "a/p-*.txt", "4")
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestReplacementByNothing(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, "*")
	for i, want := range []int{2, 0} {
		if i == 0 {
			land(t, l, Key{}, "1")
			land(t, l, Key{ID: "2"}, "2")
		}
		r, err := l.Replace(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if done, err := r.Commit(t.Context()); len(done.Removed) != want || err != nil {
			t.Errorf("%d removed, want %d; %v", len(done.Removed), want, err)
		}
		r.Abort()
		if _, err := NewSource(dir, "*").List(t.Context()); !errors.Is(err, source.ErrNoMatch) {
			t.Errorf("%v, want no file", err)
		}
		if left := leftovers(t, dir); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
	}
}

func TestDelete(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a/2023/x.txt"), "x")
	write(t, filepath.Join(dir, "a/notes.md"), "notes")
	l := open(t, dir, "a/**/*.txt")
	first := land(t, l, Key{}, "1")
	second := land(t, l, Key{}, "2")
	for _, name := range []string{"a/notes.md", "../x.txt", "a/../a/2023/x.txt", "2023/x.txt", ""} {
		removed, err := l.Delete(t.Context(), first.Name, name)
		if want := fmt.Sprintf("%q is no file of \"a/**/*.txt\": nothing was deleted", name); len(removed) != 0 || err == nil || err.Error() != want {
			t.Errorf("%q removed, %v, want %s", removed, err, want)
		}
	}
	wantContents(t, dir, "a/**/*.txt", "x", "1", "2")
	if removed, err := l.Delete(t.Context(), first.Name, "a/2023/x.txt", "a/gone.txt", first.Name); len(removed) != 2 || err != nil {
		t.Errorf("%q removed, %v", removed, err)
	}
	wantContents(t, dir, "a/**/*.txt", "2")
	if removed, err := l.Delete(t.Context(), first.Name); len(removed) != 0 || err != nil {
		t.Errorf("%q removed, %v", removed, err)
	}
	if removed, err := l.Delete(t.Context(), second.Name); len(removed) != 1 || removed[0] != second.Name || err != nil {
		t.Errorf("%q removed, %v", removed, err)
	}
	third := land(t, l, Key{}, "3")
	if removed, err := l.DeleteAll(t.Context()); len(removed) != 1 || removed[0] != third.Name || err != nil {
		t.Errorf("%q removed, %v", removed, err)
	}
	wantContents(t, dir, "a/**/*.txt")
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// A link goes, and what it leads to stays.
func TestDeleteOfALink(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "kept"), "x")
	if err := os.Symlink("kept", filepath.Join(dir, "link.txt")); err != nil {
		t.Fatal(err)
	}
	l := open(t, dir, "*.txt")
	if removed, err := l.Delete(t.Context(), "link.txt"); len(removed) != 1 || err != nil {
		t.Errorf("%q removed, %v", removed, err)
	}
	wantContents(t, dir, "kept*", "x")
}

// A replacement that was decided is finished by whoever comes next.
func TestInterruptedReplacement(t *testing.T) {
	const pattern = "a/*"
	interrupted := func(t *testing.T) (dir string) {
		dir = t.TempDir()
		for name, content := range map[string]string{
			"put-1": "old", "put-2": "old", "put-3": "new 1", // one was named, and one removed already
			commitName + "/put-3": "new 1", commitName + "/put-4": "new 2", commitName + "/" + lockName: "",
			commitName + "/" + removeName: "\"put-0\"\n\"put-1\"\n\"put-2\"\n",
		} {
			write(t, filepath.Join(dir, "a", name), content)
		}
		return dir
	}
	for name, next := range map[string]func(t *testing.T, dir string){
		"opening": func(t *testing.T, dir string) { open(t, dir, pattern) },
		"listing": func(*testing.T, string) {},
		"another": func(t *testing.T, dir string) { open(t, dir, "a/*.other") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := interrupted(t)
			next(t, dir)
			wantContents(t, dir, pattern, "new 1", "new 2")
			if left := leftovers(t, dir); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
	dir := interrupted(t)
	write(t, filepath.Join(dir, "a", commitName, removeName), "\"../../kept\"\n")
	write(t, filepath.Join(filepath.Dir(dir), "kept"), "")
	if _, err := NewSource(dir, pattern).List(t.Context()); err == nil {
		t.Error("a path that leaves the volume was accepted")
	}
	write(t, filepath.Join(dir, "a", commitName, removeName), "put-1")
	if _, err := NewSource(dir, pattern).List(t.Context()); err == nil || !strings.Contains(err.Error(), "is damaged: expected a path a line, as JSON") {
		t.Errorf("a damaged list gave %v", err)
	}
}

// Readers see all that was there or all that is there now, whenever they look.
func TestReadersBesideReplacements(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, "*")
	replace := func(generation, files int) {
		r, err := l.Replace(t.Context(), "")
		if err != nil {
			t.Error(err)
			return
		}
		for i := range files {
			if err := r.Write(t.Context(), text(fmt.Sprintf("%d of %d, generation %d", i, files, generation))); err != nil {
				t.Error(err)
			}
		}
		if _, err := r.Commit(t.Context()); err != nil {
			t.Error(err)
		}
	}
	replace(0, 3)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				objects, err := NewSource(dir, "*").List(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				generation := ""
				for i, o := range objects {
					r, err := o.Open(t.Context())
					if errors.Is(err, source.ErrChanged) {
						break // replaced since
					}
					if err != nil {
						t.Error(err)
						break
					}
					b := make([]byte, o.Size())
					_, _ = r.ReadAt(b, 0)
					r.Close()
					rest, ok := strings.CutPrefix(string(b), fmt.Sprintf("%d of %d, ", i, len(objects)))
					if !ok || generation != "" && rest != generation {
						t.Errorf("%q among %d files of %q", b, len(objects), generation)
					}
					generation = rest
				}
			}
		})
	}
	for generation := range 30 {
		replace(generation, 1+generation%4)
	}
	close(stop)
	readers.Wait()
}
