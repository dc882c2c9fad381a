package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A mount is one line of /proc/self/mountinfo.
type mount struct {
	point   string // where
	fstype  string
	options []string // of the file system: of a control group hierarchy, its controllers are among them
}

// mountTable reads the mounts that this process sees, in the order in which they were made.
func mountTable() ([]mount, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMountInfo(string(table))
}

// parseMountInfo reads a mount table in the form that proc(5) describes. Between its sixth field and the dash stand any
// number of optional ones.
func parseMountInfo(table string) ([]mount, error) {
	const pointField = 4
	var mounts []mount
	for line := range strings.Lines(table) {
		before, after, found := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !found || len(left) <= pointField || len(right) < 2 {
			return nil, fmt.Errorf("mount table: cannot read %q", line)
		}
		m := mount{point: unescapeMount(left[pointField]), fstype: right[0]}
		if len(right) > 2 {
			m.options = strings.Split(right[2], ",")
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// unescapeMount undoes how the kernel writes blanks, line breaks and backslashes in paths: as \ooo in octal.
func unescapeMount(path string) string {
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '\\' && i+3 < len(path) {
			if code, err := strconv.ParseUint(path[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		out.WriteByte(path[i])
	}
	return out.String()
}

// below lists the mount points inside of a folder, itself excluded, in the order in which they can be unmounted.
func below(mounts []mount, dir string) []string {
	var points []string
	for _, m := range mounts {
		if strings.HasPrefix(m.point, strings.TrimSuffix(dir, "/")+"/") {
			points = append(points, m.point)
		}
	}
	slices.Reverse(points)
	return points
}

// unmountBelow unmounts all that is mounted inside of a folder, so that removing the folder cannot reach into it. The
// cluster itself mounts nothing that this process can see; someone else may have.
func unmountBelow(dir string) error {
	mounts, err := mountTable()
	if err != nil {
		return err
	}
	for _, point := range below(mounts, dir) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", point, err)
		}
	}
	return nil
}
