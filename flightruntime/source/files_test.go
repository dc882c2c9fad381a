package source_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// tree makes a directory of files, whose content is their path, and of symbolic links.
func tree(t *testing.T, files []string, links map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		write(t, dir, name, name)
	}
	for name, target := range links {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func names(objects []source.Object) []string {
	var out []string
	for _, o := range objects {
		out = append(out, o.Name())
	}
	return out
}

func content(t *testing.T, o source.Object) string {
	t.Helper()
	r, err := o.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := make([]byte, o.Size())
	if n, _ := r.ReadAt(b, 0); int64(n) != o.Size() {
		t.Fatalf("read %d bytes of %d", n, o.Size())
	}
	return string(b)
}

var trips = []string{
	"trips/2023/12.parquet",
	"trips/2024/01.parquet",
	"trips/2024/02.parquet",
	"trips/2024/notes.txt",
	"trips/all.csv",
	"zones.csv",
	"..2024_05_01_10_00_00.123/zones.csv",
	"lost+found/orphan.csv",
}

func TestFilesListsWhatMatchesInPathOrder(t *testing.T) {
	dir := tree(t, trips, nil)
	for pattern, want := range map[string][]string{
		"zones.csv":                    {"zones.csv"},
		"trips/2024/*.parquet":         {"trips/2024/01.parquet", "trips/2024/02.parquet"},
		"trips/**/*.parquet":           {"trips/2023/12.parquet", "trips/2024/01.parquet", "trips/2024/02.parquet"},
		"**/*.csv":                     {"trips/all.csv", "zones.csv"},
		"trips/{2023,2024}/?[12].par*": {"trips/2023/12.parquet", "trips/2024/01.parquet", "trips/2024/02.parquet"},
		"trips/*":                      {"trips/all.csv"},
		"trips/2024/**":                {"trips/2024/01.parquet", "trips/2024/02.parquet", "trips/2024/notes.txt"},
	} {
		t.Run(strings.ReplaceAll(pattern, "/", "_"), func(t *testing.T) {
			objects, err := source.NewFiles(dir, pattern).List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, names(objects)); d != "" {
				t.Errorf("names (-want +got):\n%s", d)
			}
			for _, o := range objects {
				if got := content(t, o); got != o.Name() {
					t.Errorf("content of %s: %q", o.Name(), got)
				}
			}
		})
	}
}

func TestFilesFollowsLinksInsideTheRoot(t *testing.T) {
	dir := tree(t, []string{"..2024/zones.csv", "v3/a.csv"}, map[string]string{
		"..data":    "..2024",
		"zones.csv": "..data/zones.csv", // a ConfigMap's mount
		"current":   "v3",
		"v3/circle": "..",
		"v3/z.csv":  "../zones.csv", // leaves its directory, and not the root
		"gone.csv":  "nowhere",
	})
	for pattern, want := range map[string][]string{
		"zones.csv":     {"zones.csv"},
		"*.csv":         {"zones.csv"},
		"current/*.csv": {"current/a.csv", "current/z.csv"},
		"**/*.csv":      {"v3/a.csv", "v3/z.csv", "zones.csv"},
	} {
		objects, err := source.NewFiles(dir, pattern).List(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		if d := cmp.Diff(want, names(objects)); d != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, d)
		}
	}
}

