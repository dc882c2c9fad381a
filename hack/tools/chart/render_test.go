package chart

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	root      = "../../.."
	chartPath = root + "/charts/flight-operator"
	release   = "flight-operator"
	namespace = "flight-operator-system"
)

// objects are manifests by kind, namespace and name.
type objects map[string]*unstructured.Unstructured

// keys are sorted, for messages that stay the same.
func (o objects) keys() []string { return slices.Sorted(maps.Keys(o)) }

// one returns the only object of a kind.
func (o objects) one(t *testing.T, kind string) *unstructured.Unstructured {
	t.Helper()
	var found []string
	for _, key := range o.keys() {
		if o[key].GetKind() == kind {
			found = append(found, key)
		}
	}
	if len(found) != 1 {
		t.Fatalf("expected one %s, got %q of %q", kind, found, o.keys())
	}
	return o[found[0]]
}

func (o objects) add(t *testing.T, u *unstructured.Unstructured) {
	t.Helper()
	key := strings.Join([]string{u.GetKind(), u.GetNamespace(), u.GetName()}, "/")
	if o[key] != nil {
		t.Fatalf("%s is rendered twice", key)
	}
	o[key] = u
}

// helm renders the chart with values in YAML, as `helm install flight-operator` in the operator's namespace does.
func helm(t *testing.T, values string) (map[string]string, error) {
	t.Helper()
	c, err := loader.Load(chartPath)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := yaml.Unmarshal([]byte(values), &v); err != nil {
		t.Fatal(err)
	}
	options := common.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(c, v, options, nil)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.RenderWithContext(t.Context(), c, all)
}

// helmObjects are the objects that the chart installs with these values.
func helmObjects(t *testing.T, values string) objects {
	t.Helper()
	files, err := helm(t, values)
	if err != nil {
		t.Fatal(err)
	}
	out := objects{}
	for name, content := range files {
		if path.Ext(name) != ".yaml" {
			continue
		}
		docs, err := decode(content)
		if err != nil {
			t.Fatalf("%s: %v in:\n%s", name, err, content)
		}
		for _, u := range docs {
			out.add(t, u)
		}
	}
	return out
}

// kustomizeObjects are the objects that an overlay with these folders of config/ and these components on config/default builds.
func kustomizeObjects(t *testing.T, resources, components []string) objects {
	t.Helper()
	overlay := "resources:\n- ../config/default\n"
	for _, r := range resources {
		overlay += "- ../config/" + r + "\n"
	}
	overlay += "components:\n"
	for _, c := range components {
		overlay += "- ../config/components/" + c + "\n"
	}
	files, err := withOverlay(overlay)
	if err != nil {
		t.Fatal(err)
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/overlay")
	if err != nil {
		t.Fatal(err)
	}
	content, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	docs, err := decode(string(content))
	if err != nil {
		t.Fatal(err)
	}
	out := objects{}
	for _, u := range docs {
		out.add(t, u)
	}
	return out
}

// withOverlay is a file system in memory: config/ as /config, and an overlay as /overlay. kustomize wants both below one root, and the
// tests leave nothing behind.
func withOverlay(overlay string) (filesys.FileSystem, error) {
	memory := filesys.MakeFsInMemory()
	if err := memory.WriteFile("/overlay/kustomization.yaml", []byte(overlay)); err != nil {
		return nil, err
	}
	config := os.DirFS(root + "/config")
	return memory, fs.WalkDir(config, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(config, name)
		if err != nil {
			return err
		}
		return memory.WriteFile(path.Join("/config", name), content)
	})
}

// decode reads the documents of a YAML stream; empty ones are left out.
func decode(stream string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(stream), 4096)
	for {
		var document runtime.RawExtension
		err := decoder.Decode(&document)
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		case len(document.Raw) == 0:
			continue
		}
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(document.Raw); err != nil {
			return nil, err
		}
		out = append(out, u)
	}
}
