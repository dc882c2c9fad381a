package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A need is something of the machine that Go modules cannot bring: a compiler, a C library, a system tool.
type need struct {
	what    string // for messages
	debian  string // the package of Debian and Ubuntu that brings it
	present func() bool
}

// needs of the build of runc.
var (
	cCompiler  = need{"a C compiler", "gcc", inPath("gcc")}
	cLibrary   = need{"the static C library with its headers", "libc6-dev", compilerFinds("libc.a")}
	pkgConfig  = need{"pkg-config", "pkg-config", inPath("pkg-config")}
	libseccomp = need{"libseccomp with its headers", "libseccomp-dev", compilerFinds("libseccomp.a")}
)

// runtimeNeeds are what a running cluster needs.
var runtimeNeeds = []need{
	{"ip, to set up the network", "iproute2", inPath("ip")},
	{"nft, which kube-proxy and the port mapper program", "nftables", inPath("nft")},
	{"mount, which the kubelet calls", "mount", inPath("mount")},
}

func inPath(program string) func() bool {
	return func() bool {
		_, err := exec.LookPath(program)
		return err == nil
	}
}

// compilerFinds asks the C compiler for a library. It answers with the bare name if it has none.
func compilerFinds(library string) func() bool {
	return func() bool {
		out, err := exec.CommandContext(context.Background(), "gcc", "-print-file-name="+library).Output()
		return err == nil && filepath.IsAbs(strings.TrimSpace(string(out)))
	}
}

// provide makes sure that every need is met. What is missing is installed where this process may do so (root on
// Debian or one of its kin); elsewhere the error says what to install.
func provide(ctx context.Context, needs []need) error {
	missing := missingNeeds(needs)
	if len(missing) == 0 {
		return nil
	}
	packages := debianPackages(missing)
	if !inPath("apt-get")() {
		return fmt.Errorf("missing: %s; install them with this machine's package manager (on Debian: %s)",
			describe(missing), strings.Join(packages, " "))
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("missing: %s; run: sudo apt-get install %s", describe(missing), strings.Join(packages, " "))
	}
	progress("installing packages: %s", strings.Join(packages, " "))
	install := append([]string{"install", "--yes", "--no-install-recommends"}, packages...)
	for _, args := range [][]string{{"update"}, install} {
		if err := aptGet(ctx, args...); err != nil {
			return err
		}
	}
	if missing := missingNeeds(needs); len(missing) > 0 {
		return fmt.Errorf("still missing after installing %s: %s", strings.Join(packages, " "), describe(missing))
	}
	return nil
}

func missingNeeds(needs []need) []need {
	var missing []need
	for _, n := range needs {
		if !n.present() {
			missing = append(missing, n)
		}
	}
	return missing
}

func describe(needs []need) string {
	var words []string
	for _, n := range needs {
		words = append(words, n.what)
	}
	return strings.Join(words, "; ")
}

func debianPackages(needs []need) []string {
	var packages []string
	for _, n := range needs {
		packages = append(packages, n.debian)
	}
	return packages
}

// aptGet runs apt-get without questions; its output is shown only if it fails.
func aptGet(ctx context.Context, args ...string) error {
	var output bytes.Buffer
	command := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet", "--quiet"}, args...)...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	command.Stdout, command.Stderr = &output, &output
	stop := every(func() { progress("apt-get %s is still running", args[0]) })
	err := command.Run()
	stop()
	if err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, lastLines(output.String(), maxComplaints))
	}
	return nil
}

// lastLines returns the last n lines of a text, without the line break at its end.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
