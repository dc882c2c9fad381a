package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
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
	secrets    map[string]string // Secret -> folder, of those that are not in the manifests
	cacheDir   string            // of the disk cache
	dir        string            // the files of ConfigMaps and Secrets, one folder for each in each version; nobody else can read it
}

func newManifest(f serveFlags) (*manifest, error) {
	m := &manifest{serverName: f.serverName}
	var err error
	if m.claims, err = folders("--volume", f.volumes); err != nil {
		return nil, err
	}
	if m.secrets, err = folders("--secret", f.secrets); err != nil {
		return nil, err
	}
	if f.cacheDir != "" {
		if m.cacheDir, err = filepath.Abs(f.cacheDir); err != nil {
			return nil, fmt.Errorf("--cache-dir %s: %w", f.cacheDir, err)
		}
	}
	if m.dir, err = os.MkdirTemp("", "flightruntime-"); err != nil {
		return nil, fmt.Errorf("make a folder for ConfigMaps and Secrets: %w", err)
	}
	if m.cacheDir == "" {
		m.cacheDir = filepath.Join(m.dir, "cache")
	}
	return m, nil
}

// folders are the values of a flag NAME=DIR, as absolute paths.
func folders(flag string, values map[string]string) (map[string]string, error) {
	absolute := map[string]string{}
	for name, dir := range values {
		path, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("%s %s=%s: %w", flag, name, dir, err)
		}
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("%s %s=%s: there is no such folder", flag, name, dir)
		}
		absolute[name] = path
	}
	return absolute, nil
}

func (m *manifest) close() { _ = os.RemoveAll(m.dir) }

// render is the configuration that the operator would render, and its bytes.
func (m *manifest) render(raw []byte) (*config.Config, []byte, error) {
	fs, found, err := parseManifests(raw, m.serverName)
	if err != nil {
		return nil, nil, err
	}
	refs, err := m.references(fs, found)
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

// objects are what a FlightServer may name, of its namespace.
type objects struct {
	configMaps map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
}

// parseManifests finds the FlightServer and the ConfigMaps and Secrets of its namespace among YAML documents, and passes over what else there
// is.
func parseManifests(raw []byte, serverName string) (*v1alpha1.FlightServer, objects, error) {
	servers := map[string]*v1alpha1.FlightServer{}
	namespaces := map[string]objects{}
	in := func(namespace string) objects {
		if namespaces[namespace].secrets == nil {
			namespaces[namespace] = objects{map[string]*corev1.ConfigMap{}, map[string]*corev1.Secret{}}
		}
		return namespaces[namespace]
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, objects{}, fmt.Errorf("document %d: %w", n, err)
		}
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			return nil, objects{}, fmt.Errorf("document %d is not a manifest: %w", n, err)
		}
		switch kind.GroupVersionKind() {
		case v1alpha1.GroupVersion.WithKind(v1alpha1.Kind):
			fs := &v1alpha1.FlightServer{}
			if err := yaml.UnmarshalStrict(document, fs); err != nil {
				return nil, objects{}, fmt.Errorf("document %d: not a FlightServer: %w", n, err)
			}
			if other := servers[fs.Name]; other != nil && other.Namespace != fs.Namespace {
				return nil, objects{}, fmt.Errorf("document %d: FlightServer %q is in namespace %q, and in %q before: name them differently", n, fs.Name, fs.Namespace, other.Namespace)
			}
			servers[fs.Name] = fs
		case corev1.SchemeGroupVersion.WithKind("ConfigMap"):
			cm := &corev1.ConfigMap{}
			if err := yaml.UnmarshalStrict(document, cm); err != nil {
				return nil, objects{}, fmt.Errorf("document %d: not a ConfigMap: %w", n, err)
			}
			in(cm.Namespace).configMaps[cm.Name] = cm
		case corev1.SchemeGroupVersion.WithKind("Secret"):
			secret := &corev1.Secret{}
			if err := yaml.UnmarshalStrict(document, secret); err != nil {
				return nil, objects{}, fmt.Errorf("document %d: not a Secret: %w", n, err)
			}
			in(secret.Namespace).secrets[secret.Name] = secret
		}
	}
	fs, err := choose(servers, serverName)
	if err != nil {
		return nil, objects{}, err
	}
	return fs, in(fs.Namespace), nil
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

// references finds what the FlightServer names: ConfigMaps in the manifests, written out as a pod would see them, Secrets there or in
// --secret, claims in --volume.
func (m *manifest) references(fs *v1alpha1.FlightServer, found objects) (config.References, error) {
	dirs := map[string]string{}
	refs := config.References{
		ConfigMaps: map[string]map[string]string{},
		Claims:     map[string]bool{},
		Dirs: config.Dirs{
			ConfigMap: func(name string) string { return dirs[name] },
			Claim:     func(name string) string { return m.claims[name] },
			Cache:     m.cacheDir,
		},
	}
	if err := m.tlsReferences(fs, found, &refs.Dirs); err != nil {
		return refs, err
	}
	if err := m.authReferences(fs, found, &refs.Dirs); err != nil {
		return refs, err
	}
	names, claims := config.Names(fs)
	for _, name := range names {
		cm := found.configMaps[name]
		if cm == nil {
			continue
		}
		var err error
		if dirs[name], refs.ConfigMaps[name], err = m.writeConfigMap(cm); err != nil {
			return refs, err
		}
	}
	for _, name := range claims {
		if m.claims[name] == "" {
			return refs, fmt.Errorf("FlightServer %s names the claim %q: say which folder stands for it with --volume %s=DIR", fs.Name, name, name)
		}
		refs.Claims[name] = true
	}
	return refs, nil
}

