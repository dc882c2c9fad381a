package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// A cluster is one Kubernetes cluster on this machine, up or not. Two of different names share nothing.
type cluster struct {
	name string
	// dir holds all that the cluster keeps; it exists only while there is something to keep.
	dir string
}

// Names of the environment variables that the launcher reads.
const (
	nameVariable   = "CLUSTER_NAME"   // which cluster, if no flag says so
	sourceVariable = "CLUSTER_SOURCE" // folder of the launcher's own sources
)

const defaultName = "flight"

// clusterName is bounded because it becomes part of file names, of a network namespace's name and of the node's name.
var clusterName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$`)

// newCluster returns the cluster of that name below home, the folder of everything the launcher keeps.
func newCluster(name, home string) (cluster, error) {
	if !clusterName.MatchString(name) {
		return cluster{}, fmt.Errorf("cluster name %q: use up to 30 lower-case letters, digits and dashes, none of them a dash at either end", name)
	}
	c := cluster{name: name, dir: filepath.Join(clustersFolder(home), name)}
	// The kernel's sockaddr_un has 108 bytes for the path of a socket and the zero at its end.
	const maxSocketPath = 107
	if path := c.containerdSocket(); len(path) > maxSocketPath {
		return cluster{}, fmt.Errorf("the path of the socket %s has %d bytes, the kernel takes %d: set XDG_CACHE_HOME to a shorter path", path, len(path), maxSocketPath)
	}
	return c, nil
}

// homeFolder is the folder of everything the launcher keeps: builds and clusters.
func homeFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder (set HOME or XDG_CACHE_HOME): %w", err)
	}
	return filepath.Join(cache, "flight-operator"), nil
}

func buildsFolder(home string) string   { return filepath.Join(home, "cluster") }
func clustersFolder(home string) string { return filepath.Join(home, "clusters") }

func (c cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.dir}, elements...)...)
}

func (c cluster) stateFile() string        { return c.path("state.json") }
func (c cluster) kubeconfig() string       { return c.path("kubeconfig") }
func (c cluster) log(daemon string) string { return c.path("logs", daemon+".log") }
func (c cluster) containerdSocket() string { return c.path("run", "containerd.sock") }

// netns is the name of the network namespace that the node lives in.
func (c cluster) netns() string { return "flight-" + c.name }

func (c cluster) netnsPath() string { return filepath.Join(namespaces, c.netns()) }

// namespaces is the folder in which named network namespaces are found.
const namespaces = "/run/netns"

// cgroup is the control group, in every hierarchy, that all pods are below.
func (c cluster) cgroup() string { return "flight-" + c.name }

// sourceFolder finds the launcher's own sources: where the environment says, or else at or above the working folder.
func sourceFolder() (string, error) {
	if dir := os.Getenv(sourceVariable); dir != "" {
		return filepath.Abs(dir)
	}
	working, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := working; ; dir = filepath.Dir(dir) {
		for _, candidate := range []string{dir, filepath.Join(dir, "test", "cluster")} {
			if isSource(candidate) {
				return candidate, nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("the launcher's sources are neither at nor above %s: run it from the repository, or name test/cluster in %s", working, sourceVariable)
		}
	}
}

// isSource tells whether a folder has the modules that the parts are built from.
func isSource(dir string) bool {
	for _, module := range []string{"hyperkube", "containers", "dns", "cert-manager"} {
		if _, err := os.Stat(filepath.Join(dir, module, "go.mod")); errors.Is(err, os.ErrNotExist) {
			return false
		}
	}
	return true
}
