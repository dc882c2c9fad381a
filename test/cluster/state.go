package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// state is what a cluster remembers from one command to the next.
type state struct {
	// Boot identifies the boot of the machine that the processes belong to: none of them outlives it.
	Boot string `json:"boot"`
	// Bins are the folders of the programs that the cluster runs from, by the name of the part.
	Bins map[string]string `json:"bins"`
	// Daemons are the processes by the name of the daemon, in no order.
	Daemons map[string]process `json:"daemons"`
	// Up tells that the cluster was once ready for use.
	Up bool `json:"up"`
}

// loadState reads the state of a cluster; without one the error is fs.ErrNotExist.
func loadState(path string) (state, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return state{}, err
	}
	var s state
	if err := json.Unmarshal(content, &s); err != nil {
		return state{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// save writes the state in one step: a reader sees the old one or the new one.
func (s state) save(path string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, append(content, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// dead lists the daemons that do not run any more, in no order.
func (s state) dead(boot string) []string {
	var names []string
	for name, p := range s.Daemons {
		if s.Boot != boot || !p.alive() {
			names = append(names, name)
		}
	}
	return names
}

// bootID identifies this boot of the machine.
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(id)), nil
}

// running loads the state of a cluster that is up. The error of one that is not says how to get there.
func (c cluster) running() (state, error) {
	boot, err := bootID()
	if err != nil {
		return state{}, err
	}
	s, err := loadState(c.stateFile())
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission):
		return state{}, c.notUp(err)
	case err != nil:
		return state{}, err
	case !s.Up || s.Boot != boot:
		return state{}, c.notUp(nil)
	}
	if dead := s.dead(boot); len(dead) > 0 {
		return state{}, fmt.Errorf("cluster %q is broken: %s ended (logs in %s); \"cluster up\" starts it anew",
			c.name, strings.Join(dead, ", "), c.path("logs"))
	}
	return s, nil
}

func (c cluster) notUp(cause error) error {
	if errors.Is(cause, os.ErrPermission) {
		return fmt.Errorf("cluster %q belongs to another user: %w", c.name, cause)
	}
	return fmt.Errorf("cluster %q is not up; start it with \"cluster up\" (make cluster-up)", c.name)
}

// binsInUse lists the folders of programs that some cluster of this user runs from.
func binsInUse(home string) []string {
	states, err := filepath.Glob(filepath.Join(clustersFolder(home), "*", "state.json"))
	if err != nil {
		return nil
	}
	var bins []string
	for _, path := range states {
		s, err := loadState(path)
		if err != nil {
			continue // being written or removed by another process
		}
		for _, bin := range s.Bins {
			bins = append(bins, bin)
		}
	}
	return bins
}
