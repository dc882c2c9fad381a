package source

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Tests often run as root, to whom nothing is denied: what the kernel would say is therefore given.
func TestExplainPermissionDenied(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	got := explain(root, "a.csv", &fs.PathError{Op: "openat", Path: "a.csv", Err: syscall.EACCES}).Error()
	want := `"a.csv" below ROOT cannot be read: permission denied; the server's user needs to read it and to enter its directories`
	if got = strings.ReplaceAll(got, dir, "ROOT"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = explain(root, "a.csv", &fs.PathError{Op: "openat", Path: "a.csv", Err: syscall.EIO}).Error()
	want = `"a.csv" below ROOT cannot be read: input/output error`
	if got = strings.ReplaceAll(got, dir, "ROOT"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
