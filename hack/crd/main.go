// Command crd makes a generated CustomResourceDefinition smaller, in place: it drops what the schema says about Kubernetes' own types,
// which `kubectl explain pod.spec` says as well, writes each of those in one line, for their depth is mostly indentation, and keeps every word
// about ours. It fails if the result is still too large.
//
// Usage: crd FILE...
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"

	"sigs.k8s.io/yaml"
)

// maxSize bounds a definition in bytes. `kubectl apply` without --server-side keeps a copy in an annotation, and all annotations of an
// object together may have 256 KiB; Helm keeps the whole release, its definitions among it, in one Secret of at most 1 MiB. 100 KiB
// leaves room in both for years of new fields.
const maxSize = 100 << 10

// foreign are the fields whose types are Kubernetes' own, as paths in the schema; "[]" is an element of a list.
var foreign = []string{
	"spec.podTemplate.affinity",
	"spec.podTemplate.env",
	"spec.podTemplate.tolerations",
	"spec.podTemplate.topologySpreadConstraints",
	"spec.podTemplate.volumes[].configMap",
	"spec.podTemplate.volumes[].csi",
	"spec.podTemplate.volumes[].emptyDir",
	"spec.podTemplate.volumes[].persistentVolumeClaim",
	"spec.podTemplate.volumes[].projected",
	"spec.podTemplate.volumes[].secret",
	"status.conditions",
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: crd FILE...")
		os.Exit(2)
	}
	for _, file := range os.Args[1:] {
		if err := shrinkFile(file); err != nil {
			fmt.Fprintln(os.Stderr, "crd:", err)
			os.Exit(1)
		}
	}
}

// shrinkFile rewrites a definition and prints its sizes.
func shrinkFile(file string) error {
	before, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	after, err := shrink(before, foreign)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := os.WriteFile(file, after, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %d bytes (%d with every description)\n", file, len(after), len(before))
	if len(after) > maxSize {
		return fmt.Errorf("%s has %d bytes, the bound is %d: add fields of Kubernetes' own types to the list in hack/crd/main.go, or say less in the types' comments", file, len(after), maxSize)
	}
	return nil
}

// placeholder is the one member of a schema that stands for a line.
const placeholder = "line-of-json"

// placeholders finds them, with the line break before them.
var placeholders = regexp.MustCompile(`\n *` + placeholder + `: (\d+)`)

// shrink drops the descriptions below the given paths from every version of a definition in YAML, and writes what is left of these in a line of
// JSON each, which YAML contains.
func shrink(definition []byte, paths []string) ([]byte, error) {
	var crd map[string]any
	if err := yaml.Unmarshal(definition, &crd); err != nil {
		return nil, err
	}
	schemas, err := versionSchemas(crd)
	if err != nil {
		return nil, err
	}
	var lines [][]byte
	for _, schema := range schemas {
		for _, path := range paths {
			root, err := lookup(schema, path)
			if err != nil {
				return nil, err
			}
			keepFirstLine(root)
			line, err := json.Marshal(root)
			if err != nil {
				return nil, err
			}
			clear(root)
			root[placeholder] = len(lines)
			lines = append(lines, line)
		}
	}
	out, err := yaml.Marshal(crd)
	if err != nil {
		return nil, err
	}
	out = placeholders.ReplaceAllFunc(out, func(hit []byte) []byte {
		n, _ := strconv.Atoi(string(placeholders.FindSubmatch(hit)[1])) // digits, by the expression
		return append([]byte(" "), lines[n]...)
	})
	return append([]byte("---\n"), out...), nil
}
