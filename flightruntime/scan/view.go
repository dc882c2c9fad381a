package scan

import (
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
)

// Part is what one rule lets a caller see of a dataset: the cells of some columns in some rows.
type Part struct {
	// Columns are the indices, ascending, of the fields of the dataset's schema. nil means all.
	Columns []int
	// Filter is a condition that the rows have to meet, in which the name identity is the caller. Columns that are not visible may be used
	// in it. Empty means every row.
	Filter string
}

// View is what a caller sees of a dataset: parts of it, which add up cell by cell. A row is there if it is of any part. A column is there if any
// part has it. A cell that is of no part, in a row and a column that are there, is null. Queries of a view see no more: a query's filter cannot
// tell a cell that is not visible from one that is null, no row group is left out for the statistics of cells that are not visible, and no
// byte of these is in the batches that come out. A View never changes.
type View struct {
	dataset *arrow.Schema
	schema  *arrow.Schema
	// fields of the dataset's schema that the view has, ascending.
	fields []int
	parts  []viewPart
	// allRows says that every row is visible, because a part has all of them.
	allRows bool
}

// viewPart is a part, compiled.
type viewPart struct {
	filter *predicate // of the dataset's fields; nil if there is none
	has    map[int]bool
}

// PartError says what is wrong with a part of a view for a dataset of some schema.
type PartError struct {
	// Part is its index.
	Part int
	Err  error
}

func (e *PartError) Error() string { return fmt.Sprintf("part %d: %v", e.Part, e.Err) }

// Unwrap is what is wrong.
func (e *PartError) Unwrap() error { return e.Err }

// NewView compiles parts, at least one, for a caller. A part that is wrong is a *PartError; a view of the others may be right.
func NewView(schema *arrow.Schema, parts []Part, who Caller) (*View, error) {
	if len(parts) == 0 {
		return nil, errors.New("a view has no parts: expected one at least")
	}
	v := &View{dataset: schema}
	columns := map[int]bool{}
	for i, p := range parts {
		compiled := viewPart{has: map[int]bool{}}
		if p.Filter == "" {
			v.allRows = true
		} else {
			var err error
			if compiled.filter, err = compileFilter(p.Filter, schema, &who); err != nil {
				return nil, &PartError{Part: i, Err: err}
			}
		}
		for field := range schema.NumFields() {
			if p.Columns == nil || slices.Contains(p.Columns, field) {
				compiled.has[field], columns[field] = true, true
			}
		}
		v.parts = append(v.parts, compiled)
	}
	fields := make([]arrow.Field, 0, len(columns))
	for field := range schema.NumFields() {
		if !columns[field] {
			continue
		}
		f := schema.Field(field)
		f.Nullable = f.Nullable || v.masks(field)
		fields = append(fields, f)
		v.fields = append(v.fields, field)
	}
	// The metadata of the schema, such as pandas', may name columns that are not visible and count rows that are not.
	v.schema = arrow.NewSchemaWithEndian(fields, nil, schema.Endianness())
	return v, nil
}

// masks is true if there may be cells of a column that are not visible in rows that are.
func (v *View) masks(field int) bool {
	for _, p := range v.parts {
		if p.filter == nil && p.has[field] {
			return false
		}
	}
	return slices.ContainsFunc(v.parts, func(p viewPart) bool { return !p.has[field] })
}

// Schema is that of the view: the visible columns, in the dataset's order, without the metadata of the dataset's schema. Columns whose cells may
// be hidden are nullable.
func (v *View) Schema() *arrow.Schema { return v.schema }

// AllRows says that the view has as many rows as the dataset. If not, only reading tells how many.
func (v *View) AllRows() bool { return v.allRows }

// Compile is scan.Compile for a view: the query knows the view's schema alone. Plan.Columns are fields of the dataset's schema.
func (v *View) Compile(q Query) (*Plan, error) {
	p, err := Compile(q, v.schema)
	if err != nil {
		return nil, err
	}
	n := &narrowing{view: v, fields: v.fields}
	n.columns = make([]int, len(p.columns))
	for i, column := range p.columns {
		n.columns[i] = v.fields[column]
	}
	output := slices.Clone(n.columns)
	n.tests = make([]*predicate, len(v.parts))
	if !v.allRows || slices.ContainsFunc(output, v.masks) { // else it does not matter which rows are whose
		for i, part := range v.parts {
			n.tests[i] = part.filter
			n.columns = part.filter.fields(n.columns)
		}
	}
	slices.Sort(n.columns)
	n.columns = slices.Compact(n.columns)
	place := make([]int, v.dataset.NumFields())
	for i, field := range n.columns {
		place[field] = i
		n.read = append(n.read, v.dataset.Field(field))
	}
	for i, test := range n.tests {
		n.tests[i] = test.placed(place)
	}
	fields := make([]arrow.Field, len(output))
	for i, field := range output {
		n.output = append(n.output, narrowedColumn{place: place[field], mask: n.mask(field)})
		fields[i] = p.read[i]
	}
	n.schema = arrow.NewSchema(fields, nil)
	p.view = n
	return p, nil
}

// narrowing is what a view does to the batches of a dataset before a query sees them.
type narrowing struct {
	view   *View
	fields []int // of the dataset, by those of the view
	// columns of the dataset that are read, ascending, and their fields.
	columns []int
	read    []arrow.Field
	// tests are the filters of the parts, of the columns that are read; nil for parts without, and where they do not matter.
	tests []*predicate
	// output are the columns that the query needs, and schema is theirs.
	output []narrowedColumn
	schema *arrow.Schema
	// masks are the parts that have a column, of which some cells may not be visible in rows that are. Most such columns have the same.
	masks [][]int
}

// narrowedColumn is a column that a query of a view needs.
type narrowedColumn struct {
	place int // among the columns that are read
	mask  int // among the masks; unmasked if all cells are visible in rows that are
}

const unmasked = -1

// mask is the number of the mask of a field.
func (n *narrowing) mask(field int) int {
	if !n.view.masks(field) {
		return unmasked
	}
	var parts []int
	for i, part := range n.view.parts {
		if part.has[field] {
			parts = append(parts, i)
		}
	}
	for i, mask := range n.masks {
		if slices.Equal(mask, parts) {
			return i
		}
	}
	n.masks = append(n.masks, parts)
	return len(n.masks) - 1
}

// mayMatch says whether a row group may have rows that are visible and match. What a query's filter makes of statistics counts only where
// these are of visible cells alone.
func (n *narrowing) mayMatch(filter *predicate, s Statistics) bool {
	visible := visibleStatistics{Statistics: s, fields: n.fields, known: map[int]bool{}}
	some, all := false, false
	for _, p := range n.view.parts {
		o := outcomes{yes: true}
		if p.filter != nil {
			o = p.filter.outcomes(s)
		}
		some = some || o.yes
		if o.no || o.null {
			continue
		}
		all = true
		for field := range p.has {
			visible.known[field] = true
		}
	}
	if !some || filter == nil || !all {
		return some
	}
	return filter.outcomes(visible).yes
}

// visibleStatistics are those of columns all of whose cells are visible, by the fields of the view.
type visibleStatistics struct {
	Statistics
	fields []int
	known  map[int]bool
}

// Column tells of a field of the view.
func (s visibleStatistics) Column(field int) (ColumnStatistics, bool) {
	if !s.known[s.fields[field]] {
		return ColumnStatistics{}, false
	}
	return s.Statistics.Column(s.fields[field])
}
