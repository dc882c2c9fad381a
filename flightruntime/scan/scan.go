// Package scan is what a query means: which columns, which rows, how many of them. It compiles a query against the schema of a dataset, says
// which columns have to be read and which row groups need not be, and takes the matching rows out of record batches. It reads nothing by
// itself, and knows neither datasets nor Flight.
//
// A filter is a condition in CEL, evaluated column by column in SQL's three-valued logic. Arithmetic never fails a query in the middle of a
// stream: what CEL calls an error in one row (an overflow, a division by zero, an index out of range, a string that is no number) is null
// there, and rows for which the filter is null do not match. docs/queries.md has the whole language.
package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
)

// Plan is a query that has been compiled against a schema. It never changes, and any number of runs may use it at a time.
type Plan struct {
	schema *arrow.Schema
	// columns of the dataset that are read, ascending.
	columns []int
	// read are the fields of these columns.
	read []arrow.Field
	// output has, for each column that comes out, its place among those that are read.
	output []int
	limit  int64 // -1 if there is none

	filter *predicate // of the columns that are read; nil if there is none
	// view stands between the dataset and the query: then what is read above is what the view gives. nil if all of the dataset is visible.
	view *narrowing
}

// Compile type-checks a query against the schema of its dataset. Whether the dataset is the query's is the caller's business. All errors
// are about the query: they name the column, or the position in the filter, and what there is instead.
func Compile(q Query, schema *arrow.Schema) (*Plan, error) {
	p := &Plan{limit: -1}
	if q.Limit != nil {
		if p.limit = *q.Limit; p.limit < 0 {
			return nil, fmt.Errorf("limit is %d: expected 0 or more", p.limit)
		}
	}
	selected, err := selectedColumns(q.Columns, schema)
	if err != nil {
		return nil, err
	}
	p.schema = projected(schema, selected, q.Columns == nil)
	p.columns = slices.Clone(selected)
	if q.Filter != "" {
		if p.filter, err = compileFilter(q.Filter, schema, nil); err != nil {
			return nil, err
		}
		p.columns = p.filter.fields(p.columns)
	}
	slices.Sort(p.columns)
	p.columns = slices.Compact(p.columns)
	place := make([]int, schema.NumFields())
	p.read = make([]arrow.Field, len(p.columns))
	for i, field := range p.columns {
		place[field] = i
		p.read[i] = schema.Field(field)
	}
	p.output = make([]int, len(selected))
	for i, field := range selected {
		p.output[i] = place[field]
	}
	p.filter = p.filter.placed(place)
	return p, nil
}

// selectedColumns are the indices of the columns asked for.
func selectedColumns(names []string, schema *arrow.Schema) ([]int, error) {
	if names == nil {
		all := make([]int, schema.NumFields())
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	selected := make([]int, 0, len(names))
	seen := make(map[int]bool, len(names))
	for _, name := range names {
		field, err := fieldIndex(schema, name)
		if err != nil {
			return nil, fmt.Errorf("columns: %w", err)
		}
		if seen[field] {
			return nil, fmt.Errorf("columns: %s is there twice", quoted(name))
		}
		seen[field] = true
		selected = append(selected, field)
	}
	return selected, nil
}

// projected is the schema with these fields only.
func projected(schema *arrow.Schema, selected []int, all bool) *arrow.Schema {
	if all {
		return schema
	}
	fields := make([]arrow.Field, len(selected))
	for i, field := range selected {
		fields[i] = schema.Field(field)
	}
	metadata := schema.Metadata()
	return arrow.NewSchemaWithEndian(fields, &metadata, schema.Endianness())
}

// Schema is that of the batches that come out: the columns asked for, in the order asked for, with the metadata of the dataset's schema.
func (p *Plan) Schema() *arrow.Schema { return p.schema }

// Columns are the indices, ascending, of the fields of the dataset's schema that Run.Apply has to be given: those asked for, and those that the
// filter needs. They may be none: only the number of rows is then of interest.
func (p *Plan) Columns() []int {
	if p.view != nil {
		return slices.Clone(p.view.columns)
	}
	return slices.Clone(p.columns)
}

// Limit is the largest number of rows that come out, if the query has one.
func (p *Plan) Limit() (rows int64, ok bool) { return p.limit, p.limit >= 0 }

// Filters says whether the query has a filter. Without one, every row comes out, up to the limit.
func (p *Plan) Filters() bool { return p.filter != nil }

// MayMatch says whether a row group with these statistics may have rows that match the filter. It is false only if none can.
func (p *Plan) MayMatch(s Statistics) bool {
	switch {
	case s.Rows() == 0:
		return false
	case p.view != nil:
		return p.view.mayMatch(p.filter, s)
	default:
		return p.filter == nil || p.filter.outcomes(s).yes
	}
}

// Early says by some of the columns alone, which are indices of fields as those of Columns, whether any row of a batch matches: where none does, the
// other columns need not be read. may is for one goroutine at a time, which need not be that of a Run; where it cannot tell, it is true. It is nil
// where knowing early saves nothing.
func (p *Plan) Early() (columns []int, may func(context.Context, arrow.RecordBatch) bool) {
	if p.view != nil || p.filter == nil {
		return nil, nil
	}
	places := p.filter.fields(nil)
	slices.Sort(places)
	places = slices.Compact(places)
	if len(places) == 0 || len(places) == len(p.columns) {
		return nil, nil
	}
	place := make([]int, len(p.columns))
	fields := make([]arrow.Field, len(places))
	for i, at := range places {
		place[at], fields[i] = i, p.read[at]
		columns = append(columns, p.columns[at])
	}
	test := newTester(p.filter.placed(place))
	return columns, func(ctx context.Context, batch arrow.RecordBatch) (found bool) {
		defer func() {
			if recover() != nil {
				found = true // Apply will tell
			}
		}()
		if check(batch, fields) != nil {
			return true
		}
		err := test.each(ctx, batch, func(_ int, yes *bitmap) bool {
			found = *yes != bitmap{}
			return !found
		})
		return found || err != nil
	}
}

// errDefect stands for a panic, whose text tells of Go and not of data.
var errDefect = errors.New("the filter could not be evaluated: the data contradicts its own description, or this is a defect of the server")
