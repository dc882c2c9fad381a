package main

import (
	"testing"
	"testing/fstest"
)

func TestCacheKey(t *testing.T) {
	const toolchain = "go1.26.8\nlinux\namd64\n"
	base := func() (part, fstest.MapFS) {
		tools := part{
			name:  "tools",
			steps: []buildStep{{packages: []string{"."}, output: "tool", tags: []string{"netgo"}}},
			links: map[string][]string{"tool": {"alias"}},
		}
		sources := fstest.MapFS{
			"go.mod":           {Data: []byte("module tools\n")},
			"go.sum":           {Data: []byte("sum\n")},
			"main.go":          {Data: []byte("package main\n")},
			"internal/x/x.go":  {Data: []byte("package x\n")},
			"main_test.go":     {Data: []byte("package main\n")},
			"README.md":        {Data: []byte("tools\n")},
			"internal/x/x.txt": {Data: []byte("text\n")},
		}
		return tools, sources
	}
	p, files := base()
	original, err := cacheKey(p, files, toolchain)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		change    func(*part, fstest.MapFS)
		toolchain string
		differs   bool
	}{
		{name: "nothing"},
		{name: "a test", change: func(_ *part, f fstest.MapFS) { f["main_test.go"].Data = nil }},
		{name: "documentation", change: func(_ *part, f fstest.MapFS) { delete(f, "README.md") }},
		{name: "a source", change: func(_ *part, f fstest.MapFS) { f["internal/x/x.go"].Data = []byte("package y\n") }, differs: true},
		{name: "a new source", change: func(_ *part, f fstest.MapFS) { f["new.go"] = &fstest.MapFile{} }, differs: true},
		{name: "a moved source", change: func(_ *part, f fstest.MapFS) { f["moved.go"] = f["main.go"]; delete(f, "main.go") }, differs: true},
		{name: "go.mod", change: func(_ *part, f fstest.MapFS) { f["go.mod"].Data = []byte("module other\n") }, differs: true},
		{name: "go.sum", change: func(_ *part, f fstest.MapFS) { f["go.sum"].Data = nil }, differs: true},
		{name: "tags", change: func(p *part, _ fstest.MapFS) { p.steps[0].tags = nil }, differs: true},
		{name: "linker flags", change: func(p *part, _ fstest.MapFS) { p.steps[0].ldflags = []string{"-X", "v=2"} }, differs: true},
		{name: "cgo", change: func(p *part, _ fstest.MapFS) { p.steps[0].cgo = true }, differs: true},
		{name: "packages", change: func(p *part, _ fstest.MapFS) { p.steps[0].packages = []string{"./x"} }, differs: true},
		{name: "links", change: func(p *part, _ fstest.MapFS) { p.links["tool"] = nil }, differs: true},
		{name: "files of a module", change: func(p *part, _ fstest.MapFS) { p.files = []moduleFiles{{module: "m", pattern: "*"}} }, differs: true},
		{name: "the toolchain", toolchain: "go1.27.0\nlinux\namd64\n", differs: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, files := base()
			if test.change != nil {
				test.change(&p, files)
			}
			used := toolchain
			if test.toolchain != "" {
				used = test.toolchain
			}
			key, err := cacheKey(p, files, used)
			if err != nil {
				t.Fatal(err)
			}
			if differs := key != original; differs != test.differs {
				t.Errorf("key %s against %s: differs %t, want %t", key, original, differs, test.differs)
			}
		})
	}
}
