package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// writeTree makes files, and the folders they are in, below a new folder: what the kernel shows of control groups.
func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestCreateGroup(t *testing.T) {
	for _, test := range []struct {
		name      string
		hierarchy hierarchy
		before    map[string]string
		after     map[string]string
	}{
		{
			name:      "version 2 hands controllers down at both levels",
			hierarchy: hierarchy{version: 2},
			before: map[string]string{
				"cgroup.controllers": "memory\n", "cgroup.subtree_control": "",
				"flight-x/cgroup.controllers": "memory\n", "flight-x/cgroup.subtree_control": "",
			},
			after: map[string]string{"cgroup.subtree_control": "+memory", "flight-x/cgroup.subtree_control": "+memory"},
		},
		{
			name:      "version 2 beside version 1 has nothing to hand down",
			hierarchy: hierarchy{version: 2},
			before: map[string]string{
				"cgroup.controllers": "\n", "cgroup.subtree_control": "old",
				"flight-x/cgroup.controllers": "\n", "flight-x/cgroup.subtree_control": "old",
			},
			after: map[string]string{"cgroup.subtree_control": "old", "flight-x/cgroup.subtree_control": "old"},
		},
		{
			name:      "cpuset inherits what is empty only",
			hierarchy: hierarchy{version: 1, cpuset: true},
			before: map[string]string{
				"cpuset.cpus": "0-3\n", "cpuset.mems": "0\n",
				"flight-x/cpuset.cpus": "\n", "flight-x/cpuset.mems": "1\n",
			},
			after: map[string]string{"flight-x/cpuset.cpus": "0-3\n", "flight-x/cpuset.mems": "1\n"},
		},
		{
			name:      "any other controller needs the group alone",
			hierarchy: hierarchy{version: 1},
			before:    map[string]string{"tasks": ""},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := test.hierarchy
			h.root = writeTree(t, test.before)
			if err := h.create("flight-x"); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(filepath.Join(h.root, "flight-x")); err != nil || !info.IsDir() {
				t.Errorf("no group: %v", err)
			}
			for name, want := range test.after {
				got, err := os.ReadFile(filepath.Join(h.root, name))
				if err != nil || string(got) != want {
					t.Errorf("%s: got %q and error %v, want %q", name, got, err, want)
				}
			}
		})
	}
}

func TestMembersOfAllLevels(t *testing.T) {
	_, p := sleeper(t)
	h := hierarchy{root: writeTree(t, map[string]string{
		"cgroup.procs":                        "1\n",
		"flight-x/cgroup.procs":               "",
		"flight-x/kubepods/pod1/cgroup.procs": strconv.Itoa(p.PID) + "\n",
	})}
	found, err := h.members("flight-x")
	if err != nil || len(found) != 1 || found[0] != p {
		t.Errorf("got %v and error %v, want %v", found, err, p)
	}
	if found, err := h.members("flight-y"); err != nil || len(found) > 0 {
		t.Errorf("no such group: got %v and error %v, want nothing", found, err)
	}
}

func TestRemoveGroup(t *testing.T) {
	root := t.TempDir()
	for _, group := range []string{"flight-x/kubepods/pod1", "flight-x/kubepods/pod2", "flight-y"} {
		if err := os.MkdirAll(filepath.Join(root, group), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h := hierarchy{root: root}
	for range 2 { // the second time there is none
		if err := h.remove(t.Context(), "flight-x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "flight-x")); !os.IsNotExist(err) {
		t.Errorf("the group is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "flight-y")); err != nil {
		t.Errorf("another cluster's group is gone: %v", err)
	}
}
