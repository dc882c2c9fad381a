package landing

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A process that is killed leaves all that it wrote; a node that loses power leaves what was synchronised, and of the rest any part. The tests
// here record what is done to a disk, replay it up to each of its steps, take away what need not have outlived that step, and look at what
// is then made of it.

// node is a file or folder as a file system has it in memory, and on the disk.
type node struct {
	// Of a file: its content, of which so much is on the disk.
	content []byte
	synced  int
	// Of a folder: its names, those on the disk, and what changed since.
	names, durable map[string]*node
	changes        []func(names map[string]*node)
}

func newFolder() *node { return &node{names: map[string]*node{}, durable: map[string]*node{}} }

// change does something to the names in a folder, which is not on the disk before the folder is synchronised.
func (n *node) change(f func(names map[string]*node)) {
	f(n.names)
	n.changes = append(n.changes, f)
}

// at is what is at a path below a folder, and the folder that it is in.
func (n *node) at(name string) (found, folder *node) {
	folder = n
	if name == "." {
		return n, nil
	}
	segments := strings.Split(name, "/")
	for _, segment := range segments[:len(segments)-1] {
		folder = folder.names[segment]
	}
	return folder.names[segments[len(segments)-1]], folder
}

// do replays one step.
func (n *node) do(t *testing.T, e entry) {
	found, folder := n.at(e.name)
	base := path.Base(e.name)
	switch e.op {
	case "mkdir":
		made := newFolder()
		folder.change(func(names map[string]*node) { names[base] = made })
	case "create":
		made := &node{}
		folder.change(func(names map[string]*node) { names[base] = made })
	case "write":
		found.content = append(found.content, e.data...)
	case "sync":
		found.synced = len(found.content)
	case "link":
		_, to := n.at(e.to)
		to.change(func(names map[string]*node) { names[path.Base(e.to)] = found })
	case "rename":
		if path.Dir(e.name) != path.Dir(e.to) {
			t.Fatalf("renamed from one folder to another, which need not be one step on a disk: %s to %s", e.name, e.to)
		}
		folder.change(func(names map[string]*node) {
			delete(names, base)
			names[path.Base(e.to)] = found
		})
	case "remove":
		folder.change(func(names map[string]*node) { delete(names, base) })
	case "syncDir":
		found.durable, found.changes = cloned(found.names), nil
	default:
		t.Fatalf("unknown step %q", e.op)
	}
}

func cloned(names map[string]*node) map[string]*node {
	out := make(map[string]*node, len(names))
	for name, n := range names {
		out[name] = n
	}
	return out
}

// afterPowerLoss makes in dir what of a folder a disk may have.
func (n *node) afterPowerLoss(t *testing.T, r *rand.Rand, dir string) {
	names := cloned(n.durable)
	for _, change := range n.changes {
		if r.IntN(2) == 0 {
			change(names)
		}
	}
	for name, child := range names {
		at := filepath.Join(dir, name)
		if child.names != nil {
			if err := os.Mkdir(at, 0o755); err != nil {
				t.Fatal(err)
			}
			child.afterPowerLoss(t, r, at)
			continue
		}
		content := child.content[:child.synced:child.synced]
		switch lost := child.content[child.synced:]; r.IntN(3) {
		case 0:
			content = append(content, lost[:r.IntN(len(lost)+1)]...)
		case 1:
			content = append(content, make([]byte, len(lost))...)
		}
		write(t, at, string(content))
	}
}

// history is what a client did, one thing after the other, what was done to the disk for it, and what there had to be after each.
type history struct {
	log    []entry
	states []state
}

// state is what there is once so many steps are done.
type state struct {
	steps    int
	contents []string // sorted
}

