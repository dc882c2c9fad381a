package main

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Modes of what an image contains.
const (
	modeData      = 0o644
	modeProgram   = 0o755
	modeFolder    = 0o755
	modeTemporary = 0o1777
)

// pack writes the image's file system. Nothing in it depends on the machine: owners are root, modes are few, the order is fixed.
func (s spec) pack(out *tar.Writer) error {
	p := packer{out: out, modified: s.Created, folders: map[string]bool{"/": true}}
	// Programs ask these for the name of their user, and some fail without an answer.
	if err := p.text("/etc/passwd", fmt.Sprintf("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:%[1]d:%[1]d:nonroot:/:/sbin/nologin\n", s.User)); err != nil {
		return err
	}
	if err := p.text("/etc/group", fmt.Sprintf("root:x:0:\nnonroot:x:%d:\n", s.User)); err != nil {
		return err
	}
	if err := p.folder("/tmp", modeTemporary); err != nil {
		return err
	}
	for _, f := range append([]file{s.Binary}, s.Files...) {
		if err := p.tree(f); err != nil {
			return err
		}
	}
	return out.Close()
}

// A packer writes files and the folders that they are in, each folder once.
type packer struct {
	out      *tar.Writer
	modified time.Time
	folders  map[string]bool
}

// tree packs a file, or all files below a folder in lexical order. Symbolic links are followed to files, and refused to folders.
func (p *packer) tree(f file) error {
	return filepath.WalkDir(f.Path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(f.Path, name)
		if err != nil {
			return err
		}
		place := path.Join(f.Place, filepath.ToSlash(below))
		if entry.IsDir() {
			return p.folder(place, modeFolder)
		}
		return p.file(name, place)
	})
}

func (p *packer) file(name, place string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: expected a regular file or a folder, got %s", name, info.Mode())
	}
	mode := int64(modeData)
	if info.Mode()&0o111 != 0 {
		mode = modeProgram
	}
	return p.regular(place, mode, info.Size(), in)
}

func (p *packer) text(place, content string) error {
	return p.regular(place, modeData, int64(len(content)), strings.NewReader(content))
}

func (p *packer) regular(place string, mode, size int64, content io.Reader) error {
	if err := p.folder(path.Dir(place), modeFolder); err != nil {
		return err
	}
	header := tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(place, "/"), Size: size, Mode: mode, ModTime: p.modified}
	if err := p.out.WriteHeader(&header); err != nil {
		return err
	}
	_, err := io.Copy(p.out, content)
	return err
}

// folder writes a folder and those above it, unless they are there.
func (p *packer) folder(place string, mode int64) error {
	if p.folders[place] {
		return nil
	}
	if err := p.folder(path.Dir(place), modeFolder); err != nil {
		return err
	}
	p.folders[place] = true
	return p.out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(place, "/") + "/", Mode: mode, ModTime: p.modified})
}
