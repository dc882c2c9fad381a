package landing

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

func TestGlobsThatFilesLandBy(t *testing.T) {
	key := Key{ID: "load-7", N: 258}
	at := time.Date(2024, 5, 1, 14, 0, 0, 5, time.FixedZone("", 7200))
	const timed, keyed = "put-20240501T120000.000000005Z-", "put-id-ccb5f2f6d4a29a8f8fb3ee0b7c0a2cd5-0000000000000102"
	for pattern, want := range map[string]struct{ folder, before, after string }{
		"*":                       {".", "", ""},
		"*.parquet":               {".", "", ".parquet"},
		"trips/*.parquet":         {"trips", "trips/", ".parquet"},
		"trips/**/*.parquet":      {"trips", "trips/", ".parquet"},
		"a/b c/**/**/part-*-.arr": {"a/b c", "a/b c/part-", "-.arr"},
		"**/*.arrows":             {".", "", ".arrows"},
		"..data/.*":               {"..data", "..data/.", ""},
	} {
		g, err := parseGlob(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		if g.folder != want.folder {
			t.Errorf("%s: files land in %q, want %q", pattern, g.folder, want.folder)
		}
		name := g.timed(at)
		if start, end := want.before+timed, want.after; !strings.HasPrefix(name, start) || !strings.HasSuffix(name, end) || len(name) != len(start)+16+len(end) {
			t.Errorf("%s: a file is named %q, want %q, 16 characters and %q", pattern, name, start, end)
		}
		if got, ok := g.timeOf(g.inside(name)); !ok || !got.Equal(at) {
			t.Errorf("%s: the name tells %s, %t", pattern, got, ok)
		}
		if name := g.keyed(key); len(name) != len(want.before+keyed+want.after) || !strings.HasSuffix(name, "-0000000000000102"+want.after) {
			t.Errorf("%s: a file under a key is named %q", pattern, name)
		}
		for _, name := range []string{name, g.keyed(key)} {
			if ok, err := doublestar.Match(pattern, name); !ok || err != nil {
				t.Errorf("%s does not match %q", pattern, name)
			}
			if strings.HasPrefix(g.inside(name), "..") {
				t.Errorf("%q is hidden", name)
			}
		}
		for _, name := range []string{lockName, tempPrefix + "x", replacePrefix + "x", commitName} {
			if !strings.HasPrefix(name, "..") {
				t.Errorf("%q is not hidden", name)
			}
		}
	}
}

func TestGlobsThatNothingCanLandBy(t *testing.T) {
	const star, folders = "one '*' and no other pattern", "folders with plain names"
	for pattern, want := range map[string]string{
		"":                    "relative path",
		"/a/*":                "relative path",
		"../*":                "relative path",
		"a//*":                "relative path",
		"trips/{a,b":          "braces closed",
		"trips.parquet":       star,
		"trips/**":            star,
		"a-*-*.parquet":       star,
		"[ab]*.parquet":       star,
		"*.{parquet,pq}":      star,
		`\*.parquet`:          star,
		"..*":                 "not listed",
		"*/*.parquet":         folders,
		"trips/**/2024/*.pq":  folders,
		"{2023,2024}/*.arrow": folders,
	} {
		_, err := parseGlob(pattern)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", pattern, err, want)
		}
	}
}

// Files are read in the order of their paths, which is to be the one in which they landed.
func TestNamesSortInTheirOrder(t *testing.T) {
	g, err := parseGlob("*.parquet")
	if err != nil {
		t.Fatal(err)
	}
	l := &Landing{glob: g}
	ahead := time.Now().Add(time.Hour) // the clock of another node, or ours before it was set back
	l.follow(g.timed(ahead))
	l.follow(g.timed(time.Now().AddDate(100, 0, 0))) // nonsense, which the next ones must not follow
	l.follow("put-nonsense.parquet")
	names := []string{g.timed(ahead)}
	for range 1000 {
		names = append(names, l.next())
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Error("the names are not in their order")
	}
	if at, _ := g.timeOf(names[1000]); at.After(ahead.Add(time.Minute)) {
		t.Errorf("the last name is of %s", at)
	}
	var keyed []string
	for _, n := range []uint64{0, 1, 9, 10, 255, 256, 1 << 40, 1<<64 - 1} {
		keyed = append(keyed, g.keyed(Key{ID: "a", N: n}))
	}
	if !slices.IsSorted(keyed) {
		t.Errorf("the batches of one put are not in their order: %v", keyed)
	}
	if g.keyed(Key{ID: "a", N: 1}) == g.keyed(Key{ID: "b", N: 1}) {
		t.Error("two keys have one name")
	}
}
