package scan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/scalar"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
	"github.com/flight-operator/flight-operator/internal/arrowtest"
)

// view makes a view that must be right.
func view(t testing.TB, schema *arrow.Schema, who scan.Caller, parts ...scan.Part) *scan.View {
	t.Helper()
	v, err := scan.NewView(schema, parts, who)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// see runs a query of a view on one batch.
func see(t testing.TB, v *scan.View, q scan.Query, batch arrow.RecordBatch) arrow.RecordBatch {
	t.Helper()
	plan, err := v.Compile(q)
	if err != nil {
		t.Fatal(err)
	}
	in := input(plan, batch)
	defer in.Release()
	out, err := plan.Start(nil).Apply(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// staff is a small table to hide things in.
func staff(t testing.TB) arrow.RecordBatch {
	colour := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	batch := fromJSON(t, []arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		nullable("team", arrow.BinaryTypes.String), nullable("pay", arrow.PrimitiveTypes.Float64),
		nullable("colour", colour), nullable("tags", arrow.ListOf(arrow.BinaryTypes.String)),
	}, `[{"id": 1, "team": "red", "pay": 10, "colour": "ruby", "tags": ["a"]}, {"id": 2, "team": "blue", "pay": 20, "colour": "navy", "tags": ["b", "red"]},
		{"id": 3, "team": null, "pay": 30, "colour": "none", "tags": null}, {"id": 4, "team": "red", "pay": null, "colour": "ruby", "tags": []}]`)
	metadata := arrow.NewMetadata([]string{"pandas"}, []string{`{"columns": ["pay"], "stop": 4}`})
	return array.NewRecordBatch(arrow.NewSchema(batch.Schema().Fields(), &metadata), batch.Columns(), batch.NumRows())
}

// asJSON is a batch's rows.
func asJSON(t testing.TB, batch arrow.RecordBatch) string {
	t.Helper()
	text, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestViews(t *testing.T) {
	ann := scan.Caller{User: "ann", Groups: []string{"red", "staff"}, Claims: map[string]any{"level": 2.0, "id": json.Number("2"), "teams": []any{"red", nil}, "org": map[string]any{"team": "blue"}, "boss": false}}
	for _, tt := range []struct {
		name  string
		parts []scan.Part
		query scan.Query
		want  string
	}{
		{"all of it", []scan.Part{{}}, scan.Query{Columns: []string{"id"}}, `[{"id":1},{"id":2},{"id":3},{"id":4}]`},
		{"some columns", []scan.Part{{Columns: []int{0, 1}}}, scan.Query{}, `[{"id":1,"team":"red"},{"id":2,"team":"blue"},{"id":3,"team":null},{"id":4,"team":"red"}]`},
		{"some rows, by a column that is not visible", []scan.Part{{Columns: []int{0}, Filter: "pay > 10.0"}}, scan.Query{}, `[{"id":2},{"id":3}]`},
		{
			"rows of one part, columns of another",
			[]scan.Part{{Columns: []int{0}}, {Columns: []int{0, 2}, Filter: "team == 'red'"}},
			scan.Query{},
			`[{"id":1,"pay":10},{"id":2,"pay":null},{"id":3,"pay":null},{"id":4,"pay":null}]`,
		},
		{
			"parts that have no row in common",
			[]scan.Part{{Columns: []int{0}, Filter: "id == 1"}, {Columns: []int{2}, Filter: "id == 2"}},
			scan.Query{},
			`[{"id":1,"pay":null},{"id":null,"pay":20}]`,
		},
		{"a query sees what is visible, and that is null", []scan.Part{{Columns: []int{0}}, {Columns: []int{2}, Filter: "id == 1"}}, scan.Query{Filter: "pay == null", Columns: []string{"id"}}, `[{"id":2},{"id":3},{"id":4}]`},
		{"a query cannot find what is not visible", []scan.Part{{Columns: []int{0}}, {Columns: []int{2}, Filter: "id == 1"}}, scan.Query{Filter: "pay >= 10.0", Columns: []string{"id"}}, `[{"id":1}]`},
		{"a limit counts what is visible", []scan.Part{{Filter: "id >= 2"}}, scan.Query{Columns: []string{"id"}, Limit: limit(2)}, `[{"id":2},{"id":3}]`},
		{"a dictionary", []scan.Part{{Columns: []int{3}, Filter: "team == 'red'"}}, scan.Query{}, `[{"colour":"ruby"},{"colour":"ruby"}]`},
		{"no columns", []scan.Part{{Filter: "id > 2"}}, scan.Query{Columns: []string{}}, `[{},{}]`},
		{"a user", []scan.Part{{Columns: []int{0}, Filter: "identity.user == 'ann' && id < 2"}}, scan.Query{}, `[{"id":1}]`},
		{"another user", []scan.Part{{Columns: []int{0}, Filter: "identity.user == 'bob'"}}, scan.Query{}, `[]`},
		{"groups", []scan.Part{{Columns: []int{0}, Filter: "team in identity.groups"}}, scan.Query{}, `[{"id":1},{"id":4}]`},
		{"a group", []scan.Part{{Columns: []int{0}, Filter: "'staff' in identity.groups && id == 3"}}, scan.Query{}, `[{"id":3}]`},
		{"a number of JSON", []scan.Part{{Columns: []int{0}, Filter: "id == identity.claims.level"}}, scan.Query{}, `[{"id":2}]`},
		{"a number kept as it was", []scan.Part{{Columns: []int{0}, Filter: "id > identity.claims.id"}}, scan.Query{}, `[{"id":3},{"id":4}]`},
		{"a list", []scan.Part{{Columns: []int{0}, Filter: "team in identity.claims.teams"}}, scan.Query{}, `[{"id":1},{"id":4}]`},
		{"a member of a claim", []scan.Part{{Columns: []int{0}, Filter: "team == identity.claims['org'].team"}}, scan.Query{}, `[{"id":2}]`},
		{"a boolean", []scan.Part{{Columns: []int{0}, Filter: "!identity.claims.boss && id == 1"}}, scan.Query{}, `[{"id":1}]`},
		{"a claim that there is not is not equal to null", []scan.Part{{Columns: []int{0}, Filter: "team == identity.claims.tenant"}}, scan.Query{}, `[]`},
		{"nor unequal to anything", []scan.Part{{Columns: []int{0}, Filter: "team != identity.claims.tenant || !(team == identity.claims.tenant)"}}, scan.Query{}, `[]`},
		{"nor among anything", []scan.Part{{Columns: []int{0}, Filter: "identity.claims.x in tags || identity.claims.x in ['a'] || team in [identity.claims.x] || team in identity.claims.x"}}, scan.Query{}, `[]`},
		{"nor a beginning", []scan.Part{{Columns: []int{0}, Filter: "team.startsWith(identity.claims.tenant)"}}, scan.Query{}, `[]`},
		{"it can be tested for", []scan.Part{{Columns: []int{0}, Filter: "identity.claims.tenant == null && !has(identity.claims.tenant) && has(identity.claims.boss) && id == 1"}}, scan.Query{}, `[{"id":1}]`},
		{"a value among a column's", []scan.Part{{Columns: []int{0}, Filter: "identity.groups != null || true"}}, scan.Query{}, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := scan.NewView(staff(t).Schema(), tt.parts, ann)
			if tt.want == "" {
				if err == nil || !strings.HasPrefix(err.Error(), "part 0: filter, column ") {
					t.Errorf("got %v, want an error that names part and place", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, asJSON(t, see(t, v, tt.query, staff(t)))); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestAViewTellsNothingOfWhatItHides(t *testing.T) {
	schema := staff(t).Schema()
	v := view(t, schema, scan.Caller{}, scan.Part{Columns: []int{0}, Filter: "id > 1"}, scan.Part{Columns: []int{0, 1}, Filter: "pay > 10.0"})
	if got := v.Schema(); got.NumFields() != 2 || got.Field(0).Nullable || !got.Field(1).Nullable || got.HasMetadata() || v.AllRows() {
		t.Errorf("schema: %s", got)
	}
	for _, q := range []scan.Query{{Columns: []string{"pay"}}, {Filter: "pay > 1.0"}, {Filter: "identity.user == 'x'"}} {
		_, err := v.Compile(q)
		if err == nil || !strings.Contains(err.Error(), "there is no column") || !strings.Contains(err.Error(), "the columns are id, team") && !strings.Contains(err.Error(), "The columns are id, team") {
			t.Errorf("%v: %v, want what there is to be named", q, err)
		}
	}
	if _, err := scan.NewView(schema, []scan.Part{{}, {Filter: "salary > 1"}}, scan.Caller{}); err == nil || !strings.Contains(err.Error(), `part 1: filter, column 1: there is no column "salary"`) {
		t.Errorf("got %v", err)
	}
	if _, err := scan.NewView(schema, nil, scan.Caller{}); err == nil {
		t.Error("a view without parts is one")
	}
}

// No claim's value stands in a message: these go to logs.
func TestMessagesDoNotTellClaims(t *testing.T) {
	_, err := scan.NewView(staff(t).Schema(), []scan.Part{{Filter: "pay == identity.claims.tenant"}}, scan.Caller{Claims: map[string]any{"tenant": "Geheim"}})
	if err == nil || strings.Contains(err.Error(), "Geheim") {
		t.Errorf("got %v", err)
	}
}

func TestCheckFilter(t *testing.T) {
	for filter, want := range map[string]string{
		"anything > identity.claims.x": "", "a = 1": "a comparison is written ==", " ": "blank", "\xff": "UTF-8", strings.Repeat("a", 1<<16): "at most",
	} {
		if err := scan.CheckFilter(filter); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", filter, err, want)
		}
	}
}

// Statistics of cells that are not visible leave nothing out, and so tell nothing.
func TestPruningKnowsWhatIsVisible(t *testing.T) {
	schema := staff(t).Schema()
	pays := func(from, to float64, red string) scan.Statistics {
		return rowGroup{rows: 10, columns: map[int]scan.ColumnStatistics{
			0: {Min: scalar.NewInt64Scalar(100), Max: scalar.NewInt64Scalar(200), Nulls: 0},
			1: {Min: scalar.NewStringScalar(red), Max: scalar.NewStringScalar(red), Nulls: 0},
			2: {Min: scalar.NewFloat64Scalar(from), Max: scalar.NewFloat64Scalar(to), Nulls: 0},
		}}
	}
	for _, tt := range []struct {
		name   string
		parts  []scan.Part
		filter string
		stats  scan.Statistics
		want   bool
	}{
		{"a visible column", []scan.Part{{Columns: []int{0, 2}}}, "pay > 50.0", pays(1, 9, "red"), false},
		{"a visible column that may match", []scan.Part{{Columns: []int{0, 2}}}, "pay > 5.0", pays(1, 9, "red"), true},
		{"a masked column", []scan.Part{{Columns: []int{0}}, {Columns: []int{2}, Filter: "id > 150"}}, "pay > 50.0", pays(1, 9, "red"), true},
		{"null where a masked column has none", []scan.Part{{Columns: []int{0}}, {Columns: []int{2}, Filter: "id > 150"}}, "pay == null", pays(1, 9, "red"), true},
		{"rows that may not be visible", []scan.Part{{Filter: "id > 150"}}, "pay > 50.0", pays(1, 9, "red"), true},
		{"rows that are all visible", []scan.Part{{Filter: "id >= 100"}}, "pay > 50.0", pays(1, 9, "red"), false},
		{"cells that are all visible", []scan.Part{{Columns: []int{0}, Filter: "id < 0"}, {Columns: []int{2}, Filter: "team == 'red'"}}, "pay > 50.0", pays(1, 9, "red"), false},
		{"rows that are not visible", []scan.Part{{Filter: "team == 'red'"}}, "", pays(1, 9, "blue"), false},
		{"rows of another part", []scan.Part{{Filter: "team == 'red'"}, {Columns: []int{0}, Filter: "id == 120"}}, "", pays(1, 9, "blue"), true},
	} {
		plan, err := view(t, schema, scan.Caller{}, tt.parts...).Compile(scan.Query{Filter: tt.filter})
		if err != nil {
			t.Fatal(err)
		}
		if got := plan.MayMatch(tt.stats); got != tt.want {
			t.Errorf("%s: MayMatch is %t", tt.name, got)
		}
	}
}

// What a query does not need is not read, filters of parts among it.
func TestColumnsOfAView(t *testing.T) {
	v := view(t, staff(t).Schema(), scan.Caller{}, scan.Part{Columns: []int{0, 1}}, scan.Part{Columns: []int{4}, Filter: "pay > 1.0"})
	for want, q := range map[string]scan.Query{"[1]": {Columns: []string{"team"}}, "[2 4]": {Columns: []string{"tags"}}, "[0]": {Columns: []string{}, Filter: "id > 1"}, "[0 1 2 4]": {}} {
		plan, err := v.Compile(q)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(plan.Columns()); got != want {
			t.Errorf("%v reads %s, want %s", q, got, want)
		}
	}
}

// Whatever the schema, the data, the parts and the query: the view has the rows and cells that a row-by-row evaluation says, and the query has
// of the view what it would have of a dataset that holds nothing else.
func TestViewsAgreeWithTheReference(t *testing.T) {
	seeds := []uint64{1, 2}
	if *propertySeed != 0 {
		seeds = []uint64{*propertySeed}
	} else {
		seeds = append(seeds, uint64(time.Now().UnixNano()))
	}
	masked, hidden, shown := 0, 0, 0
	for _, seed := range seeds {
		for table := range *propertyTables {
			g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(table)))}
			g.table()
			for range 8 {
				m, h, s := g.checkView(t)
				masked, hidden, shown = masked+m, hidden+h, shown+s
				if t.Failed() {
					t.Fatalf("go test -run %s -args -seed %d, table %d", t.Name(), seed, table)
				}
			}
		}
	}
	t.Logf("%d cells were masked, %d rows hidden, %d cells shown", masked, hidden, shown)
	if masked < 1000 || hidden < 1000 || shown < 1000 {
		t.Errorf("%d cells were masked, %d rows hidden, %d cells shown: too few to say anything", masked, hidden, shown)
	}
}

func (g *generator) checkView(t *testing.T) (masked, hidden, shown int) {
	t.Helper()
	parts, rules := g.parts()
	schema := arrow.NewSchema(g.fields, nil)
	batch := array.NewRecordBatch(schema, g.columns, int64(g.rows))
	v := view(t, schema, scan.Caller{}, parts...)

	// The view against the rules, cell by cell.
	whole := see(t, v, scan.Query{}, batch)
	row := 0
	for i := range g.rows {
		granted := map[int]bool{}
		visible := false
		for p, part := range parts {
			if rules[p] != nil && rules[p](i) != true {
				continue
			}
			visible = true
			for field := range g.fields {
				granted[field] = granted[field] || part.Columns == nil || has(part.Columns, field)
			}
		}
		if !visible {
			hidden++
			continue
		}
		for c, field := range v.Schema().Fields() {
			from := schema.FieldIndices(field.Name)[0]
			got := whole.Column(c)
			if !granted[from] {
				if masked++; cell(got, row) != "null" {
					t.Fatalf("%v\n%s of row %d is %s and not visible", parts, field.Name, i, cell(got, row))
				}
				continue
			}
			if shown++; cell(got, row) != cell(g.columns[from], i) {
				t.Fatalf("%v\n%s of row %d is %s, want %s", parts, field.Name, i, cell(got, row), cell(g.columns[from], i))
			}
		}
		row++
	}
	if row != int(whole.NumRows()) {
		t.Fatalf("%v\n%d rows are visible, want %d", parts, whole.NumRows(), row)
	}
	for c, f := range v.Schema().Fields() {
		if err := array.ValidateFull(whole.Column(c)); err != nil && !v.AllRows() {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}

	// Queries of the view against queries of what was just checked.
	for range 4 {
		q := g.queryOf(v)
		want := strings.Join(lines(apply(t, nil, q, array.NewRecordBatch(v.Schema(), whole.Columns(), whole.NumRows()))), "\n")
		plan, err := v.Compile(q)
		if err != nil {
			t.Fatal(err)
		}
		in := input(plan, batch)
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		run := plan.Start(mem)
		var got []string
		for from := 0; from < g.rows; {
			to := min(g.rows, from+1+g.IntN(g.rows))
			part := in.NewSlice(int64(from), int64(to))
			out, err := run.Apply(t.Context(), part)
			if err != nil {
				t.Fatal(err)
			}
			if out.NumRows() > 0 && !plan.MayMatch(g.statistics(from, to)) {
				t.Errorf("%v %v\nrows %d to %d are pruned, and %d of them match", parts, q, from, to, out.NumRows())
			}
			got = append(got, lines(out)...)
			out.Release()
			part.Release()
			from = to
		}
		mem.AssertSize(t, 0)
		if d := cmp.Diff(want, strings.Join(got, "\n")); d != "" {
			t.Errorf("%v %v\n-want +got:\n%s", parts, q, d)
		}
	}
	return masked, hidden, shown
}

// parts are random, with what their filters mean; nil for those without.
func (g *generator) parts() (parts []scan.Part, rules []func(row int) any) {
	for range 1 + g.IntN(3) {
		p := scan.Part{}
		var rule func(row int) any
		if g.IntN(4) > 0 {
			p.Columns = []int{}
			for field := range g.fields {
				if g.IntN(2) == 0 {
					p.Columns = append(p.Columns, field)
				}
			}
		}
		if g.IntN(4) > 0 {
			e := g.boolean(1 + g.IntN(2))
			p.Filter, rule = e.text, e.eval
		}
		parts, rules = append(parts, p), append(rules, rule)
	}
	return parts, rules
}

// queryOf is a query that the view takes.
func (g *generator) queryOf(v *scan.View) scan.Query {
	var q scan.Query
	if g.IntN(2) == 0 {
		q.Columns = []string{}
		for _, f := range v.Schema().Fields() {
			if g.IntN(2) == 0 {
				q.Columns = append(q.Columns, f.Name)
			}
		}
	}
	if g.IntN(4) == 0 {
		q.Limit = limit(int64(g.IntN(g.rows + 1)))
	}
	for range 20 {
		filter := g.boolean(g.IntN(3)).text
		if _, err := v.Compile(scan.Query{Filter: filter}); err == nil {
			q.Filter = filter
			break
		}
	}
	return q
}

func has(columns []int, field int) bool {
	for _, c := range columns {
		if c == field {
			return true
		}
	}
	return false
}

// lines are a batch's rows as text.
func lines(batch arrow.RecordBatch) []string {
	out := make([]string, batch.NumRows())
	for row := range out {
		for _, column := range batch.Columns() {
			out[row] += cell(column, row) + " "
		}
	}
	return out
}

// No byte of a cell that is not visible is anywhere in what comes out: not in values, children, dictionaries, or buffers that views view.
func TestHiddenBytesAreGone(t *testing.T) {
	const secret = "SECRET, and too long for a view"
	texts := arrow.BinaryTypes
	colour := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: texts.String}
	union := []arrow.Field{nullable("n", arrow.PrimitiveTypes.Int64), nullable("s", texts.String)}
	record := arrow.StructOf(nullable("a", colour), nullable("b", texts.StringView))
	for _, c := range []struct {
		typ arrow.DataType
		// row is a value of it, with %s in place of text.
		row string
	}{
		{texts.String, `"%s"`},
		{texts.LargeString, `"%s"`},
		{texts.StringView, `"%s"`},
		{colour, `"%s"`},
		{arrow.ListOf(texts.String), `["%s", "x"]`},
		{arrow.LargeListOf(colour), `["%s", "x"]`},
		{arrow.ListViewOf(texts.String), `["%s", "x"]`},
		{arrow.LargeListViewOf(texts.StringView), `["%s", "x"]`},
		{arrow.FixedSizeListOf(2, texts.String), `["%s", "x"]`},
		{arrow.MapOf(texts.String, texts.String), `[{"key": "k", "value": "%s"}]`},
		{record, `{"a": "%[1]s", "b": "%[1]s"}`},
		{arrow.ListOf(record), `[{"a": "%[1]s", "b": "%[1]s"}]`},
		{arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, texts.String), `"%s"`},
		{arrow.DenseUnionOf(union, []arrow.UnionTypeCode{2, 7}), `[7, "%s"]`},
		{arrow.SparseUnionOf(union, []arrow.UnionTypeCode{2, 7}), `[7, "%s"]`},
		{arrow.ListOf(arrow.DenseUnionOf(union, []arrow.UnionTypeCode{2, 7})), `[[7, "%s"], [2, 1]]`},
	} {
		rows := make([]string, 6)
		for i := range rows {
			text := fmt.Sprintf("open %d, which everybody may see", i)
			if i == 0 || i == 3 || i == 4 {
				text = secret
			}
			rows[i] = fmt.Sprintf(`{"n": %d, "c": %s}`, i, fmt.Sprintf(c.row, text))
		}
		batch := fromJSON(t, []arrow.Field{nullable("n", arrow.PrimitiveTypes.Int64), nullable("c", c.typ)}, "["+strings.Join(rows, ",")+"]")
		if !holds(batch.Column(1).Data(), "SECRET") {
			t.Fatalf("%s: the test finds nothing", c.typ)
		}
		const open = "n in [1, 2, 5]"
		for name, v := range map[string]*scan.View{
			"rows":  view(t, batch.Schema(), scan.Caller{}, scan.Part{Filter: open}),
			"cells": view(t, batch.Schema(), scan.Caller{}, scan.Part{Columns: []int{0}}, scan.Part{Columns: []int{1}, Filter: open}),
			"none":  view(t, batch.Schema(), scan.Caller{}, scan.Part{Columns: []int{0}}, scan.Part{Columns: []int{1}, Filter: "n > 10"}),
			"one":   view(t, batch.Schema(), scan.Caller{}, scan.Part{Filter: "n == 1"}),
		} {
			for filter, sliced := range map[string]bool{"": false, "n != 2": false, "n > 0": true} {
				in := batch
				if sliced {
					in = batch.NewSlice(1, 6)
				}
				out := see(t, v, scan.Query{Filter: filter}, in)
				got := out.Column(1)
				if holds(got.Data(), "SECRET") {
					t.Errorf("%s, %s, %q: the bytes are there", c.typ, name, filter)
				}
				if name != "none" && !holds(got.Data(), "open") {
					t.Errorf("%s, %s, %q: nothing is left: %s", c.typ, name, filter, got)
				}
				if err := array.ValidateFull(got); err != nil && (c.typ.ID() != arrow.RUN_END_ENCODED || filter == "") {
					t.Errorf("%s, %s, %q: %v", c.typ, name, filter, err)
				}
			}
		}
	}
}

// holds is true if the text is in any of the buffers, to their last byte.
func holds(d arrow.ArrayData, text string) bool {
	for _, b := range d.Buffers() {
		if b != nil && bytes.Contains(b.Buf()[:cap(b.Buf())], []byte(text)) {
			return true
		}
	}
	for _, child := range d.Children() {
		if holds(child, text) {
			return true
		}
	}
	if dictionary, ok := d.Dictionary().(*array.Data); ok && dictionary != nil {
		return holds(dictionary, text)
	}
	return false
}

// Every type can be masked, out of whichever slice, whatever is visible of it.
func TestEveryTypeCanBeMasked(t *testing.T) {
	types := everyType(t)
	types["extension of text"] = array.NewExtensionArrayWithStorage(extensions.NewOpaqueType(arrow.BinaryTypes.String, "a", "b"), types["string"])
	for name, whole := range types {
		for _, from := range []int64{0, 1, 3} {
			part := array.NewSlice(whole, from, 10)
			batch := oneColumn(part)
			for keep, shown := range map[string][]bool{"none": make([]bool, 10), "all": {true, true, true, true, true, true, true, true, true, true}, "some": {false, true, true, false, true, false, false, true}, "first": {true}, "last": {9: true}} {
				list := ""
				for row, ok := range shown {
					if ok {
						list += fmt.Sprintf("%d,", row)
					}
				}
				v := view(t, batch.Schema(), scan.Caller{}, scan.Part{Columns: []int{0}}, scan.Part{Columns: []int{1}, Filter: "row_number in [" + strings.TrimSuffix(list, ",") + "]"})
				mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
				plan, err := v.Compile(scan.Query{})
				if err != nil {
					t.Fatal(err)
				}
				out, err := plan.Start(mem).Apply(t.Context(), batch)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got := out.Column(1)
				for row := range part.Len() {
					if row < len(shown) && shown[row] {
						if cell(got, row) != cell(part, row) {
							t.Errorf("%s from %d, %s: row %d is %s instead of %s", name, from, keep, row, cell(got, row), cell(part, row))
						}
					} else if cell(got, row) != "null" {
						t.Errorf("%s from %d, %s: row %d is %s and not visible", name, from, keep, row, cell(got, row))
					}
				}
				if err := array.ValidateFull(got); err != nil {
					t.Errorf("%s from %d, %s: %v", name, from, keep, err)
				}
				out.Release()
				mem.AssertSize(t, 0)
			}
		}
	}
}

// cell is a value as text, however it is encoded. A null in runs or in a union is null too.
func cell(a arrow.Array, row int) string {
	if a.IsNull(row) || a.DataType().ID() == arrow.NULL {
		return "null"
	}
	switch a := a.(type) {
	case array.ExtensionArray:
		return cell(a.Storage(), row)
	case *array.Dictionary:
		return cell(a.Dictionary(), a.GetValueIndex(row))
	case *array.RunEndEncoded:
		return cell(a.Values(), a.GetPhysicalIndex(row))
	case *array.DenseUnion:
		return cell(a.Field(a.ChildID(row)), int(a.ValueOffset(row)))
	case *array.SparseUnion:
		return cell(a.Field(a.ChildID(row)), row)
	case *array.Struct:
		out := "{"
		for i := range a.NumField() {
			out += cell(a.Field(i), row) + ","
		}
		return out + "}"
	case array.ListLike:
		out := "["
		for start, end := a.ValueOffsets(row); start < end; start++ {
			out += cell(a.ListValues(), int(start)) + ","
		}
		return out + "]"
	default:
		return a.ValueStr(row)
	}
}

// The same random data with all that is hidden replaced give the same bytes of an answer.
func TestTheAnswerDoesNotDependOnWhatIsHidden(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	compared := 0
	for range 300 {
		schema := arrowtest.RandomSchema(rng)
		one, other := arrowtest.RandomBatch(t, rng, schema, 20), arrowtest.RandomBatch(t, rng, schema, 20)
		// Rows of one that are visible, between rows of either that are not.
		fields := append([]arrow.Field{nullable("n", arrow.PrimitiveTypes.Int64)}, schema.Fields()...)
		assembled := true // arrow-go cannot put every type together
		assemble := func(hidden arrow.RecordBatch) arrow.RecordBatch {
			columns := []arrow.Array{arrayOf(t, arrow.PrimitiveTypes.Int64, "[0,0,0,1,1,0,0,0,0,1,0,0,1,1,1,0,0,0,0,1]")}
			for c := range schema.NumFields() {
				var pieces []arrow.Array
				for row := range int64(20) {
					from := hidden
					if columns[0].(*array.Int64).Value(int(row)) == 1 {
						from = one
					}
					pieces = append(pieces, array.NewSlice(from.Column(c), row, row+1))
				}
				whole, err := array.Concatenate(pieces, memory.DefaultAllocator)
				if err != nil {
					assembled = false
					return nil
				}
				columns = append(columns, whole)
			}
			return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, 20)
		}
		first, second := assemble(one), assemble(other)
		if !assembled {
			continue
		}
		all := []int{}
		for i := range fields {
			all = append(all, i)
		}
		for _, parts := range [][]scan.Part{{{Filter: "n == 1"}}, {{Columns: []int{0}}, {Columns: all, Filter: "n == 1"}}} {
			v := view(t, arrow.NewSchema(fields, nil), scan.Caller{}, parts...)
			if d := cmp.Diff(dump(see(t, v, scan.Query{}, first)), dump(see(t, v, scan.Query{}, second))); d != "" {
				t.Fatalf("%s\n%s", schema, d)
			}
			compared++
		}
	}
	if compared < 100 {
		t.Errorf("%d views were compared: too few to say anything", compared)
	}
}

// dump is all bytes of a batch.
func dump(batch arrow.RecordBatch) string {
	var b strings.Builder
	var write func(d arrow.ArrayData)
	write = func(d arrow.ArrayData) {
		fmt.Fprintf(&b, "%s %d %d\n", d.DataType(), d.Len(), d.Offset())
		for _, buffer := range d.Buffers() {
			if buffer != nil {
				fmt.Fprintf(&b, "%x\n", buffer.Bytes())
			}
		}
		for _, child := range d.Children() {
			write(child)
		}
		if dictionary, ok := d.Dictionary().(*array.Data); ok && dictionary != nil {
			write(dictionary)
		}
	}
	for _, column := range batch.Columns() {
		write(column.Data())
	}
	return b.String()
}
