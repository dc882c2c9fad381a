package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A part is a set of programs that are built together from one Go module, cached under one key and replaced together.
type part struct {
	name     string
	module   string // folder of the Go module, below the launcher's own sources
	steps    []buildStep
	links    map[string][]string // program -> further names it answers to
	files    []moduleFiles       // what is kept beside the programs
	needs    []need              // what the build takes from the machine beside Go
	optional bool                // whether a cluster can do without
}

// moduleFiles are files that a module of the build has, and that no program of it carries.
type moduleFiles struct {
	module  string // its path; of the version that the part's go.mod requires
	pattern string // of the files, below the module's folder, in the syntax of filepath.Match
	folder  string // what they are copied into, below the folder of the programs
}

// A buildStep is one run of go build.
type buildStep struct {
	packages []string
	output   string // name of the program; empty if the packages name their programs themselves
	cgo      bool
	tags     []string
	ldflags  []string // beside those that strip symbols
}

// args are the arguments of the go command that builds the step into the folder bin.
func (s buildStep) args(bin string) []string {
	ldflags := append([]string{"-s", "-w"}, s.ldflags...)
	args := []string{"build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", strings.Join(ldflags, " ")}
	if len(s.tags) > 0 {
		args = append(args, "-tags", strings.Join(s.tags, ","))
	}
	// go build takes a path that ends in a slash for the folder to put every program in.
	args = append(args, "-o", bin+string(filepath.Separator)+s.output)
	return append(args, s.packages...)
}

// env are the environment variables that decide what the step builds.
func (s buildStep) env() []string {
	cgo := "CGO_ENABLED=0"
	if s.cgo {
		cgo = "CGO_ENABLED=1"
	}
	return []string{cgo, "GOWORK=off"}
}

// Names of the parts.
const (
	kubernetesPart = "kubernetes" // control plane, node agents, etcd and kubectl
	containersPart = "containers" // container runtime, network plugins, pause
	dnsPart        = "dns"        // the cluster's DNS server

	certManagerPart = "cert-manager" // what issues certificates
)

// parts lists what a cluster consists of, in the order in which it is built: the longest and most wanted first.
// source is the folder of the launcher's own sources.
func parts(source string) ([]part, error) {
	kubernetes, err := describeKubernetes(source)
	if err != nil {
		return nil, err
	}
	return []part{kubernetes, containers(), dns(), certManagerControllers()}, nil
}

// describeKubernetes describes the multi-call Kubernetes binary. Its version is told to the linker because a program
// built outside of the Kubernetes repository does not know which one it is.
func describeKubernetes(source string) (part, error) {
	const module = "hyperkube"
	gomod, err := os.ReadFile(filepath.Join(source, module, "go.mod"))
	if err != nil {
		return part{}, err
	}
	version, err := requiredVersion(string(gomod), "k8s.io/kubernetes")
	if err != nil {
		return part{}, err
	}
	major, minor, err := majorMinor(version)
	if err != nil {
		return part{}, err
	}
	const pkg = "k8s.io/component-base/version"
	return part{
		name:   kubernetesPart,
		module: module,
		steps: []buildStep{{
			packages: []string{"."},
			output:   "hyperkube",
			ldflags: []string{
				"-X", pkg + ".gitVersion=" + version,
				"-X", pkg + ".gitMajor=" + major,
				"-X", pkg + ".gitMinor=" + minor,
			},
		}},
		links: map[string][]string{"hyperkube": {
			"etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet",
		}},
	}, nil
}

// containers describes the container runtime. runc enters namespaces in C before Go's threads exist, hence cgo; it is
// linked statically so that the cached binary outlives updates of the machine's libraries.
func containers() part {
	const (
		containerd = "github.com/containerd/containerd/v2/cmd/"
		cni        = "github.com/containernetworking/plugins/plugins/"
	)
	return part{
		name:   containersPart,
		module: "containers",
		steps: []buildStep{
			{
				packages: []string{
					containerd + "containerd", containerd + "containerd-shim-runc-v2", containerd + "ctr",
					cni + "main/ptp", cni + "ipam/host-local", cni + "meta/portmap",
					"./pause",
				},
				tags: []string{"no_btrfs", "no_devmapper", "no_zfs", "no_aufs"},
			},
			{
				packages: []string{"github.com/opencontainers/runc"},
				output:   "runc",
				cgo:      true,
				tags:     []string{"seccomp", "netgo", "osusergo"},
				ldflags:  []string{"-extldflags", "-static"},
			},
		},
		needs: []need{cCompiler, cLibrary, pkgConfig, libseccomp},
	}
}

// dns describes the DNS server.
func dns() part {
	return part{
		name:   dnsPart,
		module: "dns",
		steps:  []buildStep{{packages: []string{"."}, output: "coredns"}},
	}
}

// certManagerControllers describes cert-manager's controllers and the definitions of the kinds that they serve.
func certManagerControllers() part {
	return part{
		name:   certManagerPart,
		module: "cert-manager",
		steps:  []buildStep{{packages: []string{"."}, output: "cert-manager"}},
		files: []moduleFiles{{
			module:  "github.com/cert-manager/cert-manager",
			pattern: "deploy/crds/cert-manager.io_*.yaml",
			folder:  definitionsFolder,
		}},
		optional: true,
	}
}

// requiredVersion finds the version of a module in the text of a go.mod file.
func requiredVersion(gomod, module string) (string, error) {
	for line := range strings.Lines(gomod) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && fields[0] == module && strings.HasPrefix(fields[1], "v") {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("go.mod requires no version of %s", module)
}

// majorMinor splits the first two numbers off a version such as v1.35.4.
func majorMinor(version string) (major, minor string, err error) {
	numbers := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(numbers) != 3 {
		return "", "", fmt.Errorf("version %q is not of the form vMAJOR.MINOR.PATCH", version)
	}
	return numbers[0], numbers[1], nil
}
