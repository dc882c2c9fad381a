package format

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// csvFormat reads CSV as pyarrow.csv does by default: the first row is the header, and the types follow from the values. It looks at all
// values of all objects, allows line ends in quotes, and takes a header without a line end for a table without rows.
type csvFormat struct{}

// maxColumns bounds what a header can make us allocate. Tables of machine learning have some ten thousand columns.
const maxColumns = 1 << 16

func (csvFormat) Inspect(ctx context.Context, objects []source.Object, before *Layout) (*Layout, error) {
	layout := &Layout{Parts: make([]Part, len(objects))}
	known, memory := partsOf(before), newInferences()
	var (
		names []string
		kinds []csvKind // of the values of all objects
	)
	header := func(got []string) error {
		if names != nil {
			return sameHeader(got, objects[0].Name(), names)
		}
		names, kinds = got, anyKinds(len(got))
		return nil
	}
	err := inEach(objects, func(i int, o source.Object) error {
		part := Part{Object: o}
		if p := known.part(o); p != nil && p.inferred != "" {
			part = p.of(o)
			if err := header(fieldNames(before.Schema)); err != nil {
				return named(o, err)
			}
		} else if err := examine(ctx, o, func(r source.Reader) error { return part.inspectCSV(ctx, r, header) }); err != nil {
			return err
		}
		part.inferred.narrow(kinds)
		part.inferred = memory.remember(part.inferred)
		layout.Parts[i] = part
		return nil
	})
	if err != nil {
		return nil, err
	}
	fields := make([]arrow.Field, len(names))
	for c, name := range names {
		fields[c] = arrow.Field{Name: name, Type: kinds[c].dataType(), Nullable: true}
	}
	layout.Schema = arrow.NewSchema(fields, nil)
	return layout, nil
}

// inspectCSV reads all of a part's object, whose header has to satisfy check.
func (p *Part) inspectCSV(ctx context.Context, r source.Reader, check func(header []string) error) error {
	scanner := newCSVScanner(ctx, p.Object, r)
	names, err := csvHeader(scanner)
	if err != nil {
		return err
	}
	if err := check(names); err != nil {
		return err
	}
	kinds := anyKinds(len(names))
	if p.Rows, err = inferCSV(scanner, kinds); err != nil {
		return err
	}
	p.Units = p.whole()
	p.inferred = inferredKinds(kinds)
	return nil
}

func fieldNames(schema *arrow.Schema) []string {
	names := make([]string, schema.NumFields())
	for i, f := range schema.Fields() {
		names[i] = f.Name
	}
	return names
}

// csvHeader scans the names of the columns.
func csvHeader(s *csvScanner) ([]string, error) {
	header, err := s.header()
	if err != nil {
		return nil, err
	}
	if len(header) > maxColumns {
		return nil, fmt.Errorf("its header has %d columns: at most %d can be served", len(header), maxColumns)
	}
	names := make([]string, len(header))
	for c, name := range header {
		if !utf8.Valid(name) {
			return nil, fmt.Errorf("its header's column %d, %s, is not UTF-8: save the file as UTF-8", c+1, quoted(string(name)))
		}
		names[c] = string(name)
	}
	return names, nil
}

func sameHeader(got []string, firstObject string, want []string) error {
	for c, name := range got {
		if c < len(want) && name != want[c] {
			return fmt.Errorf("the files of one dataset must have the same header, but it has %s as column %d, %s has %s there",
				quoted(name), c+1, firstObject, quoted(want[c]))
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("the files of one dataset must have the same header, but it has %d columns, %s has %d", len(got), firstObject, len(want))
	}
	return nil
}

// inferCSV narrows the columns' types to those of all remaining rows, which it counts.
func inferCSV(s *csvScanner, kinds []csvKind) (rows int64, err error) {
	for {
		fields, err := s.next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return 0, err
		}
		if len(fields) != len(kinds) {
			return 0, csvWidthError(s.row, len(kinds), fields)
		}
		for c, v := range fields {
			kinds[c] = kinds[c].narrow(v)
		}
		rows++
	}
}

func csvWidthError(row int64, want int, fields [][]byte) error {
	return fmt.Errorf("row %d: expected %d columns, got %d: %s", row, want, len(fields), quoted(string(bytes.Join(fields[:min(len(fields), mostShown)], []byte(",")))))
}

func (csvFormat) Read(ctx context.Context, layout *Layout, part int, opts ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return batches(ctx, layout, part, opts, func(req *request, r source.Reader) (*csvReader, error) {
		o := req.part.Object
		scanner := newCSVScanner(ctx, o, r)
		header, err := csvHeader(scanner)
		if err != nil {
			return nil, err
		}
		if len(header) != layout.Schema.NumFields() {
			return nil, changed(o, errors.New("it has other columns"))
		}
		return &csvReader{object: o, scanner: scanner, batch: newCSVBatch(orDefault(opts.Allocator), req), maxRows: opts.maxRows()}, nil
	})
}

// maxTextBytes of CSV or JSON go into one batch, so that wide rows make no batch of gigabytes.
const maxTextBytes = 16 << 20

type csvReader struct {
	object  source.Object
	scanner *csvScanner
	batch   *csvBatch
	maxRows int
}

func (c *csvReader) next(context.Context) (arrow.RecordBatch, error) {
	begin := c.scanner.read
	rows := 0
	for ; rows < c.maxRows && c.scanner.read-begin < maxTextBytes; rows++ {
		fields, err := c.scanner.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := c.append(fields); err != nil {
			return nil, changed(c.object, err)
		}
	}
	if rows == 0 {
		return nil, io.EOF
	}
	return finish(c.batch.builder, rows), nil
}

// append adds a row. All rows fitted when the object was inspected, so that an error means that it has changed.
func (c *csvReader) append(fields [][]byte) error {
	if len(fields) != len(c.batch.columns) {
		return csvWidthError(c.scanner.row, len(c.batch.columns), fields)
	}
	for i, v := range fields {
		if column := c.batch.columns[i]; column != nil && !column(v) {
			field := c.batch.schema.Field(i)
			return fmt.Errorf("row %d, column %s: expected %s, got %s", c.scanner.row, quoted(field.Name), typeName(field.Type), quoted(string(v)))
		}
	}
	return nil
}

func (c *csvReader) close() { c.batch.builder.Release() }
