package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"testing"
)

// untar reads the files of an archive into memory.
func untar(t *testing.T, archive []byte) map[string]tarFile {
	t.Helper()
	files := make(map[string]tarFile)
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = tarFile{header.Name, content, header.Mode}
	}
}

func TestImageArchive(t *testing.T) {
	const name = "localhost/x/y:1"
	program := []byte("\x7fELF program")
	var archive, again bytes.Buffer
	for _, out := range []*bytes.Buffer{&archive, &again} {
		if err := writeImageArchive(out, name, program); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archive.Bytes(), again.Bytes()) {
		t.Error("the same program made another archive")
	}
	files := untar(t, archive.Bytes())
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(files["manifest.json"].content, &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest) != 1 || len(manifest[0].Layers) != 1 || len(manifest[0].RepoTags) != 1 || manifest[0].RepoTags[0] != name {
		t.Fatalf("manifest %+v, want one image of one layer with the name %s", manifest, name)
	}
	var config struct {
		Config struct{ Entrypoint []string }
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(files[manifest[0].Config].content, &config); err != nil {
		t.Fatal(err)
	}
	layer := files[manifest[0].Layers[0]].content
	sum := sha256.Sum256(layer)
	if got := config.RootFS.DiffIDs; len(got) != 1 || got[0] != "sha256:"+hex.EncodeToString(sum[:]) {
		t.Errorf("layers %v, want the digest of the layer, %x", got, sum)
	}
	entry := untar(t, layer)[config.Config.Entrypoint[0][1:]]
	if !bytes.Equal(entry.content, program) || entry.mode != 0o755 {
		t.Errorf("the entrypoint %v is a file of %d bytes and mode %o", config.Config.Entrypoint, len(entry.content), entry.mode)
	}
}
