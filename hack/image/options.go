package main

import (
	"errors"
	"flag"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// options are what the command line says.
type options struct {
	spec spec
	out  string
	push name.Reference // nil: not pushed
}

// parse reads the command line.
func parse(args []string) (*options, error) {
	var o options
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.Func("name", "`NAME:TAG` of the image; the tag is its version", func(s string) (err error) {
		o.spec.Name, err = name.NewTag(s, name.StrictValidation)
		return err
	})
	flags.Func("binary", "`PATH[:PLACE]` of the static binary, and its place in the image (/ and its base name, if left out)", func(s string) error {
		f, err := parseFile(s, "/"+filepath.Base(s))
		o.spec.Binary = f
		return err
	})
	flags.Func("file", "`PATH:PLACE` of a file or folder that the image contains besides; may be repeated", func(s string) error {
		f, err := parseFile(s, "")
		o.spec.Files = append(o.spec.Files, f)
		return err
	})
	flags.IntVar(&o.spec.User, "user", 65532, "user and group that the image runs as")
	flags.StringVar(&o.spec.Entrypoint, "entrypoint", "", "`PATH` that is run (the binary's place, if left out)")
	flags.StringVar(&o.out, "out", "", "`FILE` to write the archive to")
	flags.Func("push", "`NAME:TAG` to push the image to, with the credentials of `docker login`", func(s string) (err error) {
		o.push, err = name.ParseReference(s)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: every input has a flag", flags.Arg(0))
	case o.spec.Name == (name.Tag{}):
		return nil, errors.New("--name is missing: for instance --name ghcr.io/flight-operator/manager:v0.1.0")
	case o.spec.Binary == (file{}):
		return nil, errors.New("--binary is missing: the program that the image runs")
	case o.out == "":
		return nil, errors.New("--out is missing: the file to write the archive to")
	case o.spec.User < 1:
		return nil, fmt.Errorf("--user %d: the image does not run as root: choose a number above 0", o.spec.User)
	}
	if o.spec.Entrypoint == "" {
		o.spec.Entrypoint = o.spec.Binary.Place
	}
	return &o, nil
}

// parseFile reads PATH:PLACE. An empty place means that it may not be left out.
func parseFile(s, place string) (file, error) {
	source, given, ok := strings.Cut(s, ":")
	if ok {
		place = given
	}
	if source == "" || !path.IsAbs(place) || path.Clean(place) != place {
		return file{}, fmt.Errorf("expected PATH:PLACE, the place absolute and clean, got %q", s)
	}
	return file{Path: source, Place: place}, nil
}
