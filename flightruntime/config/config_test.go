package config

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// valid is a configuration that breaks no rule.
func valid() *Config {
	return &Config{
		APIVersion: APIVersion, Kind: Kind, Name: "data/taxi", Limits: DefaultLimits(),
		Datasets: []Dataset{
			{Name: "notes", Format: "CSV", Inline: &Inline{Data: "a\n1\n"}},
			{Name: "trips", Format: "Parquet", Files: &Files{Root: "/data", Path: "trips/**/*.parquet"}, RefreshInterval: metav1.Duration{Duration: time.Minute}},
			{Name: "zones", Format: "JSON", Missing: "ConfigMap data/zones does not exist"},
		},
	}
}

func TestParseReadsWhatMarshalWrote(t *testing.T) {
	want := valid()
	raw, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-written +read:\n%s", diff)
	}
}

func TestParseRefusals(t *testing.T) {
	whole, err := valid().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	changed := func(old, mended string) string {
		if !bytes.Contains(whole, []byte(old)) {
			t.Fatalf("there is no %q to change in\n%s", old, whole)
		}
		return strings.Replace(string(whole), old, mended, 1)
	}
	for _, tt := range []struct {
		name string
		raw  string
		want string
	}{
		{"nothing", "", "apiVersion " + APIVersion},
		{"half a file", "apiVersion: [", "not a runtime configuration"},
		{"text", "hello", "not a runtime configuration"},
		{"another version", changed("v1alpha1", "v2"), `got apiVersion "runtime.flightoperator.dev/v2"`},
		{"another kind", changed("kind: RuntimeConfig", "kind: Pod"), `kind "Pod"`},
		{"a field that this version does not know", string(whole) + "colour: red\n", `unknown field "colour"`},
		{"a field twice", string(whole) + "name: again\n", `"name" already set`},
		{"a value of another type", changed("maxStreams: 512", "maxStreams: many"), "maxStreams"},
		{"a broken rule", changed("name: trips", "name: Trips"), "datasets[1].name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse([]byte(tt.raw))
			if err == nil {
				t.Fatalf("parsed as %+v", c)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("refused with %q, want %q in it", err, tt.want)
			}
		})
	}
}

func TestHashAndDigestIdentifyBytes(t *testing.T) {
	// A server reports the hash and an operator of another version compares it: it may never change.
	if got := Hash(nil); got != "e3b0c44298fc1c14" {
		t.Errorf("Hash is %s", got)
	}
	if Hash([]byte("a")) == Hash([]byte("b")) || Digest([]byte("a")) == Digest([]byte("b")) {
		t.Error("other bytes have the same hash")
	}
	if got := Digest(nil); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("the digest of nothing is %s, want that of SHA-256", got)
	}
}

