package format

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// inspectEach is Inspect for formats whose files tell their own schema: look reads one object's. The objects must have the same fields, of
// the same names, order, types and nullability. Metadata may differ; the first object's count.
func inspectEach(
	ctx context.Context, objects []source.Object, before *Layout, look func(o source.Object, r source.Reader) (Part, *arrow.Schema, error),
) (*Layout, error) {
	layout := &Layout{Parts: make([]Part, len(objects))}
	known := partsOf(before)
	compared := false // before's schema with the layout's
	err := inEach(objects, func(i int, o source.Object) error {
		if p := known.part(o); p != nil && (i > 0 || p == &before.Parts[0]) {
			layout.Parts[i] = p.of(o)
			switch {
			case i == 0:
				layout.Schema = before.Schema
			case !compared:
				compared = true
				return alike(o, before.Schema, objects[0], layout.Schema)
			}
			return nil
		}
		return examine(ctx, o, func(r source.Reader) error {
			part, schema, err := look(o, r)
			if err != nil {
				return err
			}
			layout.Parts[i] = part
			if i == 0 {
				layout.Schema = schema
				return nil
			}
			return alike(o, schema, objects[0], layout.Schema)
		})
	})
	if err != nil {
		return nil, err
	}
	return layout, nil
}

// alike is an error if an object's schema is not the first object's.
func alike(o source.Object, schema *arrow.Schema, first source.Object, want *arrow.Schema) error {
	if schema == want {
		return nil
	}
	if d := difference(o.Name(), schema, first.Name(), want); d != "" {
		return &unlikeError{fmt.Sprintf("the files of one dataset must have the same columns, but %s", d)}
	}
	return nil
}

// unlikeError is about two objects, and names both.
type unlikeError struct{ message string }

func (e *unlikeError) Error() string { return e.message }

// unalike is true for the errors of alike.
func unalike(err error) bool {
	var u *unlikeError
	return errors.As(err, &u)
}

// inEach calls f with each object, of which there must be some, in turn, until one fails.
func inEach(objects []source.Object, f func(i int, o source.Object) error) error {
	if len(objects) == 0 {
		return errors.New("a dataset needs at least one file")
	}
	for i, o := range objects {
		if err := f(i, o); err != nil {
			return err
		}
	}
	return nil
}

// examine calls f with the opened object. Its errors name the object.
func examine(ctx context.Context, o source.Object, f func(r source.Reader) error) error {
	err := ctx.Err()
	if err == nil {
		err = withObject(ctx, o, func(r source.Reader) error {
			return protect(o, func() error { return f(r) })
		})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// knownParts are the parts of an earlier layout by their objects' names.
type knownParts map[string]*Part

func partsOf(before *Layout) knownParts {
	if before == nil {
		return nil
	}
	known := make(knownParts, len(before.Parts))
	for i := range before.Parts {
		known[before.Parts[i].Object.Name()] = &before.Parts[i]
	}
	return known
}

// part is what is known of this very version of an object, nil if nothing is.
func (k knownParts) part(o source.Object) *Part {
	if p := k[o.Name()]; p != nil && p.Object.Version() == o.Version() {
		return p
	}
	return nil
}

// of is the same part for another Object of the same bytes, which may be had in another way.
func (p *Part) of(o source.Object) Part {
	same := *p
	same.Object = o
	return same
}

// inferred is what the values of one part of CSV or JSON, without those of others, tell of its columns: the sets of csvKind in two bytes
// each, or an example in JSON. It is empty if it is not remembered.
type inferred string

// mostInferred bytes are remembered of all parts together, equal ones counted once: those of 10,000 files that differ in every one of some
// hundred columns. The files beyond are read again whenever one of the dataset changes.
const mostInferred = 16 << 20

// inferences remembers what was inferred, equal values once.
type inferences struct {
	known map[inferred]inferred
	left  int
}

func newInferences() *inferences {
	return &inferences{known: make(map[inferred]inferred), left: mostInferred}
}

// remember returns what may be kept: the same in memory that is shared, or nothing.
func (m *inferences) remember(one inferred) inferred {
	if same, ok := m.known[one]; ok {
		return same
	}
	if len(one) > m.left {
		return ""
	}
	m.left -= len(one)
	m.known[one] = one
	return one
}
