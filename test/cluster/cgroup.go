package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A hierarchy is one mounted tree of control groups: the only one of version 2, or one of several of version 1, each
// with controllers of its own.
type hierarchy struct {
	root    string
	version int
	cpuset  bool // version 1 with the cpuset controller, whose groups start without any CPU
}

// hierarchies finds the trees of control groups in a mount table.
func hierarchies(mounts []mount) []hierarchy {
	var found []hierarchy
	for _, m := range mounts {
		switch m.fstype {
		case "cgroup":
			found = append(found, hierarchy{root: m.point, version: 1, cpuset: slices.Contains(m.options, "cpuset")})
		case "cgroup2":
			found = append(found, hierarchy{root: m.point, version: 2})
		}
	}
	return found
}

// create makes the group in the hierarchy, ready to have groups of pods below it.
func (h hierarchy) create(name string) error {
	group := filepath.Join(h.root, name)
	if err := os.MkdirAll(group, 0o755); err != nil {
		return err
	}
	switch {
	case h.version == 2:
		// A group can only control what its parent hands down.
		if err := handDown(h.root); err != nil {
			return err
		}
		return handDown(group)
	case h.cpuset:
		return inheritCPUs(h.root, group)
	default:
		return nil
	}
}

// handDown enables every controller that a group of version 2 has for its children. Where version 1 trees are mounted
// beside, they have taken the controllers and there is none.
func handDown(group string) error {
	controllers, err := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for controller := range strings.FieldsSeq(string(controllers)) {
		// One at a time: a write that names several enables all of them or none.
		err := os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte("+"+controller), 0)
		// Some kernels list controllers that cannot be enabled; the kubelet says which of those it needs it misses.
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("enabling the %s controller below %s: %w", controller, group, err)
		}
	}
	return nil
}

// inheritCPUs gives a cpuset group of version 1 what its parent has: no process can join it before.
func inheritCPUs(parent, group string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		current, err := os.ReadFile(filepath.Join(group, file))
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(current)) > 0 {
			continue
		}
		inherited, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(group, file), inherited, 0); err != nil {
			return err
		}
	}
	return nil
}

// members lists the processes of the group and of all groups below it. It is empty if there is no such group.
func (h hierarchy) members(name string) ([]process, error) {
	var found []process
	err := filepath.WalkDir(filepath.Join(h.root, name), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // groups of containers go away by themselves
		}
		if err != nil || !entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			return nil
		}
		if err != nil {
			return err
		}
		for line := range strings.FieldsSeq(string(content)) {
			pid, err := strconv.Atoi(line)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if p, err := identify(pid); err == nil {
				found = append(found, p)
			}
		}
		return nil
	})
	return found, err
}

// remove removes the group and all below it, waiting for the kernel to be done with processes that were just killed.
func (h hierarchy) remove(ctx context.Context, name string) error {
	group := filepath.Join(h.root, name)
	var groups []string
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.Reverse(groups) // children before their parents
	for _, g := range groups {
		err := poll(ctx, 5*time.Second, func() (bool, error) {
			err := unix.Rmdir(g)
			if errors.Is(err, unix.EBUSY) {
				return false, nil
			}
			return err == nil || errors.Is(err, unix.ENOENT), err
		})
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("removing control group %s: %w", g, err)
		}
	}
	return nil
}