func TestEqualConfigurationsGiveEqualBytes(t *testing.T) {
	a, errA := valid().Marshal()
	b, errB := valid().Marshal()
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%v %v\n%s\n%s", errA, errB, a, b)
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		field  string // of the one error; empty: none
	}{
		{"a valid configuration", func(*Config) {}, ""},
		{"no datasets", func(c *Config) { c.Datasets = nil }, ""},
		{"a name of 63 characters", func(c *Config) { c.Datasets[0].Name = strings.Repeat("a", 63) }, ""},
		{"a name of 64 characters", func(c *Config) { c.Datasets[0].Name = strings.Repeat("a", 64) }, "datasets[0].name"},
		{"no name", func(c *Config) { c.Datasets[0].Name = "" }, "datasets[0].name"},
		{"a name in capitals", func(c *Config) { c.Datasets[0].Name = "Notes" }, "datasets[0].name"},
		{"a name that ends with a dash", func(c *Config) { c.Datasets[0].Name = "notes-" }, "datasets[0].name"},
		{"a name with a newline", func(c *Config) { c.Datasets[0].Name = "notes\n" }, "datasets[0].name"},
		{"a name twice", func(c *Config) { c.Datasets[2].Name = "notes" }, "datasets[2].name"},
		{"an unknown format", func(c *Config) { c.Datasets[0].Format = "XML" }, "datasets[0].format"},
		{"no format", func(c *Config) { c.Datasets[0].Format = "" }, "datasets[0].format"},
		{"no source", func(c *Config) { c.Datasets[0].Inline = nil }, "datasets[0]"},
		{"two sources", func(c *Config) { c.Datasets[0].Missing = "gone" }, "datasets[0]"},
		{"a root that is not absolute", func(c *Config) { c.Datasets[1].Files.Root = "data" }, "datasets[1].files.root"},
		{"a path that leaves its root", func(c *Config) { c.Datasets[1].Files.Path = "../passwd" }, "datasets[1].files.path"},
		{"an interval of never", func(c *Config) { c.Datasets[1].RefreshInterval.Duration = 0 }, ""},
		{"an interval too short", func(c *Config) { c.Datasets[1].RefreshInterval.Duration = time.Millisecond }, "datasets[1].refreshInterval"},
		{"an interval below zero", func(c *Config) { c.Datasets[1].RefreshInterval.Duration = -time.Hour }, "datasets[1].refreshInterval"},
		{"puts", func(c *Config) { c.Datasets[1].Access = "Append" }, ""},
		{"puts that may overwrite", func(c *Config) { c.Datasets[1].Access = "ReadWrite" }, ""},
		{"no puts", func(c *Config) { c.Datasets[1].Access = "ReadOnly" }, ""},
		{"puts once the claim is there", func(c *Config) { c.Datasets[2].Access = "Append" }, ""},
		{"an unknown access", func(c *Config) { c.Datasets[1].Access = "Write" }, "datasets[1].access"},
		{"puts into inline data", func(c *Config) { c.Datasets[0].Access = "Append" }, "datasets[0].access"},
		{"overwriting inline data", func(c *Config) { c.Datasets[0].Access = "ReadWrite" }, "datasets[0].access"},
		{"puts into a ConfigMap's key", func(c *Config) { c.Datasets[1].Access, c.Datasets[1].Files.SHA256 = "Append", "abc" }, "datasets[1].access"},
		{"puts into text", func(c *Config) { c.Datasets[1].Access, c.Datasets[1].Format = "Append", "JSON" }, "datasets[1].format"},
		{"puts into one file", func(c *Config) { c.Datasets[1].Access, c.Datasets[1].Files.Path = "Append", "a.parquet" }, "datasets[1].files.path"},
		{"messages too small", func(c *Config) { c.Limits.MaxMessageBytes = 1023 }, "limits.maxMessageBytes"},
		{"messages of the least size", func(c *Config) { c.Limits.MaxMessageBytes = 1024 }, ""},
		{"messages of the largest size", func(c *Config) { c.Limits.MaxMessageBytes = 2<<30 - 1 }, ""},
		{"messages too large", func(c *Config) { c.Limits.MaxMessageBytes = 2 << 30 }, "limits.maxMessageBytes"},
		{"no streams", func(c *Config) { c.Limits.MaxStreams = 0 }, "limits.maxStreams"},
		{"too many streams", func(c *Config) { c.Limits.MaxStreams = 1<<16 + 1 }, "limits.maxStreams"},
		{"calls of no time", func(c *Config) { c.Limits.MaxCallDuration.Duration = 0 }, "limits.maxCallDuration"},
		{"draining of no time", func(c *Config) { c.Limits.DrainTimeout.Duration = time.Millisecond }, "limits.drainTimeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := valid()
			tt.change(c)
			var fields []string
			for _, err := range c.Validate() {
				fields = append(fields, err.Field)
			}
			var want []string
			if tt.field != "" {
				want = []string{tt.field}
			}
			if diff := cmp.Diff(want, fields); diff != "" {
				t.Errorf("-want +got fields:\n%s", diff)
			}
		})
	}
}