// tlsReferences says where the files of spec.tls are.
func (m *manifest) tlsReferences(fs *v1alpha1.FlightServer, found objects, dirs *config.Dirs) error {
	t := fs.Spec.TLS
	switch {
	case t == nil:
		return nil
	case t.Certificate != nil:
		return needsOperator(fs, "certificate")
	case t.OperatorCA != nil:
		return needsOperator(fs, "operatorCA")
	}
	var dir, caFile string
	var err error
	if t.SecretRef != nil {
		if dir, err = m.secretDir(fs, t.SecretRef.Name, found); err != nil {
			return err
		}
	}
	if ca := t.ClientCA; ca != nil {
		kind, name, key := config.ClientCAKey(ca)
		var caDir string
		switch cm := found.configMaps[name]; {
		case kind == "Secret":
			caDir, err = m.secretDir(fs, name, found)
		case kind == "ConfigMap" && cm == nil:
			err = fmt.Errorf("FlightServer %s names the ConfigMap %q in spec.tls.clientCA: add it to the file", fs.Name, name)
		case kind == "ConfigMap":
			caDir, _, err = m.writeConfigMap(cm)
		}
		if err != nil {
			return err
		}
		caFile = filepath.Join(caDir, key)
	}
	dirs.TLS = func(string) string { return dir }
	dirs.ClientCA = func(*v1alpha1.ClientCA) string { return caFile }
	return nil
}

func needsOperator(fs *v1alpha1.FlightServer, member string) error {
	return fmt.Errorf("FlightServer %s: spec.tls.%s needs the operator, and there is none here: use spec.tls.secretRef, with a Secret in the file or --secret NAME=DIR", fs.Name, member)
}

// authReferences says where the files of spec.auth are: in folders of links to those of the objects.
func (m *manifest) authReferences(fs *v1alpha1.FlightServer, found objects, dirs *config.Dirs) error {
	if a := fs.Spec.Auth; a != nil && a.Methods.ServiceAccount != nil {
		return fmt.Errorf("FlightServer %s: spec.auth.methods.serviceAccount needs a cluster, and there is none here: leave it out", fs.Name)
	}
	folders := map[string]string{}
	for _, f := range config.AuthFiles(fs) {
		object, err := m.authObject(fs, f, found)
		if err != nil {
			return err
		}
		dir := filepath.Join(m.dir, "auth-"+config.Hash([]byte(object+"/"+f.Dir)))
		folders[f.Dir] = dir
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.Symlink(filepath.Join(object, f.Key), filepath.Join(dir, f.File)); err != nil && !errors.Is(err, iofs.ErrExist) {
			return err
		}
	}
	dirs.Auth = func(dir string) string { return folders[dir] }
	return nil
}

// authObject is the folder with the keys of the object that an auth file is of.
func (m *manifest) authObject(fs *v1alpha1.FlightServer, f config.AuthFile, found objects) (string, error) {
	if f.Kind == "Secret" {
		return m.secretDir(fs, f.Name, found)
	}
	cm := found.configMaps[f.Name]
	if cm == nil {
		return "", fmt.Errorf("FlightServer %s names the ConfigMap %q in spec.auth: add it to the file", fs.Name, f.Name)
	}
	dir, _, err := m.writeConfigMap(cm)
	return dir, err
}

// secretDir is the folder with a file for each key of a Secret.
func (m *manifest) secretDir(fs *v1alpha1.FlightServer, name string, found objects) (string, error) {
	if dir := m.secrets[name]; dir != "" {
		return dir, nil
	}
	secret := found.secrets[name]
	if secret == nil {
		return "", fmt.Errorf("FlightServer %s names the Secret %q: add it to the file, or say which folder stands for it with --secret %s=DIR", fs.Name, name, name)
	}
	data := maps.Clone(secret.Data)
	if data == nil {
		data = map[string][]byte{}
	}
	for key, text := range secret.StringData { // it has precedence, as in a cluster
		data[key] = []byte(text)
	}
	return m.write("Secret "+name, data)
}

func (m *manifest) writeConfigMap(cm *corev1.ConfigMap) (dir string, digests map[string]string, err error) {
	data, digests := map[string][]byte{}, map[string]string{}
	for key, text := range cm.Data {
		data[key] = []byte(text)
	}
	maps.Copy(data, cm.BinaryData)
	for key, value := range data {
		digests[key] = config.Digest(value)
	}
	dir, err = m.write("ConfigMap "+cm.Name, data)
	return dir, digests, err
}

// write makes a folder with a file for each key, by name and content: what stays as it is keeps its folder, and so its place in the
// configuration.
func (m *manifest) write(object string, data map[string][]byte) (dir string, err error) {
	content, err := json.Marshal(data)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(m.dir, config.Digest(append([]byte(object+"\n"), content...)))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	for key, value := range data {
		if filepath.Base(key) != key {
			return "", fmt.Errorf("%s: %q is not a key", object, key)
		}
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, key), value, 0o600))
	}
	return dir, err
}
