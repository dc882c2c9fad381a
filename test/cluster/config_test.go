package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// testCluster is a cluster that is not up, in a folder of the test's own.
func testCluster(t *testing.T) cluster {
	t.Helper()
	c, err := newCluster("test", "/home/u/.cache/flight-operator")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewCluster(t *testing.T) {
	const home = "/home/u/.cache/flight-operator"
	for _, test := range []struct {
		name, home string
		ok         bool
	}{
		{"flight", home, true},
		{"a", home, true},
		{"ci-7", home, true},
		{strings.Repeat("n", 30), home, true},
		{strings.Repeat("n", 31), home, false},
		{"", home, false},
		{"Flight", home, false},
		{"a/b", home, false},
		{"..", home, false},
		{"-a", home, false},
		{"a-", home, false},
		{"a b", home, false},
		{"flight", "/" + strings.Repeat("d", 70), true},
		{"flight", "/" + strings.Repeat("d", 71), false},
	} {
		if _, err := newCluster(test.name, test.home); (err == nil) != test.ok {
			t.Errorf("%q in a folder of %d bytes: error %v", test.name, len(test.home), err)
		}
	}
}

func TestClustersShareNothing(t *testing.T) {
	one, err := newCluster("one", "/home/u")
	if err != nil {
		t.Fatal(err)
	}
	two, err := newCluster("two", "/home/u")
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]any{
		{one.dir, two.dir},
		{one.netnsPath(), two.netnsPath()},
		{one.kubeletConfig()["cgroupRoot"], two.kubeletConfig()["cgroupRoot"]},
	} {
		if pair[0] == pair[1] {
			t.Errorf("both have %v", pair[0])
		}
	}
}

func TestConfigure(t *testing.T) {
	c := testCluster(t)
	pairs := map[string]pair{"ca": {certificate: []byte("CA")}}
	for name := range c.identities() {
		pairs[name] = pair{certificate: []byte(name + " certificate"), key: []byte(name + " key")}
	}
	files, err := c.configure("/bins/containers", pairs)
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range files {
		if !strings.HasPrefix(path, c.dir+"/") {
			t.Errorf("%s is outside of the cluster's folder", path)
		}
		if ext := filepath.Ext(path); ext == ".json" || ext == ".conflist" || strings.HasSuffix(path, "kubeconfig") {
			if !json.Valid(content) {
				t.Errorf("%s is not JSON:\n%s", path, content)
			}
		}
	}
	for path, want := range map[string]string{
		c.kubeconfig():                      base64.StdEncoding.EncodeToString([]byte("admin key")),
		c.kubeconfigOf("kube-scheduler"):    base64.StdEncoding.EncodeToString([]byte("kube-scheduler certificate")),
		c.path("config", "containerd.toml"): `bin_dirs = ["/bins/containers"]`,
		c.path("config", "kubelet.json"):    `"cgroupRoot": "/flight-test"`,
		c.path("config", "Corefile"):        `kubeconfig "` + c.kubeconfigOf("coredns") + `"`,
	} {
		if !bytes.Contains(files[path], []byte(want)) {
			t.Errorf("%s lacks %q:\n%s", path, want, files[path])
		}
	}
}

func TestShellQuote(t *testing.T) {
	for _, word := range []string{"/plain/path", "", "a b", `it's "$HOME" \ * `, "line\nbreak"} {
		got, err := exec.Command("sh", "-c", "printf %s "+shellQuote(word)).Output()
		if err != nil || string(got) != word {
			t.Errorf("%q: the shell reads %q, error %v", word, got, err)
		}
	}
}

func TestSourceFolder(t *testing.T) {
	root := writeTree(t, map[string]string{
		"test/cluster/hyperkube/go.mod": "", "test/cluster/containers/go.mod": "", "test/cluster/dns/go.mod": "",
		"test/cluster/cert-manager/go.mod": "", "docs/deep/file": "",
	})
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(root, "test", "cluster")
	for _, test := range []struct{ working, variable, want string }{
		{working: source, want: source},
		{working: filepath.Join(source, "dns"), want: source},
		{working: root, want: source},
		{working: filepath.Join(root, "docs", "deep"), want: source},
		{working: root, variable: "/elsewhere", want: "/elsewhere"},
		{working: os.TempDir()},
	} {
		t.Chdir(test.working)
		t.Setenv(sourceVariable, test.variable)
		got, err := sourceFolder()
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("in %s with %q: got %q and error %v, want %q", test.working, test.variable, got, err, test.want)
		}
	}
}
