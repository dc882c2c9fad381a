package format

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// jsonFormat reads JSON as pyarrow.json does by default: objects one after the other, whose members are the columns, of the types that
// follow from the values; and arrays of such objects besides. It looks at all values of all objects. It keeps to JSON where pyarrow is more
// lenient: NaN, Infinity and what is not UTF-8 are refused, and so is nesting beyond 64 levels. (pyarrow 26 misplaces values in lists that
// begin with a null; we do not.)
type jsonFormat struct{}

func (jsonFormat) Inspect(ctx context.Context, objects []source.Object) (*Layout, error) {
	root := newJSONNode()
	layout := &Layout{Parts: make([]Part, len(objects))}
	err := examine(ctx, objects, func(i int, r source.Reader) error {
		s, err := newJSONScanner(ctx, objects[i], r)
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
		layout.Parts[i] = Part{Object: objects[i], Rows: s.row}
		return nil
	})
	if err != nil {
		return nil, err
	}
	layout.Schema = arrow.NewSchema(root.fields(), nil)
	return layout, nil
}

func (jsonFormat) Read(ctx context.Context, layout *Layout, part int, opts ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	p := layout.Parts[part]
	return batches(ctx, p, func(r source.Reader) (batchReader, error) {
		s, err := newJSONScanner(ctx, p.Object, r)
		if err != nil {
			return nil, err
		}
		mem := opts.Allocator
		if mem == nil {
			mem = memory.DefaultAllocator
		}
		builder := array.NewRecordBuilder(mem, layout.Schema)
		return &jsonReader{
			object:  p.Object,
			scanner: s,
			builder: builder,
			columns: newJSONObject(layout.Schema.Fields(), builder.Field),
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
	columns := make([]arrow.Array, len(j.builder.Fields()))
	for i, b := range j.builder.Fields() {
		columns[i] = b.NewArray()
		defer columns[i].Release()
	}
	// Records without any member have no columns to count them by.
	return array.NewRecordBatch(j.builder.Schema(), columns, int64(rows)), nil
}

func (j *jsonReader) close() { j.builder.Release() }
