package catalog

import (
	"context"
	"errors"

	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/landing"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// sourceOf is where a dataset's bytes are. A dataset whose source does not exist is an error with the operator's message.
func sourceOf(spec config.Dataset) (source.Source, error) {
	switch {
	case spec.Missing != "":
		return nil, errors.New(spec.Missing)
	case spec.Inline != nil:
		return source.NewInline(spec.Name, []byte(spec.Inline.Data)), nil
	case spec.Allows().Overwrite:
		return sharing{landing.NewSource(spec.Files.Root, spec.Files.Path)}, nil
	case spec.Allows().Append:
		return landing.NewSource(spec.Files.Root, spec.Files.Path), nil
	case spec.Files.SHA256 != "":
		return source.NewVerified(spec.Files.Root, spec.Files.Path, spec.Files.SHA256), nil
	default:
		return source.NewFiles(spec.Files.Root, spec.Files.Path), nil
	}
}

// sharing is a source whose objects are opened once for all who read them at a time, and stay readable for them.
type sharing struct{ source.Source }

func (s sharing) List(ctx context.Context) ([]source.Object, error) {
	objects, err := s.Source.List(ctx)
	for i, o := range objects {
		objects[i] = source.NewShared(o)
	}
	return objects, err
}
