package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRequiredVersion(t *testing.T) {
	const gomod = `module example

require k8s.io/kubectl v0.35.4

require (
	k8s.io/kubernetes v1.35.4
	k8s.io/kubernetes-more v9.9.9 // indirect
)

replace k8s.io/api => k8s.io/api v0.35.4
`
	for _, test := range []struct{ module, want string }{
		{"k8s.io/kubernetes", "v1.35.4"},
		{"k8s.io/kubectl", "v0.35.4"},
		{"k8s.io/kubernetes-more", "v9.9.9"},
		{"k8s.io/api", ""},
		{"k8s.io/absent", ""},
	} {
		got, err := requiredVersion(gomod, test.module)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: got %q and error %v, want %q", test.module, got, err, test.want)
		}
	}
}

func TestMajorMinor(t *testing.T) {
	for _, test := range []struct {
		version, major, minor string
		ok                    bool
	}{
		{"v1.35.4", "1", "35", true},
		{"v1.36.0-rc.1", "1", "36", true},
		{"v1", "", "", false},
		{"", "", "", false},
	} {
		major, minor, err := majorMinor(test.version)
		if major != test.major || minor != test.minor || (err == nil) != test.ok {
			t.Errorf("%q: got %q, %q and error %v", test.version, major, minor, err)
		}
	}
}

func TestBuildStepArgs(t *testing.T) {
	for _, test := range []struct {
		name string
		step buildStep
		want []string
	}{
		{
			"one program by name",
			buildStep{packages: []string{"."}, output: "tool", ldflags: []string{"-X", "v=1"}},
			[]string{"build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X v=1", "-o", "bin/tool", "."},
		},
		{
			"several programs into the folder",
			buildStep{packages: []string{"a/x", "a/y"}, tags: []string{"one", "two"}},
			[]string{"build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-tags", "one,two", "-o", "bin/", "a/x", "a/y"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.step.args("bin"); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// Kubernetes' own go.mod replaces its staging modules by folders, which does not carry over to a module that requires
// it: all of them must be replaced here, by the one version that belongs to it.
func TestKubernetesModulesAreOfOneVersion(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("hyperkube", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version, err := requiredVersion(string(content), "k8s.io/kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	want := "v0." + strings.TrimPrefix(version, "v1.")
	replaced := 0
	for line := range strings.Lines(string(content)) {
		from, to, found := strings.Cut(strings.TrimSpace(line), " => ")
		if !found {
			continue
		}
		replaced++
		if to != from+" "+want {
			t.Errorf("%s is replaced by %q, want %q", from, to, from+" "+want)
		}
	}
	if replaced == 0 {
		t.Error("no staging module is replaced")
	}
}

func TestPartsHaveTheProgramsThatDaemonsRun(t *testing.T) {
	known, err := parts(".")
	if err != nil {
		t.Fatal(err)
	}
	bins := make(map[string]string)
	programs := make(map[string][]string)
	for _, p := range known {
		bins[p.name] = "/bins/" + p.name
		for _, step := range p.steps {
			for _, pkg := range step.packages {
				programs[p.name] = append(programs[p.name], filepath.Base(pkg))
			}
			programs[p.name] = append(programs[p.name], step.output)
		}
		for _, names := range p.links {
			programs[p.name] = append(programs[p.name], names...)
		}
	}
	for name, d := range testCluster(t).daemons(bins) {
		part := filepath.Base(filepath.Dir(d.program))
		if !slices.Contains(programs[part], filepath.Base(d.program)) {
			t.Errorf("daemon %s runs %s, but part %q has %v", name, d.program, part, programs[part])
		}
	}
}

func TestRemaining(t *testing.T) {
	known := []part{{name: "one"}, {name: "two", optional: true}, {name: "three", optional: true}}
	for _, test := range []struct {
		without, want []string
		fails         string
	}{
		{nil, []string{"one", "two", "three"}, ""},
		{[]string{"two"}, []string{"one", "three"}, ""},
		{[]string{"three", "two"}, []string{"one"}, ""},
		{[]string{"two", "one"}, nil, "cannot do without one; what it can do without: two, three"},
		{[]string{"four"}, nil, `no part is called "four"`},
	} {
		got, err := remaining(known, test.without)
		if !slices.Equal(got, test.want) || (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("without %v: got %v and error %v, want %v and an error with %q", test.without, got, err, test.want, test.fails)
		}
	}
}

func TestFilesOfAModuleAreKept(t *testing.T) {
	source := writeTree(t, map[string]string{
		"kinds/go.mod":         "module example.com/kinds\n",
		"kinds/deploy/a.yaml":  "kind: A\n",
		"kinds/deploy/b.yaml":  "kind: B\n",
		"kinds/deploy/OWNERS":  "nobody\n",
		"controllers/go.mod":   "module example.com/controllers\n\nrequire example.com/kinds v1.0.0\n\nreplace example.com/kinds => ../kinds\n",
		"controllers/z/a.yaml": "kind: Z\n",
	})
	bin := t.TempDir()
	b, p := builder{source: source}, part{module: "controllers"}
	files := moduleFiles{module: "example.com/kinds", pattern: "deploy/*.yaml", folder: "crds"}
	if err := b.copyFiles(t.Context(), p, files, bin); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	kept, err := filepath.Glob(filepath.Join(bin, "crds", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range kept {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got[filepath.Base(path)] = string(content)
	}
	if want := map[string]string{"a.yaml": "kind: A\n", "b.yaml": "kind: B\n"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	files.pattern = "gone/*.yaml"
	if err := b.copyFiles(t.Context(), p, files, bin); err == nil || !strings.Contains(err.Error(), "gone/*.yaml") {
		t.Errorf("got error %v, want one that names the files that are not there", err)
	}
	files.module = "example.com/other"
	if err := b.copyFiles(t.Context(), p, files, bin); err == nil || !strings.Contains(err.Error(), "example.com/other") {
		t.Errorf("got error %v, want one that names the module that is not there", err)
	}
}

func TestChoose(t *testing.T) {
	known := []part{{name: "one"}, {name: "two"}}
	for _, test := range []struct {
		names, want []string
		fails       bool
	}{
		{nil, []string{"one", "two"}, false},
		{[]string{"two"}, []string{"two"}, false},
		{[]string{"three"}, nil, true},
	} {
		got, err := choose(known, test.names)
		if !slices.Equal(partNames(got), test.want) || (err != nil) != test.fails {
			t.Errorf("%v: got %v and error %v", test.names, partNames(got), err)
		}
	}
}
