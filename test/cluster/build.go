package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A builder builds parts from source and keeps them below the launcher's home folder.
type builder struct {
	source string // folder of the launcher's own sources, which has the parts' modules in it
	home   string // folder of everything the launcher keeps
}

func (b builder) cache() string { return buildsFolder(b.home) }

// buildAll builds what is not yet cached of the named parts (all of them if none is named) and returns the folder of
// each part's programs by the part's name.
func (b builder) buildAll(ctx context.Context, names ...string) (map[string]string, error) {
	known, err := parts(b.source)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(known, names)
	if err != nil {
		return nil, err
	}
	bins := make(map[string]string, len(chosen))
	for _, p := range chosen {
		bin, err := b.build(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("building %s: %w", p.name, err)
		}
		bins[p.name] = bin
	}
	return bins, nil
}

// choose picks parts by name, all if no name is given.
func choose(known []part, names []string) ([]part, error) {
	if len(names) == 0 {
		return known, nil
	}
	var chosen []part
	for _, name := range names {
		i := slices.IndexFunc(known, func(p part) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no part is called %q; there are %s", name, strings.Join(partNames(known), ", "))
		}
		chosen = append(chosen, known[i])
	}
	return chosen, nil
}

// remaining names the parts of a cluster that goes without those named.
func remaining(known []part, without []string) ([]string, error) {
	left, err := choose(known, without)
	if err != nil {
		return nil, err
	}
	var names, optional []string
	for _, p := range known {
		if !slices.Contains(without, p.name) {
			names = append(names, p.name)
		}
		if p.optional {
			optional = append(optional, p.name)
		}
	}
	for _, p := range left {
		if !p.optional && len(without) > 0 {
			return nil, fmt.Errorf("a cluster cannot do without %s; what it can do without: %s", p.name, strings.Join(optional, ", "))
		}
	}
	return names, nil
}

func partNames(parts []part) []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// bins returns the folder of each part's programs by the part's name, whether or not they are built.
func (b builder) bins(ctx context.Context) (map[string]string, error) {
	known, err := parts(b.source)
	if err != nil {
		return nil, err
	}
	bins := make(map[string]string, len(known))
	for _, p := range known {
		if bins[p.name], err = b.bin(ctx, p); err != nil {
			return nil, err
		}
	}
	return bins, nil
}

// bin returns the folder that the part's programs are in once it is built. It differs for any other input.
func (b builder) bin(ctx context.Context, p part) (string, error) {
	module := filepath.Join(b.source, p.module)
	toolchain, err := toolchain(ctx, module)
	if err != nil {
		return "", err
	}
	key, err := cacheKey(p, os.DirFS(module), toolchain)
	if err != nil {
		return "", err
	}
	return filepath.Join(b.cache(), p.name+"-"+key, "bin"), nil
}

// toolchain identifies the Go toolchain that builds the module: its go.mod may ask for a newer one than is installed.
func toolchain(ctx context.Context, module string) (string, error) {
	command := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	command.Dir = module
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its version (is Go installed and in PATH?): %w", withStderr(err))
	}
	return string(out), nil
}

// withStderr adds what a command said on standard error to the error of its failure.
func withStderr(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}

// build makes sure that the part is built and returns the folder of its programs.
func (b builder) build(ctx context.Context, p part) (string, error) {
	bin, err := b.bin(ctx, p)
	if err != nil {
		return "", err
	}
	if reuse(bin) {
		return bin, nil
	}
	unlock, err := lockFolder(ctx, b.cache(), "building")
	if err != nil {
		return "", err
	}
	defer unlock()
	if reuse(bin) { // built while this process waited
		return bin, nil
	}
	if err := provide(ctx, p.needs); err != nil {
		return "", err
	}
	return bin, b.buildInto(ctx, p, bin)
}

// reuse tells whether the programs are there already, and if so notes that they are in use.
func reuse(bin string) bool {
	now := time.Now()
	return os.Chtimes(filepath.Dir(bin), now, now) == nil
}

// buildInto builds the part beside its final folder and moves it there when it is complete, so that a folder that
// exists is always whole. The caller has the cache's lock: what another build left unfinished is dead and removed.
func (b builder) buildInto(ctx context.Context, p part, bin string) error {
	const unfinished = ".unfinished"
	final := filepath.Dir(bin)
	temporary := filepath.Join(b.cache(), p.name+unfinished)
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	temporaryBin := filepath.Join(temporary, "bin")
	if err := os.MkdirAll(temporaryBin, 0o755); err != nil {
		return err
	}
	start := time.Now()
	progress("%s: building (minutes the first time, later from the cache)", p.name)
	for _, step := range p.steps {
		if err := b.run(ctx, p, step, temporaryBin, start); err != nil {
			return err
		}
	}
	for _, files := range p.files {
		if err := b.copyFiles(ctx, p, files, temporaryBin); err != nil {
			return err
		}
	}
	for program, names := range p.links {
		for _, name := range names {
			if err := os.Symlink(program, filepath.Join(temporaryBin, name)); err != nil {
				return err
			}
		}
	}
	if err := os.Rename(temporary, final); err != nil {
		return err
	}
	progress("%s: built in %s", p.name, time.Since(start).Round(time.Second))
	return b.prune(p.name, final)
}

// run runs one go build, telling how far it is.
func (b builder) run(ctx context.Context, p part, step buildStep, bin string, start time.Time) error {
	var log buildLog
	command := exec.CommandContext(ctx, "go", step.args(bin)...)
	command.Dir = filepath.Join(b.source, p.module)
	command.Env = append(os.Environ(), step.env()...)
	command.Stderr = &log
	// go removes its temporary files when it is interrupted, but not when it is killed.
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGINT) }
	command.WaitDelay = 5 * time.Second
	stop := every(func() {
		progress("%s: %s: %s", p.name, time.Since(start).Round(time.Second), log.status())
	})
	err := command.Run()
	stop()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(step.packages, " "), err, log.tail())
	}
	return nil
}

// copyFiles copies files of a module into a folder below bin. The module is there, for the programs were built from it.
func (b builder) copyFiles(ctx context.Context, p part, files moduleFiles, bin string) error {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", files.module)
	list.Dir = filepath.Join(b.source, p.module)
	list.Env = append(os.Environ(), "GOWORK=off")
	folder, err := list.Output()
	if err != nil {
		return fmt.Errorf("asking go for the folder of %s: %w", files.module, withStderr(err))
	}
	pattern := filepath.Join(strings.TrimSpace(string(folder)), files.pattern)
	found, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("no file is called %s: the module may keep them elsewhere in this version", pattern)
	}
	into := filepath.Join(bin, files.folder)
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	for _, path := range found {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(into, filepath.Base(path)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// prune removes builds of the part that nothing has used for a while, other than keep and those that a cluster runs
// from. They are hundreds of megabytes each.
func (b builder) prune(name, keep string) error {
	const unused = 7 * 24 * time.Hour
	builds, err := filepath.Glob(filepath.Join(b.cache(), name+"-*"))
	if err != nil {
		return err
	}
	inUse := binsInUse(b.home)
	for _, build := range builds {
		info, err := os.Stat(build)
		if err != nil {
			return err
		}
		if build == keep || time.Since(info.ModTime()) < unused || slices.Contains(inUse, filepath.Join(build, "bin")) {
			continue
		}
		if err := os.RemoveAll(build); err != nil {
			return err
		}
	}
	return nil
}
