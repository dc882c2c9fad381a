package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// manifest renders a file of manifests as the operator would, with folders in place of what a cluster mounts.
type manifest struct {
	serverName string
	claims     map[string]string // claim -> folder
	dir        string            // the ConfigMaps' files, one folder for each ConfigMap in each version
}

func newManifest(f serveFlags) (*manifest, error) {
	m := &manifest{serverName: f.serverName, claims: map[string]string{}}
	for claim, dir := range f.volumes {
		absolute, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("--volume %s=%s: %w", claim, dir, err)
		}
		if info, err := os.Stat(absolute); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("--volume %s=%s: there is no such folder", claim, dir)
		}
		m.claims[claim] = absolute
	}
	var err error
	if m.dir, err = os.MkdirTemp("", "flightruntime-"); err != nil {
		return nil, fmt.Errorf("make a folder for ConfigMaps: %w", err)
	}
	return m, nil
}

func (m *manifest) close() { _ = os.RemoveAll(m.dir) }

// render is the configuration that the operator would render, and its bytes.
func (m *manifest) render(raw []byte) (*config.Config, []byte, error) {
	fs, configMaps, err := parseManifests(raw, m.serverName)
	if err != nil {
		return nil, nil, err
	}
	refs, err := m.references(fs, configMaps)
	if err != nil {
		return nil, nil, err
	}
	c, errs := config.Render(fs, refs)
	if len(errs) == 0 {
		errs = c.Validate() // what the API server's validation keeps from a cluster
	}
	if len(errs) > 0 {
		return nil, nil, fmt.Errorf("FlightServer %s: %w", fs.Name, errs.ToAggregate())
	}
	rendered, err := c.Marshal()
	return c, rendered, err
}

// parseManifests finds the FlightServer and the ConfigMaps of its namespace among YAML documents, and passes over what else there is.
func parseManifests(raw []byte, serverName string) (*v1alpha1.FlightServer, map[string]*corev1.ConfigMap, error) {
	servers := map[string]*v1alpha1.FlightServer{}
	configMaps := map[string]map[string]*corev1.ConfigMap{} // namespace -> name
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("document %d: %w", n, err)
		}
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			return nil, nil, fmt.Errorf("document %d is not a manifest: %w", n, err)
		}
		switch kind.GroupVersionKind() {
		case v1alpha1.GroupVersion.WithKind(v1alpha1.Kind):
			fs := &v1alpha1.FlightServer{}
			if err := yaml.UnmarshalStrict(document, fs); err != nil {
				return nil, nil, fmt.Errorf("document %d: not a FlightServer: %w", n, err)
			}
			if other := servers[fs.Name]; other != nil && other.Namespace != fs.Namespace {
				return nil, nil, fmt.Errorf("document %d: FlightServer %q is in namespace %q, and in %q before: name them differently", n, fs.Name, fs.Namespace, other.Namespace)
			}
			servers[fs.Name] = fs
		case corev1.SchemeGroupVersion.WithKind("ConfigMap"):
			cm := &corev1.ConfigMap{}
			if err := yaml.UnmarshalStrict(document, cm); err != nil {
				return nil, nil, fmt.Errorf("document %d: not a ConfigMap: %w", n, err)
			}
			if configMaps[cm.Namespace] == nil {
				configMaps[cm.Namespace] = map[string]*corev1.ConfigMap{}
			}
			configMaps[cm.Namespace][cm.Name] = cm
		}
	}
	fs, err := choose(servers, serverName)
	if err != nil {
		return nil, nil, err
	}
	return fs, configMaps[fs.Namespace], nil
}

func choose(servers map[string]*v1alpha1.FlightServer, name string) (*v1alpha1.FlightServer, error) {
	names := slices.Sorted(maps.Keys(servers))
	switch {
	case len(servers) == 0:
		return nil, fmt.Errorf("expected a FlightServer (apiVersion %s), found none", v1alpha1.GroupVersion)
	case name != "" && servers[name] == nil:
		return nil, fmt.Errorf("no FlightServer %q: there is %s", name, strings.Join(names, ", "))
	case name != "":
		return servers[name], nil
	case len(servers) > 1:
		return nil, fmt.Errorf("%d FlightServers, choose one with --name: %s", len(servers), strings.Join(names, ", "))
	}
	return servers[names[0]], nil
}

// references finds what the FlightServer names: ConfigMaps in the manifests, written out as a pod would see them, claims in --volume.
func (m *manifest) references(fs *v1alpha1.FlightServer, configMaps map[string]*corev1.ConfigMap) (config.References, error) {
	dirs := map[string]string{}
	refs := config.References{
		ConfigMaps: map[string]map[string]string{},
		Claims:     map[string]bool{},
		Dirs: config.Dirs{
			ConfigMap: func(name string) string { return dirs[name] },
			Claim:     func(name string) string { return m.claims[name] },
		},
	}
	names, claims := config.Names(fs)
	for _, name := range names {
		cm := configMaps[name]
		if cm == nil {
			continue
		}
		content, err := json.Marshal(cm)
		if err != nil {
			return refs, err
		}
		// By its content: a ConfigMap that stays what it is keeps its folder, and so its place in the configuration.
		dirs[name] = filepath.Join(m.dir, config.Digest(content))
		keys, err := writeConfigMap(cm, dirs[name])
		if err != nil {
			return refs, err
		}
		refs.ConfigMaps[name] = keys
	}
	for _, name := range claims {
		if m.claims[name] == "" {
			return refs, fmt.Errorf("FlightServer %s names the claim %q: say which folder stands for it with --volume %s=DIR", fs.Name, name, name)
		}
		refs.Claims[name] = true
	}
	return refs, nil
}

func writeConfigMap(cm *corev1.ConfigMap, dir string) (digests map[string]string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	digests = map[string]string{}
	write := func(key string, data []byte) error {
		if filepath.Base(key) != key {
			return fmt.Errorf("ConfigMap %s: %q is not a key", cm.Name, key)
		}
		digests[key] = config.Digest(data)
		return os.WriteFile(filepath.Join(dir, key), data, 0o600)
	}
	for key, data := range cm.Data {
		err = errors.Join(err, write(key, []byte(data)))
	}
	for key, data := range cm.BinaryData {
		err = errors.Join(err, write(key, data))
	}
	return digests, err
}