func TestFilesSaysWhatIsWrong(t *testing.T) {
	outside := tree(t, []string{"secret"}, nil)
	dir := tree(t, append(trips, "many/1", "many/2", "many/3", "many/4", "many/5", "many/6", "many/7", "many/8", "many/9"), map[string]string{
		"leaves.csv":     filepath.Join(outside, "secret"),
		"climbs.csv":     "../../secret",
		"loop.csv":       "loop.csv",
		"links/away.csv": filepath.Join(outside, "secret"),
	})
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.csv"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, root, pattern string
		want                string
	}{
		{"no root", dir + "/nothing", "a.csv", "directory ROOT/nothing does not exist: is its volume mounted?"},
		{"root is a file", dir + "/zones.csv", "a.csv", "directory ROOT/zones.csv cannot be opened: not a directory"},
		{"no file", dir, "trips/2024/03.parquet", `there is no file "trips/2024/03.parquet" below ROOT (its directory "trips/2024" holds 01.parquet, 02.parquet, notes.txt)`},
		{"no directory", dir, "trips/2025/03.parquet", `there is no file "trips/2025/03.parquet" below ROOT (its directory "trips" holds 2023/, 2024/, all.csv)`},
		{"file as directory", dir, "zones.csv/x", `there is no file "zones.csv/x" below ROOT (it holds climbs.csv, empty/, leaves.csv, links/, loop.csv, many/, pipe.csv, trips/, and 1 more)`},
		{"no match", dir, "trips/**/*.json", `no file matches "trips/**/*.json" below ROOT (its directory "trips" holds 2023/, 2024/, all.csv)`},
		{"no match, no directory", dir, "rides/2024/*.json", `no file matches "rides/2024/*.json" below ROOT (it holds climbs.csv, empty/, leaves.csv, links/, loop.csv, many/, pipe.csv, trips/, and 1 more)`},
		{"empty directory", dir, "empty/*", `no file matches "empty/*" below ROOT (its directory "empty" is empty)`},
		{"many files", dir, "many/0", `there is no file "many/0" below ROOT (its directory "many" holds 1, 2, 3, 4, 5, 6, 7, 8, and 1 more)`},
		{"directory", dir, "trips", `"trips" below ROOT is not a regular file: to read a directory's files, write a glob such as "trips/*"`},
		{"pipe", dir, "pipe.csv", `"pipe.csv" below ROOT is not a regular file: to read a directory's files, write a glob such as "pipe.csv/*"`},
		{"absolute link", dir, "leaves.csv", `"leaves.csv" is a symbolic link that leaves ROOT: only files inside it are served`},
		{"climbing link", dir, "climbs.csv", `"climbs.csv" is a symbolic link that leaves ROOT: only files inside it are served`},
		{"link in a glob", dir, "links/*.csv", `"links/away.csv" is a symbolic link that leaves ROOT: only files inside it are served`},
		{"circular link", dir, "loop.csv", `"loop.csv" below ROOT goes through too many symbolic links`},
		{"climbing path", dir, "../x", `path "../x" is malformed: expected a relative path without empty, "." or ".." segments, with its brackets and braces closed`},
		{"absolute path", dir, "/etc/passwd", `path "/etc/passwd" is malformed: expected a relative path without empty, "." or ".." segments, with its brackets and braces closed`},
		{"open bracket", dir, "trips/[a.csv", `path "trips/[a.csv" is malformed: expected a relative path without empty, "." or ".." segments, with its brackets and braces closed`},
	} {
		t.Run(c.name, func(t *testing.T) {
			objects, err := source.NewFiles(c.root, c.pattern).List(t.Context())
			if err == nil {
				t.Fatalf("got %v, want an error", names(objects))
			}
			if d := cmp.Diff(c.want, strings.ReplaceAll(err.Error(), dir, "ROOT")); d != "" {
				t.Errorf("message (-want +got):\n%s", d)
			}
		})
	}
}

func TestGlobWithoutFilesIsToldApart(t *testing.T) {
	dir := tree(t, trips, nil)
	for pattern, want := range map[string]bool{"trips/*.arrow": true, "rides/*.parquet": true, "trips/01.parquet": false, "trips/[": false} {
		if _, err := source.NewFiles(dir, pattern).List(t.Context()); errors.Is(err, source.ErrNoMatch) != want {
			t.Errorf("%s: %v, want ErrNoMatch: %t", pattern, err, want)
		}
	}
}

func TestFileThatChangedIsNotOpened(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"longer":   func(path string) error { return os.WriteFile(path, []byte("a longer content"), 0o600) },
		"touched":  func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 1)) },
		"gone":     os.Remove,
		"replaced": func(path string) error { return replace(path, "zones.csv") },
		"a pipe":   func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, []string{"zones.csv"}, nil)
			objects, err := source.NewFiles(dir, "zones.csv").List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := change(filepath.Join(dir, "zones.csv")); err != nil {
				t.Fatal(err)
			}
			if _, err := objects[0].Open(t.Context()); !errors.Is(err, source.ErrChanged) {
				t.Errorf("got %v, want ErrChanged", err)
			}
		})
	}
}

