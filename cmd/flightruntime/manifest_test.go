package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flight-operator/flight-operator/flightruntime/config"
)

const (
	taxi = `apiVersion: flightoperator.dev/v1alpha1
kind: FlightServer
metadata: {name: taxi, namespace: data}
spec:
  datasets:
  - name: zones
    source: {configMap: {name: zones, key: zones.csv}}
  - name: notes
    format: CSV
    source: {inline: {data: "a\n1\n"}}
`
	zones = `apiVersion: v1
kind: ConfigMap
metadata: {name: zones, namespace: data}
data:
  zones.csv: |
    zone
    1
`
	volumes = `apiVersion: flightoperator.dev/v1alpha1
kind: FlightServer
metadata: {name: trips, namespace: data}
spec:
  datasets:
  - name: trips
    source: {volume: {claimName: taxi-data, path: "**/*.parquet"}}
`
)

func documents(d ...string) string { return strings.Join(d, "---\n") }

func renderer(t *testing.T, f serveFlags) *manifest {
	t.Helper()
	m, err := newManifest(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m
}

func mustRender(t *testing.T, m *manifest, text string) (*config.Config, string) {
	t.Helper()
	c, raw, err := m.render([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c, string(raw)
}

// dataset is the one of that name.
func dataset(t *testing.T, c *config.Config, name string) config.Dataset {
	t.Helper()
	for _, d := range c.Datasets {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("there is no dataset %q among %+v", name, c.Datasets)
	return config.Dataset{}
}

// fileOf is the content of a dataset's one file.
func fileOf(t *testing.T, d config.Dataset) string {
	t.Helper()
	if d.Files == nil {
		t.Fatalf("dataset %s has no files: %+v", d.Name, d)
	}
	data, err := os.ReadFile(filepath.Join(d.Files.Root, d.Files.Path))
	if err != nil {
		t.Fatal(err)
	}
	if d.Files.SHA256 != config.Digest(data) {
		t.Errorf("dataset %s has the digest %s, its file %s", d.Name, d.Files.SHA256, config.Digest(data))
	}
	return string(data)
}

func TestManifestsGiveTheConfigurationThatTheOperatorWouldRender(t *testing.T) {
	c, raw := mustRender(t, renderer(t, serveFlags{}), documents(taxi, zones))
	if c.Name != "data/taxi" || c.Limits != config.DefaultLimits() {
		t.Errorf("rendered %+v", c)
	}
	if got := fileOf(t, dataset(t, c, "zones")); got != "zone\n1\n" {
		t.Errorf("the ConfigMap's key holds %q", got)
	}
	if d := dataset(t, c, "notes"); d.Inline == nil || d.Inline.Data != "a\n1\n" {
		t.Errorf("the inline dataset is %+v", d)
	}
	if _, err := config.Parse([]byte(raw)); err != nil {
		t.Errorf("a server would refuse it: %v", err)
	}
}

func TestDocumentsThatAreNoneOfOursArePassedOver(t *testing.T) {
	c, _ := mustRender(t, renderer(t, serveFlags{}), documents(
		"# a comment alone\n",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: data}\n",
		"",
		"apiVersion: apps/v1\nkind: Deployment\nspec: {anything: [1, 2]}\n",
		zones,
		"apiVersion: example.com/v1\nkind: FlightServer\nmetadata: {name: not-ours}\n",
		taxi,
	))
	if c.Name != "data/taxi" || len(c.Datasets) != 2 {
		t.Errorf("rendered %+v", c)
	}
}

func TestBinaryDataIsDecoded(t *testing.T) {
	binary := "zone\n\x00\xff\n"
	c, _ := mustRender(t, renderer(t, serveFlags{}), documents(taxi,
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: zones, namespace: data}\nbinaryData: {zones.csv: "+base64.StdEncoding.EncodeToString([]byte(binary))+"}\n"))
	if got := fileOf(t, dataset(t, c, "zones")); got != binary {
		t.Errorf("the key holds %q, want %q", got, binary)
	}
}

func TestAConfigMapOfAnotherNamespaceIsMissing(t *testing.T) {
	for name, text := range map[string]string{
		"no ConfigMap":      taxi,
		"another namespace": documents(taxi, strings.Replace(zones, "namespace: data", "namespace: other", 1)),
		"another key":       documents(taxi, strings.Replace(zones, "zones.csv", "areas.csv", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := mustRender(t, renderer(t, serveFlags{}), text)
			if d := dataset(t, c, "zones"); !strings.Contains(d.Missing, "ConfigMap data/zones") || d.Files != nil {
				t.Errorf("rendered %+v, want it missing", d)
			}
			if d := dataset(t, c, "notes"); d.Missing != "" {
				t.Errorf("the other dataset is missing too: %q", d.Missing)
			}
		})
	}
}

func TestTheConfigurationChangesWithTheManifestsAlone(t *testing.T) {
	m := renderer(t, serveFlags{})
	_, first := mustRender(t, m, documents(taxi, zones))
	_, again := mustRender(t, m, documents("# a comment\n", zones, taxi))
	if first != again {
		t.Errorf("the same manifests give\n%s\nand then\n%s", first, again)
	}
	changed, raw := mustRender(t, m, documents(taxi, strings.Replace(zones, "    1\n", "    1\n    2\n", 1)))
	if raw == first {
		t.Error("another ConfigMap gives the same configuration")
	}
	if got := fileOf(t, dataset(t, changed, "zones")); got != "zone\n1\n2\n" {
		t.Errorf("the key holds %q", got)
	}
}

func TestAClaimIsAFolder(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(filepath.Dir(dir))
	c, _ := mustRender(t, renderer(t, serveFlags{volumes: map[string]string{"taxi-data": filepath.Base(dir)}}), volumes)
	if d := dataset(t, c, "trips"); d.Files == nil || d.Files.Root != dir || d.Files.Path != "**/*.parquet" {
		t.Errorf("rendered %+v, want files below %s", d, dir)
	}
}

func TestADiskCacheIsAFolder(t *testing.T) {
	manifests := strings.Replace(taxi, "    format: CSV\n", "    format: CSV\n    cache: {mode: Disk}\n", 1)
	own := t.TempDir()
	if c, _ := mustRender(t, renderer(t, serveFlags{cacheDir: own}), manifests); c.Cache.Disk.Dir != own || dataset(t, c, "notes").Cache != "Disk" {
		t.Errorf("with --cache-dir, the cache is %+v", c.Cache.Disk)
	}
	m := renderer(t, serveFlags{})
	if c, _ := mustRender(t, m, manifests); filepath.Dir(c.Cache.Disk.Dir) != m.dir {
		t.Errorf("without --cache-dir, the cache is in %s: want a folder that is removed", c.Cache.Disk.Dir)
	}
	claimed := strings.Replace(manifests, "spec:\n", "spec:\n  cache: {disk: {claimName: fast}}\n", 1)
	if c, _ := mustRender(t, renderer(t, serveFlags{volumes: map[string]string{"fast": own}}), claimed); filepath.Dir(c.Cache.Disk.Dir) != own {
		t.Errorf("with a claim, the cache is in %s", c.Cache.Disk.Dir)
	}
}

func TestNewManifestRefusesAFolderThatIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "missing"), t.TempDir() + "/missing"} {
		if _, err := newManifest(serveFlags{volumes: map[string]string{"data": dir}}); err == nil || !strings.Contains(err.Error(), "--volume data="+dir) {
			t.Errorf("%s: %v, want an error that names the flag", dir, err)
		}
	}
}

func TestTheServerIsChosenByName(t *testing.T) {
	several := documents(taxi, zones, strings.Replace(taxi, "name: taxi", "name: bus", 1))
	for name, want := range map[string]string{"taxi": "data/taxi", "bus": "data/bus"} {
		c, _ := mustRender(t, renderer(t, serveFlags{serverName: name}), several)
		if c.Name != want {
			t.Errorf("--name %s serves %s", name, c.Name)
		}
	}
}

func TestManifestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flags serveFlags
		text  string
		want  []string
	}{
		{"nothing", serveFlags{}, "", []string{"expected a FlightServer", "flightoperator.dev/v1alpha1", "none"}},
		{"no FlightServer", serveFlags{}, zones, []string{"expected a FlightServer"}},
		{"no YAML", serveFlags{}, documents(zones, "a: [\n"), []string{"document 2"}},
		{"several and no --name", serveFlags{}, documents(taxi, strings.Replace(taxi, "name: taxi", "name: bus", 1)), []string{"2 FlightServers", "--name", "bus, taxi"}},
		{"a --name that is not there", serveFlags{serverName: "bus"}, taxi, []string{`"bus"`, "taxi"}},
		{"one name in two namespaces", serveFlags{}, documents(taxi, strings.Replace(taxi, "namespace: data", "namespace: other", 1)), []string{"document 2", `"data"`, `"other"`}},
		{"an unknown field of a FlightServer", serveFlags{}, documents(zones, taxi+"  colour: red\n"), []string{"document 2", "colour"}},
		{"an unknown field of a ConfigMap", serveFlags{}, documents(zones+"colour: red\n", taxi), []string{"document 1", "colour"}},
		{"a claim without a folder", serveFlags{}, volumes, []string{`"taxi-data"`, "--volume taxi-data=DIR"}},
		{"a path that leaves the claim", serveFlags{volumes: map[string]string{"taxi-data": "/"}}, strings.Replace(volumes, "**/", "../", 1), []string{"spec.datasets[0].source.volume.path", "clean"}},
		{"a key that leaves its folder", serveFlags{}, documents(taxi, strings.Replace(zones, "zones.csv", "../zones.csv", 1)), []string{"../zones.csv", "not a key"}},
		{"a dataset's name that the API server would refuse", serveFlags{}, strings.Replace(taxi, "name: notes", "name: My Notes", 1), []string{"FlightServer taxi", "datasets[1].name", "RFC 1123"}},
		{"a name twice", serveFlags{}, strings.Replace(taxi, "name: notes", "name: zones", 1), []string{"spec.datasets[1].name", "Duplicate"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := renderer(t, tt.flags).render([]byte(tt.text))
			if err == nil {
				t.Fatalf("rendered %+v", c)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	m, err := newManifest(serveFlags{})
	if err != nil {
		t.Fatal(err)
	}
	mustRender(t, m, documents(taxi, zones))
	m.close()
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func FuzzParseManifests(f *testing.F) {
	f.Add([]byte(documents(taxi, zones)))
	f.Add([]byte(volumes))
	f.Add([]byte("---\n---\n"))
	f.Add([]byte(`{"apiVersion": "v1", "kind": "ConfigMap", "binaryData": {"a": "!"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if fs, _, err := parseManifests(raw, ""); err == nil && fs == nil {
			t.Error("neither a FlightServer nor an error")
		}
	})
}
