package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// pauseImage is the name of the image that every pod's sandbox runs. It exists in the cluster only.
const pauseImage = "localhost/flight-cluster/pause:1"

// writeImageArchive writes an image of one static program in the form of docker save: one layer with nothing but the
// program, which the image runs. An equal program makes an equal archive.
func writeImageArchive(w io.Writer, name string, program []byte) error {
	const entrypoint = "entrypoint"
	layer, err := tarball(tarFile{entrypoint, program, 0o755})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(layer)
	config, err := json.Marshal(object{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       object{"Entrypoint": []string{"/" + entrypoint}, "User": "65535:65535"},
		"rootfs":       object{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
	})
	if err != nil {
		return err
	}
	const configName, layerName = "config.json", "layer.tar"
	manifest, err := json.Marshal([]object{{
		"Config": configName, "RepoTags": []string{name}, "Layers": []string{layerName},
	}})
	if err != nil {
		return err
	}
	archive, err := tarball(
		tarFile{configName, config, 0o644}, tarFile{layerName, layer, 0o644}, tarFile{"manifest.json", manifest, 0o644})
	if err != nil {
		return err
	}
	_, err = w.Write(archive)
	return err
}

// A tarFile is a regular file in an archive.
type tarFile struct {
	name    string
	content []byte
	mode    int64
}

func tarball(files ...tarFile) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.content)), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// loadProgram makes an image of one static program and loads it; bin is the folder of the container programs.
func (c cluster) loadProgram(ctx context.Context, bin, image, path string) error {
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	archive, err := os.Create(c.path(filepath.Base(path) + ".tar"))
	if err != nil {
		return err
	}
	defer func() {
		_ = archive.Close()
		_ = os.Remove(archive.Name()) // containerd has its own copy
	}()
	if err := writeImageArchive(archive, image, program); err != nil {
		return err
	}
	return c.loadImages(ctx, bin, archive.Name())
}

// loadImages imports archives of images (of docker save, or OCI layouts) into the cluster's containerd; bin is the folder
// of the container programs.
func (c cluster) loadImages(ctx context.Context, bin string, archives ...string) error {
	for _, archive := range archives {
		ctr := exec.CommandContext(ctx, filepath.Join(bin, "ctr"),
			"--address", c.containerdSocket(), "--namespace", "k8s.io", "images", "import", archive)
		if err := run(ctr); err != nil {
			return fmt.Errorf("loading %s: %w", archive, err)
		}
	}
	return nil
}