// replace puts a file of the same size and time in another's place.
func replace(path, content string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	next := path + ".next"
	return errors.Join(os.WriteFile(next, []byte(content), 0o600), os.Chtimes(next, time.Time{}, info.ModTime()), os.Rename(next, path))
}

func TestVersionChangesWithAConfigMapsDirectory(t *testing.T) {
	dir := tree(t, []string{"..1/zones.csv", "..2/zones.csv"}, map[string]string{"..data": "..1", "zones.csv": "..data/zones.csv"})
	version := func() string {
		objects, err := source.NewFiles(dir, "zones.csv").List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return objects[0].Version()
	}
	before := version()
	if again := version(); again != before {
		t.Errorf("version of the same file: %s, then %s", before, again)
	}
	if err := errors.Join(os.Symlink("..2", filepath.Join(dir, "..next")), os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data"))); err != nil {
		t.Fatal(err)
	}
	if after := version(); after == before {
		t.Errorf("the version is still %s", after)
	}
}

func TestVerified(t *testing.T) {
	const zones = "zones.csv"
	digest := strings.Repeat("0", 64) // of nothing here
	dir := tree(t, []string{zones}, nil)
	right := inlineVersion(t, zones)

	objects, err := source.NewVerified(dir, zones, strings.ToUpper(right)).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if o := objects[0]; o.Name() != zones || o.Version() != right || content(t, o) != zones {
		t.Errorf("got %s of version %s and content %q", o.Name(), o.Version(), content(t, o))
	}
	write(t, dir, zones, "something else")
	if got := content(t, objects[0]); got != zones {
		t.Errorf("what was verified now reads %q", got)
	}

	for name, s := range map[string]source.Source{
		"other content": source.NewVerified(dir, zones, digest),
		"no such key":   source.NewVerified(dir, "later.csv", digest),
	} {
		if _, err := s.List(t.Context()); !errors.Is(err, source.ErrNotCurrent) {
			t.Errorf("%s: got %v, want ErrNotCurrent", name, err)
		}
	}
	for name, s := range map[string]source.Source{
		"no volume": source.NewVerified(dir+"/nothing", zones, digest),
		"a glob":    source.NewVerified(dir, "*.csv", digest),
	} {
		if _, err := s.List(t.Context()); err == nil || errors.Is(err, source.ErrNotCurrent) {
			t.Errorf("%s: got %v, want an error that waiting does not mend", name, err)
		}
	}
}

// inlineVersion is the SHA-256 of text.
func inlineVersion(t *testing.T, text string) string {
	objects, err := source.NewInline("x", []byte(text)).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return objects[0].Version()
}

func TestInline(t *testing.T) {
	objects, err := source.NewInline("rates", []byte("a,b\n1,2\n")).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := objects[0]
	if o.Name() != "rates" || o.Size() != 8 || content(t, o) != "a,b\n1,2\n" {
		t.Errorf("got %s of %d bytes: %q", o.Name(), o.Size(), content(t, o))
	}
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, appendix B.1
	if got := inlineVersion(t, "abc"); got != abc {
		t.Errorf("version %s, want %s", got, abc)
	}
}

func TestCancelledContext(t *testing.T) {
	dir := tree(t, trips, nil)
	objects, err := source.NewFiles(dir, "zones.csv").List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source.NewFiles(dir, "**/*.csv").List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("List: %v", err)
	}
	if _, err := objects[0].Open(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v", err)
	}
}

// A refresh lists all files of a dataset, however many there are.
func BenchmarkList(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		write(b, dir, fmt.Sprintf("a/b/%04d.csv", i), "")
	}
	s := source.NewFiles(dir, "a/b/*.csv")
	b.ReportAllocs()
	for b.Loop() {
		if objects, err := s.List(b.Context()); err != nil || len(objects) != 1000 {
			b.Fatalf("%d files, error %v", len(objects), err)
		}
	}
}