// clientsHistory lets a client put, replace and delete at random.
func clientsHistory(t *testing.T, seed uint64) history {
	dir := memoryDir(t)
	log := &[]entry{}
	l, err := openOn(t.Context(), dir, "a/b/**/*.x", func(root *os.Root) disk { return recorder{unsynced{osDisk{root}}, log} })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := rand.New(rand.NewPCG(seed, 1))
	var files []struct{ name, content string }
	h := history{states: []state{{steps: len(*log)}}}
	for i := range 12 {
		content := func(part int) string { return fmt.Sprintf("<%d.%d %s>", i, part, strings.Repeat("x", r.IntN(100))) }
		what := r.IntN(6)
		if i == 0 && seed%2 == 0 {
			what = 1 // where nothing is to be removed, too
		}
		switch {
		case what == 0 && len(files) > 0:
			n := r.IntN(len(files))
			if removed, err := l.Delete(t.Context(), files[n].name); len(removed) != 1 || err != nil {
				t.Fatalf("%q removed, %v", removed, err)
			}
			files = slices.Delete(files, n, n+1)
		case what == 1:
			replacement, err := l.Replace(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			var written []string
			for part := range 1 + r.IntN(3) - i%2 {
				written = append(written, content(part))
				if err := replacement.Write(t.Context(), text(written[part])); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := replacement.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			files = nil
			names, err := l.list(t.Context())
			if err != nil || len(names) != len(written) {
				t.Fatal(names, err)
			}
			for part, name := range names {
				files = append(files, struct{ name, content string }{name, written[part]})
			}
		default:
			key := Key{}
			if what%2 == 0 {
				key = Key{ID: fmt.Sprint(i)}
			}
			c := content(0)
			files = append(files, struct{ name, content string }{land(t, l, key, c).Name, c})
		}
		s := state{steps: len(*log)}
		for _, f := range files {
			s.contents = append(s.contents, f.content)
		}
		slices.Sort(s.contents)
		h.states = append(h.states, s)
	}
	h.log = *log
	return h
}

// around are the states between which a loss of power after so many steps may leave a disk: all that was told to the client, and nothing in
// part.
func (h history) around(steps int) (before, after []string) {
	for i, s := range h.states {
		if s.steps > steps {
			return h.states[max(i-1, 0)].contents, s.contents
		}
	}
	last := h.states[len(h.states)-1].contents
	return last, last
}

func TestWhatWasAcknowledgedOutlivesALossOfPower(t *testing.T) {
	const seeds, disks = 4, 3
	tried := 0
	for seed := range uint64(seeds) {
		h := clientsHistory(t, seed)
		disk := newFolder()
		for step := range len(h.log) + 1 {
			if step > 0 {
				disk.do(t, h.log[step-1])
			}
			before, after := h.around(step)
			for state := range uint64(disks) {
				dir := memoryDir(t)
				disk.afterPowerLoss(t, rand.New(rand.NewPCG(seed<<32|uint64(step), state)), dir)
				open(t, dir, "a/b/**/*.x")
				got := contents(t, dir, "a/b/**/*.x")
				slices.Sort(got)
				if !slices.Equal(got, before) && !slices.Equal(got, after) {
					t.Fatalf("history %d, after step %d (%s): there is\n%q, expected\n%q or\n%q", seed, step, describe(h.log, step), got, before, after)
				}
				if left := leftovers(t, dir); len(left) > 0 {
					t.Fatalf("history %d, after step %d: left over: %v", seed, step, left)
				}
				tried++
			}
		}
	}
	t.Logf("%d disks after a loss of power", tried)
}

// describe is the last of so many steps, and those before it.
func describe(log []entry, steps int) string {
	var b strings.Builder
	for _, e := range log[max(0, steps-8):steps] {
		fmt.Fprintf(&b, "%s %s %s; ", e.op, path.Base(e.name), path.Base(e.to))
	}
	return b.String()
}

// The order that durability is about, in short: content, then name, then the folder of the name.
func TestOrderOfSteps(t *testing.T) {
	l := open(t, t.TempDir(), "a/*")
	log := record(l)
	if _, err := l.Land(t.Context(), Key{ID: "k"}, func(w io.Writer) error { return text("content")(w) }); err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, e := range *log {
		steps = append(steps, e.op)
	}
	if want := []string{"create", "write", "sync", "link", "remove", "syncDir"}; !slices.Equal(steps, want) {
		t.Errorf("steps of a put: %v, want %v", steps, want)
	}
	*log = nil
	if landed, err := l.Land(context.Background(), Key{ID: "k"}, nil); !landed.Already || err != nil {
		t.Fatal(landed, err)
	}
	// Who landed it may be about to.
	if len(*log) != 1 || (*log)[0].op != "syncDir" || !bytes.Equal([]byte((*log)[0].name), []byte("a")) {
		t.Errorf("steps of a put that had landed: %v, want the folder to be synchronised", *log)
	}
}
