package controllers_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// manifestBlock is a whole manifest in a page of the documentation.
var manifestBlock = regexp.MustCompile("(?s)```yaml\n(apiVersion: flightoperator.dev/.*?)```")

// What users are shown has to be what the API server takes, field by field.
func TestSamplesAreAccepted(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	texts := map[string][]byte{}
	samples, err := filepath.Glob("../config/samples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range samples {
		texts[file] = read(t, file)
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		for _, block := range manifestBlock.FindAllSubmatch(read(t, page), -1) {
			texts[page] = append(append(texts[page], block[1]...), "---\n"...)
		}
	}
	servers := 0
	for file, text := range texts {
		t.Run(filepath.Base(file), func(t *testing.T) {
			for _, o := range manifests(t, text) {
				// This API server does not know cert-manager's kinds.
				if o.GetKind() == "Namespace" || o.GroupVersionKind().Group == "cert-manager.io" {
					continue
				}
				o.SetNamespace(w.namespace)
				if err := w.client.Create(t.Context(), o, client.DryRunAll, client.FieldValidation("Strict")); err != nil {
					t.Error(err)
				}
				if o.GetKind() == v1alpha1.Kind {
					servers++
				}
			}
		})
	}
	if servers < 6 {
		t.Errorf("found %d FlightServers, expected those of the samples and of README.md", servers)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// manifests are the objects of a YAML stream.
func manifests(t *testing.T, text []byte) (objects []*unstructured.Unstructured) {
	t.Helper()
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &o.Object); err != nil {
			t.Fatal(err)
		}
		if o.Object != nil {
			objects = append(objects, o)
		}
	}
}
