package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"fmt"
	"io"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// source is where the project lives. Registries show the page of the repository that an image's label names.
const source = "https://github.com/flight-operator/flight-operator"

// A spec is an image to be built.
type spec struct {
	Name name.Tag
	// Binary is a static program for Linux. It tells the image's architecture.
	Binary file
	// Files are in the image besides.
	Files []file
	// User and group that the image runs as.
	User       int
	Entrypoint string
	// Created is the time of the image and of every file in it.
	Created time.Time
}

// A file is a file or folder outside of the image, and its absolute place within.
type file struct{ Path, Place string }

// build makes the image.
func (s spec) build() (v1.Image, error) {
	architecture, err := architectureOf(s.Binary.Path)
	if err != nil {
		return nil, err
	}
	layer, err := s.layer()
	if err != nil {
		return nil, err
	}
	created := v1.Time{Time: s.Created}
	img, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: created, CreatedBy: "hack/image"},
	})
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.Architecture, config.OS, config.Created = architecture, "linux", created
	config.Config = v1.Config{
		Entrypoint: []string{s.Entrypoint},
		// By number: a kubelet that enforces runAsNonRoot cannot tell whether a name is root's.
		User:       fmt.Sprintf("%d:%d", s.User, s.User),
		WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":    s.Name.RepositoryStr(),
			"org.opencontainers.image.version":  s.Name.TagStr(),
			"org.opencontainers.image.source":   source,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return mutate.ConfigFile(img, config)
}

// layer packs all files.
func (s spec) layer() (v1.Layer, error) {
	var buf bytes.Buffer
	if err := s.pack(tar.NewWriter(&buf)); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil },
		// A Go program of 60 MB packs in one second rather than five, to a size that is one tenth larger.
		tarball.WithCompressionLevel(gzip.BestSpeed),
		tarball.WithCompressedCaching,
	)
}

// architectureOf tells the architecture of a program, in Go's words. It refuses what could not run in an image that contains nothing else.
func architectureOf(program string) (string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return "", fmt.Errorf("%s: expected a program for Linux (build it with GOOS=linux): %w", program, err)
	}
	defer f.Close()
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP {
			return "", fmt.Errorf("%s needs shared libraries, which the image does not have: build it with CGO_ENABLED=0", program)
		}
	}
	switch f.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	default:
		return "", fmt.Errorf("%s is for %s: images are built for amd64 and arm64", program, f.Machine)
	}
}