func TestValidatePath(t *testing.T) {
	for path, mend := range map[string]string{
		"trips.parquet":            "",
		"trips/**/*.parquet":       "",
		"trips/{2023,2024}/[a-c]?": "",
		"a.b/..c/d..":              "",
		`escaped\*`:                "",
		"":                         "the path of a file",
		"/etc/passwd":              "leave out the leading '/'",
		"..":                       "clean",
		"a/../b":                   "clean",
		"./a":                      "clean",
		"a//b":                     "clean",
		"a/":                       "clean",
		"trips/[":                  "well-formed",
		"trips/{a,b":               "well-formed",
	} {
		t.Run(path, func(t *testing.T) {
			errs := ValidatePath(field.NewPath("path"), path)
			switch {
			case mend == "" && len(errs) > 0:
				t.Errorf("refused with %v", errs)
			case mend != "" && (len(errs) != 1 || !strings.Contains(errs[0].Error(), mend)):
				t.Errorf("got %v, want one error with %q", errs, mend)
			}
		})
	}
}

func TestValidateAppendPath(t *testing.T) {
	const oneStar, where = "one '*' and no other pattern", "in which folder"
	for path, mend := range map[string]string{
		"*":                            "",
		"*.parquet":                    "",
		"trips/*.parquet":              "",
		"trips/part-*-of.arrow":        "",
		"trips/**/*.parquet":           "",
		"a/b/**/**/*.parquet":          "",
		"**/*":                         "",
		".*":                           "",
		"..a/*":                        "",
		"trips.parquet":                oneStar,
		"trips/*/a.parquet":            oneStar,
		"trips/**":                     oneStar,
		"trips/**/**":                  oneStar,
		"a-*-*.parquet":                oneStar,
		"a-*?.parquet":                 oneStar,
		"a-*.{parquet,pq}":             oneStar,
		"[a-c]*.parquet":               oneStar,
		`\*.parquet`:                   oneStar,
		"*/*.parquet":                  where,
		"20??/*.parquet":               where,
		"{a,b}/*.parquet":              where,
		"trips/**/2024/*.pq":           where,
		"a**/*.parquet":                where,
		"trips/..*":                    "not be seen",
		"*" + strings.Repeat("a", 127): "",
		"*" + strings.Repeat("a", 128): "shorten it to 128",
	} {
		t.Run(path, func(t *testing.T) {
			errs := ValidateAppendPath(field.NewPath("path"), path)
			switch {
			case mend == "" && len(errs) > 0:
				t.Errorf("refused with %v", errs)
			case mend != "" && (len(errs) != 1 || !strings.Contains(errs[0].Error(), mend)):
				t.Errorf("got %v, want one error with %q", errs, mend)
			}
		})
	}
}

func TestFormatByExtension(t *testing.T) {
	for name, want := range map[string]string{
		"a.parquet": "Parquet", "a.csv": "CSV", "a.json": "JSON", "a.jsonl": "JSON", "a.ndjson": "JSON",
		"a.arrow": "ArrowFile", "a.feather": "ArrowFile", "a.ipc": "ArrowFile", "a.arrows": "ArrowStream",
		"trips/**/*.parquet": "Parquet", "a.b.csv": "CSV",
		"a": "", "csv": "", "a.csv/b": "", "a.csv.gz": "", "a.*": "", "": "",
	} {
		got, ok := FormatByExtension(name)
		if got != want || ok != (want != "") {
			t.Errorf("%q is %q, %t, want %q", name, got, ok, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	whole, err := valid().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte("apiVersion: runtime.flightoperator.dev/v1alpha1\nkind: RuntimeConfig\nlimits: {maxMessageBytes: 1e400}\n"))
	f.Add([]byte("datasets: [{name: a, files: {root: /, path: '[!'}}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("{\"apiVersion\": null}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := Parse(raw)
		if err != nil {
			return
		}
		again, err := c.Marshal()
		if err != nil {
			t.Fatalf("parsed, but cannot be written: %v", err)
		}
		read, err := Parse(again)
		if err != nil {
			t.Fatalf("what was written cannot be parsed: %v\n%s", err, again)
		}
		if diff := cmp.Diff(c, read); diff != "" {
			t.Errorf("-parsed +read again:\n%s", diff)
		}
	})
}
