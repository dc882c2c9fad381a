package main

import (
	"reflect"
	"slices"
	"testing"
)

const mountTableSample = `21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
25 21 0:23 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
26 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:2 master:3 - cgroup cgroup rw,cpu,cpuacct
27 25 0:25 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
28 25 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
40 21 0:40 / /home/a\040b\134c rw - tmpfs tmpfs rw
41 40 0:41 / /home/a\040b\134c/d rw - tmpfs tmpfs rw
42 21 0:42 / /home/a\040b rw - tmpfs tmpfs rw
`

func TestParseMountInfo(t *testing.T) {
	mounts, err := parseMountInfo(mountTableSample)
	if err != nil {
		t.Fatal(err)
	}
	want := mount{point: `/home/a b\c`, fstype: "tmpfs", options: []string{"rw"}}
	if !reflect.DeepEqual(mounts[5], want) {
		t.Errorf("got %+v, want %+v", mounts[5], want)
	}
	if len(mounts) != 8 {
		t.Errorf("got %d mounts, want 8", len(mounts))
	}
	for _, line := range []string{"21 1 254:0 / / rw\n", "21 1 - ext4 /dev/vda rw\n", "\n"} {
		if _, err := parseMountInfo(line); err == nil {
			t.Errorf("%q is taken for a mount", line)
		}
	}
}

func TestParseOwnMountTable(t *testing.T) {
	mounts, err := mountTable()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(mounts, func(m mount) bool { return m.point == "/" }) {
		t.Errorf("nothing is mounted at /: %+v", mounts)
	}
}

func TestHierarchies(t *testing.T) {
	mounts, err := parseMountInfo(mountTableSample)
	if err != nil {
		t.Fatal(err)
	}
	want := []hierarchy{
		{root: "/sys/fs/cgroup/cpu,cpuacct", version: 1},
		{root: "/sys/fs/cgroup/cpuset", version: 1, cpuset: true},
		{root: "/sys/fs/cgroup/unified", version: 2},
	}
	if got := hierarchies(mounts); !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestBelow(t *testing.T) {
	mounts, err := parseMountInfo(mountTableSample)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		dir  string
		want []string
	}{
		{"/home", []string{"/home/a b", `/home/a b\c/d`, `/home/a b\c`}},
		{`/home/a b\c`, []string{`/home/a b\c/d`}},
		{"/home/a", nil},
		{"/absent", nil},
	} {
		if got := below(mounts, test.dir); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.dir, got, test.want)
		}
	}
}
