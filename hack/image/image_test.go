package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // the registry wants a logger of this package
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const tag = "ghcr.io/flight-operator/manager:v1.2.3"

// program builds a static program that does nothing.
func program(t *testing.T, architecture string) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "manager")
	build := exec.Command("go", "build", "-o", binary, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// data makes a folder with a data file and a script.
func data(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"deep/trips.csv": 0o600, "run.sh": 0o700} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestArchive(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	archive := filepath.Join(t.TempDir(), "manager.tar")
	binary := program(t, "arm64")
	if err := run(t.Context(), []string{"--name", tag, "--binary", binary + ":/manager", "--file", data(t) + ":/data", "--out", archive}); err != nil {
		t.Fatal(err)
	}
	named, err := name.NewTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(archive, &named)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	created := time.Unix(1700000000, 0).UTC()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.RootFS, config.History = v1.RootFS{}, nil
	if diff := cmp.Diff(&v1.ConfigFile{
		Architecture: "arm64",
		OS:           "linux",
		Created:      v1.Time{Time: created},
		Config: v1.Config{
			Entrypoint: []string{"/manager"},
			User:       "65532:65532",
			WorkingDir: "/",
			Labels: map[string]string{
				"org.opencontainers.image.title":    "flight-operator/manager",
				"org.opencontainers.image.version":  "v1.2.3",
				"org.opencontainers.image.source":   "https://github.com/flight-operator/flight-operator",
				"org.opencontainers.image.licenses": "Apache-2.0",
			},
		},
	}, config); diff != "" {
		t.Errorf("configuration: -want +got:\n%s", diff)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]entry{
		{"etc/", "drwxr-xr-x", ""},
		{"etc/passwd", "-rw-r--r--", "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"},
		{"etc/group", "-rw-r--r--", "root:x:0:\nnonroot:x:65532:\n"},
		{"tmp/", "dtrwxrwxrwx", ""},
		{"manager", "-rwxr-xr-x", string(content)},
		{"data/", "drwxr-xr-x", ""},
		{"data/deep/", "drwxr-xr-x", ""},
		{"data/deep/trips.csv", "-rw-r--r--", "deep/trips.csv"},
		{"data/run.sh", "-rwxr-xr-x", "run.sh"},
	}, entries(t, img, created)); diff != "" {
		t.Errorf("files: -want +got:\n%s", diff)
	}
}

func TestSameInputSameArchive(t *testing.T) {
	binary, folder := program(t, runtime.GOARCH), data(t)
	var archives [2][]byte
	for i := range archives {
		archive := filepath.Join(t.TempDir(), "manager.tar")
		if err := run(t.Context(), []string{"--name", tag, "--binary", binary, "--file", folder + ":/data", "--out", archive}); err != nil {
			t.Fatal(err)
		}
		var err error
		if archives[i], err = os.ReadFile(archive); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Hour)
		if err := os.Chtimes(binary, later, later); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two builds from the same files differ")
	}
}

func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	pushed := strings.TrimPrefix(server.URL, "http://") + "/team/manager:v1.2.3"
	archive := filepath.Join(t.TempDir(), "manager.tar")
	if err := run(t.Context(), []string{"--name", tag, "--binary", program(t, runtime.GOARCH), "--out", archive, "--push", pushed}); err != nil {
		t.Fatal(err)
	}
	reference, err := name.ParseReference(pushed)
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Image(reference, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(pulled); err != nil {
		t.Error(err)
	}
	written, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The archive's manifest may say it in other words than the registry's; the configuration names every layer's content.
	want, wantErr := written.ConfigName()
	got, gotErr := pulled.ConfigName()
	if err := errors.Join(wantErr, gotErr); err != nil {
		t.Fatal(err)
	}
	if want != got {
		t.Errorf("pulled image %s, pushed %s", got, want)
	}
}

func TestRefused(t *testing.T) {
	static := program(t, runtime.GOARCH)
	folder := data(t)
	out := filepath.Join(t.TempDir(), "manager.tar")
	for _, tc := range []struct {
		title string
		args  []string
		want  string
	}{
		{"no name", []string{"--binary", static, "--out", out}, "--name is missing"},
		{"a name without a tag", []string{"--name", "ghcr.io/flight-operator/manager", "--binary", static, "--out", out}, "tag"},
		{"no program", []string{"--name", tag, "--out", out}, "--binary is missing"},
		{"no archive", []string{"--name", tag, "--binary", static}, "--out is missing"},
		{"root", []string{"--name", tag, "--binary", static, "--out", out, "--user", "0"}, "does not run as root"},
		{"a place that is relative", []string{"--name", tag, "--binary", static + ":manager", "--out", out}, "the place absolute and clean"},
		{"a file without a place", []string{"--name", tag, "--binary", static, "--file", folder, "--out", out}, "PATH:PLACE"},
		{"a file that is not there", []string{"--name", tag, "--binary", static, "--file", folder + "/none:/none", "--out", out}, "no such file"},
		{"a program that is none", []string{"--name", tag, "--binary", folder + "/run.sh", "--out", out}, "expected a program for Linux"},
		{"an argument too many", []string{"--name", tag, "--binary", static, "--out", out, "more"}, `unexpected argument "more"`},
	} {
		t.Run(tc.title, func(t *testing.T) {
			err := run(t.Context(), tc.args)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
			if files, _ := filepath.Glob(out + "*"); len(files) > 0 {
				t.Errorf("left behind: %q", files)
			}
		})
	}
}

// The shell of every Linux that this is developed on is linked dynamically; where it is not, there is nothing to test with.
func TestDynamicProgramIsRefused(t *testing.T) {
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Skip(err)
	}
	_, err = architectureOf(shell)
	if err == nil {
		t.Skipf("%s is a static program", shell)
	}
	if !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("got error %v, want one that says how to build a static program", err)
	}
}

// An entry is one file of an image, in the order of the layer.
type entry struct{ Name, Mode, Content string }

// entries are the files of an image. All of them belong to root and carry the image's time.
func entries(t *testing.T, img v1.Image, modified time.Time) []entry {
	t.Helper()
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("expected one layer, got %d (%v)", len(layers), err)
	}
	reader, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var out []entry
	for in := tar.NewReader(reader); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if owner := fmt.Sprint(header.Uid, header.Gid, header.Uname, header.Gname); owner != "0 0" {
			t.Errorf("%s belongs to %q", header.Name, owner)
		}
		if !header.ModTime.Equal(modified) {
			t.Errorf("%s is of %s, want %s", header.Name, header.ModTime, modified)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, entry{header.Name, header.FileInfo().Mode().String(), string(content)})
	}
}
