package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const definition = `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: A thing.
        properties:
          spec:
            description: What is wanted.
            properties:
              description:
                description: Ours, a field of this very name.
                maxLength: 1024
                type: string
              labels:
                additionalProperties:
                  description: A label.
                  type: string
                description: Ours.
                type: object
              tolerations:
                description: |-
                  Taints that the pods tolerate.

                  What Kubernetes says besides.
                items:
                  description: Theirs.
                  properties:
                    description:
                      description: Theirs, a field of this very name.
                      type: string
                    key:
                      description: Theirs.
                      type: string
                    rest:
                      additionalProperties:
                        description: Theirs.
                        type: integer
                      type: object
                  type: object
                type: array
              volumes:
                description: Ours.
                items:
                  properties:
                    name:
                      description: Ours.
                      type: string
                    secret:
                      properties:
                        items:
                          description: Theirs, and undescribed above.
                          type: string
                      type: object
                  type: object
                type: array
            type: object
        type: object
`

const shrunk = `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: A thing.
        properties:
          spec:
            description: What is wanted.
            properties:
              description:
                description: Ours, a field of this very name.
                maxLength: 1024
                type: string
              labels:
                additionalProperties:
                  description: A label.
                  type: string
                description: Ours.
                type: object
              tolerations: {"description":"Taints that the pods tolerate.","items":{"properties":{"description":{"type":"string"},"key":{"type":"string"},"rest":{"additionalProperties":{"type":"integer"},"type":"object"}},"type":"object"},"type":"array"}
              volumes:
                description: Ours.
                items:
                  properties:
                    name:
                      description: Ours.
                      type: string
                    secret: {"properties":{"items":{"type":"string"}},"type":"object"}
                  type: object
                type: array
            type: object
        type: object
`

func TestShrink(t *testing.T) {
	paths := []string{"spec.tolerations", "spec.volumes[].secret"}
	got, err := shrink([]byte(definition), paths)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(shrunk, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	again, err := shrink(got, paths)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(shrunk, string(again)); diff != "" {
		t.Errorf("a second run changes the definition: -want +got:\n%s", diff)
	}
}

func TestShrinkRefuses(t *testing.T) {
	for _, tc := range []struct{ name, definition, path, want string }{
		{"a field that is not there", definition, "spec.toleration", `no field spec.toleration: "toleration" is not there`},
		{"a list that is none", definition, "spec.labels[].key", `"labels[]" is not there`},
		{"another kind of object", "kind: Service\nspec: {}\n", "spec.tolerations", "expected a CustomResourceDefinition"},
		{"a version without a schema", "spec: {versions: [{name: v1}]}\n", "spec.tolerations", "expected a CustomResourceDefinition"},
		{"what is not YAML", "a: [", "spec.tolerations", "yaml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := shrink([]byte(tc.definition), []string{tc.path})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// The definition that is released has been through here: it is within the bound, and shrinking it again changes nothing.
func TestReleasedDefinition(t *testing.T) {
	files, err := filepath.Glob("../../config/crd/bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions in config/crd/bases (%v): run make generate", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) > maxSize {
			t.Errorf("%s has %d bytes, the bound is %d", file, len(content), maxSize)
		}
		again, err := shrink(content, foreign)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if diff := cmp.Diff(string(content), string(again)); diff != "" {
			t.Errorf("%s was not shrunk: run make generate: -file +shrunk:\n%s", file, diff)
		}
	}
}
