package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// down removes the cluster, or whatever is left of it: its processes, namespaces, mounts, control groups and files.
// Nothing is asked to end by itself: no data survives, and pods that are shut down one by one would take half a minute.
// The caller has the lock on home.
func (c cluster) down(ctx context.Context, home string) error {
	mounts, err := mountTable()
	if err != nil {
		return err
	}
	groups := hierarchies(mounts)
	if err := c.killAll(ctx, groups); err != nil {
		return err
	}
	if err := c.deleteNetwork(); err != nil {
		return err
	}
	for _, h := range groups {
		if err := h.remove(ctx, c.cgroup()); err != nil {
			return err
		}
	}
	if err := unmountBelow(c.dir); err != nil {
		return err
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return err
	}
	// Fails, as it should, while there is another cluster.
	if err := os.Remove(clustersFolder(home)); err == nil || os.IsNotExist(err) {
		c.removeHostPaths()
	}
	return nil
}

// killAll kills every process of the cluster until there is none.
func (c cluster) killAll(ctx context.Context, groups []hierarchy) error {
	spared := ancestry() // this command may have been started inside of the cluster's network
	var last []process
	err := poll(ctx, 20*time.Second, func() (bool, error) {
		found, err := c.processes(groups)
		if err != nil {
			return false, err
		}
		last = slices.DeleteFunc(found, func(p process) bool { return slices.Contains(spared, p.PID) || !p.alive() })
		for _, p := range last {
			if err := p.kill(); err != nil {
				return false, err
			}
		}
		return len(last) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("ending the processes of cluster %q (%v): %w", c.name, last, err)
	}
	return nil
}

// processes lists the cluster's processes: the daemons that it remembers, first, so that they start no more; all that
// is in its network namespace, which are the shims of containers, pods on the node's network and commands that a user
// runs there; and all that is in its control groups, which are the pods.
func (c cluster) processes(groups []hierarchy) ([]process, error) {
	var found []process
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	// A state that cannot be read names no process; the daemons are in the network namespace all the same.
	if s, err := loadState(c.stateFile()); err == nil && s.Boot == boot {
		for _, p := range s.Daemons {
			found = append(found, p)
		}
	}
	inNetwork, err := processesIn(c.netnsPath())
	if err != nil {
		return nil, err
	}
	found = append(found, inNetwork...)
	for _, h := range groups {
		members, err := h.members(c.cgroup())
		if err != nil {
			return nil, err
		}
		found = append(found, members...)
	}
	return found, nil
}

// leftovers names what there is of a cluster, running or not.
func (c cluster) leftovers() ([]string, error) {
	mounts, err := mountTable()
	if err != nil {
		return nil, err
	}
	paths := []string{c.dir, c.netnsPath()}
	for _, h := range hierarchies(mounts) {
		paths = append(paths, filepath.Join(h.root, c.cgroup()))
	}
	var found []string
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			found = append(found, path)
		}
	}
	return found, nil
}
