package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// cacheKey names the outcome of building a part: equal keys mean equal programs. It covers the module's files in
// sources, how each step is built, the names of the links, what is copied from modules, and toolchain, the identity of
// the Go toolchain.
func cacheKey(p part, sources fs.FS, toolchain string) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "toolchain %q\n", toolchain)
	for _, step := range p.steps {
		fmt.Fprintf(sum, "step %q %q\n", step.env(), step.args("bin"))
	}
	fmt.Fprintf(sum, "links %q\n", p.links)
	for _, files := range p.files { // parts without any keep their keys
		fmt.Fprintf(sum, "files %q\n", files)
	}
	// WalkDir goes in lexical order, so the sum does not depend on the file system.
	err := fs.WalkDir(sources, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !buildInput(name) {
			return err
		}
		content, err := fs.ReadFile(sources, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "file %q %x\n", name, sha256.Sum256(content))
		return nil
	})
	if err != nil {
		return "", err
	}
	const length = 16 // hexadecimal digits, 64 bits: no accident makes two of one user's builds collide
	return hex.EncodeToString(sum.Sum(nil))[:length], nil
}

// buildInput tells whether a file of a module takes part in building it.
func buildInput(name string) bool {
	switch base := path.Base(name); base {
	case "go.mod", "go.sum":
		return true
	default:
		return strings.HasSuffix(base, ".go") && !strings.HasSuffix(base, "_test.go")
	}
}
