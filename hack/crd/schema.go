package main

import (
	"errors"
	"fmt"
	"strings"
)

// A schema is a node of an OpenAPI v3 schema, as YAML or JSON decodes it.
type schema = map[string]any

// versionSchemas returns the root schema of each version of a CustomResourceDefinition. They alias the definition.
func versionSchemas(crd map[string]any) ([]schema, error) {
	errShape := errors.New("expected a CustomResourceDefinition with spec.versions[].schema.openAPIV3Schema")
	spec, _ := crd["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	if len(versions) == 0 {
		return nil, errShape
	}
	var schemas []schema
	for _, v := range versions {
		version, _ := v.(map[string]any)
		validation, _ := version["schema"].(map[string]any)
		root, ok := validation["openAPIV3Schema"].(schema)
		if !ok {
			return nil, errShape
		}
		schemas = append(schemas, root)
	}
	return schemas, nil
}

// lookup finds the field that a path such as "spec.volumes[].secret" names.
func lookup(root schema, path string) (schema, error) {
	node := root
	for segment := range strings.SplitSeq(path, ".") {
		name, isList := strings.CutSuffix(segment, "[]")
		properties, _ := node["properties"].(map[string]any)
		next, ok := properties[name].(schema)
		if ok && isList {
			next, ok = next["items"].(schema)
		}
		if !ok {
			return nil, fmt.Errorf("no field %s: %q is not there; mend the list in hack/crd/main.go", path, segment)
		}
		node = next
	}
	return node, nil
}

// keepFirstLine drops every description below a field and all but the first line of its own.
func keepFirstLine(field schema) {
	description, described := field["description"].(string)
	dropDescriptions(field)
	if described {
		field["description"], _, _ = strings.Cut(description, "\n")
	}
}

// dropDescriptions removes the descriptions of a schema and of all below it. A property may itself be called "description".
func dropDescriptions(node schema) {
	delete(node, "description")
	for _, key := range []string{"items", "additionalProperties"} {
		if child, ok := node[key].(schema); ok {
			dropDescriptions(child)
		}
	}
	properties, _ := node["properties"].(map[string]any)
	for _, property := range properties {
		if child, ok := property.(schema); ok {
			dropDescriptions(child)
		}
	}
}
