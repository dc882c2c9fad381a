package format

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// jsonFormat reads JSON as pyarrow.json does by default: objects one after the other, whose members are the columns, of the types that
// follow from the values; and arrays of such objects besides. It looks at all values of all objects. It keeps to JSON where pyarrow is more
// lenient: NaN, Infinity and what is not UTF-8 are refused, and so is nesting beyond 64 levels. (pyarrow 26 misplaces values in lists that
// begin with a null; we do not.)
type jsonFormat struct{}

func (f jsonFormat) Inspect(ctx context.Context, objects []source.Object, before *Layout) (*Layout, error) {
	layout := &Layout{Parts: make([]Part, len(objects))}
	known, memory := partsOf(before), newInferences()
	root := newJSONNode()
	err := inEach(objects, func(i int, o source.Object) error {
		part := Part{Object: o}
		if p := known.part(o); p != nil && p.inferred != "" {
			part = p.of(o)
		} else {
			own := newJSONNode()
			if err := examine(ctx, o, func(r source.Reader) error { return part.inspectJSON(ctx, r, own) }); err != nil {
				return err
			}
			part.inferred = inferred(own.example(nil))
		}
		if err := root.learnExample(ctx, o, part.inferred); err != nil {
			return &contradiction{err}
		}
		part.inferred = memory.remember(part.inferred)
		layout.Parts[i] = part
		return nil
	})
	var c *contradiction
	switch {
	case errors.As(err, &c): // an example knows no places that an error could name
		return f.inspectTogether(ctx, objects)
	case err != nil:
		return nil, err
	}
	layout.Schema = arrow.NewSchema(root.fields(), nil)
	return layout, nil
}

// contradiction: two objects have values of different kinds in one place.
type contradiction struct{ error }

// inspectTogether is Inspect, of one object after the other, without remembering what each told.
func (jsonFormat) inspectTogether(ctx context.Context, objects []source.Object) (*Layout, error) {
	root := newJSONNode()
	layout := &Layout{Parts: make([]Part, len(objects))}
	err := inEach(objects, func(i int, o source.Object) error {
		part := &layout.Parts[i]
		part.Object = o
		return examine(ctx, o, func(r source.Reader) error { return part.inspectJSON(ctx, r, root) })
	})
	if err != nil {
		return nil, err
	}
	layout.Schema = arrow.NewSchema(root.fields(), nil)
	return layout, nil
}

// inspectJSON reads all of a part's object, and takes its records in.
func (p *Part) inspectJSON(ctx context.Context, r io.ReaderAt, root *jsonNode) error {
	s, err := newJSONScanner(ctx, p.Object, r)
	if err != nil {
		return err
	}
	for {
		if err := s.next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if err := root.learnMembers(s); err != nil {
			return err
		}
	}
	p.Rows = s.row
	p.Units = p.whole()
	return nil
}

func (jsonFormat) Read(ctx context.Context, layout *Layout, part int, opts ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return batches(ctx, layout, part, opts, func(req *request, r source.Reader) (*jsonReader, error) {
		o := req.part.Object
		s, err := newJSONScanner(ctx, o, r)
		if err != nil {
			return nil, err
		}
		builder := array.NewRecordBuilder(orDefault(opts.Allocator), req.schema)
		wanted := make([]array.Builder, layout.Schema.NumFields())
		for i, c := range req.columns {
			wanted[c] = builder.Field(i)
		}
		return &jsonReader{
			object:  o,
			scanner: s,
			builder: builder,
			columns: newJSONObject(layout.Schema.Fields(), func(i int) array.Builder { return wanted[i] }),
			maxRows: opts.maxRows(),
		}, nil
	})
}

type jsonReader struct {
	object  source.Object
	scanner *jsonScanner
	builder *array.RecordBuilder
	columns *jsonObjectColumns
	maxRows int
}

func (j *jsonReader) next(ctx context.Context) (arrow.RecordBatch, error) {
	begin := j.scanner.decoder.InputOffset()
	rows := 0
	for ; rows < j.maxRows && j.scanner.decoder.InputOffset()-begin < maxTextBytes; rows++ {
		err := j.scanner.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = j.columns.append(j.scanner)
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			// All records could be read when the object was inspected.
			return nil, changed(j.object, err)
		}
	}
	if rows == 0 {
		return nil, io.EOF
	}
	return finish(j.builder, rows), nil
}

func (j *jsonReader) close() { j.builder.Release() }
