package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

func (line commandLine) builder() (builder, error) {
	source, err := sourceFolder()
	return builder{source: source, home: line.home}, err
}

// build prints one line for each part: the folder of its programs.
func (line commandLine) build(ctx context.Context) error {
	b, err := line.builder()
	if err != nil {
		return err
	}
	bins, err := b.buildAll(ctx, line.args...)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(bins)) {
		fmt.Println(bins[name])
	}
	return nil
}

func (line commandLine) up(ctx context.Context) error {
	var without []string
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	flags.Func("without", "", func(name string) error {
		without = append(without, name)
		return nil
	})
	if err := flags.Parse(line.args); err != nil {
		return usageError(err)
	}
	line.args = flags.Args()
	if err := line.noArguments(); err != nil {
		return err
	}
	if err := needRoot("starting a cluster"); err != nil {
		return err
	}
	b, err := line.builder()
	if err != nil {
		return err
	}
	known, err := parts(b.source)
	if err != nil {
		return err
	}
	names, err := remaining(known, without)
	if err != nil {
		return err
	}
	bins, err := b.buildAll(ctx, names...)
	if err != nil {
		return err
	}
	return line.cluster.up(ctx, line.home, bins)
}

func (line commandLine) down(ctx context.Context) error {
	if err := line.noArguments(); err != nil {
		return err
	}
	if err := needRoot("stopping a cluster"); err != nil {
		return err
	}
	unlock, err := lockFolder(ctx, line.home, "starting or stopping a cluster")
	if err != nil {
		return err
	}
	defer unlock()
	found, err := line.cluster.leftovers()
	if err != nil {
		return err
	}
	if len(found) == 0 {
		progress("there is no cluster %q", line.cluster.name)
		return nil
	}
	// An interrupt would leave half of it: it takes a second, so it goes on to the end.
	if err := line.cluster.down(context.WithoutCancel(ctx), line.home); err != nil {
		return err
	}
	progress("cluster %q is down", line.cluster.name)
	return nil
}

func (line commandLine) status(ctx context.Context) error {
	if err := line.noArguments(); err != nil {
		return err
	}
	s, err := line.cluster.running()
	if err != nil {
		return err
	}
	api, err := line.cluster.api()
	if err != nil {
		return err
	}
	ready, err := api.nodeReady(ctx, line.cluster.nodeName())
	if err != nil {
		return err
	}
	if !ready {
		return fmt.Errorf("cluster %q runs, but its node is not ready; logs are in %s", line.cluster.name, line.cluster.path("logs"))
	}
	fmt.Printf("cluster %q is up\n", line.cluster.name)
	for _, name := range slices.Sorted(maps.Keys(s.Daemons)) {
		fmt.Printf("  %-24s process %d\n", name, s.Daemons[name].PID)
	}
	fmt.Printf("  %-24s %s\n", "kubeconfig", line.cluster.kubeconfig())
	fmt.Printf("  %-24s %s\n", "logs", line.cluster.path("logs"))
	return nil
}

func (line commandLine) load(ctx context.Context) error {
	if len(line.args) == 0 {
		fmt.Fprintln(os.Stderr, "cluster: load needs the path of an archive")
		return errUsage
	}
	s, err := line.cluster.running()
	if err != nil {
		return err
	}
	return line.cluster.loadImages(ctx, s.Bins[containersPart], line.args...)
}

func (line commandLine) exec() error {
	args := line.args
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "cluster: exec needs a command")
		return errUsage
	}
	return line.inNetwork(args)
}

// inNetwork becomes the command, in the cluster's network namespace; all else, the control groups and the file system
// too, stays as it is. Because it is the same process, signals and the exit status are the command's own.
func (line commandLine) inNetwork(args []string) error {
	if err := needRoot("entering the cluster's network"); err != nil {
		return err
	}
	s, err := line.cluster.running()
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"PATH":       searchPath(s.Bins),
		"KUBECONFIG": line.cluster.kubeconfig(),
		nameVariable: line.cluster.name,
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	program, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return err
	}
	runtime.LockOSThread()
	if err := enterNetwork(line.cluster.netnsPath()); err != nil {
		return err
	}
	// The process that results has the namespaces of the thread that calls this.
	err = syscall.Exec(program, args, os.Environ())
	return fmt.Errorf("running %s: %w", program, err)
}

// env prints where things are, whether or not they are there yet.
func (line commandLine) env(ctx context.Context) error {
	if err := line.noArguments(); err != nil {
		return err
	}
	b, err := line.builder()
	if err != nil {
		return err
	}
	bins, err := b.bins(ctx)
	if err != nil {
		return err
	}
	c := line.cluster
	for _, assignment := range [][2]string{
		{nameVariable, c.name},
		{"CLUSTER_DIR", c.dir},
		{"CLUSTER_NETNS", c.netnsPath()},
		{"CLUSTER_BIN", bins[kubernetesPart]},
		{"CLUSTER_CONTAINERS_BIN", bins[containersPart]},
		{"KUBEBUILDER_ASSETS", bins[kubernetesPart]}, // where controller-runtime's envtest looks
		{"KUBECONFIG", c.kubeconfig()},
	} {
		fmt.Printf("%s=%s\n", assignment[0], shellQuote(assignment[1]))
	}
	return nil
}

// shellQuote writes a word so that a shell reads it back as it is.
func shellQuote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// needRoot refuses what only root can do.
func needRoot(what string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return fmt.Errorf("%s needs root (it makes namespaces, mounts and control groups): run it as root", what)
}
